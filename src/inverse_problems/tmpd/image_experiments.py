"""Restoration of images with a learned prior: quality, diversity and honesty.

Every method restores the same test images from the same observations, with the same
network, grid and noise, and draws `SAMPLES` = 19 restorations of each. Nineteen,
because of what their smallest and largest values say: if the truth and the samples are
independent draws from one law, the truth is equally likely to have any of the 20 ranks,
so it lies between the extremes with probability 18 / 20 = 0.9. The share of pixels
where it does measures, without any fit, whether a method is as uncertain as it should
be.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from src.common.checks import checked, finite, whole, within
from src.common.diffusion.denoising import network_score
from src.common.diffusion.processes import Process, Score
from src.common.diffusion.samplers import ancestral, time_grid
from src.common.images.blur import Blur, gaussian_kernel
from src.common.images.feature_network import FeatureNetwork, features
from src.common.images.models import (
    ImageRecipe,
    load_image_classifier,
    load_image_model,
)
from src.common.images.operators import Inpainting, LinearOperator
from src.common.images.quality import psnr, ssim
from src.common.images.separable import AveragePooling
from src.common.images.sets import ImageSet, image_set
from src.inverse_problems.tmpd.ddrm import ddrm
from src.inverse_problems.tmpd.guidance import dps, pigdm
from src.inverse_problems.tmpd.tweedie import tmpd

SAMPLES = 19
TASKS = ("inpainting", "super-resolution", "deblurring")
METHODS = ("TMPD", "TMPD, row sums", "PiGDM", "DPS", "DDRM")
DATA_RANGE = 2.0  # pixels lie in [-1, 1]
_FLOOR = 1e-2  # of TMPD's denominators, sensible for learned networks


@dataclass(frozen=True)
class Restoration:
    """What is restored, and with how much effort; every field is a JSON value.

    Attributes:
        task: one of `TASKS`: the right half of the image is hidden; squares of pixels
            are averaged (4 x 4, or 2 x 2 for images of 8 x 8); the image is blurred by
            a Gaussian.
        sigma: noise of the observation, on the scale on which pixels are in [-1, 1].
        steps: of the ancestral sampler, one network evaluation each.
        images: how many test images.
        first: index of the first of them.

    Raises:
        ValueError: for an unknown task, or numbers out of range.
    """

    task: str
    sigma: float
    steps: int = 100
    images: int = 16
    first: int = 0

    def __post_init__(self) -> None:
        """Reject tasks that nobody knows, and settings that restore nothing."""
        if self.task not in TASKS:
            raise ValueError(
                f"task must be one of {', '.join(TASKS)}, not {self.task!r}"
            )
        whole(steps=self.steps, images=self.images, first=self.first)
        within("sigma", self.sigma, 0)
        within("steps", self.steps, 1)
        within("images", self.images, 1)
        within("first", self.first, 0)

    def truth(self, images: ImageSet) -> Float[Tensor, "images channels height width"]:
        """Return the test images that are restored.

        Args:
            images: a set of images.

        Raises:
            ValueError: if the set has fewer test images.
        """
        last = self.first + self.images
        if last > len(images.test):
            raise ValueError(
                f"{images.name} has {len(images.test)} test images, not {last}: take "
                "fewer, or earlier ones"
            )
        return images.test[self.first : last]


@dataclass(frozen=True)
class ImagePrior:
    """A trained prior of images; every field is made of JSON values.

    Attributes:
        recipe: of the denoiser.
        weights: of the denoiser, packed as text.
        process: that it was trained for.
    """

    recipe: ImageRecipe
    weights: str
    process: Process

    def network(self, device: str = "cpu") -> torch.nn.Module:
        """Return the denoiser.

        Args:
            device: where to put it.
        """
        return load_image_model(self.recipe, self.weights, device)


def degradation(task: str, shape: tuple[int, ...]) -> LinearOperator:
    """Return the operator of a task.

    Args:
        task: one of `TASKS`.
        shape: of an image, (channels, height, width), square.

    Raises:
        ValueError: for an unknown task, or images that are not square.
    """
    if task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, not {task!r}")
    side = shape[-1]
    if len(shape) != 3 or shape[1] != side:
        raise ValueError(f"images must be (channels, side, side), not {tuple(shape)}")
    if task == "inpainting":
        mask = torch.ones(shape, dtype=torch.bool)
        mask[..., side // 2 :] = False
        return Inpainting(shape, mask)
    if task == "super-resolution":
        return AveragePooling(shape, 2 if side <= 8 else 4)
    return Blur(shape, gaussian_kernel(5 if side <= 8 else 9, side / 12))


def restore(
    method: str,
    network: torch.nn.Module,
    process: Process,
    operator: LinearOperator,
    y: Float[Tensor, " batch *observation"],
    setting: Restoration,
    seed: int,
    dps_step: float = 1.0,
) -> Float[Tensor, "batch channels height width"]:
    """Draw one restoration of each observation.

    Equal seeds give every method equal noise.

    Args:
        method: one of `METHODS`.
        network: the prior's denoiser, trained for `process`.
        process: whose state is the noisy image.
        operator: H.
        y: observations, (batch, *observation).
        setting: noise and steps.
        seed: of the sampler.
        dps_step: DPS's step size; the other methods do not use it.

    Returns:
        Images with pixels in about [-1, 1], not clipped, (batch, channels, height,
        width).

    Raises:
        ValueError: for an unknown method.
    """
    generator = torch.Generator(device=y.device).manual_seed(seed)
    state = process.start((len(y), *operator.image_shape), generator, dtype=y.dtype)
    grid = time_grid(setting.steps)
    score = network_score(network, process)
    if method == "DDRM":
        return ddrm(process, score, operator, y, setting.sigma, state, grid, generator)
    guided = _guided(method, score, process, operator, y, setting.sigma, grid, dps_step)
    return ancestral(process, guided, state, grid, generator)


def _guided(
    method: str,
    score: Score,
    process: Process,
    operator: LinearOperator,
    y: Tensor,
    sigma: float,
    grid: Tensor,
    dps_step: float,
) -> Score:
    if method == "TMPD":
        return tmpd(
            score, process, operator, y, sigma, "full", chunk_size=16, floor=_FLOOR
        )
    if method == "TMPD, row sums":
        return tmpd(score, process, operator, y, sigma, "row_sum", floor=_FLOOR)
    if method == "PiGDM":
        return pigdm(score, process, operator, y, sigma, grid=grid)
    if method == "DPS":
        return dps(score, process, operator, y, dps_step, grid)
    raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")


@checked
def observe(
    images: Float[Tensor, "images channels height width"],
    operator: LinearOperator,
    sigma: float,
    seed: int,
) -> Tensor:
    """Return noisy observations of images, the same for every method.

    Args:
        images: (images, channels, height, width).
        operator: H.
        sigma: standard deviation of the noise.
        seed: of the noise.

    Returns:
        (images, *observation).

    Raises:
        ValueError: for a negative sigma.
    """
    within("sigma", sigma, 0)
    clean = operator.A(images)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
    return clean + sigma * noise.to(clean.device)


def restore_images(
    prior: ImagePrior,
    classifier: str,
    setting: Restoration,
    method: str,
    seed: int,
    dps_step: float = 1.0,
    device: str = "cpu",
) -> dict[str, list[float]]:
    """Restore test images `SAMPLES` times each and judge the results: a unit of a run.

    Args:
        prior: what images look like.
        classifier: packed weights of the classifier in whose features distances are
            taken.
        setting: task, noise, steps and images.
        method: one of `METHODS`.
        seed: of the observations and of the sampler.
        dps_step: DPS's step size; the other methods do not use it.
        device: of the networks and images.

    Returns:
        What `judge` returns: measure -> one number per image.

    Raises:
        ValueError: for an unknown task or method.
        BookError: if the files of the data set cannot be had.
    """
    recipe, found = prior.recipe, image_set(prior.recipe.data)
    truth = setting.truth(found).to(device)
    known = (prior.network(device), prior.process, setting)
    judge_by = load_image_classifier(
        recipe.shape, found.number_of_classes, classifier, device
    )
    samples = sample_restorations(*known, method, truth, seed, dps_step)
    return judge(samples, truth, judge_by, varying_pixels(found).to(device))


def sample_restorations(
    network: torch.nn.Module,
    process: Process,
    setting: Restoration,
    method: str,
    truth: Float[Tensor, "images channels height width"],
    seed: int,
    dps_step: float = 1.0,
) -> Float[Tensor, "images samples channels height width"]:
    """Return `SAMPLES` restorations of each image from one observation of it.

    Args:
        network: the prior's denoiser, trained for `process`.
        process: whose state is the noisy image.
        setting: task, noise and steps.
        method: one of `METHODS`.
        truth: the images, (images, channels, height, width).
        seed: of the observations; the sampler has the next one.
        dps_step: DPS's step size; the other methods do not use it.

    Returns:
        (images, SAMPLES, channels, height, width).

    Raises:
        ValueError: for an unknown task or method.
    """
    operator = degradation(setting.task, tuple(truth.shape[1:])).to(truth)
    y = observe(truth, operator, setting.sigma, seed).repeat_interleave(SAMPLES, 0)
    drawn = restore(method, network, process, operator, y, setting, seed + 1, dps_step)
    return drawn.unflatten(0, (len(truth), SAMPLES))


def varying_pixels(images: ImageSet) -> Tensor:
    """Return where the training images differ: corners, for one, never do.

    Args:
        images: a set of images.

    Returns:
        Booleans, (channels, height, width); True where the standard deviation is above
        0.05.
    """
    return images.train.std(0) > 0.05


@torch.no_grad()
@checked
def judge(
    samples: Float[Tensor, "images samples channels height width"],
    truth: Float[Tensor, "images channels height width"],
    network: FeatureNetwork,
    varying: Bool[Tensor, "channels height width"],
) -> dict[str, list[float]]:
    """Return how good the restorations of each image are.

    Args:
        samples: (images, samples, channels, height, width), at least two samples.
        truth: (images, channels, height, width), in [-1, 1].
        network: the classifier in whose features distances are taken.
        varying: booleans (channels, height, width), of `varying_pixels`.

    Returns:
        measure -> one number per image:
        psnr: of the mean of the samples, in decibels.
        ssim: of single samples, their mean.
        feature: mean distance of samples to the truth in the classifier's features.
        coverage: share of varying pixels whose truth is between the extreme samples.
        spread: standard deviation of the samples, mean over the varying pixels.
        stable: share of samples that are finite and whose mean square is below 4.

    Raises:
        ValueError: for other shapes, fewer than two samples, no pixel that varies, or a
            truth with NaN or infinities.
    """
    finite("truth", truth)
    within("the number of samples", samples.shape[1], 2)
    within("the number of varying pixels", int(varying.sum()), 1)
    stable = samples.flatten(2).square().mean(2) < 4  # comparisons with nan are false
    kept = samples.nan_to_num(0.0, 1.0, -1.0).clamp(-1, 1)
    count = samples.shape[1]
    window = 7 if truth.shape[-1] <= 8 else 11
    alike = ssim(
        kept.flatten(0, 1), truth.repeat_interleave(count, 0), DATA_RANGE, window
    )
    away = features(network, kept.flatten(0, 1)).unflatten(0, (-1, count))
    distance = (away - features(network, truth)[:, None]).norm(dim=2)
    # Values at the ends of the range: a truth of exactly -1 is inside if a sample goes
    # below it.
    inside = (samples.amin(1) <= truth) & (truth <= samples.amax(1))
    columns = {
        "psnr": psnr(kept.mean(1), truth, DATA_RANGE),
        "ssim": alike.unflatten(0, (-1, count)).mean(1),
        "feature": distance.mean(1),
        "coverage": inside[:, varying].double().mean(1),
        "spread": kept.std(1)[:, varying].mean(1),
        "stable": stable.double().mean(1),
    }
    return {name: _rounded(values) for name, values in columns.items()}


def tune_dps(
    prior: ImagePrior,
    setting: Restoration,
    candidates: Sequence[float],
    seed: int,
    device: str = "cpu",
) -> dict[str, list[float]]:
    """Return the mean PSNR of single DPS samples for each candidate step size.

    Use other images than those that are reported.

    Args:
        prior: what images look like.
        setting: task, noise, steps and images.
        candidates: step sizes.
        seed: of the observations and of the sampler.
        device: of the network and images.

    Returns:
        "steps": the candidates; "psnr": in decibels, in the same order.

    Raises:
        ValueError: for no candidates, or images that the set does not have.
        BookError: if the files of the data set cannot be had.
    """
    if not candidates:
        raise ValueError("there are no candidates to choose from")
    truth = setting.truth(image_set(prior.recipe.data)).to(device)
    network = prior.network(device)
    operator = degradation(setting.task, tuple(truth.shape[1:])).to(truth)
    y = observe(truth, operator, setting.sigma, seed)
    values = []
    for step in candidates:
        drawn = restore(
            "DPS", network, prior.process, operator, y, setting, seed + 1, step
        )
        values.append(
            float(
                psnr(
                    drawn.nan_to_num(0.0, 1.0, -1.0).clamp(-1, 1), truth, DATA_RANGE
                ).mean()
            )
        )
    return {"steps": list(candidates), "psnr": values}


def _rounded(values: Tensor) -> list[float]:
    """Return plain numbers, NaN as 0.

    An infinite PSNR becomes that of one grey level out of 256.
    """
    largest = 20 * math.log10(255)
    return [round(min(float(v), largest) if v == v else 0.0, 6) for v in values]
