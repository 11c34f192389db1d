"""The leak suite sees planted leaks, and passes a sound experiment."""

import pytest
import torch

from src.common.graphs.embedding_evaluation import classify, classify_on
from src.common.graphs.generators import stochastic_block_model
from src.common.graphs.graph import Graph
from src.common.training.streams import stream
from tests.leaks import lines, suite
from tests.leaks.suite import Experiment, Noise, noisy_labels

# --- planted leaks: a small experiment, done right and in the wrong ways ------------------------


def source(seed: int) -> Graph:
    return stochastic_block_model((30, 30), 0.5, 0.05, stream(seed, "graph"))


def halves(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    order = torch.randperm(60, generator=stream(seed, "halves"))
    return order[:30], order[30:]


def rows(graph: Graph) -> torch.Tensor:
    table = torch.zeros(60, 60)
    table[tuple(graph.edge_index)] = 1
    return table


def right(seed: int) -> dict[str, float]:
    graph, (train, test) = source(seed), halves(seed)
    x = rows(graph) + 0.1 * torch.randn(60, 60, generator=stream(seed, "noise"))
    scores = classify_on(x[train], graph.y[train], x[test], graph.y[test])
    return {"score": scores.micro, "loss": float(x.mean())}


def ignores_its_seed(seed: int) -> dict[str, float]:
    x = rows(source(seed)) + torch.randn(60, 60, generator=stream(0, "noise"))
    return {"loss": float(x.mean())}


def returns_a_constant(seed: int) -> dict[str, float]:
    return right(seed) | {"other": 0.5 * float(halves(0)[0].max())}


def trains_on_the_test(seed: int) -> dict[str, float]:
    graph, (_, test) = source(seed), halves(seed)
    x = rows(graph) + 0.1 * torch.randn(60, 60, generator=stream(seed, "noise"))
    return {"score": classify_on(x, graph.y, x[test], graph.y[test]).micro}


def chooses_on_the_test(seed: int) -> dict[str, float]:
    graph, (train, test) = source(seed), halves(seed)
    tables = [rows(graph)[:, :k] + torch.arange(60)[:, None] % 7 for k in range(1, 60)]
    scores = [classify_on(x[train], graph.y[train], x[test], graph.y[test]).micro for x in tables]
    return {"score": max(scores), "chosen": scores.index(max(scores))}


def paired_methods(seed: int, *keys: str) -> dict[str, float]:
    x, y = rows(source(seed)), source(seed).y
    names = ("one", "other")
    return {
        name: classify(x, y, 0.5, stream(seed, *(key or name for key in keys))).micro
        for name in names
    }


def paired_well(seed: int) -> dict[str, float]:
    return paired_methods(seed, "split")


def unpaired(seed: int) -> dict[str, float]:
    return paired_methods(seed, "")


def unrepeatable(seed: int) -> dict[str, float]:
    return {"loss": float(torch.randn(()))}


HERE = __name__
NOISE = Noise(
    source=f"{HERE}:source",
    splits=[f"{HERE}:halves"],
    spoil=noisy_labels(lambda calls, graph: calls[0][1]),
    scores=lambda result: [result["score"]],
    chance=0.75,
    chosen=lambda result: result.get("chosen"),
)


def planted(function) -> Experiment:
    return Experiment(function, {}, noise=NOISE, fixed=["score", "chosen"], parts=1, widths=[60])


def test_a_paired_comparison_passes():
    suite.paired(planted(paired_well))


@pytest.mark.parametrize("check", suite.PROPERTIES[:3])
def test_a_sound_experiment_passes(check):
    check(planted(right))


@pytest.mark.parametrize(
    ("leaky", "check"),
    [
        (ignores_its_seed, suite.no_seed_is_ignored),
        (returns_a_constant, suite.no_seed_is_ignored),
        (trains_on_the_test, suite.noise_for_answers),
        (chooses_on_the_test, suite.noise_for_answers),
        (unpaired, suite.paired),
        (unrepeatable, suite.repeats),
    ],
)
def test_a_planted_leak_is_seen(leaky, check):
    with pytest.raises(AssertionError):
        check(planted(leaky))


def test_a_small_rival_is_seen():
    unequal = Experiment(right, {}, sizes=lambda: {"ours": 1000, "rival": 970})
    with pytest.raises(AssertionError):
        suite.equal_size(unequal)


def test_every_experiment_has_a_line():
    assert lines.missing() == []
