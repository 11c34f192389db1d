"""Anonymous walks: what is left of a random walk when its nodes lose their names.

A walk a, b, c, b becomes 0, 1, 2, 1: the order in which its places were first seen. The share of
each such pattern among a node's walks describes the shape of its surroundings, not their place
(Ivanov and Burnaev, "Anonymous Walk Embeddings", 2018).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from src.common.graphs.graph import Graph


def anonymise(walks: Int[Tensor, "walks positions"]) -> Int[Tensor, "walks positions"]:
    """Return the walks with each node replaced by the number of other nodes seen before it."""
    positions = torch.arange(walks.shape[1])
    equal = walks[:, :, None] == walks[:, None, :]
    first = torch.where(equal, positions, walks.shape[1]).amin(dim=2)
    order = (first == positions).cumsum(dim=1) - 1
    return order.gather(1, first)


def all_anonymous_walks(steps: int) -> Int[Tensor, "patterns positions"]:
    """Return every pattern of a walk of `steps` steps that never stays, in dictionary order.

    Their number is the Bell number of `steps`: 1, 2, 5, 15, 52, 203, ...

    Args:
        steps: from 1 to 10.

    Raises:
        ValueError: for other numbers of steps: the patterns would fill the memory.
    """
    if not 1 <= steps <= 10:
        raise ValueError(f"steps must be from 1 to 10, not {steps}")
    patterns = torch.zeros(1, 1, dtype=torch.long)
    for step in range(1, steps + 1):
        following = torch.arange(step + 1)
        seen = patterns.amax(dim=1, keepdim=True)
        allowed = (following <= seen + 1) & (following != patterns[:, -1:])
        row, place = torch.nonzero(allowed, as_tuple=True)
        patterns = torch.cat([patterns[row], place[:, None]], dim=1)
    return patterns


def pattern_numbers(walks: Int[Tensor, "walks positions"]) -> Int[Tensor, " walks"]:
    """Return each walk's row in `all_anonymous_walks`; -1 for a walk that stays somewhere."""
    base = walks.shape[1]
    digits = base ** torch.arange(base - 1, -1, -1)
    known = (all_anonymous_walks(base - 1) * digits).sum(dim=1)
    codes = (anonymise(walks) * digits).sum(dim=1)
    place = torch.searchsorted(known, codes).clamp(max=len(known) - 1)
    return torch.where(known[place] == codes, place, -1)


def pattern_shares(
    walks: Int[Tensor, "nodes per_node positions"],
) -> Float[Tensor, "nodes patterns"]:
    """Return the share of each pattern among a node's walks.

    A node without edges, whose walks stay, has a row of zeros; all others sum to 1.
    """
    nodes, per_node, positions = walks.shape
    patterns = len(all_anonymous_walks(positions - 1))
    number = pattern_numbers(walks.reshape(-1, positions))
    node = torch.arange(nodes).repeat_interleave(per_node)
    moved = number >= 0
    cells = node[moved] * patterns + number[moved]
    counts = torch.bincount(cells, minlength=nodes * patterns)
    return counts.reshape(nodes, patterns) / per_node


def exact_pattern_shares(graph: Graph, steps: int) -> Float[Tensor, "nodes patterns"]:
    """Return the expected shares: all walks are followed, so only small graphs will do.

    Args:
        graph: whose walks step by weight.
        steps: of a walk; time and memory grow as degree^steps.
    """
    walks = torch.arange(graph.num_nodes)[:, None]
    chance = torch.ones(graph.num_nodes, dtype=torch.float64)
    step_chance = (graph.weights / graph.degree[graph.edge_index[0]]).double()
    spans = graph.indptr.diff()
    for _ in range(steps):
        last = walks[:, -1]
        copies = spans[last]
        row = torch.arange(len(walks)).repeat_interleave(copies)
        within = torch.arange(len(row)) - (copies.cumsum(0) - copies)[row]
        edge = graph.indptr[last[row]] + within
        walks = torch.cat([walks[row], graph.edge_index[1, edge][:, None]], dim=1)
        chance = chance[row] * step_chance[edge]
    patterns = len(all_anonymous_walks(steps))
    shares = torch.zeros(graph.num_nodes * patterns, dtype=torch.float64)
    shares.index_add_(0, walks[:, 0] * patterns + pattern_numbers(walks), chance)
    return shares.reshape(graph.num_nodes, patterns)


def degree_profiles(
    graph: Graph, walks: Int[Tensor, "nodes per_node positions"], bins: int
) -> Float[Tensor, "nodes features"]:
    """Return, for each step of a node's walks, the share of walks that see a degree of each bin.

    Args:
        graph: which the walks were drawn on.
        walks: of every node, the node itself first.
        bins: number of them; bin b holds the neighbour counts from 2^b to 2^(b+1) - 1, the last
            bin all that are larger. The bins do not depend on the graph, so that the profiles of
            two graphs can be compared.

    Returns:
        (nodes, positions * bins), non-negative, each position's bins summing to 1.
    """
    nodes, per_node, positions = walks.shape
    neighbours = graph.indptr.diff().clamp(min=1).double()
    number = torch.log2(neighbours).floor().long().clamp(max=bins - 1)
    seen = number[walks] + bins * torch.arange(positions)
    cells = seen + (bins * positions) * torch.arange(nodes)[:, None, None]
    counts = torch.bincount(cells.ravel(), minlength=nodes * positions * bins)
    return counts.reshape(nodes, positions * bins) / per_node
