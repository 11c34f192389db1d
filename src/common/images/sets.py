"""Small image sets in [-1, 1]: digits, MNIST, Fashion-MNIST, part of CIFAR-10.

The digits come with scikit-learn and need no download; the others come through the
book's data registry, which verifies every file.
"""

import gzip
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.datasets import load_digits
from torch import Tensor

from src.book.storage.data import fetch
from src.common.checks import checked

_IDX_OF_BYTES = (
    0x0800  # the magic number of an IDX file of unsigned bytes, without its dimensions
)
_TILE = 32  # side of one CIFAR-10 image in its mosaic
_DIGITS_TRAIN = 1_500
_CLOTHES = ("T-shirt", "trousers", "pullover", "dress", "coat")
_CLOTHES += ("sandal", "shirt", "sneaker", "bag", "ankle boot")


@dataclass(frozen=True)
class ImageSet:
    """Images split for training and testing.

    Attributes:
        name: what the set is called on pages.
        train: training images in [-1, 1] (number, channels, height, width).
        train_labels: their classes, 0 to `number_of_classes` - 1 (number,).
        test: test images, like `train`.
        test_labels: their classes.
        class_names: what the classes are called.
    """

    name: str
    train: Float[Tensor, "train channels height width"]
    train_labels: Int[Tensor, " train"]
    test: Float[Tensor, "test channels height width"]
    test_labels: Int[Tensor, " test"]
    class_names: tuple[str, ...]

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Channels, height and width of one image."""
        return tuple(self.train.shape[1:])

    @property
    def number_of_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)


def image_set(name: str) -> ImageSet:
    """Return a data set by its name.

    Args:
        name: "digits", "mnist", "fashion-mnist" or "cifar10-subset".

    Raises:
        ValueError: if there is no such set, or its files do not hold what they should.
        BookError: if its files cannot be downloaded; "digits" needs none.

    Examples:
        >>> images = image_set("digits")
        >>> images.train.shape, images.number_of_classes
        (torch.Size([1500, 1, 8, 8]), 10)
    """
    if name == "digits":
        return digits()
    if name not in _READERS:
        raise ValueError(
            f"unknown image set {name!r}; valid: digits, {', '.join(_READERS)}"
        )
    return _READERS[name](fetch(name))


def digits() -> ImageSet:
    """Return scikit-learn's 1,797 digits of 8 x 8 pixels, 1,500 of them for training.

    The file is ordered by writer, so the split is random, and always the same.
    """
    raw = load_digits()
    images = (
        torch.from_numpy(raw.images).float().unsqueeze(1) / 8 - 1
    )  # 17 levels of grey
    labels = torch.from_numpy(raw.target).long()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    train, test = order[:_DIGITS_TRAIN], order[_DIGITS_TRAIN:]
    return ImageSet(
        "digits",
        images[train],
        labels[train],
        images[test],
        labels[test],
        tuple("0123456789"),
    )


def mnist(folder: Path) -> ImageSet:
    """Return MNIST: 60,000 training and 10,000 test digits of 28 x 28 pixels.

    Args:
        folder: with the four `.gz` files of the set.

    Raises:
        ValueError: if a file does not hold what it should.
    """
    return _idx_set("MNIST", folder, tuple("0123456789"))


def fashion_mnist(folder: Path) -> ImageSet:
    """Return Fashion-MNIST: 60,000 training and 10,000 test clothes of 28 x 28 pixels.

    Args:
        folder: with the four `.gz` files of the set.

    Raises:
        ValueError: if a file does not hold what it should.
    """
    return _idx_set("Fashion-MNIST", folder, _CLOTHES)


def cifar10_subset(folder: Path) -> ImageSet:
    """Return the first 10,000 training and 2,000 test images of CIFAR-10 (3 x 32 x 32).

    The pixels are exact. Results on this subset must not be compared with those on all
    60,000.

    Args:
        folder: with the two mosaics and the labels.

    Raises:
        ValueError: if a mosaic does not hold as many tiles as it should.
    """
    with np.load(folder / "labels.npz", allow_pickle=False) as file:
        train_labels, test_labels = file["y_train"], file["y_test"]
        names = tuple(str(name) for name in file["class_names"])
    train = _mosaic(folder / "lossless_train_first10000.webp", 10_000)
    test = _mosaic(folder / "lossless_test_first2000.webp", 2_000)
    return ImageSet(
        "CIFAR-10 (first 10,000)",
        train,
        torch.from_numpy(train_labels[: len(train)]).long(),
        test,
        torch.from_numpy(test_labels[: len(test)]).long(),
        names,
    )


_READERS: dict[str, Callable[[Path], ImageSet]] = {
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "cifar10-subset": cifar10_subset,
}


@checked
def to_pixels(images: Float[Tensor, " *shape"]) -> Float[Tensor, " *shape"]:
    """Map images from [-1, 1] to [0, 1], for figures and metrics.

    Args:
        images: any shape.

    Returns:
        Images of the same shape; what lies outside [0, 1] is cut.

    Raises:
        ValueError: for whole numbers.
    """
    return ((images + 1) / 2).clamp(0, 1)


def _idx_set(name: str, folder: Path, class_names: tuple[str, ...]) -> ImageSet:
    parts = []
    for prefix, count in (("train", 60_000), ("t10k", 10_000)):
        pixels = read_idx(folder / f"{prefix}-images-idx3-ubyte.gz", (count, 28, 28))
        labels = read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", (count,))
        parts += [_scaled(pixels[:, None]), torch.from_numpy(labels).long()]
    return ImageSet(name, *parts, class_names)


def read_idx(file: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Return the bytes of a gzipped IDX file (LeCun's format) as an array of `shape`.

    Args:
        file: `.gz`.
        shape: that the file must have.

    Raises:
        ValueError: if the file is not of unsigned bytes, or has another shape.
    """
    with gzip.open(file, "rb") as stream:
        content = stream.read()
    header = np.frombuffer(content, ">u4", count=1 + len(shape))
    found = tuple(int(size) for size in header[1:])
    if header[0] != _IDX_OF_BYTES + len(shape) or found != shape:
        raise ValueError(
            f"{file.name} should hold bytes of shape {shape}; its header says {found}"
        )
    values = np.frombuffer(content, np.uint8, offset=header.nbytes)
    if len(values) != math.prod(shape):
        raise ValueError(
            f"{file.name} should hold {math.prod(shape)} bytes, not {len(values)}"
        )
    return values.reshape(shape).copy()


def _mosaic(file: Path, count: int) -> Tensor:
    """Cut a picture of 32 x 32 tiles, row by row, into images (count, 3, 32, 32)."""
    from PIL import Image  # only this set is a picture file

    with Image.open(file) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    rows, columns = pixels.shape[0] // _TILE, pixels.shape[1] // _TILE
    if rows * columns != count:
        raise ValueError(
            f"{file.name} should hold {count} tiles, not {rows} x {columns}"
        )
    tiles = pixels.reshape(rows, _TILE, columns, _TILE, 3).transpose(0, 2, 4, 1, 3)
    return _scaled(tiles.reshape(count, 3, _TILE, _TILE))


def _scaled(pixels: np.ndarray) -> Tensor:
    """Return bytes as single-precision numbers in [-1, 1]."""
    return torch.from_numpy(pixels).float().div_(127.5).sub_(1)
