"""What the TMPD chapter needs beside the experiments: exact checks, a ring, pictures.

The checks compare the method with independent answers on priors whose every law is
known; the ring is a prior in two dimensions on which everything can be seen; pictures
are kept as text, so that the quick profile shows what a larger one restored.
"""

import base64
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from src.common.checks import checked, within
from src.common.diffusion.denoising import pack_weights
from src.common.diffusion.gaussian_mixture import GaussianMixture
from src.common.diffusion.processes import LinearVP, Process, VarianceExploding
from src.common.diffusion.samplers import ancestral, time_grid
from src.common.images.operators import MatrixOperator
from src.common.images.sets import image_set, to_pixels
from src.common.statistics.sample_distances import random_directions, sliced_wasserstein
from src.inverse_problems.tmpd.gaussian_experiments import matern_covariance
from src.inverse_problems.tmpd.guidance import dps, exact_guidance, pigdm
from src.inverse_problems.tmpd.image_experiments import (
    ImagePrior,
    Restoration,
    degradation,
    observe,
    sample_restorations,
)
from src.inverse_problems.tmpd.mixture_experiments import STEPS_OF_DPS, Budget
from src.inverse_problems.tmpd.mixture_problems import (
    MixtureSetting,
    ProblemOperator,
    draw_problems,
    forward_process,
    prior_moments,
)
from src.inverse_problems.tmpd.tweedie import autodiff_moments, tmpd

BOTH = (LinearVP(), VarianceExploding(0.01, 50.0))

# --- a prior in two dimensions --------------------------------------------------------


@checked
def ring(
    components: int = 20, radius: float = 2.0, std: float = 0.2
) -> GaussianMixture:
    """Return a mixture of round Gaussians evenly spaced on a circle.

    Args:
        components: how many, at least 1.
        radius: of the circle, at least 0.
        std: standard deviation of a component in each direction, above 0.

    Raises:
        ValueError: for numbers out of range.

    Examples:
        >>> prior = ring(components=4, radius=2.0)
        >>> prior.means.norm(dim=1).round(decimals=6).tolist()
        [2.0, 2.0, 2.0, 2.0]
    """
    within("components", components, 1)
    within("radius", radius, 0)
    within("std", std, 0, ends=False)
    angles = torch.arange(components, dtype=torch.float64) * (2 * torch.pi / components)
    means = radius * torch.stack((angles.cos(), angles.sin()), dim=1)
    return GaussianMixture.isotropic(means, std**2)


def ring_samples(
    prior: GaussianMixture,
    operator: MatrixOperator,
    y: Float[Tensor, " rows"],
    sigma: float,
    count: int,
    steps: int,
    seed: int,
) -> dict[str, Float[Tensor, "count 2"]]:
    """Return posterior samples of a prior: drawn directly, and guided in three ways.

    The sampler is `ancestral` on a variance-preserving process.

    Args:
        prior: in two dimensions.
        operator: H, in double precision.
        y: the observation, (rows,).
        sigma: standard deviation of its noise.
        count: samples of each kind.
        steps: of the sampler.
        seed: of the direct draws, and of each sampler.

    Returns:
        "posterior", "exact guidance", "TMPD", "PiGDM" -> (count, 2).
    """
    process = LinearVP()
    score, known = prior.score_under(process), (process, operator, y, sigma)
    guided = {
        "exact guidance": exact_guidance(prior, process, operator.matrix(), y, sigma),
        "TMPD": tmpd(score, *known),
        "PiGDM": pigdm(score, *known),
    }
    direct = prior.posterior(operator.matrix(), y, sigma)
    found = {"posterior": direct.sample(count, torch.Generator().manual_seed(seed))}
    for name, guidance in guided.items():
        generator = torch.Generator().manual_seed(seed)
        state = process.start((count, 2), generator, torch.float64)
        found[name] = ancestral(process, guidance, state, time_grid(steps), generator)
    return found


# --- checks against the truth ---------------------------------------------------------


@checked
def covariance_errors(problems: int, times: Sequence[float], seed: int) -> list[float]:
    """Return how far autodiff's Cov[x_0 | u] is from the closed form.

    A problem is a random mixture of five Gaussians with a random covariance in six
    dimensions.

    Args:
        problems: how many, at least 1.
        times: in (0, 1], at least one.
        seed: of the problems and the noise.

    Returns:
        One number per problem: the largest difference over times, processes and eight
        noisy images, relative to the largest entry.

    Raises:
        ValueError: for no problems, no times, or a time outside (0, 1].
    """
    _expect_some(problems, times)
    generator, worst = torch.Generator().manual_seed(seed), []
    for _ in range(problems):
        means = 3 * torch.randn(5, 6, generator=generator, dtype=torch.float64)
        root = torch.randn(6, 6, generator=generator, dtype=torch.float64) / 6**0.5
        prior = GaussianMixture(torch.ones(5), means, root @ root.T)
        pairs = [(process, t) for process in BOTH for t in times]
        worst.append(max(_covariance_error(prior, *pair, generator) for pair in pairs))
    return worst


def _expect_some(number: int, times: Sequence[float]) -> None:
    """Refuse experiments without problems or times: they would be without error."""
    within("the number of problems or draws", number, 1)
    within("the number of times", len(times), 1)
    for t in times:
        if not 0 < t <= 1:
            raise ValueError(f"times lie in (0, 1], not {t}")


def _covariance_error(
    prior: GaussianMixture, process: Process, t: float, generator: torch.Generator
) -> float:
    time = torch.tensor(t, dtype=torch.float64)
    clean = prior.sample(8, generator)
    noise = torch.randn(clean.shape, generator=generator, dtype=torch.float64)
    u = process.noisy(clean, time, noise)
    moments = autodiff_moments(prior.score_under(process), process)(u, time)
    units = torch.eye(u.shape[1], dtype=torch.float64)
    found = torch.stack(
        [moments.covariance(unit.expand_as(u)) for unit in units], dim=1
    )
    true = prior.covariance_given(u, process.mean(time), process.std(time))
    return ((found - true).abs().max() / true.abs().max()).item()


@checked
def guidance_errors(problems: int, times: Sequence[float], seed: int) -> list[float]:
    """Return how far TMPD is from the exact guidance for Gaussian data.

    A problem is a Matern field of 4 x 4 points seen through five random projections
    with noise of 0.1. The exact guidance is the derivative of log p(y | u), by
    automatic differentiation of the conditional law of a Gaussian.

    Args:
        problems: how many, at least 1.
        times: in (0, 1], at least one.
        seed: of the problems and the noise.

    Returns:
        One number per problem, process and time, in this order of loops: the largest
        difference over five noisy images, relative to the largest guidance.

    Raises:
        ValueError: for no problems, no times, or a time outside (0, 1].
    """
    _expect_some(problems, times)
    generator, errors = torch.Generator().manual_seed(seed), []
    covariance = matern_covariance(4)
    prior = GaussianMixture(torch.ones(1), torch.zeros(1, 16), covariance)
    for _ in range(problems):
        matrix = torch.randn(5, 16, generator=generator, dtype=torch.float64)
        clean = prior.sample(6, generator)
        y = matrix @ clean[0] + 0.1 * torch.randn(
            5, generator=generator, dtype=torch.float64
        )
        for process in BOTH:
            for t in times:
                time = torch.tensor(t, dtype=torch.float64)
                noise = torch.randn(5, 16, generator=generator, dtype=torch.float64)
                u = process.noisy(clean[1:], time, noise)
                score = prior.score_under(process)
                guided = tmpd(score, process, MatrixOperator(matrix), y, 0.1)
                exact = _exact_guidance(covariance, matrix, y, process, u, time)
                wrong = (guided(u, time) - score(u, time) - exact).abs().max()
                errors.append((wrong / exact.abs().max()).item())
    return errors


def _exact_guidance(
    covariance: Tensor,
    matrix: Tensor,
    y: Tensor,
    process: Process,
    u: Tensor,
    t: Tensor,
) -> Tensor:
    """Return grad_u log p(y | u) for x_0 ~ N(0, covariance) and noise of 0.1 in y."""
    m, eye = process.mean(t), torch.eye(len(covariance), dtype=torch.float64)
    gain = (
        m * covariance @ torch.linalg.inv(m**2 * covariance + process.std(t) ** 2 * eye)
    )
    of_y = matrix @ (covariance - m * gain @ covariance) @ matrix.T
    of_y = 0.5 * (of_y + of_y.T) + 0.01 * torch.eye(len(y), dtype=torch.float64)
    u = u.clone().requires_grad_(True)
    law = torch.distributions.MultivariateNormal(u @ (matrix @ gain).T, of_y)
    return torch.autograd.grad(law.log_prob(y).sum(), u)[0]


@checked
def log_likelihoods(
    setting: MixtureSetting,
    process_name: str,
    times: Sequence[float],
    draws: int,
    seed: int,
) -> list[list[float]]:
    """Return the mean log density of new observations under both methods' Gaussians.

    For every problem draw x_0, then u_t and y from it, and ask the Gaussian that TMPD
    and PiGDM take for p(y | u_t): both have the same mean H x_hat; the covariance is
    H C H^T + sigma^2 I for TMPD and r^2 H H^T + sigma^2 I for PiGDM.

    Args:
        setting: what the problems are like; sigma above 0.
        process_name: "vp" or "ve".
        times: in (0, 1].
        draws: at each time.
        seed: of the problems and the draws.

    Returns:
        One pair [TMPD, PiGDM] per problem, in nats, averaged over times and draws.

    Raises:
        ValueError: from `forward_process`, for an unknown process; for no draws, no
            times, or a time outside (0, 1].
    """
    _expect_some(draws, times)
    generator = torch.Generator().manual_seed(seed)
    problems = draw_problems(setting, generator)
    process, shape = (
        forward_process(process_name, setting.dim),
        (setting.problems, draws),
    )
    moments = prior_moments(problems, process, draws, torch.float64)
    operator = ProblemOperator(problems, draws)
    total = torch.zeros(*shape, 2, dtype=torch.float64)
    noise_of_y = setting.sigma**2 * torch.eye(setting.observations, dtype=torch.float64)
    for t in times:
        clean = _prior_draws(
            problems.means, setting.variance, draws, generator
        ).flatten(0, 1)
        noise, of_y = (
            torch.randn(len(clean), size, generator=generator, dtype=torch.float64)
            for size in (clean.shape[1], setting.observations)
        )
        time = torch.tensor(t, dtype=torch.float64)
        found = moments(process.noisy(clean, time, noise), time)
        surprise = operator.A(clean) + setting.sigma * of_y - operator.A(found.mean)
        rows = [
            operator.A_adjoint(row.expand_as(of_y))
            for row in noise_of_y / setting.sigma**2
        ]
        full = torch.stack([operator.A(found.covariance(row)) for row in rows], dim=1)
        round_one = torch.stack([operator.A(found.spread * row) for row in rows], dim=1)
        for k, covariance in enumerate((full, round_one)):
            law = torch.distributions.MultivariateNormal(
                torch.zeros_like(surprise),
                0.5 * (covariance + covariance.mT) + noise_of_y,
            )
            total[..., k] += law.log_prob(surprise).unflatten(0, shape) / len(times)
    return total.mean(1).tolist()


def _prior_draws(
    means: Tensor, variance: float, draws: int, generator: torch.Generator
) -> Float[Tensor, "problem draws r"]:
    count, components, r = means.shape
    chosen = torch.randint(components, (count, draws, 1), generator=generator)
    noise = torch.randn(count, draws, r, generator=generator, dtype=torch.float64)
    return means.gather(1, chosen.expand(-1, -1, r)) + variance**0.5 * noise


# --- the constant of DPS --------------------------------------------------------------


def tuned_constant(
    setting: MixtureSetting, budget: Budget, seed: int, each: int = 20
) -> float:
    """Return the constant of STEPS_OF_DPS whose samples are closest to the posterior.

    All constants are tried side by side in one batch, and the distance is taken in the
    coordinates that matter. Tune on problems of another setting, or another seed, than
    those that are reported.

    Args:
        setting: what the problems are like.
        budget: process, steps and directions; its samples and sampler are not used.
        seed: of the problems and of the sampler.
        each: samples per constant and problem.

    Raises:
        ValueError: from `forward_process`, for an unknown process.
    """
    generator = torch.Generator().manual_seed(1_000_000 + seed)
    problems = draw_problems(setting, generator)
    process = forward_process(budget.process, setting.dim)
    count, _, r = problems.means.shape
    samples, grid = each * len(STEPS_OF_DPS), time_grid(budget.steps)
    moments = prior_moments(problems, process, samples, torch.float32)
    guided = dps(
        lambda u, t: moments(u, t).score,
        process,
        ProblemOperator(problems, samples).to(torch.float32),
        problems.y.repeat_interleave(samples, 0).float(),
        torch.tensor(STEPS_OF_DPS).repeat_interleave(each).repeat(count),
        grid,
        moments=moments,
    )
    state = process.start((count * samples, r), generator)
    drawn = ancestral(process, guided, state, grid, generator).double()
    drawn = drawn.unflatten(0, (count, len(STEPS_OF_DPS), each)).nan_to_num(1e6)
    exact = problems.posterior(each, generator)
    directions = random_directions(r, budget.directions, generator)
    means = [
        sum(
            sliced_wasserstein(drawn[p, k], exact[p], directions).item()
            for p in range(count)
        )
        for k in range(len(STEPS_OF_DPS))
    ]
    return STEPS_OF_DPS[means.index(min(means))]


# --- pictures -------------------------------------------------------------------------


def packed_state(network: nn.Module, state: dict[str, Tensor]) -> str:
    """Return the weights of a state dictionary as the text that units take.

    Args:
        network: of the architecture; it keeps the weights.
        state: a state dictionary that fits it.
    """
    network.load_state_dict(state)
    return pack_weights(network)


def restorations(
    prior: ImagePrior, setting: Restoration, methods: dict[str, float], seed: int
) -> dict[str, Tensor]:
    """Return truth, observation (drawn as an image) and samples of test images.

    Args:
        prior: what images look like.
        setting: task, noise, steps and images.
        methods: name -> DPS's step size (the other methods do not use it).
        seed: of the observations and of the sampler.

    Returns:
        "truth" and "observation" -> (images, channels, side, side); each method ->
        (images, samples, channels, side, side).

    Raises:
        ValueError: for an unknown task or method.
        BookError: if the files of the data set cannot be had.
    """
    truth = setting.truth(image_set(prior.recipe.data))
    operator = degradation(setting.task, prior.recipe.shape).to(truth)
    seen = operator.A_dagger(observe(truth, operator, setting.sigma, seed))
    if (
        setting.task == "deblurring"
    ):  # the pseudo-inverse of a blur shows nothing but noise
        seen = observe(truth, operator, setting.sigma, seed)
    found, known = (
        {"truth": truth, "observation": seen},
        (prior.network(), prior.process, setting),
    )
    for method, step in methods.items():
        found[method] = sample_restorations(*known, method, truth, seed, step)
    return found


def pictures(
    prior: ImagePrior, setting: Restoration, methods: dict[str, float], seed: int
) -> dict[str, object]:
    """Return `restorations` as text: of each method the first sample.

    Args:
        prior: what images look like.
        setting: task, noise, steps and images.
        methods: name -> DPS's step size (the other methods do not use it).
        seed: of the observations and of the sampler.

    Returns:
        "shape": of each row; "rows": name -> grey values of one byte each, in base64.

    Raises:
        ValueError: for an unknown task or method.
        BookError: if the files of the data set cannot be had.
    """
    found = restorations(prior, setting, methods, seed)
    rows = {k: v if v.dim() == 4 else v[:, 0] for k, v in found.items()}
    return {
        "shape": [setting.images, *prior.recipe.shape],
        "rows": {name: _as_text(images) for name, images in rows.items()},
    }


def unpacked_pictures(kept: dict) -> dict[str, np.ndarray]:
    """Return what `pictures` kept.

    Args:
        kept: its result.

    Returns:
        row -> (images, channels, height, width), in [0, 1].
    """
    return {
        name: np.frombuffer(base64.b64decode(text), np.uint8).reshape(kept["shape"])
        / 255
        for name, text in kept["rows"].items()
    }


def _as_text(images: Tensor) -> str:
    grey = (to_pixels(images).clamp(0, 1) * 255).round().to(torch.uint8)
    return base64.b64encode(grey.cpu().contiguous().numpy().tobytes()).decode()
