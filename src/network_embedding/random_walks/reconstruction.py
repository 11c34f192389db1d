"""Rebuild neighbourhoods from node vectors, and count what comes back (RESTORE, arXiv 2308.14659).

For every node all others are ranked by a score that is computed from the vectors alone. The better
the vectors, the nearer to the top of this list stand the nodes of the true neighbourhood.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from src.common.graphs.graph import Graph, adjacency


def hop_distances(graph: Graph, most: int) -> Int[Tensor, "nodes nodes"]:
    """Return the steps from each node to each other one; `most` + 1 stands for all that is farther.

    Raises:
        ValueError: if `most` is less than 1.
    """
    if most < 1:
        raise ValueError(f"need at least one step, not {most}")
    a = (adjacency(graph).to_dense() > 0).float()
    steps = torch.full(a.shape, most + 1)
    steps.fill_diagonal_(0)
    front = torch.eye(graph.num_nodes)
    for hop in range(1, most + 1):
        front = ((front @ a > 0) & (steps > most)).float()
        steps[front > 0] = hop
    return steps


def neighbourhoods(distances: Int[Tensor, "nodes nodes"], hops: int) -> Bool[Tensor, "nodes nodes"]:
    """Return which nodes are at most `hops` steps away from each node, without itself."""
    return (distances >= 1) & (distances <= hops)


def ranking(scores: Float[Tensor, "nodes nodes"]) -> Int[Tensor, "nodes others"]:
    """Return, for each node, all other nodes from the highest score to the lowest.

    Among equal scores the order is that of the nodes' numbers.

    Args:
        scores: row u holds u's scores of all nodes; its own is ignored.
    """
    alone = scores.clone()
    alone.fill_diagonal_(-torch.inf)
    return alone.argsort(dim=1, descending=True, stable=True)[:, :-1]


def average_precisions(
    lists: Int[Tensor, "nodes others"], relevant: Bool[Tensor, "nodes nodes"]
) -> Float[Tensor, " nodes"]:
    """Return each node's average precision: the mean of the precision at each relevant node's rank.

    Args:
        lists: of `ranking`.
        relevant: row u says which nodes u's list should begin with.

    Returns:
        In [0, 1]; not a number for a node without anything relevant.
    """
    hits = relevant.gather(1, lists).double()
    precision = hits.cumsum(dim=1) / torch.arange(1, hits.shape[1] + 1)
    return (precision * hits).sum(dim=1) / hits.sum(dim=1)


def mean_average_precision(
    lists: Int[Tensor, "nodes others"], relevant: Bool[Tensor, "nodes nodes"]
) -> float:
    """Return the mean of the average precision over the nodes with anything relevant, in [0, 1].

    Raises:
        ValueError: if nothing is relevant to any node.
    """
    each = average_precisions(lists, relevant)
    if bool(each.isnan().all()):
        raise ValueError("no node has a neighbourhood of this size")
    return float(each.nanmean())


def semantic_distance(
    lists: Int[Tensor, "nodes others"],
    relevant: Bool[Tensor, "nodes nodes"],
    x: Float[Tensor, "nodes features"],
) -> float:
    """Return how far the mean features of the rebuilt neighbourhoods lie from the true ones.

    The rebuilt neighbourhood of a node is the top of its list, as many nodes as the true one has;
    the distance is Euclidean, averaged over the nodes with a neighbourhood.
    """
    sizes = relevant.sum(dim=1, keepdim=True)
    taken = torch.arange(lists.shape[1]) < sizes
    rebuilt = torch.zeros_like(relevant).scatter_(1, lists, taken)
    some = sizes.ravel() > 0
    features = x.to_dense() if x.layout != torch.strided else x
    means = [part[some].float() @ features / sizes[some] for part in (rebuilt, relevant)]
    return float((means[0] - means[1]).norm(dim=1).mean())


def inner_products(vectors: Float[Tensor, "nodes dim"]) -> Float[Tensor, "nodes nodes"]:
    """Return the inner products of all pairs of vectors."""
    return vectors @ vectors.T


def cosines(vectors: Float[Tensor, "nodes dim"]) -> Float[Tensor, "nodes nodes"]:
    """Return the cosines of the angles between all pairs of vectors; 0 for a zero vector."""
    length = vectors.norm(dim=1, keepdim=True)
    return inner_products(vectors / length.clamp(min=1e-12))


def negative_distances(vectors: Float[Tensor, "nodes dim"]) -> Float[Tensor, "nodes nodes"]:
    """Return minus the Euclidean distances of all pairs of vectors."""
    return -torch.cdist(vectors, vectors, compute_mode="donot_use_mm_for_euclid_dist")


DECODERS = {
    "inner product": inner_products,
    "cosine": cosines,
    "distance": negative_distances,
}
