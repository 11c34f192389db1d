"""How close restored images are to the true ones: PSNR and SSIM, one per image."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from src.common.checks import alike, checked, within

Images = Float[Tensor, "batch channels height width"]


@checked
def psnr(restored: Images, true: Images, data_range: float) -> Float[Tensor, " batch"]:
    """Return 10 log10(data_range^2 / mean squared error), the PSNR in decibels.

    It is infinite for equal images.

    Args:
        restored: images in the shape of `true`.
        true: what they should be.
        data_range: the largest minus the smallest value a pixel can have: 2 for images
            in [-1, 1], 1 for those in [0, 1]. It has no default, because a wrong one
            goes unnoticed: it shifts every result by 6 decibels.

    Raises:
        ValueError: for images of different shapes or types, or without floating
            numbers, or for a range that is not positive.

    Examples:
        >>> true = torch.zeros(1, 1, 4, 4)
        >>> psnr(true + 0.2, true, data_range=2.0).round()
        tensor([20.])
    """
    within("data_range", data_range, 0, ends=False)
    alike(restored=restored, true=true)
    error = (restored - true).square().flatten(1).mean(1)
    return 10 * torch.log10(data_range**2 / error)


@checked
def ssim(
    restored: Images,
    true: Images,
    data_range: float,
    window: int = 11,
    std: float = 1.5,
) -> Float[Tensor, " batch"]:
    """Return the structural similarity of Wang et al. (2004), between -1 and 1.

    Means, variances and the covariance are those under a Gaussian window that slides
    over all places where it fits into the image; the index is averaged over places and
    channels.

    Args:
        restored: images in the shape of `true`.
        true: what they should be.
        data_range: the largest minus the smallest value a pixel can have, as in `psnr`.
        window: odd number of pixels; 11 in the paper, 7 or less for images of 8 x 8.
        std: standard deviation of the window in pixels; 1.5 in the paper.

    Raises:
        ValueError: for an even window or one larger than the image, a range or a
            deviation that is not positive, or images as in `psnr`.

    Examples:
        >>> true = torch.linspace(-1, 1, 256).reshape(1, 1, 16, 16)
        >>> bool(ssim(0.5 * true, true, 2.0) < ssim(0.9 * true, true, 2.0))
        True
    """
    within("data_range", data_range, 0, ends=False)
    alike(restored=restored, true=true)
    within("std", std, 0, ends=False)
    if window % 2 == 0 or not 1 <= window <= min(true.shape[-2:]):
        raise ValueError(
            f"no odd window that fits into {tuple(true.shape[-2:])}: {window}"
        )
    steps = torch.arange(window, dtype=true.dtype, device=true.device) - window // 2
    weights = torch.exp(-0.5 * (steps / std) ** 2)
    weights = weights / weights.sum()
    of_mean, of_variance = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mean_x, mean_y = _windowed(restored, weights), _windowed(true, weights)
    variance_x = _windowed(restored**2, weights) - mean_x**2
    variance_y = _windowed(true**2, weights) - mean_y**2
    covariance = _windowed(restored * true, weights) - mean_x * mean_y
    brightness = (2 * mean_x * mean_y + of_mean) / (mean_x**2 + mean_y**2 + of_mean)
    structure = (2 * covariance + of_variance) / (variance_x + variance_y + of_variance)
    return (brightness * structure).flatten(1).mean(1)


def _windowed(
    images: Images, weights: Float[Tensor, " window"]
) -> Float[Tensor, "batch channels places_down places_across"]:
    """Return the weighted mean at every place where the window fits."""
    flat = images.flatten(0, 1)[:, None]
    across = F.conv2d(flat, weights[None, None, None, :])
    return F.conv2d(across, weights[None, None, :, None]).unflatten(
        0, images.shape[:2]
    )[:, :, 0]
