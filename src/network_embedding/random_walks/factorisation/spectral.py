"""The baselines of DeepWalk's comparison: eigenvectors of Laplacian and modularity."""

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

from src.common.checks import checked, within
from src.common.graphs.graph import Graph, expect_undirected


@checked
def laplacian_vectors(
    graph: Graph, dimension: int, generator: torch.Generator
) -> Float[Tensor, "nodes dim"]:
    """Return the first eigenvectors of I - D^-1/2 A D^-1/2 after the trivial one.

    They belong to the smallest eigenvalues.

    Args:
        graph: undirected; weights count.
        dimension: how many, less than the number of nodes minus 1.
        generator: of the iteration's first vector, which fixes the signs.

    Returns:
        (nodes, dimension).

    Raises:
        ValueError: for a directed graph, or one without edges, or too large a
            dimension.

    Examples:
        The first vector separates two triangles joined by an edge.

        >>> edges = torch.tensor([[0, 0, 1, 2, 3, 3, 4], [1, 2, 2, 3, 4, 5, 5]])
        >>> graph = Graph.from_edges(edges, 6)
        >>> first = laplacian_vectors(graph, 1, torch.Generator())[:, 0]
        >>> (first * first[0] > 0).tolist()
        [True, True, True, False, False, False]
    """
    expect_undirected(graph, edges=True)
    within("dimension", dimension, 1)
    matrix = _matrix(graph)
    degree = matrix.sum(axis=1)
    scale = 1 / np.sqrt(np.where(degree > 0, degree, 1.0))
    scaled = csr_array(matrix * scale[:, None] * scale)
    return _leading(scaled, dimension + 1, generator)[:, 1:]


@checked
def modularity_vectors(
    graph: Graph, dimension: int, generator: torch.Generator
) -> Float[Tensor, "nodes dim"]:
    """Return the leading eigenvectors of the modularity matrix A - d d^T / sum(d).

    They belong to the largest eigenvalues (Newman 2006).

    Args:
        graph: undirected, with at least one edge; d are its degrees.
        dimension: how many, less than the number of nodes.
        generator: of the iteration's first vector, which fixes the signs.

    Returns:
        (nodes, dimension).

    Raises:
        ValueError: for a directed graph, or one without edges, or too large a
            dimension.

    Examples:
        >>> edges = torch.tensor([[0, 0, 1, 2, 3, 3, 4], [1, 2, 2, 3, 4, 5, 5]])
        >>> graph = Graph.from_edges(edges, 6)
        >>> first = modularity_vectors(graph, 1, torch.Generator())[:, 0]
        >>> (first * first[0] > 0).tolist()
        [True, True, True, False, False, False]
    """
    expect_undirected(graph, edges=True)
    matrix = _matrix(graph)
    degree = matrix.sum(axis=1)

    def product(x: np.ndarray) -> np.ndarray:
        x = x.ravel()
        return matrix @ x - degree * (degree @ x) / degree.sum()

    operator = LinearOperator(matrix.shape, matvec=product, dtype=np.float64)
    return _leading(operator, dimension, generator)


def _matrix(graph: Graph) -> csr_array:
    parts = (graph.weights.double(), graph.edge_index[1], graph.indptr)
    shape = (graph.num_nodes, graph.num_nodes)
    return csr_array(tuple(part.numpy() for part in parts), shape=shape)


def _leading(
    operator, count: int, generator: torch.Generator
) -> Float[Tensor, "nodes dim"]:
    nodes = operator.shape[0]
    within("dimension", count, 1)
    if count >= nodes:
        raise ValueError(
            f"{nodes} nodes have fewer than {count} eigenvectors: lower the dimension"
        )
    first = torch.rand(nodes, generator=generator, dtype=torch.double).numpy()
    # rng: repeated eigenvalues make the iteration begin again, from a random vector
    values, vectors = eigsh(operator, k=count, which="LA", v0=first, rng=0)
    order = np.argsort(-values)
    return torch.from_numpy(vectors[:, order].copy()).float()
