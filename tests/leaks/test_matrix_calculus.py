"""The experiments of the matrix-calculus chapter cannot leak."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

from src.foundations.matrix_calculus import checks, procedure, training
from src.foundations.matrix_calculus.training import Patients
from tests.leaks.suite import SEEDS, Experiment, Noise, suite
from tests.leaks.tape import recording, watched

ROOM = "src.foundations.matrix_calculus"
TABLE = f"{ROOM}.training:diabetes"
SHORT = {"rate": 0.1, "steps": 60}


def noisy_patients(table: Patients, calls: list, generator: torch.Generator) -> Patients:
    """The table with the progressions of the held-out patients shuffled."""
    order = torch.randperm(len(table.y_test), generator=generator)
    return replace(table, y_test=table.y_test[order])


def held_out(score, watch: str, chosen=lambda result: None) -> Noise:
    """Noise for the held-out patients; their mean progression has an error of 0.34 (seed 1000)."""
    return Noise(
        source=TABLE,
        spoil=noisy_patients,
        scores=lambda result: [-result[score]],
        chance=-0.33,
        chosen=chosen,
        watch=[watch],
    )


def all_but_the_test(result: dict) -> dict:
    return {name: value for name, value in result.items() if name != "test_error"}


EXPERIMENTS = [
    Experiment(
        checks.check_rules,
        {"names": ["R11a", "L1", "A1"], "draws": 2, "choices": [3, 5], "largest": 1},
        fixed=[".*/unproved/.*", ".*/autograd/.*"],  # proofs; rounding errors, some of them 0
    ),
    Experiment(
        procedure.procedure_error,
        {"name": "loss of a neuron", "draws": 3, "choices": [8, 13]},
        fixed=["nodes"],
    ),
    Experiment(
        procedure.special_case_errors,
        {"draws": 2, "choices": [60, 90]},  # long sums, so that there are rounding errors
        fixed=["single-variable/.*"],  # 0: both sides are one product
    ),
    *(
        Experiment(
            training.compare_training,
            SHORT | {"model": model},
            fixed=["gap"],  # 0: not even the last digit differs
            noise=held_out("test_error", step, all_but_the_test),
        )
        # Called at every step by hand, with all training targets.
        for model, step in (
            ("neuron", f"{ROOM}.training:active_errors"),
            ("network", "torch:outer"),
        )
    ),
    Experiment(
        training.baseline_errors,
        {},
        noise=held_out("least squares", "torch.linalg:lstsq"),
    ),
    Experiment(
        training.recover_teacher,
        {"students": 3, "inputs": 2, "steps": 5, "spread": 1.0, "samples": 200},
    ),
]
test_experiments = suite(EXPERIMENTS)


# --- the patients -------------------------------------------------------------------------------


def split(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the training and of the test rows."""
    order = torch.randperm(442, generator=torch.Generator().manual_seed(seed)).numpy()
    return order[110:], order[:110]


def test_no_patient_is_in_both_parts():
    table = training.diabetes(torch.Generator().manual_seed(SEEDS[0]))
    rows = {tuple(row) for row in torch.cat([table.X, table.X_test]).tolist()}
    assert len(rows) == len(table.X) + len(table.X_test) == 442


def test_all_models_and_baselines_have_the_same_patients():
    seen: list[str] = []
    with recording(**{TABLE: watched(seen)}):
        for model in training.MODELS:
            training.compare_training(model, SEEDS[0], 0.1, 1)
        training.baseline_errors(SEEDS[0])
    assert len(seen) == 3 and len(set(seen)) == 1


def test_errors_are_in_deviations_of_the_training_patients():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    train, test = split(SEEDS[0])
    y = np.maximum(y - y[train].mean(), 0) / np.std(y[train], ddof=1)
    line = LinearRegression().fit(X[train], y[train])  # the scale of X does not matter to it
    found = training.baseline_errors(SEEDS[0])
    expected = [np.mean((y[test] - p) ** 2) for p in (y[train].mean(), line.predict(X[test]))]
    assert [found["mean"], found["least squares"]] == pytest.approx(expected)


# --- what is divided by -------------------------------------------------------------------------


@pytest.mark.parametrize("size, divisor", [(0.0, 1.0), (0.5, 1.0), (1.0, 1.0), (8.0, 8.0)])
def test_small_derivatives_are_judged_by_the_absolute_error(size, divisor):
    truth = torch.tensor([[-size, 0.25 * size]])
    ours = truth + torch.tensor([[0.0, -0.125]])
    assert checks.discrepancy(ours, truth) == 0.125 / divisor
