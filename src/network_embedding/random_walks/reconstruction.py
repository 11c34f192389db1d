"""Rebuild neighbourhoods from node vectors, and count what is found.

The task of RESTORE (arXiv 2308.14659). For every node all others are ranked by a score
that is computed from the vectors alone. The better the vectors, the nearer the nodes of
the true neighbourhood stand to the top of this list.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from src.common.checks import checked, finite, within
from src.common.graphs.graph import Graph, adjacency
from src.network_embedding.random_walks.precision import FullFloat


@checked
def hop_distances(graph: Graph, most: int) -> Int[Tensor, "nodes nodes"]:
    """Return the steps from each node to each other; `most` + 1 stands for all farther.

    Args:
        graph: directed or not; dense matrices of its size are made.
        most: steps to look for, at least 1.

    Raises:
        ValueError: if `most` is less than 1.

    Examples:
        >>> path = Graph.from_edges(torch.tensor([[0, 1, 2], [1, 2, 3]]), 4)
        >>> hop_distances(path, 2)[0]
        tensor([0, 1, 2, 3])
    """
    within("most", most, 1)
    a = (adjacency(graph).to_dense() > 0).float()
    steps = torch.full(a.shape, most + 1)
    steps.fill_diagonal_(0)
    front = torch.eye(graph.num_nodes)
    for hop in range(1, most + 1):
        front = ((front @ a > 0) & (steps > most)).float()
        steps[front > 0] = hop
    return steps


@checked
def neighbourhoods(
    distances: Int[Tensor, "nodes nodes"], hops: int
) -> Bool[Tensor, "nodes nodes"]:
    """Return which nodes are at most `hops` steps away from each node, without itself.

    Args:
        distances: (nodes, nodes) of `hop_distances`, with `most` at least `hops`.
        hops: at least 1.

    Raises:
        ValueError: for hops below 1.
    """
    within("hops", hops, 1)
    return (distances >= 1) & (distances <= hops)


@checked
def ranking(scores: Float[Tensor, "nodes nodes"]) -> Int[Tensor, "nodes others"]:
    """Return, for each node, all other nodes from the highest score to the lowest.

    Equal scores are ordered by the nodes' numbers.

    Args:
        scores: (nodes, nodes); row u holds u's scores of all nodes, its own is ignored.

    Returns:
        (nodes, nodes - 1) node numbers.

    Raises:
        ValueError: for scores that are not finite.

    Examples:
        >>> ranking(torch.tensor([[9.0, 1.0, 2.0], [3.0, 9.0, 3.0], [0.0, 1.0, 9.0]]))
        tensor([[2, 1],
                [0, 2],
                [1, 0]])
    """
    alone = scores.clone()
    alone.fill_diagonal_(0)
    finite("scores", alone)
    alone.fill_diagonal_(-torch.inf)
    return alone.argsort(dim=1, descending=True, stable=True)[:, :-1]


@checked
def average_precisions(
    lists: Int[Tensor, "nodes others"], relevant: Bool[Tensor, "nodes nodes"]
) -> Float[Tensor, " nodes"]:
    """Return each node's average precision: mean precision at relevant nodes' ranks.

    Args:
        lists: (nodes, nodes - 1) of `ranking`.
        relevant: (nodes, nodes); row u says which nodes u's list should begin with.

    Returns:
        (nodes,) in [0, 1]; not a number for a node without anything relevant.

    Raises:
        ValueError: for lists that do not hold all other nodes.
    """
    _expect_ranking(lists, relevant)
    hits = relevant.gather(1, lists).double()
    precision = hits.cumsum(dim=1) / torch.arange(1, hits.shape[1] + 1)
    return (precision * hits).sum(dim=1) / hits.sum(dim=1)


@checked
def mean_average_precision(
    lists: Int[Tensor, "nodes others"], relevant: Bool[Tensor, "nodes nodes"]
) -> float:
    """Return the average precision's mean over nodes with anything relevant, in [0, 1].

    Args:
        lists: (nodes, nodes - 1) of `ranking`.
        relevant: (nodes, nodes); row u says which nodes u's list should begin with.

    Raises:
        ValueError: if nothing is relevant to any node.

    Examples:
        >>> path = Graph.from_edges(torch.tensor([[0, 1], [1, 2]]), 3)
        >>> hops = hop_distances(path, 1)
        >>> mean_average_precision(ranking(-hops.float()), neighbourhoods(hops, 1))
        1.0
    """
    each = average_precisions(lists, relevant)
    if bool(each.isnan().all()):
        raise ValueError("no node has a neighbourhood of this size")
    return float(each.nanmean())


@checked
def semantic_distance(
    lists: Int[Tensor, "nodes others"],
    relevant: Bool[Tensor, "nodes nodes"],
    x: FullFloat[Tensor, "nodes features"],
) -> float:
    """Return how far the rebuilt neighbourhoods' mean features lie from the true ones.

    The rebuilt neighbourhood of a node is the top of its list, as many nodes as the
    true one has; the distance is Euclidean, averaged over the nodes with a
    neighbourhood.

    Args:
        lists: (nodes, nodes - 1) of `ranking`.
        relevant: (nodes, nodes), the true neighbourhoods; at least one is not empty.
        x: (nodes, features), dense or sparse.

    Raises:
        ValueError: if nothing is relevant to any node, for lists that do not hold all
            other nodes, or features that are not finite.
    """
    _expect_ranking(lists, relevant)
    finite("x", x)
    if not bool(relevant.any()):
        raise ValueError("no node has a neighbourhood of this size")
    sizes = relevant.sum(dim=1, keepdim=True)
    taken = torch.arange(lists.shape[1]) < sizes
    rebuilt = torch.zeros_like(relevant).scatter_(1, lists, taken)
    some = sizes.ravel() > 0
    features = x.to_dense() if x.layout != torch.strided else x
    means = [
        part[some].to(features.dtype) @ features / sizes[some]
        for part in (rebuilt, relevant)
    ]
    return float((means[0] - means[1]).norm(dim=1).mean())


def _expect_ranking(
    lists: Int[Tensor, "nodes others"], relevant: Bool[Tensor, "nodes nodes"]
) -> None:
    """Refuse lists that are not all other nodes in some order."""
    nodes = len(lists)
    own = torch.arange(nodes, device=lists.device)[:, None]
    every = torch.cat([lists.long(), own], dim=1).sort(dim=1).values
    if relevant.shape != every.shape or bool((every != own.ravel()).any()):
        raise ValueError(
            f"lists must hold, for each of {len(relevant)} nodes, all others once: "
            "make them with ranking(scores)"
        )


@checked
def inner_products(vectors: Float[Tensor, "nodes dim"]) -> Float[Tensor, "nodes nodes"]:
    """Return the inner products of all pairs of vectors.

    Args:
        vectors: (nodes, dim).
    """
    return vectors @ vectors.T


@checked
def cosines(vectors: Float[Tensor, "nodes dim"]) -> Float[Tensor, "nodes nodes"]:
    """Return the cosines between all pairs of vectors; 0 for a zero vector.

    Args:
        vectors: (nodes, dim).
    """
    length = vectors.norm(dim=1, keepdim=True)
    return inner_products(vectors / length.clamp(min=1e-12))


@checked
def negative_distances(
    vectors: FullFloat[Tensor, "nodes dim"],
) -> Float[Tensor, "nodes nodes"]:
    """Return minus the Euclidean distances of all pairs of vectors.

    Args:
        vectors: (nodes, dim).
    """
    return -torch.cdist(vectors, vectors, compute_mode="donot_use_mm_for_euclid_dist")


DECODERS = {
    "inner product": inner_products,
    "cosine": cosines,
    "distance": negative_distances,
}
