"""HOPE: node vectors by factorising a proximity of all orders.

Ou, Cui, Pei, Zhang and Zhu, "Asymmetric Transitivity Preserving Graph Embedding" (KDD
2016). The Katz matrix is S = sum over k >= 1 of (beta A)^k = (I - beta A)^-1 beta A;
source vectors U_s and target vectors U_t keep its largest singular values, so that the
product U_s U_t^T is as close to S as any matrix of that rank. The paper never forms S
(it uses a generalised singular value decomposition); on large graphs Lanczos iterations
here need only products S v, each the solution of a sparse linear system.
"""

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, splu, svds
from torch import Tensor

from src.common.checks import checked
from src.common.graphs.graph import Graph

SMALL = 400


@checked
def hope(
    graph: Graph, dimension: int, decay: float = 0.5
) -> tuple[Float[Tensor, "nodes half"], Float[Tensor, "nodes half"]]:
    """Return source and target vectors of half the dimension each, in double precision.

    Side by side they are the node's vector of length `dimension`; the score of the pair
    (u, v) is the inner product of u's source and v's target vector.

    Args:
        graph: directed or not, with weights or not, with at least one edge.
        dimension: even, from 2 to twice the number of nodes.
        decay: beta as a share of 1 / (spectral radius of A), in (0, 1); a larger one
            lets longer walks count more.

    Returns:
        Source and target vectors, (nodes, dimension / 2) each.

    Raises:
        ValueError: for a dimension or decay out of range, or a graph without edges.

    Examples:
        >>> edges = torch.tensor([[0, 1, 2, 0], [1, 2, 3, 3]])
        >>> graph = Graph.from_edges(edges, 4, directed=True)
        >>> source, target = hope(graph, dimension=8)  # full rank
        >>> torch.allclose(source @ target.T, katz(graph))
        True
    """
    if dimension % 2 or not 2 <= dimension <= 2 * graph.num_nodes:
        raise ValueError(
            f"dimension must be even, from 2 to {2 * graph.num_nodes}, not {dimension}"
        )
    a = _scipy_adjacency(graph)
    beta = katz_beta(graph, decay)
    half = dimension // 2
    if graph.num_nodes <= SMALL or half >= graph.num_nodes - 1:
        left, values, right = np.linalg.svd(katz(graph, decay).numpy())
    else:
        start = np.ones(graph.num_nodes)
        left, values, right = svds(_katz_operator(a, beta), half, v0=start, rng=0)
        left, values, right = left[:, ::-1], values[::-1], right[::-1]
    root = np.sqrt(values[:half])
    parts = (left[:, :half] * root, right[:half].T * root)
    return torch.from_numpy(parts[0].copy()), torch.from_numpy(parts[1].copy())


@checked
def katz(graph: Graph, decay: float = 0.5) -> Float[Tensor, "nodes nodes"]:
    """Return the Katz matrix (I - beta A)^-1 beta A, dense, in double precision.

    Args:
        graph: small enough for (nodes, nodes) matrices, with at least one edge.
        decay: beta as a share of 1 / (spectral radius of A), in (0, 1).

    Raises:
        ValueError: for a decay out of range, or a graph without edges.

    Examples:
        On a directed path beta is the decay itself; two steps count beta^2.

        >>> path = torch.tensor([[0, 1], [1, 2]])
        >>> katz(Graph.from_edges(path, 3, directed=True), decay=0.5).tolist()
        [[0.0, 0.5, 0.25], [0.0, 0.0, 0.5], [0.0, 0.0, 0.0]]
    """
    a = torch.from_numpy(_scipy_adjacency(graph).toarray())
    scaled = katz_beta(graph, decay) * a
    return torch.linalg.solve(torch.eye(len(a), dtype=torch.double) - scaled, scaled)


@checked
def katz_beta(graph: Graph, decay: float) -> float:
    """Return the factor per step of a walk: decay / (spectral radius of A).

    The spectral radius is the limit of |A^k 1|^(1/k); for a large undirected graph
    Lanczos iterations give it, otherwise the eigenvalues of the dense matrix. Without
    cycles it is 0, the series ends by itself, and the factor is the decay.

    Args:
        graph: directed or not, with at least one edge.
        decay: in (0, 1).

    Raises:
        ValueError: for a decay outside (0, 1), where the series diverges, or without
            edges.
    """
    if not 0 < decay < 1:
        raise ValueError(
            f"the decay must lie in (0, 1), or the series diverges; it is {decay}"
        )
    if not graph.num_edges:
        raise ValueError("a graph without edges has no proximities")
    a = _scipy_adjacency(graph)
    if graph.num_nodes > SMALL and abs(a - a.T).max() == 0:
        start = np.ones(len(a.indptr) - 1)
        values = sparse.linalg.eigsh(a, 1, v0=start, rng=0, return_eigenvectors=False)
        radius = abs(float(values[0]))
    else:
        radius = float(abs(np.linalg.eigvals(a.toarray())).max())
    if radius < 1e-9:
        return decay  # no cycles: the series ends by itself
    return decay / radius


def _katz_operator(a: sparse.csr_array, beta: float) -> LinearOperator:
    """Return v -> S v and u -> S^T u without forming S."""
    nodes = a.shape[0]
    inverse = splu((sparse.eye_array(nodes) - beta * a).tocsc())
    return LinearOperator(
        (nodes, nodes),
        matvec=lambda v: inverse.solve(beta * (a @ v.ravel())),
        rmatvec=lambda u: beta * (a.T @ inverse.solve(u.ravel(), trans="T")),
        dtype=np.float64,
    )


def _scipy_adjacency(graph: Graph) -> sparse.csr_array:
    """Return the adjacency matrix for SciPy, in double precision."""
    entries = (graph.weights.double().numpy(), tuple(graph.edge_index.numpy()))
    return sparse.csr_array(entries, shape=(graph.num_nodes, graph.num_nodes))
