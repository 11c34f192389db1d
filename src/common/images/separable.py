"""Operators that act on the rows and on the columns of an image: averaging squares."""

from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from src.common.checks import checked, finite
from src.common.images.operators import Coefficients, Images, LinearOperator


class Separable(LinearOperator):
    """The same two matrices for every channel: X becomes `vertical` X `horizontal`^T.

    Images are (channels, height, width), or (height, width). The decomposition is the
    product of those of the two matrices, for every channel.
    """

    @checked
    def __init__(
        self,
        image_shape: tuple[int, ...],
        vertical: Float[Tensor, "small_height height"],
        horizontal: Float[Tensor, "small_width width"],
    ) -> None:
        """Decompose both matrices.

        Args:
            image_shape: of one image.
            vertical: acts on the columns of an image.
            horizontal: acts on the rows of an image.

        Raises:
            ValueError: if the matrices do not fit the images, or hold whole numbers,
                NaN or infinities.
        """
        finite("vertical", vertical)
        finite("horizontal", horizontal)
        if tuple(image_shape[-2:]) != (vertical.shape[1], horizontal.shape[1]):
            sides = (vertical.shape[1], horizontal.shape[1])
            raise ValueError(
                f"matrices for images of {sides} do not fit {tuple(image_shape)}"
            )
        vertical, horizontal = vertical.double(), horizontal.double()
        u_rows, rows, v_rows = torch.linalg.svd(vertical)
        u_columns, columns, v_columns = torch.linalg.svd(horizontal)
        values = torch.outer(rows, columns).flatten().repeat(prod(image_shape[:-2]))
        small = (vertical.shape[0], horizontal.shape[0])
        super().__init__(image_shape, (*image_shape[:-2], *small), values)
        self._keep(_vertical=vertical, _v_rows=v_rows, _u_rows=u_rows[:, : len(rows)])
        self._keep(_horizontal=horizontal, _v_columns=v_columns)
        self._keep(_u_columns=u_columns[:, : len(columns)])
        # Where each coefficient lies in the flat image: first those that are seen.
        seen = torch.zeros(image_shape, dtype=torch.bool)
        seen[..., : len(rows), : len(columns)] = True
        order = torch.cat(
            [seen.flatten().nonzero(), (~seen).flatten().nonzero()]
        ).flatten()
        self._keep(_order=order, _place=order.argsort())

    def _A(self, images: Images) -> Images:
        return self._vertical @ images @ self._horizontal.T

    def _A_adjoint(self, observations: Images) -> Images:
        return self._vertical.T @ observations @ self._horizontal

    def _V_adjoint(self, images: Images) -> Coefficients:
        return (self._v_rows @ images @ self._v_columns.T).flatten(1)[:, self._order]

    def _V(self, coefficients: Coefficients) -> Images:
        inside = coefficients[:, self._place].unflatten(1, self.image_shape)
        return self._v_rows.T @ inside @ self._v_columns

    def _U_adjoint(self, observations: Images) -> Coefficients:
        return (self._u_rows.T @ observations @ self._u_columns).flatten(1)


class AveragePooling(Separable):
    """The operator that replaces each square of factor x factor pixels by its mean.

    Examples:
        >>> image = torch.tensor([[[[0.0, 2.0], [4.0, 6.0]]]])
        >>> AveragePooling((1, 2, 2), factor=2).to(image).A(image)
        tensor([[[[3.]]]])
    """

    @checked
    def __init__(self, image_shape: tuple[int, ...], factor: int) -> None:
        """Build both matrices.

        Args:
            image_shape: of one image.
            factor: side of the squares in pixels.

        Raises:
            ValueError: unless the factor divides both sides.
        """
        sides = tuple(image_shape[-2:])
        if len(sides) != 2 or factor < 1 or any(side % factor for side in sides):
            raise ValueError(
                f"factor {factor} does not divide the sides of images {image_shape}"
            )
        super().__init__(
            image_shape, *(_averaging_matrix(side, factor) for side in sides)
        )


def _averaging_matrix(side: int, factor: int) -> Float[Tensor, "small side"]:
    few = torch.eye(side // factor, dtype=torch.float64)
    return few.repeat_interleave(factor, dim=1) / factor
