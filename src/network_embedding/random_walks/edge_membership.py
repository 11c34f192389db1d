"""Whether there is an edge between two nodes, for many pairs at once."""

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

EXACT_BITS = 1 << 28  # a bit for every pair of nodes up to this many pairs: 32 MB
BITS_AN_EDGE = 16
ODD = 0x9E3779B97F4A7C15 - (1 << 64)  # Fibonacci hashing: 2^64 over the golden ratio


class EdgeSet:
    """The edges of a graph as a bitmap; large graphs hash into it and verify hits.

    A graph of up to 16,384 nodes has one bit per pair. A larger one has 16 to 32 bits
    per edge: a zero proves that there is no edge, and a one is checked by binary search
    in the sorted keys source * nodes + target, so that the answers are exact.

    Examples:
        >>> edges = EdgeSet(torch.tensor([[0, 1], [1, 2]]), 3)
        >>> edges.contains(torch.tensor([0, 1]), torch.tensor([1, 0]))
        tensor([ True, False])
    """

    def __init__(self, edge_index: Int[Tensor, "2 edges"], num_nodes: int):
        """Build the bitmap.

        Args:
            edge_index: (2, edges), sorted by source, then by target.
            num_nodes: nodes are 0 ... num_nodes - 1.

        Raises:
            ValueError: for edges that are not sorted, or come twice.
        """
        self.num_nodes = num_nodes
        self.keys = edge_index[0] * num_nodes + edge_index[1]
        if not bool((self.keys.diff() > 0).all()):
            raise ValueError(
                "edges must be sorted by source, then by target, each once"
            )
        pairs, edges = num_nodes * num_nodes, len(self.keys)
        self.exact = pairs <= EXACT_BITS
        self.shift = 64 - max(10, (BITS_AN_EDGE * edges).bit_length())
        bits = pairs if self.exact else 1 << (64 - self.shift)
        place = self._place(self.keys)
        marks = torch.zeros(-(-bits // 8) * 8, dtype=torch.bool)
        marks[place] = True
        powers = 2 ** torch.arange(8, dtype=torch.uint8)
        self.bitmap = torch.zeros(len(marks) // 8, dtype=torch.uint8)
        for bit in range(8):
            self.bitmap |= marks[bit::8] * powers[bit]

    def contains(
        self, source: Int[Tensor, " pairs"], target: Int[Tensor, " pairs"]
    ) -> Bool[Tensor, " pairs"]:
        """Return for every pair whether there is an edge from source to target.

        Args:
            source: (pairs,) nodes where the edges would begin.
            target: (pairs,) nodes where they would end.
        """
        keys = source.long() * self.num_nodes + target
        place = self._place(keys)
        byte = torch.index_select(self.bitmap, 0, place >> 3)
        found = (byte >> (place & 7).byte()).bitwise_and_(1)
        if not self.exact:
            likely = torch.from_numpy(np.flatnonzero(found.numpy()))
            keys = torch.index_select(keys, 0, likely)
            at = torch.searchsorted(self.keys, keys).clamp_(max=len(self.keys) - 1)
            found.scatter_(0, likely, (self.keys[at] == keys).byte())
        return found.bool()

    def _place(self, keys: Int[Tensor, " pairs"]) -> Int[Tensor, " pairs"]:
        if self.exact:
            return keys
        return (keys * ODD).bitwise_right_shift_(self.shift) & (
            (1 << (64 - self.shift)) - 1
        )
