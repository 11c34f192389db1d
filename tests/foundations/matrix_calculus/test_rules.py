"""The rules of matrix calculus before judges that the chapter does not use, and the judges."""

import math
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import jacrev, jvp, vjp

from src.foundations.matrix_calculus import checks
from src.foundations.matrix_calculus.arithmetic import NUMBERS, SYMBOLS
from src.foundations.matrix_calculus.blocks import draw_blocks
from src.foundations.matrix_calculus.mistakes import MISTAKES
from src.foundations.matrix_calculus.rules import FAMILIES, RULES

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 6)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def some_inputs(rule, n=3, m=4, k=2, samples=5, seed=0):
    return checks.draw_inputs(rule, {"n": n, "m": m, "k": k, "N": samples}, generator(seed))


# Every rule, by every judge.


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_rule_agrees_with_autograd_and_differences(rule):
    errors = checks.numeric_errors(rule, generator(), 5, (1, 2, 3, 5, 8))
    assert max(errors["autograd"]) < 1e-12
    assert max(errors["differences"]) < 1e-7


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_rule_is_proved(rule):
    unproved = checks.unproved_sizes(rule, 2)
    assert sum(unproved) == 0
    assert len(unproved) == 2 ** len(checks.letters_of(rule))


def with_examples(expression):
    """Put the functions that NUMBERS uses in the place of the undefined ones (sizes up to 2)."""
    t, p, q = sp.symbols("t p q")
    examples = {"h": sp.Lambda((p, q), p * sp.sin(q) + q**2)}
    for i, rate in enumerate((1, sp.Rational(3, 2))):
        examples[f"f{i}"] = sp.Lambda(t, sp.sin(rate * t))
        examples[f"g{i}"] = sp.Lambda(t, t + sp.cos(rate * t) / 2)
    for name, example in examples.items():
        expression = sp.sympify(expression).subs(sp.Function(name), example)
    return expression.doit()


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_both_arithmetics_compute_the_same_formula(rule):
    numbers = some_inputs(rule, n=2, m=2, k=2, samples=2)
    symbols = checks.symbolic_inputs(rule, {"n": 2, "m": 2, "k": 2, "N": 2})
    values = {
        symbol: number
        for name in rule.inputs
        for symbol, number in zip(
            np.ravel(symbols[name]), numbers[name].reshape(-1).tolist(), strict=True
        )
    }
    formula = np.ravel(rule.derivative(SYMBOLS, **symbols))
    computed = [float(with_examples(entry).subs(values)) for entry in formula]
    expected = checks.closed_form(rule, numbers).reshape(-1).tolist()
    assert computed == pytest.approx(expected, rel=1e-12, abs=1e-14)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(RULES)), seeds, sizes, sizes, sizes, sizes)
def test_derivative_acts_as_forward_and_reverse_mode_do(name, seed, n, m, k, samples):
    # J v by forward mode, u J by reverse mode: neither builds J as jacrev does.
    rule = RULES[name]
    inputs = some_inputs(rule, n, m, k, samples, seed)
    J, at = checks.closed_form(rule, inputs), inputs[rule.by]
    if at.ndim == 2:
        J = J.reshape(1, -1)
    draw = generator(seed + 1)
    v = torch.randn(at.shape, generator=draw, dtype=torch.double)
    function = lambda x: rule.function(NUMBERS, **{**inputs, rule.by: x})  # noqa: E731
    y, forward = jvp(function, (at,), (v,))
    u = torch.randn(y.shape, generator=draw, dtype=torch.double)
    (reverse,) = vjp(function, at)[1](u)
    scale = max(1.0, float(J.abs().max()))
    assert torch.allclose(J @ v.reshape(-1), forward.reshape(-1), rtol=0, atol=1e-11 * scale)
    assert torch.allclose(u.reshape(-1) @ J, reverse.reshape(-1), rtol=0, atol=1e-11 * scale)


@pytest.mark.parametrize("name", ["R8", "R13a", "R13b", "N1", "N6", "L1"])
def test_numerator_layout_is_the_transpose_of_grad(name):
    rule = RULES[name]
    inputs = some_inputs(rule)
    leaf = inputs[rule.by].clone().requires_grad_()
    rule.function(NUMBERS, **{**inputs, rule.by: leaf}).backward()
    row = checks.closed_form(rule, inputs)
    assert row.shape == (1, leaf.numel())
    assert torch.allclose(row.T, leaf.grad.reshape(-1, 1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["R8", "R11g", "R11j", "F1", "F2", "F3", "F4", "R12d"])
def test_analytic_rules_agree_with_the_complex_step(name):
    rule, h = RULES[name], 1e-30
    inputs = some_inputs(rule, n=4)
    at, columns = inputs[rule.by], []
    for j in range(at.numel()):
        shift = torch.zeros(at.numel(), dtype=torch.complex128)
        shift[j] = 1j * h
        nudged = {k: v.to(torch.complex128) for k, v in inputs.items()}
        nudged[rule.by] = nudged[rule.by] + shift.reshape(at.shape)
        columns.append(rule.function(NUMBERS, **nudged).imag.reshape(-1) / h)
    assert torch.allclose(
        torch.stack(columns, 1), checks.closed_form(rule, inputs), rtol=1e-12, atol=1e-15
    )


# Identities among the rules.


@given(seeds, sizes, sizes)
@settings(max_examples=25, deadline=None)
def test_affine_map_has_its_matrix_as_derivative(seed, n, m):
    inputs = some_inputs(RULES["R10b"], n, m, seed=seed)
    jacobian = jacrev(lambda x: inputs["A"] @ x + 1)(inputs["x"])
    assert torch.equal(checks.closed_form(RULES["R10b"], inputs), jacobian)


@given(seeds, sizes)
@settings(max_examples=25, deadline=None)
def test_ones_times_diagonal_is_a_row_and_diagonals_multiply(seed, n):
    a, b = torch.randn(2, n, generator=generator(seed), dtype=torch.double)
    assert torch.equal(NUMBERS.row(NUMBERS.ones(a)) @ NUMBERS.diag(a), NUMBERS.row(a))
    assert torch.equal(NUMBERS.diag(a) @ NUMBERS.diag(b), NUMBERS.diag(a * b))


@pytest.mark.parametrize("rule", FAMILIES["element-wise operators"][:-1], ids=lambda r: r.id)
def test_elementwise_rules_are_exactly_diagonal(rule):
    jacobian = checks.by_autograd(rule, some_inputs(rule, n=6))
    assert torch.equal(jacobian, torch.diag(jacobian.diagonal()))


def test_an_operand_that_mixes_is_not_diagonal():
    jacobian = checks.by_autograd(RULES["R11l"], some_inputs(RULES["R11l"], n=4, m=4))
    assert (jacobian != 0).all()


@given(seeds, sizes, sizes, sizes)
@settings(max_examples=25, deadline=None)
def test_three_layers_multiply_in_any_order(seed, n, m, k):
    draw = generator(seed)
    A, B, C = (torch.randn(s, generator=draw, dtype=torch.double) for s in ((m, k), (k, n), (n, 3)))
    x = torch.randn(3, generator=draw, dtype=torch.double)
    u = NUMBERS.f(C @ x)
    v = NUMBERS.f(B @ u)
    outer = torch.diag(NUMBERS.df(A @ v)) @ A
    middle = torch.diag(NUMBERS.df(B @ u)) @ B
    inner = torch.diag(NUMBERS.df(C @ x)) @ C
    truth = jacrev(lambda x: NUMBERS.f(A @ NUMBERS.f(B @ NUMBERS.f(C @ x))))(x)
    for product in ((outer @ middle) @ inner, outer @ (middle @ inner)):
        assert checks.discrepancy(product, truth) < 1e-12


def test_euler_for_homogeneous_functions():
    # f homogeneous of degree k has (df/dx) x = k f: a bias-free neuron, and x_1^2 x_2.
    rule = RULES["N6"]
    inputs = some_inputs(rule, n=5, seed=3) | {"b": torch.zeros((), dtype=torch.double)}
    value = rule.function(NUMBERS, **inputs)
    assert torch.allclose((checks.closed_form(rule, inputs) @ inputs["w"])[0], value)
    inputs = some_inputs(RULES["R8"])
    value = RULES["R8"].function(NUMBERS, **inputs)
    assert torch.allclose((checks.closed_form(RULES["R8"], inputs) @ inputs["x"])[0], 3 * value)


# Mistakes must be caught.


@pytest.mark.parametrize("rule", MISTAKES.values(), ids=MISTAKES)
def test_mistake_is_caught_by_numbers_and_symbols(rule):
    errors = checks.numeric_errors(rule, generator(), 20, (2, 3))
    assert max(errors["autograd"]) > 1e-3
    assert max(errors["differences"]) > 1e-3
    assert sum(checks.unproved_sizes(rule, 2)) > 0


def test_a_stated_shape_that_is_wrong_is_an_error():
    rule = replace(RULES["R12b"], shape="1 n")
    assert set(checks.numeric_errors(rule, generator(), 5, (2, 3))["autograd"]) == {math.inf}
    assert checks.unproved_entries(rule, {"n": 2}) == 2


# The judges themselves.


def test_central_differences_have_slope_two():
    rule = RULES["R14"]
    inputs = {"x": torch.tensor(0.7, dtype=torch.double)}
    truth = checks.closed_form(rule, inputs)
    coarse, fine = (
        checks.discrepancy(checks.by_central_differences(rule, inputs, h), truth)
        for h in (1e-2, 1e-3)
    )
    assert math.log10(coarse / fine) == pytest.approx(2, abs=0.02)


def test_zero_is_recognised_on_every_branch():
    x = sp.Symbol("x", real=True)
    relu, step = SYMBOLS.relu(x), SYMBOLS.step(x)
    assert checks.is_zero(sp.diff(relu, x) - step)
    assert checks.is_zero(relu**2 - x * relu)
    assert not checks.is_zero(relu - x)
    assert not checks.is_zero(relu)
    assert checks.is_zero(sp.sin(x) ** 2 + sp.cos(x) ** 2 - 1)


def test_rectifier_is_flat_at_its_kink():
    zero = torch.zeros(1, dtype=torch.double)
    assert NUMBERS.step(zero) == 0
    assert jacrev(NUMBERS.relu)(zero) == 0
    assert SYMBOLS.step(sp.Integer(0)) == 0


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_inputs_are_positive_where_they_must_be_and_away_from_kinks(seed):
    assert (some_inputs(RULES["R11j"], seed=seed)["x"] >= 0.5).all()
    inputs = some_inputs(RULES["L1"], seed=seed)
    assert (inputs["X"] @ inputs["w"] + inputs["b"]).abs().min() > checks.KINK_MARGIN


def test_impossible_inputs_are_an_error():
    rule = replace(RULES["N5"], kinks=lambda ops, x: 0 * x)
    with pytest.raises(ValueError, match="N5: no inputs away from the kinks"):
        some_inputs(rule)


def test_shapes_that_differ_are_infinitely_wrong():
    assert checks.discrepancy(torch.zeros(1, 3), torch.zeros(3, 1)) == math.inf


def test_checking_is_reproducible_and_rules_do_not_disturb_each_other():
    both = checks.check_rules(["R9", "R16a"], 1, 3, (1, 2), 1)
    assert both["R16a"] == checks.check_rules(["R16a"], 1, 3, (1, 2), 1)["R16a"]
    assert both["R9"]["unproved"] == [0]
    assert len(both["R16a"]["autograd"]) == 3


def test_unknown_rule_lists_the_valid_ones():
    with pytest.raises(ValueError, match=r"unknown rule 'R99'; valid: R1, R2"):
        checks.check_rules(["R99"], 0, 1, (1,), 1)


def test_ids_are_unique_and_latex_fits_a_table():
    assert len(RULES) == sum(len(family) for family in FAMILIES.values())
    for rule in RULES.values():
        assert rule.by in rule.inputs
        assert "|" not in rule.y + rule.equals + rule.name


def test_blocks_have_a_cell_for_each_entry_and_zeros_are_white():
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots()
    draw_blocks(ax, (0.0, 0.0), "title", [torch.eye(3), torch.ones(1, 2)], "=")
    faces = [patch.get_facecolor() for patch in ax.patches]
    assert len(faces) == 11
    assert faces.count((1.0, 1.0, 1.0, 1.0)) == 6
    assert [text.get_text() for text in ax.texts] == ["title", "="]
    plt.close(fig)
