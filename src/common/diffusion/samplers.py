"""Samplers: from noise at t = 1 to images at t = 0, with any score and any process.

Every sampler walks a state down a grid of times and returns the image in the last
state. Two equations have the marginals of the forward process dZ = F Z dt + G dB (Song
et al. 2021, arXiv 2011.13456, equations 6 and 13), run from t = 1 down to 0:

    dZ = [F Z - G G^T s] dt + G dB          the reverse-time equation,
    dZ = [F Z - G G^T s / 2] dt             the probability flow, which has no noise,

with s the score of the state. `euler_maruyama` follows the first, `probability_flow`
the second. `ancestral` instead guesses the clean image at every step and draws the
earlier state given it. To guide a sampler by an observation, pass it a guided score.

A sampler keeps no gradients; a score that needs autograd turns it on itself.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from src.common.checks import checked, floating
from src.common.diffusion.processes import Process, Score

Grid = Float[Tensor, " times"]
AfterStep = Callable[[Tensor, Tensor], None]
"""after_step(t, state): look at the state that a step has reached, at time t."""

_Step = Callable[[Tensor, Tensor, Tensor, bool], Tensor]


@checked
def time_grid(
    steps: int, first: float = 1.0, last: float = 0.0, floor: float | None = None
) -> Grid:
    """Return `steps` + 1 descending times (float64) from `first` to `last`.

    The times are equally spaced. With a `floor` the equal spacing ends there, after
    `steps` - 1 steps, and one more step leads from it to `last`.

    Args:
        steps: at least 1, or 2 with a floor.
        first: the largest time.
        last: the smallest time.
        floor: the time before the last step; None for equal steps.

    Raises:
        ValueError: too few steps, or times that do not descend from at most 1 to at
            least 0.

    Examples:
        >>> time_grid(4).tolist()
        [1.0, 0.75, 0.5, 0.25, 0.0]
        >>> time_grid(3, floor=0.5).tolist()
        [1.0, 0.75, 0.5, 0.0]
    """
    fewest = 1 if floor is None else 2
    if steps < fewest:
        raise ValueError(f"steps must be at least {fewest}, not {steps}")
    if floor is None:
        return _checked(torch.linspace(first, last, steps + 1, dtype=torch.float64))
    regular = torch.linspace(first, floor, steps, dtype=torch.float64)
    return _checked(torch.cat((regular, regular.new_tensor([last]))))


@checked
def euler_maruyama(
    process: Process,
    score: Score,
    state: Tensor,
    grid: Grid,
    generator: torch.Generator,
    after_step: AfterStep | None = None,
) -> Tensor:
    """Follow the reverse-time equation by the Euler-Maruyama method.

    The last step adds no noise: what it would add is noise in the image. The score is
    evaluated at every time of the grid but the last.

    Args:
        process: the forward process.
        score: the score of the noisy image, score(u, t) with t a 0-dim float64 tensor.
        state: states at the first time of the grid, from `process.start`.
        grid: (steps + 1,) descending times, see `time_grid`.
        generator: source of the noise, on the device of the state.
        after_step: called after each step.

    Returns:
        Images (batch, ...).

    Raises:
        ValueError: times that do not descend within [0, 1], or a score of another shape
            than the noisy image.
    """

    def step(state: Tensor, t: Tensor, earlier: Tensor, last: bool) -> Tensor:
        return _reverse_step(
            process, score, state, t, earlier, None if last else generator
        )

    return _walk(process, state, grid, step, after_step)


@checked
def probability_flow(
    process: Process,
    score: Score,
    state: Tensor,
    grid: Grid,
    method: str = "heun",
    after_step: AfterStep | None = None,
) -> Tensor:
    """Follow the probability flow; the result depends on `state` only.

    Args:
        process: the forward process.
        score: the score of the noisy image, as for `euler_maruyama`.
        state: states at the first time of the grid, from `process.start`.
        grid: (steps + 1,) descending times, see `time_grid`.
        method: "heun" (trapezoid, error of second order, two scores per step) or
            "euler" (first order, one score). Heun's last step is an Euler step where it
            ends at t = 0, because no score exists there; one such step leaves the order
            as it is.
        after_step: called after each step.

    Returns:
        Images (batch, ...).

    Raises:
        ValueError: times that do not descend within [0, 1], a score of another shape
            than the noisy image, or an unknown method.
    """
    if method not in ("heun", "euler"):
        raise ValueError(f"method must be 'heun' or 'euler', not {method!r}")

    def step(state: Tensor, t: Tensor, earlier: Tensor, last: bool) -> Tensor:
        size = (t - earlier).item()
        slope = _velocity(process, score, state, t, 0.5)
        reached = state - size * slope
        if method == "euler" or (last and earlier == 0):
            return reached
        return state - 0.5 * size * (
            slope + _velocity(process, score, reached, earlier, 0.5)
        )

    return _walk(process, state, grid, step, after_step)


@checked
def ancestral(
    process: Process,
    score: Score,
    state: Tensor,
    grid: Grid,
    generator: torch.Generator,
    after_step: AfterStep | None = None,
) -> Tensor:
    """Denoise, draw the earlier state given the denoised image, and repeat.

    For a variance-preserving process these are the steps of DDPM, for a
    variance-exploding one those of SMLD (see `Process.bridge`). The last step returns
    the mean of its draw: where the grid ends at 0 and std(0) = 0, that is the denoised
    image.

    Args:
        process: the forward process.
        score: the score of the noisy image, as for `euler_maruyama`.
        state: states at the first time of the grid, from `process.start`.
        grid: (steps + 1,) descending times, see `time_grid`.
        generator: source of the noise, on the device of the state.
        after_step: called after each step.

    Returns:
        Images (batch, ...).

    Raises:
        ValueError: times that do not descend within [0, 1], or a score of another shape
            than the noisy image.

    Examples:
        >>> from src.common.diffusion.gaussian_mixture import GaussianMixture
        >>> from src.common.diffusion.processes import LinearVP
        >>> process, generator = LinearVP(), torch.Generator().manual_seed(0)
        >>> data = GaussianMixture.isotropic(torch.tensor([[3.0]]), variance=0.0)
        >>> score, start = data.score_under(process), process.start((2, 1), generator)
        >>> ancestral(process, score, start, time_grid(20), generator).round()
        tensor([[3.],
                [3.]])
    """

    def step(state: Tensor, t: Tensor, earlier: Tensor, last: bool) -> Tensor:
        observed = process.observe(state, t)
        denoised = process.denoised(observed, score_at(score, observed, t), t)
        noise = torch.zeros_like(state) if last else _noise(state, generator)
        return process.bridge(state, denoised, t, earlier, noise)

    return _walk(process, state, grid, step, after_step)


def score_at(score: Score, observed: Tensor, t: Tensor) -> Tensor:
    """Return the score of noisy images, which must have their shape.

    Args:
        score: called (noisy images, time).
        observed: noisy images (batch, ...).
        t: their time.

    Raises:
        ValueError: for another shape, which would be broadcast in silence.
    """
    found = score(observed, t)
    if found.shape != observed.shape:
        raise ValueError(
            f"the score must have the shape of the noisy images, "
            f"{tuple(observed.shape)}, not {tuple(found.shape)}"
        )
    return found


def _reverse_step(
    process: Process,
    score: Score,
    state: Tensor,
    t: Tensor,
    earlier: Tensor,
    generator: torch.Generator | None,
) -> Tensor:
    """Take one step of the reverse-time equation, or without a generator its mean."""
    size = (t - earlier).item()
    mean = state - size * _velocity(process, score, state, t, 1.0)
    if generator is None:
        return mean
    # One number per pixel, however many hidden numbers the state has.
    noise = _noise(process.image(state), generator)
    return mean + size**0.5 * process.spread(noise, t)


def _velocity(
    process: Process, score: Score, state: Tensor, t: Tensor, share: float
) -> Tensor:
    """Return F Z - share G G^T s: G has one column per pixel, so G^T s comes first."""
    of_image = score_at(score, process.observe(state, t), t)
    of_state = process.state_score(of_image, state, t)
    pull = process.spread(process.gather(of_state, t), t)
    return process.drift(state, t) - share * pull


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw standard normal numbers in the shape, type and device of `like`."""
    return torch.randn(
        like.shape, generator=generator, dtype=like.dtype, device=like.device
    )


def _walk(
    process: Process,
    state: Tensor,
    grid: Grid,
    step: _Step,
    after_step: AfterStep | None,
) -> Tensor:
    """Take one step between neighbouring times; return the image in the last state."""
    floating("state", state)
    times = descending(grid.to(device="cpu", dtype=torch.float64))
    final = len(times) - 2
    with torch.no_grad():
        for k in range(final + 1):
            state = step(state, times[k], times[k + 1], k == final)
            if after_step is not None:
                after_step(times[k + 1], state)
    return process.image(state)


def _checked(grid: Grid) -> Grid:
    """Return the grid if its times descend within [0, 1]."""
    if not 0 <= float(grid.min()) <= float(grid.max()) <= 1:
        raise ValueError(
            f"the times of a grid lie in [0, 1], not {grid.tolist()}: divide steps by "
            "their number (often 1000)"
        )
    return descending(grid)


def descending(grid: Grid) -> Grid:
    """Return the grid if its times descend.

    They may end below 0: no score is evaluated at the last time, and some published
    samplers step beyond 0. A process refuses all other times outside [0, 1].

    Args:
        grid: (steps + 1,) times.

    Raises:
        ValueError: for times that do not descend, or fewer than two.
    """
    if len(grid) < 2 or not bool((grid[1:] < grid[:-1]).all()):
        raise ValueError(f"the times of a grid must descend, not {grid.tolist()}")
    return grid
