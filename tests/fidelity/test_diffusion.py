"""Fractional diffusion against the authors' program, with their jitter and their samplers.

The program solves the covariance of FVP with `solve_ivp` at its default tolerance: its numbers are
then right to 1e-3 only, so both those and numbers with a strict tolerance are kept.
"""

import pytest
import torch

from src.common.diffusion.processes import LinearVP, VarianceExploding
from src.common.diffusion.samplers import euler_maruyama, probability_flow
from src.diffusion.fractional.noise import (
    gram_matrix,
    optimal_weights,
    ou_speeds,
    projection,
    relative_cost,
)
from src.diffusion.fractional.process import FractionalProcess
from src.diffusion.fractional.sampling import grid_of
from tests.fidelity.stored import agree, at_each, comparisons


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def weights(count, largest, hurst):
    speeds = ou_speeds(count, largest)
    found = {
        "speeds": speeds,
        "weights": optimal_weights(speeds, hurst),
        "projection": projection(speeds, hurst),
        "fit": 1 - relative_cost(speeds, hurst),
    }
    return found if count > 3 else {**found, "gram": gram_matrix(speeds)}


def process_of(kind, count, hurst, jitter):
    base = LinearVP(0.1, 20.0) if kind == "fvp" else VarianceExploding(0.01, 50.0)
    return FractionalProcess(base, hurst, count, 20.0, jitter, "always")


def law(times, **about):
    process = process_of(**about)
    eye = torch.eye(1 + process.count, dtype=torch.float64)
    # u = X - alpha.Y, of states that are the unit vectors.
    alpha = [-process.observe(eye, t)[1:] for t in times]
    covariance = [process.covariance(t) for t in times]
    deviations = [each.diagonal().sqrt() for each in covariance]
    correlations = [
        each / torch.outer(std, std) for each, std in zip(covariance, deviations, strict=True)
    ]
    return {
        "weights": process.weights,
        "mean": torch.stack([process.mean(t) for t in times]),
        **at_each(times, "deviation of X", [each[0] for each in deviations]),
        **at_each(times, "deviations of Y", [each[1:] for each in deviations]),
        **at_each(times, "correlations", correlations),
        **at_each(times, "alpha", alpha),
        **at_each(times, "std", [process.std(t) for t in times]),
    }


def sampler(mode, steps, start, noise=None, **about):
    process, state = process_of(**about), double(start)
    grid = grid_of(f"released {mode}", steps)

    def score(u, t):
        return -torch.tanh(u) / process.std(t)

    if mode == "ode":
        return {"image": probability_flow(process, score, state, grid, "euler")}
    pending = [*double(noise)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randn", lambda *size, **options: pending.pop(0))
        return {"image": euler_maruyama(process, score, state, grid, torch.Generator())}


@comparisons("diffusion", {"weights": weights, "law": law, "sampler": sampler})
def test_the_authors_program_gives_the_same(method, stored):
    agree(method, stored)
