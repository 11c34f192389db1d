"""Samplers for ordinary and fractional processes with a set number of evaluations.

For Gaussian data every sampler is a linear map, so the variance of what it generates
can be computed without drawing anything: `generated_variance`.
"""

from itertools import pairwise

import torch
from torch import Tensor

from src.common.checks import checked, floating, within
from src.common.diffusion.processes import Process, Score
from src.common.diffusion.samplers import (
    Grid,
    ancestral,
    descending,
    euler_maruyama,
    probability_flow,
    score_at,
    time_grid,
)
from src.diffusion.fractional.process import FractionalProcess

SAMPLERS = ("sde", "ode", "heun", "bridge", "matched", "released sde", "released ode")
FLOOR = 1e-3
"""The time of the last but one state of all samplers that follow an equation."""


@checked
def grid_of(sampler: str, evaluations: int) -> Tensor:
    """Return the times of a sampler that evaluates the score a given number of times.

    "sde" and "ode" take equal steps to `FLOOR` and a short one to 0. The "released"
    ones do as the paper's code does: their last step, from `FLOOR`, is as long as the
    others and leads beyond 0. "heun" evaluates the score twice per step, but once in
    the last; "bridge" and "matched" take equal steps to 0.

    Args:
        sampler: one of `SAMPLERS`.
        evaluations: of the score, at least 3; for "heun" an odd number.

    Raises:
        ValueError: for an unknown sampler, fewer than 3 evaluations, or an even number
            with "heun".

    Examples:
        >>> grid_of("bridge", 4).tolist()
        [1.0, 0.75, 0.5, 0.25, 0.0]
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"unknown sampler {sampler!r}; valid: {', '.join(SAMPLERS)}")
    if evaluations < 3:
        raise ValueError(f"at least 3 evaluations, not {evaluations}")
    if sampler in ("bridge", "matched"):
        return time_grid(evaluations)
    if sampler == "heun":
        if evaluations % 2 == 0:
            raise ValueError(
                f"heun evaluates the score an odd number of times, not {evaluations}: "
                "take one more or one less"
            )
        return time_grid(evaluations // 2 + 1, floor=FLOOR)
    if sampler.startswith("released"):
        regular = time_grid(evaluations - 1, last=FLOOR)
        beyond = FLOOR - (1 - FLOOR) / (evaluations - 1)
        return torch.cat([regular, regular.new_tensor([beyond])])
    return time_grid(evaluations, floor=FLOOR)


@checked
def draw(
    process: Process,
    score: Score,
    shape: tuple[int, ...],
    sampler: str,
    evaluations: int,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Draw images from a process with a sampler.

    Processes with the same base and the same generator start from the same noise in the
    image.

    Args:
        process: the forward process to be reversed.
        score: of the observation, called with (observation, time).
        shape: (batch, ...) of the images.
        sampler: one of `SAMPLERS`, see `grid_of`.
        evaluations: of the score, at least 3.
        generator: source of the start and of the steps; the images are on its device.
        dtype: of the images.

    Returns:
        Images of the given shape.

    Raises:
        ValueError: for an unknown sampler, too few evaluations, or a bridge of a
            process that has none.

    Examples:
        >>> from src.common.diffusion.gaussian_mixture import GaussianMixture
        >>> process = FractionalProcess(hurst=0.9, count=2)
        >>> data = GaussianMixture.isotropic(torch.tensor([[-1.0], [1.0]]), 0.01)
        >>> score, seeded = data.score_under(process), torch.Generator().manual_seed(0)
        >>> x = draw(process, score, (100, 1), "bridge", 10, seeded, torch.float64)
        >>> x.shape, round(x.std().item())  # the data are near -1 and 1
        (torch.Size([100, 1]), 1)
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
@checked
def matched_bridge(
    process: Process,
    score: Score,
    state: Tensor,
    grid: Grid,
    generator: torch.Generator,
) -> Tensor:
    """Follow bridges to a clean image that is drawn, not guessed; return images.

    `ancestral` leads every bridge to E[x_0 | u] and so loses the variance that x_0
    still has given u. Here each goes to E[x_0 | u] + sqrt(v) noise with v = std^2 /
    mean^2 (1 - std^2 E score^2), the mean over pixels of that variance (Bao et al.
    2022, arXiv 2201.06503), where E is the mean over the batch and v is at most 1, the
    variance of pixels of -1 and 1. For Gaussian data the law of every state is then
    right, however long the steps. The last step is that of `ancestral`.

    Args:
        process: the forward process to be reversed.
        score: of the observation, called with (observation, time).
        state: at the first time of the grid, as `process.start` draws it.
        grid: descending times, the last one 0.
        generator: source of the noise.

    Returns:
        Images (batch, ...).

    Raises:
        ValueError: for times that do not descend within [0, 1], or a score of another
            shape than the noisy image.
    """
    floating("state", state)
    for k, (t, earlier) in enumerate(pairwise(descending(grid))):
        observed = process.observe(state, t)
        slope = score_at(score, observed, t)
        clean = process.denoised(observed, slope, t)
        if k == len(grid) - 2:
            return process.image(
                process.bridge(state, clean, t, earlier, torch.zeros_like(state))
            )
        std = process.std(t).item()
        share = max(1 - std**2 * slope.double().square().mean().item(), 0.0)
        left = min((std / process.mean(t).item()) ** 2 * share, 1.0)
        clean = clean + left**0.5 * _noise(clean, generator)
        state = process.bridge(state, clean, t, earlier, _noise(state, generator))
    raise AssertionError("a grid has at least two times")


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw standard normal numbers in the shape, type and device of `like`."""
    return torch.randn(
        like.shape, generator=generator, dtype=like.dtype, device=like.device
    )


@checked
def generated_variance(
    process: FractionalProcess, data_std: float, sampler: str, evaluations: int
) -> float:
    """Return the exact variance of what a sampler generates for data N(0, data_std^2).

    The score of the observation is -u / (mean^2 data_std^2 + std^2). The steps are
    applied to the columns of the unit matrix as if they were a batch, so the numbers
    are those of the samplers.

    Args:
        process: a fractional process; K = 0 is the ordinary one.
        data_std: standard deviation of the data, positive.
        sampler: one of `SAMPLERS` except "heun".
        evaluations: of the score, at least 3.

    Raises:
        ValueError: for "heun", which is not followed here, a standard deviation that is
            not positive, and as `grid_of`.

    Examples:
        >>> process = FractionalProcess(hurst=0.9, count=2)
        >>> round(generated_variance(process, 0.5, "matched", 10), 2)
        0.25
    """
    if sampler == "heun":
        raise ValueError(
            "the Heun method is not followed exactly; draw from it instead"
        )
    within("data_std", data_std, 0, ends=False)
    grid = grid_of(sampler, evaluations)
    start = (
        process.covariance(1.0)
        if process.count
        else process.std(1.0).reshape(1, 1) ** 2
    )
    if sampler in ("bridge", "matched"):
        maps = [
            _bridge_map(process, data_std, sampler, t, earlier)
            for t, earlier in pairwise(grid)
        ]
    else:
        maps = _equation_maps(process, data_std, sampler, grid)
    covariance = start.clone()
    for k, (matrix, added) in enumerate(maps, start=1):
        covariance = matrix @ covariance @ matrix.T
        if k < len(maps):
            covariance = covariance + added
    return float(covariance[0, 0])


def _equation_maps(
    process: FractionalProcess, data_std: float, sampler: str, grid: Tensor
) -> list[tuple[Tensor, Tensor]]:
    """Return the matrix of each Euler step and the covariance of its noise."""
    t, length = grid[:-1], -grid.diff()[:, None]
    size, share = 1 + process.count, 1.0 if sampler.endswith("sde") else 0.5
    # One batch entry per step: the columns of the unit matrix at that step's time.
    eyes = torch.eye(size, dtype=torch.float64)[:, None].expand(-1, len(t), -1)
    observed = process.observe(eyes, t)
    # At one time std is exact, at many it is interpolated.
    std = torch.stack([process.std(one) for one in t])
    total = (process.mean(t) * data_std) ** 2 + std**2
    score = process.state_score(-observed / total[:, None], eyes, t)
    pull = process.spread(process.gather(score, t), t)
    matrices = eyes - length * (process.drift(eyes, t) - share * pull)
    column = process.spread(torch.ones_like(length), t)  # (1 + K, steps, 1)
    noise = torch.einsum("ist,jst->sij", column, column) * length[..., None]
    if share != 1.0:
        noise = torch.zeros_like(noise)
    return list(zip(matrices.transpose(0, 1), noise, strict=True))


def _bridge_map(
    process: FractionalProcess,
    data_std: float,
    sampler: str,
    t: Tensor,
    earlier: Tensor,
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
