"""Drawing from ordinary and fractional processes with a given number of score evaluations.

For Gaussian data every sampler is a linear map, so that what it generates can be computed without
drawing anything: `generated_variance`.
"""

from itertools import pairwise

import torch
from torch import Tensor

from src.common.diffusion.processes import Process, Score
from src.common.diffusion.samplers import ancestral, euler_maruyama, probability_flow, time_grid
from src.diffusion.fractional.process import FractionalProcess

SAMPLERS = ("sde", "ode", "heun", "bridge", "matched", "released sde", "released ode")
FLOOR = 1e-3
"""The time of the last but one state of all samplers that follow an equation."""


def grid_of(sampler: str, evaluations: int) -> Tensor:
    """Return the times of a sampler that evaluates the score so often.

    "sde" and "ode" take equal steps to `FLOOR` and a short one to 0. The "released" ones do as the
    paper's code: their last step, from `FLOOR`, is as long as the others, which leads beyond 0.
    "heun" evaluates twice a step but once in the last; "bridge" and "matched" take equal steps to
    0.

    Raises:
        ValueError: for an unknown sampler, or fewer than 3 evaluations.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"unknown sampler {sampler!r}; valid: {', '.join(SAMPLERS)}")
    if evaluations < 3:
        raise ValueError(f"at least 3 evaluations, not {evaluations}")
    if sampler in ("bridge", "matched"):
        return time_grid(evaluations)
    if sampler == "heun":
        return time_grid(evaluations // 2 + 1, floor=FLOOR)
    if sampler.startswith("released"):
        length = (1 - FLOOR) / (evaluations - 1)
        return time_grid(evaluations, floor=FLOOR, last=FLOOR - length)
    return time_grid(evaluations, floor=FLOOR)


def draw(
    process: Process,
    score: Score,
    shape: tuple[int, ...],
    sampler: str,
    evaluations: int,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Draw images of `shape` (batch, ...); see `grid_of` for the samplers.

    Processes with the same base and the same generator start from the same noise in the image.
    """
    grid = grid_of(sampler, evaluations)
    state = process.start(shape, generator, dtype)
    if sampler == "bridge":
        return ancestral(process, score, state, grid, generator)
    if sampler == "matched":
        return matched_bridge(process, score, state, grid, generator)
    if sampler.endswith("sde"):
        return euler_maruyama(process, score, state, grid, generator)
    method = "heun" if sampler == "heun" else "euler"
    return probability_flow(process, score, state, grid, method)


@torch.no_grad()
def matched_bridge(
    process: Process, score: Score, state: Tensor, grid: Tensor, generator: torch.Generator
) -> Tensor:
    """Follow bridges to a clean image that is drawn, not guessed; return images (batch, ...).

    `ancestral` leads every bridge to E[x_0 | u] and so loses the variance that x_0 still has given
    u. Here each goes to E[x_0 | u] + sqrt(v) noise with v = std^2 / mean^2 (1 - std^2 E score^2),
    the mean over pixels of that variance (Bao et al. 2022, arXiv 2201.06503), with the mean over
    the batch for E and at most 1, the variance of pixels of -1 and 1. For Gaussian data the law
    of every state is then right, however long the steps. The last step is that of `ancestral`.
    """
    for k, (t, earlier) in enumerate(pairwise(grid)):
        observed = process.observe(state, t)
        slope = score(observed, t)
        clean = process.denoised(observed, slope, t)
        if k == len(grid) - 2:
            return process.image(process.bridge(state, clean, t, earlier, torch.zeros_like(state)))
        std = process.std(t).item()
        share = max(1 - std**2 * slope.double().square().mean().item(), 0.0)
        left = min((std / process.mean(t).item()) ** 2 * share, 1.0)
        clean = clean + left**0.5 * _noise(clean, generator)
        state = process.bridge(state, clean, t, earlier, _noise(state, generator))
    raise ValueError("a grid has at least two times")


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw standard normal numbers in the shape, type and device of `like`."""
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)


def generated_variance(
    process: FractionalProcess, data_std: float, sampler: str, evaluations: int
) -> float:
    """Return the variance of what a sampler generates for data N(0, data_std^2), exactly.

    The score of the observation is -u / (mean^2 data_std^2 + std^2). Steps are applied to the
    columns of the unit matrix, which are the batch; so the numbers are those of the samplers.

    Raises:
        ValueError: for "heun", which is not followed here.
    """
    if sampler == "heun":
        raise ValueError("the Heun method is not followed exactly; draw from it instead")
    grid = grid_of(sampler, evaluations)
    start = process.covariance(1.0) if process.count else process.std(1.0).reshape(1, 1) ** 2
    covariance = start.clone()
    for k in range(len(grid) - 1):
        last = k == len(grid) - 2
        move = _bridge_map if sampler in ("bridge", "matched") else _equation_map
        matrix, added = move(process, data_std, sampler, grid[k], grid[k + 1])
        covariance = matrix @ covariance @ matrix.T
        if not last:
            covariance = covariance + added
    return float(covariance[0, 0])


def _equation_map(
    process: FractionalProcess, data_std: float, sampler: str, t: Tensor, earlier: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the matrix of an Euler step and the covariance of its noise."""
    eye = torch.eye(1 + process.count, dtype=torch.float64)
    share = 1.0 if sampler.endswith("sde") else 0.5
    observed = process.observe(eye, t)
    total = process.mean(t) ** 2 * data_std**2 + process.std(t) ** 2
    score = process.state_score(-observed / total, eye, t)
    pull = process.spread(process.gather(score, t), t)
    matrix = eye - (t - earlier) * (process.drift(eye, t) - share * pull)
    column = process.spread(torch.ones(1, dtype=torch.float64), t)
    noise = column @ column.T * (t - earlier) if share == 1.0 else torch.zeros_like(eye)
    return matrix, noise


def _bridge_map(
    process: FractionalProcess, data_std: float, sampler: str, t: Tensor, earlier: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the matrix of a bridge step and the covariance of its noise."""
    size = 1 + process.count
    eye = torch.eye(size, dtype=torch.float64)
    observed = process.observe(eye, t)
    total = process.mean(t) ** 2 * data_std**2 + process.std(t) ** 2
    denoised = process.denoised(observed, -observed / total, t)
    silent = torch.zeros_like(eye)
    matrix = process.bridge(eye, denoised, t, earlier, silent)
    nothing = torch.zeros(size, dtype=torch.float64)
    root = process.bridge(silent, nothing, t, earlier, eye)
    added = root @ root.T
    if sampler == "matched":
        column = process.bridge(silent, nothing + 1, t, earlier, silent)[:, :1]
        added = added + column @ column.T * data_std**2 * process.std(t) ** 2 / total
    return matrix, added
