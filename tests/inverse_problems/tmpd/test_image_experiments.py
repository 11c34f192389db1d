"""What is published about restored images, computed again without the experiments' own steps."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from src.book.storage import paths
from src.common.diffusion.denoising import network_score, pack_weights
from src.common.diffusion.processes import LinearVP
from src.common.diffusion.samplers import ancestral, time_grid
from src.common.images.feature_network import FeatureNetwork
from src.common.images.models import DenseSettings, ImageRecipe
from src.common.images.quality import ssim
from src.common.images.sets import digits
from src.common.training.loop import seeded
from src.inverse_problems.tmpd import image_experiments
from src.inverse_problems.tmpd.ddrm import ddrm
from src.inverse_problems.tmpd.guidance import dps, pigdm
from src.inverse_problems.tmpd.image_experiments import (
    DATA_RANGE,
    METHODS,
    SAMPLES,
    TASKS,
    ImagePrior,
    Restoration,
    degradation,
    judge,
    observe,
    restore,
    restore_images,
    tune_dps,
    varying_pixels,
)
from src.inverse_problems.tmpd.image_priors import PROCESSES, RECIPES
from src.inverse_problems.tmpd.tweedie import tmpd

SHAPE = (1, 8, 8)


def normal(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def classifier():
    with seeded(torch.Generator().manual_seed(0)):
        return FeatureNetwork(SHAPE, 10).eval()


@pytest.fixture(scope="module")
def prior():
    recipe = ImageRecipe("digits", SHAPE, DenseSettings(16, 1))
    with seeded(torch.Generator().manual_seed(1)):
        return ImagePrior(recipe, pack_weights(recipe.untrained()), LinearVP())


def a_judgement(classifier):
    """Truth, samples with one that has blown up and one that is no number, and varying pixels."""
    truth = normal(1, 2, *SHAPE).clamp(-1, 1)
    samples = truth[:, None] + 0.4 * normal(2, 2, 6, *SHAPE)
    samples[0, 1], samples[1, 3, 0, 2, 2] = 50.0, torch.nan
    varying = torch.rand(SHAPE, generator=torch.Generator().manual_seed(3)) < 0.5
    return samples, truth, classifier, varying


def test_coverage_and_spread_are_over_the_pixels_that_vary(classifier):
    samples, truth, _, varying = a_judgement(classifier)
    found = judge(samples, truth, classifier, varying)
    for i in range(2):
        pixels = [tuple(p) for p in varying.nonzero().tolist()]
        columns = np.array([[float(s[p]) for s in samples[i]] for p in pixels])
        inside = [
            column.min() <= float(truth[i][p]) <= column.max()
            for column, p in zip(columns, pixels, strict=True)
        ]
        assert found["coverage"][i] == pytest.approx(np.mean(inside), abs=1e-6)
        kept = np.clip(np.nan_to_num(columns), -1, 1)
        assert found["spread"][i] == pytest.approx(kept.std(1, ddof=1).mean(), abs=1e-5)


def test_pixels_that_do_not_vary_count_for_nothing(classifier):
    samples, truth, _, varying = a_judgement(classifier)
    before = judge(samples, truth, classifier, varying)
    samples = torch.where(varying, samples, 0.3)
    after = judge(samples, truth, classifier, varying)
    assert before["coverage"] == after["coverage"] and before["spread"] == after["spread"]


def test_similarity_and_distance_are_those_of_single_samples(classifier):
    samples, truth, _, varying = a_judgement(classifier)
    found = judge(samples, truth, classifier, varying)
    kept = samples.nan_to_num(0.0).clamp(-1, 1)
    for i in range(2):
        alike = [ssim(s[None], truth[i : i + 1], DATA_RANGE, 7).item() for s in kept[i]]
        assert found["ssim"][i] == pytest.approx(np.mean(alike), abs=1e-5)
        with torch.no_grad():
            of_truth = classifier.features(truth[i : i + 1])
            away = [(classifier.features(s[None]) - of_truth).norm().item() for s in kept[i]]
        assert found["feature"][i] == pytest.approx(np.mean(away), abs=1e-5)
        error = ((kept[i].mean(0) - truth[i]) ** 2).mean().item()
        assert found["psnr"][i] == pytest.approx(10 * np.log10(4 / error), abs=1e-4)


def test_stable_samples_are_finite_and_their_mean_square_is_below_four(classifier):
    samples, *rest = a_judgement(classifier)
    assert judge(samples, *rest)["stable"] == pytest.approx([5 / 6, 5 / 6], abs=1e-6)
    for size, share in ((1.99, 1.0), (2.01, 5 / 6)):
        samples = torch.zeros_like(samples)
        samples[:, 0] = size
        assert judge(samples, *rest)["stable"] == pytest.approx([share] * 2, abs=1e-6)


def test_the_truth_itself_is_the_best_restoration(classifier):
    _, truth, _, varying = a_judgement(classifier)
    found = judge(truth[:, None].expand(-1, 3, -1, -1, -1), truth, classifier, varying)
    wanted = {"ssim": 1.0, "feature": 0.0, "coverage": 1.0, "spread": 0.0, "stable": 1.0}
    for name, value in wanted.items():
        assert found[name] == pytest.approx([value] * 2, abs=1e-4)
    assert found["psnr"] == pytest.approx([20 * np.log10(255)] * 2, abs=1e-5)


def test_draws_from_the_law_of_the_truth_cover_it_nine_times_in_ten(classifier):
    draws = 0.3 * normal(4, 40, SAMPLES + 1, *SHAPE)
    found = judge(draws[:, 1:], draws[:, 0], classifier, torch.ones(SHAPE, dtype=torch.bool))
    assert np.mean(found["coverage"]) == pytest.approx((SAMPLES - 1) / (SAMPLES + 1), abs=0.02)


def test_pixels_vary_by_the_training_images():
    images = digits()
    wanted = images.train.double().numpy().std(0, ddof=1) > 0.05
    assert np.array_equal(varying_pixels(images).numpy(), wanted)
    assert 0 < wanted.sum() < 64
    other = replace(images, test=torch.zeros_like(images.test))
    assert torch.equal(varying_pixels(other), varying_pixels(images))


def test_judgements_of_nothing_are_refused(classifier):
    samples, truth, _, varying = a_judgement(classifier)
    bad = {
        "samples": (samples[:, :1], truth, classifier, varying),
        "varying pixels": (samples, truth, classifier, torch.zeros_like(varying)),
        "truth must be": (samples, truth[:1], classifier, varying),
        "varying must be": (samples, truth, classifier, varying[:, :4]),
        "truth holds": (samples, truth / 0.0, classifier, varying),
    }
    for message, given in bad.items():
        with pytest.raises(ValueError, match=message):
            judge(*given)


@pytest.mark.parametrize("task", TASKS)
def test_the_tasks_are_what_they_are_called(task):
    images = normal(5, 2, 1, 16, 16)
    seen = degradation(task, (1, 16, 16)).to(images).A(images)
    if task == "inpainting":
        assert torch.equal(seen, images[..., :8].flatten(1))
    elif task == "super-resolution":
        assert torch.allclose(seen, torch.nn.functional.avg_pool2d(images, 4), atol=1e-6)
    else:
        assert torch.allclose(seen.sum((1, 2, 3)), images.sum((1, 2, 3)), atol=1e-3)
        impulse = torch.zeros(1, 1, 16, 16)
        impulse[..., 8, 8] = 1.0
        spread = degradation(task, (1, 16, 16)).to(impulse).A(impulse)[0, 0].double()
        assert (spread[8] > 1e-7).sum() == 9 and spread[8, 8] == spread.max()
        ratio = (spread[8, 9] / spread[8, 8]).log().item()  # of a Gaussian of side / 12 pixels
        assert ratio == pytest.approx(-0.5 / (16 / 12) ** 2, rel=1e-3)
    small = degradation(task, SHAPE).observation_shape
    assert small == {"inpainting": (32,), "super-resolution": (1, 4, 4)}.get(task, SHAPE)


def test_observations_have_the_noise_that_is_said_and_their_own_seed():
    images = normal(6, 50, *SHAPE)
    operator = degradation("super-resolution", SHAPE).to(images)
    noise = observe(images, operator, 0.2, 3) - operator.A(images)
    assert noise.std().item() == pytest.approx(0.2, rel=0.05)
    assert torch.equal(observe(images, operator, 0.2, 3) - operator.A(images), noise)
    assert not torch.allclose(observe(images, operator, 0.2, 4) - operator.A(images), noise)
    with pytest.raises(ValueError, match="sigma"):
        observe(images, operator, -0.1, 3)
    # The seed's own numbers, in the type of the images.
    operator, images = operator.double(), images.double()
    exact = observe(images, operator, 1.0, 3) - operator.A(images)
    drawn = torch.Generator().manual_seed(3)
    drawn = torch.randn(exact.shape, generator=drawn, dtype=torch.float64)
    torch.testing.assert_close(exact, drawn, atol=1e-12, rtol=0.0)


def test_the_step_of_dps_is_tuned_on_single_samples_of_the_images_that_are_named(prior):
    setting = Restoration("super-resolution", 0.1, steps=6, images=3, first=40)
    candidates = [1.0, 30.0]  # the second follows y so closely that its noise tells
    found = tune_dps(prior, setting, candidates, seed=7)
    truth, process, grid = digits().test[40:43], LinearVP(), time_grid(6)
    operator = degradation(setting.task, SHAPE).to(truth)
    noise = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(7))
    y = operator.A(truth) + 0.1 * noise
    assert found["steps"] == candidates
    for step, decibels in zip(found["steps"], found["psnr"], strict=True):
        generator = torch.Generator().manual_seed(8)
        state = process.start(tuple(truth.shape), generator)
        guided = dps(network_score(prior.network(), process), process, operator, y, step, grid)
        drawn = ancestral(process, guided, state, grid, generator).clamp(-1, 1)
        errors = ((drawn - truth) ** 2).flatten(1).mean(1).double().numpy()
        assert decibels == pytest.approx(np.mean(10 * np.log10(4 / errors)), abs=1e-3)
    with pytest.raises(ValueError, match="no candidates"):
        tune_dps(prior, setting, [], seed=7)


def test_the_restored_images_are_those_that_are_named(prior, classifier, monkeypatch):
    judged = []

    def noting(samples, truth, network, varying):
        judged.append((samples, truth, varying))
        return {}

    monkeypatch.setattr(image_experiments, "judge", noting)
    setting = Restoration("inpainting", 0.1, steps=3, images=2, first=5)
    restore_images(prior, pack_weights(classifier), setting, "PiGDM", 3)
    samples, truth, varying = judged[0]
    assert torch.equal(truth, digits().test[5:7])
    assert samples.shape == (2, SAMPLES, *SHAPE)
    assert torch.equal(varying, varying_pixels(digits()))
    last = replace(setting, first=len(digits().test) - 2)
    restore_images(prior, pack_weights(classifier), last, "PiGDM", 3)
    assert torch.equal(judged[1][1], digits().test[-2:])


def test_dps_has_its_published_constant_unless_another_is_asked_for(prior, classifier):
    """One over the norm of the residual (Chung et al. 2023, algorithm 1, constant 1)."""
    setting = Restoration("super-resolution", 0.1, steps=3, images=2)
    known = (prior, pack_weights(classifier), setting, "DPS", 3)
    usual, one, two = (restore_images(*known, *step) for step in ((), (1.0,), (2.0,)))
    assert usual == one != two


def by_hand(method, prior, operator, y, setting, seed):
    """A restoration by the method's own function, with the settings of the chapter."""
    process, grid = LinearVP(), time_grid(setting.steps)
    score, generator = network_score(prior.network(), process), torch.Generator().manual_seed(seed)
    state = process.start((len(y), *SHAPE), generator)
    known = (score, process, operator, y)
    if method == "DDRM":
        return ddrm(process, *known[:1], operator, y, setting.sigma, state, grid, generator)
    guided = {
        "TMPD": lambda: tmpd(*known, setting.sigma),
        "TMPD, row sums": lambda: tmpd(*known, setting.sigma, "row_sum"),
        "PiGDM": lambda: pigdm(*known, setting.sigma, grid=grid),
        "DPS": lambda: dps(*known, 0.7, grid),
    }[method]()
    return ancestral(process, guided, state, grid, generator)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_what_it_is_called(method, prior):
    setting, truth = Restoration("deblurring", 0.1, steps=5), digits().test[:3]
    operator = degradation(setting.task, SHAPE).to(truth)
    y = observe(truth, operator, setting.sigma, 1)
    found = restore(method, prior.network(), LinearVP(), operator, y, setting, 2, dps_step=0.7)
    wanted = by_hand(method, prior, operator, y, setting, 2)
    assert torch.allclose(found, wanted, atol=1e-4)


BAD = {
    "task must be": {"task": "denoising"},
    "sigma must": {"sigma": -1.0},
    "steps must": {"steps": 0},
    "images must": {"images": 0},
    "first must": {"first": -1},
}


@pytest.mark.parametrize("message", BAD)
def test_settings_that_restore_nothing_are_refused(message):
    with pytest.raises(ValueError, match=message):
        Restoration(**({"task": "inpainting", "sigma": 0.1} | BAD[message]))


def test_images_that_the_set_does_not_have_are_refused(prior):
    setting = Restoration("inpainting", 0.1, steps=2, images=10, first=290)
    with pytest.raises(ValueError, match="297 test images, not 300"):
        tune_dps(prior, setting, [1.0], 0)
    with pytest.raises(ValueError, match="side, side"):
        degradation("inpainting", (1, 8, 6))


def test_the_priors_are_those_of_the_chapter():
    """The largest noise is the largest distance of two images of 8 x 8 pixels in [-1, 1]."""
    farthest = (torch.ones(64) - -torch.ones(64)).norm().item()
    ends = [PROCESSES["ve"].std(t).item() for t in (0.0, 1.0)]
    assert ends == pytest.approx([0.01, farthest], rel=1e-4)
    assert PROCESSES["vp"] == LinearVP()
    assert RECIPES["digits"].shape == digits().image_shape
    assert all(name == recipe.data for name, recipe in RECIPES.items())


@pytest.mark.parametrize("name", PROCESSES)
def test_committed_weights_know_all_noise_levels_of_their_process(name):
    """Beyond those that it was trained for, a network does worse than the mean image."""
    process, images = PROCESSES[name], digits()
    file = paths.models_dir("inverse_problems/tmpd") / f"digits-{name}.safetensors"
    network = RECIPES["digits"].untrained()
    state = {part.removeprefix("network/"): v.float() for part, v in load_file(file).items()}
    network.load_state_dict(state)
    score = network_score(network.eval(), process)
    variance = (images.test - images.train.mean(0)).square().mean()
    for t in torch.tensor([0.1, 0.5, 0.9, 1.0], dtype=torch.float64):
        u = process.noisy(images.test, t, normal(5, *images.test.shape))
        with torch.no_grad():
            error = (process.denoised(u, score(u, t), t) - images.test).square().mean()
        assert error < 1.4 * variance, float(t)
