"""Linear operators that degrade images: masks, averaging, random projections, matrices.

An observation is y = A x + noise. An operator takes a batch of images (batch, *image)
and gives (batch, *observation). It knows its adjoint and its singular value
decomposition

    A = U diag(s) V^T,   V (d, d) orthogonal,   U (q, r) orthonormal columns,   s (r,),

never as dense matrices where the structure gives them for less. Coefficient i < r of
V^T x belongs to singular value i; the remaining d - r are those that A cannot see. The
names of the methods are those of deepinv.

An operator is a module without parameters, computed in double precision. Like any
module it is brought to the type and the device of the images by `.to`, which rounds its
constants once:

    >>> images = torch.ones(2, 1, 4, 4)
    >>> top = torch.arange(4)[:, None].expand(4, 4) < 2
    >>> operator = Inpainting((1, 4, 4), top).to(images)
    >>> seen = operator.A(images)
    >>> seen.shape
    torch.Size([2, 8])
    >>> torch.allclose(operator.A(operator.A_dagger(seen)), seen)
    True

Averaging is in `src.common.images.separable`, blurs are in `src.common.images.blur`.
"""

from abc import ABC, abstractmethod
from math import prod

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from src.common.checks import checked, finite, floating

Images = Float[Tensor, "batch ..."]
Coefficients = Float[Tensor, "batch number"]

CUTOFF = 1e-6
"""Singular values below CUTOFF times the largest are zero in the pseudo-inverse."""


class LinearOperator(nn.Module, ABC):
    """A linear map from images of `image_shape` to observations of `observation_shape`.

    Every method with images, observations or coefficients raises ValueError for values
    of another shape, type or device than its own.
    """

    def __init__(
        self,
        image_shape: tuple[int, ...],
        observation_shape: tuple[int, ...],
        singular_values: Float[Tensor, "*batch r"],
    ) -> None:
        """Keep shapes and spectrum.

        Args:
            image_shape: of one image.
            observation_shape: of one observation.
            singular_values: in double precision, in the order of the spectral maps.

        Raises:
            ValueError: for images without pixels.
        """
        _pixels(image_shape)
        super().__init__()
        self.image_shape = tuple(image_shape)
        self.observation_shape = tuple(observation_shape)
        seen = singular_values > CUTOFF * singular_values.max()
        inverse = torch.where(seen, 1 / torch.where(seen, singular_values, 1.0), 0.0)
        # Bounds on variances are computed from the singular values, so they stay in
        # double precision: `.to` rounds buffers of real numbers, not of whole ones.
        self._keep(_inverse=inverse, _bits=singular_values.view(torch.int64))

    def _keep(self, **constants: Tensor) -> None:
        """Make tensors attributes that follow `.to`."""
        for name, constant in constants.items():
            self.register_buffer(name, constant, persistent=False)

    def extra_repr(self) -> str:
        """Return what `print` says of an operator beside its name."""
        return (
            f"{self.image_shape} -> {self.observation_shape}, "
            f"{self.dtype}, {self.device}"
        )

    @property
    def dtype(self) -> torch.dtype:
        """The type of images and observations."""
        return self._inverse.dtype

    @property
    def device(self) -> torch.device:
        """Where images and observations must be."""
        return self._inverse.device

    # --- the map ----------------------------------------------------------------------

    def A(self, images: Images) -> Images:
        """Return A x, shape (batch, *observation).

        Args:
            images: (batch, *image).
        """
        return self._A(self._expect(images, self.image_shape, "images"))

    def A_adjoint(self, observations: Images) -> Images:
        """Return A^T y, shape (batch, *image).

        Args:
            observations: (batch, *observation).
        """
        return self._A_adjoint(
            self._expect(observations, self.observation_shape, "observations")
        )

    def A_dagger(self, observations: Images) -> Images:
        """Return A^+ y: of all images that fit y best, the one with the smallest norm.

        Singular values below `CUTOFF` times the largest are treated as zero, so noise
        in y grows by at most 1 / (CUTOFF max s).

        Args:
            observations: (batch, *observation).
        """
        coefficients = self.U_adjoint(observations) * self._inverse
        hidden = prod(self.image_shape) - self._inverse.shape[-1]
        return self.V(nn.functional.pad(coefficients, (0, hidden)))

    # --- its decomposition ------------------------------------------------------------

    def singular_values(self) -> Float[Tensor, "*batch r"]:
        """Return s in double precision, in the order of the maps; not always sorted."""
        return self._bits.view(torch.float64)

    def V_adjoint(self, images: Images) -> Coefficients:
        """Return V^T x, shape (batch, d).

        Args:
            images: (batch, *image).
        """
        return self._V_adjoint(self._expect(images, self.image_shape, "images"))

    def V(self, coefficients: Coefficients) -> Images:
        """Return V c, shape (batch, *image): the inverse of `V_adjoint`.

        Args:
            coefficients: (batch, d).
        """
        return self._V(
            self._expect(coefficients, (prod(self.image_shape),), "coefficients")
        )

    def U_adjoint(self, observations: Images) -> Coefficients:
        """Return U^T y, shape (batch, r).

        Args:
            observations: (batch, *observation).
        """
        return self._U_adjoint(
            self._expect(observations, self.observation_shape, "observations")
        )

    def observations(self, y: Tensor, batch: int) -> Images:
        """Return observations of a batch of images, (batch, *observation).

        Args:
            y: (batch, *observation), or (*observation) for all images alike.
            batch: the number of images.

        Raises:
            ValueError: for another shape, type or device.
        """
        floating("y", y)
        one = tuple(y.shape) == self.observation_shape
        given = self._expect(y[None] if one else y, self.observation_shape, "y")
        if len(given) not in (batch, 1 if one else batch):
            raise ValueError(f"y holds {len(given)} observations of {batch} images")
        return given.expand(batch, *self.observation_shape)

    def matrix(self) -> Float[Tensor, "q d"]:
        """Return A as a dense matrix, by degrading every unit image."""
        pixels = prod(self.image_shape)
        units = torch.eye(pixels, dtype=self.dtype, device=self.device)
        return self.A(units.reshape(pixels, *self.image_shape)).flatten(1).T

    # --- what an operator defines; shapes, types and devices are checked --------------

    @abstractmethod
    def _A(self, images: Images) -> Images: ...

    @abstractmethod
    def _A_adjoint(self, observations: Images) -> Images: ...

    @abstractmethod
    def _V_adjoint(self, images: Images) -> Coefficients: ...

    @abstractmethod
    def _V(self, coefficients: Coefficients) -> Images: ...

    @abstractmethod
    def _U_adjoint(self, observations: Images) -> Coefficients: ...

    def _expect(self, values: Tensor, shape: tuple[int, ...], what: str) -> Tensor:
        """Return the values, which must be (batch, *shape) and like the operator.

        Raises:
            ValueError: for another shape, type or device.
        """
        floating(what, values)
        if values.dim() == 0 or tuple(values.shape[1:]) != shape:
            wanted = ", ".join(map(str, shape))
            raise ValueError(
                f"{what} must be (batch, {wanted}), not {tuple(values.shape)}"
            )
        if (values.dtype, values.device) != (self.dtype, self.device):
            raise ValueError(
                f"{what} are {values.dtype} on {values.device}, but the operator is "
                f"{self.dtype} on {self.device}: call operator.to({what}), or convert "
                f"the {what}"
            )
        return values


class MatrixOperator(LinearOperator):
    """Any matrix (q, d) as an operator.

    Its images are vectors (d,) unless `image_shape` says otherwise. The singular values
    are sorted, the largest first; r = min(q, d).

    Examples:
        >>> operator = MatrixOperator(torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
        >>> operator.A_dagger(torch.tensor([[2.0, 5.0]]).double()).round()
        tensor([[1., 1.]], dtype=torch.float64)
    """

    @checked
    def __init__(
        self, matrix: Float[Tensor, "q d"], image_shape: tuple[int, ...] | None = None
    ) -> None:
        """Decompose the matrix.

        Args:
            matrix: A; it is kept in double precision, without a gradient.
            image_shape: of one image, d pixels in all; None for (d,).

        Raises:
            ValueError: if the matrix does not fit the images, or holds whole numbers,
                NaN or infinities.
        """
        if not matrix.numel():
            raise ValueError(f"the matrix {tuple(matrix.shape)} has no entries")
        finite("matrix", matrix)
        shape = image_shape or (matrix.shape[1],)
        if prod(shape) != matrix.shape[1]:
            raise ValueError(
                f"the matrix {tuple(matrix.shape)} does not fit images {shape}"
            )
        matrix = matrix.detach().double()
        left, values, right = torch.linalg.svd(matrix)
        super().__init__(shape, (matrix.shape[0],), values)
        self._keep(_matrix=matrix, _left=left[:, : len(values)], _right=right)

    @classmethod
    @checked
    def random(
        cls,
        image_shape: tuple[int, ...],
        observations: int,
        generator: torch.Generator,
        singular_values: Float[Tensor, " q"] | None = None,
    ) -> "MatrixOperator":
        """Draw U diag(s) V^T with uniformly distributed U (q, q) and V (d, q).

        Args:
            image_shape: of one image, d pixels in all.
            observations: q, between 1 and d.
            generator: source of U and V.
            singular_values: s; None for 1.

        Returns:
            The operator of that matrix.

        Raises:
            ValueError: for more observations than pixels, or none, or another number of
                singular values.
        """
        pixels = _pixels(image_shape)
        if not 1 <= observations <= pixels:
            raise ValueError(f"need 1 to {pixels} observations, not {observations}")
        if singular_values is not None and len(singular_values) != observations:
            raise ValueError(
                f"need {observations} singular values, not {len(singular_values)}"
            )
        right = _orthonormal_columns(pixels, observations, generator)
        if singular_values is None:  # then U V^T has the law of V^T
            return cls(right.T, image_shape)
        left = _orthonormal_columns(observations, observations, generator)
        return cls(left * singular_values @ right.T, image_shape)

    def matrix(self) -> Float[Tensor, "q d"]:
        """Return a copy of the matrix."""
        return self._matrix.clone()

    def _A(self, images: Images) -> Images:
        return images.flatten(1) @ self._matrix.T

    def _A_adjoint(self, observations: Images) -> Images:
        return (observations @ self._matrix).unflatten(1, self.image_shape)

    def _V_adjoint(self, images: Images) -> Coefficients:
        return images.flatten(1) @ self._right.T

    def _V(self, coefficients: Coefficients) -> Images:
        return (coefficients @ self._right).unflatten(1, self.image_shape)

    def _U_adjoint(self, observations: Images) -> Coefficients:
        return observations @ self._left


class Inpainting(LinearOperator):
    """The operator that keeps the pixels where a mask is True.

    An observation is the vector of their values; `A_adjoint` shows it as an image, with
    0 where the mask is False. V puts the pixels in order, those that the mask keeps
    first; all singular values are 1.

    Examples:
        >>> image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
        >>> mask = torch.tensor([[True, False], [False, True]])
        >>> Inpainting((1, 2, 2), mask).to(image).A(image)
        tensor([[1., 4.]])
    """

    def __init__(self, image_shape: tuple[int, ...], mask: Tensor) -> None:
        """Keep the places of the pixels.

        Args:
            image_shape: of one image.
            mask: booleans, or zeros and ones, in the shape of the image, or of its last
                two directions for all channels alike.

        Raises:
            ValueError: for a mask that does not fit, hides every pixel or holds other
                numbers.
        """
        _pixels(image_shape)
        if not isinstance(mask, Tensor):
            raise ValueError("the mask must be a tensor: use torch.as_tensor(mask)")
        if bool(((mask != 0) & (mask != 1)).any()):
            raise ValueError("the mask must hold True where a pixel is kept, or 1")
        mask = mask.bool()
        if tuple(mask.shape) not in (tuple(image_shape), tuple(image_shape[-2:])):
            raise ValueError(
                f"mask {tuple(mask.shape)} does not fit images {tuple(image_shape)}"
            )
        seen, hidden = (
            m.expand(image_shape).flatten().nonzero().flatten() for m in (mask, ~mask)
        )
        if not len(seen):
            raise ValueError("the mask hides every pixel")
        super().__init__(image_shape, (len(seen),), torch.ones(len(seen)).double())
        order = torch.cat([seen, hidden])
        self._keep(_order=order, _place=order.argsort())

    def _A(self, images: Images) -> Images:
        return self._V_adjoint(images)[:, : self.observation_shape[0]]

    def _A_adjoint(self, observations: Images) -> Images:
        hidden = len(self._order) - self.observation_shape[0]
        return self._V(nn.functional.pad(observations, (0, hidden)))

    def _V_adjoint(self, images: Images) -> Coefficients:
        return images.flatten(1)[:, self._order]

    def _V(self, coefficients: Coefficients) -> Images:
        return coefficients[:, self._place].unflatten(1, self.image_shape)

    def _U_adjoint(self, observations: Images) -> Coefficients:
        return observations


@checked
def random_mask(
    image_shape: tuple[int, ...], kept: float, generator: torch.Generator
) -> Bool[Tensor, "..."]:
    """Return a mask that keeps a random share of the pixels, the same in all channels.

    Args:
        image_shape: of one image.
        kept: share of the pixels, in (0, 1]; their number is rounded, and at least 1.
        generator: source of the draw; the mask is on its device.

    Raises:
        ValueError: for a share outside (0, 1].

    Examples:
        >>> mask = random_mask((3, 4, 4), kept=0.25, generator=torch.Generator())
        >>> mask.sum(dim=(1, 2))
        tensor([4, 4, 4])
    """
    if not 0 < kept <= 1:
        raise ValueError(f"the share of kept pixels must lie in (0, 1], not {kept}")
    _pixels(image_shape)
    pixels = prod(image_shape[-2:])
    order = torch.randperm(pixels, generator=generator, device=generator.device)
    mask = torch.zeros(pixels, dtype=torch.bool, device=generator.device)
    mask[order[: max(1, round(kept * pixels))]] = True
    return mask.reshape(image_shape[-2:]).expand(image_shape)


def _pixels(image_shape: tuple[int, ...]) -> int:
    """Return the number of an image's pixels, which must not be 0."""
    if not image_shape or min(image_shape) < 1:
        raise ValueError(
            f"an image needs at least one pixel in every direction: {image_shape}"
        )
    return prod(image_shape)


def _orthonormal_columns(
    rows: int, columns: int, generator: torch.Generator
) -> Float[Tensor, "rows columns"]:
    """Draw orthonormal columns uniformly: QR of normal numbers, with R_ii positive."""
    normal = torch.randn(
        rows, columns, dtype=torch.float64, generator=generator, device=generator.device
    )
    basis, triangle = torch.linalg.qr(normal)
    return basis * triangle.diagonal().sign()
