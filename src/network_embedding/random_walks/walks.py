"""First-order and second-order random walks on a graph, many walks moved together.

The cost of a walk is memory traffic, so the tables are small: a node's first edge and
its degree share one 64-bit number, targets are 32-bit, and a chunk's state fits the
processor's cache. Random numbers come from numpy's SFC64, seeded by the torch
generator, in a quarter of the time that torch's own generator takes. Every chunk has
its own stream, so results do not depend on threads.

Weighted steps invert the cumulative weights by binary search in one array for the whole
graph. Alias tables would make that search constant in time, but they have to be built
edge by edge (which a vectorised program cannot do fast), and second-order walks would
need one table per *pair* of edges. Rejection sampling needs neither (see
`second_order`).
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from src.common.checks import checked, within
from src.common.graphs.graph import Graph
from src.network_embedding.random_walks.edge_membership import EdgeSet
from src.network_embedding.random_walks.second_order import LOW_32, Acceptance, take

CHUNK = 1 << 15  # walks moved together: their state is some 100 KB per array


ENDED = -1
"""Stands in the place of the nodes after the end of a walk."""

LEAST = 1e-100  # of p and q, and one over the largest


@checked
def walk_starts(
    num_nodes: int, per_node: int, generator: torch.Generator
) -> Int[Tensor, " walks"]:
    """Return every node `per_node` times, each round in a new order.

    The starts of DeepWalk's walks (algorithm 1).

    Args:
        num_nodes: nodes are 0 ... num_nodes - 1.
        per_node: rounds, at least 0.
        generator: source of the orders.

    Raises:
        ValueError: for a negative number of rounds.
    """
    within("num_nodes", num_nodes, 0)
    within("per_node", per_node, 0)
    rounds = [torch.randperm(num_nodes, generator=generator) for _ in range(per_node)]
    return torch.cat(rounds) if rounds else torch.empty(0, dtype=torch.long)


@checked
def uniform_walks(
    graph: Graph, starts: Int[Tensor, " walks"], steps: int, generator: torch.Generator
) -> Int[Tensor, "walks nodes"]:
    """Return walks that take each edge of a node with equal chance, or by its weight.

    Args:
        graph: directed or not. A walk ends at a node without outgoing edges.
        starts: (walks,) first nodes.
        steps: at least 0.
        generator: source of the steps.

    Returns:
        (walks, steps + 1) nodes, `ENDED` after the end of a walk; in memory, the nodes
        of all walks at one step are adjacent.

    Raises:
        ValueError: for a start that is not a node, or negative steps.

    Examples:
        >>> cycle = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> graph = Graph.from_edges(cycle, 3, directed=True)
        >>> uniform_walks(graph, torch.tensor([0, 2]), 4, torch.Generator())
        tensor([[0, 1, 2, 0, 1],
                [2, 0, 1, 2, 0]])
    """
    return Walker(graph).first_order(starts, steps, generator)


@checked
def second_order_walks(
    graph: Graph,
    starts: Int[Tensor, " walks"],
    steps: int,
    p: float,
    q: float,
    generator: torch.Generator,
) -> Int[Tensor, "walks nodes"]:
    """Return node2vec's walks: from t to v, then to x by alpha(t, x) weight(v, x).

    The chance of x is proportional to that product. alpha is 1/p for x = t, 1 for x
    next to t (an edge from t to x), 1/q otherwise (Grover and Leskovec 2016, section
    3.2). The first step has no t and goes by weight. On a directed graph the paper's
    distance from t to x asks for an edge from t to x; the authors' program asks for one
    from x to t. A step costs about the same whatever p and q are.

    Args:
        graph: directed or not. A walk ends at a node without outgoing edges.
        starts: (walks,) first nodes.
        steps: at least 0.
        p: positive and finite; a large p avoids going back.
        q: positive and finite; a large q stays near t, a small q moves away.
        generator: source of the steps.

    Returns:
        (walks, steps + 1) nodes, laid out as by `uniform_walks`.

    Raises:
        ValueError: for a start that is not a node, negative steps, or p or q out of
            range.

    Examples:
        With a huge p, a walk on a path never turns back.

        >>> path = Graph.from_edges(torch.tensor([[0, 1, 2], [1, 2, 3]]), 4)
        >>> generator = torch.Generator().manual_seed(0)
        >>> second_order_walks(path, torch.tensor([0]), 3, 1e9, 1.0, generator)
        tensor([[0, 1, 2, 3]])
    """
    return Walker(graph).second_order(starts, steps, p, q, generator)


class Walker:
    """A graph prepared for walks; worth keeping where walks are drawn repeatedly."""

    def __init__(self, graph: Graph):
        """Build the tables: 12 bytes per node, 4 per edge, 12 per edge with weights.

        Args:
            graph: nodes without outgoing edges get a loop, which keeps walks there
                until `_in_chunks` cuts them.
        """
        self.graph = graph
        source, target = graph.edge_index
        weights = graph.edge_weight
        degree = torch.bincount(source, minlength=graph.num_nodes)
        self.ends = degree == 0
        lonely = torch.nonzero(self.ends).ravel()
        if len(lonely):
            source, order = torch.cat([source, lonely]).sort(stable=True)
            target = torch.cat([target, lonely])[order]
            if weights is not None:
                weights = torch.cat([weights, weights.new_ones(len(lonely))])[order]
            degree = torch.bincount(source, minlength=graph.num_nodes)
        self.target = torch.cat(
            [target, target.new_zeros(1)]
        ).int()  # one more: see `_propose`
        first = degree.cumsum(0) - degree
        self.span = (first << 32) | degree
        self.weight = None if weights is None else weights.double()
        if self.weight is not None:
            self.cumulative = self.weight.cumsum(0)
            last = self.cumulative[first + degree - 1]
            self.below = torch.cat([last.new_zeros(1), last[:-1]])
            self.total = last - self.below

    @cached_property
    def edges(self) -> EdgeSet:
        """The set that answers whether an edge leads from one node to another."""
        return EdgeSet(self.graph.edge_index, self.graph.num_nodes)

    @cached_property
    def opposite(self) -> Int[Tensor, " edges"]:
        """Each edge's opposite as a place; the number of edges if there is none."""
        source = torch.repeat_interleave(self.span & LOW_32)
        nodes, target = self.graph.num_nodes, self.target[:-1].long()
        keys, wanted = source * nodes + target, target * nodes + source
        place = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
        return torch.where(keys[place] == wanted, place, len(keys)).int()

    @cached_property
    def undirected(self) -> bool:
        """Whether every edge has its opposite."""
        return bool((self.opposite < len(self.opposite)).all())

    def first_order(
        self, starts: Int[Tensor, " walks"], steps: int, generator: torch.Generator
    ) -> Int[Tensor, "walks nodes"]:
        """Return walks as `uniform_walks` does.

        Args:
            starts: (walks,) first nodes.
            steps: at least 0.
            generator: source of the steps.

        Returns:
            (walks, steps + 1) nodes.

        Raises:
            ValueError: for a start that is not a node, or negative steps.
        """

        def walk(rows: Int[Tensor, "nodes chunk"], random: np.random.Generator) -> None:
            at = rows[0].int()
            for step in range(1, len(rows)):
                at, _ = self._step(at, random)
                rows[step].copy_(at)

        return self._in_chunks(walk, starts, steps, generator)

    def second_order(
        self,
        starts: Int[Tensor, " walks"],
        steps: int,
        p: float,
        q: float,
        generator: torch.Generator,
    ) -> Int[Tensor, "walks nodes"]:
        """Return walks as `second_order_walks` does; p = q = 1 is first order.

        Args:
            starts: (walks,) first nodes.
            steps: at least 0.
            p: positive and finite; a large p avoids going back.
            q: positive and finite; a large q stays near the previous node.
            generator: source of the steps.

        Returns:
            (walks, steps + 1) nodes.

        Raises:
            ValueError: for a start that is not a node, negative steps, or p or q out of
                range.
        """
        remedy = "for walks that never turn back give p = 1e9"
        within("p", p, LEAST, 1 / LEAST, remedy=remedy)
        within("q", q, LEAST, 1 / LEAST)
        if p == q == 1:
            return self.first_order(starts, steps, generator)
        rule = Acceptance(self, 1 / p, 1 / q)

        def walk(rows: Int[Tensor, "nodes chunk"], random: np.random.Generator) -> None:
            before = rows[0].int()
            if steps == 0:
                return
            at, edge = self._step(before, random)
            rows[1].copy_(at)
            for step in range(2, len(rows)):
                after, edge = rule.step(at, before, edge, random)
                before, at = at, after
                rows[step].copy_(at)

        return self._in_chunks(walk, starts, steps, generator)

    def _in_chunks(self, walk, starts, steps, generator):
        """Run `walk` on all chunks, and cut walks where they cannot go on."""
        if steps < 0:
            raise ValueError(f"steps must be at least 0, not {steps}")
        nodes = self.graph.num_nodes
        if len(starts) and not 0 <= int(starts.min()) <= int(starts.max()) < nodes:
            raise ValueError(f"starts must be nodes 0 ... {nodes - 1}")
        rows = torch.empty(steps + 1, len(starts), dtype=torch.long)
        rows[0] = starts
        key = int(torch.randint(1 << 62, (), generator=generator))
        chunks = range(0, len(starts), CHUNK)

        def work(first: int) -> None:
            random = np.random.Generator(np.random.SFC64((key, first)))
            walk(rows[:, first : first + CHUNK], random)

        self._run(work, chunks)
        if bool(self.ends.any()):
            for step in range(1, len(rows)):
                stopped = (rows[step - 1] == ENDED) | self.ends[rows[step - 1]]
                rows[step].masked_fill_(stopped, ENDED)
        return rows.T

    @staticmethod
    def _run(work: Callable[[int], None], chunks: range) -> None:
        """Do all chunks, on as many threads as torch uses."""
        threads = min(torch.get_num_threads(), len(chunks))
        if threads <= 1:
            for first in chunks:
                work(first)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(work, chunks))

    def _step(self, at: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Return the nodes after one first-order step, and the edges taken."""
        if self.weight is not None:
            low, total = take(self.below, at), take(self.total, at)
            return self.search(
                at, low + total.mul_(torch.from_numpy(random.random(len(at))))
            )
        span = take(self.span, at)
        draw = torch.from_numpy(random.bit_generator.random_raw(len(at)).view(np.int64))
        draw.bitwise_and_(LOW_32)
        draw.mul_(span & LOW_32).bitwise_right_shift_(32)  # floor(degree * uniform)
        edge = draw.add_(span.bitwise_right_shift_(32))
        return take(self.target, edge), edge

    def search(self, at: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return the nodes and edges at which the cumulative weights exceed `value`.

        Args:
            at: (walks,) nodes whose edges are searched; the graph has weights.
            value: (walks,) within the cumulative weights of each node's edges.

        Returns:
            (walks,) targets of the edges found, and (walks,) places of these edges.
        """
        edge = torch.searchsorted(self.cumulative, value, right=True)
        span = take(self.span, at)
        first = span >> 32
        edge = torch.minimum(
            edge, first + (span & LOW_32) - 1
        )  # rounding at the node's last edge
        return take(self.target, edge), edge


@checked
def parked(walks: Int[Tensor, "*walks nodes"]) -> Int[Tensor, "*walks nodes"]:
    """Return the walks with their last node in all places after their end.

    Args:
        walks: from `uniform_walks` or `second_order_walks`.

    Examples:
        >>> parked(torch.tensor([[4, 2, ENDED, ENDED]]))
        tensor([[4, 2, 2, 2]])
    """
    place = torch.arange(walks.shape[-1]).expand_as(walks)
    last = place.where(walks != ENDED, 0).cummax(dim=-1).values
    return walks.gather(-1, last)
