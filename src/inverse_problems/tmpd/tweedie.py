"""Tweedie moment projection (TMPD): guidance from the moments of x_0 given x_t.

A diffusion model knows the score of the noisy image u_t = mean x_0 + std noise.
Tweedie's formula turns it into the mean of the clean image, and its derivative J into
the covariance:

    x_hat = E[x_0 | u] = (u + std^2 score) / mean,      Cov[x_0 | u] = (std^2 / mean) J.

Boys et al. (TMLR 2024, arXiv 2310.06721) replace p(x_0 | u) by the Gaussian with these
two moments. For an observation y = H x_0 + sigma noise the likelihood of u is then a
Gaussian too, and its gradient, with the covariance held fixed, is the guidance

    J^T H^T (H C H^T + sigma^2 I)^{-1} (y - H x_hat),       C = (std^2 / mean) J^T.

Nothing has to be tuned. Added to the score, the guidance gives a score that every
sampler accepts. The four forms differ in what they take for H C H^T; with q
observations:

======== ====================================== =========================
form     matrix                                 products with J^T
======== ====================================== =========================
full     H C H^T                                q, in one vectorised call
diagonal its diagonal                           q, in one vectorised call
row_sum  the diagonal matrix of its row sums    2
cg       H C H^T, solved by conjugate gradients 1 per iteration, 1 more
======== ====================================== =========================

The J of a learned network is far from symmetric: on noisy digits the antisymmetric part
of H C H^T has 4 to 40 % of its size, and up to three in four eigenvalues are not
positive. Like the authors, this module uses products with its transpose (one reverse
pass each) throughout. Unlike theirs, which solves with the matrix as it is, the full
form symmetrises H C H^T and raises eigenvalues that are not positive, and the other
forms raise denominators; on the digits this is worth about 2 dB.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from src.common.checks import checked, floating, within
from src.common.diffusion.processes import Process, Score, per_image
from src.common.diffusion.samplers import score_at
from src.common.images.operators import LinearOperator

FORMS = ("full", "diagonal", "row_sum", "cg")


@dataclass(frozen=True)
class TweedieMoments:
    """The Gaussian that stands for the law of the clean images, given noisy ones.

    Attributes:
        score: of the noisy images, (batch, *image).
        mean: E[x_0 | u], (batch, *image).
        ratio: std^2 / mean of the process, () or (batch,): the covariance is ratio
            times J.
        pull: c -> J^T c for cotangents (batch, *image); may be called many times.
        spread: std^2 / (mean^2 + std^2), () or (batch,): what the variance of a pixel
            would be if its prior were the standard normal distribution; the unit of
            `floor` in `tmpd`.
    """

    score: Tensor
    mean: Tensor
    ratio: Tensor
    pull: Callable[[Tensor], Tensor]
    spread: Tensor

    def covariance(self, vectors: Tensor) -> Tensor:
        """Return Cov[x_0 | u] times one vector per image, (batch, *image).

        Args:
            vectors: (batch, *image).
        """
        return per_image(self.ratio, vectors) * self.pull(vectors)


Moments = Callable[[Tensor, Tensor], TweedieMoments]
"""moments(u, t): the Tweedie moments at noisy images u (batch, *image) and time t."""


def autodiff_moments(score: Score, process: Process) -> Moments:
    """Return the moments that a differentiable score implies, by reverse-mode autodiff.

    Args:
        score: must be differentiable by `torch.func`, and treat the images of a batch
            separately.
        process: gives mean and std of the noisy images.

    Returns:
        moments(u, t). Each call evaluates the score once and keeps its graph as long as
        the moments live.

    Raises:
        ValueError: when the moments are asked for, if the score has another shape than
            u, or does not depend on u for autograd.

    Examples:
        >>> from src.common.diffusion.processes import LinearVP
        >>> u, t, process = torch.ones(1, 2), torch.tensor(0.5), LinearVP()
        >>> moments = autodiff_moments(lambda u, t: -u, process)(u, t)  # x_0   N(0, I)
        >>> torch.allclose(moments.mean, process.mean(t).float() * u)
        True
        >>> torch.allclose(moments.covariance(u), process.std(t).float() ** 2 * u)
        True
    """

    def moments(u: Tensor, t: Tensor) -> TweedieMoments:
        floating("u", u)

        def denoise(u: Tensor) -> tuple[Tensor, Tensor]:
            value = score_at(score, u, t)
            if not value.requires_grad:
                raise ValueError(
                    "the score has no gradient, from which the guidance is made: take "
                    "it out of torch.no_grad(), and do not detach it"
                )
            return process.denoised(u, value, t), value

        mean, pull, value = torch.func.vjp(denoise, u, has_aux=True)
        return moments_at(process, t, value, mean, lambda cotangent: pull(cotangent)[0])

    return moments


def moments_at(
    process: Process,
    t: Tensor,
    score: Tensor,
    mean: Tensor,
    pull: Callable[[Tensor], Tensor],
) -> TweedieMoments:
    """Return moments, completed by the two factors that the process has at time t.

    Args:
        process: the forward process.
        t: time in [0, 1], () or (batch,).
        score: of the noisy images, (batch, *image).
        mean: E[x_0 | u], (batch, *image).
        pull: c -> J^T c for cotangents (batch, *image).
    """
    variance, factor = process.std(t) ** 2, process.mean(t)
    spread = variance / (factor**2 + variance)
    return TweedieMoments(score, mean, variance / factor, pull, spread)


# --- the rows of H J^T, in one call or one by one -------------------------------------

Rows = Callable[[Callable[[Tensor], Tensor], Tensor, int | None], Tensor]


def rows_by_vmap(
    pull: Callable[[Tensor], Tensor],
    cotangents: Float[Tensor, "rows batch ..."],
    chunk_size: int | None = None,
) -> Float[Tensor, "rows batch ..."]:
    """Return J^T c for every row of cotangents by one vectorised call.

    Args:
        pull: c -> J^T c for one row, (batch, *image).
        cotangents: (rows, batch, *image).
        chunk_size: rows per call; bounds the memory. None: all at once.
    """
    return torch.func.vmap(pull, chunk_size=chunk_size)(cotangents)


def rows_by_loop(
    pull: Callable[[Tensor], Tensor],
    cotangents: Float[Tensor, "rows batch ..."],
    chunk_size: int | None = None,
) -> Float[Tensor, "rows batch ..."]:
    """Return the same as `rows_by_vmap` by a Python loop.

    It shows what the vectorised call saves.

    Args:
        pull: c -> J^T c for one row, (batch, *image).
        cotangents: (rows, batch, *image).
        chunk_size: not used; the rows are pulled back one by one.
    """
    return torch.stack([pull(cotangent) for cotangent in cotangents])


# --- the guidance ---------------------------------------------------------------------


@checked
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
    iterations: int = 3,
    floor: float = 1e-2,
) -> Score:
    """Return the score of p(u_t | y) under the projection of Tweedie's moments.

    Args:
        score: of the noisy images of the prior.
        process: the forward process.
        operator: H.
        y: observations, (batch, *observation) or (*observation) for all images.
        sigma: standard deviation of the observation's noise, at least 0.
        form: one of `FORMS`; see the table at the head of this module.
        moments: the moments where they are known in closed form; by default those of
            `autodiff_moments`.
        chunk_size: how many rows full and diagonal pull back at once; bounds their
            memory.
        rows: `rows_by_vmap` or `rows_by_loop`.
        iterations: of conjugate gradients, at least 1. With an exact score more are
            better. The H C H^T of a learned network is neither symmetric nor positive
            definite, and after about five iterations the solution runs off along its
            negative directions: on the digits ten cost 3 dB and a tenth of the samples.
        floor: positive. The variances of H C H^T cannot be negative, but those of a
            learned network may be, and so may a row sum, even with an exact score
            (where pixels are negatively correlated). Eigenvalues (full), diagonal
            entries or row sums that are not positive are raised to `floor` times the
            largest variance that an observation would have if the prior were N(0, I);
            the denominators are then positive even for sigma = 0. The paper has no such
            rule and sigma > 0. Far smaller floors let row_sum overshoot: the guidance
            is then divided by sigma^2 alone.

    Returns:
        guided(u, t), with values (batch, *image).

    Raises:
        ValueError: for an unknown form, a negative sigma, or a floor that is not
            positive; when the score is called, for a y that does not fit the operator
            and the images, and as `autodiff_moments`.

    Examples:
        >>> from src.common.diffusion.gaussian_mixture import GaussianMixture
        >>> from src.common.diffusion.processes import LinearVP
        >>> from src.common.images.operators import MatrixOperator
        >>> process, first = LinearVP(), MatrixOperator(torch.tensor([[1.0, 0.0]]))
        >>> prior = GaussianMixture.isotropic(torch.zeros(1, 2), 1.0)
        >>> score, y = prior.score_under(process), torch.tensor([2.0]).double()
        >>> guided = tmpd(score, process, first, y, sigma=0.5)
        >>> guided(torch.zeros(3, 2).double(), torch.tensor(0.5)).shape
        torch.Size([3, 2])
    """
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}, not {form!r}")
    within("sigma", sigma, 0)
    within("floor", floor, 0, ends=False)
    within("iterations", iterations, 1)
    moments = autodiff_moments(score, process) if moments is None else moments
    smallest = floor * operator.singular_values().amax(-1) ** 2
    solve = _Solve(operator, sigma, smallest, chunk_size, rows, iterations)

    def guided(u: Tensor, t: Tensor) -> Tensor:
        found = moments(u, t)
        return found.score + solve.guidance(found, y, form)

    return guided


def conditional_mean(process: Process, guided: Score, u: Tensor, t: Tensor) -> Tensor:
    """Return E[x_0 | u, y] = x_hat + C H^T (H C H^T + sigma^2 I)^{-1} (y - H x_hat).

    It is what Tweedie's formula makes of the guided score: the Kalman update, and what
    an ancestral sampler puts in place of x_hat.

    Args:
        process: the forward process.
        guided: the guided score, of `tmpd` or another method.
        u: noisy images, (batch, *image).
        t: their time, () or (batch,).

    Examples:
        A standard normal x_0, its first coordinate observed as 2 with noise 0.5. At t =
        1 almost nothing of x_0 is left in u, and the mean is that of the posterior, 2 /
        1.25.

        >>> from src.common.diffusion.processes import LinearVP
        >>> from src.common.images.operators import MatrixOperator
        >>> process, first = LinearVP(), MatrixOperator(torch.tensor([[1.0, 0.0]]))
        >>> u, y = torch.zeros(1, 2).double(), torch.tensor([2.0]).double()
        >>> guided = tmpd(lambda u, t: -u, process, first, y, sigma=0.5)
        >>> conditional_mean(process, guided, u, torch.tensor(1.0)).round(decimals=2)
        tensor([[1.6000, 0.0000]], dtype=torch.float64)
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
        y = self.operator.observations(y, len(moments.mean))
        residual = (y - self.operator.A(moments.mean)).flatten(1)
        if form == "full":
            return self._full(moments, residual)
        if form == "diagonal":
            return self._diagonal(moments, residual)
        if form == "row_sum":
            weights = residual / self._denominators(
                self._row_sums(moments, residual), moments
            )
        else:
            weights = self._conjugate_gradients(moments, residual)
        return moments.pull(self._adjoint(weights))

    def _full(self, moments: TweedieMoments, residual: Tensor) -> Tensor:
        if residual.dtype not in (torch.float32, torch.float64):
            raise ValueError(
                f"the full form solves equations, which PyTorch cannot in "
                f"{residual.dtype}: take single precision, or another form"
            )
        pulled = self._pulled_rows(moments, residual)
        size = residual.shape[1]
        seen = (
            self.operator.A(pulled.flatten(0, 1))
            .reshape(size, -1, size)
            .transpose(0, 1)
        )
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
        return self.operator.A_adjoint(
            weights.unflatten(1, self.operator.observation_shape)
        )

    def _smallest(self, moments: TweedieMoments) -> Tensor:
        return self.smallest.to(moments.spread) * moments.spread

    def _denominators(self, variances: Tensor, moments: TweedieMoments) -> Tensor:
        floor = per_image(self._smallest(moments), variances)
        return torch.where(variances > 0, variances, floor) + self.sigma**2

    def _conjugate_gradients(self, moments: TweedieMoments, residual: Tensor) -> Tensor:
        def product(weights: Tensor) -> Tensor:
            seen = self.operator.A(moments.covariance(self._adjoint(weights))).flatten(
                1
            )
            return seen + self.sigma**2 * weights

        return conjugate_gradients(product, residual, self.iterations)


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
            side; it also stops where A shows no positive curvature (the covariance of a
            learned network).

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
        best = torch.where(size < smallest, solution, best)
        smallest = torch.minimum(size, smallest)
    return torch.where(right.isfinite().all(1, keepdim=True), best, torch.nan)
