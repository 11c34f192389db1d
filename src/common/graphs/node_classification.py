"""Training and tuning of models that label nodes, alike for every method.

A trial is a dictionary of plain numbers, for instance `{"learning_rate": 0.01,
"weight_decay": 5e-4, "dropout": 0.5}`. `tune` keeps the one with the best mean
validation accuracy; test accuracies play no part in the choice.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from statistics import fmean

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor, nn

from src.common.checks import checked
from src.common.graphs.graph import Graph
from src.common.graphs.sparse_products import SparseFeatures
from src.common.training.loop import TrainingSettings, train

Trial = Mapping[str, float | int]


@dataclass(frozen=True)
class NodeSettings:
    """How to train on all nodes at once.

    Attributes:
        epochs: parameter updates; every update sees all training nodes.
        learning_rate: of Adam.
        weight_decay: of all parameters, at least 0.
        coupled: an L2 penalty in the gradient (Adam, as in the literature), not AdamW.
    """

    epochs: int = 200
    learning_rate: float = 0.01
    weight_decay: float = 5e-4
    coupled: bool = True


@dataclass(frozen=True)
class NodeResult:
    """What one training reached; accuracies are shares in [0, 1].

    Attributes:
        best_val: the highest validation accuracy of any epoch.
        epoch: the first epoch (from 1) that reached it.
        test_at_best: the test accuracy after that epoch: what a paper's table reports.
        test_last: the test accuracy after the last epoch: nothing was chosen.
        val_curve: (epochs,) the validation accuracy after each epoch.
        test_curve: (epochs,) the test accuracy after each epoch.
        losses: (epochs,) the training loss before each update.
    """

    best_val: float
    epoch: int
    test_at_best: float
    test_last: float
    val_curve: list[float]
    test_curve: list[float]
    losses: list[float]


@dataclass(frozen=True)
class Tuning:
    """What a search for settings found.

    Attributes:
        best: the trial with the highest mean validation accuracy (the first of equals).
        rows: one for each trial, in the order tried: its settings, `val` (the mean over
            seeds of the best validation accuracy) and `vals` (one value per seed).
    """

    best: dict[str, float]
    rows: list[dict]


@checked
def classify_nodes(
    model: nn.Module,
    x: Tensor | SparseFeatures,
    y: Int[Tensor, " nodes"],
    split: Graph,
    settings: NodeSettings,
    generator: torch.Generator,
) -> NodeResult:
    """Train `model` in place on the training nodes and watch it on the others.

    Args:
        model: called `model(x)`; returns logits or log-probabilities (nodes, classes).
        x: features of all nodes.
        y: class of each node.
        split: a graph with the masks `train`, `val` and `test`.
        settings: of the training.
        generator: source of dropout's random numbers.

    Returns:
        The accuracies after each epoch and those of the best one.

    Raises:
        ValueError: if the split lacks a mask, or has an empty one.
        FloatingPointError: if the training loss stops being a finite number.
    """
    train_nodes, val_nodes, test_nodes = split_nodes(split)
    targets, watched = y[train_nodes], torch.cat([val_nodes, test_nodes])
    truth = y[watched]

    def loss(network: nn.Module, _: tuple[()]) -> Tensor:
        return F.cross_entropy(network(x).index_select(0, train_nodes), targets)

    def accuracies(network: nn.Module) -> tuple[float, float]:
        right = network(x).index_select(0, watched).argmax(dim=1) == truth
        val = int(right[: len(val_nodes)].sum()) / len(val_nodes)
        return val, int(right[len(val_nodes) :].sum()) / len(test_nodes)

    training = TrainingSettings(
        settings.epochs,
        settings.learning_rate,
        weight_decay=settings.weight_decay,
        coupled=settings.coupled,
    )
    batches = repeat(())
    curve = train(
        model, loss, batches, training, generator, watch=accuracies, watch_every=1
    )
    return _result([pair for _, pair in curve.watched], curve.losses)


def tune(
    evaluate: Callable[[Trial, int], NodeResult],
    trials: Sequence[Trial],
    seeds: Sequence[int],
) -> Tuning:
    """Return the trial with the best mean validation accuracy over the seeds.

    Args:
        evaluate: trains with a trial's settings and a seed.
        trials: the settings to try, as many for every method.
        seeds: every trial is run with each; keep them apart from those of the reported
            runs.

    Raises:
        ValueError: without trials or seeds.
    """
    if not trials or not seeds:
        raise ValueError("tuning needs at least one trial and one seed")
    rows = []
    for trial in trials:
        vals = [evaluate(trial, seed).best_val for seed in seeds]
        rows.append({**trial, "val": fmean(vals), "vals": vals})
    best = max(range(len(rows)), key=lambda number: rows[number]["val"])
    return Tuning(dict(trials[best]), rows)


def split_nodes(split: Graph) -> tuple[Tensor, Tensor, Tensor]:
    """Return the numbers of the training, validation and test nodes.

    Args:
        split: a graph with the masks `train`, `val` and `test`.

    Raises:
        ValueError: if a mask is missing or empty, or if a node is in two parts.
    """
    nodes = []
    for name in ("train", "val", "test"):
        mask = getattr(split, name)
        if mask is None or not bool(mask.any()):
            raise ValueError(
                f"the split has no {name} nodes: see src.common.graphs.splits"
            )
        nodes.append(torch.nonzero(mask).ravel())
    counts = sum(getattr(split, name).long() for name in ("train", "val", "test"))
    if bool((counts > 1).any()):
        raise ValueError(
            f"{int((counts > 1).sum())} nodes are in two parts of the split: take them "
            "out of one"
        )
    return nodes[0], nodes[1], nodes[2]


def _result(pairs: Sequence[tuple[float, float]], losses: list[float]) -> NodeResult:
    """Return the summary of (validation, test) accuracies after each epoch."""
    val, test = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    first = val.index(max(val))
    return NodeResult(val[first], first + 1, test[first], test[-1], val, test, losses)
