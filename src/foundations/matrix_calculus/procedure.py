"""The article's procedure: name the parts, look up rules, sum over paths.

The checked rules are all that is known here about derivatives. A library for automatic
differentiation works in the same way.
"""

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import grad, jacrev

from src.foundations.matrix_calculus.arithmetic import NUMBERS
from src.foundations.matrix_calculus.checks import (
    by_autograd,
    closed_form,
    discrepancy,
    draw_inputs,
    draw_sizes,
)
from src.foundations.matrix_calculus.rules import RULES, Rule

# One rule for every argument with respect to which an operator is differentiated; the
# others are constants.
OPERATORS: dict[str, tuple[Rule, ...]] = {
    "square": (RULES["F1"],),
    "cube": (RULES["F2"],),
    "sin": (RULES["F3"],),
    "log": (RULES["F4"],),
    "add": (RULES["R11c"], RULES["R11d"]),
    "subtract": (RULES["R11e"], RULES["R11f"]),
    "multiply": (RULES["R11g"], RULES["R11h"]),
    "shift": (RULES["R12a"], RULES["R12b"]),
    "scale": (RULES["R12c"],),
    "sum": (RULES["R13b"],),
    "relu": (RULES["N5"],),
    "matrix times vector": (RULES["R10b"],),
}
# What PyTorch calls the same operators in its own record of a computation.
TORCH_NODES = {
    "sin": "SinBackward0",
    "log": "LogBackward0",
    "square": "PowBackward0",
    "cube": "PowBackward0",
    "add": "AddBackward0",
    "subtract": "SubBackward0",
    "multiply": "MulBackward0",
    "shift": "AddBackward0",
    "scale": "MulBackward0",
    "sum": "SumBackward0",
    "relu": "ReluBackward0",
    "matrix times vector": "MvBackward0",
}


@dataclass(frozen=True)
class Step:
    """One named sub-expression: `name = operator(*arguments)`.

    Attributes:
        name: what later steps call it.
        operator: a key of `OPERATORS`.
        arguments: names of inputs or of earlier steps.

    Raises:
        ValueError: if the operator has no rule.
    """

    name: str
    operator: str
    arguments: tuple[str, ...]

    def __post_init__(self) -> None:
        """Reject operators that have no rule."""
        if self.operator not in OPERATORS:
            raise ValueError(
                f"no rule for {self.operator!r}; valid: {', '.join(OPERATORS)}"
            )

    def inputs(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the arguments' values under the names that the operator's rules use.

        Args:
            values: values of all inputs and earlier steps, by name.

        Raises:
            KeyError: if an argument has no value yet.
            ValueError: if the operator takes another number of arguments.
        """
        names = OPERATORS[self.operator][0].inputs
        return {
            n: values[argument]
            for n, argument in zip(names, self.arguments, strict=True)
        }

    def argument(self, name: str) -> str:
        """Return the argument that the operator's rules call `name`.

        Args:
            name: an input of the operator's rules.

        Raises:
            ValueError: if the rules have no such input.
        """
        return self.arguments[list(OPERATORS[self.operator][0].inputs).index(name)]


def evaluate(steps: tuple[Step, ...], inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Compute every sub-expression, innermost first.

    Args:
        steps: sub-expressions, each after those it uses; the last one is the result.
        inputs: values of the inputs, by name.

    Returns:
        name -> value, for the inputs and all the steps.

    Raises:
        KeyError: if a step uses a name that has no value yet.
        ValueError: if a step has the wrong number of arguments for its operator.
    """
    values = dict(inputs)
    for step in steps:
        values[step.name] = OPERATORS[step.operator][0].function(
            NUMBERS, **step.inputs(values)
        )
    return values


def differentiate(
    steps: tuple[Step, ...], inputs: dict[str, Tensor]
) -> dict[str, Float[Tensor, "outputs size"]]:
    """Differentiate the last sub-expression with respect to all the names.

    The procedure works backwards from the result: the derivative so far, times the
    step's own derivative, is one path. Paths that reach the same name are added.

    Args:
        steps: sub-expressions, each after those it uses; the last one is the result.
        inputs: values of the inputs, by name.

    Returns:
        name -> derivative of the result with respect to it, in numerator layout. Names
        that are never differentiated (see `constants`) are absent.

    Raises:
        KeyError: if a step uses a name that has no value yet, or if the result does not
            depend on a step.
        ValueError: if a step has the wrong number of arguments for its operator.

    Examples:
        >>> steps = (Step("u", "square", ("x",)), Step("y", "add", ("x", "u")))
        >>> derivatives = differentiate(steps, {"x": torch.tensor(3.0)})
        >>> derivatives["x"]  # 1 + 2x: the direct path and the one through u
        tensor([[7.]])
    """
    values = evaluate(steps, inputs)
    result = values[steps[-1].name]
    identity = torch.eye(result.numel(), dtype=result.dtype)
    totals = {steps[-1].name: identity}
    for step in reversed(steps):
        local = step.inputs(values)
        for rule in OPERATORS[step.operator]:
            path = totals[step.name] @ closed_form(rule, local)
            name = step.argument(rule.by)
            totals[name] = totals[name] + path if name in totals else path
    return totals


def recorded_operators(steps: tuple[Step, ...], inputs: dict[str, Tensor]) -> Counter:
    """Return how often PyTorch records each operator while it computes the same steps.

    Args:
        steps: sub-expressions, each after those it uses.
        inputs: values of the inputs, by name.
    """
    leaves = {name: value.clone().requires_grad_() for name, value in inputs.items()}
    for name in constants(steps):
        leaves[name] = inputs[name]
    pending, seen = [evaluate(steps, leaves)[steps[-1].name].grad_fn], set()
    while pending:
        node = pending.pop()
        if node is not None and node not in seen:
            seen.add(node)
            pending += [parent for parent, _ in node.next_functions]
    names = (node.name() for node in seen)
    return Counter(name for name in names if "AccumulateGrad" not in name)


def constants(steps: tuple[Step, ...]) -> set[str]:
    """Return the names that are never differentiated, such as the data.

    Args:
        steps: sub-expressions of an expression.
    """
    used, by = set(), set()
    for step in steps:
        used |= set(step.arguments)
        by |= {step.argument(rule.by) for rule in OPERATORS[step.operator]}
    return used - by


@dataclass(frozen=True)
class Expression:
    """An expression with its named parts.

    Attributes:
        y: the expression in LaTeX.
        inputs: the shape of each input, as in `Rule`.
        by: the inputs with respect to which it is differentiated.
        steps: its sub-expressions, innermost first.
        positive: names of the inputs that must be positive.
    """

    y: str
    inputs: dict[str, str]
    by: tuple[str, ...]
    steps: tuple[Step, ...]
    positive: tuple[str, ...] = ()


def _steps(*lines: str) -> tuple[Step, ...]:
    """Read steps from lines such as "u = multiply(w, x)"."""
    steps = []
    for line in lines:
        name, call = line.split(" = ")
        operator, arguments = call.removesuffix(")").split("(")
        steps.append(Step(name, operator, tuple(arguments.split(", "))))
    return tuple(steps)


_X = {"x": ""}
EXPRESSIONS: dict[str, Expression] = {
    "sine of a square": Expression(
        r"\sin(x^2)", _X, ("x",), _steps("u1 = square(x)", "y = sin(u1)")
    ),
    "four deep": Expression(
        r"\ln(\sin(x^3)^2)",
        _X,
        ("x",),
        _steps("u1 = cube(x)", "u2 = sin(u1)", "u3 = square(u2)", "y = log(u3)"),
        positive=("x",),
    ),
    "two paths": Expression(
        r"x+x^2", _X, ("x",), _steps("u1 = square(x)", "y = add(x, u1)")
    ),
    "two paths, nested": Expression(
        r"\sin(x+x^2)",
        _X,
        ("x",),
        _steps("u1 = square(x)", "u2 = add(x, u1)", "y = sin(u2)"),
    ),
    "two paths, a product": Expression(
        r"x\cdot x^2", _X, ("x",), _steps("u1 = square(x)", "y = multiply(x, u1)")
    ),
    "neuron": Expression(
        r"\max(0,\mathbf w\cdot\mathbf x+b)",
        {"w": "n", "x": "n", "b": ""},
        ("w", "x", "b"),
        _steps("u1 = multiply(w, x)", "u2 = sum(u1)", "z = add(u2, b)", "y = relu(z)"),
    ),
    "loss of a small network": Expression(
        r"(y-v_1\max(0,\mathbf w_1\cdot\mathbf x+b_1)"
        r"-v_2\max(0,\mathbf w_2\cdot\mathbf x+b_2))^2",
        {
            "w1": "n",
            "w2": "n",
            "b1": "",
            "b2": "",
            "v1": "",
            "v2": "",
            "x": "n",
            "y": "",
        },
        ("w1", "w2", "b1", "b2", "v1", "v2"),
        _steps(
            "u1 = multiply(w1, x)",
            "u2 = multiply(w2, x)",
            "s1 = sum(u1)",
            "s2 = sum(u2)",
            "z1 = add(s1, b1)",
            "z2 = add(s2, b2)",
            "a1 = relu(z1)",
            "a2 = relu(z2)",
            "p1 = multiply(v1, a1)",
            "p2 = multiply(v2, a2)",
            "p = add(p1, p2)",
            "e = subtract(y, p)",
            "C = square(e)",
        ),
    ),
    "loss of a neuron": Expression(
        r"\frac1N\sum_i(y_i-\max(0,\mathbf w\cdot\mathbf x_i+b))^2",
        {"w": "n", "b": "", "X": "N n", "y": "N", "c": ""},
        ("w", "b"),
        _steps(
            "u1 = matrix times vector(X, w)",
            "z = shift(u1, b)",
            "u2 = relu(z)",
            "v = subtract(y, u2)",
            "u3 = square(v)",
            "u4 = sum(u3)",
            "C = scale(u4, c)",
        ),
    ),
}


def procedure_error(
    name: str, seed: int, draws: int, choices: Sequence[int]
) -> dict[str, float]:
    """Compare the procedure with `torch.func.jacrev` and with PyTorch's recorded graph.

    Args:
        name: a key of `EXPRESSIONS`.
        seed: fixes the random sizes and inputs, together with the name.
        draws: number of random inputs.
        choices: sizes to draw from.

    Returns:
        "error": the largest error of any derivative over all draws; "nodes": how many
        operators PyTorch recorded that are not steps, or the reverse, in the worst
        draw.

    Raises:
        KeyError: if the expression does not exist.
    """
    expression = EXPRESSIONS[name]
    generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
    as_rule = Rule(
        name, name, expression.y, expression.by[0], "", "1 1", expression.inputs,
        lambda ops, **inputs: evaluate(expression.steps, inputs)[
            expression.steps[-1].name
        ],
        lambda ops, **inputs: None, positive=expression.positive,
    )  # fmt: skip
    error, nodes = 0.0, 0
    for _ in range(draws):
        sizes = draw_sizes(as_rule, choices, generator)
        inputs = draw_inputs(as_rule, sizes, generator)
        totals = differentiate(expression.steps, inputs)
        for by in expression.by:
            truth = by_autograd(replace(as_rule, by=by), inputs)
            error = max(error, discrepancy(totals[by], truth))
        ours = Counter(TORCH_NODES[step.operator] for step in expression.steps)
        theirs = recorded_operators(expression.steps, inputs)
        nodes = max(nodes, ((ours - theirs) + (theirs - ours)).total())
    return {"error": error, "nodes": nodes}


def special_case_errors(
    seed: int, draws: int, choices: Sequence[int]
) -> dict[str, list[float]]:
    """Compare the scalar chain rules with the vector chain rule, at random.

    Args:
        seed: fixes the random functions and inputs.
        draws: number of random functions.
        choices: numbers n of intermediate variables to draw from.

    Returns:
        One error per draw under each of two keys. "single-variable": dy/du du/dx for
        y = sum_i a_i sin(c_i g(x)), against the product of two Jacobians.
        "total-derivative": the direct term plus one term for each of n intermediate
        variables, every partial derivative taken by itself, against the product of a
        1 x (n + 1) and an (n + 1) x 1 Jacobian.
    """
    generator = torch.Generator().manual_seed(
        zlib.crc32(f"{seed} special cases".encode())
    )
    errors: dict[str, list[float]] = {"single-variable": [], "total-derivative": []}
    for _ in range(draws):
        n = choices[int(torch.randint(len(choices), (1,), generator=generator))]
        a, c = torch.randn(2, n + 1, generator=generator, dtype=torch.double)
        x = torch.randn((), generator=generator, dtype=torch.double)
        errors["single-variable"].append(_single_variable_error(a, c, x))
        errors["total-derivative"].append(_total_derivative_error(a, c, x))
    return errors


def _single_variable_error(a: Tensor, c: Tensor, x: Tensor) -> float:
    def f(u: Tensor) -> Tensor:
        return (a * torch.sin(c * u)).sum(-1, keepdim=u.ndim > 0)

    u = NUMBERS.g(x)
    scalars = grad(f)(u) * grad(NUMBERS.g)(x)
    vectors = jacrev(f)(u.reshape(1)) @ jacrev(NUMBERS.g)(x.reshape(1))
    return discrepancy(vectors, scalars.reshape(1, 1))


def _total_derivative_error(a: Tensor, c: Tensor, x: Tensor) -> float:
    def f(*u: Tensor) -> Tensor:
        return sum(a_i * torch.sin(u_i) for a_i, u_i in zip(a, u, strict=True)) * u[-1]

    def path(i: int, x: Tensor) -> Tensor:
        return torch.cos(c[i] * x)

    def all_paths(x: Tensor) -> Tensor:
        return torch.stack([*(path(i, x) for i in range(len(a) - 1)), x])

    u = all_paths(x)
    total = grad(f, argnums=len(a) - 1)(
        *u
    )  # the direct term, u_1 ... u_n held constant
    for i in range(len(a) - 1):
        total = total + grad(f, argnums=i)(*u) * grad(lambda t, i=i: path(i, t))(x)
    product = jacrev(lambda u: f(*u))(u).reshape(1, -1) @ jacrev(all_paths)(x).reshape(
        -1, 1
    )
    return discrepancy(product, total.reshape(1, 1))
