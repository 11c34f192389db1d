from dataclasses import replace

import pytest
import torch
from torch import nn
from torch_geometric.nn import GCNConv, global_add_pool

from src.common.graphs.batches import GraphCollection
from src.common.graphs.graph import Graph
from src.common.graphs.graph_classification import (
    GraphClassifier,
    GraphSettings,
    classify_graphs,
    random_batches,
)
from src.common.graphs.readouts import make_readout
from src.common.graphs.splits import Split, split_at_random
from src.common.training.loop import seeded
from src.common.training.streams import stream


def cycles_and_stars(count: int = 90) -> GraphCollection:
    """Cycles (class 0) and stars (class 1) of 4 to 9 nodes, with their degrees as features."""
    graphs, labels = [], torch.arange(count) % 2
    for number, label in enumerate(labels.tolist()):
        nodes = 4 + number // 2 % 6
        ring = torch.stack([torch.arange(nodes), (torch.arange(nodes) + 1) % nodes])
        star = torch.stack([torch.zeros(nodes - 1, dtype=torch.long), torch.arange(1, nodes)])
        graph = Graph.from_edges(star if label else ring, nodes)
        degrees = graph.degree.long().clamp(max=3)
        graphs.append(replace(graph, x=nn.functional.one_hot(degrees, 4).float()))
    return GraphCollection(graphs, labels)


def classifier(readout: str = "mean", seed: int = 0) -> GraphClassifier:
    with seeded(stream(seed, "weights")):
        return GraphClassifier((4, 16, 16), 2, make_readout(readout, 16), dropout=0.2)


def split_of(graphs: GraphCollection) -> Split:
    return split_at_random(len(graphs), (0.6, 0.2, 0.2), stream(0, "split"))


SETTINGS = GraphSettings(epochs=25, batch_size=16, learning_rate=0.02)


@pytest.mark.parametrize("readout", ["sum", "mean", "max", "attention"])
def test_tells_cycles_from_stars(readout):
    graphs = cycles_and_stars()
    result = classify_graphs(classifier(readout), graphs, split_of(graphs), SETTINGS, stream(1))
    assert result.test_at_best > 0.9
    assert result.val_loss_curve[-1] < result.val_loss_curve[0]


def test_forward_is_the_same_network_in_torch_geometric():
    graphs = cycles_and_stars(12)
    model = classifier("sum").eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, generator=stream(5))
    union = graphs.batch(torch.arange(12))
    edges = torch.nonzero(union.operators["gcn"].matrix.to_dense()).T
    h = union.x
    for layer in model.layers:
        peer = GCNConv(*layer.linear.weight.shape)
        peer.lin.weight.data, peer.bias.data = layer.linear.weight.data.T, layer.bias.data
        h = peer(h, edges[:, edges[0] != edges[1]]).relu()
    pooled = global_add_pool(h, union.graph_number)
    first, second = model.head.layers
    logits = (pooled @ first.weight + first.bias).relu() @ second.weight + second.bias
    torch.testing.assert_close(model(union), logits, rtol=1e-4, atol=1e-4)


def test_a_graphs_logits_do_not_depend_on_its_batch():
    graphs, model = cycles_and_stars(20), classifier("attention").eval()
    together = model(graphs.batch(torch.tensor([7, 2, 11])))
    torch.testing.assert_close(together[1:2], model(graphs.batch(torch.tensor([2]))))


def test_batches_visit_every_chosen_graph_once_an_epoch():
    graphs, chosen = cycles_and_stars(20), torch.tensor([1, 3, 4, 8, 9, 15, 17])
    marked = GraphCollection.__new__(GraphCollection)
    marked.__dict__.update(graphs.__dict__)
    marked.y = torch.arange(20)  # the batch's labels tell which graphs it holds
    stream_of_batches = random_batches(marked, chosen, 3, stream(0))
    epochs = [[next(stream_of_batches).y.tolist() for _ in range(3)] for _ in range(2)]
    for batches in epochs:
        assert [len(batch) for batch in batches] == [3, 3, 1]
        assert sorted(number for batch in batches for number in batch) == chosen.tolist()
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_training_is_adam_with_an_l2_penalty(reduction):
    graphs = cycles_and_stars()
    graphs.y = torch.randint(2, (90,), generator=stream(3))  # hard labels: accuracies differ
    split = split_of(graphs)
    settings = GraphSettings(
        epochs=6, batch_size=60, learning_rate=0.02, weight_decay=0.3, reduction=reduction
    )
    models = []
    for _ in range(2):
        with seeded(stream(1)):
            models.append(GraphClassifier((4, 16), 2, make_readout("mean", 16), dropout=0.0))
    result = classify_graphs(models[0], graphs, split, settings, stream(2))
    optimiser = torch.optim.Adam(models[1].parameters(), lr=0.02, weight_decay=0.3)
    learnt, val, test = (graphs.batch(part) for part in (split.train, split.val, split.test))
    for epoch in range(6):
        optimiser.zero_grad()
        nn.functional.cross_entropy(models[1](learnt), learnt.y, reduction=reduction).backward()
        optimiser.step()
        loss = nn.functional.cross_entropy(models[1](val), val.y).item()
        assert result.val_loss_curve[epoch] == pytest.approx(loss, rel=1e-3)
        for curve, part in ((result.val_curve, val), (result.test_curve, test)):
            right = models[1](part).argmax(dim=1) == part.y
            assert curve[epoch] == pytest.approx(float(right.float().mean()))
    assert result.val_curve != result.test_curve


class Fading(nn.Module):
    """Gives validation losses in a given order, whatever it is trained on."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.weight, self.script = nn.Parameter(torch.zeros(1)), iter(logits)

    def forward(self, batch):
        right = nn.functional.one_hot(batch.y, 2).float()
        return right * (self.weight if self.training else next(self.script))


def test_training_stops_when_patience_ends_and_reports_the_best_epoch():
    graphs = cycles_and_stars()
    model = Fading([1.0, 2.0, 3.0, -1.0, 2.5, 3.0, 9.0])
    settings = GraphSettings(epochs=7, batch_size=16, patience=3)
    result = classify_graphs(model, graphs, split_of(graphs), settings, stream(0))
    assert len(result.val_curve) == 6  # three epochs after the third that are not better
    assert result.epoch == 3
    assert result.best_val_loss == pytest.approx(float(torch.tensor(3.0).neg().exp().log1p()))
    assert (result.val_at_best, result.test_at_best, result.test_last) == (1.0, 1.0, 1.0)
    assert result.val_curve[3] == result.test_curve[3] == 0.0


def test_the_learning_rate_falls_on_a_plateau():
    graphs = cycles_and_stars()
    moved = []
    for plateau in (None, (0.1, 0)):
        model = Fading([1.0] * 6)
        settings = GraphSettings(
            epochs=6, batch_size=60, learning_rate=0.1, plateau=plateau, patience=9
        )
        classify_graphs(model, graphs, split_of(graphs), settings, stream(0))
        moved.append(float(model.weight.detach()))
    # Adam moves by the rate each step here: 6 steps of 0.1; or 2 of 0.1, then 0.01, 0.001, ...
    assert moved[0] == pytest.approx(0.6, rel=0.05)
    assert moved[1] == pytest.approx(0.2111, rel=0.05)


def test_repeatable():
    graphs = cycles_and_stars()
    settings = GraphSettings(epochs=4, batch_size=16)

    def run(seed):
        return classify_graphs(classifier(), graphs, split_of(graphs), settings, stream(seed))

    assert run(1) == run(1)
    assert run(1).val_loss_curve != run(2).val_loss_curve


def test_clear_errors():
    with pytest.raises(ValueError, match="batch_size >= 1"):
        GraphSettings(batch_size=0)
