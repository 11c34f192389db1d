"""Blurring by circular convolution, and a kernel to blur with.

Circular means that what leaves the image on one side comes in on the other. The Fourier
transform then diagonalises the blur: with its unitary form F and the kernel's transform
k, A = F^-1 diag(k) F. A real singular value decomposition follows by writing k = |k|
e^{i phase}: |k| has equal values at a frequency and its opposite, so the filter |A| is
diagonal in the real, orthogonal and symmetric Hartley transform V = Re F - Im F; the
filter P of the phases is real and orthogonal. So A = P |A| = (P V) diag(|k|) V^T.
"""

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from src.common.checks import checked, finite, within
from src.common.images.operators import Coefficients, Images, LinearOperator


class Blur(LinearOperator):
    """Circular convolution of every channel with one kernel of odd sides, centred.

    Images are (channels, height, width), or (height, width). A kernel that sums to 1
    leaves the brightness alone. The singular values are |k| for every channel, in the
    order of the frequencies.

    Examples:
        >>> image = torch.ones(1, 1, 8, 8)
        >>> blur = Blur((1, 8, 8), gaussian_kernel(size=3, std=1.0)).to(image)
        >>> torch.allclose(blur.A(image), image)
        True
    """

    @checked
    def __init__(
        self, image_shape: tuple[int, ...], kernel: Float[Tensor, "height width"]
    ) -> None:
        """Transform the kernel.

        Args:
            image_shape: of one image.
            kernel: odd sides, none larger than the image's.

        Raises:
            ValueError: for even sides, a kernel larger than the image, or one with NaN
                or infinities.
        """
        finite("kernel", kernel)
        sides = tuple(image_shape[-2:])
        if len(sides) != 2:
            raise ValueError(
                f"an image needs height and width, not {tuple(image_shape)}"
            )
        if any(side % 2 == 0 for side in kernel.shape):
            raise ValueError(f"a kernel needs odd sides, not {tuple(kernel.shape)}")
        if any(small > side for small, side in zip(kernel.shape, sides, strict=True)):
            raise ValueError(
                f"kernel {tuple(kernel.shape)} is larger than images {image_shape}"
            )
        canvas = kernel.new_zeros(sides, dtype=torch.float64)
        canvas[: kernel.shape[0], : kernel.shape[1]] = kernel
        centred = canvas.roll([-(side // 2) for side in kernel.shape], dims=(0, 1))
        transform = torch.fft.fft2(centred)
        size = transform.abs()
        phases = torch.where(
            size > 0, transform / torch.where(size > 0, size, 1.0), 1.0
        )
        values = size.flatten().repeat(math.prod(image_shape[:-2]))
        super().__init__(image_shape, image_shape, values)
        # As pairs of real numbers: `.to(torch.float32)` would drop the imaginary parts.
        half = slice(0, sides[1] // 2 + 1)  # of the frequencies of a real image
        self._keep(_transform=torch.view_as_real(transform[:, half]))
        self._keep(_phases=torch.view_as_real(phases[:, half]))

    def _expect(self, values: Tensor, shape: tuple[int, ...], what: str) -> Tensor:
        """Refuse half precision too, of which there is no Fourier transform."""
        if self.dtype not in (torch.float32, torch.float64):
            raise ValueError(
                f"a blur needs single or double precision, not {self.dtype}: convert "
                f"operator and {what} with .float()"
            )
        return super()._expect(values, shape, what)

    def _A(self, images: Images) -> Images:
        return _filtered(images, torch.view_as_complex(self._transform))

    def _A_adjoint(self, observations: Images) -> Images:
        return _filtered(observations, torch.view_as_complex(self._transform).conj())

    def _V_adjoint(self, images: Images) -> Coefficients:
        return _hartley(images).flatten(1)

    def _V(self, coefficients: Coefficients) -> Images:
        """Transform again: Hartley's transform is its own inverse."""
        return _hartley(coefficients.unflatten(1, self.image_shape))

    def _U_adjoint(self, observations: Images) -> Coefficients:
        """Undo the phases of the blur, then transform."""
        phases = torch.view_as_complex(self._phases)
        return self._V_adjoint(_filtered(observations, phases.conj()))


@checked
def gaussian_kernel(size: int, std: float) -> Float[Tensor, "size size"]:
    """Return Gaussian weights on a square of pixels, summing to 1.

    They are proportional to exp(-distance^2 / (2 std^2)).

    Args:
        size: odd number of pixels on a side.
        std: standard deviation in pixels, positive.

    Raises:
        ValueError: for an even or negative size, or a std that is not positive.

    Examples:
        >>> kernel = gaussian_kernel(size=5, std=1.0)
        >>> kernel.shape, round(kernel.sum().item(), 6)
        (torch.Size([5, 5]), 1.0)
    """
    if size < 1 or size % 2 == 0:
        raise ValueError(f"a kernel needs an odd number of pixels, not {size}")
    within("std", std, 0, ends=False)
    place = torch.arange(size, dtype=torch.float64) - size // 2
    line = torch.exp(-0.5 * (place / std) ** 2)
    line = line / line.sum()
    return torch.outer(line, line)


def _filtered(images: Images, transform: Complex[Tensor, "height half"]) -> Images:
    """Multiply the spectrum of real images by half the transform of a real filter."""
    if not images.numel():
        return images.clone()
    return torch.fft.irfft2(torch.fft.rfft2(images) * transform, s=images.shape[-2:])


def _hartley(images: Images) -> Images:
    if not images.numel():
        return images.clone()
    transform = torch.fft.fft2(images, norm="ortho")
    return transform.real - transform.imag
