"""Vectors from counts of node pairs: positive pointwise mutual information, then truncated SVD.

With counts from walks this is NetMF, the matrix that DeepWalk factorises implicitly (Qiu et al.,
"Network Embedding as Matrix Factorization", WSDM 2018, arXiv 1710.02971).
"""

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.linalg import svds
from torch import Tensor

from src.common.graphs.graph import Graph, adjacency

SMALL = 400


def ppmi(counts: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
    """Return max(0, log(c_ij C / (r_i s_j))), c the counts, r, s their row and column sums, C all.

    How much more often i and j occur together than if each chose its partners by frequency alone.
    Pairs that never occur, and rows or columns without any count, get 0.

    Raises:
        ValueError: for a negative count.
    """
    if bool((counts < 0).any()):
        raise ValueError("counts must not be negative")
    expected = counts.sum(dim=1, keepdim=True) * counts.sum(dim=0) / counts.sum().clamp(min=1e-300)
    ratio = torch.where(expected > 0, counts / expected.clamp(min=1e-300), 0.0)
    return ratio.clamp(min=1.0).log()


def walk_cooccurrence(graph: Graph, window: int) -> Float[Tensor, "nodes nodes"]:
    """Return the expected frequencies of pairs at most `window` steps apart on a long walk.

    (1/T) sum over r = 1 ... T of D P^r, with P = D^-1 A: symmetric, and its `ppmi` is NetMF's
    matrix log max(1, vol/T sum_r P^r D^-1) (equation 10 with one negative sample).

    Args:
        graph: undirected; dense double-precision matrices of its size are made.
        window: T, at least 1.

    Raises:
        ValueError: for a window below 1.
    """
    if window < 1:
        raise ValueError(f"a window has at least one step, not {window}")
    a = adjacency(graph, torch.double).to_dense()
    step = a / a.sum(dim=1, keepdim=True).clamp(min=1e-300)
    power, total = a, a.clone()
    for _ in range(window - 1):
        power = power @ step
        total += power
    return total / window


def factorise(matrix: Float[Tensor, "rows columns"], dimension: int) -> Float[Tensor, "rows dim"]:
    """Return U sqrt(S) of the truncated singular value decomposition U S V^T.

    Directions beyond the rank of the matrix are columns of zeros.

    Args:
        matrix: any; up to 400 rows it is decomposed in full, above by Lanczos iterations.
        dimension: columns wanted, less than rows and columns.

    Raises:
        ValueError: for a dimension out of range.
    """
    if not 1 <= dimension < min(matrix.shape):
        raise ValueError(f"dimension must lie in 1 ... {min(matrix.shape) - 1}, not {dimension}")
    if not bool(matrix.any()):
        return matrix.new_zeros(len(matrix), dimension)
    if min(matrix.shape) <= SMALL:
        left, values, _ = torch.linalg.svd(matrix, full_matrices=False)
        left, values = left[:, :dimension], values[:dimension]
    else:
        start = np.ones(min(matrix.shape))
        u, s, _ = svds(matrix.numpy(), dimension, v0=start, rng=0, return_singular_vectors="u")
        left, values = (torch.from_numpy(part.copy()) for part in (u[:, ::-1], s[::-1]))
    values = torch.where(values > 1e-10 * values[0], values, 0.0)
    return left * values.sqrt()
