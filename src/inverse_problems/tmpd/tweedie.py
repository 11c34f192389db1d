"""Tweedie moment projection (TMPD): guidance from the mean and covariance of x_0 given x_t.

A diffusion model knows the score of the noisy image u_t = mean x_0 + std noise. Tweedie's formula
turns it into the mean of the clean image, and its derivative J into the covariance:

    x_hat = E[x_0 | u] = (u + std^2 score) / mean,      Cov[x_0 | u] = (std^2 / mean) J.

Boys et al. (TMLR 2024, arXiv 2310.06721) replace p(x_0 | u) by the Gaussian with these two moments.
For an observation y = H x_0 + sigma noise the likelihood of u is then a Gaussian too, and its
gradient, with the covariance held fixed, is the guidance

    J^T H^T (H C H^T + sigma^2 I)^{-1} (y - H x_hat),       C = (std^2 / mean) J^T.

No number has to be tuned. Added to the score it gives one that every sampler takes. The four forms
differ in what they take for H C H^T:

========== =========================================== ========================================
form       matrix                                      products with J^T a step (q observations)
========== =========================================== ========================================
full       H C H^T                                     q, all in one vectorised call
diagonal   its diagonal                                q
row_sum    the diagonal matrix of its row sums         2
cg         H C H^T, solved by conjugate gradients      2 an iteration, 2 more
========== =========================================== ========================================

A learned network's J is not quite symmetric. Like the authors, this module uses products with its
transpose (one reverse pass each) everywhere, and symmetrises H C H^T before solving.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from src.common.diffusion.processes import Process, Score, per_image
from src.common.images.operators import LinearOperator

FORMS = ("full", "diagonal", "row_sum", "cg")


@dataclass(frozen=True)
class TweedieMoments:
    """The Gaussian that stands for the law of the clean images, given noisy ones.

    Attributes:
        score: of the noisy images, (batch, *image).
        mean: E[x_0 | u], (batch, *image).
        ratio: std^2 / mean of the process, () or (batch,): the covariance is ratio times J.
        pull: c -> J^T c for cotangents (batch, *image); may be called many times.
        spread: std^2 / (mean^2 + std^2), () or (batch,): what the variance of a pixel would be if
            its prior were the standard normal distribution; the unit of `floor`.
    """

    score: Tensor
    mean: Tensor
    ratio: Tensor
    pull: Callable[[Tensor], Tensor]
    spread: Tensor

    def covariance(self, vectors: Tensor) -> Tensor:
        """Return Cov[x_0 | u] times one vector for each image, (batch, *image)."""
        return per_image(self.ratio, vectors) * self.pull(vectors)


Moments = Callable[[Tensor, Tensor], TweedieMoments]
"""moments(u, t): the Tweedie moments at noisy images u (batch, *image) and time t."""


def autodiff_moments(score: Score, process: Process) -> Moments:
    """Return the moments that a differentiable score implies, by one reverse-mode recording.

    Args:
        score: must be differentiable by `torch.func`, and treat the images of a batch separately.
        process: gives mean and std of the noisy images.
    """

    def moments(u: Tensor, t: Tensor) -> TweedieMoments:
        def denoise(u: Tensor) -> tuple[Tensor, Tensor]:
            value = score(u, t)
            return process.denoised(u, value, t), value

        mean, pull, value = torch.func.vjp(denoise, u, has_aux=True)
        return moments_at(process, t, value, mean, lambda cotangent: pull(cotangent)[0])

    return moments


def moments_at(
    process: Process, t: Tensor, score: Tensor, mean: Tensor, pull: Callable[[Tensor], Tensor]
) -> TweedieMoments:
    """Return the moments with the two factors that the process has at time t."""
    variance, factor = process.std(t) ** 2, process.mean(t)
    spread = variance / (factor**2 + variance)
    return TweedieMoments(score, mean, variance / factor, pull, spread)


# --- the rows of H J^T, in one call or one by one ----------------------------------------------

Rows = Callable[[Callable[[Tensor], Tensor], Tensor, int | None], Tensor]


def rows_by_vmap(
    pull: Callable[[Tensor], Tensor],
    cotangents: Float[Tensor, "rows batch ..."],
    chunk_size: int | None = None,
) -> Float[Tensor, "rows batch ..."]:
    """Return J^T c for every row of cotangents, `chunk_size` of them at once (None: all)."""
    return torch.func.vmap(pull, chunk_size=chunk_size)(cotangents)


def rows_by_loop(
    pull: Callable[[Tensor], Tensor],
    cotangents: Float[Tensor, "rows batch ..."],
    chunk_size: int | None = None,
) -> Float[Tensor, "rows batch ..."]:
    """Return the same as `rows_by_vmap` by a Python loop, to see what the vectorised call saves."""
    return torch.stack([pull(cotangent) for cotangent in cotangents])


# --- the guidance ------------------------------------------------------------------------------


def tmpd(
    score: Score,
    process: Process,
    operator: LinearOperator,
    y: Tensor,
    sigma: float,
    form: str = "full",
    *,
    moments: Moments | None = None,
    chunk_size: int | None = None,
    rows: Rows = rows_by_vmap,
    iterations: int = 10,
    floor: float = 1e-2,
) -> Score:
    """Return the score of the posterior p(u_t | y) under the projection of Tweedie's moments.

    Args:
        score: of the noisy images of the prior.
        process: the forward process.
        operator: H.
        y: observations, (batch, *observation) or (*observation) for all images.
        sigma: standard deviation of the observation's noise, at least 0.
        form: one of `FORMS`, see the head of this module.
        moments: the moments where they are known in closed form; by default by `autodiff_moments`.
        chunk_size: how many rows full and diagonal pull back at once; bounds their memory.
        rows: `rows_by_vmap` or `rows_by_loop`.
        iterations: of conjugate gradients.
        floor: the variances of H C H^T cannot be negative, but those of a learned network may be,
            and a row sum may be even with an exact score (where pixels are correlated negatively).
            Eigenvalues (full), diagonal entries or row sums that are not positive are raised to
            `floor` times the largest variance that an observation would have if the prior were
            N(0, I); the denominators are then positive also for sigma = 0. The paper has no such
            rule and sigma > 0. Far smaller floors let row_sum overshoot: the guidance is divided
            by sigma^2 alone.

    Raises:
        ValueError: for an unknown form, a negative sigma, or a floor that is not positive.
    """
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}, not {form!r}")
    if sigma < 0 or floor <= 0:
        raise ValueError(f"need sigma >= 0 and floor > 0, not {sigma} and {floor}")
    moments = autodiff_moments(score, process) if moments is None else moments
    smallest = floor * operator.singular_values().amax(-1) ** 2
    solve = _Solve(operator, sigma, smallest, chunk_size, rows, iterations)

    def guided(u: Tensor, t: Tensor) -> Tensor:
        found = moments(u, t)
        return found.score + solve.guidance(found, y, form)

    return guided


def conditional_mean(process: Process, guided: Score, u: Tensor, t: Tensor) -> Tensor:
    """Return E[x_0 | u, y] = x_hat + C H^T (H C H^T + sigma^2 I)^{-1} (y - H x_hat).

    It is what Tweedie's formula makes of the guided score: the Kalman update, and what an ancestral
    sampler puts in place of x_hat.
    """
    return process.denoised(u, guided(u, t), t)


@dataclass(frozen=True)
class _Solve:
    """What the guidance needs to know beside the moments."""

    operator: LinearOperator
    sigma: float
    smallest: Tensor
    chunk_size: int | None
    rows: Rows
    iterations: int

    def guidance(self, moments: TweedieMoments, y: Tensor, form: str) -> Tensor:
        """Return J^T H^T W (y - H x_hat), with the W of a form, (batch, *image)."""
        residual = (y - self.operator.A(moments.mean)).flatten(1)
        if form == "full":
            return self._full(moments, residual)
        if form == "diagonal":
            return self._diagonal(moments, residual)
        if form == "row_sum":
            weights = residual / self._denominators(self._row_sums(moments, residual), moments)
        else:
            weights = self._conjugate_gradients(moments, residual)
        return moments.pull(self._adjoint(weights))

    def _full(self, moments: TweedieMoments, residual: Tensor) -> Tensor:
        pulled = self._pulled_rows(moments, residual)
        size = residual.shape[1]
        seen = self.operator.A(pulled.flatten(0, 1)).reshape(size, -1, size).transpose(0, 1)
        covariance = per_image(moments.ratio, seen) * 0.5 * (seen + seen.mT)
        floor = self._smallest(moments).to(covariance).expand(len(covariance))
        covariance = positive_definite(covariance, floor)
        covariance.diagonal(dim1=1, dim2=2).add_(self.sigma**2)
        # Samples that have overflowed stay so, without stopping the others.
        root = torch.linalg.cholesky_ex(covariance).L
        weights = torch.cholesky_solve(residual[..., None], root)
        return torch.einsum("bi,ib...->b...", weights[..., 0], pulled)

    def _diagonal(self, moments: TweedieMoments, residual: Tensor) -> Tensor:
        pulled = self._pulled_rows(moments, residual)
        size = residual.shape[1]
        seen = self.operator.A(pulled.flatten(0, 1)).reshape(size, -1, size)
        variances = per_image(moments.ratio, residual) * seen.diagonal(dim1=0, dim2=2)
        weights = residual / self._denominators(variances, moments)
        return torch.einsum("bi,ib...->b...", weights, pulled)

    def _row_sums(self, moments: TweedieMoments, residual: Tensor) -> Tensor:
        ones = self._adjoint(torch.ones_like(residual))
        return self.operator.A(moments.covariance(ones)).flatten(1)

    def _pulled_rows(self, moments: TweedieMoments, residual: Tensor) -> Tensor:
        """Return J^T H^T e_i for every observation i, (observations, batch, *image)."""
        batch, size = residual.shape
        basis = torch.eye(size, dtype=residual.dtype, device=residual.device)
        basis = basis[:, None].expand(size, batch, size).reshape(size * batch, size)
        cotangents = self._adjoint(basis).unflatten(0, (size, batch))
        return self.rows(moments.pull, cotangents, self.chunk_size)

    def _adjoint(self, weights: Tensor) -> Tensor:
        return self.operator.A_adjoint(weights.unflatten(1, self.operator.observation_shape))

    def _smallest(self, moments: TweedieMoments) -> Tensor:
        return self.smallest.to(moments.spread) * moments.spread

    def _denominators(self, variances: Tensor, moments: TweedieMoments) -> Tensor:
        floor = per_image(self._smallest(moments), variances)
        return torch.where(variances > 0, variances, floor) + self.sigma**2

    def _conjugate_gradients(self, moments: TweedieMoments, residual: Tensor) -> Tensor:
        def product(weights: Tensor) -> Tensor:
            seen = self.operator.A(moments.covariance(self._adjoint(weights))).flatten(1)
            return seen + self.sigma**2 * weights

        return conjugate_gradients(product, residual, self.iterations)


def positive_definite(
    matrices: Float[Tensor, "batch size size"], floor: Float[Tensor, " batch"]
) -> Float[Tensor, "batch size size"]:
    """Return symmetric matrices, with eigenvalues below the floor raised to it where one is <= 0.

    Matrices that are positive definite, and those with entries that are no numbers, are returned as
    they are.
    """
    failed = torch.linalg.cholesky_ex(matrices).info > 0
    failed = failed & matrices.isfinite().flatten(1).all(1)
    if not failed.any():
        return matrices
    values, vectors = torch.linalg.eigh(matrices[failed])
    raised = torch.maximum(values, floor[failed][:, None])
    repaired = (vectors * raised[:, None]) @ vectors.mT
    return matrices.index_put((failed.nonzero()[:, 0],), repaired)


def conjugate_gradients(
    product: Callable[[Tensor], Tensor],
    right: Float[Tensor, "batch size"],
    iterations: int,
    tolerance: float = 1e-6,
) -> Float[Tensor, "batch size"]:
    """Solve A w = right for each row by conjugate gradients, from w = 0.

    Args:
        product: w -> A w, row by row; A symmetric positive definite.
        right: one right-hand side a row.
        iterations: at most so many products.
        tolerance: a row stops when its residual is below this share of its right-hand side; it
            also stops where A shows no positive curvature (a learned network's covariance).
    """
    solution, residual, direction = torch.zeros_like(right), right, right
    size = residual.square().sum(1, keepdim=True)
    enough = tolerance**2 * size
    for _ in range(iterations):
        image = product(direction)
        curvature = (direction * image).sum(1, keepdim=True)
        going = (size > enough) & (curvature > 0)
        if not going.any():
            break
        step = torch.where(going, size / torch.where(going, curvature, 1.0), 0.0)
        solution, residual = solution + step * direction, residual - step * image
        new = residual.square().sum(1, keepdim=True)
        ratio = torch.where(going, new / torch.where(size > 0, size, 1.0), 0.0)
        direction, size = residual + ratio * direction, new
    return solution
