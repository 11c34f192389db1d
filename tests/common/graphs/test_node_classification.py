import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from src.common.graphs.generators import stochastic_block_model, with_class_features
from src.common.graphs.graph import Graph
from src.common.graphs.networks import GCN, MLP
from src.common.graphs.node_classification import NodeResult, NodeSettings, classify_nodes, tune
from src.common.graphs.splits import split_per_class
from src.common.training.loop import seeded
from src.common.training.streams import stream


def block_graph(noise: float = 2.0) -> Graph:
    drawn = stochastic_block_model((40, 40, 40), 0.2, 0.02, stream(5, "blocks"))
    graph = with_class_features(drawn, 8, noise, stream(5, "features"))
    return split_per_class(graph, 5, 30, stream(5, "split"))


def trained(build, graph: Graph, seed: int, epochs: int) -> NodeResult:
    with seeded(stream(seed, "weights")):
        model = build()
    settings = NodeSettings(epochs, 0.02, 5e-4)
    return classify_nodes(model, graph.x, graph.y, graph, settings, stream(seed, "dropout"))


class Scripted(nn.Module):
    """Answers with logits made so that given numbers of nodes are right, one call an epoch."""

    def __init__(self, graph: Graph, right_val: list[int], right_test: list[int]) -> None:
        super().__init__()
        self.graph, self.scale = graph, nn.Parameter(torch.ones(1))
        self.script = iter(zip(right_val, right_test, strict=True))

    def forward(self, x):
        answers = self.graph.y.clone()
        if not self.training:
            for mask, right in zip(
                (self.graph.val, self.graph.test), next(self.script), strict=True
            ):
                nodes = torch.nonzero(mask).ravel()[right:]
                answers[nodes] = (answers[nodes] + 1) % 3
        return nn.functional.one_hot(answers, 3).float() * self.scale


def test_the_first_best_validation_epoch_is_reported():
    graph = block_graph()
    val, test = [3, 9, 9, 5], [10, 20, 30, 40]
    settings = NodeSettings(epochs=4)
    model = Scripted(graph, val, test)
    result = classify_nodes(model, graph.x, graph.y, graph, settings, stream(0))
    tested = int(graph.test.sum())
    assert result.epoch == 2
    assert result.best_val == 9 / 30
    assert result.test_at_best == 20 / tested
    assert result.test_last == 40 / tested
    assert result.val_curve == [count / 30 for count in val]
    assert result.test_curve == [count / tested for count in test]
    assert len(result.losses) == 4


def test_only_training_nodes_are_fitted():
    graph = block_graph()
    wrong = torch.where(graph.train, graph.y, (graph.y + 1) % 3)
    results = []
    for y in (graph.y, wrong):
        with seeded(stream(1)):
            model = GCN(graph, (8, 16, 3))
        results.append(classify_nodes(model, graph.x, y, graph, NodeSettings(20), stream(2)))
    assert results[0].losses == results[1].losses  # labels of the others play no part in training
    assert results[0].best_val != results[1].best_val


@pytest.mark.parametrize("coupled", [False, True])
def test_training_is_plain_full_batch_adam_on_the_training_nodes(coupled):
    graph, settings = block_graph(), NodeSettings(8, 0.05, 0.3, coupled)
    models = []
    for _ in range(2):
        with seeded(stream(1)):
            models.append(GCN(graph, (8, 16, 3), 0.0))
    result = classify_nodes(models[0], graph.x, graph.y, graph, settings, stream(2))
    kind = torch.optim.Adam if coupled else torch.optim.AdamW
    optimiser = kind(models[1].parameters(), lr=0.05, weight_decay=0.3)
    for epoch in range(8):
        optimiser.zero_grad()
        logits = models[1](graph.x)
        loss = nn.functional.cross_entropy(logits[graph.train], graph.y[graph.train])
        assert result.losses[epoch] == pytest.approx(loss.item(), rel=1e-4)
        loss.backward()
        optimiser.step()
        right = models[1](graph.x).argmax(dim=1) == graph.y
        assert result.val_curve[epoch] == pytest.approx(float(right[graph.val].float().mean()))
        assert result.test_curve[epoch] == pytest.approx(float(right[graph.test].float().mean()))


def test_the_seed_fixes_dropout_too():
    graph = block_graph()

    def same_weights():
        with seeded(stream(7)):
            return GCN(graph, (8, 16, 3), 0.5)

    runs = [trained(same_weights, graph, seed, 3) for seed in (0, 0, 1)]
    assert runs[0].losses == runs[1].losses
    assert runs[0].losses[0] != runs[2].losses[0]


def test_edges_help_where_features_are_noisy():
    graph = block_graph()
    gcn = trained(lambda: GCN(graph, (8, 16, 3), 0.5), graph, 0, 60)
    mlp = trained(lambda: MLP((8, 16, 3), 0.5), graph, 0, 60)
    assert gcn.test_at_best > 0.85
    assert gcn.test_at_best > mlp.test_at_best + 0.1
    assert gcn.losses[-1] < gcn.losses[0]


def test_training_is_repeatable_and_depends_on_the_seed():
    graph = block_graph()

    def run(seed):
        return trained(lambda: GCN(graph, (8, 16, 3), 0.5), graph, seed, 5)

    assert run(3) == run(3)
    assert run(3).losses != run(4).losses


def fake(best_val: float, test: float = 0.0) -> NodeResult:
    return NodeResult(best_val, 1, test, test, [best_val], [test], [1.0])


def test_tuning_takes_the_best_mean_validation_accuracy():
    values = {
        ("a", 0): 0.9,
        ("a", 1): 0.1,
        ("b", 0): 0.5,
        ("b", 1): 0.75,
        ("c", 0): 0.75,
        ("c", 1): 0.5,
    }
    trials = [{"rate": 1.0}, {"rate": 2.0}, {"rate": 3.0}]
    names = {1.0: "a", 2.0: "b", 3.0: "c"}
    seen = []

    def evaluate(trial, seed):
        seen.append((trial["rate"], seed))
        return fake(values[names[trial["rate"]], seed], test=1 / trial["rate"])

    tuning = tune(evaluate, trials, [0, 1])
    assert tuning.best == {"rate": 2.0}  # equal to the third's mean, and earlier
    assert [row["val"] for row in tuning.rows] == pytest.approx([0.5, 0.625, 0.625])
    assert tuning.rows[1]["vals"] == [0.5, 0.75]
    assert seen == [(rate, seed) for rate in (1.0, 2.0, 3.0) for seed in (0, 1)]  # same work each
    json.dumps(tuning.rows)


def test_clear_errors():
    graph = block_graph()
    bare = replace(graph, val=None)
    with pytest.raises(ValueError, match="no val nodes"):
        classify_nodes(MLP((8, 3)), graph.x, graph.y, bare, NodeSettings(1), stream(0))
    empty = replace(graph, test=torch.zeros(graph.num_nodes, dtype=torch.bool))
    with pytest.raises(ValueError, match="no test nodes"):
        classify_nodes(MLP((8, 3)), graph.x, graph.y, empty, NodeSettings(1), stream(0))
    with pytest.raises(ValueError, match="one trial and one seed"):
        tune(lambda trial, seed: fake(1.0), [], [0])
