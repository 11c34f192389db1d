"""Vectors from pair counts: positive pointwise mutual information, then truncated SVD.

With counts from walks this is NetMF, the matrix that DeepWalk factorises implicitly
(Qiu et al., "Network Embedding as Matrix Factorization", WSDM 2018, arXiv 1710.02971).
"""

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.linalg import svds
from torch import Tensor

from src.common.checks import checked, finite, within
from src.common.graphs.graph import Graph, adjacency, expect_undirected
from src.network_embedding.random_walks.precision import FullFloat

SMALL = 400


@checked
def ppmi(counts: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
    """Return positive pointwise mutual information, max(0, log(c_ij C / (r_i s_j))).

    c are the counts, r and s their row and column sums, C their total: how much more
    often i and j occur together than if each chose its partners by frequency alone.
    Pairs that never occur, and rows or columns without any count, get 0.

    Args:
        counts: (rows, columns), not negative; fractions are allowed.

    Raises:
        ValueError: for a count that is negative or not finite.

    Examples:
        >>> ppmi(torch.eye(2)).exp()  # a pair twice as frequent as by chance
        tensor([[2., 1.],
                [1., 2.]])
    """
    finite("counts", counts)
    if bool((counts < 0).any()):
        raise ValueError("counts must not be negative")
    expected = (
        counts.sum(dim=1, keepdim=True)
        * counts.sum(dim=0)
        / counts.sum().clamp(min=1e-300)
    )
    ratio = torch.where(expected > 0, counts / expected.clamp(min=1e-300), 0.0)
    return ratio.clamp(min=1.0).log()


@checked
def walk_cooccurrence(graph: Graph, window: int) -> Float[Tensor, "nodes nodes"]:
    """Return expected frequencies of pairs at most `window` steps apart on a walk.

    They are those of a long walk, with P = D^-1 A,

        (1/T) sum over r = 1 ... T of D P^r.

    The matrix is symmetric, and its `ppmi` is NetMF's (equation 10 with one negative
    sample),

        log max(1, vol/T sum_r P^r D^-1).

    Args:
        graph: undirected; dense double-precision matrices of its size are made.
        window: T, at least 1.

    Raises:
        ValueError: for a directed graph, or a window below 1.
    """
    expect_undirected(graph)
    within("window", window, 1)
    a = adjacency(graph, torch.double).to_dense()
    step = a / a.sum(dim=1, keepdim=True).clamp(min=1e-300)
    power, total = a, a.clone()
    for _ in range(window - 1):
        power = power @ step
        total += power
    return total / window


@checked
def factorise(
    matrix: FullFloat[Tensor, "rows columns"], dimension: int
) -> Float[Tensor, "rows dim"]:
    """Return U sqrt(S) of the truncated singular value decomposition U S V^T.

    Directions beyond the rank of the matrix are columns of zeros.

    Args:
        matrix: any; decomposed in full if rows or columns are at most 400, else by
            Lanczos iterations.
        dimension: columns wanted, less than rows and columns.

    Raises:
        ValueError: for a dimension out of range, or a matrix that is not finite.

    Examples:
        >>> vectors = factorise(torch.diag(torch.tensor([9.0, 4.0, 1.0])), dimension=2)
        >>> vectors.abs()
        tensor([[3., 0.],
                [0., 2.],
                [0., 0.]])
    """
    if not 1 <= dimension < min(matrix.shape):
        raise ValueError(
            f"dimension must lie in 1 ... {min(matrix.shape) - 1}, not {dimension}"
        )
    finite("matrix", matrix)
    if not bool(matrix.any()):
        return matrix.new_zeros(len(matrix), dimension)
    if min(matrix.shape) <= SMALL:
        left, values, _ = torch.linalg.svd(matrix, full_matrices=False)
        left, values = left[:, :dimension], values[:dimension]
    else:
        start = np.ones(min(matrix.shape))
        u, s, _ = svds(
            matrix.numpy(), dimension, v0=start, rng=0, return_singular_vectors="u"
        )
        left, values = (torch.from_numpy(part.copy()) for part in (u[:, ::-1], s[::-1]))
    values = torch.where(values > 1e-10 * values[0], values, 0.0)
    return left * values.sqrt()
