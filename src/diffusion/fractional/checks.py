"""Checks against closed forms, and summaries, for the page on fractional diffusion."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from src.common.diffusion.denoising import pack_weights
from src.common.diffusion.processes import LinearVP
from src.common.images.feature_network import FeatureNetwork
from src.diffusion.fractional.experiments import (
    mode_report,
    rare_modes,
    variance_errors,
)
from src.diffusion.fractional.image_training import RECIPES
from src.diffusion.fractional.images import Weights, restored
from src.diffusion.fractional.noise import (
    fbm_covariance,
    ma_covariance,
    optimal_weights,
    ou_speeds,
    simulate_ou,
)
from src.diffusion.fractional.process import FractionalProcess
from src.diffusion.fractional.training import Circle, PlaneRecipe, plane_network

CHECKED = (0.25, 0.5, 1.0)
"""Times at which simulated paths are compared with the closed form."""


# --- checks against the truth ---------------------------------------------------------


def brownian_limits(speed: float = 1e-6) -> dict[str, float]:
    """Return how far three things that should be Brownian at H = 1/2 are from it.

    Args:
        speed: of the one slow process, positive and small.

    Returns:
        Relative differences, the largest over times.
        "exact noise": covariance of fractional Brownian motion;
        "one slow speed": covariance of its approximation by one process that hardly
        forgets;
        "no hidden process": mean and std of the augmented process with K = 0 from those
        of the ordinary one.
    """
    times = torch.arange(1, 51, dtype=torch.float64) / 50
    brownian = torch.minimum(times[:, None], times)
    slow = torch.tensor([speed], dtype=torch.float64)
    imitated = ma_covariance(times, slow, optimal_weights(slow, 0.5))
    empty, ordinary = FractionalProcess(hurst=0.5, count=0), LinearVP()
    pairs = {
        "exact noise": [(fbm_covariance(times, 0.5), brownian)],
        "one slow speed": [(imitated, brownian)],
        "no hidden process": [
            (empty.mean(times), ordinary.mean(times)),
            (empty.std(times), ordinary.std(times)),
        ],
    }
    return {
        name: max(float((found / true - 1).abs().max()) for found, true in both)
        for name, both in pairs.items()
    }


def forward_paths(
    process: FractionalProcess,
    steps: int,
    paths: int,
    generator: torch.Generator,
    clean: float = 0.0,
) -> tuple[Float[Tensor, " steps"], Float[Tensor, "steps state paths"]]:
    """Follow dX = f X dt + g dBhat from a clean pixel.

    The noise Bhat is exact at the times. This is independent of how `FractionalProcess`
    finds its covariance. With equal generators, processes with the same speeds are
    driven by the same Brownian motion.

    Args:
        process: to be followed, with at least one speed.
        steps: of equal length, from 0 to 1.
        paths: how many.
        generator: source of the noise, on the CPU.
        clean: X_0.

    Returns:
        Times (steps,) up to 1 and states (X, Y^1 .. Y^K) at them, (steps, 1 + K,
        paths).
    """
    times = torch.arange(1, steps + 1, dtype=torch.float64) / steps
    hidden = simulate_ou(process.speeds, times, paths, generator)
    noise = hidden @ process.weights
    pushes = noise.diff(dim=0, prepend=torch.zeros(1, paths, dtype=torch.float64))
    before, middle = times - 1 / steps, times - 0.5 / steps
    kept = process.mean(times) / process.mean(before)
    gain = process.base.diffusion(middle) * process.mean(times) / process.mean(middle)
    image, visited = torch.full((paths,), clean, dtype=torch.float64), []
    for factor, strength, push in zip(kept, gain, pushes, strict=True):
        image = factor * image + strength * push
        visited.append(image)
    return times, torch.cat([torch.stack(visited)[:, None], hidden.mT], 1)


def forward_error(
    process: FractionalProcess, paths: int, generator: torch.Generator, steps: int = 200
) -> float:
    """Return the largest difference of a simulated covariance from the closed form.

    It is relative to the standard deviations, over the times `CHECKED`.

    Args:
        process: to be followed, with at least one speed.
        paths: how many, a multiple of 2,000.
        generator: source of the noise, on the CPU.
        steps: per path.

    Raises:
        ValueError: for another number of paths.
    """
    chunk = 2000
    if paths < chunk or paths % chunk:
        raise ValueError(f"paths must be a multiple of {chunk}, not {paths}")
    found = torch.zeros(
        len(CHECKED), 1 + process.count, 1 + process.count, dtype=torch.float64
    )
    index = [round(t * steps) - 1 for t in CHECKED]
    for _ in range(paths // chunk):
        _, states = forward_paths(process, steps, chunk, generator)
        found += states[index] @ states[index].mT / chunk
    exact = torch.stack([process.covariance(t) for t in CHECKED])
    scale = exact.diagonal(dim1=1, dim2=2).sqrt()
    difference = found / (paths // chunk) - exact
    return float((difference / scale[:, :, None] / scale[:, None]).abs().max())


def score_error(
    process: FractionalProcess, t: float, generator: torch.Generator
) -> float:
    """Return how far the assembled score is from automatic differentiation, relatively.

    The data are three Gaussians on images of two pixels. The truth differentiates the
    exact log density of the state Z in all its 1 + K numbers per pixel; the assembled
    score knows only the score of the observation.

    Args:
        process: whose `state_score` is checked.
        t: the time, in (0, 1].
        generator: source of the data and of the states, on the CPU.
    """
    means = torch.randn(3, 2, generator=generator, dtype=torch.float64)
    weights, spread = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64), 0.2
    mean, std = process.mean(t), process.std(t)
    covariance = process.covariance(t).clone()
    covariance[0, 0] += (mean * spread) ** 2
    place = torch.zeros(3, 2, 1 + process.count, dtype=torch.float64)
    place[..., 0] = mean * means
    law = torch.distributions.MultivariateNormal(place, covariance)
    noise = torch.randn(
        1 + process.count, 20, 2, generator=generator, dtype=torch.float64
    )
    state = torch.tensordot(torch.linalg.cholesky(covariance), noise, dims=1)

    def log_density(z: Tensor) -> Tensor:
        return (
            weights.log() + law.log_prob(z.permute(1, 2, 0)[:, None]).sum(-1)
        ).logsumexp(-1)

    def log_density_seen(u: Tensor) -> Tensor:
        squares = ((u[:, None] - mean * means) ** 2).sum(-1)
        return (
            weights.log() - squares / 2 / (std**2 + (mean * spread) ** 2)
        ).logsumexp(-1)

    seen_score = _gradient(log_density_seen, process.observe(state, t))
    truth = _gradient(log_density, state)
    found = process.state_score(seen_score, state, t)
    return float((found - truth).abs().max() / truth.abs().max())


def convergence_slope(name: str, evaluations: list[int]) -> float:
    """Return the slope of log |variance error| against log evaluations.

    Args:
        name: of a fractional process.
        evaluations: two or more numbers of score evaluations of the sampler "sde".
    """
    errors = variance_errors([name], ["sde"], evaluations)[0]["errors"]
    return float(np.polyfit(np.log(evaluations), np.log(np.abs(errors)), 1)[0])


def increment_correlation(
    hurst: float, count: int, paths: int, generator: torch.Generator, step: float = 0.1
) -> float:
    """Return the correlation of consecutive increments of simulated driving noise.

    Args:
        hurst: H, in (0, 1).
        count: number of speeds.
        paths: how many.
        generator: source of the noise, on the CPU.
        step: length of an increment.
    """
    times = torch.arange(1, round(1 / step) + 1, dtype=torch.float64) * step
    speeds = ou_speeds(count)
    noise = simulate_ou(speeds, times, paths, generator) @ optimal_weights(
        speeds, hurst
    )
    steps = noise.diff(dim=0)
    both = torch.stack([steps[:-1].flatten(), steps[1:].flatten()])
    return float(torch.corrcoef(both)[0, 1])


# --- summaries ------------------------------------------------------------------------


def total_variation(shares: list[float], circle: Circle) -> float:
    """Return half the sum of |share - due| over the modes and the points in no mode.

    Args:
        shares: of the points in each mode, as `mode_report` returns them.
        circle: the law of the true points.

    Raises:
        ValueError: for another number of shares than modes.
    """
    if len(shares) != circle.modes:
        raise ValueError(f"{circle.modes} modes need as many shares, not {len(shares)}")
    due = circle.mixture().weights
    found = torch.tensor(shares, dtype=torch.float64)
    return float((found - due).abs().sum() + (1 - found.sum())) / 2


def total_variation_of_hits(shares: list[float], circle: Circle) -> float:
    """Return `total_variation` among the points that are in some mode; 1 without any.

    Args:
        shares: of the points in each mode, as `mode_report` returns them.
        circle: the law of the true points.
    """
    if not any(shares):
        return 1.0
    return total_variation([share / math.fsum(shares) for share in shares], circle)


def total_variation_floor(
    circle: Circle, points: int, generator: torch.Generator, draws: int = 20
) -> float:
    """Return the mean `total_variation` of as many true points: what chance alone does.

    Args:
        circle: the law of the points.
        points: how many in each draw.
        generator: source of the points, on the CPU.
        draws: to average over.
    """
    mixture = circle.mixture()
    reports = [
        mode_report(mixture.sample(points, generator), circle) for _ in range(draws)
    ]
    return math.fsum(total_variation(r["shares"], circle) for r in reports) / draws


def plane_text(weights: dict[str, Tensor], recipe: PlaneRecipe) -> str:
    """Return a plane network's weights as the text that experiments take.

    Args:
        weights: a state dictionary.
        recipe: that of the training.
    """
    return pack_weights(plane_network(weights, recipe))


def image_text(weights: Weights, data: str) -> str:
    """Return an image network's weights as the text that experiments take.

    Args:
        weights: packed text or a state dictionary.
        data: name of the image set, a key of `RECIPES`.
    """
    return pack_weights(restored(RECIPES[data].untrained(), weights))


def classifier_text(weights: Weights, data: str) -> str:
    """Return a classifier's weights as the text that experiments take.

    Args:
        weights: packed text or a state dictionary.
        data: name of the image set, a key of `RECIPES`.
    """
    recipe = RECIPES[data]
    return pack_weights(restored(FeatureNetwork(recipe.shape, recipe.classes), weights))


def learned_table(
    name: str,
    samplers: list[str],
    evaluations: list[int],
    weights: dict[str, str],
    samples: int,
    recipe: PlaneRecipe,
) -> list[dict]:
    """Return rows as `circle_table` does, with learned scores.

    Args:
        name: of the process.
        samplers: of `sampling.SAMPLERS`.
        evaluations: numbers of network evaluations, at least 3.
        weights: seed, as text, -> weights as text.
        samples: how many points to draw.
        recipe: that of the training.
    """
    return [
        {
            "process": name,
            "sampler": sampler,
            "evaluations": n,
            "distances": [
                rare_modes(name, sampler, n, int(s), samples, Circle(), recipe, text)[
                    "distance"
                ]
                for s, text in weights.items()
            ],
        }
        for sampler in samplers
        for n in evaluations
    ]


def few_grey_levels(images: list, levels: int = 15) -> list:
    """Return images as whole numbers from 0 to `levels`, which take little room.

    Args:
        images: nested lists of pixels in [0, 1].
        levels: number of the lightest level.

    Examples:
        >>> few_grey_levels([0.0, 0.5, 1.0], levels=4)
        [0, 2, 4]
    """
    return (torch.tensor(images) * levels).round().int().tolist()


def _gradient(function: object, at: Tensor) -> Tensor:
    at = at.detach().requires_grad_()
    return torch.autograd.grad(function(at).sum(), at)[0]
