"""The experiments of the framelets chapter cannot leak."""

from dataclasses import replace

import torch

from src.common.graphs.batches import GraphCollection
from src.common.graphs.generators import stochastic_block_model
from src.common.graphs.graph import Graph
from src.gnn.framelets import experiments, plan, pooling_experiments
from src.gnn.framelets.experiments import Recipe
from src.gnn.framelets.pooling_experiments import PoolingRecipe
from tests.leaks.suite import Experiment, Noise, noisy_labels, suite

ROOM = "src.gnn.framelets"
BLOCKS = f"{ROOM}.experiments:block_graph"
FAST = {"learning_rate": 0.05, "epochs": 30, "dropout": 0.3}
GCN = Recipe("GCN", **FAST)
UFG = Recipe("UFG-S", **FAST)


def hidden(calls: list, graph: Graph) -> torch.Tensor:
    """The test nodes of a block graph."""
    return torch.nonzero(graph.test).ravel()


def on_blocks(scores, chosen=lambda result: None) -> Noise:
    """Noise in the classes of the test nodes; of three classes one in three is chance."""
    return Noise(
        source=BLOCKS, spoil=noisy_labels(hidden), scores=scores, chance=50.0, chosen=chosen
    )


def kept(name: str, function, *arguments):
    """A page's `run.unit` that keeps nothing."""
    return function(*arguments)


def plan_of(function):
    """A function of the plan, called as a page calls it."""

    def called(seeds, **arguments):
        return function(kept, seeds=seeds, **arguments)

    called.__module__, called.__qualname__ = function.__module__, function.__qualname__
    return called


def made_graphs(name: str) -> list[Graph]:
    """Dense and sparse random graphs, told apart by their degrees."""
    graphs = []
    for number in range(60):
        generator = torch.Generator().manual_seed(number)
        inside = 0.2 if number % 2 else 0.8
        graph = stochastic_block_model((8,), inside, 0.0, generator)
        y = torch.tensor([number % 2])
        graphs.append(Graph(graph.edge_index, 8, x=graph.degree[:, None], y=y))
    return graphs


def noisy_test_graphs(found, calls, generator):
    """The collection with the classes of the test graphs shuffled."""
    graphs, template = found
    test, y = calls[0].test, graphs.y.clone()
    y[test] = y[test[torch.randperm(len(test), generator=generator)]]
    spoilt = object.__new__(GraphCollection)
    spoilt.__dict__.update(vars(graphs) | {"y": y})
    return spoilt, template


def pooled(splits: list[int], recipe: PoolingRecipe) -> dict:
    """`pooled_accuracies` on graphs that are made here: nothing is downloaded."""
    original = pooling_experiments.load_graphs
    pooling_experiments.load_graphs = made_graphs
    try:
        return pooling_experiments.pooled_accuracies("made", recipe, splits)
    finally:
        pooling_experiments.load_graphs = original


pooled.__module__ = f"{ROOM}.pooling_experiments"
pooled.__qualname__ = "pooled_accuracies"


def sizes() -> dict[str, int]:
    """Parameters of the models that the page compares, at equal width."""
    graph = experiments.block_graph(0)
    models = {name: experiments.build(Recipe(name), graph) for name in ("MLP", "GCN")}
    return {name: sum(p.numel() for p in m.parameters()) for name, m in models.items()}


TEST = {"data": "blocks", "recipe": GCN}
SETTINGS = ["epoch/.", "best/.*", r"rows/\d+/(learning_rate|weight_decay|dropout)"]
EXPERIMENTS = [
    Experiment(
        experiments.accuracies,
        TEST,
        seed="seeds",
        fixed=["epoch/."],
        noise=on_blocks(
            lambda result: [*result["test"], *result["last"]],
            lambda result: (result["epoch"], result["val"]),
        ),
        sizes=sizes,
    ),
    Experiment(
        experiments.accuracies,
        {"data": "blocks", "recipe": UFG, "noise": 0.5, "rewired": 0.1, "count": True},
        seed="seeds",
        fixed=["epoch/."],
        noise=on_blocks(lambda result: result["test"], lambda r: (r["epoch"], r["val"], r["kept"])),
    ),
    Experiment(
        experiments.curves,
        {"data": "blocks", "recipe": UFG},
        seed="seeds",
        fixed=[r"(val|test)/\d+"],
        noise=on_blocks(lambda result: [max(result["test"])], lambda r: (r["val"], r["theta"])),
    ),
    Experiment(
        experiments.search,
        {"data": "blocks", "recipe": GCN, "trials": [{"dropout": 0.0}, {"dropout": 0.5}]},
        seed="seeds",
        fixed=SETTINGS,
        noise=Noise(
            source=BLOCKS,
            spoil=noisy_labels(hidden),
            scores=lambda result: [],
            chance=0.0,
            chosen=lambda result: result,
        ),
    ),
    Experiment(experiments.untouched_share, {"data": "blocks", "recipe": UFG}, fixed=["[01]"]),
    Experiment(
        pooled,
        {"recipe": PoolingRecipe("mean", hidden=8, epochs=40, batch_size=8, learning_rate=0.02)},
        seed="splits",
        fixed=["epoch/.", "test/.", "val/."],
        shared_seeds=dict.fromkeys(range(60), "the graphs are the same for all splits"),
        noise=Noise(
            source=f"{ROOM}.pooling_experiments:_collection",
            splits=[f"{ROOM}.pooling_experiments:split_at_random"],
            spoil=noisy_test_graphs,
            scores=lambda result: result["test"],
            chance=75.0,
            chosen=lambda result: (result["epoch"], result["val"], result["loss"]),
        ),
    ),
    Experiment(
        plan_of(plan.scores),
        {"data": "blocks", "wanted": {"GCN": GCN, "MLP": replace(GCN, model="MLP")}},
        seed="seeds",
        fixed=[".*/epoch/."],
        noise=on_blocks(lambda result: result["GCN"]["test"]),
    ),
    Experiment(
        plan_of(plan.disturbed),
        {"data": "blocks", "wanted": {"GCN": GCN}, "noise": [0.5], "rewired": [0.1]},
        seed="seeds",
        noise=on_blocks(
            lambda result: [*result["noise"]["GCN"][0.5], *result["rewired"]["GCN"][0.1]]
        ),
    ),
]
HELPERS = {
    f"{ROOM}.experiments:block_graph": "a data set",
    f"{ROOM}.experiments:graph_of": "a data set",
    f"{ROOM}.experiments:train_once": "one training of `accuracies`",
    f"{ROOM}.plan:released_scores": "`accuracies` on a downloaded graph",
    f"{ROOM}.plan:pooled": "`pooled_accuracies` for several readouts",
}
test_experiments = suite(EXPERIMENTS)
