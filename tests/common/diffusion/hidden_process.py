"""A process with one hidden number for each pixel, whose every law is a 2 x 2 Gaussian."""

from dataclasses import dataclass

import torch
from torch import Tensor

from src.common.diffusion.processes import Process, Time, as_time

# dX = (-4 X + 3 Y) dt + 1.5 dB and dY = -3 Y dt + dB with the same Brownian motion, Y_0 random
# with the variance that it keeps: the noise that moves the image X is partly remembered in Y.
FLOW = torch.tensor([[-4.0, 3.0], [0.0, -3.0]], dtype=torch.float64)
NOISE = torch.tensor([1.5, 1.0], dtype=torch.float64)
START = torch.diag(torch.tensor([0.0, 1 / 6], dtype=torch.float64))


@dataclass(frozen=True)
class ColouredNoise(Process):
    """The state is (X, Y), shape (2, batch, *image); Y does not depend on the image x_0.

    Given x_0, X - alpha Y with alpha = Cov(X, Y) / Var(Y) is independent of Y: it is the noisy
    image, and its score gives the score of the state by the chain rule.
    """

    def covariance(self, t: Time) -> Tensor:
        """Return Cov(Z_t | x_0) (2, 2), by Van Loan's matrix exponential."""
        zero = torch.zeros_like(FLOW)
        rows = [
            torch.cat((-FLOW, torch.outer(NOISE, NOISE)), 1),
            torch.cat((zero, FLOW.T), 1),
        ]
        big = torch.linalg.matrix_exp(torch.cat(rows) * as_time(t))
        moved = big[2:, 2:].T
        return moved @ big[:2, 2:] + moved @ START @ moved.T

    def mean(self, t: Time) -> Tensor:
        return (FLOW[0, 0] * as_time(t)).exp()

    def std(self, t: Time) -> Tensor:
        cov = self.covariance(t)
        return (cov[0, 0] - cov[0, 1] ** 2 / cov[1, 1]).clamp(min=0).sqrt()

    def rate(self, t: Time) -> Tensor:
        return FLOW[0, 0].expand(as_time(t).shape)

    def diffusion(self, t: Time) -> Tensor:
        return NOISE[0].expand(as_time(t).shape)

    def observe(self, state: Tensor, t: Time) -> Tensor:
        return state[0] - self._alpha(t) * state[1]

    def state_score(self, score: Tensor, state: Tensor, t: Time) -> Tensor:
        hidden = -self._alpha(t) * score - state[1] / self.covariance(t)[1, 1].item()
        return torch.stack((score, hidden))

    def image(self, state: Tensor) -> Tensor:
        return state[0]

    def start(self, shape, generator, dtype=None) -> Tensor:
        noise = torch.randn((2, *shape), generator=generator, dtype=dtype)
        return _mix(torch.linalg.cholesky(self.covariance(1.0)), noise)

    def drift(self, state: Tensor, t: Time) -> Tensor:
        return _mix(FLOW, state)

    def spread(self, noise: Tensor, t: Time) -> Tensor:
        return torch.stack((NOISE[0].item() * noise, NOISE[1].item() * noise))

    def gather(self, score: Tensor, t: Time) -> Tensor:
        return NOISE[0].item() * score[0] + NOISE[1].item() * score[1]

    def bridge(self, state, denoised, t, earlier, noise) -> Tensor:
        before, now = self.covariance(earlier), self.covariance(t)
        moved = torch.linalg.matrix_exp(FLOW * (as_time(t) - as_time(earlier)))
        gain = before @ moved.T @ torch.linalg.inv(now)
        left = before - gain @ moved @ before
        values, vectors = torch.linalg.eigh(0.5 * (left + left.T))
        root = vectors * values.clamp(min=0).sqrt()
        clean = torch.stack((denoised, torch.zeros_like(denoised)))
        surprise = state - self.mean(t).item() * clean
        return self.mean(earlier).item() * clean + _mix(gain, surprise) + _mix(root, noise)

    def _alpha(self, t: Time) -> float:
        cov = self.covariance(t)
        return (cov[0, 1] / cov[1, 1]).item()


def _mix(matrix: Tensor, state: Tensor) -> Tensor:
    """Multiply the two numbers of every pixel by a 2 x 2 matrix."""
    return torch.einsum("ij,j...->i...", matrix.to(state), state)
