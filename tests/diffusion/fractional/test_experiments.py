"""The experiments: known answers for what they measure, and that they can be kept as JSON."""

import json
import math

import pytest
import torch

from src.diffusion.fractional import experiments
from src.diffusion.fractional import roughness as rough
from src.diffusion.fractional.training import Circle, PlaneRecipe, plane_network, train_plane

IMBALANCED = Circle(ratio=2.0)
TINY = PlaneRecipe(points=256, width=8, depth=1, steps=3, batch=32)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_circle_has_the_weights_it_says():
    mixture = IMBALANCED.mixture()
    assert torch.allclose(mixture.weights[:-1] / mixture.weights[1:], torch.tensor(2.0).double())
    assert torch.allclose(mixture.means.norm(dim=1), torch.tensor(1.3).double())
    assert torch.allclose(Circle().mixture().weights, torch.tensor(1 / 8).double())


def test_report_of_true_points_finds_every_mode():
    report = experiments.mode_report(IMBALANCED.mixture().sample(20_000, generator()), IMBALANCED)
    assert report["coverage"] == 1 and report["kl"] < 0.002 and report["outliers"] < 0.001
    assert abs(report["rare"] - 1) < 4 / math.sqrt(20_000 * 15 / 255)
    assert abs(report["rarest"] - 1) < 4 / math.sqrt(20_000 / 255)


def test_report_sees_lost_modes_outliers_and_numbers_that_are_none():
    mixture = IMBALANCED.mixture()
    lost = mixture.means[:4].repeat(25, 1)
    report = experiments.mode_report(lost, IMBALANCED)
    # Of the four that were found, the first has a quarter instead of its half.
    assert report["coverage"] == pytest.approx(3 / 8)
    assert report["rarest"] == report["rare"] == report["outliers"] == 0
    smoothed = torch.tensor([25.5] * 4 + [0.5] * 4).double() / 104
    expected = (mixture.weights * (mixture.weights / smoothed).log()).sum()
    assert report["kl"] == pytest.approx(float(expected))
    assert report["shares"] == pytest.approx([0.25] * 4 + [0] * 4)
    away = torch.cat([lost, torch.tensor([[0.0, 0.0], [math.nan, 0.0]])])
    assert experiments.mode_report(away, IMBALANCED)["outliers"] == pytest.approx(2 / 102)


def test_circle_table_is_json_and_repeats_itself():
    rows = experiments.circle_table(["vp", "fvp 0.9 2"], ["bridge"], [10], [1000, 1001], 100)
    assert rows == json.loads(json.dumps(rows)) and len(rows) == 2
    again = experiments.circle_distance("vp", "bridge", 10, 1001, 100)
    assert rows[0]["distances"][1] == again
    assert rows[0]["distances"][0] != again
    assert 0 < experiments.circle_floor(1000, 100) < 0.5


def test_runs_that_blow_up_give_a_large_number():
    distance = experiments.circle_distance("fvp 0.1 2", "released sde", 3, 1000, 50)
    assert 10 < distance <= 2e6


def test_training_depends_on_the_seed_and_is_kept_as_text():
    one = train_plane("fvp 0.9 2", IMBALANCED, TINY, 1000)
    assert one == json.loads(json.dumps(train_plane("fvp 0.9 2", IMBALANCED, TINY, 1000)))
    assert one["weights"] != train_plane("fvp 0.9 2", IMBALANCED, TINY, 1001)["weights"]
    assert one["weights"] != train_plane("vp", IMBALANCED, TINY, 1000)["weights"]
    network = plane_network(one["weights"], TINY)
    assert sum(p.numel() for p in network.parameters()) == one["parameters"]


def test_twin_is_trained_to_the_same_weights():
    original, twin = (train_plane(n, Circle(), TINY, 1000) for n in ("fvp 0.9 2", "twin 0.9 2"))
    assert original == twin


def test_rare_modes_uses_the_network_or_the_exact_score():
    trained = train_plane("fvp 0.9 2", IMBALANCED, TINY, 1000)
    common = ("fvp 0.9 2", "bridge", 5, 1000, 200, {"ratio": 2.0})
    exact = experiments.rare_modes(*common)
    learned = experiments.rare_modes(
        *common, recipe={"points": 256, "width": 8, "depth": 1}, weights=trained["weights"]
    )
    assert exact == json.loads(json.dumps(exact))
    assert exact["outliers"] < 0.1 < learned["outliers"]


def test_fractional_motion_is_as_rough_as_its_index_says():
    for hurst in (0.1, 0.5, 0.9):
        fine = rough.roughness(hurst, None)["fine"]
        assert fine == pytest.approx(hurst, abs=0.02)


def test_the_approximation_is_rough_between_its_scales_and_brownian_below():
    for hurst in (0.3, 0.7, 0.9):
        found, exact = rough.roughness(hurst, 3), rough.roughness(hurst, None)
        assert found["coarse"] == pytest.approx(exact["coarse"], abs=0.01)
        assert found["fine"] == pytest.approx(0.5, abs=0.02)


def test_measured_roughness_agrees_with_the_exact_one():
    for hurst, count in ((0.3, 3), (0.7, 2), (0.8, None)):
        found = rough.measured_roughness(hurst, count, 1000, 4000)
        assert found == pytest.approx(rough.roughness(hurst, count)["coarse"], abs=0.03)


def test_increments_of_brownian_motion_have_the_lag_as_variance():
    assert rough.increment_variances(0.5, None, [0.1, 0.4]) == pytest.approx([0.1, 0.4])


def test_schedules_equal_those_of_an_independent_program():
    """Ratios found by another program without jitter, at times where it does not matter."""
    rows = rough.noise_schedules([[0.9, 1], [0.9, 2], [0.7, 2], [0.5, 2]], [0.3, 0.5, 0.8, 1.0])
    expected = [
        (0.459, 0.648, 0.857, 0.915),
        (0.267, 0.458, 0.698, 0.773),
        (0.255, 0.408, 0.586, 0.624),
        (0.213, 0.292, 0.339, 0.308),
    ]
    for row, ratios in zip(rows, expected, strict=True):
        found = [o / f for o, f in zip(row["observed"], row["full"], strict=True)]
        assert found == pytest.approx(ratios, abs=2e-3)


def test_one_half_recovers_the_image_but_not_the_observation():
    rows = rough.ordinary_limit([0, 1, 3])
    assert rows[0] == {"count": 0, "cost": 0.0, "image": 0.0, "observation": 0.0}
    assert rows[1]["image"] > 10 * rows[2]["image"] and rows[2]["image"] < 0.01
    assert rows[2]["observation"] > 0.5


def test_a_single_slow_speed_is_brownian_motion():
    costs = rough.single_speed_costs([1.0, 0.1, 0.01])
    assert costs[0] == pytest.approx(0.0464, abs=1e-4)
    # The integral of gamma B makes the error quadratic in gamma.
    assert costs[1] / costs[2] == pytest.approx(100, rel=0.05)


def test_errors_of_the_approximation_are_a_table():
    rows = rough.approximation_errors([0.5, 0.9], [1, 3])
    assert [(r["hurst"], r["count"]) for r in rows] == [(0.5, 1), (0.5, 3), (0.9, 1), (0.9, 3)]
    assert all(0 <= r["cost"] <= 1 and r["covariance"] > 0 for r in rows)
