"""Denominators and clamps that published numbers rest on, computed again by hand."""

import math

import numpy as np
import pytest
import torch

from src.common.diffusion.denoising import pack_weights
from src.common.diffusion.networks import ScoreMLP
from src.diffusion.fractional import checks, experiments
from src.diffusion.fractional.names import named_process
from src.diffusion.fractional.sampling import generated_variance
from src.diffusion.fractional.training import Circle, PlaneRecipe
from tests.leaks.tape import recording

HALVING = Circle(ratio=2.0)


def test_report_of_modes_is_counted_by_hand():
    """Every point counts in the denominators, also those near no mode and those undefined."""
    generator = torch.Generator().manual_seed(0)
    due = [2.0**-k / sum(2.0**-j for j in range(8)) for k in range(8)]
    centres = [(1.3 * math.cos(k * math.pi / 4), 1.3 * math.sin(k * math.pi / 4)) for k in range(8)]
    points = HALVING.mixture().sample(150, generator)
    points = points + 0.2 * torch.randn(150, 2, generator=generator, dtype=torch.float64)
    points[0] = math.nan
    points[1, 1] = math.inf
    found = experiments.mode_report(points, HALVING)
    counts = [0] * 8
    for point in points.tolist():
        distances = [math.dist(point, centre) for centre in centres]
        if all(map(math.isfinite, distances)) and min(distances) <= 0.4:
            counts[distances.index(min(distances))] += 1
    shares = [count / 150 for count in counts]
    smoothed = [(count + 0.5) / (sum(counts) + 4) for count in counts]
    assert sum(counts[4:]) > 0 and sum(counts) < 148
    assert found["shares"] == pytest.approx(shares, rel=1e-12)
    assert found["rarest"] == pytest.approx(shares[7] / due[7])
    assert found["rare"] == pytest.approx(sum(shares[4:]) / sum(due[4:]))
    assert found["outliers"] == pytest.approx(1 - sum(shares))
    covered = sum(share >= d / 2 for share, d in zip(shares, due, strict=True))
    assert found["coverage"] == covered / 8
    kl = sum(d * math.log(d / s) for d, s in zip(due, smoothed, strict=True))
    assert found["kl"] == pytest.approx(kl)


def test_total_variation_among_hits_leaves_the_rest_out():
    circle = Circle(modes=2, ratio=3.0)  # due 3/4 and 1/4
    assert checks.total_variation([0.3, 0.3], circle) == pytest.approx(0.45)
    assert checks.total_variation_of_hits([0.3, 0.3], circle) == pytest.approx(0.25)
    assert checks.total_variation_of_hits([0.0, 0.0], circle) == 1


def test_distance_is_that_of_sorted_projections(monkeypatch):
    distance, given = experiments.sliced_wasserstein, []

    def noting(*arguments):
        given.extend(argument.numpy() for argument in arguments)
        return distance(*arguments)

    monkeypatch.setattr(experiments, "sliced_wasserstein", noting)
    found = experiments.rare_modes("vp", "ode", 10, 3, 40, HALVING)["distance"]
    drawn, true, directions = given
    assert len(drawn) == len(true) == 40 and directions.shape == (experiments.DIRECTIONS, 2)
    sides = [np.sort(side @ directions.T, axis=0) for side in (drawn, true)]
    assert found == pytest.approx(np.abs(sides[0] - sides[1]).mean())


def test_errors_of_the_variance_are_relative_to_that_of_the_data():
    process = named_process("fvp 0.9 2")
    for data_std in (0.5, 0.8):
        [row] = experiments.variance_errors(["fvp 0.9 2"], ["sde"], [40], data_std)
        found = generated_variance(process, data_std, "sde", 40)
        assert row["errors"] == [pytest.approx((found - data_std**2) / data_std**2)]
    with pytest.raises(ValueError, match="data_std"):
        experiments.variance_errors(["vp"], ["sde"], [40], 0.0)


@pytest.mark.parametrize("weights", [None, "given"])
def test_no_two_purposes_share_a_stream(weights):
    """True points drawn from the stream of the start noise would resemble what it becomes."""
    recipe = PlaneRecipe(width=8, depth=1)
    if weights:
        weights = pack_weights(ScoreMLP((2,), recipe.width, recipe.depth))
    with recording() as tape:
        experiments.rare_modes("fvp 0.9 2", "sde", 5, 3, 50, HALVING, recipe, weights)
        experiments.circle_distance("vp", "sde", 5, 4, 50)
        experiments.circle_floor(5, 50)
    assert len(tape.seeds) == len(set(tape.seeds)) > 6
