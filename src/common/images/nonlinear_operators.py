"""Degradations that are not linear: phase retrieval and high dynamic range.

They have no adjoint of their own; `jacobian_adjoint` gives that of their derivative at an image.
"""

import torch
from torch import Tensor

from src.common.images.operators import Images, Operator


class PhaseRetrieval(Operator):
    """Return the absolute values of the unitary Fourier transform of the image in a dark frame.

    The frame makes each side `oversampling` times as long (rounded), with zeros; at least 2 is what
    lets the image be found, up to a shift and a half turn, from these values.
    Chung et al. (2023) take 1.5 in this sense (their number 2 counts differently).
    """

    def __init__(self, image_shape: tuple[int, ...], oversampling: float = 2.0):
        if oversampling < 1 or len(image_shape) < 2:
            raise ValueError(f"need oversampling >= 1 of height and width: {oversampling}")
        sides = tuple(round(side * oversampling) for side in image_shape[-2:])
        super().__init__(image_shape, (*image_shape[:-2], *sides))

    def _degrade(self, images: Images) -> Images:
        # The transform appends the zeros; a shift of the image would not change absolute values.
        return torch.fft.fft2(images, s=self.observation_shape[-2:], norm="ortho").abs()


class HighDynamicRange(Operator):
    """Return the image times `gain`, cut to [-1, 1]: what an overexposed sensor sees."""

    def __init__(self, image_shape: tuple[int, ...], gain: float = 2.0):
        if gain <= 0:
            raise ValueError(f"gain must be positive, not {gain}")
        super().__init__(image_shape, image_shape)
        self.gain = gain

    def _degrade(self, images: Tensor) -> Tensor:
        return (self.gain * images).clamp(-1, 1)
