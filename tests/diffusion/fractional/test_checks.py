"""The page's checks see what they should see, and would see it if it were wrong."""

import pytest
import torch

from src.common.images.feature_network import FeatureNetwork
from src.common.images.models import load_image_classifier
from src.diffusion.fractional import checks, figures
from src.diffusion.fractional.process import FractionalProcess
from src.diffusion.fractional.training import Circle, PlaneRecipe

FVP = FractionalProcess(hurst=0.9, count=2)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_brownian_limits_hold_and_depend_on_the_speed():
    assert all(v < 1e-5 for v in checks.brownian_limits().values())
    assert checks.brownian_limits(0.1)["one slow speed"] > 1e-3


def test_simulated_paths_have_the_known_covariance():
    assert checks.forward_error(FVP, 20_000, generator()) < 0.05


def test_simulated_paths_would_show_wrong_weights():
    wrong = FractionalProcess(hurst=0.9, count=2)
    wrong.__dict__["weights"] = FVP.weights * torch.tensor([1.0, 0.5])
    wrong.__dict__["_table"] = FVP._table
    assert checks.forward_error(wrong, 4000, generator()) > 0.1


def test_paths_start_at_the_image_and_share_the_noise():
    times, calm = checks.forward_paths(FVP, 100, 3, generator(1), 0.5)
    _, rough = checks.forward_paths(
        FractionalProcess(hurst=0.1, count=2), 100, 3, generator(1), 0.5
    )
    assert calm.shape == (100, 3, 3) and float(times[-1]) == 1
    assert (calm[0, 0] - 0.5).abs().max() < 0.1
    assert torch.equal(calm[:, 1:], rough[:, 1:]) and not torch.equal(calm[:, 0], rough[:, 0])


@pytest.mark.parametrize(("hurst", "count"), [(0.1, 2), (0.9, 1), (0.9, 3)])
def test_assembled_score_is_exact(hurst, count):
    process = FractionalProcess(hurst=hurst, count=count)
    assert checks.score_error(process, 0.4, generator()) < 1e-8


def test_errors_fall_in_proportion_to_the_steps():
    assert checks.convergence_slope("fvp 0.9 1", [500, 1000]) == pytest.approx(-1, abs=0.2)


def test_increments_of_smooth_noise_go_on_and_of_rough_noise_turn_back():
    assert checks.increment_correlation(0.9, 2, 2000, generator()) > 0.2
    assert checks.increment_correlation(0.2, 2, 2000, generator()) < -0.1


def test_total_variation():
    circle = Circle(modes=2, ratio=1.0)
    assert checks.total_variation([0.5, 0.5], circle) == pytest.approx(0)
    assert checks.total_variation([1.0, 0.0], circle) == pytest.approx(0.5)
    assert checks.total_variation([0.45, 0.45], circle) == pytest.approx(0.1)
    assert checks.total_variation_of_hits([0.45, 0.45], circle) == pytest.approx(0)


def test_floor_of_total_variation_falls_like_the_root_of_the_number():
    circle = Circle(ratio=2.0)
    few, many = (checks.total_variation_floor(circle, n, generator()) for n in (500, 8000))
    assert few / many == pytest.approx(4, rel=0.25)


def test_learned_table_is_rows_of_distances():
    recipe = PlaneRecipe(width=8, depth=1)
    texts = {"0": checks.plane_text(_state(recipe), recipe)}
    rows = checks.learned_table("vp", ["bridge"], [4, 8], texts, 100, recipe)
    assert [row["evaluations"] for row in rows] == [4, 8]
    assert all(len(row["distances"]) == 1 and row["distances"][0] > 0 for row in rows)


def test_grey_levels_are_whole_numbers():
    assert checks.few_grey_levels([[0.0, 0.51, 1.0]]) == [[0, 8, 15]]


def test_figures_take_a_run_that_is_not_there_yet():
    assert len(figures.gallery_figure({}).axes) == 1
    assert len(figures.sampler_figure({"VP": [], "(0.9, 2)": []}, 0.1).axes) == 2
    assert figures.label("fvp 0.9 2") == "(0.9, 2)" and figures.label("vp") == "VP"


def test_text_of_weights_returns():
    recipe = PlaneRecipe(width=8, depth=1)
    states = checks.plane_network({**_state(recipe)}, recipe).state_dict()
    again = checks.plane_network(checks.plane_text(states, recipe), recipe).state_dict()
    assert all(torch.equal(states[k], again[k]) for k in states)


def _state(recipe):
    from src.common.diffusion.networks import ScoreMLP

    network = ScoreMLP((2,), recipe.width, recipe.depth)
    return {k: v.half().float() for k, v in network.state_dict().items()}


def test_errors_of_the_covariance_are_relative_to_the_standard_deviations(monkeypatch):
    """Paths with 1.2 times the covariance are off by 0.2, whatever the sizes of X and Y."""

    def spread_out(process, steps, paths, generator):
        noise = torch.randn(1 + process.count, paths, generator=generator, dtype=torch.float64)
        white = torch.linalg.qr(noise.T).Q.T * (1.2 * paths) ** 0.5
        times = torch.arange(1, steps + 1) / steps
        roots = [torch.linalg.cholesky(process.covariance(float(t))) for t in times]
        return times, torch.stack(roots) @ white

    monkeypatch.setattr(checks, "forward_paths", spread_out)
    assert checks.forward_error(FVP, 4000, generator(), 40) == pytest.approx(0.2, rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_errors_of_the_score_are_relative_to_the_largest(seed, monkeypatch):
    right = FractionalProcess.state_score
    monkeypatch.setattr(FractionalProcess, "state_score", lambda *given: 1.1 * right(*given))
    assert checks.score_error(FVP, 0.4, generator(seed)) == pytest.approx(0.1, rel=1e-6)


def test_a_classifier_survives_as_text():
    recipe = checks.RECIPES["digits"]
    network = FeatureNetwork(recipe.shape, recipe.classes)
    text = checks.classifier_text(network.state_dict(), "digits")
    again = load_image_classifier(
        recipe.shape, recipe.classes, checks.classifier_text(text, "digits")
    )
    for name, value in network.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, atol=1e-3, rtol=1e-3)
