"""Operators that degrade images: masks, averaging, bicubic shrinking, random projections.

An observation is y = H(x) + noise. Every operator here takes a batch of images (batch, *image) and
gives (batch, *observation), in the type and on the device of the images; constants are kept in
double precision. A linear operator also knows its adjoint and its singular value decomposition

    H = U diag(s) V^T,    V (d, d) orthogonal,    U (q, r) with orthonormal columns,    s (r,),

never as dense matrices where the structure gives them for less. Coefficient i < r of
`image_to_spectral` belongs to singular value i; the remaining d - r are those that H cannot see.
Blurs are in `src.common.images.blur`, operators that are not linear in
`src.common.images.nonlinear_operators`.
"""

from abc import ABC, abstractmethod
from functools import cached_property
from math import prod

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Images = Float[Tensor, "batch ..."]
Coefficients = Float[Tensor, "batch number"]

CUTOFF = 1e-6
"""Singular values below CUTOFF times the largest count as zero in the pseudo-inverse."""


class Operator(ABC):
    """A map from images of `image_shape` to observations of `observation_shape`."""

    def __init__(self, image_shape: tuple[int, ...], observation_shape: tuple[int, ...]):
        if not image_shape or min(image_shape) < 1:
            raise ValueError(f"an image needs at least one pixel in every direction: {image_shape}")
        self.image_shape = tuple(image_shape)
        self.observation_shape = tuple(observation_shape)

    def __call__(self, images: Images) -> Images:
        """Degrade images (batch, *image); ValueError for images of another shape."""
        return self._degrade(_expect(images, self.image_shape, "images"))

    @abstractmethod
    def _degrade(self, images: Images) -> Images:
        """Return H(images), shapes checked."""

    def jacobian_adjoint(self, images: Images, cotangents: Images) -> Images:
        """Return J(x)^T v for each image x and v (batch, *observation), J the Jacobian of H."""
        _expect(cotangents, self.observation_shape, "cotangents")
        return torch.func.vjp(self, images)[1](cotangents)[0]


class LinearOperator(Operator):
    """A linear operator with adjoint, pseudo-inverse and singular value decomposition."""

    def adjoint(self, observations: Images) -> Images:
        """Return H^T y, shape (batch, *image)."""
        return self._adjoint(_expect(observations, self.observation_shape, "observations"))

    @abstractmethod
    def _adjoint(self, observations: Images) -> Images:
        """Return H^T y, shapes checked."""

    @abstractmethod
    def singular_values(self) -> Float[Tensor, " r"]:
        """Return s in double precision, in the order of the spectral maps; not always sorted."""

    @abstractmethod
    def image_to_spectral(self, images: Images) -> Coefficients:
        """Return V^T x, shape (batch, d)."""

    @abstractmethod
    def image_from_spectral(self, coefficients: Coefficients) -> Images:
        """Return V c, shape (batch, *image): the inverse of `image_to_spectral`."""

    @abstractmethod
    def observation_to_spectral(self, observations: Images) -> Coefficients:
        """Return U^T y, shape (batch, r)."""

    def pseudo_inverse(self, observations: Images) -> Images:
        """Return H^+ y: of all images that fit y best, the one with the smallest norm.

        Singular values below `CUTOFF` times the largest are treated as zero, so noise in y grows by
        at most 1 / (CUTOFF max s).
        """
        _expect(observations, self.observation_shape, "observations")
        values = self.singular_values()
        seen = values > CUTOFF * values.max()
        inverse = torch.where(seen, 1 / torch.where(seen, values, 1.0), 0.0)
        coefficients = self.observation_to_spectral(observations)
        coefficients = coefficients * inverse.to(coefficients)
        hidden = prod(self.image_shape) - len(values)
        return self.image_from_spectral(torch.nn.functional.pad(coefficients, (0, hidden)))

    def matrix(self) -> Float[Tensor, "q d"]:
        """Return H as a dense matrix in double precision, by degrading every unit image."""
        pixels = prod(self.image_shape)
        units = torch.eye(pixels, dtype=torch.float64).reshape(pixels, *self.image_shape)
        return self(units).flatten(1).T


class MatrixOperator(LinearOperator):
    """Any matrix (q, d); its images are vectors (d,) unless `image_shape` says otherwise."""

    def __init__(self, matrix: Float[Tensor, "q d"], image_shape: tuple[int, ...] | None = None):
        shape = image_shape or (matrix.shape[1],)
        if prod(shape) != matrix.shape[1]:
            raise ValueError(f"the matrix {tuple(matrix.shape)} does not fit images {shape}")
        super().__init__(shape, (matrix.shape[0],))
        self._matrix = matrix.detach().double()

    @classmethod
    def random(
        cls,
        image_shape: tuple[int, ...],
        observations: int,
        generator: torch.Generator,
        singular_values: Float[Tensor, " q"] | None = None,
    ) -> "MatrixOperator":
        """Draw U diag(s) V^T with uniformly distributed U (q, q) and V (d, q); s is 1 by default.

        Raises ValueError for more observations than pixels.
        """
        pixels = prod(image_shape)
        if not 1 <= observations <= pixels:
            raise ValueError(f"need 1 to {pixels} observations, not {observations}")
        right = _orthonormal_columns(pixels, observations, generator)
        if singular_values is None:  # then U V^T has the law of V^T
            return cls(right.T, image_shape)
        left = _orthonormal_columns(observations, observations, generator)
        return cls(left * singular_values.to(left) @ right.T, image_shape)

    def matrix(self) -> Float[Tensor, "q d"]:
        """Return a copy of the matrix."""
        return self._matrix.clone()

    def _degrade(self, images: Images) -> Images:
        return images.flatten(1) @ self._matrix.to(images).T

    def _adjoint(self, observations: Images) -> Images:
        return (observations @ self._matrix.to(observations)).unflatten(1, self.image_shape)

    @cached_property
    def _svd(self) -> tuple[Tensor, Tensor, Tensor]:
        left, values, right = torch.linalg.svd(self._matrix)
        return left[:, : len(values)], values, right

    def singular_values(self) -> Float[Tensor, " r"]:
        """Return s, largest first; r = min(q, d)."""
        return self._svd[1]

    def image_to_spectral(self, images: Images) -> Coefficients:
        """Return V^T x."""
        return images.flatten(1) @ self._svd[2].to(images).T

    def image_from_spectral(self, coefficients: Coefficients) -> Images:
        """Return V c."""
        return (coefficients @ self._svd[2].to(coefficients)).unflatten(1, self.image_shape)

    def observation_to_spectral(self, observations: Images) -> Coefficients:
        """Return U^T y."""
        return observations @ self._svd[0].to(observations)


class Inpainting(LinearOperator):
    """Keep the pixels where the mask is True; the observation is the vector of their values.

    The mask has the shape of the image, or of its last two directions for all channels alike. What
    an observation looks like is `adjoint`: the image with 0 where the mask is False.
    """

    def __init__(self, image_shape: tuple[int, ...], mask: Bool[Tensor, "..."]):
        if tuple(mask.shape) not in (tuple(image_shape), tuple(image_shape[-2:])):
            raise ValueError(f"mask {tuple(mask.shape)} does not fit images {tuple(image_shape)}")
        self.mask = mask.expand(image_shape)
        seen = self.mask.flatten().nonzero().flatten()
        if not len(seen):
            raise ValueError("the mask hides every pixel")
        super().__init__(image_shape, (len(seen),))
        self._order = torch.cat([seen, (~self.mask).flatten().nonzero().flatten()])
        self._place = self._order.argsort()

    def _degrade(self, images: Images) -> Images:
        return self.image_to_spectral(images)[:, : self.observation_shape[0]]

    def _adjoint(self, observations: Images) -> Images:
        hidden = len(self._order) - self.observation_shape[0]
        return self.image_from_spectral(torch.nn.functional.pad(observations, (0, hidden)))

    def singular_values(self) -> Float[Tensor, " r"]:
        """Return q ones."""
        return torch.ones(self.observation_shape[0], dtype=torch.float64)

    def image_to_spectral(self, images: Images) -> Coefficients:
        """Return the pixels, those that the mask keeps first."""
        return images.flatten(1)[:, self._order.to(images.device)]

    def image_from_spectral(self, coefficients: Coefficients) -> Images:
        """Put the pixels back in their places."""
        place = self._place.to(coefficients.device)
        return coefficients[:, place].unflatten(1, self.image_shape)

    def observation_to_spectral(self, observations: Images) -> Coefficients:
        """Return the observation itself."""
        return observations


class Separable(LinearOperator):
    """The same two matrices for every channel: rows X of an image become A X B^T.

    Images are (channels, height, width), or (height, width). The decomposition is the product of
    those of A (height', height) and B (width', width).
    """

    def __init__(
        self,
        image_shape: tuple[int, ...],
        vertical: Float[Tensor, "small_height height"],
        horizontal: Float[Tensor, "small_width width"],
    ):
        if tuple(image_shape[-2:]) != (vertical.shape[1], horizontal.shape[1]):
            sides = (vertical.shape[1], horizontal.shape[1])
            raise ValueError(f"matrices for images of {sides} do not fit {tuple(image_shape)}")
        small = (vertical.shape[0], horizontal.shape[0])
        super().__init__(image_shape, (*image_shape[:-2], *small))
        self._sides = [vertical.double(), horizontal.double()]

    def _degrade(self, images: Images) -> Images:
        vertical, horizontal = (side.to(images) for side in self._sides)
        return vertical @ images @ horizontal.T

    def _adjoint(self, observations: Images) -> Images:
        vertical, horizontal = (side.to(observations) for side in self._sides)
        return vertical.T @ observations @ horizontal

    @cached_property
    def _svds(self) -> list[tuple[Tensor, Tensor, Tensor]]:
        svds = (torch.linalg.svd(side) for side in self._sides)
        return [(left[:, : len(values)], values, right) for left, values, right in svds]

    @cached_property
    def _order(self) -> Tensor:
        """Where each coefficient lies in the flat image: first those that H sees."""
        (_, rows, _), (_, columns, _) = self._svds
        seen = torch.zeros(self.image_shape, dtype=torch.bool)
        seen[..., : len(rows), : len(columns)] = True
        return torch.cat([seen.flatten().nonzero(), (~seen).flatten().nonzero()]).flatten()

    def singular_values(self) -> Float[Tensor, " r"]:
        """Return the products of the two matrices' singular values, for every channel."""
        (_, rows, _), (_, columns, _) = self._svds
        one_channel = torch.outer(rows, columns).flatten()
        return one_channel.repeat(prod(self.image_shape[:-2]))

    def image_to_spectral(self, images: Images) -> Coefficients:
        """Return V^T x, one direction of the image after the other."""
        rows, columns = (right.to(images) for _, _, right in self._svds)
        return (rows @ images @ columns.T).flatten(1)[:, self._order.to(images.device)]

    def image_from_spectral(self, coefficients: Coefficients) -> Images:
        """Return V c."""
        rows, columns = (right.to(coefficients) for _, _, right in self._svds)
        place = self._order.argsort().to(coefficients.device)
        return rows.T @ coefficients[:, place].unflatten(1, self.image_shape) @ columns

    def observation_to_spectral(self, observations: Images) -> Coefficients:
        """Return U^T y."""
        rows, columns = (left.to(observations) for left, _, _ in self._svds)
        return (rows.T @ observations @ columns).flatten(1)


class AveragePooling(Separable):
    """Replace each square of factor x factor pixels by its mean."""

    def __init__(self, image_shape: tuple[int, ...], factor: int):
        sides = _shrunk_sides(image_shape, factor)
        super().__init__(image_shape, *(_averaging_matrix(side, factor) for side in sides))


class BicubicDownsampling(Separable):
    """Shrink by a factor with the cubic kernel (Keys 1981, a = -1/2) widened by the factor.

    The widening suppresses frequencies that the small image cannot hold; at the border the part of
    the kernel outside is left out and the rest normalised. Rows sum to one. These are the numbers
    of `torch.nn.functional.interpolate(mode="bicubic", antialias=True)`.
    """

    def __init__(self, image_shape: tuple[int, ...], factor: int):
        sides = _shrunk_sides(image_shape, factor)
        super().__init__(image_shape, *(_bicubic_matrix(side, factor) for side in sides))


def box_mask(
    image_shape: tuple[int, ...], top: int, left: int, height: int, width: int
) -> Bool[Tensor, "..."]:
    """Return the mask of `Inpainting` that hides a box and keeps the rest."""
    mask = torch.ones(image_shape, dtype=torch.bool)
    mask[..., top : top + height, left : left + width] = False
    return mask


def random_mask(
    image_shape: tuple[int, ...], kept: float, generator: torch.Generator
) -> Bool[Tensor, "..."]:
    """Return the mask that keeps a share of the pixels, rounded, in all channels the same ones."""
    if not 0 < kept <= 1:
        raise ValueError(f"the share of kept pixels must lie in (0, 1], not {kept}")
    pixels = prod(image_shape[-2:])
    order = torch.randperm(pixels, generator=generator, device=generator.device)
    mask = torch.zeros(pixels, dtype=torch.bool, device=generator.device)
    mask[order[: max(1, round(kept * pixels))]] = True
    return mask.reshape(image_shape[-2:]).expand(image_shape)


def _expect(values: Tensor, shape: tuple[int, ...], what: str) -> Tensor:
    """Return the values; ValueError unless they are (batch, *shape)."""
    if values.dim() == 0 or tuple(values.shape[1:]) != shape:
        wanted = ", ".join(map(str, shape))
        raise ValueError(f"{what} must be (batch, {wanted}), not {tuple(values.shape)}")
    return values


def _orthonormal_columns(
    rows: int, columns: int, generator: torch.Generator
) -> Float[Tensor, "rows columns"]:
    """Draw orthonormal columns uniformly: QR of normal numbers, signs fixed by R's diagonal."""
    normal = torch.randn(
        rows, columns, dtype=torch.float64, generator=generator, device=generator.device
    )
    basis, triangle = torch.linalg.qr(normal)
    return basis * triangle.diagonal().sign()


def _shrunk_sides(image_shape: tuple[int, ...], factor: int) -> tuple[int, ...]:
    """Return height and width; ValueError unless the factor divides both."""
    sides = tuple(image_shape[-2:])
    if len(sides) != 2 or factor < 1 or any(side % factor for side in sides):
        raise ValueError(f"factor {factor} does not divide the sides of images {image_shape}")
    return sides


def _averaging_matrix(side: int, factor: int) -> Float[Tensor, "small side"]:
    few = torch.eye(side // factor, dtype=torch.float64)
    return few.repeat_interleave(factor, dim=1) / factor


def _bicubic_matrix(side: int, factor: int) -> Float[Tensor, "small side"]:
    """Weights of every pixel's centre in every output, by its distance in output pixels."""
    centres = (torch.arange(side // factor, dtype=torch.float64) + 0.5) * factor
    pixels = torch.arange(side, dtype=torch.float64) + 0.5
    distance = ((pixels - centres[:, None]) / factor).abs()
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    weights = torch.where(distance <= 1, near, torch.where(distance < 2, far, 0.0))
    return weights / weights.sum(1, keepdim=True)
