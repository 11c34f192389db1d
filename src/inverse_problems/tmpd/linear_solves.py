"""Solving with covariances of networks, which may not be positive definite."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from src.common.checks import checked, within


def positive_definite(
    matrices: Float[Tensor, "batch size size"], floor: Float[Tensor, " batch"]
) -> Float[Tensor, "batch size size"]:
    """Return symmetric matrices made positive definite where they are not.

    In a matrix with an eigenvalue <= 0, all eigenvalues below the floor are raised to
    it. Matrices that are positive definite, and those with entries that are not finite,
    are returned as they are.

    Args:
        matrices: symmetric, (batch, size, size).
        floor: positive, (batch,).
    """
    failed = torch.linalg.cholesky_ex(matrices).info > 0
    failed = failed & matrices.isfinite().flatten(1).all(1)
    if not failed.any():
        return matrices
    values, vectors = torch.linalg.eigh(matrices[failed])
    raised = torch.maximum(values, floor[failed][:, None])
    repaired = (vectors * raised[:, None]) @ vectors.mT
    return matrices.index_put((failed.nonzero()[:, 0],), repaired)


@checked
def conjugate_gradients(
    product: Callable[[Tensor], Tensor],
    right: Float[Tensor, "batch size"],
    iterations: int,
    tolerance: float = 1e-6,
) -> Float[Tensor, "batch size"]:
    """Solve A w = right for each row by conjugate gradients, from w = 0.

    Args:
        product: w -> A w, row by row; A is symmetric and positive definite.
        right: right-hand sides, one per row, (batch, size).
        iterations: at most this many products.
        tolerance: a row stops when its residual is below this share of its right-hand
            side; it also stops, for good, where A shows no positive curvature (the
            covariance of a learned network).

    Returns:
        The w of the iterate with the smallest residual, (batch, size); it need not have
        converged. Rows with right-hand sides that are not finite are NaN.

    Raises:
        ValueError: for a negative number of iterations.
    """
    within("iterations", iterations, 0)
    solution, residual, direction = torch.zeros_like(right), right, right
    size = residual.square().sum(1, keepdim=True)
    best, smallest = solution, size
    enough, going = tolerance**2 * size, torch.ones_like(size, dtype=torch.bool)
    for _ in range(iterations):
        image = product(direction)
        curvature = (direction * image).sum(1, keepdim=True)
        going = going & (size > enough) & (curvature > 0)
        if not going.any():
            break
        step = torch.where(going, size / torch.where(going, curvature, 1.0), 0.0)
        solution, residual = solution + step * direction, residual - step * image
        new = residual.square().sum(1, keepdim=True)
        ratio = torch.where(going, new / torch.where(size > 0, size, 1.0), 0.0)
        direction, size = residual + ratio * direction, new
        best = torch.where(size < smallest, solution, best)
        smallest = torch.minimum(size, smallest)
    return torch.where(right.isfinite().all(1, keepdim=True), best, torch.nan)
