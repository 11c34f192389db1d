"""Evaluation of image models: quality, diversity and obedience to the class asked for.

All samples are judged as images: values outside [-1, 1] are cut off first, as writing
them to a file would do. The classes that a network is asked for are those of the first
training images, so these images are a reference with the same classes in the same
numbers.
"""

from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from src.common.checks import checked, within
from src.common.diffusion.denoising import load_packed, network_score
from src.common.images.feature_network import FeatureNetwork, accuracy, features
from src.common.images.models import ImageRecipe
from src.common.images.sets import ImageSet, image_set, to_pixels
from src.common.statistics.sample_distances import frechet_distance, vendi_score
from src.diffusion.fractional.names import named_process
from src.diffusion.fractional.sampling import draw

Weights = str | dict[str, Tensor]
"""Packed text, as training leaves it, or a state dictionary, as weights are stored."""

BATCH = 500  # images drawn at a time; each batch has its own random numbers
REFERENCE = 10_000  # training images whose features are taken, at most
COMPARED = 300  # images whose nearest training image is sought, at most
BLACK = 1e-3  # of a black pixel, so that a black image has a direction (Vendi score)
SHOWN = 2  # images of each class that are kept for figures


@checked
def draw_images(
    recipe: ImageRecipe,
    weights: Weights,
    name: str,
    labels: Int[Tensor, " number"],
    seed: int,
    evaluations: int,
    sampler: str = "sde",
    device: str = "cpu",
) -> Float[Tensor, "number channels height width"]:
    """Draw one image for each label from a trained network, not cut to [-1, 1].

    With equal seeds, all fractional processes with one base and that base itself start
    from the same noise in the image.

    Args:
        recipe: what the network was trained by.
        weights: what training left behind.
        name: of the process it was trained for, see `named_process`.
        labels: the classes asked for; ignored by a recipe without classes.
        seed: of start and steps.
        evaluations: calls of the network per image, at least 3.
        sampler: one of `sampling.SAMPLERS`; "sde" is the paper's.
        device: to compute on; the images stay there.

    Returns:
        Images (number, channels, height, width).

    Raises:
        ValueError: for an unknown process or sampler, labels that are not classes, or a
            network that was trained for another process.
        RuntimeError: for weights of another network.
    """
    network = restored(recipe.untrained(), weights, device).to(
        memory_format=torch.channels_last
    )
    process, parts = named_process(name), []
    for batch, asked in enumerate(labels.to(device).split(BATCH)):
        generator = torch.Generator(device).manual_seed(10_000 * seed + batch)
        score = network_score(network, process, asked if recipe.classes else None)
        shape = (len(asked), *recipe.shape)
        parts.append(draw(process, score, shape, sampler, evaluations, generator))
    return torch.cat(parts)


def judge_images(
    recipe: ImageRecipe,
    weights: Weights,
    name: str,
    classifier: Weights,
    seed: int,
    samples: int,
    evaluations: int,
    sampler: str = "sde",
    device: str = "cpu",
) -> dict[str, object]:
    """Draw images from a trained network and return what `assess` says of them.

    Args:
        recipe: what the network was trained by.
        weights: what training left behind.
        name: of the process it was trained for, see `named_process`.
        classifier: weights of the network that judges, trained on the same image set.
        seed: of start and steps.
        samples: images to draw, at least 2.
        evaluations: calls of the network per image, at least 3.
        sampler: one of `sampling.SAMPLERS`; "sde" is the paper's.
        device: to draw on; judging is done on the CPU.

    Returns:
        The entries of `assess` and two more: "finite", the share of images without
        infinite or undefined pixels (an undefined pixel is grey in all that follows, an
        infinite one black or white), and "shown", a few images (number, channels,
        height, width) in [0, 1], class by class.

    Raises:
        ValueError: if there are fewer training images than samples, or fewer than 2
            samples.
    """
    data, labels = _data(recipe.data), _asked(recipe, samples)
    drawn = draw_images(
        recipe, weights, name, labels, seed, evaluations, sampler, device
    ).cpu()
    finite = drawn.isfinite().flatten(1).all(1).double().mean().item()
    images = drawn.nan_to_num(0.0, 1.0, -1.0).clamp(-1, 1)
    found = assess(images, labels, data, restored(_classifier(data), classifier))
    chosen = [i for c in range(data.number_of_classes) for i in _first(labels == c)]
    shown = (to_pixels(images[chosen]).double() * 100).round() / 100
    return {**found, "finite": finite, "shown": shown.tolist()}


def judge_data(
    recipe: ImageRecipe, classifier: Weights, samples: int
) -> dict[str, object]:
    """Return what `assess` says of the first training images: the values to be reached.

    "nearest" is that of the first test images, because a training image is its own
    neighbour.

    Args:
        recipe: names the image set.
        classifier: weights of the network that judges.
        samples: training images to judge, at least 2.

    Raises:
        ValueError: if there are fewer training images than samples, or fewer than 2
            samples.
    """
    data, labels = _data(recipe.data), _asked(recipe, samples)
    network = restored(_classifier(data), classifier)
    found = assess(data.train[:samples], labels, data, network)
    return {**found, "nearest": nearest_distance(data.test[:COMPARED], data.train)}


@checked
def assess(
    images: Float[Tensor, "number channels height width"],
    labels: Int[Tensor, " number"],
    data: ImageSet,
    classifier: FeatureNetwork,
) -> dict[str, float]:
    """Return measures of images that were asked to be of certain classes.

    Args:
        images: in [-1, 1].
        labels: the class asked for, one per image.
        data: the image set to compare with.
        classifier: trained on that set; gives the features and the classes.

    Raises:
        ValueError: for fewer than 2 images, or labels for another number of them.

    Returns:
        "frechet": Frechet distance to all test images in the classifier's features;
        "frechet_train": the same to the first 10,000 training images;
        "vendi": pixel Vendi score of the images in [0, 1];
        "agreement": share that the classifier puts into the class asked for;
        "std": standard deviation of all pixels;
        "nearest": see `nearest_distance`, of the first 300 images.
    """
    found = features(classifier, images)
    return {
        "frechet": frechet_distance(found, features(classifier, data.test)).item(),
        "frechet_train": frechet_distance(
            found, features(classifier, data.train[:REFERENCE])
        ).item(),
        "vendi": vendi_score(to_pixels(images).clamp(min=BLACK)).item(),
        "agreement": accuracy(classifier, images, labels),
        "std": images.double().std().item(),
        "nearest": nearest_distance(images[:COMPARED], data.train),
    }


@checked
def nearest_distance(
    images: Float[Tensor, "number channels height width"],
    train: Float[Tensor, "train channels height width"],
) -> float:
    """Return the mean distance to the nearest training image.

    The distance is the root mean square difference of the pixels. A model that has
    learned its images by heart is nearer to them than fresh images are.

    Args:
        images: to be judged.
        train: the training images, of the same shape and scale.

    Raises:
        ValueError: for images of another shape, or none.

    Examples:
        >>> train = torch.zeros(3, 1, 2, 2)
        >>> nearest_distance(torch.full((5, 1, 2, 2), 0.5), train)
        0.5
    """
    for name, some in (("images", images), ("train", train)):
        within(f"the number of {name}", len(some), 1)
    distance = torch.cdist(images.flatten(1), train.flatten(1)).min(1).values
    return (distance.double() / train[0].numel() ** 0.5).mean().item()


def restored(network: nn.Module, weights: Weights, device: str = "cpu") -> nn.Module:
    """Put weights into a network of the same architecture.

    Args:
        network: changed in place.
        weights: packed text or a state dictionary.
        device: to move the network to.

    Returns:
        The network, in evaluation mode and without gradients.

    Raises:
        RuntimeError: for weights of another network.
    """
    if isinstance(weights, str):
        load_packed(network, weights)
    else:
        network.load_state_dict(weights)
    return network.to(device).eval().requires_grad_(False)


def _classifier(data: ImageSet) -> FeatureNetwork:
    return FeatureNetwork(data.image_shape, data.number_of_classes)


def _asked(recipe: ImageRecipe, samples: int) -> Tensor:
    """Return the classes of the first training images."""
    labels = _data(recipe.data).train_labels
    if not 2 <= samples <= len(labels):
        raise ValueError(f"samples must be between 2 and {len(labels)}, not {samples}")
    return labels[:samples]


def _first(chosen: Tensor) -> list[int]:
    return chosen.nonzero()[:SHOWN, 0].tolist()


@lru_cache(maxsize=1)
def _data(name: str) -> ImageSet:
    return image_set(name)
