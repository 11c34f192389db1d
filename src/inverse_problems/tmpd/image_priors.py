"""The image priors of the chapter: which networks, on what data, for which process."""

from src.common.diffusion.denoising import DenoiserSettings
from src.common.diffusion.networks import UNetSettings
from src.common.diffusion.processes import LinearVP, Process, VarianceExploding
from src.common.images.feature_network import ClassifierSettings
from src.common.images.models import DenseSettings, ImageRecipe

# The largest noise of the variance-exploding process is about the largest distance
# between two images (Song and Ermon 2020, technique 1): 8 x 8 pixels in [-1, 1] are at
# most 16 apart.
PROCESSES: dict[str, Process] = {
    "vp": LinearVP(),
    "ve": VarianceExploding(sigma_min=0.01, sigma_max=16.0),
}

_SHORT = DenoiserSettings(steps=2500, batch=64)

RECIPES = {
    "digits": ImageRecipe(
        "digits", (1, 8, 8), DenseSettings(), DenoiserSettings(steps=4000, batch=128)
    ),
    "mnist": ImageRecipe(
        "mnist", (1, 28, 28), UNetSettings(24, (1, 2, 2), patch=2), _SHORT
    ),
    "fashion-mnist": ImageRecipe(
        "fashion-mnist", (1, 28, 28), UNetSettings(24, (1, 2, 2), patch=2), _SHORT
    ),
    "cifar10-subset": ImageRecipe(
        "cifar10-subset",
        (3, 32, 32),
        UNetSettings(32, (1, 2, 2), attention=True, patch=2),
        _SHORT,
    ),
}

CLASSIFIERS = {
    name: ClassifierSettings(steps=500 if name == "digits" else 1500)
    for name in RECIPES
}
