"""Image models of ordinary and fractional processes: training, drawing and judging."""

import dataclasses
import math

import pytest
import torch

from src.common.diffusion.denoising import DenoiserSettings, Images, pack_weights
from src.common.diffusion.networks import UNetSettings, parameter_count
from src.common.images.feature_network import ClassifierSettings, FeatureNetwork, train_classifier
from src.common.images.models import DenseSettings, ImageRecipe
from src.common.images.sets import digits
from src.diffusion.fractional import images as fractional_images
from src.diffusion.fractional.image_training import CLASSIFIERS, RECIPES, train_images
from src.diffusion.fractional.images import (
    assess,
    draw_images,
    judge_data,
    judge_images,
    nearest_distance,
)
from src.diffusion.fractional.process import FractionalProcess
from src.diffusion.fractional.sampling import generated_variance

TINY = ImageRecipe(
    "digits", (1, 8, 8), UNetSettings(8, (1,)), DenoiserSettings(steps=2, batch=16), classes=10
)
DENSE = dataclasses.replace(TINY, network=DenseSettings(8, 1))


@pytest.fixture(scope="module")
def data():
    return digits()


@pytest.fixture(scope="module")
def classifier(data):
    labelled = Images(data.train, data.train_labels)
    generator = torch.Generator().manual_seed(0)
    network, _ = train_classifier(labelled, 10, ClassifierSettings(steps=60), generator)
    return network


def scrambled(recipe, seed):
    """Return the recipe's network with all weights random, the last layer's too."""
    network, generator = recipe.untrained(), torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.data = 0.2 * torch.randn(parameter.shape, generator=generator)
    return network


# --- training --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipes_say_what_they_are_for(name):
    recipe = RECIPES[name]
    assert recipe.data == name and name in CLASSIFIERS
    network = recipe.untrained()
    images, labels = torch.zeros(2, *recipe.shape), torch.tensor([0, 9])
    assert network(images, torch.zeros(2), labels).shape == images.shape


def test_five_digit_models_fit_into_one_file():
    assert 5 * 2 * parameter_count(RECIPES["digits"].untrained()) < 900_000


def test_training_is_decided_by_seed_and_process():
    first, again = (train_images("fvp 0.9 2", TINY, 1000) for _ in range(2))
    assert first == again
    assert train_images("fvp 0.9 2", TINY, 1001)["weights"] != first["weights"]
    assert train_images("vp", TINY, 1000)["weights"] != first["weights"]
    with pytest.raises(ValueError, match="unknown process"):
        train_images("nvp", TINY, 1000)


# --- drawing ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "count", "sampler"),
    [("fvp 0.9 2", 2, "sde"), ("fvp 0.9 2", 2, "bridge"), ("vp", 0, "sde"), ("vp", 0, "ode")],
)
def test_an_untrained_network_draws_gaussian_images(name, count, sampler):
    # Its last layer is zero, and so it predicts what is exact for N(0, 0.5^2).
    weights = pack_weights(DENSE.untrained())
    labels = torch.zeros(800, dtype=torch.long)
    images = draw_images(DENSE, weights, name, labels, 3, 60, sampler)
    exact = generated_variance(FractionalProcess(count=count), 0.5, sampler, 60)
    spread = exact * math.sqrt(2 / images.numel())
    assert abs(images.double().var().item() - exact) < 5 * spread
    assert abs(images.double().mean().item()) < 5 * math.sqrt(exact / images.numel())


def test_processes_with_one_base_start_from_the_same_noise():
    # The probability flow adds no noise, so what its images share is where they started. The sign
    # is open: an image with memory also depends on its hidden numbers.
    weights, labels = pack_weights(DENSE.untrained()), torch.zeros(600, dtype=torch.long)
    ordinary = draw_images(DENSE, weights, "vp", labels, 3, 60, "ode")
    for seed, related in ((3, True), (4, False)):
        memory = draw_images(DENSE, weights, "fvp 0.9 2", labels, seed, 60, "ode")
        pairs = torch.stack([ordinary.flatten(), memory.flatten()]).double()
        assert (abs(pairs.corrcoef()[0, 1].item()) > 0.3) is related


def test_batches_have_their_own_random_numbers(monkeypatch):
    monkeypatch.setattr(fractional_images, "BATCH", 3)
    weights, labels = pack_weights(scrambled(TINY, 0)), torch.tensor([0, 1, 2, 0, 1, 2])
    drawn = draw_images(TINY, weights, "fvp 0.9 2", labels, 5, 4)
    assert drawn.shape == (6, 1, 8, 8)
    alone = draw_images(TINY, weights, "fvp 0.9 2", labels[:3], 5, 4)
    torch.testing.assert_close(drawn[:3], alone)
    assert (drawn[:3] - drawn[3:]).abs().max() > 0.1
    assert (draw_images(TINY, weights, "fvp 0.9 2", labels, 6, 4) - drawn).abs().max() > 0.1


def test_the_class_asked_for_reaches_the_network():
    weights = pack_weights(scrambled(TINY, 1))
    zeros, ones = torch.zeros(4, dtype=torch.long), torch.ones(4, dtype=torch.long)
    first = draw_images(TINY, weights, "vp", zeros, 0, 5)
    assert (draw_images(TINY, weights, "vp", ones, 0, 5) - first).abs().max() > 1e-3
    mixed = draw_images(TINY, weights, "vp", torch.tensor([0, 1, 0, 0]), 0, 5)
    assert (mixed[1] - first[1]).abs().max() > 1e-3
    torch.testing.assert_close(mixed[[0, 2, 3]], first[[0, 2, 3]], rtol=1e-3, atol=1e-4)


def test_a_recipe_without_classes_ignores_labels():
    recipe = dataclasses.replace(TINY, classes=0)
    weights = pack_weights(scrambled(recipe, 1))
    first = draw_images(recipe, weights, "ve", torch.tensor([0, 1]), 0, 5)
    torch.testing.assert_close(
        first, draw_images(recipe, weights, "ve", torch.tensor([2, 3]), 0, 5)
    )


# --- judging ---------------------------------------------------------------------------------


def test_nearest_distance_is_the_smallest_root_mean_square_difference():
    generator = torch.Generator().manual_seed(0)
    images, train = (torch.randn(n, 1, 3, 2, generator=generator) for n in (4, 7))
    differences = (images[:, None] - train).square().mean((2, 3, 4)).sqrt()
    assert nearest_distance(images, train) == pytest.approx(differences.min(1).values.mean().item())
    # cdist of equal points is 0 only to the square root of single precision.
    assert nearest_distance(train[:3], train) < 1e-3


def test_training_images_get_full_marks_and_noise_does_not(data, classifier):
    praised = assess(data.train, data.train_labels, data, classifier)
    assert praised["frechet_train"] < 1e-6 < praised["frechet"]
    assert praised["nearest"] < 1e-3 and praised["agreement"] > 0.8
    assert praised["std"] == pytest.approx(data.train.double().std().item())
    wrong = (data.train_labels + 1) % 10
    assert assess(data.train, wrong, data, classifier)["agreement"] < 0.2
    noise = torch.rand(1500, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    blamed = assess(noise, data.train_labels, data, classifier)
    assert blamed["frechet"] > 10 * praised["frechet"]
    assert blamed["nearest"] > 0.3
    one_image = data.train[:1].expand(50, 1, 8, 8)
    labels = data.train_labels[:1].expand(50)
    assert assess(one_image, labels, data, classifier)["vendi"] == pytest.approx(1.0, abs=1e-6)


def test_black_images_have_a_vendi_score(data, classifier):
    black = -torch.ones(4, 1, 8, 8)
    assert assess(black, data.train_labels[:4], data, classifier)["vendi"] == pytest.approx(1.0)


def test_the_reference_is_not_its_own_neighbour(data, classifier):
    found = judge_data(TINY, pack_weights(classifier), 100)
    assert found["nearest"] == pytest.approx(nearest_distance(data.test, data.train), rel=0.05)
    assert found["nearest"] > 0.1
    assert found["vendi"] > 2


def test_text_and_state_dictionaries_are_judged_alike(classifier):
    network = scrambled(TINY, 2).half().float()  # as packing rounds
    half = FeatureNetwork((1, 8, 8), 10)
    half.load_state_dict({k: v.half().float() for k, v in classifier.state_dict().items()})
    text = (pack_weights(network), pack_weights(half))
    states = (network.state_dict(), half.state_dict())
    judged = [judge_images(TINY, w, "vp", c, 0, 20, 4) for w, c in (text, states)]
    assert judged[0] == judged[1]


@pytest.mark.parametrize(("sampler", "seed"), [("bridge", 3), ("sde", 4)])
def test_what_is_judged_is_what_was_asked_for(data, classifier, sampler, seed):
    weights, packed = pack_weights(scrambled(TINY, 3)), pack_weights(classifier)
    found = judge_images(TINY, weights, "fvp 0.9 2", packed, seed, 30, 4, sampler)
    labels = data.train_labels[:30]
    drawn = draw_images(TINY, weights, "fvp 0.9 2", labels, seed, 4, sampler)
    first = drawn[(labels == labels.min()).nonzero()[0, 0]]
    shown = torch.tensor(found["shown"][0])
    torch.testing.assert_close(shown, ((first + 1) / 2).clamp(0, 1), atol=0.0051, rtol=0.0)


def test_broken_pixels_are_counted_and_figures_are_in_order(monkeypatch, data, classifier):
    def copy_with_faults(recipe, weights, name, labels, *rest):
        images = data.train[: len(labels)].clone()
        images[0, 0, 0, 0], images[1] = math.nan, math.inf
        return 3 * images

    monkeypatch.setattr(fractional_images, "draw_images", copy_with_faults)
    packed = pack_weights(classifier)
    found = judge_images(TINY, pack_weights(TINY.untrained()), "vp", packed, 0, 100, 4)
    assert found["finite"] == pytest.approx(0.98)
    assert all(math.isfinite(value) for key, value in found.items() if key != "shown")
    whole = (3 * data.train[2:100]).clamp(-1, 1).double().std().item()  # all but the faulty two
    assert found["std"] == pytest.approx(whole, rel=0.02)
    shown = torch.tensor(found["shown"])
    assert shown.shape == (20, 1, 8, 8) and shown.min() == 0 and shown.max() == 1
    threes = (data.train_labels[:100] == 3).nonzero()[:2, 0]
    expected = ((3 * data.train[threes]).clamp(-1, 1) + 1) / 2
    torch.testing.assert_close(shown[6:8], expected, atol=0.0051, rtol=0.0)


@pytest.mark.parametrize("samples", [1, 1501])
def test_impossible_numbers_of_samples_are_refused(samples, classifier):
    with pytest.raises(ValueError, match="samples must be between 2 and 1500"):
        judge_data(TINY, pack_weights(classifier), samples)
