"""Noise on a graph: on its features, and on its edges."""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from src.common.checks import checked, within
from src.common.graphs.graph import Graph, expect_undirected


@checked
def noisy_features(
    x: Float[Tensor, "nodes features"], level: float, generator: torch.Generator
) -> Float[Tensor, "nodes features"]:
    """Return x plus independent Gaussian noise.

    Args:
        x: dense features.
        level: standard deviation of the noise, at least 0, in the units of x.
        generator: source of the noise.

    Raises:
        ValueError: for a level that is negative or not finite.
    """
    within("the noise level", level, 0)
    return x + level * torch.randn(x.shape, generator=generator, dtype=x.dtype)


@checked
def rewire(graph: Graph, share: float, generator: torch.Generator) -> Graph:
    """Return the graph with a random share of its edges moved to random pairs of nodes.

    A moved edge gets two ends drawn uniformly from the pairs of different nodes that
    the graph does not join; no edge is doubled, so the number of edges stays. An edge
    keeps its weight.

    Args:
        graph: undirected.
        share: of the edges, in [0, 1]; their number is rounded.
        generator: source of the draws.

    Raises:
        ValueError: for a share outside [0, 1], or if the graph has too few free pairs.

    Examples:
        >>> nodes = torch.arange(10)
        >>> ring = Graph.from_edges(torch.stack([nodes, nodes.roll(1)]), 10)
        >>> moved = rewire(ring, 0.5, torch.Generator().manual_seed(0))
        >>> moved.num_edges == ring.num_edges
        True
    """
    expect_undirected(graph)
    source, target = graph.edge_index
    one_way = torch.nonzero(source < target).ravel()
    pairs, weights = graph.edge_index[:, one_way], graph.weights[one_way]
    moved = _drawn(len(one_way), share, generator)
    pairs = pairs.clone()
    pairs[:, moved] = _free_pairs(graph, len(moved), generator)
    weight = None if graph.edge_weight is None else weights
    made = Graph.from_edges(pairs, graph.num_nodes, weight)
    return replace(graph, edge_index=made.edge_index, edge_weight=made.edge_weight)


def _free_pairs(
    graph: Graph, count: int, generator: torch.Generator
) -> Int[Tensor, "2 count"]:
    """Draw different pairs u < v that are no edges, uniformly, by rejection."""
    nodes = graph.num_nodes
    free = nodes * (nodes - 1) // 2 - graph.num_edges // 2
    if 2 * count > free:
        raise ValueError(
            f"the graph has {free} free pairs, too few to draw {count}: rewire less"
        )
    taken = _keys(graph.edge_index, nodes)
    found = taken.new_zeros(0)
    while len(found) < count:
        ends = (
            torch.randint(nodes, (2, 2 * count + 16), generator=generator)
            .sort(dim=0)
            .values
        )
        keys = _keys(ends[:, ends[0] < ends[1]], nodes)
        keys = torch.cat([found, keys[~torch.isin(keys, taken)]])
        found = keys[_first_of_each(keys)]
    found = found[:count]
    return torch.stack([found // nodes, found % nodes])


def _first_of_each(keys: Int[Tensor, " keys"]) -> Int[Tensor, " distinct"]:
    """Return the places of the first of each value, so that later draws never win."""
    values, group = torch.unique(keys, return_inverse=True)
    places = torch.arange(len(keys))
    first = torch.full((len(values),), len(keys)).scatter_reduce_(
        0, group, places, "amin"
    )
    return first.sort().values


def _drawn(
    count: int, share: float, generator: torch.Generator
) -> Int[Tensor, " drawn"]:
    """Return a random share of the numbers 0 ... count - 1."""
    if not 0 <= share <= 1:
        raise ValueError(f"a share must lie in [0, 1], not {share}")
    return torch.randperm(count, generator=generator)[: round(share * count)]


def _keys(pairs: Int[Tensor, "2 pairs"], nodes: int) -> Int[Tensor, " pairs"]:
    """Return a number for each ordered pair."""
    return pairs[0] * nodes + pairs[1]
