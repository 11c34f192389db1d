"""The rules of matrix calculus, each as a function and its derivative in closed form.

Source: T. Parr and J. Howard, "The Matrix Calculus You Need For Deep Learning" (2018).
Rules marked `beyond` are not in the article; the book needs them to train layers.

Conventions: numerator layout. The derivative of m outputs with respect to n inputs is
an m x n matrix, so the gradient of a scalar is a row. The derivative of a scalar with
respect to a matrix has that matrix's shape.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

Formula = Callable[..., object]


@dataclass(frozen=True)
class Rule:
    """One rule: a function, the input that varies, and the derivative.

    Attributes:
        id: short name, such as "R12d".
        name: the rule in words.
        y: the function, in LaTeX.
        by: name of the input with respect to which the rule differentiates.
        equals: the derivative, in LaTeX.
        shape: the derivative's shape, such as "m n".
        inputs: the shape of each input: "" (scalar), "n" (vector) or "m n" (matrix),
            where a letter stands for any size and a digit for itself.
        function: `function(ops, **inputs)`, computed in the arithmetic `ops`.
        derivative: `derivative(ops, **inputs)`, the closed form in the same arithmetic.
        positive: names of the inputs that must be positive.
        kinks: `kinks(ops, **inputs)`, values at whose zeros the function has no
            derivative; None if it has one everywhere.
        beyond: whether the rule goes beyond the article.

    Examples:
        >>> import sympy
        >>> from src.foundations.matrix_calculus.arithmetic import SYMBOLS
        >>> x = SYMBOLS.vector(*sympy.symbols("x1 x2"))
        >>> print(RULES["F1"].derivative(SYMBOLS, x=x))  # of x^2, element by element
        [[2*x1 0]
         [0 2*x2]]
    """

    id: str
    name: str
    y: str
    by: str
    equals: str
    shape: str
    inputs: dict[str, str]
    function: Formula = field(repr=False)
    derivative: Formula = field(repr=False)
    positive: tuple[str, ...] = ()
    kinks: Formula | None = field(default=None, repr=False)
    beyond: bool = False


def scalar_rules() -> list[Rule]:
    """Return the rules of first-year calculus, for any differentiable f and g."""
    x = {"x": ""}
    return [
        Rule("R1", "constant", r"c", "x", r"0", "1 1", x | {"c": ""},
             lambda ops, x, c: c,
             lambda ops, x, c: 0 * x),
        Rule("R2", "constant factor", r"c\,f(x)", "x", r"c\,f'(x)", "1 1",
             x | {"c": ""},
             lambda ops, x, c: c * ops.f(x),
             lambda ops, x, c: c * ops.df(x)),
        Rule("R3", "power", r"x^k", "x", r"k\,x^{k-1}", "1 1", x | {"k": ""},
             lambda ops, x, k: x**k,
             lambda ops, x, k: k * x ** (k - 1), positive=("x",)),
        Rule("R4", "sum", r"f(x)+g(x)", "x", r"f'(x)+g'(x)", "1 1", x,
             lambda ops, x: ops.f(x) + ops.g(x),
             lambda ops, x: ops.df(x) + ops.dg(x)),
        Rule("R5", "difference", r"f(x)-g(x)", "x", r"f'(x)-g'(x)", "1 1", x,
             lambda ops, x: ops.f(x) - ops.g(x),
             lambda ops, x: ops.df(x) - ops.dg(x)),
        Rule("R6", "product", r"f(x)\,g(x)", "x", r"f(x)\,g'(x)+f'(x)\,g(x)", "1 1", x,
             lambda ops, x: ops.f(x) * ops.g(x),
             lambda ops, x: ops.f(x) * ops.dg(x) + ops.df(x) * ops.g(x)),
        Rule("R7", "chain", r"f(g(x))", "x", r"f'(g(x))\,g'(x)", "1 1", x,
             lambda ops, x: ops.f(ops.g(x)),
             lambda ops, x: ops.df(ops.g(x)) * ops.dg(x)),
    ]  # fmt: skip


def gradient_and_jacobian_rules() -> list[Rule]:
    """Return the article's gradient and Jacobian, the identity, and a linear map."""
    two = {"x": "2"}
    return [
        Rule("R8", "gradient of a scalar", r"3x_1^2x_2", "x", r"[6x_1x_2,\;3x_1^2]",
             "1 2", two,
             lambda ops, x: 3 * x[0] ** 2 * x[1],
             lambda ops, x: ops.row(ops.vector(6 * x[0] * x[1], 3 * x[0] ** 2))),
        Rule("R9", "Jacobian: a stack of gradients", r"[3x_1^2x_2,\;2x_1+x_2^8]^T", "x",
             r"\begin{bmatrix}6x_1x_2&3x_1^2\\2&8x_2^7\end{bmatrix}", "2 2", two,
             lambda ops, x: ops.vector(3 * x[0] ** 2 * x[1], 2 * x[0] + x[1] ** 8),
             lambda ops, x: ops.matrix((6 * x[0] * x[1], 3 * x[0] ** 2),
                                   (0 * x[0] + 2, 8 * x[1] ** 7))),
        Rule("R10a", "identity", r"\mathbf x", "x", r"I", "n n", {"x": "n"},
             lambda ops, x: 1 * x,
             lambda ops, x: ops.identity(x)),
        Rule("R10b", "linear map", r"A\mathbf x", "x", r"A", "m n",
             {"A": "m n", "x": "n"},
             lambda ops, A, x: A @ x,
             lambda ops, A, x: 1 * A, beyond=True),
    ]  # fmt: skip


def elementwise_rules() -> list[Rule]:
    """Return the rules for operators on pairs (w_i, x_i): diagonal derivatives."""
    pair = {"w": "n", "x": "n"}
    return [
        Rule("R11a", "any element-wise operator",
             r"h(\mathbf f(\mathbf w),\mathbf g(\mathbf x))", "w",
             r"\mathrm{diag}(h_1\,f_i'(w_i))", "n n", pair,
             lambda ops, w, x: ops.h(ops.f(w), ops.g(x)),
             lambda ops, w, x: ops.diag(ops.h1(ops.f(w), ops.g(x)) * ops.df(w))),
        Rule("R11b", "any element-wise operator",
             r"h(\mathbf f(\mathbf w),\mathbf g(\mathbf x))", "x",
             r"\mathrm{diag}(h_2\,g_i'(x_i))", "n n", pair,
             lambda ops, w, x: ops.h(ops.f(w), ops.g(x)),
             lambda ops, w, x: ops.diag(ops.h2(ops.f(w), ops.g(x)) * ops.dg(x))),
        Rule("R11c", "sum", r"\mathbf w+\mathbf x", "w", r"I", "n n", pair,
             lambda ops, w, x: w + x,
             lambda ops, w, x: ops.identity(w)),
        Rule("R11d", "sum", r"\mathbf w+\mathbf x", "x", r"I", "n n", pair,
             lambda ops, w, x: w + x,
             lambda ops, w, x: ops.identity(x)),
        Rule("R11e", "difference", r"\mathbf w-\mathbf x", "w", r"I", "n n", pair,
             lambda ops, w, x: w - x,
             lambda ops, w, x: ops.identity(w)),
        Rule("R11f", "difference", r"\mathbf w-\mathbf x", "x", r"-I", "n n", pair,
             lambda ops, w, x: w - x,
             lambda ops, w, x: -ops.identity(x)),
        Rule("R11g", "product", r"\mathbf w\otimes\mathbf x", "w",
             r"\mathrm{diag}(\mathbf x)", "n n", pair,
             lambda ops, w, x: w * x,
             lambda ops, w, x: ops.diag(x)),
        Rule("R11h", "product", r"\mathbf w\otimes\mathbf x", "x",
             r"\mathrm{diag}(\mathbf w)", "n n", pair,
             lambda ops, w, x: w * x,
             lambda ops, w, x: ops.diag(w)),
        Rule("R11i", "quotient", r"\mathbf w\oslash\mathbf x", "w",
             r"\mathrm{diag}(1/x_i)", "n n", pair,
             lambda ops, w, x: w / x,
             lambda ops, w, x: ops.diag(1 / x), positive=("x",)),
        Rule("R11j", "quotient", r"\mathbf w\oslash\mathbf x", "x",
             r"\mathrm{diag}(-w_i/x_i^2)", "n n", pair,
             lambda ops, w, x: w / x,
             lambda ops, w, x: ops.diag(-w / x**2), positive=("x",)),
        Rule("R11k", "any function, element by element", r"\mathbf f(\mathbf x)", "x",
             r"\mathrm{diag}(f_i'(x_i))", "n n", {"x": "n"},
             lambda ops, x: ops.f(x),
             lambda ops, x: ops.diag(ops.df(x))),
        Rule("R11l", "an operand that mixes its elements",
             r"(A\mathbf w)\otimes\mathbf x", "w", r"\mathrm{diag}(\mathbf x)A", "m n",
             {"A": "m n", "w": "n", "x": "m"},
             lambda ops, A, w, x: (A @ w) * x,
             lambda ops, A, w, x: ops.diag(x) @ A, beyond=True),
    ]  # fmt: skip


def function_rules() -> list[Rule]:
    """Return first-year calculus for the functions in the article's examples."""
    x = {"x": "n"}
    return [
        Rule("F1", "square", r"\mathbf x^2", "x", r"\mathrm{diag}(2x_i)", "n n", x,
             lambda ops, x: x**2,
             lambda ops, x: ops.diag(2 * x)),
        Rule("F2", "cube", r"\mathbf x^3", "x", r"\mathrm{diag}(3x_i^2)", "n n", x,
             lambda ops, x: x**3,
             lambda ops, x: ops.diag(3 * x**2)),
        Rule("F3", "sine", r"\sin\mathbf x", "x", r"\mathrm{diag}(\cos x_i)", "n n", x,
             lambda ops, x: ops.sin(x),
             lambda ops, x: ops.diag(ops.cos(x))),
        Rule("F4", "logarithm", r"\ln\mathbf x", "x", r"\mathrm{diag}(1/x_i)", "n n", x,
             lambda ops, x: ops.ln(x),
             lambda ops, x: ops.diag(1 / x), positive=("x",)),
    ]  # fmt: skip


def scalar_expansion_rules() -> list[Rule]:
    """Return the rules for a scalar z that acts on every element of x."""
    inputs = {"x": "n", "z": ""}  # a vector of any length n; a scalar
    return [
        Rule("R12a", "vector plus scalar", r"\mathbf x+z", "x",
             r"I", "n n", inputs,
             lambda ops, x, z: x + z,
             lambda ops, x, z: ops.identity(x)),
        Rule("R12b", "vector plus scalar", r"\mathbf x+z", "z",
             r"\vec 1", "n 1", inputs,
             lambda ops, x, z: x + z,
             lambda ops, x, z: ops.column(ops.ones(x))),
        Rule("R12c", "vector times scalar", r"\mathbf x z", "x",
             r"zI", "n n", inputs,
             lambda ops, x, z: x * z,
             lambda ops, x, z: ops.identity(x) * z),
        Rule("R12d", "vector times scalar", r"\mathbf x z", "z",
             r"\mathbf x", "n 1", inputs,
             lambda ops, x, z: x * z,
             lambda ops, x, z: ops.column(x)),
    ]  # fmt: skip


def sum_rules() -> list[Rule]:
    """Return the rules for the sum of a vector's elements."""
    scaled = {"x": "n", "z": ""}
    return [
        Rule("R13a", "sum of functions of all of x",
             r"\mathrm{sum}(\mathbf f(A\mathbf x))", "x",
             r"\vec 1^{\,T}\,\mathrm{diag}(f_i'((A\mathbf x)_i))\,A", "1 n",
             {"A": "m n", "x": "n"},
             lambda ops, A, x: ops.sum(ops.f(A @ x)),
             lambda ops, A, x: ops.row(ops.ones(A @ x)) @ ops.diag(ops.df(A @ x)) @ A),
        Rule("R13b", "sum", r"\mathrm{sum}(\mathbf x)", "x", r"\vec 1^{\,T}", "1 n",
             {"x": "n"},
             lambda ops, x: ops.sum(x),
             lambda ops, x: ops.row(ops.ones(x))),
        Rule("R13c", "sum of a scaled vector", r"\mathrm{sum}(\mathbf xz)", "x",
             r"z\vec 1^{\,T}", "1 n", scaled,
             lambda ops, x, z: ops.sum(x * z),
             lambda ops, x, z: ops.row(ops.ones(x)) * z),
        Rule("R13d", "sum of a scaled vector", r"\mathrm{sum}(\mathbf xz)", "z",
             r"\mathrm{sum}(\mathbf x)", "1 1", scaled,
             lambda ops, x, z: ops.sum(x * z),
             lambda ops, x, z: ops.sum(x)),
    ]  # fmt: skip


def chain_rules() -> list[Rule]:
    """Return the three chain rules: one path, several paths, vectors."""
    maps = {"A": "m k", "B": "k n", "x": "n"}
    return [
        Rule("R14", "single-variable chain rule", r"f(g(f(x)))", "x",
             r"\frac{dy}{du_2}\frac{du_2}{du_1}\frac{du_1}{dx}", "1 1", {"x": ""},
             lambda ops, x: ops.f(ops.g(ops.f(x))),
             lambda ops, x: ops.df(ops.g(ops.f(x))) * ops.dg(ops.f(x)) * ops.df(x)),
        Rule("R15a", "total-derivative chain rule", r"h(x,u),\;u=f(x)", "x",
             r"\frac{\partial h}{\partial x}"
             r"+\frac{\partial h}{\partial u}\frac{du}{dx}",
             "1 1", {"x": ""},
             lambda ops, x: ops.h(x, ops.f(x)),
             lambda ops, x: ops.h1(x, ops.f(x)) + ops.h2(x, ops.f(x)) * ops.df(x)),
        Rule("R15b", "the same as a product of vectors",
             r"h(\mathbf u),\;\mathbf u=[x,f(x)]^T", "x",
             r"\frac{\partial h}{\partial\mathbf u}"
             r"\frac{\partial\mathbf u}{\partial x}",
             "1 1", {"x": ""},
             lambda ops, x: ops.h(x, ops.f(x)),
             lambda ops, x: ops.row(
                 ops.vector(ops.h1(x, ops.f(x)), ops.h2(x, ops.f(x)))
             )
             @ ops.column(ops.vector(0 * x + 1, ops.df(x)))),
        Rule("R16a", "vector chain rule", r"\mathbf f(A\,\mathbf g(B\mathbf x))", "x",
             r"\frac{\partial\mathbf f}{\partial\mathbf g}"
             r"\frac{\partial\mathbf g}{\partial\mathbf x}", "m n", maps,
             lambda ops, A, B, x: ops.f(A @ ops.g(B @ x)),
             lambda ops, A, B, x: (ops.diag(ops.df(A @ ops.g(B @ x))) @ A)
             @ (ops.diag(ops.dg(B @ x)) @ B)),
        Rule("R16b", "vector chain rule, element-wise",
             r"\mathbf f(\mathbf g(\mathbf x))", "x",
             r"\mathrm{diag}(f_i'(g_i(x_i))\,g_i'(x_i))", "n n", {"x": "n"},
             lambda ops, x: ops.f(ops.g(x)),
             lambda ops, x: ops.diag(ops.df(ops.g(x)) * ops.dg(x))),
    ]  # fmt: skip


def neuron_rules() -> list[Rule]:
    """Return the derivatives of one neuron, max(0, w . x + b)."""
    pair, neuron = {"w": "n", "x": "n"}, {"w": "n", "x": "n", "b": ""}
    return [
        Rule("N1", "dot product", r"\mathbf w\cdot\mathbf x", "w", r"\mathbf x^T",
             "1 n", pair,
             lambda ops, w, x: ops.sum(w * x),
             lambda ops, w, x: ops.row(x)),
        Rule("N2", "dot product", r"\mathbf w\cdot\mathbf x", "x", r"\mathbf w^T",
             "1 n", pair,
             lambda ops, w, x: ops.sum(w * x),
             lambda ops, w, x: ops.row(w)),
        Rule("N3", "dot product of functions",
             r"\mathbf f(\mathbf w)\cdot\mathbf g(\mathbf x)", "w",
             r"\mathbf g(\mathbf x)^T\frac{\partial\mathbf f}{\partial\mathbf w}",
             "1 n", pair,
             lambda ops, w, x: ops.sum(ops.f(w) * ops.g(x)),
             lambda ops, w, x: ops.row(ops.g(x)) @ ops.diag(ops.df(w))),
        Rule("N4a", "affine function", r"\mathbf w\cdot\mathbf x+b", "w",
             r"\mathbf x^T", "1 n", neuron,
             lambda ops, w, x, b: ops.sum(w * x) + b,
             lambda ops, w, x, b: ops.row(x)),
        Rule("N4b", "affine function", r"\mathbf w\cdot\mathbf x+b", "b", r"1", "1 1",
             neuron,
             lambda ops, w, x, b: ops.sum(w * x) + b,
             lambda ops, w, x, b: 0 * b + 1),
        Rule("N5", "rectifier", r"\max(0,\mathbf x)", "x",
             r"\mathrm{diag}(\mathbf 1[x_i>0])", "n n", {"x": "n"},
             lambda ops, x: ops.relu(x),
             lambda ops, x: ops.diag(ops.step(x)), kinks=lambda ops, x: x),
        Rule("N6", "activation", r"\max(0,z)", "w", r"\mathbf 1[z>0]\,\mathbf x^T",
             "1 n", neuron,
             lambda ops, w, x, b: ops.relu(ops.sum(w * x) + b),
             lambda ops, w, x, b: ops.row(x) * ops.step(ops.sum(w * x) + b),
             kinks=lambda ops, w, x, b: ops.sum(w * x) + b),
        Rule("N7", "activation", r"\max(0,z)", "b", r"\mathbf 1[z>0]", "1 1", neuron,
             lambda ops, w, x, b: ops.relu(ops.sum(w * x) + b),
             lambda ops, w, x, b: ops.step(ops.sum(w * x) + b),
             kinks=lambda ops, w, x, b: ops.sum(w * x) + b),
    ]  # fmt: skip


def active_errors(ops: object, w: object, b: object, X: object, y: object) -> object:
    """Return e_i = (z_i - y_i) 1[z_i > 0] with z_i = w . x_i + b, of length N.

    The switch acts on each sample separately.

    Args:
        ops: the arithmetic, `NUMBERS` or `SYMBOLS`.
        w: weights, of length n.
        b: bias, a scalar.
        X: samples, N x n.
        y: targets, of length N.
    """
    z = X @ w + b
    return (z - y) * ops.step(z)


def loss_rules() -> list[Rule]:
    """Return the gradients of a neuron's mean squared error over the N rows of X."""
    loss = r"\frac1N\sum_i(y_i-\max(0,z_i))^2"
    batch = {"w": "n", "b": "", "X": "N n", "y": "N"}
    return [
        Rule("L1", "loss of a neuron", loss, "w", r"\frac2N\,\mathbf e^TX", "1 n",
             batch,
             lambda ops, w, b, X, y: ops.sum((y - ops.relu(X @ w + b)) ** 2) / len(y),
             lambda ops, w, b, X, y: (
                 ops.row(active_errors(ops, w, b, X, y) @ X) * 2 / len(y)
             ),
             kinks=lambda ops, w, b, X, y: X @ w + b),
        Rule("L2", "loss of a neuron", loss, "b", r"\frac2N\,\mathrm{sum}(\mathbf e)",
             "1 1", batch,
             lambda ops, w, b, X, y: ops.sum((y - ops.relu(X @ w + b)) ** 2) / len(y),
             lambda ops, w, b, X, y: (
                 ops.sum(active_errors(ops, w, b, X, y)) * 2 / len(y)
             ),
             kinks=lambda ops, w, b, X, y: X @ w + b),
    ]  # fmt: skip


def _layer(by: str, equals: str, shape: str, derivative: Formula) -> Rule:
    """Return one rule of a layer; `derivative` gets `ops`, Delta, W and X."""

    def affine(W: object, b: object, X: object) -> object:
        return X @ W.T + b

    return Rule(
        f"A{'WbX'.index(by) + 1}",
        "rectified layer",
        r"\mathrm{sum}(G\otimes\max(0,Z))",
        by,
        equals,
        shape,
        {"W": "m n", "b": "m", "X": "N n", "G": "N m"},
        lambda ops, W, b, X, G: ops.sum(G * ops.relu(affine(W, b, X))),
        lambda ops, W, b, X, G: derivative(ops, G * ops.step(affine(W, b, X)), W, X),
        kinks=lambda ops, W, b, X, G: affine(W, b, X),
        beyond=True,
    )


def layer_rules() -> list[Rule]:
    """Return the derivatives of a layer of m neurons on N samples, given G = dL/dA."""
    return [
        _layer("W", r"\Delta^TX", "m n", lambda ops, delta, W, X: delta.T @ X),
        _layer(
            "b",
            r"\vec 1^{\,T}\Delta",
            "1 m",
            lambda ops, delta, W, X: ops.row(delta.sum(0)),
        ),
        _layer("X", r"\Delta W", "N n", lambda ops, delta, W, X: delta @ W),
    ]


FAMILIES: dict[str, list[Rule]] = {
    "scalar rules": scalar_rules(),
    "gradient and Jacobian": gradient_and_jacobian_rules(),
    "element-wise operators": elementwise_rules(),
    "single functions": function_rules(),
    "scalar expansion": scalar_expansion_rules(),
    "sum reduction": sum_rules(),
    "chain rules": chain_rules(),
    "one neuron": neuron_rules(),
    "the loss": loss_rules(),
    "a layer": layer_rules(),
}
RULES: dict[str, Rule] = {
    rule.id: rule for family in FAMILIES.values() for rule in family
}
