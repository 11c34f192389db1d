"""The procedure for expressions, and training by gradients written out by hand."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import grad, hessian

from src.foundations.matrix_calculus import procedure, training

NEURON, NETWORK = training.MODELS["neuron"], training.MODELS["network"]
seeds = st.integers(0, 2**32 - 1)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def problem(samples, n=3, seed=0, bias=0.0):
    draw = generator(seed)
    X = torch.randn(samples, n, generator=draw, dtype=torch.double)
    y = torch.randn(samples, generator=draw, dtype=torch.double)
    w = torch.randn(n, generator=draw, dtype=torch.double)
    return {"w": w, "b": torch.tensor(bias, dtype=torch.double)}, X, y


# The procedure.


@pytest.mark.parametrize("name", procedure.EXPRESSIONS)
def test_procedure_is_automatic_differentiation(name):
    found = procedure.procedure_error(name, 0, 5, (1, 2, 3))
    assert found["error"] < 1e-12
    assert found["nodes"] == 0


def test_paths_are_added():
    # y = x x^2 by two steps that both use x, and y = x + x, where one step uses it twice.
    x = torch.tensor(1.7, dtype=torch.double)
    steps = procedure.EXPRESSIONS["two paths, a product"].steps
    assert procedure.differentiate(steps, {"x": x})["x"].item() == pytest.approx(3 * 1.7**2)
    twice = (procedure.Step("y", "add", ("x", "x")),)
    assert procedure.differentiate(twice, {"x": x})["x"].item() == 2


def test_derivatives_by_sub_expressions_are_given_too():
    steps = procedure.EXPRESSIONS["neuron"].steps
    inputs = {"w": torch.ones(3), "x": torch.ones(3), "b": torch.tensor(1.0)}
    totals = procedure.differentiate(steps, inputs)
    assert {name: tuple(total.shape) for name, total in totals.items()} == {
        "y": (1, 1), "z": (1, 1), "u2": (1, 1), "b": (1, 1), "u1": (1, 3), "w": (1, 3), "x": (1, 3)
    }  # fmt: skip


def test_data_are_constants():
    assert procedure.constants(procedure.EXPRESSIONS["loss of a neuron"].steps) == {"X", "c"}


def test_unknown_operator_lists_the_valid_ones():
    with pytest.raises(ValueError, match=r"no rule for 'cosh'; valid: square, cube, sin"):
        procedure.Step("u", "cosh", ("x",))


def test_a_missing_node_is_noticed(monkeypatch):
    monkeypatch.setitem(procedure.TORCH_NODES, "sin", "CosBackward0")
    assert procedure.procedure_error("sine of a square", 0, 1, (1,))["nodes"] == 2


def test_scalar_chain_rules_are_special_cases():
    errors = procedure.special_case_errors(0, 20, (1, 2, 5))
    assert [len(e) for e in errors.values()] == [20, 20]
    assert max(max(e) for e in errors.values()) < 1e-12


# The neuron's gradient.


@pytest.mark.parametrize("samples", [1, 2, 7])
@pytest.mark.parametrize("bias", [0.0, 100.0, -100.0], ids=["mixed", "all active", "none active"])
def test_neuron_gradient_is_autograds(samples, bias):
    p, X, y = problem(samples, bias=bias)
    ours, theirs = NEURON.gradient(p, X, y), grad(NEURON.squared_error)(p, X, y)
    assert training.gap(ours, theirs) < 1e-12
    assert (training.gap(ours, {"w": 0 * p["w"], "b": 0 * p["b"]}) == 0) == (
        not NEURON.predict(p, X).any()
    )


@given(seeds, st.integers(1, 9), st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_network_gradient_is_autograds(seed, samples, n):
    draw = generator(seed)
    p = training.network_start(n, draw, hidden=4)
    p = {name: v + 0.1 * torch.randn(v.shape, generator=draw).double() for name, v in p.items()}
    _, X, y = problem(samples, n, seed)
    assert training.gap(NETWORK.gradient(p, X, y), grad(NETWORK.squared_error)(p, X, y)) < 1e-11


@given(seeds, st.integers(1, 8))
@settings(max_examples=30, deadline=None)
def test_gradient_is_an_average_over_samples(seed, samples):
    # Invariant under permutation; a repeated data set gives the same average.
    p, X, y = problem(samples, seed=seed)
    once = NEURON.gradient(p, X, y)
    order = torch.randperm(samples, generator=generator(seed))
    assert training.gap(once, NEURON.gradient(p, X[order], y[order])) < 1e-12
    twice = NEURON.gradient(p, torch.cat([X, X]), torch.cat([y, y]))
    assert training.gap(once, twice) < 1e-12
    average = training.weighted_average(p, X, y)
    assert torch.allclose(average, once["w"], rtol=0, atol=1e-12)


def test_augmented_form_gives_both_gradients():
    p, X, y = problem(6)
    hat = {"w": torch.cat([p["w"], p["b"][None]]), "b": torch.zeros((), dtype=torch.double)}
    X_hat = torch.cat([X, torch.ones(6, 1, dtype=torch.double)], dim=1)
    ours = NEURON.gradient(p, X, y)
    both = torch.cat([ours["w"], ours["b"][None]])
    assert torch.allclose(NEURON.gradient(hat, X_hat, y)["w"], both, rtol=0, atol=1e-12)


def test_curvature_is_that_of_the_active_samples_and_small_steps_descend():
    p, X, y = problem(12)
    active = X[NEURON.predict(p, X) > 0]
    expected = 2 / 12 * active.T @ active
    curvature = hessian(lambda w: NEURON.squared_error(p | {"w": w}, X, y))(p["w"])
    assert torch.allclose(curvature, expected, rtol=0, atol=1e-12)
    ones = torch.cat([active, torch.ones(len(active), 1, dtype=torch.double)], dim=1)
    limit = 1 / torch.linalg.eigvalsh(2 / 12 * ones.T @ ones).max()
    path = list(training.descend(NEURON.gradient, p, X, y, 0.99 * float(limit), 30))
    for before, after in pairwise(path):
        same = torch.equal(NEURON.predict(before, X) > 0, NEURON.predict(after, X) > 0)
        lower = NEURON.squared_error(after, X, y) <= NEURON.squared_error(before, X, y)
        assert lower or not same


def test_without_rectifier_descent_converges_at_the_predicted_rate():
    # A large bias keeps all samples active, so that the neuron is linear.
    p, X, y = problem(40, n=3)
    X_hat = torch.cat([X, torch.ones(40, 1, dtype=torch.double)], dim=1)
    y = y + 50
    best = torch.linalg.lstsq(X_hat, y[:, None]).solution[:, 0]
    path = list(training.descend(NEURON.gradient, p | {"b": 50 + 0 * p["b"]}, X, y, 0.1, 200))
    distance = [(torch.cat([q["w"], q["b"][None]]) - best).norm() for q in path]
    eigenvalues = torch.linalg.eigvalsh(2 / 40 * X_hat.T @ X_hat)
    predicted = float((1 - 0.1 * eigenvalues).abs().max())
    assert float(distance[150] / distance[149]) == pytest.approx(predicted, rel=0.01)


# Training on the patients.


def test_patients_are_standardised_and_held_out():
    table = training.diabetes(generator())
    assert table.X.shape == (332, 10)
    assert table.X_test.shape == (110, 10)
    assert table.X.mean(0).abs().max() < 1e-12
    assert torch.allclose(table.X.std(0), torch.ones(10, dtype=torch.double))
    assert (table.y >= 0).all()
    assert 0.3 < float((table.y > 0).double().mean()) < 0.7
    assert torch.equal(table.X, training.diabetes(generator()).X)


@pytest.mark.parametrize("model", training.MODELS)
def test_training_by_hand_coincides_with_autograds(model):
    found = training.compare_training(model, 1, 0.1, 60)
    assert found["gap"] < 1e-12
    assert found["loss"][1] < found["loss"][0]
    assert found["test_error"] < training.baseline_errors(1)["mean"]
    if model == "neuron":
        assert found["average_error"] < 1e-12
        assert 0 < min(found["active"]) < max(found["active"]) < 1


def test_a_wrong_gradient_leaves_autograds_path(monkeypatch):
    def forgetful(p, X, y):
        slope = training.neuron_gradient(p, X, y)
        return slope | {"b": slope["b"] / 2}

    model = training.Model(training.neuron_prediction, forgetful, training.neuron_start)
    monkeypatch.setitem(training.MODELS, "neuron", model)
    assert training.compare_training("neuron", 1, 0.1, 20)["gap"] > 1e-3


def test_unknown_model_lists_the_valid_ones():
    with pytest.raises(ValueError, match="unknown model 'forest'; valid: neuron, network"):
        training.compare_training("forest", 0, 0.1, 1)


def test_a_dead_neuron_never_moves():
    p, X, y = problem(20, bias=-100.0)
    path = list(training.descend(NEURON.gradient, p, X, y, 0.1, 5))
    assert training.gap(path[0], path[-1]) == 0


def test_most_students_recover_their_teacher():
    found = training.recover_teacher(0, students=40, inputs=2, steps=2000, spread=1.0, samples=64)
    assert found == training.recover_teacher(0, 40, 2, 2000, 1.0, samples=64)
    assert 30 <= sum(loss < 1e-8 for loss in found["loss"]) < 40
    assert len(found["active"]) == 40
    assert max(found["active"]) <= 64


def test_a_neuron_starts_without_bias_and_an_idle_one_learns_nothing():
    start = training.neuron_start(4, torch.Generator().manual_seed(0))
    assert start["b"] == 0 and start["w"].abs().min() > 0
    X, y = torch.ones(3, 4, dtype=torch.double), torch.ones(3, dtype=torch.double)
    idle = {"w": torch.zeros(4, dtype=torch.double), "b": torch.zeros((), dtype=torch.double)}
    assert training.weighted_average(idle, X, y).tolist() == [0] * 4  # max(0, z) at z = 0
