"""The control has the same problem, noise and judge as what it controls."""

import numpy as np
import pytest

from src.common.diffusion.denoising import DenoiserSettings
from src.common.diffusion.processes import LinearVP
from src.common.images.feature_network import ClassifierSettings
from src.common.images.models import (
    DenseSettings,
    ImageRecipe,
    train_image_classifier,
    train_image_model,
)
from src.inverse_problems.tmpd.image_experiments import ImagePrior, Restoration, restore_images
from src.inverse_problems.tmpd.row_sum_control import restore_by_gradients

RECIPE = ImageRecipe("digits", (1, 8, 8), DenseSettings(32, 1), DenoiserSettings(300, batch=64))


@pytest.mark.parametrize("task", ["super-resolution", "inpainting"])
def test_the_control_differs_from_what_it_controls_by_the_guidance_only(task):
    weights = train_image_model(RECIPE, LinearVP(), seed=3)["weights"]
    classifier = train_image_classifier("digits", ClassifierSettings(steps=60), 3)["weights"]

    def both(sigma):
        prior = ImagePrior(RECIPE, weights, LinearVP())
        known = (prior, classifier, Restoration(task, sigma, 12, images=2))
        sums = restore_images(*known, "TMPD, row sums", 5)
        return sums["psnr"], restore_by_gradients(*known, 5)["psnr"]

    known = (ImagePrior(RECIPE, weights, LinearVP()), classifier, Restoration(task, 0.3, 12, 2), 5)
    few, default, three = (restore_by_gradients(*known, **n)["psnr"]
                           for n in ({"iterations": 1}, {}, {"iterations": 3}))  # fmt: skip
    assert default == three and np.abs(np.subtract(few, three)).max() > 1e-3
    # An observation of pure noise guides nobody: same images, same noise, same judge.
    np.testing.assert_allclose(*both(1e4), atol=1e-3)
    assert np.abs(np.subtract(*both(0.3))).max() > 0.1
