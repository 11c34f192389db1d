"""From a recipe to a model of images and back from its packed weights."""

import pytest
import torch

from src.common.diffusion.denoising import DenoiserSettings, network_score, unpack_weights
from src.common.diffusion.networks import UNetSettings
from src.common.diffusion.processes import LinearVP, VarianceExploding
from src.common.images.feature_network import ClassifierSettings
from src.common.images.models import (
    DenseSettings,
    ImageRecipe,
    load_image_classifier,
    load_image_model,
    train_image_classifier,
    train_image_model,
)

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
