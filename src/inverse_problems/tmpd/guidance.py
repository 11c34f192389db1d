"""The methods that TMPD is compared with, as their papers define them, for any sampler.

All of them add to the score a guidance J^T H^T w with J = d x_hat / d u, and differ in
the weights w of the residual y - H x_hat:

- DPS (Chung et al., ICLR 2023, arXiv 2209.14687, algorithm 1) takes a step of fixed
  size against the gradient of |y - H x_hat|, so w is the residual over its norm, times
  a tuned constant;
- its likelihood form takes w = residual / sigma^2: the covariance of x_0 is set to 0;
- PiGDM (Song et al., ICLR 2023) sets it to r^2 I with r depending on the time only;
- the exact guidance of a Gaussian mixture is known in closed form.

Some of these are defined as a shift of a sampler's step rather than as a score. The
ancestral sampler draws the next state around a u + b x_hat, with factors a and b of the
process, so a shift d of the step is a shift d / b of x_hat, and that is a score by
Tweedie's formula. One sampler thus serves all methods.
"""

from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from src.common.checks import checked, within
from src.common.diffusion.gaussian_mixture import GaussianMixture
from src.common.diffusion.processes import Process, Score, per_image
from src.common.images.operators import CUTOFF, LinearOperator
from src.inverse_problems.tmpd.tweedie import Moments, TweedieMoments, autodiff_moments


@checked
def dps(
    score: Score,
    process: Process,
    operator: LinearOperator,
    y: Tensor,
    step: float | Float[Tensor, " batch"],
    grid: Float[Tensor, " times"],
    *,
    moments: Moments | None = None,
) -> Score:
    """Return the score with which an ancestral step is DPS's step.

    u_{k-1} = (unconditional ancestral step from u_k) - step * grad |y - H x_hat(u_k)|,
    with one norm per image. (The released code takes one norm over the whole batch; its
    authors run batches of one image.) Use it with the ancestral sampler on the same
    grid.

    Args:
        score: of the noisy images of the prior.
        process: the forward process.
        operator: H.
        y: observations, (batch, *observation) or (*observation).
        step: zeta, one for all images or one per image, (batch,). The released settings
            for 1000 steps and images in [-1, 1] are 0.3 (super-resolution, deblurring)
            to 1.0 (the default of the code).
        grid: the sampler's times, descending.
        moments: the moments where they are known in closed form.

    Returns:
        guided(u, t). It raises ValueError at the last time of the grid, from which no
        step leads, at times that are not in the grid, and for a y that does not fit.

    Examples:
        >>> from src.common.diffusion.processes import LinearVP
        >>> from src.common.diffusion.samplers import ancestral, time_grid
        >>> from src.common.images.operators import MatrixOperator
        >>> process, first = LinearVP(), MatrixOperator(torch.tensor([[1.0, 0.0]]))
        >>> y, grid = torch.tensor([2.0]).double(), time_grid(25)
        >>> guided = dps(lambda u, t: -u, process, first, y, step=0.3, grid=grid)
        >>> generator = torch.Generator().manual_seed(0)
        >>> state = process.start((100, 2), generator, torch.float64)
        >>> drawn = ancestral(process, guided, state, grid, generator)
        >>> float(drawn[:, 0].mean().round())
        2.0
    """
    moments = autodiff_moments(score, process) if moments is None else moments
    steps = torch.as_tensor(step, dtype=torch.float64)

    def guided(u: Tensor, t: Tensor) -> Tensor:
        found = moments(u, t)
        downhill = _pulled(found, operator, _unit(_residual(operator, y, found)))
        return found.score + _as_score(process, grid, t, per_image(steps, u) * downhill)

    return guided


@checked
def dps_continuous(
    score: Score,
    process: Process,
    operator: LinearOperator,
    y: Tensor,
    strength: float | Float[Tensor, " batch"],
    *,
    moments: Moments | None = None,
) -> Score:
    """Return score - strength * grad |y - H x_hat|: DPS for a differential equation.

    On N Euler-Maruyama steps `strength` = N zeta makes a step of beta(t) zeta.

    Args:
        score: of the noisy images of the prior.
        process: the forward process.
        operator: H.
        y: observations, (batch, *observation) or (*observation).
        strength: one for all images, or one per image, (batch,).
        moments: the moments where they are known in closed form.
    """
    moments = autodiff_moments(score, process) if moments is None else moments
    strengths = torch.as_tensor(strength, dtype=torch.float64)

    def guided(u: Tensor, t: Tensor) -> Tensor:
        found = moments(u, t)
        pulled = _pulled(found, operator, _unit(_residual(operator, y, found)))
        return found.score + per_image(strengths, u) * pulled

    return guided


@checked
def dps_likelihood(
    score: Score,
    process: Process,
    operator: LinearOperator,
    y: Tensor,
    sigma: float,
    *,
    moments: Moments | None = None,
) -> Score:
    """Return score + J^T H^T (y - H x_hat) / sigma^2: x_hat is taken for certain.

    Args:
        score: of the noisy images of the prior.
        process: the forward process.
        operator: H.
        y: observations, (batch, *observation) or (*observation).
        sigma: standard deviation of the observation's noise, above 0.
        moments: the moments where they are known in closed form.

    Raises:
        ValueError: for a sigma that is not positive.
    """
    within("sigma", sigma, 0, ends=False)
    moments = autodiff_moments(score, process) if moments is None else moments

    def guided(u: Tensor, t: Tensor) -> Tensor:
        found = moments(u, t)
        return found.score + _pulled(
            found, operator, _residual(operator, y, found) / sigma**2
        )

    return guided


@checked
def pigdm(
    score: Score,
    process: Process,
    operator: LinearOperator,
    y: Tensor,
    sigma: float,
    *,
    prior_variance: float = 1.0,
    grid: Float[Tensor, " times"] | None = None,
    moments: Moments | None = None,
) -> Score:
    """Return the score guided by PiGDM: the covariance of x_0 given u is r^2 I.

    r^2 = std^2 p / (std^2 + mean^2 p) with p the assumed variance of a pixel: what it
    would be if the prior were N(0, p I). With p = 1, r^2 is std^2 for a
    variance-preserving process, and std^2 / (1 + std^2) for a variance-exploding one.

    Args:
        score: of the noisy images of the prior.
        process: the forward process.
        operator: H, with its singular values.
        y: observations, (batch, *observation) or (*observation).
        sigma: standard deviation of the observation's noise, at least 0.
        prior_variance: p, above 0.
        grid: None adds the guidance to the score. With the times of an ancestral
            sampler, its step is the paper's algorithm 1 with eta = 1: the unconditional
            step, plus mean(t) r^2 times the guidance.
        moments: the moments where they are known in closed form.

    Returns:
        guided(u, t). With a grid it raises ValueError at the last time, as `dps` does.

    Raises:
        ValueError: for a negative sigma, or a variance that is not positive.

    Examples:
        For a standard normal prior the assumption is true, and the guidance exact.

        >>> from src.common.diffusion.processes import LinearVP
        >>> from src.common.images.operators import MatrixOperator
        >>> process, first = LinearVP(), MatrixOperator(torch.tensor([[1.0, 0.0]]))
        >>> prior = GaussianMixture.isotropic(torch.zeros(1, 2), 1.0)
        >>> y = torch.ones(1).double()
        >>> guided = pigdm(prior.score_under(process), process, first, y, 0.5)
        >>> exact = exact_guidance(prior, process, first.matrix(), y, 0.5)
        >>> u, t = torch.ones(1, 2).double(), torch.tensor(0.5)
        >>> torch.allclose(guided(u, t), exact(u, t))
        True
    """
    within("sigma", sigma, 0)
    within("prior_variance", prior_variance, 0, ends=False)
    moments = autodiff_moments(score, process) if moments is None else moments
    singular = operator.singular_values()

    def guided(u: Tensor, t: Tensor) -> Tensor:
        found = moments(u, t)
        variance, factor = process.std(t) ** 2, process.mean(t)
        assumed = variance * prior_variance / (variance + factor**2 * prior_variance)
        residual = _residual(operator, y, found)
        cotangent = _through_spectrum(operator, singular, residual, assumed, sigma)
        pulled = found.pull(cotangent)
        if grid is None:
            return found.score + pulled
        shift = per_image(factor * assumed, pulled) * pulled
        return found.score + _as_score(process, grid, t, shift)

    return guided


def exact_guidance(
    prior: GaussianMixture,
    process: Process,
    matrix: Float[Tensor, "observations dim"],
    y: Float[Tensor, " observations"],
    sigma: float,
) -> Score:
    """Return the exact score of p(u_t | y): that of the posterior mixture.

    Args:
        prior: the law of x_0.
        process: the forward process.
        matrix: H, (observations, dim).
        y: one observation, (observations,).
        sigma: standard deviation of the observation's noise, at least 0.

    Raises:
        ValueError: from `GaussianMixture.posterior`, for a negative sigma, or for an
            observation without noise part of which has no variance.
    """
    return prior.posterior(matrix, y, sigma).score_under(process)


# --- shared steps ---------------------------------------------------------------------


def _residual(operator: LinearOperator, y: Tensor, found: TweedieMoments) -> Tensor:
    """Return y - H x_hat, (batch, *observation)."""
    return operator.observations(y, len(found.mean)) - operator.A(found.mean)


def _unit(residual: Tensor) -> Tensor:
    """Return residuals (batch, *observation) of length one; a residual of 0 stays 0."""
    norms = residual.flatten(1).norm(dim=1).clamp(min=torch.finfo(residual.dtype).tiny)
    return residual / per_image(norms, residual)


def _pulled(found: TweedieMoments, operator: LinearOperator, weights: Tensor) -> Tensor:
    return found.pull(operator.A_adjoint(weights))


def _as_score(process: Process, grid: Tensor, t: Tensor, shift: Tensor) -> Tensor:
    """Return what to add to the score at t to move the ancestral step by `shift`."""
    away = (grid - t.to(grid)).abs()
    place = int(away.argmin())
    if float(away[place]) > 1e-6:
        raise ValueError(
            f"the time {float(t):g} is not in the guidance's grid: give it the grid of "
            "the sampler"
        )
    if place + 1 >= len(grid):
        raise ValueError("the last time of the grid has no step")
    of_clean = process.bridge_factors(grid[place], grid[place + 1])[1]
    factor = process.mean(t) / (process.std(t) ** 2 * of_clean)
    return per_image(factor, shift) * shift


def _through_spectrum(
    operator: LinearOperator,
    singular: Tensor,
    residual: Tensor,
    assumed: Tensor,
    sigma: float,
) -> Tensor:
    """Return H^T (assumed H H^T + sigma^2 I)^{-1} residual by singular values of H."""
    seen = operator.U_adjoint(residual)
    singular = singular.to(seen)
    power = per_image(assumed, seen) * singular**2 + sigma**2
    # A direction that is not observed takes no part, also without noise.
    known = (singular > CUTOFF * singular.max()) & (power > 0)
    factor = torch.where(known, singular / torch.where(known, power, 1.0), 0.0)
    coefficients = factor * seen
    missing = prod(operator.image_shape) - coefficients.shape[1]
    return operator.V(torch.nn.functional.pad(coefficients, (0, missing)))
