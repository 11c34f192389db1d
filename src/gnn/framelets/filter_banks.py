"""Framelet filter banks: masks on [0, pi], Chebyshev expansions, scales of the levels.

From "How Framelets Enhance Graph Neural Networks" (Zheng et al., ICML 2021, arXiv
2102.06986). A bank has one low-pass mask a and one or more high-pass masks b1, b2, ...
with

    a(xi)^2 + b1(xi)^2 + b2(xi)^2 + ... = 1        for every xi,

the partition of unity: what the low-pass mask loses at xi, the high-pass masks keep. An
eigenvalue of the graph's Laplacian becomes the argument xi of a mask by a scale that
depends on the level.

This module has the scalar functions; `src.gnn.framelets.transform` applies them to
signals on a graph.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log, pi, sqrt

import torch
from jaxtyping import Float
from torch import Tensor

from src.common.checks import checked, within

Mask = Callable[[Tensor], Tensor]

_QUADRATURE_POINTS = 501  # the integrand is smooth and periodic: error below 1e-15


@dataclass(frozen=True)
class FilterBank:
    """The masks of a framelet system.

    Attributes:
        low: the low-pass mask a, on [0, pi]; 1 at 0.
        high: the high-pass masks b1, b2, ...; 0 at 0.
    """

    low: Mask
    high: tuple[Mask, ...]

    @property
    def masks(self) -> tuple[Mask, ...]:
        """All masks, the low-pass one first."""
        return (self.low, *self.high)

    def values(self, xi: Float[Tensor, " points"]) -> Float[Tensor, "masks points"]:
        """Return the masks at `xi`.

        Args:
            xi: arguments in [0, pi].
        """
        return torch.stack([mask(xi) for mask in self.masks])


FILTER_BANKS = {
    "haar": FilterBank(lambda xi: torch.cos(xi / 2), (lambda xi: torch.sin(xi / 2),)),
    "linear": FilterBank(
        lambda xi: torch.cos(xi / 2) ** 2,
        (lambda xi: torch.sin(xi) / sqrt(2), lambda xi: torch.sin(xi / 2) ** 2),
    ),
    "quadratic": FilterBank(
        lambda xi: torch.cos(xi / 2) ** 3,
        (
            lambda xi: sqrt(3) * torch.sin(xi / 2) * torch.cos(xi / 2) ** 2,
            lambda xi: sqrt(3) * torch.sin(xi / 2) ** 2 * torch.cos(xi / 2),
            lambda xi: torch.sin(xi / 2) ** 3,
        ),
    ),
}


def filter_bank(name: str) -> FilterBank:
    """Return a filter bank by name.

    Args:
        name: "haar" (2 masks), "linear" (3) or "quadratic" (4).

    Raises:
        ValueError: for another name.

    Examples:
        >>> masks = filter_bank("linear").values(torch.linspace(0, pi, 5))
        >>> masks.shape
        torch.Size([3, 5])
        >>> torch.allclose(masks.square().sum(0), torch.ones(5))  # partition of unity
        True
    """
    if name not in FILTER_BANKS:
        raise ValueError(f"bank must be one of {', '.join(FILTER_BANKS)}, not {name!r}")
    return FILTER_BANKS[name]


def block_order(masks: int, levels: int) -> list[tuple[int, int]]:
    """Return the (mask, level) of every block of coefficients, in their stored order.

    First comes the low-pass block of the last level, (0, levels), then the high-pass
    blocks, all levels of b1 before those of b2. The low-pass blocks of earlier levels
    are split further, not kept.

    Args:
        masks: of the bank, at least 1.
        levels: J_L, at least 1.

    Examples:
        >>> block_order(masks=3, levels=2)
        [(0, 2), (1, 1), (1, 2), (2, 1), (2, 2)]
    """
    high = [(mask, level) for mask in range(1, masks) for level in range(1, levels + 1)]
    return [(0, levels), *high]


@checked
def level_scales(
    levels: int, dilation: float, largest_eigenvalue: float
) -> list[float]:
    """Return the scale of each level: times an eigenvalue, it is the masks' argument.

    At level l it is s^(-R + l - 1) with R = log_s(lambda_max / pi) + levels - 1: level
    1 sees the spectrum compressed the most, the last level sees it spread over all of
    [0, pi]. (With an integer R instead, arguments may exceed pi, where a Chebyshev
    expansion is useless.)

    Args:
        levels: J_L, at least 1.
        dilation: s, greater than 1.
        largest_eigenvalue: of the Laplacian, or a bound: 2 always holds for the
            normalised one.

    Raises:
        ValueError: for numbers outside these ranges.

    Examples:
        >>> first, last = level_scales(2, dilation=2.0, largest_eigenvalue=2.0)
        >>> last / first, last * 2.0 == pi
        (2.0, True)
    """
    within("levels", levels, 1)
    within("dilation", dilation, 1, ends=False)
    within("largest_eigenvalue", largest_eigenvalue, 0, ends=False)
    exponent = log(largest_eigenvalue / pi) / log(dilation) + levels - 1
    return [dilation ** (level - 1 - exponent) for level in range(1, levels + 1)]


@checked
def chebyshev_coefficients(
    bank: FilterBank, count: int
) -> Float[Tensor, "masks count"]:
    """Return Chebyshev coefficients of each mask.

    The mask is approximated by sum_k c_k T_k(2 xi / pi - 1). By the trapezoid rule, c_k
    = 2/pi int_0^pi cos(k t) f(pi/2 (cos t + 1)) dt, and half of it for k = 0: the
    factor 1/2 that the expansion puts before c_0 is included. Double precision.

    Args:
        bank: the masks f.
        count: number of coefficients, at least 1; the degree is one less. The paper's
            code takes 2.

    Raises:
        ValueError: if `count` is less than 1.
    """
    if count < 1:
        raise ValueError(f"need at least one coefficient, not {count}")
    angles = torch.linspace(0, pi, _QUADRATURE_POINTS, dtype=torch.float64)
    weights = torch.full_like(angles, 2 / (_QUADRATURE_POINTS - 1))
    weights[[0, -1]] /= 2
    waves = torch.cos(torch.arange(count)[:, None] * angles)
    coefficients = bank.values(pi / 2 * (torch.cos(angles) + 1)) @ (weights * waves).T
    coefficients[:, 0] /= 2
    return coefficients


def chebyshev_values(
    coefficients: Float[Tensor, "masks count"], xi: Float[Tensor, " points"]
) -> Float[Tensor, "masks points"]:
    """Return sum_k c_k T_k(2 xi / pi - 1) for every row of coefficients.

    Inside [0, pi] it is near the mask; outside, T_k grows like the k-th power.

    Args:
        coefficients: c_k, one row per mask.
        xi: arguments.

    Examples:
        >>> coefficients = chebyshev_coefficients(filter_bank("haar"), count=8)
        >>> xi = torch.linspace(0, pi, 5, dtype=torch.float64)
        >>> exact = filter_bank("haar").values(xi)
        >>> torch.allclose(chebyshev_values(coefficients, xi), exact, atol=1e-6)
        True
    """
    t = 2 / pi * xi - 1
    before, now = torch.ones_like(t), t
    total = coefficients[:, :1] * before
    for column in coefficients.T[1:]:
        total = total + column[:, None] * now
        before, now = now, 2 * t * now - before
    return total
