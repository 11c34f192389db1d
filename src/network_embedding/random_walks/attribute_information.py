"""What AE and MUSAE factorise, exactly, and vectors of new nodes for known attributes.

Powers of the transition matrix give the expected shares of the pairs of a long walk,
and skip-gram with negative sampling fits the logarithm of share over chance (Levy and
Goldberg 2014).
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from src.common.checks import boolean_mask, checked, finite, within
from src.common.graphs.graph import Graph, expect_undirected, transition_matrix
from src.network_embedding.random_walks.musae import Pairs


@checked
def expected_shares(
    graph: Graph, table: Bool[Tensor, "nodes attributes"], distances: list[int]
) -> Float[Tensor, "nodes attributes"]:
    """Return the share of each (node, attribute) among the pairs of an endless walk.

    At distance r it is proportional to degree(v) (P^r F)[v, f] with P = D^-1 A and F
    the table of attributes: the walk stands at v with a chance proportional to its
    degree, forwards and backwards alike because it is reversible.

    Args:
        graph: undirected; every node has an edge.
        table: (nodes, attributes), F.
        distances: positive; the pairs of all of them are pooled.

    Returns:
        (nodes, attributes), summing to 1.

    Raises:
        ValueError: for a directed graph or nodes without edges, no distances or some
            below 1, or a table without attributes.
    """
    expect_undirected(graph, edges=True)
    boolean_mask("table", table, (graph.num_nodes, table.shape[1]))
    if not all(isinstance(distance, int) for distance in distances):
        raise ValueError(f"distances must be whole numbers, not {distances}")
    if not (distances and bool(table.any()) and bool((graph.degree > 0).all())):
        raise ValueError(
            "need a distance, an attribute, and an edge at every node: leave nodes "
            "without edges out with graph.subgraph"
        )
    within("the smallest distance", min(distances), 1)
    step = transition_matrix(graph, torch.float64)
    reached, total = table.double(), torch.zeros(table.shape, dtype=torch.float64)
    for distance in range(1, max(distances) + 1):
        reached = step @ reached
        if distance in distances:
            total += graph.degree.double()[:, None] * reached
    return total / total.sum()


@checked
def negative_chances(
    shares: Float[Tensor, "nodes attributes"], exponent: float
) -> Float[Tensor, " attributes"]:
    """Return each attribute's chance of being drawn as a negative.

    It is the attribute's share to the power `exponent`, normalised.

    Args:
        shares: (nodes, attributes) of the pairs.
        exponent: 1 draws by share, 0.75 is word2vec's.

    Returns:
        (attributes,) summing to 1; 0 for an attribute without pairs.

    Raises:
        ValueError: for shares that are negative, not finite, or all 0, or an exponent
            that is not finite.
    """
    _expect_shares(shares)
    within("exponent", exponent, -math.inf)
    frequency = shares.sum(dim=0)
    powers = torch.where(frequency > 0, frequency**exponent, 0.0)
    return powers / powers.sum()


@checked
def log_information(
    shares: Float[Tensor, "nodes attributes"], negatives: int, exponent: float = 1.0
) -> Float[Tensor, "nodes attributes"]:
    """Return log(share / (node's share x attribute's chance)) - log(negatives).

    Inner products of skip-gram vectors of full size equal it where pairs occur; where
    none does it is minus infinity, and not a number for a node or an attribute without
    any pairs. The chance is that of `negative_chances`; with exponent 1 the first term
    is the pointwise mutual information.

    Args:
        shares: (nodes, attributes) of the pairs.
        negatives: per pair, at least 1.
        exponent: of the negatives' chances.

    Raises:
        ValueError: for shares that are negative, not finite, or all 0, or negatives
            below 1.
    """
    within("negatives", negatives, 1)
    chance = shares.sum(dim=1, keepdim=True) * negative_chances(shares, exponent)
    return (shares / chance).log() - math.log(negatives)


def _expect_shares(shares: Float[Tensor, "nodes attributes"]) -> None:
    """Refuse what cannot be shares of pairs."""
    finite("shares", shares)
    if not (bool((shares >= 0).all()) and float(shares.sum()) > 0):
        raise ValueError("shares must be at least 0, some of them positive")


@checked
def observed_shares(
    pairs: Pairs, num_nodes: int, num_attributes: int
) -> Float[Tensor, "nodes attributes"]:
    """Return the share of each pair (node, attribute) among observed ones.

    Args:
        pairs: at least one.
        num_nodes: rows of the result.
        num_attributes: columns of the result.

    Raises:
        ValueError: without pairs, or for pairs outside the result.
    """
    for name, numbers, count in (
        ("nodes", pairs.nodes, num_nodes),
        ("attributes", pairs.attributes, num_attributes),
    ):
        if (
            not len(numbers)
            or not 0 <= int(numbers.min()) <= int(numbers.max()) < count
        ):
            raise ValueError(
                f"the pairs' {name} must be 0 ... {count - 1}, at least one"
            )
    cells = pairs.nodes * num_attributes + pairs.attributes
    counts = torch.bincount(cells, minlength=num_nodes * num_attributes)
    return counts.reshape(num_nodes, num_attributes).double() / len(cells)


@checked
def node_vectors_for(
    shares: Float[Tensor, "nodes attributes"],
    attribute_vectors: Float[Tensor, "attributes dim"],
    noise: Float[Tensor, " attributes"],
    negatives: int,
    ridge: float = 1e-2,
    iterations: int = 12,
) -> Float[Tensor, "nodes dim"]:
    """Return the best vectors of nodes for given vectors of attributes.

    With the attributes fixed, skip-gram's objective separates into one concave problem
    per node,

        sum_f q[f] log sigma(w . g_f) + negatives sum_f noise[f] log sigma(-w . g_f)
            - ridge |w|^2 / 2,

    which Newton's method solves. So nodes of another graph with the same attributes get
    vectors that can be compared with those of the first.

    Args:
        shares: (nodes, attributes); a node's row, divided by its sum, is q. A node
            without pairs gets the vector 0.
        attribute_vectors: (attributes, dim), g_f.
        noise: (attributes,) chance of each attribute as a negative; sums to 1.
        negatives: per pair.
        ridge: positive; keeps the vector of a node with few pairs bounded.
        iterations: of Newton's method; steps longer than 4 are shortened to 4.

    Returns:
        (nodes, dim), in double precision.

    Raises:
        ValueError: for shares or noise that are negative, not finite, or all 0, vectors
            that are not finite, negatives or iterations below 1, or a ridge that is not
            positive.
    """
    _expect_shares(shares)
    _expect_shares(noise[None])
    finite("attribute_vectors", attribute_vectors)
    within("negatives", negatives, 1)
    within("iterations", iterations, 1)
    within("ridge", ridge, 0, ends=False)
    sums = shares.sum(dim=1, keepdim=True)
    q = torch.where(sums > 0, shares / sums, 0.0).double()
    g, k = attribute_vectors.double(), negatives * noise.double()
    w = torch.zeros(len(q), g.shape[1], dtype=torch.float64)
    ridges = ridge * torch.eye(g.shape[1], dtype=torch.float64)
    for _ in range(iterations):
        up = torch.sigmoid(w @ g.T)
        slope = (q * (1 - up) - k * up) @ g - ridge * w
        bend = torch.einsum("nf,fa,fb->nab", (q + k) * up * (1 - up), g, g) + ridges
        move = torch.linalg.solve(bend, slope)
        length = move.norm(dim=1, keepdim=True)
        w = w + move * (4 / length.clamp(min=4.0))
    return torch.where(sums > 0, w, 0.0)
