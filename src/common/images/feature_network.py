"""A small classifier for Frechet distances and class shares of generated images.

It takes the place of the Inception network in the usual measures: trained within the
book on the same images as the generator, so distances hold between models of one page
only and must not be compared with published FID values.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from src.common.checks import alike, checked, finite, whole, within
from src.common.diffusion.denoising import Images, image_batches
from src.common.training.loop import TrainingCurve, TrainingSettings, seeded, train

_BATCH = 1_000  # images in one pass of an evaluation


class FeatureNetwork(nn.Module):
    """Two convolutions, two dense layers (after LeNet; LeCun et al. 1998)."""

    def __init__(
        self,
        image_shape: tuple[int, ...],
        number_of_classes: int,
        channels: int = 16,
        width: int = 64,
    ) -> None:
        """Build the network.

        Args:
            image_shape: (channels, height, width) of one image, at least 4 x 4 pixels.
            number_of_classes: of the labels.
            channels: of the first convolution; the second has twice as many.
            width: number of features.

        Raises:
            ValueError: for smaller images, or fewer than one class, channel or feature.
        """
        super().__init__()
        if len(image_shape) != 3 or image_shape[0] < 1 or min(image_shape[1:]) < 4:
            raise ValueError(
                f"images must be (channels, height, width) of at least 4 x 4 pixels, "
                f"not {tuple(image_shape)}"
            )
        whole(number_of_classes=number_of_classes, channels=channels, width=width)
        within("number_of_classes", number_of_classes, 1)
        within("channels", channels, 1)
        within("width", width, 1)
        self.image_shape = tuple(image_shape)
        colours, height, side = image_shape
        # Images with sides of 16 and more pixels are pooled after both convolutions,
        # smaller ones once.
        pools = (2, 2) if min(height, side) >= 16 else (1, 2)
        size = (
            2
            * channels
            * (height // pools[0] // pools[1])
            * (side // pools[0] // pools[1])
        )
        self.features = nn.Sequential(
            nn.Conv2d(colours, channels, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(pools[0]),
            nn.Conv2d(channels, 2 * channels, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(pools[1]),
            nn.Flatten(),
            nn.Linear(size, width),
            nn.ReLU(),
        )
        self.classes = nn.Linear(width, number_of_classes)

    def forward(
        self, images: Float[Tensor, "batch channels height side"]
    ) -> Float[Tensor, "batch classes"]:
        """Return the logits of the classes.

        Args:
            images: in [-1, 1], as those it was trained on.
        """
        return self.classes(self.features(images))


@dataclass(frozen=True)
class ClassifierSettings:
    """How to train a classifier: Adam, the learning rate falling linearly to 0.

    Attributes:
        steps: number of updates.
        batch: images per update.
        learning_rate: at the first step.

    Raises:
        ValueError: for settings that train nothing.
    """

    steps: int = 500
    batch: int = 100
    learning_rate: float = 3e-3

    def __post_init__(self) -> None:
        """Reject settings that train nothing."""
        whole(steps=self.steps, batch=self.batch)
        within("steps", self.steps, 1)
        within("batch", self.batch, 1)
        within("learning_rate", self.learning_rate, 0, ends=False)

    def multiplier(self, step: int) -> float:
        """Return the factor of the learning rate at a step.

        Args:
            step: 1, 2, ..., `steps`.
        """
        return 1 - (step - 1) / self.steps


@checked
def train_classifier(
    data: Images,
    number_of_classes: int,
    settings: ClassifierSettings,
    generator: torch.Generator,
    channels: int = 16,
    width: int = 64,
) -> tuple[FeatureNetwork, TrainingCurve]:
    """Return a classifier trained on labelled images, and its training curve.

    Args:
        data: training images with labels, on the CPU or on the device to train on.
        number_of_classes: of the labels.
        settings: how to train.
        generator: on the CPU; decides the initial weights and the order of the images.
        channels: of the first convolution; the second has twice as many.
        width: number of features.

    Raises:
        ValueError: if there are no labels, others than the classes, fewer images than a
            batch has, or images with NaN or in another type than single precision.
        FloatingPointError: if the loss stops being a finite number.
    """
    if data.labels is None:
        raise ValueError("a classifier needs labels")
    _check_labels(data.images, data.labels, number_of_classes)
    with seeded(generator):
        network = FeatureNetwork(
            tuple(data.images.shape[1:]), number_of_classes, channels, width
        )
    alike(images=data.images.cpu(), weights=network.classes.weight)
    data = data._replace(labels=data.labels.long())
    curve = train(
        network.to(data.images.device),
        lambda model, batch: F.cross_entropy(model(batch.images), batch.labels),
        image_batches(data, settings.batch, generator),
        TrainingSettings(
            steps=settings.steps,
            learning_rate=settings.learning_rate,
            schedule=settings.multiplier,
        ),
        generator,
    )
    return network, curve


@torch.no_grad()
@checked
def features(
    network: FeatureNetwork, images: Float[Tensor, "number channels height side"]
) -> Float[Tensor, "number width"]:
    """Return the activations (not negative) that the last layer sees.

    Args:
        network: in evaluation mode.
        images: on its device.

    Raises:
        ValueError: for images of another shape, type or device than the network's.
    """
    return torch.cat([network.features(part) for part in _parts(network, images)])


@torch.no_grad()
@checked
def class_probabilities(
    network: FeatureNetwork, images: Float[Tensor, "number channels height side"]
) -> Float[Tensor, "number classes"]:
    """Return the probability of each class for each image; rows sum to one.

    Args:
        network: in evaluation mode.
        images: on its device.

    Raises:
        ValueError: for images of another shape, type or device than the network's.
    """
    return torch.cat([network(part).softmax(dim=1) for part in _parts(network, images)])


@checked
def accuracy(
    network: FeatureNetwork,
    images: Float[Tensor, "number channels height side"],
    labels: Int[Tensor, " number"],
) -> float:
    """Return the share of images that are put into their own class.

    Args:
        network: in evaluation mode.
        images: on its device, at least one.
        labels: the true classes.

    Raises:
        ValueError: for no images or images with NaN, and for labels that do not fit.
    """
    _check_labels(images, labels, network.classes.out_features)
    return float(
        (class_probabilities(network, images).argmax(dim=1) == labels).double().mean()
    )


@checked
def _check_labels(
    images: Float[Tensor, "number channels height side"],
    labels: Int[Tensor, " number"],
    classes: int,
) -> None:
    """Refuse no images, images with NaN, and labels other than one class each."""
    within("the number of images", len(images), 1)
    finite("images", images)
    within("the smallest label", int(labels.min()), 0, classes - 1)
    within("the largest label", int(labels.max()), 0, classes - 1)


def _parts(network: FeatureNetwork, images: Tensor) -> Iterator[Tensor]:
    """Yield images in parts, if they have the shape and the type of the network's."""
    if tuple(images.shape[1:]) != network.image_shape:
        raise ValueError(
            f"images must be (number, *{network.image_shape}), not "
            f"{tuple(images.shape)}"
        )
    alike(images=images, weights=network.classes.weight)
    yield from images.split(_BATCH)
