"""Wrong rules, each a mistake that people make, to show that the checks can fail."""

from dataclasses import replace

from src.foundations.matrix_calculus.rules import RULES, Rule

_SQUARE = {"A": "n n", "B": "n n", "x": "n"}

MISTAKES: dict[str, Rule] = {
    "one path instead of two (R14 for R15)": replace(
        RULES["R15a"], derivative=lambda ops, x: ops.h2(x, ops.f(x)) * ops.df(x)
    ),
    "factors of the chain rule swapped": replace(
        RULES["R16a"],
        inputs=_SQUARE,
        shape="n n",
        derivative=lambda ops, A, B, x: (
            (ops.diag(ops.dg(B @ x)) @ B) @ (ops.diag(ops.df(A @ ops.g(B @ x))) @ A)
        ),
    ),
    "gradient as a column": replace(
        RULES["N1"], derivative=lambda ops, w, x: ops.column(x)
    ),
    "Jacobian transposed": replace(
        RULES["R10b"],
        inputs={"A": "n n", "x": "n"},
        shape="n n",
        derivative=lambda ops, A, x: A.T,
    ),
    "scalar expansion as a diagonal": replace(
        RULES["R12b"], derivative=lambda ops, x, z: ops.identity(x)
    ),
    "rows summed instead of columns": replace(
        RULES["R13a"],
        inputs={"A": "n n", "x": "n"},
        derivative=lambda ops, A, x: ops.row(ops.diag(ops.df(A @ x)) @ A @ ops.ones(x)),
    ),
    "diagonal where elements mix": replace(
        RULES["R11l"],
        inputs={"A": "n n", "w": "n", "x": "n"},
        shape="n n",
        derivative=lambda ops, A, w, x: ops.diag(x) * A,
    ),
    "rectifier's derivative as a vector": replace(
        RULES["N5"], derivative=lambda ops, x: ops.column(ops.step(x))
    ),
    "inner derivative forgotten": replace(
        RULES["N3"], derivative=lambda ops, w, x: ops.row(ops.g(x))
    ),
    "one switch for all samples": replace(
        RULES["L1"],
        derivative=lambda ops, w, b, X, y: (
            ops.row((X @ w + b - y) @ X) * ops.step(ops.sum(X @ w + b)) * 2 / len(y)
        ),
    ),
    "factor 2 forgotten": replace(
        RULES["L2"],
        derivative=lambda ops, w, b, X, y: RULES["L2"].derivative(ops, w, b, X, y) / 2,
    ),
}
