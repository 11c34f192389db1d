"""What a root of Cov(Z_t) gives a sampler, and arithmetic on states (X, Y^1 .. Y^K)."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from src.common.checks import floating
from src.diffusion.fractional.steps import NODES, RootTable, triangular


@dataclass(frozen=True)
class Coefficients:
    """What sampling needs at one time.

    Attributes:
        observer: (1, 1 + K), takes Z to u: (1, -alpha).
        scorer: (1 + K, 1 + K), takes (score of u, Y) to the score of Z.
        std: of X given Y.
        root: (1 + K, 1 + K), a square root of Cov(Z).
    """

    observer: Tensor
    scorer: Tensor
    std: Tensor
    root: Tensor


def coefficients(roots: np.ndarray) -> list[Coefficients]:
    """Triangularise with Y before X: the last diagonal entry is std(X | Y).

    Args:
        roots: (times, 1 + K, 1 + K), square roots of Cov(Z).

    Returns:
        One entry per time.
    """
    lower = torch.from_numpy(triangular(np.roll(roots, -1, axis=1)).copy())
    of_hidden, of_image = lower[:, :-1, :-1], lower[:, -1]
    eye = torch.eye(roots.shape[-1], dtype=torch.float64)
    inverse = torch.linalg.solve_triangular(of_hidden, eye[1:, 1:], upper=False)
    alpha = inverse.mT @ of_image[:, :-1, None]
    observer = torch.cat([torch.ones_like(alpha[:, :1]), -alpha], 1).mT
    below = torch.cat([-alpha, -inverse.mT @ inverse], 2)
    scorer = torch.cat([eye[:1].expand(len(roots), 1, -1), below], 1)
    parts = observer, scorer, of_image[:, -1], torch.from_numpy(roots)
    return [Coefficients(*of_time) for of_time in zip(*parts, strict=True)]


class StdTable:
    """std(X | Y) at many times: cubic splines of log(std^2 / (t + first)) in log(t)."""

    def __init__(
        self, table: RootTable, roots: np.ndarray, first: float, slope: float
    ) -> None:
        """Fit the splines.

        Args:
            table: whose times are the nodes.
            roots: of Cov(Z) at these times, (times, 1 + K, 1 + K).
            first: the variance at t = 0.
            slope: of the variance at t = 0.
        """
        self.smallest, self.rate, self.first = table.smallest, table.rate, first
        variance = triangular(np.roll(roots, -1, axis=-2))[1:, -1, -1] ** 2
        limit = 0.0 if first else np.log(slope)
        values = np.concatenate([[limit], np.log(variance / (table.times[1:] + first))])
        self.cubic = torch.from_numpy(CubicSpline(np.arange(len(values)), values).c)

    def __call__(self, t: Tensor) -> Tensor:
        """Return the interpolated standard deviations, in the shape of the times.

        Args:
            t: in [0, 1].
        """
        place = torch.log1p(t / self.smallest) / self.rate
        index = place.long().clamp(0, NODES - 1)
        cubic = self.cubic.to(t.device)[:, index]
        x = place - index
        logarithm = ((cubic[0] * x + cubic[1]) * x + cubic[2]) * x + cubic[3]
        return ((t + self.first) * logarithm.exp()).sqrt()


def mix(matrix: Tensor, state: Tensor) -> Tensor:
    """Multiply the leading dimension of a state by a matrix.

    Args:
        matrix: (m, n); a third dimension, (m, n, batch), gives each image its own.
        state: (n, batch, ...).

    Returns:
        The product (m, batch, ...).
    """
    matrix = matrix.to(dtype=state.dtype, device=state.device)
    if matrix.dim() == 2:
        return torch.tensordot(matrix, state, dims=1)
    return torch.einsum("mnb,nb...->mb...", matrix, state)


def check_state(
    count: int,
    state: Tensor,
    of_image: Tensor | None = None,
    noise: Tensor | None = None,
) -> None:
    """Refuse states without 1 + K parts, and what does not fit a state.

    Args:
        count: K.
        state: (1 + K, batch, ...).
        of_image: something that must have the shape (batch, ...).
        noise: something that must have the shape of the state.

    Raises:
        ValueError: for other shapes, or a state that is not floating.
    """
    floating("state", state)
    parts = 1 + count
    if state.dim() < 2 or len(state) != parts:
        raise ValueError(
            f"a state has 1 + K = {parts} parts, ({parts}, batch, ...), not "
            f"{tuple(state.shape)}: draw it with `start`"
        )
    for name, given, shape in (
        ("what belongs to the images", of_image, state.shape[1:]),
        ("noise", noise, state.shape),
    ):
        if given is not None and given.shape != shape:
            raise ValueError(
                f"{name} must have the shape {tuple(shape)}, not {tuple(given.shape)}"
            )
