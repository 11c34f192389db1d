"""The chapter's experiment: every method does the same work and is judged alike."""

from collections.abc import Callable

import torch
from torch import Tensor

from src.common.training.streams import stream


def mean_squared_error(
    estimator: Callable[..., Tensor], seed: int, evaluations: int, repeats: int
) -> float:
    """Return an estimator's mean squared error for the average of exp on [0, 1].

    Args:
        estimator: called (function, evaluations, generator); returns a scalar.
        seed: of all draws; the same seed gives every estimator the same generator.
        evaluations: of the function for each estimate.
        repeats: independent estimates.
    """
    generator = stream(seed, "draws")
    estimates = torch.stack([estimator(torch.exp, evaluations, generator) for _ in range(repeats)])
    return float(((estimates - (torch.e - 1)) ** 2).mean())
