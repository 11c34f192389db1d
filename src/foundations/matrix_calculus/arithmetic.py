"""Two arithmetics for one formula: numbers (PyTorch) and symbols (SymPy).

A rule of matrix calculus is written once, as `lambda ops, w, x: ops.diag(x)`. With
`ops = NUMBERS` it computes in float64; with `ops = SYMBOLS` it yields expressions that
can be differentiated exactly. Besides the usual functions, both know "some" functions:
`f` and `g` (a different function for every element of a vector) and `h` (of two
arguments), together with their derivatives. As symbols these are undefined functions,
so that a proof holds for all of them; as numbers they are examples.
"""

from collections.abc import Callable

import numpy as np
import sympy as sp
import torch
from torch import Tensor


class Numbers:
    """Arithmetic on float64 tensors.

    Scalars have shape (), vectors (n,), matrices (m, n).
    """

    sin, cos, exp, ln, relu = torch.sin, torch.cos, torch.exp, torch.log, torch.relu

    def step(self, z: Tensor) -> Tensor:
        """Return 1 where z > 0, else 0: the derivative of `relu`, 0 at the kink.

        Args:
            z: tensor of any shape.
        """
        return (z > 0).to(z.dtype)

    def sum(self, v: Tensor) -> Tensor:
        """Return the sum of all elements, shape ().

        Args:
            v: tensor of any shape.
        """
        return v.sum()

    def vector(self, *elements: Tensor) -> Tensor:
        """Return the vector of the given scalars.

        Args:
            *elements: scalars, in order.
        """
        return torch.stack(elements)

    def matrix(self, *rows: tuple[Tensor, ...]) -> Tensor:
        """Return the matrix with the given rows of scalars.

        Args:
            *rows: equally long tuples of scalars, from the top.
        """
        return torch.stack([torch.stack(list(row)) for row in rows])

    def row(self, v: Tensor) -> Tensor:
        """Return a vector as a 1 x n matrix.

        Args:
            v: vector of length n.
        """
        return v.reshape(1, -1)

    def column(self, v: Tensor) -> Tensor:
        """Return a vector as an n x 1 matrix.

        Args:
            v: vector of length n.
        """
        return v.reshape(-1, 1)

    def diag(self, v: Tensor) -> Tensor:
        """Return the n x n matrix with v on its diagonal.

        Args:
            v: vector of length n, or a scalar.
        """
        return torch.diag(v.reshape(-1))

    def ones(self, like: Tensor) -> Tensor:
        """Return ones in the shape of `like`.

        Args:
            like: vector whose length is taken.
        """
        return torch.ones_like(like)

    def identity(self, like: Tensor) -> Tensor:
        """Return the n x n identity matrix.

        Args:
            like: vector of length n, or a scalar for n = 1.
        """
        return torch.eye(like.numel(), dtype=like.dtype)

    def f(self, t: Tensor) -> Tensor:
        """Return sin(a_i t_i), an example of element-wise functions f_i.

        Args:
            t: vector of arguments, or a scalar.
        """
        return torch.sin(_rates(t) * t)

    def df(self, t: Tensor) -> Tensor:
        """Return the derivatives of `f`, element by element.

        Args:
            t: vector of arguments, or a scalar.
        """
        return _rates(t) * torch.cos(_rates(t) * t)

    def g(self, t: Tensor) -> Tensor:
        """Return t_i + cos(a_i t_i) / 2, an example of functions g_i.

        Args:
            t: vector of arguments, or a scalar.
        """
        return t + torch.cos(_rates(t) * t) / 2

    def dg(self, t: Tensor) -> Tensor:
        """Return the derivatives of `g`, element by element.

        Args:
            t: vector of arguments, or a scalar.
        """
        return 1 - _rates(t) * torch.sin(_rates(t) * t) / 2

    def h(self, a: Tensor, b: Tensor) -> Tensor:
        """Return a sin(b) + b^2, an example of an operator on two numbers.

        Args:
            a: first argument, a scalar or a vector.
            b: second argument, in the same shape.
        """
        return a * torch.sin(b) + b**2

    def h1(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the partial derivative of `h` in its first argument.

        Args:
            a: first argument of `h`.
            b: second argument of `h`.
        """
        return torch.sin(b)

    def h2(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the partial derivative of `h` in its second argument.

        Args:
            a: first argument of `h`.
            b: second argument of `h`.
        """
        return a * torch.cos(b) + 2 * b


def _rates(t: Tensor) -> Tensor:
    """Return a_i = 1, 3/2, 5/3, ... in the shape of t, so that the functions differ."""
    return 2 - 1 / (1 + torch.arange(t.numel(), dtype=t.dtype).reshape(t.shape))


class Symbols:
    """The same arithmetic on expressions.

    Scalars are SymPy's, vectors and matrices NumPy arrays of them.
    """

    def sin(self, t: object) -> object:
        """Return the sine, element by element.

        Args:
            t: expression, or an array of them.
        """
        return _each(sp.sin, t)

    def cos(self, t: object) -> object:
        """Return the cosine, element by element.

        Args:
            t: expression, or an array of them.
        """
        return _each(sp.cos, t)

    def exp(self, t: object) -> object:
        """Return the exponential, element by element.

        Args:
            t: expression, or an array of them.
        """
        return _each(sp.exp, t)

    def ln(self, t: object) -> object:
        """Return the natural logarithm, element by element.

        Args:
            t: expression, or an array of them.
        """
        return _each(sp.log, t)

    def relu(self, z: object) -> object:
        """Return max(0, z), element by element.

        SymPy's `Max` will not do: its derivative is a Heaviside function, 1/2 at 0.

        Args:
            z: expression, or an array of them.
        """
        return _each(lambda t: sp.Piecewise((0, t <= 0), (t, True)), z)

    def step(self, z: object) -> object:
        """Return 1 where z > 0, else 0.

        Args:
            z: expression, or an array of them.
        """
        return _each(lambda t: sp.Piecewise((0, t <= 0), (1, True)), z)

    def sum(self, v: np.ndarray) -> sp.Expr:
        """Return the sum of all elements.

        Args:
            v: array of expressions.
        """
        return sp.Add(*np.ravel(v))

    def vector(self, *elements: sp.Expr) -> np.ndarray:
        """Return the vector of the given scalars.

        Args:
            *elements: scalars, in order.
        """
        return np.array(elements, dtype=object)

    def matrix(self, *rows: tuple[sp.Expr, ...]) -> np.ndarray:
        """Return the matrix with the given rows of scalars.

        Args:
            *rows: equally long tuples of scalars, from the top.
        """
        return np.array(
            [[sp.sympify(entry) for entry in row] for row in rows], dtype=object
        )

    def row(self, v: object) -> np.ndarray:
        """Return a vector as a 1 x n matrix.

        Args:
            v: vector of length n.
        """
        return np.reshape(np.asarray(v, dtype=object), (1, -1))

    def column(self, v: object) -> np.ndarray:
        """Return a vector as an n x 1 matrix.

        Args:
            v: vector of length n.
        """
        return np.reshape(np.asarray(v, dtype=object), (-1, 1))

    def diag(self, v: object) -> np.ndarray:
        """Return the n x n matrix with v on its diagonal.

        Args:
            v: vector of length n, or a scalar.
        """
        return np.diag(np.reshape(np.asarray(v, dtype=object), -1))

    def ones(self, like: object) -> np.ndarray:
        """Return ones in the shape of `like`.

        Args:
            like: vector whose length is taken.
        """
        return np.array([sp.Integer(1)] * np.size(like), dtype=object).reshape(
            np.shape(like)
        )

    def identity(self, like: object) -> np.ndarray:
        """Return the n x n identity matrix.

        Args:
            like: vector of length n, or a scalar for n = 1.
        """
        return np.diag(np.array([sp.Integer(1)] * np.size(like), dtype=object))

    def f(self, t: object) -> object:
        """Return f_i(t_i) for undefined functions f_i.

        Args:
            t: vector of expressions, or a scalar.
        """
        return _unknown("f", None, t)

    def df(self, t: object) -> object:
        """Return the derivatives of `f`, element by element.

        Args:
            t: vector of expressions, or a scalar.
        """
        return _unknown("f", 1, t)

    def g(self, t: object) -> object:
        """Return g_i(t_i) for undefined functions g_i.

        Args:
            t: vector of expressions, or a scalar.
        """
        return _unknown("g", None, t)

    def dg(self, t: object) -> object:
        """Return the derivatives of `g`, element by element.

        Args:
            t: vector of expressions, or a scalar.
        """
        return _unknown("g", 1, t)

    def h(self, a: object, b: object) -> object:
        """Return the value of an undefined function h of two numbers.

        Args:
            a: first argument, a scalar or a vector.
            b: second argument, in the same shape.
        """
        return _each(sp.Function("h"), a, b)

    def h1(self, a: object, b: object) -> object:
        """Return the partial derivative of `h` in its first argument.

        Args:
            a: first argument of `h`.
            b: second argument of `h`.
        """
        return _each(lambda p, q: sp.Function("h")(p, q).fdiff(1), a, b)

    def h2(self, a: object, b: object) -> object:
        """Return the partial derivative of `h` in its second argument.

        Args:
            a: first argument of `h`.
            b: second argument of `h`.
        """
        return _each(lambda p, q: sp.Function("h")(p, q).fdiff(2), a, b)


def _each(function: Callable[..., sp.Expr], *arguments: object) -> object:
    """Apply a function of SymPy element by element; scalars in, scalar out."""
    result = np.frompyfunc(function, len(arguments), 1)(*arguments)
    return result if isinstance(result, np.ndarray) else sp.sympify(result)


def _unknown(name: str, derivative: int | None, t: object) -> object:
    """Return name_0(t_0), name_1(t_1), ..., or the derivatives for `derivative` = 1."""

    def apply(index: int, element: sp.Expr) -> sp.Expr:
        value = sp.Function(f"{name}{index}")(element)
        return value if derivative is None else value.fdiff(derivative)

    if not isinstance(t, np.ndarray):
        return apply(0, t)
    return np.array([apply(i, e) for i, e in enumerate(t)], dtype=object)


NUMBERS, SYMBOLS = Numbers(), Symbols()
