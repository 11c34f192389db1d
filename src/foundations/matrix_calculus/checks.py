"""Four independent checks of a rule: shape, symbols, autograd, finite differences.

Errors are relative to the size of the derivative where that exceeds 1, absolute below.
A derivative of the wrong shape has an infinite error.
"""

import itertools
import math
import zlib
from collections.abc import Iterable, Sequence

import numpy as np
import sympy as sp
import torch
from jaxtyping import Float
from sympy.core.relational import Relational
from torch import Tensor
from torch.func import jacrev

from src.foundations.matrix_calculus.arithmetic import NUMBERS, SYMBOLS
from src.foundations.matrix_calculus.rules import RULES, Rule

# Minimises truncation h^2 |f'''| / 6 plus rounding eps |f| / h, up to a constant.
DIFFERENCE_STEP = 2.0 ** (-52 / 3)
KINK_MARGIN = 1e-2


def letters_of(rule: Rule) -> list[str]:
    """Return the letters that stand for sizes in a rule's inputs, sorted.

    Args:
        rule: any rule.
    """
    return sorted({c for shape in rule.inputs.values() for c in shape if c.isalpha()})


def draw_sizes(
    rule: Rule, choices: Sequence[int], generator: torch.Generator
) -> dict[str, int]:
    """Draw a size for every letter of a rule.

    Args:
        rule: the rule whose letters get sizes.
        choices: sizes, all equally probable.
        generator: draws the sizes, independently.

    Returns:
        letter -> size.
    """
    letters = letters_of(rule)
    picks = torch.randint(len(choices), (len(letters),), generator=generator).tolist()
    return {letter: choices[pick] for letter, pick in zip(letters, picks, strict=True)}


def _dimensions(shape: str, sizes: dict[str, int]) -> tuple[int, ...]:
    return tuple(int(c) if c.isdigit() else sizes[c] for c in shape.split())


def draw_inputs(
    rule: Rule, sizes: dict[str, int], generator: torch.Generator
) -> dict[str, Tensor]:
    """Draw the inputs of a rule in float64, away from the function's kinks.

    Scalars and vectors are standard normal, matrices with c columns normal with
    variance 1/c, and inputs that must be positive uniform on [0.5, 2].

    Args:
        rule: the rule that names the inputs and their shapes.
        sizes: letter -> size.
        generator: draws the inputs.

    Returns:
        name -> value.

    Raises:
        ValueError: if 1000 draws all come closer than `KINK_MARGIN` to a kink.
    """
    for _ in range(1000):
        inputs = {}
        for name, shape in rule.inputs.items():
            size = _dimensions(shape, sizes)
            if name in rule.positive:
                inputs[name] = 0.5 + 1.5 * torch.rand(
                    size, generator=generator, dtype=torch.double
                )
            else:
                scale = size[1] ** -0.5 if len(size) == 2 else 1.0
                normal = torch.randn(size, generator=generator, dtype=torch.double)
                inputs[name] = scale * normal
        if (
            rule.kinks is None
            or rule.kinks(NUMBERS, **inputs).abs().min() > KINK_MARGIN
        ):
            return inputs
    raise ValueError(f"rule {rule.id}: no inputs away from the kinks at sizes {sizes}")


def closed_form(rule: Rule, inputs: dict[str, Tensor]) -> Float[Tensor, "rows columns"]:
    """Evaluate the rule's derivative in float64.

    Args:
        rule: any rule.
        inputs: values of the rule's inputs, by name.

    Returns:
        The derivative in the rule's shape; a scalar becomes a 1 x 1 matrix.
    """
    value = rule.derivative(NUMBERS, **inputs)
    return value.reshape(1, 1) if value.ndim == 0 else value


def by_autograd(rule: Rule, inputs: dict[str, Tensor]) -> Float[Tensor, "rows columns"]:
    """Differentiate the rule's function with `torch.func.jacrev`.

    Args:
        rule: any rule.
        inputs: values of the rule's inputs, by name.

    Returns:
        The derivative in numerator layout, or in the input's shape if that is a matrix.
    """
    x = inputs[rule.by]
    jacobian = jacrev(lambda v: rule.function(NUMBERS, **inputs | {rule.by: v}))(x)
    return jacobian if x.ndim == 2 else jacobian.reshape(-1, x.numel())


def by_central_differences(
    rule: Rule, inputs: dict[str, Tensor], step: float = DIFFERENCE_STEP
) -> Float[Tensor, "rows columns"]:
    """Return (y(x + nudge) - y(x - nudge)) / 2 step, a column for each x_j.

    If x is a matrix, the derivative has its shape.

    Args:
        rule: any rule.
        inputs: values of the rule's inputs, by name.
        step: the nudge of one element at a time.
    """
    x, columns = inputs[rule.by], []
    for j in range(x.numel()):
        nudge = torch.zeros_like(x)
        nudge.view(-1)[j] = step
        up = rule.function(NUMBERS, **inputs | {rule.by: x + nudge})
        down = rule.function(NUMBERS, **inputs | {rule.by: x - nudge})
        columns.append((up - down).reshape(-1) / (2 * step))
    jacobian = torch.stack(columns, dim=1)
    return jacobian.reshape(x.shape) if x.ndim == 2 else jacobian


def discrepancy(ours: Tensor, truth: Tensor) -> float:
    """Return max |ours - truth| / max(1, max |truth|); infinity if shapes differ.

    Args:
        ours: derivative to be judged.
        truth: derivative to judge it by.
    """
    if ours.shape != truth.shape:
        return math.inf
    return float((ours - truth).abs().max() / truth.abs().max().clamp(min=1))


def numeric_errors(
    rule: Rule, generator: torch.Generator, draws: int, choices: Sequence[int]
) -> dict[str, list[float]]:
    """Compare a rule with autograd and with central differences at random inputs.

    Args:
        rule: the rule to be judged.
        generator: draws sizes and inputs.
        draws: number of comparisons.
        choices: sizes to draw from.

    Returns:
        "autograd" and "differences": one error per draw, infinite where the closed form
        does not have the stated shape.

    Raises:
        ValueError: if no inputs away from the function's kinks are found.
    """
    errors: dict[str, list[float]] = {"autograd": [], "differences": []}
    for _ in range(draws):
        sizes = draw_sizes(rule, choices, generator)
        inputs = draw_inputs(rule, sizes, generator)
        ours = closed_form(rule, inputs)
        right_shape = tuple(ours.shape) == _dimensions(rule.shape, sizes)
        for name, judge in (
            ("autograd", by_autograd),
            ("differences", by_central_differences),
        ):
            error = discrepancy(ours, judge(rule, inputs)) if right_shape else math.inf
            errors[name].append(error)
    return errors


def symbolic_inputs(rule: Rule, sizes: dict[str, int]) -> dict[str, object]:
    """Return real symbols, positive where they must be, for a rule's inputs.

    Args:
        rule: the rule that names the inputs and their shapes.
        sizes: letter -> size.
    """
    inputs = {}
    for name, shape in rule.inputs.items():
        size, sign = (
            _dimensions(shape, sizes),
            {"positive": True} if name in rule.positive else {},
        )
        if not size:
            inputs[name] = sp.Symbol(name, real=True, **sign)
            continue
        array = np.empty(size, dtype=object)
        for index in np.ndindex(*size):
            label = name + "".join(str(i + 1) for i in index)
            array[index] = sp.Symbol(label, real=True, **sign)
        inputs[name] = array
    return inputs


def unproved_entries(rule: Rule, sizes: dict[str, int]) -> int:
    """Count the entries of the closed form that are not proved.

    Every output is differentiated with respect to every element of the input; the entry
    is proved if the difference from the closed form simplifies to zero.

    Args:
        rule: the rule to be proved.
        sizes: letter -> size.

    Returns:
        The number of unproved entries, which is all of them if the shape is wrong.
    """
    inputs = symbolic_inputs(rule, sizes)
    ys = np.ravel(rule.function(SYMBOLS, **inputs))
    xs = np.ravel(inputs[rule.by])
    closed = np.asarray(rule.derivative(SYMBOLS, **inputs), dtype=object)
    closed = closed.reshape(1, 1) if closed.ndim == 0 else closed
    if closed.shape != _dimensions(rule.shape, sizes):
        return len(ys) * len(xs)
    true = [sp.diff(y, x) for y in ys for x in xs]
    pairs = zip(true, closed.ravel(), strict=True)
    return sum(not is_zero(ours - theirs) for ours, theirs in pairs)


def is_zero(expression: sp.Expr) -> bool:
    """Return whether an expression vanishes identically, in each of its cases.

    Args:
        expression: may hold `Piecewise`; every combination of its conditions is tried.
    """
    conditions = sorted(expression.atoms(Relational), key=str)
    for pattern in itertools.product((sp.true, sp.false), repeat=len(conditions)):
        branch = expression.xreplace(dict(zip(conditions, pattern, strict=True)))
        if sp.expand(branch) != 0 and sp.simplify(branch) != 0:
            return False
    return True


def unproved_sizes(rule: Rule, largest: int) -> list[int]:
    """Prove a rule for all sizes from 1 to `largest`.

    Args:
        rule: the rule to be proved.
        largest: upper end of each size.

    Returns:
        The number of unproved entries for each combination of sizes; all zero is a
        proof.
    """
    letters = letters_of(rule)
    sizes = itertools.product(range(1, largest + 1), repeat=len(letters))
    return [
        unproved_entries(rule, dict(zip(letters, size, strict=True))) for size in sizes
    ]


def check_rules(
    names: Iterable[str], seed: int, draws: int, choices: Sequence[int], largest: int
) -> dict[str, dict[str, list]]:
    """Put rules through all the checks; the result can be stored.

    Args:
        names: ids of rules.
        seed: fixes the random sizes and inputs, together with the id.
        draws: number of random inputs per rule.
        choices: sizes to draw from.
        largest: upper end of the sizes for which a rule is proved.

    Returns:
        For every rule id: "autograd" and "differences" (one error per draw) and
        "unproved" (one count for every combination of sizes up to `largest`).

    Raises:
        ValueError: if a rule does not exist.
    """
    results = {}
    for name in names:
        if name not in RULES:
            raise ValueError(f"unknown rule {name!r}; valid: {', '.join(RULES)}")
        rule = RULES[name]
        # Every rule has a stream of its own: a new rule does not move the others.
        generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
        errors = numeric_errors(rule, generator, draws, choices)
        results[name] = errors | {"unproved": unproved_sizes(rule, largest)}
    return results
