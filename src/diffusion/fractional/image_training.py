"""Training on images: one class-conditional denoiser for one process, and its recipes.

The paper's models are told the class of an image, so ours are too. Two trainings with
the same recipe and seed have the same initial weights, see the same images in the same
order and draw the same times and noise; only the process differs (see
`src.common.images.models`).
"""

from src.common.diffusion.denoising import DenoiserSettings
from src.common.diffusion.networks import UNetSettings
from src.common.images.feature_network import ClassifierSettings
from src.common.images.models import ImageRecipe, train_image_model
from src.diffusion.fractional.names import named_process

RECIPES = {
    "digits": ImageRecipe(
        "digits",
        (1, 8, 8),
        UNetSettings(8, (1, 2)),
        DenoiserSettings(steps=1500, batch=128, learning_rate=4e-3),
        classes=10,
    ),
    "mnist": ImageRecipe(
        "mnist",
        (1, 28, 28),
        UNetSettings(24, (1, 2, 2), patch=2),
        DenoiserSettings(steps=1200, batch=64, learning_rate=3e-3),
        classes=10,
    ),
    "cifar10-subset": ImageRecipe(
        "cifar10-subset",
        (3, 32, 32),
        UNetSettings(64, (1, 2, 2), blocks=2, attention=True),
        DenoiserSettings(steps=30_000, batch=128, learning_rate=1e-3),
        classes=10,
    ),
}
"""How the denoiser of each image set is made; CIFAR-10 is for a GPU."""

CLASSIFIERS = {
    "digits": ClassifierSettings(steps=500),
    "mnist": ClassifierSettings(steps=1500),
    "cifar10-subset": ClassifierSettings(steps=3000),
}
"""How the classifier that judges each image set is trained."""


def train_images(
    name: str, recipe: ImageRecipe, seed: int, device: str = "cpu"
) -> dict[str, object]:
    """Train a denoiser of images for one process.

    Args:
        name: of the process, see `named_process`.
        recipe: image set, network and training, such as one of `RECIPES`.
        seed: of the initial weights and the training.
        device: to train on.

    Returns:
        "weights" (text, half precision), "losses" (means of 100 steps) and "parameters"
        (their number).

    Raises:
        ValueError: for an unknown process or image set.
    """
    return train_image_model(recipe, named_process(name), seed, device)
