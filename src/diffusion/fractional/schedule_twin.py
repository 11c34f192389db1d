"""The ordinary process that a network cannot tell from a fractional one.

The observation of a fractional process is mean(t) x_0 + std(t) noise with noise that is
independent of the hidden numbers. A network is therefore trained on exactly what an
ordinary process with the same mean and std would show it. That process is the control
for every claim about memory: same schedule, same network, no hidden numbers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from src.common.diffusion.processes import Process, Time, as_time
from src.diffusion.fractional.process import FractionalProcess


@dataclass(frozen=True)
class ScheduleTwin(Process):
    """The process dX = f X dt + g dB with mean and std of another's observations.

    Its g^2 = d std^2 / dt - 2 f std^2 must not be negative, or the twin does not exist.

    Attributes:
        original: the fractional process whose schedule is taken.
    """

    original: FractionalProcess

    def __post_init__(self) -> None:
        """Reject a schedule that no ordinary process has.

        Raises:
            ValueError: if noise would have to be taken away at some time.
        """
        times = torch.linspace(1e-4, 1, 2001, dtype=torch.float64)
        if (self._squared_diffusion(times) < 0).any():
            raise ValueError(f"no ordinary process has the schedule of {self.original}")

    def mean(self, t: Time) -> Tensor:
        """Return the original's mean.

        Args:
            t: one time, or one per image (batch,).
        """
        return self.original.mean(t)

    def std(self, t: Time) -> Tensor:
        """Return the original's std.

        Args:
            t: one time, or one per image (batch,).
        """
        return self.original.std(t)

    def rate(self, t: Time) -> Tensor:
        """Return the original's rate.

        Args:
            t: one time, or one per image (batch,).
        """
        return self.original.rate(t)

    def diffusion(self, t: Time) -> Tensor:
        """Return the square root of d std^2 / dt - 2 f std^2.

        Args:
            t: one time, or one per image (batch,).
        """
        t = as_time(t)
        return (
            self._squared_diffusion(t.reshape(-1)).clamp(min=0).sqrt().reshape(t.shape)
        )

    def _squared_diffusion(self, times: Tensor) -> Tensor:
        """Differentiate the table of std; times (n,)."""
        with torch.enable_grad():
            times = times.detach().requires_grad_()
            variance = self.original.std(times) ** 2
            (slope,) = torch.autograd.grad(variance.sum(), times)
        return slope - 2 * self.rate(times.detach()) * variance.detach()
