"""Anonymous walks: what is left of a random walk when its nodes lose their names.

A walk a, b, c, b becomes 0, 1, 2, 1: each node is replaced by its place in the order of
first visits. The share of each such pattern among a node's walks describes the shape of
its surroundings, not where they lie (Ivanov and Burnaev, "Anonymous Walk Embeddings",
2018).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from src.common.checks import checked, within
from src.common.graphs.graph import Graph
from src.network_embedding.random_walks.walks import ENDED, parked

MOST_STEPS = 10  # of an anonymous walk: there are 115,975 patterns of so many


@checked
def anonymise(walks: Int[Tensor, "walks positions"]) -> Int[Tensor, "walks positions"]:
    """Return the walks with nodes numbered from 0 in the order of their first visits.

    Args:
        walks: (walks, positions) nodes.

    Examples:
        >>> anonymise(torch.tensor([[7, 3, 9, 3], [2, 5, 2, 8]]))
        tensor([[0, 1, 2, 1],
                [0, 1, 0, 2]])
    """
    positions = torch.arange(walks.shape[1])
    equal = walks[:, :, None] == walks[:, None, :]
    first = torch.where(equal, positions, walks.shape[1]).amin(dim=2)
    order = (first == positions).cumsum(dim=1) - 1
    return order.gather(1, first)


@checked
def all_anonymous_walks(steps: int) -> Int[Tensor, "patterns positions"]:
    """Return every pattern of a walk whose every step moves, in dictionary order.

    Their number is the Bell number of `steps`: 1, 2, 5, 15, 52, 203, ...

    Args:
        steps: from 1 to 10.

    Returns:
        (patterns, steps + 1) numbers, each row beginning with 0, 1.

    Raises:
        ValueError: for other numbers of steps: the patterns would fill the memory.

    Examples:
        >>> all_anonymous_walks(2)
        tensor([[0, 1, 0],
                [0, 1, 2]])
    """
    within("steps", steps, 1, MOST_STEPS, remedy="there are too many longer patterns")
    patterns = torch.zeros(1, 1, dtype=torch.long)
    for step in range(1, steps + 1):
        following = torch.arange(step + 1)
        seen = patterns.amax(dim=1, keepdim=True)
        allowed = (following <= seen + 1) & (following != patterns[:, -1:])
        row, place = torch.nonzero(allowed, as_tuple=True)
        patterns = torch.cat([patterns[row], place[:, None]], dim=1)
    return patterns


@checked
def pattern_numbers(walks: Int[Tensor, "walks positions"]) -> Int[Tensor, " walks"]:
    """Return each walk's row in `all_anonymous_walks`; -1 for one that stays or ends.

    Args:
        walks: (walks, positions) nodes, of 1 to 10 steps; `ENDED` after an early end.

    Raises:
        ValueError: for walks of no steps or of more than 10.
    """
    base = walks.shape[1]
    digits = base ** torch.arange(base - 1, -1, -1)
    known = (all_anonymous_walks(base - 1) * digits).sum(dim=1)
    codes = (anonymise(walks) * digits).sum(dim=1)
    place = torch.searchsorted(known, codes).clamp(max=len(known) - 1)
    whole = (walks != ENDED).all(dim=1)
    return torch.where(whole & (known[place] == codes), place, -1)


@checked
def pattern_shares(
    walks: Int[Tensor, "nodes per_node positions"],
) -> Float[Tensor, "nodes patterns"]:
    """Return the share of each pattern among a node's walks.

    Args:
        walks: (nodes, per_node, positions), the walks of every node, of 1 to 10 steps;
            at least one walk each.

    Returns:
        (nodes, patterns), in the order of `all_anonymous_walks`. Walks that stay
        somewhere or end early count for no pattern: a node without edges has a row of
        zeros, and where all walks move the row sums to 1.

    Raises:
        ValueError: for nodes without walks, walks of no steps or of more than 10.
    """
    nodes, per_node, positions = walks.shape
    within("the number of walks of a node", per_node, 1)
    patterns = len(all_anonymous_walks(positions - 1))
    number = pattern_numbers(walks.reshape(-1, positions))
    node = torch.arange(nodes).repeat_interleave(per_node)
    moved = number >= 0
    cells = node[moved] * patterns + number[moved]
    counts = torch.bincount(cells, minlength=nodes * patterns)
    return counts.reshape(nodes, patterns) / per_node


@checked
def exact_pattern_shares(graph: Graph, steps: int) -> Float[Tensor, "nodes patterns"]:
    """Return the expected shares by following every walk: for small graphs only.

    Args:
        graph: whose walks step by weight.
        steps: of a walk, from 1 to 10; time and memory grow as degree^steps.

    Returns:
        (nodes, patterns), in the order of `all_anonymous_walks`, in double precision.
        Walks that end early count for no pattern.

    Raises:
        ValueError: for a number of steps out of range.
    """
    patterns = len(all_anonymous_walks(steps))
    walks = torch.arange(graph.num_nodes)[:, None]
    chance = torch.ones(graph.num_nodes, dtype=torch.float64)
    weights, source = graph.weights.double(), graph.edge_index[0]
    totals = torch.zeros_like(chance).index_add_(0, source, weights)
    step_chance, spans = weights / totals[source], graph.indptr.diff()
    for _ in range(steps):
        last = walks[:, -1]
        copies = spans[last]
        row = torch.arange(len(walks)).repeat_interleave(copies)
        place = torch.arange(len(row)) - (copies.cumsum(0) - copies)[row]
        edge = graph.indptr[last[row]] + place
        walks = torch.cat([walks[row], graph.edge_index[1, edge][:, None]], dim=1)
        chance = chance[row] * step_chance[edge]
    shares = torch.zeros(graph.num_nodes * patterns, dtype=torch.float64)
    shares.index_add_(0, walks[:, 0] * patterns + pattern_numbers(walks), chance)
    return shares.reshape(graph.num_nodes, patterns)


@checked
def degree_profiles(
    graph: Graph, walks: Int[Tensor, "nodes per_node positions"], bins: int
) -> Float[Tensor, "nodes features"]:
    """Return, per step of a node's walks, the share that sees each bin of degrees.

    Args:
        graph: on which the walks were drawn.
        walks: (nodes, per_node, positions), the walks of every node, the node itself
            first; a walk that ended early stays where it ended.
        bins: how many, at least 1; bin b holds the neighbour counts from 2^b to
            2^(b+1) - 1, the last bin all larger ones. The bins do not depend on the
            graph, so that the profiles of two graphs can be compared.

    Returns:
        (nodes, positions * bins), non-negative, each position's bins summing to 1.

    Raises:
        ValueError: for bins below 1, nodes without walks, or walks that are not on
            nodes of the graph.
    """
    nodes, per_node, positions = walks.shape
    within("bins", bins, 1)
    within("the number of walks of a node", per_node, 1)
    low, high = (int(end) for end in walks.aminmax()) if walks.numel() else (0, -1)
    if not ENDED <= low <= high < graph.num_nodes and walks.numel():
        raise ValueError(
            f"walks must hold nodes 0 ... {graph.num_nodes - 1}, not {low} to {high}"
        )
    walks = parked(walks)
    neighbours = graph.indptr.diff().clamp(min=1).double()
    number = torch.log2(neighbours).floor().long().clamp(max=bins - 1)
    seen = number[walks] + bins * torch.arange(positions)
    cells = seen + (bins * positions) * torch.arange(nodes)[:, None, None]
    counts = torch.bincount(cells.ravel(), minlength=nodes * positions * bins)
    return counts.reshape(nodes, positions * bins) / per_node
