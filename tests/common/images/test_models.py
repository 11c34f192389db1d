"""From a recipe to a model of images and back from its packed weights."""

from dataclasses import replace

import pytest
import torch

from src.common.diffusion.denoising import DenoiserSettings, network_score, unpack_weights
from src.common.diffusion.networks import UNetSettings
from src.common.diffusion.processes import LinearVP, VarianceExploding
from src.common.images import models
from src.common.images.feature_network import ClassifierSettings, accuracy
from src.common.images.models import (
    DenseSettings,
    ImageRecipe,
    load_image_classifier,
    load_image_model,
    train_image_classifier,
    train_image_model,
)
from src.common.images.sets import digits
from tests.leaks.tape import recording

SHAPE = (1, 8, 8)
SHORT = DenoiserSettings(steps=60, batch=32)


@pytest.mark.parametrize("network", [DenseSettings(32, 1), UNetSettings(8, (1, 2))])
@pytest.mark.parametrize("classes", [0, 10])
def test_a_model_survives_being_packed_and_learns_something(network, classes):
    recipe = ImageRecipe("digits", SHAPE, network, SHORT, classes)
    found = train_image_model(recipe, LinearVP(), seed=7)
    assert found["losses"][-1] < 0.9  # the linear guess alone is near 0.5 to 1 at first
    model = load_image_model(recipe, found["weights"])
    assert not model.training
    assert sum(p.numel() for p in model.parameters()) == found["parameters"]
    label = torch.tensor(3) if classes else None
    score = network_score(model, LinearVP(), label)(torch.zeros(2, *SHAPE), torch.tensor(0.5))
    assert score.shape == (2, *SHAPE)
    assert score.isfinite().all()


def test_equal_seeds_give_equal_models_and_the_process_alone_makes_a_difference():
    recipe = ImageRecipe("digits", SHAPE, DenseSettings(32, 1), SHORT)
    first, again, other, exploding = (
        train_image_model(recipe, process, seed)["weights"]
        for process, seed in [
            (LinearVP(), 1),
            (LinearVP(), 1),
            (LinearVP(), 2),
            (VarianceExploding(0.01, 16.0), 1),
        ]
    )
    assert first == again
    assert first not in (other, exploding)


def test_a_recipe_starts_every_process_from_the_same_weights():
    recipe = ImageRecipe(
        "digits", SHAPE, DenseSettings(32, 1), DenoiserSettings(steps=1, learning_rate=1e-12)
    )
    states = [
        unpack_weights(train_image_model(recipe, process, 5)["weights"])
        for process in (LinearVP(), VarianceExploding(0.01, 16.0))
    ]
    for name, value in states[0].items():
        if name.endswith("trained_levels"):  # the record of which process it was
            assert not torch.equal(value, states[1][name])
            continue
        torch.testing.assert_close(value, states[1][name], atol=1e-6, rtol=0.0)


def test_the_classifier_of_the_digits_survives_being_packed():
    found = train_image_classifier("digits", ClassifierSettings(steps=120), seed=3)
    assert found["accuracy"] > 0.85
    network = load_image_classifier(SHAPE, 10, found["weights"])
    assert network(torch.zeros(2, *SHAPE)).shape == (2, 10)


def test_weights_of_another_size_are_refused():
    recipe = ImageRecipe("digits", SHAPE, DenseSettings(32, 1), SHORT)
    weights = train_image_model(recipe, LinearVP(), seed=1)["weights"]
    other = ImageRecipe("digits", SHAPE, DenseSettings(40, 1), SHORT)
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_image_model(other, weights)


def test_recipes_for_other_images_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 8, 8\), not \(1, 28, 28\)"):
        train_image_model(
            ImageRecipe("digits", (1, 28, 28), DenseSettings(8, 1), SHORT), LinearVP(), 0
        )
    with pytest.raises(ValueError, match="10 classes"):
        train_image_model(
            ImageRecipe("digits", SHAPE, DenseSettings(8, 1), SHORT, classes=5), LinearVP(), 0
        )


def test_the_accuracy_is_that_on_the_test_images():
    found, data = train_image_classifier("digits", ClassifierSettings(steps=15), seed=3), digits()
    network = load_image_classifier(SHAPE, 10, found["weights"])
    test = accuracy(network, data.test, data.test_labels)
    assert found["accuracy"] == pytest.approx(test, abs=0.005)  # kept in half precision
    assert abs(test - accuracy(network, data.train, data.train_labels)) > 0.006


def test_models_of_neighbouring_seeds_share_no_stream():
    recipe = ImageRecipe("digits", SHAPE, DenseSettings(8, 1), DenoiserSettings(steps=1, batch=8))
    seeds = []
    for seed in (1, 2):
        with recording() as tape:
            train_image_model(recipe, LinearVP(), seed)
        seeds.append(set(tape.seeds) - {0})  # the split of the digits is always the same
    assert seeds[0] and not seeds[0] & seeds[1]


def test_models_are_trained_without_the_test_images(monkeypatch):
    recipe = ImageRecipe("digits", SHAPE, DenseSettings(8, 1), DenoiserSettings(steps=3, batch=40))

    def trained():
        classifier = train_image_classifier("digits", ClassifierSettings(steps=3), 1)
        return train_image_model(recipe, LinearVP(), 1)["weights"], classifier["weights"]

    before, data = trained(), digits()
    noise = replace(data, test=-data.test, test_labels=(data.test_labels + 1) % 10)
    monkeypatch.setattr(models, "image_set", lambda name: noise)
    assert trained() == before
    monkeypatch.setattr(models, "image_set", lambda name: replace(noise, train=-data.train))
    assert trained()[0] != before[0] and trained()[1] != before[1]


@pytest.mark.parametrize(("width", "depth"), [(8, 1), (16, 2)])
def test_a_dense_network_has_the_size_that_is_asked(width, depth):
    network = ImageRecipe("digits", SHAPE, DenseSettings(width, depth)).untrained()
    assert len(network.blocks) == depth and network.first.out_features == width
