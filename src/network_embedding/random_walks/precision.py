"""The floating types that sparse products and decompositions exist for."""

from jaxtyping import AbstractDtype


class FullFloat(AbstractDtype):
    """Single or double precision, in annotations; half precision is refused."""

    dtypes = ["float32", "float64"]  # noqa: RUF012 (jaxtyping reads a list)
