"""Samplers: from noise at t = 1 to images at t = 0, with any score and any forward process.

Every sampler walks a state down a grid of times and returns the image in the last state. Two
equations have the marginals of the forward process dZ = F Z dt + G dB (Song et al. 2021,
arXiv 2011.13456, equations 6 and 13), run from t = 1 down to 0:

    dZ = [F Z - G G^T s] dt + G dB          the reverse-time equation,
    dZ = [F Z - G G^T s / 2] dt             the probability flow, which has no noise,

with s the score of the state. `euler_maruyama` and `predictor_corrector` follow the first,
`probability_flow` the second. `ancestral` and `ddim` instead guess the clean image at every step
and draw the earlier state given it. To guide a sampler by an observation, pass it a guided score.

A sampler keeps no gradients; a score that needs autograd turns it on itself.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from src.common.diffusion.processes import Process, Score

Grid = Float[Tensor, " times"]
AfterStep = Callable[[Tensor, Tensor], None]
"""after_step(t, state): look at the state that a step has reached, at time t."""

_Step = Callable[[Tensor, Tensor, Tensor, bool], Tensor]


def time_grid(
    steps: int, first: float = 1.0, last: float = 0.0, floor: float | None = None
) -> Grid:
    """Return `steps` + 1 descending times (float64) from `first` to `last`.

    The times are equally spaced. With a `floor` the equal spacing ends there, after `steps` - 1
    steps, and one more step leads from it to `last`.

    Raises:
        ValueError: too few steps, or times that do not descend.
    """
    fewest = 1 if floor is None else 2
    if steps < fewest:
        raise ValueError(f"steps must be at least {fewest}, not {steps}")
    if floor is None:
        return _checked(torch.linspace(first, last, steps + 1, dtype=torch.float64))
    regular = torch.linspace(first, floor, steps, dtype=torch.float64)
    return _checked(torch.cat((regular, regular.new_tensor([last]))))


def euler_maruyama(
    process: Process,
    score: Score,
    state: Tensor,
    grid: Grid,
    generator: torch.Generator,
    after_step: AfterStep | None = None,
) -> Tensor:
    """Follow the reverse-time equation by the Euler-Maruyama method; return images (batch, ...).

    The last step adds no noise: what it would add is noise in the image. The score is evaluated
    at every time of the grid but the last.

    Args:
        process: the forward process.
        score: the score of the noisy image, score(u, t) with t a 0-dim float64 tensor.
        state: states at the first time of the grid, from `process.start`.
        grid: (steps + 1,) descending times, see `time_grid`.
        generator: source of the noise, on the device of the state.
        after_step: called after each step.

    Raises:
        ValueError: times that do not descend.
    """

    def step(state: Tensor, t: Tensor, earlier: Tensor, last: bool) -> Tensor:
        return _reverse_step(process, score, state, t, earlier, None if last else generator)

    return _walk(process, state, grid, step, after_step)


def predictor_corrector(
    process: Process,
    score: Score,
    state: Tensor,
    grid: Grid,
    generator: torch.Generator,
    corrections: int = 1,
    snr: float = 0.16,
    after_step: AfterStep | None = None,
) -> Tensor:
    """Alternate Langevin steps and reverse-time steps; return images (batch, ...).

    A Langevin step at fixed t, Z + size s + sqrt(2 size) z, keeps the law of Z_t and so repairs
    what the reverse-time steps before it did wrong. Its size is 2 r (snr |z| / |s|)^2, with r the
    square of mean(t) / mean(earlier) (Song et al. 2021, algorithms 4 and 5: r is their alpha for
    a variance-preserving process, 1 for a variance-exploding one). As in their definition the
    norms are means over the batch: in few dimensions the score of a single sample comes close
    to 0, and a size of its own would throw that sample far away.

    Args:
        process, score, state, grid, generator, after_step: as for `euler_maruyama`.
        corrections: Langevin steps before each reverse-time step, each with one more score.
        snr: ratio of the norms of the step along the score and of its noise, up to constants.

    Raises:
        ValueError: times that do not descend, corrections below 0, an snr that is not positive.
    """
    if corrections < 0 or snr <= 0:
        raise ValueError(f"need corrections >= 0 and snr > 0, not {corrections} and {snr}")

    def step(state: Tensor, t: Tensor, earlier: Tensor, last: bool) -> Tensor:
        ratio = (process.mean(t) / process.mean(earlier)).square().item()
        for _ in range(corrections):
            state = _langevin_step(process, score, state, t, snr * ratio**0.5, generator)
        return _reverse_step(process, score, state, t, earlier, None if last else generator)

    return _walk(process, state, grid, step, after_step)


def probability_flow(
    process: Process,
    score: Score,
    state: Tensor,
    grid: Grid,
    method: str = "heun",
    after_step: AfterStep | None = None,
) -> Tensor:
    """Follow the probability flow; return images (batch, ...). The result depends on `state` only.

    Args:
        process, score, state, grid, after_step: as for `euler_maruyama`.
        method: "heun" (trapezoid, error of second order, two scores a step) or "euler" (first
            order, one score). Heun's last step is an Euler step where it ends at t = 0, because
            no score exists there; one such step leaves the order as it is.

    Raises:
        ValueError: times that do not descend, an unknown method.
    """
    if method not in ("heun", "euler"):
        raise ValueError(f"method must be 'heun' or 'euler', not {method!r}")

    def step(state: Tensor, t: Tensor, earlier: Tensor, last: bool) -> Tensor:
        size = (t - earlier).item()
        slope = _velocity(process, score, state, t, 0.5)
        reached = state - size * slope
        if method == "euler" or (last and earlier == 0):
            return reached
        return state - 0.5 * size * (slope + _velocity(process, score, reached, earlier, 0.5))

    return _walk(process, state, grid, step, after_step)


def ancestral(
    process: Process,
    score: Score,
    state: Tensor,
    grid: Grid,
    generator: torch.Generator,
    after_step: AfterStep | None = None,
) -> Tensor:
    """Denoise, draw the earlier state given the denoised image, repeat; return images (batch, ...).

    For a variance-preserving process these are the steps of DDPM, for a variance-exploding one
    those of SMLD (see `Process.bridge`). The last step returns the mean of its draw: where the
    grid ends at 0 and std(0) = 0, that is the denoised image.

    Args:
        process, score, state, grid, generator, after_step: as for `euler_maruyama`.

    Raises:
        ValueError: times that do not descend.
    """

    def step(state: Tensor, t: Tensor, earlier: Tensor, last: bool) -> Tensor:
        observed = process.observe(state, t)
        denoised = process.denoised(observed, score(observed, t), t)
        noise = torch.zeros_like(state) if last else _noise(state, generator)
        return process.bridge(state, denoised, t, earlier, noise)

    return _walk(process, state, grid, step, after_step)


def ddim(
    process: Process,
    score: Score,
    state: Tensor,
    grid: Grid,
    generator: torch.Generator,
    eta: float = 0.0,
    after_step: AfterStep | None = None,
) -> Tensor:
    """Keep part of the predicted noise at every step; return images (batch, ...).

    With x_0 the denoised image and e the noise it leaves, a step to the time s goes to
    mean(s) x_0 + sqrt(std(s)^2 - c^2) e + c z, where c is `eta` times the standard deviation of
    the bridge (Song et al. 2021, arXiv 2010.02502, equations 12 and 16). The last step leaves c z
    out. `eta` = 1 is `ancestral`; `eta` = 0 draws no noise, and as the steps shrink it becomes
    the probability flow.

    Args:
        process: a process whose state is the noisy image.
        score, state, grid, generator, after_step: as for `euler_maruyama`.
        eta: share of fresh noise, from 0 to 1.

    Raises:
        ValueError: times that do not descend, eta outside [0, 1], a process with hidden numbers.
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"eta must be between 0 and 1, not {eta}")
    if process.observe(state, grid[0]).shape != state.shape:
        raise ValueError("ddim needs a process whose state is the noisy image: use ancestral")

    def step(state: Tensor, t: Tensor, earlier: Tensor, last: bool) -> Tensor:
        values = score(state, t)
        denoised, spread = process.denoised(state, values, t), process.bridge_factors(t, earlier)[2]
        kept = (process.std(earlier) ** 2 - (eta * spread) ** 2).clamp(min=0).sqrt()
        # The predicted noise is -std score.
        mean = process.mean(earlier).item() * denoised - (kept * process.std(t)).item() * values
        return mean if last or eta == 0 else mean + eta * spread.item() * _noise(mean, generator)

    return _walk(process, state, grid, step, after_step)


def _reverse_step(
    process: Process,
    score: Score,
    state: Tensor,
    t: Tensor,
    earlier: Tensor,
    generator: torch.Generator | None,
) -> Tensor:
    """Take one step of the reverse-time equation; without a generator, only its mean."""
    size = (t - earlier).item()
    mean = state - size * _velocity(process, score, state, t, 1.0)
    if generator is None:
        return mean
    # One number a pixel, however many hidden numbers the state has.
    noise = _noise(process.image(state), generator)
    return mean + size**0.5 * process.spread(noise, t)


def _langevin_step(
    process: Process,
    score: Score,
    state: Tensor,
    t: Tensor,
    snr: float,
    generator: torch.Generator,
) -> Tensor:
    """Take one Langevin step at fixed t."""
    observed = process.observe(state, t)
    slope = process.state_score(score(observed, t), state, t)
    noise = _noise(state, generator)
    batch_axis = state.dim() - observed.dim()
    norms = [v.movedim(batch_axis, 0).flatten(1).norm(dim=1).mean() for v in (noise, slope)]
    size = 2 * (snr * norms[0] / norms[1]) ** 2
    return state + size * slope + (2 * size).sqrt() * noise


def _velocity(process: Process, score: Score, state: Tensor, t: Tensor, share: float) -> Tensor:
    """Return F Z - share G G^T s: G has one column a pixel, so that G^T s comes first."""
    of_state = process.state_score(score(process.observe(state, t), t), state, t)
    pull = process.spread(process.gather(of_state, t), t)
    return process.drift(state, t) - share * pull


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw standard normal numbers in the shape, type and device of `like`."""
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)


def _walk(
    process: Process, state: Tensor, grid: Grid, step: _Step, after_step: AfterStep | None
) -> Tensor:
    """Take one step between each two neighbours of the grid; return the image in the last state."""
    times = _checked(grid.to(device="cpu", dtype=torch.float64))
    final = len(times) - 2
    with torch.no_grad():
        for k in range(final + 1):
            state = step(state, times[k], times[k + 1], k == final)
            if after_step is not None:
                after_step(times[k + 1], state)
    return process.image(state)


def _checked(grid: Grid) -> Grid:
    """Return the grid if its times descend."""
    if len(grid) < 2 or not bool((grid[1:] < grid[:-1]).all()):
        raise ValueError(f"the times of a grid must descend, not {grid.tolist()}")
    return grid
