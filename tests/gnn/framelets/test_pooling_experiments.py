import networkx
import pytest
import torch

from src.common.graphs.graph import Graph, normalised_laplacian
from src.gnn.framelets import pooling_experiments as experiments
from src.gnn.framelets.pooling_experiments import PoolingRecipe
from src.gnn.framelets.transform import FrameletTransform

SMALL = {"hidden": 4, "epochs": 3}


def made_graphs(name):
    """Trees and cliques of several sizes, with their degree as the only feature."""
    graphs = []
    for number in range(40):
        size = 4 + number % 5
        net = networkx.star_graph(size) if number % 2 else networkx.complete_graph(size)
        graph = Graph.from_networkx(net)
        y = torch.tensor([number % 2])
        graphs.append(Graph(graph.edge_index, graph.num_nodes, x=graph.degree[:, None], y=y))
    return graphs


@pytest.fixture(autouse=True)
def small_set(monkeypatch):
    experiments._collection.cache_clear()
    monkeypatch.setattr(experiments, "load_graphs", made_graphs)
    yield
    experiments._collection.cache_clear()


@pytest.mark.parametrize("kind", ["sum", "spectrum"])
@pytest.mark.parametrize("coefficients", [2, 4])
def test_a_batch_pools_each_graph_by_its_own_transform(kind, coefficients):
    graphs, template = experiments._collection("made", coefficients)
    chosen = torch.tensor([5, 2, 11])
    batch = graphs.batch(chosen)
    h = torch.randn(len(batch.x), 3, generator=torch.Generator().manual_seed(0))
    pooled = experiments.FrameletReadout(template, kind)(h, batch)
    assert pooled.shape == (3, 9)
    for row, number, part in zip(pooled, chosen, h.split(batch.sizes.tolist()), strict=True):
        laplacian = normalised_laplacian(made_graphs("made")[int(number)])
        own = FrameletTransform(laplacian, coefficients=coefficients).analysis(part)
        truth = own.sum(1) if kind == "sum" else own.square().sum(1)
        assert torch.allclose(row, truth.flatten(), atol=1e-4)


@pytest.mark.parametrize("readout", ["sum", "mean", "attention", "UFG sum", "UFG spectrum"])
def test_a_split_gives_the_same_numbers_whatever_runs_before_it(readout):
    recipe = PoolingRecipe(readout, **SMALL)
    both = experiments.pooled_accuracies("made", recipe, [0, 1])
    alone = experiments.pooled_accuracies("made", recipe, [1])
    assert {name: values[1:] for name, values in both.items()} == alone


@pytest.mark.parametrize("readout", ["UFG sum", "UFG spectrum"])
def test_framelet_readouts_learn_to_tell_stars_from_cliques(readout):
    settings = {"hidden": 8, "epochs": 12, "batch_size": 8, "dropout": 0.0, "learning_rate": 0.02}
    found = experiments.pooled_accuracies("made", PoolingRecipe(readout, **settings), [0, 1])
    assert sum(found["val"] + found["test"]) / 4 > 80


def test_an_unknown_readout_is_rejected():
    with pytest.raises(ValueError, match="readout must be one of UFG sum"):
        PoolingRecipe("median")
