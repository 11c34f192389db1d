"""Blurring by circular convolution, and the kernels to blur with.

Circular means that what leaves the image on one side comes in on the other. The Fourier transform
then diagonalises the blur: with its unitary form F and the kernel's transform k,
H = F^-1 diag(k) F. A real singular value decomposition follows by writing k = |k| e^{i phase}:
|k| has equal values at a frequency and its opposite, so the filter |H| is diagonal in the real,
orthogonal and symmetric Hartley transform V = Re F - Im F; the filter P of the phases is real and
orthogonal. So H = P |H| = (P V) diag(|k|) V^T.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from src.common.images.operators import Coefficients, Images, LinearOperator


class Blur(LinearOperator):
    """Circular convolution of every channel with one kernel of odd sides, centred.

    Images are (channels, height, width), or (height, width). A kernel that sums to 1 leaves the
    brightness alone. Raises ValueError for even sides and for a kernel larger than the image.
    """

    def __init__(self, image_shape: tuple[int, ...], kernel: Float[Tensor, "height width"]):
        super().__init__(image_shape, image_shape)
        sides = tuple(image_shape[-2:])
        if len(sides) != 2:
            raise ValueError(f"an image needs height and width, not {tuple(image_shape)}")
        if any(side % 2 == 0 for side in kernel.shape):
            raise ValueError(f"a kernel needs odd sides, not {tuple(kernel.shape)}")
        if any(small > side for small, side in zip(kernel.shape, sides, strict=True)):
            raise ValueError(f"kernel {tuple(kernel.shape)} is larger than images {image_shape}")
        self.kernel = kernel
        canvas = kernel.new_zeros(sides, dtype=torch.float64)
        canvas[: kernel.shape[0], : kernel.shape[1]] = kernel
        centred = canvas.roll([-(side // 2) for side in kernel.shape], dims=(0, 1))
        self._transform = torch.fft.fft2(centred)

    def _degrade(self, images: Images) -> Images:
        return _filtered(images, self._transform)

    def _adjoint(self, observations: Images) -> Images:
        return _filtered(observations, self._transform.conj())

    def singular_values(self) -> Float[Tensor, " d"]:
        """Return |k| for every channel, in the order of the frequencies."""
        channels = math.prod(self.image_shape[:-2])
        return self._transform.abs().flatten().repeat(channels)

    def image_to_spectral(self, images: Images) -> Coefficients:
        """Return the Hartley transform of each channel."""
        return _hartley(images).flatten(1)

    def image_from_spectral(self, coefficients: Coefficients) -> Images:
        """Return the Hartley transform again: it is its own inverse."""
        return _hartley(coefficients.unflatten(1, self.image_shape))

    def observation_to_spectral(self, observations: Images) -> Coefficients:
        """Undo the phases of the blur, then transform."""
        size = self._transform.abs()
        phases = torch.where(size > 0, self._transform / torch.where(size > 0, size, 1.0), 1.0)
        return self.image_to_spectral(_filtered(observations, phases.conj()))


def gaussian_kernel(size: int, std: float) -> Float[Tensor, "size size"]:
    """Return size x size weights proportional to exp(-distance^2 / (2 std^2)), summing to 1."""
    _check_kernel(size, std > 0, f"std must be positive, not {std}")
    place = torch.arange(size, dtype=torch.float64) - size // 2
    line = torch.exp(-0.5 * (place / std) ** 2)
    line = line / line.sum()
    return torch.outer(line, line)


def uniform_kernel(size: int) -> Float[Tensor, "size size"]:
    """Return size x size equal weights, summing to 1."""
    _check_kernel(size, True, "")
    return torch.full((size, size), 1 / size**2, dtype=torch.float64)


def motion_kernel(
    size: int, length: float, shake: float, generator: torch.Generator, steps: int = 400
) -> Float[Tensor, "size size"]:
    """Return the trace of a camera that moves while the shutter is open, summing to 1.

    The camera moves `length` pixels at constant speed from a random direction; the direction then
    wanders as a random walk whose standard deviation at the end is `shake` half turns, so 0 is a
    straight line. Each of the `steps` points shares its weight between the four nearest pixels. The
    trace is centred on its centre of gravity; ValueError when it is longer than the kernel holds.
    """
    fits = 0 < length <= size - 3 and shake >= 0 and steps > 1
    _check_kernel(size, fits, f"need 0 < length <= size - 3 and shake >= 0: {length}, {shake}")
    options = {"dtype": torch.float64, "generator": generator, "device": generator.device}
    turns = torch.randn(steps, **options) * (math.pi * shake / math.sqrt(steps))
    angles = turns.cumsum(0) + 2 * math.pi * torch.rand(1, **options)
    moves = torch.stack([angles.sin(), angles.cos()], 1) * (length / steps)
    path = moves.cumsum(0)
    path = path - path.mean(0) + size // 2
    corner = path.floor()
    part = path - corner
    kernel = torch.zeros(size, size, dtype=torch.float64, device=generator.device)
    for near in torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]], device=generator.device):
        weight = torch.where(near == 1, part, 1 - part).prod(1)
        kernel.index_put_(tuple((corner.long() + near).T), weight, accumulate=True)
    return kernel / kernel.sum()


def _check_kernel(size: int, sound: bool, message: str) -> None:
    if size < 1 or size % 2 == 0:
        raise ValueError(f"a kernel needs an odd number of pixels, not {size}")
    if not sound:
        raise ValueError(message)


def _filtered(images: Images, transform: Tensor) -> Images:
    """Multiply the spectrum of real images by the transform of a real filter."""
    width = images.shape[-1]
    half = transform[:, : width // 2 + 1]
    half = half.to(device=images.device, dtype=images.dtype.to_complex())
    return torch.fft.irfft2(torch.fft.rfft2(images) * half, s=images.shape[-2:])


def _hartley(images: Images) -> Images:
    transform = torch.fft.fft2(images, norm="ortho")
    return transform.real - transform.imag
