"""Train a network to tell the noise from the image, for any process, and score with it.

A network never sees a process, only what the noisy image u = mean x_0 + std noise is
made of. The same network and loss therefore serve every process, so that two of them
can be compared on equal terms:

- the input is u / s with s = sqrt(mean^2 d^2 + std^2) and d = `DATA_STD`, so it has
  size one whatever the process does to the scale of its images;
- how noisy u is reaches the network as log(std / mean) / 4. The ratio, not the time or
  std, decides how much of the image is left, so it means the same for
  variance-preserving and -exploding processes and for those with memory; the logarithm
  keeps 1e-3 and 1e-2 apart;
- the predicted noise is r u / s + sqrt(1 - r^2) network(...) with r = std / s. The
  first term is the best linear guess for uncorrelated data of standard deviation d; the
  network learns what it misses. Without it the error of the denoised image (u - std
  noise) / mean would grow like std / mean, a hundredfold at t = 1. This is the
  preconditioning of Karras et al. (2022, table 1) written for the noise.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from src.common.checks import checked, within
from src.common.diffusion.processes import Process, Score, Time, per_image
from src.common.diffusion.weights import (
    check_process,
    load_packed,
    pack_weights,
    record_process,
    unpack_weights,
)
from src.common.training.loop import TrainingCurve, TrainingSettings, train

__all__ = [
    "DATA_STD",
    "DenoiserSettings",
    "Images",
    "MovingAverage",
    "image_batches",
    "load_packed",
    "network_score",
    "noise_prediction_loss",
    "pack_weights",
    "predicted_noise",
    "train_denoiser",
    "unpack_weights",
]

DATA_STD = 0.5
"""Assumed standard deviation of a pixel, for images in [-1, 1] (CIFAR-10: 0.505)."""


class Images(NamedTuple):
    """A batch of images and their classes.

    Attributes:
        images: (batch, ...).
        labels: (batch,), or None where there are no classes.
    """

    images: Tensor
    labels: Tensor | None = None


# --- what a network's output means ----------------------------------------------------


@checked
def predicted_noise(
    network: nn.Module,
    process: Process,
    observed: Float[Tensor, " batch *image"],
    t: Time,
    labels: Int[Tensor, "..."] | None = None,
) -> Float[Tensor, " batch *image"]:
    """Return the network's guess of the noise in noisy images.

    Args:
        network: takes (scaled images, noise levels, labels or None); levels and labels
            are (batch,), or (1,) where they are one for all images.
        process: gives the mean and the standard deviation of the noisy images.
        observed: the noisy images u_t.
        t: one time for all, or (batch,); the process must add noise at it (std > 0).
        labels: one class for all, or (batch,).

    Raises:
        ValueError: for a time without noise, or another number of times or labels.
    """
    mean, std = process.mean(t), process.std(t)
    if std.device.type == "cpu" and not bool((std > 0).all()):
        raise ValueError(
            "there is no noise to predict where std = 0: take times above 0"
        )
    size = (mean**2 * DATA_STD**2 + std**2).sqrt()
    share = std / size
    batch = observed.shape[0]
    level = ((std / mean).log() / 4).to(dtype=observed.dtype, device=observed.device)
    if labels is not None:
        if tuple(labels.shape) not in ((), (1,), (batch,)):
            raise ValueError(
                f"labels must be one class or ({batch},), not {tuple(labels.shape)}"
            )
        labels = labels.reshape(-1)
    scaled = observed / per_image(size, observed)
    # One level for all is embedded once: half of the work in networks of dense layers.
    learnt = network(scaled, level.reshape(-1), labels)
    # sqrt(1 - share^2), without the cancellation at high noise.
    rest = mean * DATA_STD / size
    return per_image(share, observed) * scaled + per_image(rest, observed) * learnt


def network_score(
    network: nn.Module, process: Process, labels: Int[Tensor, "..."] | None = None
) -> Score:
    """Return score(u, t) = -predicted noise / std.

    It is differentiable in u, also by torch.func.

    Args:
        network: in evaluation mode; trained for this process.
        process: the forward process.
        labels: one class for all images (a number ()), or one for each (batch,).

    Raises:
        ValueError: for a network that was trained for another process.

    Examples:
        >>> from src.common.diffusion.networks import ScoreMLP
        >>> from src.common.diffusion.processes import LinearVP
        >>> score = network_score(ScoreMLP((2,)), LinearVP())
        >>> score(torch.zeros(5, 2), torch.tensor(0.5)).shape
        torch.Size([5, 2])
    """
    check_process(network, process)

    def score(u: Tensor, t: Tensor) -> Tensor:
        noise = predicted_noise(network, process, u, t, labels)
        return -noise / per_image(process.std(t), noise)

    return score


# --- training -------------------------------------------------------------------------


def noise_prediction_loss(
    process: Process, generator: torch.Generator, first_time: float = 1e-5
) -> Callable[[nn.Module, Images], Tensor]:
    """Return loss(network, batch): the mean squared error of the predicted noise.

    Times are uniform on (first_time, 1), one for each image (Ho et al. 2020, equation
    14). A network that only passes on the linear guess (see above) has a loss well
    below 1.

    Args:
        process: the forward process.
        generator: draws times and noise, on the images' device; the same numbers for
            all processes.
        first_time: in [0, 1); a positive number where std is 0 at t = 0.

    Raises:
        ValueError: for another first time.
    """
    if not 0 <= first_time < 1:
        raise ValueError(f"first_time must be in [0, 1), not {first_time}")

    def loss(network: nn.Module, batch: Images) -> Tensor:
        images, device = batch.images, generator.device
        uniform = torch.rand(
            len(images), generator=generator, dtype=torch.float64, device=device
        )
        noise = torch.randn(
            images.shape, generator=generator, dtype=images.dtype, device=device
        )
        t = first_time + (1 - first_time) * uniform
        observed = process.noisy(images, t, noise)
        guess = predicted_noise(network, process, observed, t, batch.labels)
        return (guess - noise).square().mean()

    return loss


@dataclass(frozen=True)
class DenoiserSettings:
    """How to train a denoiser; every field is a JSON value.

    Attributes:
        steps: number of updates.
        batch: images per update.
        learning_rate: the largest one of Adam.
        schedule: "constant", or "cosine" down to 0.
        warm_up: share of the steps in which the learning rate grows linearly from 0;
            about 0.3 with "cosine" is what is called one cycle.
        average: decay of the moving average of the weights.
        clip_norm: the gradient's norm is cut to at most this; None leaves it alone.
        first_time: the smallest time drawn.

    Examples:
        >>> settings = DenoiserSettings(steps=100, schedule="constant", warm_up=0.25)
        >>> settings.multiplier(13), settings.multiplier(26)
        (0.5, 1.0)
    """

    steps: int
    batch: int = 128
    learning_rate: float = 2e-3
    schedule: str = "cosine"
    warm_up: float = 0.1
    average: float = 0.999
    clip_norm: float | None = 1.0
    first_time: float = 1e-5

    def __post_init__(self) -> None:
        """Reject an unknown schedule, and numbers that train nothing.

        Raises:
            ValueError: for such settings.
        """
        for name in ("steps", "batch"):
            if not isinstance(number := getattr(self, name), int) or number < 1:
                raise ValueError(f"{name} must be whole and positive, not {number!r}")
        within("learning_rate", self.learning_rate, 0, ends=False)
        if self.clip_norm is not None:
            within("clip_norm", self.clip_norm, 0, ends=False)
        if self.schedule not in ("constant", "cosine"):
            raise ValueError(
                f"schedule must be constant or cosine, not {self.schedule!r}"
            )
        if not (
            0 <= self.warm_up < 1 and 0 <= self.average < 1 and 0 <= self.first_time < 1
        ):
            raise ValueError("warm_up, average and first_time must be in [0, 1)")

    def multiplier(self, step: int) -> float:
        """Return the factor of the learning rate at a step.

        Args:
            step: 1, 2, ..., `steps`.
        """
        rising = round(self.warm_up * self.steps)
        if step <= rising:
            return step / (rising + 1)
        if self.schedule == "constant":
            return 1.0
        # 1 at the first step after the rise, and not quite 0 at the last.
        return 0.5 * (
            1 + math.cos(math.pi * (step - rising - 1) / (self.steps - rising))
        )


class MovingAverage:
    """A moving average of a network's weights, from the first step on.

    After update n = 1, 2, ... of the weights, average <- decay_n average + (1 -
    decay_n) weights with decay_n = min(decay, (1 + n) / (10 + n)): early on the average
    follows quickly, so that the initial weights are soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Start from the network's present weights.

        Args:
            network: whose weights to average.
            decay: weight of the past late in training, in [0, 1).

        Raises:
            ValueError: for another decay.
        """
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be in [0, 1), not {decay}")
        self.decay = decay
        self.weights = [p.detach().clone() for p in network.parameters()]

    @torch.no_grad()
    def update(self, step: int, network: nn.Module) -> None:
        """Take in the weights after an update; an `after_step` of `train`.

        Args:
            step: number of the update, from 1.
            network: the one that the average started from.
        """
        decay = min(self.decay, (1 + step) / (10 + step))
        for average, parameter in zip(self.weights, network.parameters(), strict=True):
            average.lerp_(parameter, 1 - decay)

    @torch.no_grad()
    def copy_to(self, network: nn.Module) -> None:
        """Replace the network's weights by their average.

        Args:
            network: the averaged one, or one built alike.
        """
        for average, parameter in zip(self.weights, network.parameters(), strict=True):
            parameter.copy_(average)


def train_denoiser(
    network: nn.Module,
    process: Process,
    data: Images,
    settings: DenoiserSettings,
    generator: torch.Generator,
) -> TrainingCurve:
    """Train `network` in place and leave the average of its weights in it.

    The order of the images, the times and the noise depend on the generator alone, so
    networks trained with equal generators for different processes see the same ones.
    Draw the initial weights under `src.common.training.loop.seeded` to make those equal
    too. The network remembers the process, see `src.common.diffusion.weights`.

    Args:
        network: on the device of the images.
        process: the forward process.
        data: all training images, with their classes if the network takes them.
        settings: how to train.
        generator: on the CPU; used for seeds only.

    Returns:
        The losses before each update.

    Raises:
        ValueError: if there are fewer images than a batch has.
        FloatingPointError: if the loss stops being a finite number.

    Examples:
        >>> from src.common.diffusion.networks import ScoreMLP
        >>> from src.common.diffusion.processes import LinearVP
        >>> data = Images(torch.zeros(8, 2))
        >>> settings = DenoiserSettings(steps=3, batch=4)
        >>> network, process = ScoreMLP((2,), width=8), LinearVP()
        >>> curve = train_denoiser(network, process, data, settings, torch.Generator())
        >>> len(curve.losses)
        3
    """
    order = _child(generator, torch.device("cpu"))
    noise = _child(generator, data.images.device)
    average = MovingAverage(network, settings.average)
    curve = train(
        network,
        noise_prediction_loss(process, noise, settings.first_time),
        image_batches(data, settings.batch, order),
        TrainingSettings(
            steps=settings.steps,
            learning_rate=settings.learning_rate,
            clip_norm=settings.clip_norm,
            schedule=settings.multiplier,
        ),
        generator,
        after_step=average.update,
    )
    average.copy_to(network)
    record_process(network, process)
    return curve


@checked
def image_batches(
    data: Images, size: int, generator: torch.Generator
) -> Iterator[Images]:
    """Yield batches without end, reshuffled in every epoch.

    Images that do not fill a batch are left out of the epoch.

    Args:
        data: all images, with or without classes.
        size: images per batch.
        generator: source of the order, on the CPU.

    Raises:
        ValueError: if there are fewer images than a batch has, or labels for another
            number of images.
    """
    count = len(data.images)
    if data.labels is not None and len(data.labels) != count:
        raise ValueError(f"{count} images need as many labels, not {len(data.labels)}")
    if not 1 <= size <= count:
        raise ValueError(
            f"a batch must hold between 1 and all {count} images, not {size}"
        )
    while True:
        order = torch.randperm(count, generator=generator).to(data.images.device)
        for i in range(0, count - size + 1, size):
            chosen = order[i : i + size]
            labels = data.labels[chosen] if data.labels is not None else None
            yield Images(data.images[chosen], labels)


def _child(generator: torch.Generator, device: torch.device) -> torch.Generator:
    """Return a new stream on `device`, seeded by the generator."""
    seed = int(torch.randint(2**62, (1,), generator=generator))
    return torch.Generator(device=device).manual_seed(seed)
