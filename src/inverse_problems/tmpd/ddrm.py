"""DDRM (Kawar et al., NeurIPS 2022, arXiv 2201.11793): along the singular vectors of H.

With H = U S V^T and an image rescaled to x / mean(t), so that its noise has standard
deviation n_t = std(t) / mean(t) (the variance-exploding scale), each coefficient of
V^T x is denoised on its own. A coefficient with singular value s is observed as S^+ U^T
y with noise sigma / s. Where the sampler's noise is still larger than that, the step
draws around the observed value; where it is smaller, around the denoised one, moved a
little towards the observed one; a coefficient that is not observed takes a step of
DDIM. No derivative of the score is needed.
"""

from math import prod, sqrt

import torch
from jaxtyping import Float
from torch import Tensor

from src.common.checks import checked, within
from src.common.diffusion.processes import Process, Score
from src.common.diffusion.samplers import descending, score_at
from src.common.images.operators import CUTOFF, LinearOperator


@checked
def ddrm(
    process: Process,
    score: Score,
    operator: LinearOperator,
    y: Tensor,
    sigma: float,
    state: Float[Tensor, "batch ..."],
    grid: Float[Tensor, " times"],
    generator: torch.Generator,
    *,
    eta: float = 0.85,
    eta_seen: float = 1.0,
) -> Float[Tensor, "batch ..."]:
    """Draw images given y by DDRM (its equations 4 and 5).

    Args:
        process: one whose state is the noisy image.
        score: of the noisy images of the prior.
        operator: H, with its spectral maps.
        y: observations, (batch, *observation) or (*observation).
        sigma: standard deviation of the observation's noise, at least 0.
        state: noisy images at the first time, from `process.start`; the observed
            coefficients are replaced by a draw around what y says about them.
        grid: descending times of any spacing; the last step adds no noise.
        generator: source of the noise, on the device of the state.
        eta: of the unobserved coefficients and those with little noise, in [0, 1]; the
            default is the paper's value.
        eta_seen: the paper's eta_b, in [0, 1].

    Returns:
        One image per row of the state, (batch, *image).

    Raises:
        ValueError: for numbers out of range, times that do not descend within [0, 1], a
            process whose state is more than the image, or a y or a score that does not
            fit.

    Examples:
        >>> from src.common.diffusion.processes import LinearVP
        >>> from src.common.diffusion.samplers import time_grid
        >>> from src.common.images.operators import MatrixOperator
        >>> process, first = LinearVP(), MatrixOperator(torch.tensor([[1.0, 0.0]]))
        >>> generator = torch.Generator().manual_seed(0)
        >>> state = process.start((3, 2), generator, torch.float64)
        >>> known = (process, lambda u, t: -u, first, torch.tensor([2.0]).double(), 0.0)
        >>> drawn = ddrm(*known, state, time_grid(20), generator)
        >>> drawn[:, 0].round(decimals=6).tolist()  # observed without noise
        [2.0, 2.0, 2.0]
    """
    within("sigma", sigma, 0)
    within("eta", eta, 0, 1)
    within("eta_seen", eta_seen, 0, 1)
    if process.image(state).shape != state.shape:
        raise ValueError("DDRM needs a process whose state is the noisy image itself")
    times = descending(grid.to(device="cpu", dtype=torch.float64))
    levels = process.std(times) / process.mean(times)
    with torch.no_grad():
        target = _Target.of(operator, y, sigma, state)
        scale = process.mean(times[0]).item()
        current = target.first(operator.V_adjoint(state / scale), levels[0].item())
        for k in range(len(times) - 1):
            u = process.mean(times[k]).item() * operator.V(current)
            clean = process.denoised(u, score_at(score, u, times[k]), times[k])
            last = k == len(times) - 2
            noise = torch.randn(
                current.shape,
                generator=generator,
                dtype=current.dtype,
                device=current.device,
            )
            noise = torch.zeros_like(noise) if last else noise
            before, after = levels[k].item(), levels[k + 1].item()
            guess = operator.V_adjoint(clean)
            current = target.step(current, guess, noise, before, after, eta, eta_seen)
        return process.mean(times[-1]).item() * operator.V(current)


class _Target:
    """What the observation says of each coefficient: a value with noise, or nothing."""

    def __init__(self, value: Tensor, noise: Tensor) -> None:
        self.value, self.noise = value, noise

    @classmethod
    def of(
        cls, operator: LinearOperator, y: Tensor, sigma: float, like: Tensor
    ) -> "_Target":
        """Return S^+ U^T y (batch, dim) and its noise, infinite where it is unseen."""
        y = operator.observations(y, len(like))
        singular = operator.singular_values().to(like)
        seen = singular > CUTOFF * singular.max()
        inverse = torch.where(seen, 1 / torch.where(seen, singular, 1.0), 0.0)
        noise = torch.where(seen, sigma * inverse, torch.inf)
        missing = prod(operator.image_shape) - singular.shape[-1]
        pad = torch.nn.functional.pad
        value = pad(operator.U_adjoint(y) * inverse, (0, missing))
        return cls(value, pad(noise, (0, missing), value=torch.inf))

    def first(self, current: Tensor, level: float) -> Tensor:
        """Return coefficients with noise `level`, around what is observed."""
        spread = (level**2 - self.noise**2).clamp(min=0).sqrt()
        drawn = self.value + spread / level * current
        return torch.where(self.noise <= level, drawn, current)

    def step(
        self,
        current: Tensor,
        guess: Tensor,
        noise: Tensor,
        before: float,
        after: float,
        eta: float,
        eta_seen: float,
    ) -> Tensor:
        """Return coefficients with noise `after`, given those with noise `before`."""
        kept = sqrt(1 - eta**2)
        unseen = guess + kept * after * (current - guess) / before + eta * after * noise
        known = torch.where(self.noise > 0, self.noise, 1.0)
        near = guess + kept * after * (self.value - guess) / known + eta * after * noise
        spread = (after**2 - (eta_seen * self.noise) ** 2).clamp(min=0).sqrt()
        far = (1 - eta_seen) * guess + eta_seen * self.value + spread * noise
        seen = torch.where(self.noise <= after, far, near)
        return torch.where(self.noise == torch.inf, unseen, seen)
