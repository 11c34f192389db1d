"""Antithetic variates (Hammersley and Morton, 1956): mirrored draws for lower variance."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Function = Callable[[Tensor], Tensor]


def plain_mean(
    function: Function, evaluations: int, generator: torch.Generator
) -> Float[Tensor, ""]:
    """Return the mean of a function over independent uniform points of [0, 1].

    Args:
        function: maps points, shape (n,), to values, shape (n,).
        evaluations: the number of points.
        generator: the source of randomness.
    """
    return function(torch.rand(evaluations, generator=generator)).mean()


def antithetic_mean(
    function: Function, evaluations: int, generator: torch.Generator
) -> Float[Tensor, ""]:
    """Return the mean of a function over uniform points and their mirror images (equation 1).

    Args:
        function: maps points, shape (n,), to values, shape (n,).
        evaluations: the number of evaluations; even, since points come in pairs.
        generator: the source of randomness.

    Raises:
        ValueError: if `evaluations` is odd or not positive.
    """
    if evaluations < 2 or evaluations % 2:
        raise ValueError(f"evaluations must be even and positive, not {evaluations}")
    points = torch.rand(evaluations // 2, generator=generator)
    return (0.5 * (function(points) + function(1 - points))).mean()
