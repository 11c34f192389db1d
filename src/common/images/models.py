"""A diffusion model of small images, from its recipe to a score, and a classifier.

The classifier judges the generated images. Both keep their weights as text
(`pack_weights`), so a unit of a larger run can hand them on.
"""

from dataclasses import dataclass, field

import torch
from torch import nn

from src.common.diffusion.denoising import (
    DenoiserSettings,
    Images,
    load_packed,
    pack_weights,
    train_denoiser,
)
from src.common.diffusion.networks import ScoreMLP, UNet, UNetSettings, parameter_count
from src.common.diffusion.processes import Process
from src.common.images.feature_network import (
    ClassifierSettings,
    FeatureNetwork,
    accuracy,
    train_classifier,
)
from src.common.images.sets import ImageSet, image_set
from src.common.training.loop import seeded


@dataclass(frozen=True)
class DenseSettings:
    """The size of a `ScoreMLP`.

    For 8 x 8 pixels it is much faster than a U-Net, and less sharp.

    Attributes:
        width: units of every layer.
        depth: number of residual blocks.
    """

    width: int = 176
    depth: int = 3


@dataclass(frozen=True)
class ImageRecipe:
    """How a denoiser of images is made; every field is a JSON value.

    Attributes:
        data: name of the image set, see `src.common.images.sets`.
        shape: of one image.
        network: size of the U-Net or of the dense network.
        training: how it is trained.
        classes: number of classes that the network is told, 0 for none.
    """

    data: str
    shape: tuple[int, int, int]
    network: UNetSettings | DenseSettings = field(default_factory=UNetSettings)
    training: DenoiserSettings = field(
        default_factory=lambda: DenoiserSettings(steps=2000)
    )
    classes: int = 0

    def untrained(self) -> UNet | ScoreMLP:
        """Return a network of this size with random weights."""
        if isinstance(self.network, DenseSettings):
            return ScoreMLP(
                self.shape, self.network.width, self.network.depth, self.classes
            )
        return UNet(self.shape, self.network, self.classes)


def train_image_model(
    recipe: ImageRecipe, process: Process, seed: int, device: str = "cpu"
) -> dict[str, object]:
    """Train a denoiser of images.

    With equal seeds the initial weights, images, times and noise are equal.

    Args:
        recipe: data, network and settings.
        process: the forward process.
        seed: of the weights and of the training.
        device: to train on.

    Returns:
        "weights" (text, half precision), "losses" (means of 100 steps) and
        "parameters".

    Raises:
        ValueError: for an unknown image set, images of another shape or number of
            classes than the recipe's, or fewer images than a batch has.
        BookError: if the images cannot be downloaded.
        FloatingPointError: if the loss stops being a finite number.
    """
    initial, training = (torch.Generator().manual_seed(2 * seed + i) for i in range(2))
    images = image_set(recipe.data)
    _check_recipe(recipe, images)
    labels = images.train_labels.to(device) if recipe.classes else None
    with seeded(initial):
        network = recipe.untrained()
    # The memory layout in which convolutions are fastest on a processor.
    network = network.to(device=device, memory_format=torch.channels_last)
    data = Images(images.train.to(device), labels)
    curve = train_denoiser(network, process, data, recipe.training, training)
    return {
        "weights": pack_weights(network),
        "losses": curve.smoothed(100),
        "parameters": parameter_count(network),
    }


def _check_recipe(recipe: ImageRecipe, images: ImageSet) -> None:
    """Refuse recipes for other images, or for another number of classes than they have.

    Raises:
        ValueError: for such a recipe.
    """
    if tuple(recipe.shape) != images.image_shape:
        raise ValueError(
            f"the images of {images.name} are {images.image_shape}, not {recipe.shape}"
        )
    if recipe.classes not in (0, images.number_of_classes):
        raise ValueError(
            f"{images.name} has {images.number_of_classes} classes: take as many, or 0 "
            f"for a network that is told none, not {recipe.classes}"
        )


def load_image_model(
    recipe: ImageRecipe, weights: str, device: str = "cpu"
) -> nn.Module:
    """Return the network that `train_image_model` left behind, in evaluation mode.

    Args:
        recipe: the one that it was trained with.
        weights: the text of "weights".
        device: to put the network on.

    Raises:
        RuntimeError: if the weights are those of another recipe.
    """
    network = recipe.untrained()
    load_packed(network, weights)
    return network.to(device).eval().requires_grad_(False)


def train_image_classifier(
    data: str, settings: ClassifierSettings, seed: int, device: str = "cpu"
) -> dict[str, object]:
    """Train the classifier of an image set.

    Args:
        data: name of the image set, see `src.common.images.sets`.
        settings: how to train.
        seed: of the weights and of the order of the images.
        device: to train on.

    Returns:
        "weights" (text, half precision) and "accuracy", the share of test images put
        into their own class.

    Raises:
        ValueError: for an unknown image set, or fewer images than a batch has.
        BookError: if the images cannot be downloaded.
        FloatingPointError: if the loss stops being a finite number.
    """
    images = image_set(data)
    generator = torch.Generator().manual_seed(seed)
    training = Images(images.train.to(device), images.train_labels.to(device))
    network, _ = train_classifier(
        training, images.number_of_classes, settings, generator
    )
    share = accuracy(network, images.test.to(device), images.test_labels.to(device))
    return {"weights": pack_weights(network), "accuracy": share}


def load_image_classifier(
    shape: tuple[int, int, int], classes: int, weights: str, device: str = "cpu"
) -> FeatureNetwork:
    """Return the classifier that `train_image_classifier` left behind.

    Args:
        shape: (channels, height, width) of one image.
        classes: number of classes.
        weights: the text of "weights".
        device: to put the network on.

    Raises:
        RuntimeError: if the weights are those of another shape or number of classes.
    """
    network = FeatureNetwork(shape, classes)
    load_packed(network, weights)
    return network.to(device).requires_grad_(False)
