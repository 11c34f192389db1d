"""Entry points of `src.common.images`; its operators are in `entries/inverse.py`."""

import torch
from torch import Tensor

from src.common.diffusion.denoising import Images
from src.common.images.blur import gaussian_kernel
from src.common.images.feature_network import (
    ClassifierSettings,
    FeatureNetwork,
    accuracy,
    class_probabilities,
    features,
    train_classifier,
)
from src.common.images.operators import MatrixOperator, random_mask
from src.common.images.quality import psnr, ssim
from src.common.images.sets import image_set, to_pixels
from src.common.training.loop import seeded as under_seed
from tests.unusual.inputs import Entry, same

LABELS = torch.tensor([0, 2, 1, 2])


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


with under_seed(seeded()):
    NETWORK = FeatureNetwork((1, 8, 8), 3, 4, 6).eval()


def _pair() -> dict[str, object]:
    generator = seeded()
    true = torch.rand(3, 2, 12, 12, generator=generator)
    noisy = (true + 0.1 * torch.randn(true.shape, generator=generator)).clamp(0, 1)
    return {"restored": noisy, "true": true, "data_range": 1.0}


def _images() -> Tensor:
    return torch.randn(4, 1, 8, 8, generator=seeded())


def recognised(images: Tensor) -> list[Tensor]:
    return [features(NETWORK, images), class_probabilities(NETWORK, images)]


def share(images: Tensor, labels: Tensor) -> float:
    return accuracy(NETWORK, images, labels)


def trained(images: Tensor, labels: Tensor, steps: int, batch: int, learning_rate: float) -> Tensor:
    settings = ClassifierSettings(steps, batch, learning_rate)
    network, _ = train_classifier(Images(images, labels), 3, settings, seeded(), 4, 6)
    return features(network, _images())


def built(channels: int, classes: int, width: int) -> Tensor:
    return FeatureNetwork((1, 8, 8), classes, channels, width)(_images()).detach()


def masked(kept: float) -> Tensor:
    return random_mask((2, 3, 4), kept, seeded())


def projected(observations: int, spectrum: Tensor) -> Tensor:
    return MatrixOperator.random((2, 3), observations, seeded(), spectrum).matrix()


def named_set(name: str) -> Tensor:
    return image_set(name).test[:3]


FEWER = {
    f"images: {case}": lambda r, e: same(r, [part[: len(r[0])] for part in e], 1e-4)
    for case in ("one row", "one row less", "empty")
}

ENTRIES = [
    Entry(psnr, _pair),
    Entry(ssim, lambda: _pair() | {"window": 7, "std": 1.5}),
    Entry(recognised, lambda: {"images": _images()}, FEWER),
    Entry(share, lambda: {"images": _images(), "labels": LABELS}),
    Entry(
        trained,
        lambda: {
            "images": _images(),
            "labels": LABELS,
            "steps": 2,
            "batch": 2,
            "learning_rate": 0.01,
        },
    ),
    Entry(built, lambda: {"channels": 4, "classes": 3, "width": 6}),
    Entry(gaussian_kernel, lambda: {"size": 5, "std": 1.0}),
    Entry(masked, lambda: {"kept": 0.5}),
    Entry(
        projected,
        lambda: {"observations": 3, "spectrum": torch.tensor([0.9, 0.5, 0.1])},
    ),
    Entry(
        to_pixels,
        lambda: {"images": torch.linspace(-1.5, 1.5, 8).reshape(2, 4)},
        accepts={
            f"images: {case}": lambda r, e: bool(((r >= 0) & (r <= 1)).all())
            for case in (
                "another dimension",
                "ten columns",
                "a dimension less",
                "one row less",
                "one row",
                "infinite",  # it is cut to 1
            )
        },
    ),
    Entry(named_set, lambda: {"name": "digits"}),
]
