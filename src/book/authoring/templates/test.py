"""Antithetic draws against what is known exactly."""

import pytest
import torch

from src.PART.CHAPTER.MODULE import antithetic_mean, plain_mean


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_linear_functions_are_exact():
    assert antithetic_mean(lambda u: 3 * u + 1, 6, generator()) == pytest.approx(2.5, abs=1e-6)


def test_both_estimators_find_the_average():
    for estimator in (plain_mean, antithetic_mean):
        assert estimator(torch.exp, 200_000, generator()) == pytest.approx(torch.e - 1, abs=0.01)


def test_an_odd_number_of_evaluations_is_refused():
    with pytest.raises(ValueError, match="must be even"):
        antithetic_mean(torch.exp, 3, generator())
