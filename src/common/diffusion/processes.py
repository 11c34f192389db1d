"""The usual forward processes: variance-preserving and variance-exploding ones.

See `src.common.diffusion.process` for what a process is.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from src.common.diffusion.process import Process, Score, Time, as_time, per_image

__all__ = [
    "LinearVP",
    "Process",
    "Score",
    "SubVP",
    "Time",
    "VarianceExploding",
    "VariancePreserving",
    "as_time",
    "per_image",
]


class VariancePreserving(Process):
    """dX = -beta(t)/2 X dt + sqrt(beta(t)) dB: data of variance 1 keep it.

    The continuous limit of DDPM (Song et al. 2021).
    """

    @abstractmethod
    def beta(self, t: Time) -> Tensor:
        """Return the rate at which variance is exchanged for noise; shape of t.

        Args:
            t: times in [0, 1].
        """

    @abstractmethod
    def log_mean(self, t: Time) -> Tensor:
        """Return -1/2 times the integral of beta from 0 to t; shape of t.

        Args:
            t: times in [0, 1].
        """

    def mean(self, t: Time) -> Tensor:
        """Return exp(log_mean(t)).

        Args:
            t: times in [0, 1].
        """
        return self.log_mean(t).exp()

    def std(self, t: Time) -> Tensor:
        """Return sqrt(1 - mean^2), without cancellation near t = 0.

        Args:
            t: times in [0, 1].
        """
        return (-torch.expm1(2 * self.log_mean(t))).sqrt()

    def rate(self, t: Time) -> Tensor:
        """Return -beta/2.

        Args:
            t: times in [0, 1].
        """
        return -0.5 * self.beta(t)

    def diffusion(self, t: Time) -> Tensor:
        """Return sqrt(beta).

        Args:
            t: times in [0, 1].
        """
        return self.beta(t).sqrt()


@dataclass(frozen=True)
class LinearVP(VariancePreserving):
    """The variance-preserving process with beta growing linearly, the usual choice.

    Attributes:
        beta_min: beta at t = 0, positive.
        beta_max: beta at t = 1, at least `beta_min`.

    Examples:
        >>> process = LinearVP()
        >>> round(process.mean(1.0).item(), 3), round(process.std(1.0).item(), 3)
        (0.007, 1.0)
        >>> clean, noise = torch.zeros(2, 1, 8, 8), torch.randn(2, 1, 8, 8)
        >>> process.noisy(clean, torch.tensor([0.1, 0.9]), noise).shape
        torch.Size([2, 1, 8, 8])
    """

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        """Reject a schedule that does not add noise.

        Raises:
            ValueError: unless 0 < beta_min <= beta_max.
        """
        if not 0 < self.beta_min <= self.beta_max:
            raise ValueError(
                f"need 0 < beta_min <= beta_max, not {self.beta_min} "
                f"and {self.beta_max}"
            )

    def beta(self, t: Time) -> Tensor:
        """Return beta_min + t (beta_max - beta_min).

        Args:
            t: times in [0, 1].
        """
        return self.beta_min + as_time(t) * (self.beta_max - self.beta_min)

    def log_mean(self, t: Time) -> Tensor:
        """Return -t beta_min / 2 - t^2 (beta_max - beta_min) / 4.

        Args:
            t: times in [0, 1].
        """
        t = as_time(t)
        return -0.5 * t * self.beta_min - 0.25 * t**2 * (self.beta_max - self.beta_min)


@dataclass(frozen=True)
class SubVP(LinearVP):
    """The sub-variance-preserving process (Song et al. 2021): LinearVP with less noise.

    Attributes:
        beta_min: as for `LinearVP`.
        beta_max: as for `LinearVP`.
    """

    def std(self, t: Time) -> Tensor:
        """Return 1 - mean^2, the variance that LinearVP has.

        Args:
            t: times in [0, 1].
        """
        return -torch.expm1(2 * self.log_mean(t))

    def diffusion(self, t: Time) -> Tensor:
        """Return sqrt(beta (1 - mean^4)).

        Args:
            t: times in [0, 1].
        """
        return (-self.beta(t) * torch.expm1(4 * self.log_mean(t))).sqrt()


@dataclass(frozen=True)
class VarianceExploding(Process):
    """dX = g(t) dB with a standard deviation that grows geometrically.

    The process of SMLD (Song et al. 2021). The noise at t = 0 is `sigma_min`, not 0: it
    stands for the noise of the data.

    Attributes:
        sigma_min: standard deviation at t = 0, positive.
        sigma_max: standard deviation at t = 1, greater than `sigma_min`.

    Examples:
        >>> process = VarianceExploding(sigma_min=0.01, sigma_max=100.0)
        >>> [round(process.std(t).item(), 3) for t in (0.0, 0.5, 1.0)]
        [0.01, 1.0, 100.0]
    """

    sigma_min: float = 0.01
    sigma_max: float = 50.0

    def __post_init__(self) -> None:
        """Reject a schedule that does not grow.

        Raises:
            ValueError: unless 0 < sigma_min < sigma_max.
        """
        if not 0 < self.sigma_min < self.sigma_max:
            raise ValueError(
                f"need 0 < sigma_min < sigma_max, not {self.sigma_min} "
                f"and {self.sigma_max}"
            )

    def mean(self, t: Time) -> Tensor:
        """Return 1: the image is never shrunk.

        Args:
            t: times in [0, 1].
        """
        return torch.ones_like(as_time(t))

    def std(self, t: Time) -> Tensor:
        """Return sigma_min (sigma_max / sigma_min)^t.

        Args:
            t: times in [0, 1].
        """
        return self.sigma_min * (as_time(t) * self._log_ratio).exp()

    def rate(self, t: Time) -> Tensor:
        """Return 0.

        Args:
            t: times in [0, 1].
        """
        return torch.zeros_like(as_time(t))

    def diffusion(self, t: Time) -> Tensor:
        """Return std(t) sqrt(2 log(sigma_max / sigma_min)): then d std^2 / dt = g^2.

        Args:
            t: times in [0, 1].
        """
        return self.std(t) * math.sqrt(2 * self._log_ratio)

    @property
    def _log_ratio(self) -> float:
        return math.log(self.sigma_max / self.sigma_min)
