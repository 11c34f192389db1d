"""Training by hand: gradients written out from the rules, descended beside autograd's.

Source: Parr and Howard (2018), "The gradient of the neural network loss function"; the
network of one hidden layer goes beyond the article. Parameters are float64 and kept in
dictionaries; gradients have the shapes of the parameters (the transposes of the rules'
rows), so that they can be subtracted from them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import grad, vmap

from src.foundations.matrix_calculus.arithmetic import NUMBERS
from src.foundations.matrix_calculus.checks import discrepancy
from src.foundations.matrix_calculus.rules import active_errors

Parameters = dict[str, Tensor]
Gradient = Callable[[Parameters, Tensor, Tensor], Parameters]


@dataclass(frozen=True)
class Model:
    """A model with its loss and its gradient by hand.

    Attributes:
        predict: (parameters, X) -> predictions of shape (N,).
        gradient: (parameters, X, y) -> the gradient of `squared_error`, in the shapes
            of the parameters.
        initial: (n, generator) -> random parameters for n inputs.
    """

    predict: Callable[[Parameters, Tensor], Tensor]
    gradient: Gradient
    initial: Callable[[int, torch.Generator], Parameters]

    def squared_error(self, p: Parameters, X: Tensor, y: Tensor) -> Float[Tensor, ""]:
        """Return C, the mean over the N samples of the squared error.

        Args:
            p: parameters.
            X: inputs, one row per sample.
            y: targets.
        """
        return ((y - self.predict(p, X)) ** 2).mean()


def neuron_prediction(p: Parameters, X: Float[Tensor, "N n"]) -> Float[Tensor, " N"]:
    """Return max(0, w . x_i + b) for every row x_i of X.

    Args:
        p: "w" of shape (n,) and "b", a scalar.
        X: inputs, one row per sample.
    """
    return torch.relu(X @ p["w"] + p["b"])


def neuron_gradient(
    p: Parameters, X: Float[Tensor, "N n"], y: Float[Tensor, " N"]
) -> Parameters:
    """Return the gradient of a neuron's mean squared error (rules L1, L2).

    Args:
        p: "w" of shape (n,) and "b", a scalar.
        X: inputs, one row per sample.
        y: targets.
    """
    e = 2 / len(y) * active_errors(NUMBERS, p["w"], p["b"], X, y)
    return {"w": X.T @ e, "b": e.sum()}


def neuron_start(n: int, generator: torch.Generator) -> Parameters:
    """Return weights of standard deviation 1/sqrt(n) and zero bias.

    Args:
        n: number of inputs.
        generator: draws the weights.
    """
    w = torch.randn(n, generator=generator, dtype=torch.double) / n**0.5
    return {"w": w, "b": torch.zeros((), dtype=torch.double)}


def network_prediction(p: Parameters, X: Float[Tensor, "N n"]) -> Float[Tensor, " N"]:
    """Return max(0, X W^T + 1 b^T) v + c: m rectified neurons with weights v.

    Args:
        p: "W" (m, n) and "b" (m,) of the hidden layer, "v" (m,) and "c" () of the
            output.
        X: inputs, one row per sample.
    """
    return torch.relu(X @ p["W"].T + p["b"]) @ p["v"] + p["c"]


def network_gradient(
    p: Parameters,
    X: Float[Tensor, "N n"],
    y: Float[Tensor, " N"],
) -> Parameters:
    """Return the gradient of the network's mean squared error (rules A1, A2).

    Args:
        p: parameters, as in `network_prediction`.
        X: inputs, one row per sample.
        y: targets.
    """
    Z = X @ p["W"].T + p["b"]  # N x m
    A = torch.relu(Z)
    e = 2 / len(y) * (A @ p["v"] + p["c"] - y)  # dC/d(prediction), N
    G = torch.outer(e, p["v"])  # dC/dA, N x m
    delta = G * (Z > 0)  # dC/dZ: a switch for each sample and neuron
    return {"W": delta.T @ X, "b": delta.sum(0), "v": A.T @ e, "c": e.sum()}


def network_start(n: int, generator: torch.Generator, hidden: int = 16) -> Parameters:
    """Return weights of standard deviation 1/sqrt(inputs of the layer), zero biases.

    Args:
        n: number of inputs.
        generator: draws the weights.
        hidden: number m of hidden neurons.
    """
    W = torch.randn(hidden, n, generator=generator, dtype=torch.double) / n**0.5
    v = torch.randn(hidden, generator=generator, dtype=torch.double) / hidden**0.5
    zeros = torch.zeros(hidden + 1, dtype=torch.double)
    return {"W": W, "b": zeros[:hidden], "v": v, "c": zeros[hidden]}


MODELS = {
    "neuron": Model(neuron_prediction, neuron_gradient, neuron_start),
    "network": Model(network_prediction, network_gradient, network_start),
}


def descend(
    gradient: Gradient,
    start: Parameters,
    X: Float[Tensor, "*runs N n"],
    y: Float[Tensor, "*runs N"],
    rate: float,
    steps: int,
) -> Iterator[Parameters]:
    """Yield the parameters on the path of p <- p - rate * gradient.

    Several runs go side by side if `gradient` (by `torch.func.vmap`) and `start` are
    batched.

    Args:
        gradient: (parameters, X, y) -> gradient, in the shapes of the parameters.
        start: parameters to begin with; they are not changed.
        X: inputs; every step uses all of them.
        y: targets.
        rate: learning rate.
        steps: number of updates; `steps` + 1 sets of parameters are yielded.
    """
    now = start
    yield now
    for _ in range(steps):
        slope = gradient(now, X, y)
        now = {name: p - rate * slope[name] for name, p in now.items()}
        yield now


def gap(ours: Parameters, theirs: Parameters) -> float:
    """Return the largest absolute difference between two sets of parameters.

    Args:
        ours: parameters by name.
        theirs: the same names and shapes.
    """
    return max(float((ours[name] - theirs[name]).abs().max()) for name in ours)


def weighted_average(
    p: Parameters, X: Float[Tensor, "N n"], y: Float[Tensor, " N"]
) -> Float[Tensor, " n"]:
    """Return 2/N times the sum of e_i x_i over the active samples, one by one.

    This is the article's reading of the neuron's gradient: an average of the inputs,
    weighted by error = prediction minus target.

    Args:
        p: the neuron's "w" and "b".
        X: inputs, one row per sample.
        y: targets.
    """
    total = torch.zeros_like(p["w"])
    for x_i, y_i in zip(X, y, strict=True):
        z_i = torch.dot(p["w"], x_i) + p["b"]
        if z_i > 0:
            total = total + (z_i - y_i) * x_i
    return 2 / len(y) * total


@dataclass(frozen=True)
class Patients:
    """The diabetes table, standardised and split in two.

    Attributes:
        X: N training rows of n = 10 measurements (mean 0, standard deviation 1).
        y: how far each patient's progression exceeds the training mean, 0 if it does
            not, in standard deviations of the progression.
        X_test: the held-out quarter of the rows, on the same scale.
        y_test: its targets, on the same scale.
    """

    X: Float[Tensor, "N n"]
    y: Float[Tensor, " N"]
    X_test: Float[Tensor, "M n"]
    y_test: Float[Tensor, " M"]


def diabetes(generator: torch.Generator) -> Patients:
    """Return scikit-learn's diabetes table: 442 patients, 10 measurements, one target.

    The raw target is the progression of the disease after a year, which is positive
    throughout: a rectified neuron would soon be active on every patient, and its switch
    would go untested. The target here is therefore the excess over the mean.

    Args:
        generator: draws the split into training and test rows.

    Raises:
        ValueError: if the table does not have 442 rows of 10 columns.
    """
    from sklearn.datasets import load_diabetes

    inputs, targets = load_diabetes(return_X_y=True, scaled=False)
    X, y = torch.as_tensor(inputs), torch.as_tensor(targets)
    if X.shape != (442, 10):
        raise ValueError(
            f"the diabetes table has 442 rows of 10 columns, not {tuple(X.shape)}"
        )
    order = torch.randperm(len(y), generator=generator)
    test, train = order[: len(y) // 4], order[len(y) // 4 :]
    X = (X - X[train].mean(0)) / X[train].std(0)
    y = torch.relu(y - y[train].mean()) / y[train].std()
    return Patients(X[train], y[train], X[test], y[test])


def compare_training(model: str, seed: int, rate: float, steps: int) -> dict:
    """Train a model on the diabetes table by hand and by autograd.

    Args:
        model: a key of `MODELS`.
        seed: fixes the split and the initial parameters.
        rate: learning rate.
        steps: number of updates from the same start.

    Returns:
        "loss": C before the first and after the last update by hand; "gap": the largest
        difference of any parameter between the two trainings, at any time;
        "test_error": C on the held-out patients at the end. For the neuron also
        "average_error": the largest error of `weighted_average` against autograd's
        gradient at 20 points of the path, and "active": the fraction of active samples
        at each of them.

    Raises:
        ValueError: if the model does not exist.
    """
    if model not in MODELS:
        raise ValueError(f"unknown model {model!r}; valid: {', '.join(MODELS)}")
    chosen, generator = MODELS[model], torch.Generator().manual_seed(seed)
    table = diabetes(generator)
    start = chosen.initial(table.X.shape[1], generator)
    hand = list(descend(chosen.gradient, start, table.X, table.y, rate, steps))
    auto = descend(grad(chosen.squared_error), start, table.X, table.y, rate, steps)
    result = {
        "loss": [
            float(chosen.squared_error(p, table.X, table.y)) for p in (start, hand[-1])
        ],
        "gap": max(gap(a, b) for a, b in zip(hand, auto, strict=True)),
        "test_error": float(chosen.squared_error(hand[-1], table.X_test, table.y_test)),
    }
    if model == "neuron":
        points = hand[:: max(1, steps // 20)][:20]
        result |= _reading(points, table.X, table.y)
    return result


def _reading(points: list[Parameters], X: Tensor, y: Tensor) -> dict:
    """Return what `compare_training` says about the gradient as an average."""
    errors, active = [], []
    for p in points:
        truth = grad(MODELS["neuron"].squared_error)(p, X, y)["w"]
        errors.append(discrepancy(weighted_average(p, X, y), truth))
        active.append(float((neuron_prediction(p, X) > 0).double().mean()))
    return {"average_error": max(errors), "active": active}


def baseline_errors(seed: int) -> dict[str, float]:
    """Return the test error of two baselines on `compare_training`'s split.

    "mean" predicts the training targets' mean; "least squares" is linear regression,
    solved exactly.

    Args:
        seed: fixes the split.
    """
    table = diabetes(torch.Generator().manual_seed(seed))
    X = torch.cat([table.X, torch.ones(len(table.y), 1, dtype=torch.double)], dim=1)
    X_test = torch.cat(
        [table.X_test, torch.ones(len(table.y_test), 1, dtype=torch.double)], dim=1
    )
    weights = torch.linalg.lstsq(X, table.y[:, None], driver="gels").solution[:, 0]
    predictions = {
        "mean": table.y.mean().expand_as(table.y_test),
        "least squares": X_test @ weights,
    }
    return {
        name: float(((table.y_test - p) ** 2).mean()) for name, p in predictions.items()
    }


def recover_teacher(
    seed: int, students: int, inputs: int, steps: int, spread: float, samples: int = 256
) -> dict[str, list]:
    """Train students by hand on the outputs of teacher neurons.

    Every student has a teacher of its own, max(0, w* . x + b*) with |w*| = 1 and b*
    normal with standard deviation 0.3. There is no noise, so a loss of 0 is possible.
    Students start without bias and take full-batch steps of 0.1 times the gradient.

    Args:
        seed: fixes teachers, samples and initial weights.
        students: number of students, trained side by side.
        inputs: number of inputs of each neuron.
        steps: number of updates.
        spread: initial weights have standard deviation spread / sqrt(inputs).
        samples: number of standard normal inputs that each student sees.

    Returns:
        "loss": every student's final loss; "active": the number of samples on which it
        is active at the end.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.double)

    teacher = {"w": normal(students, inputs), "b": 0.3 * normal(students)}
    teacher["w"] = teacher["w"] / teacher["w"].norm(dim=1, keepdim=True)
    X = normal(students, samples, inputs)
    y = vmap(neuron_prediction)(teacher, X)
    start = {
        "w": spread * normal(students, inputs) / inputs**0.5,
        "b": torch.zeros_like(y[:, 0]),
    }
    for now in descend(vmap(neuron_gradient), start, X, y, 0.1, steps):
        last = now  # the path itself would take gigabytes
    active = (vmap(neuron_prediction)(last, X) > 0).sum(dim=1)
    loss = vmap(MODELS["neuron"].squared_error)(last, X, y)
    return {"loss": loss.tolist(), "active": active.tolist()}
