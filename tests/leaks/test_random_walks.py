"""The experiments of the random-walks chapter cannot leak."""

from dataclasses import replace

import torch

from src.common.graphs.graph import Graph
from src.common.graphs.link_prediction import LinkSplit
from src.network_embedding.random_walks.deepwalk import DeepWalkSettings
from src.network_embedding.random_walks.experiments import fastrp, node2vec
from src.network_embedding.random_walks.factorisation.fastrp import FastRPSettings
from src.network_embedding.random_walks.skip_gram import SkipGramSettings
from tests.leaks.suite import Experiment, Noise, all_but, noisy_labels, suite

ROOM = "src.network_embedding.random_walks.experiments"
SPLIT = "src.common.graphs.embedding_evaluation:_split"
HUBS = "hub communities"
WALKS = DeepWalkSettings(walks=6, steps=20, skip_gram=SkipGramSettings(dimension=16, epochs=2))
GRID = [(1.0, 1.0), (0.25, 4.0)]


def other_links(calls: list[LinkSplit], generator: torch.Generator) -> list[LinkSplit]:
    """Random pairs of nodes in place of the links that the first call hid."""
    split = calls[0]
    noise = torch.randint(split.graph.num_nodes, split.hidden.shape, generator=generator)
    return [replace(split, hidden=noise), *calls[1:]]


def with_hidden_links(graph: Graph, calls: list[LinkSplit], _: torch.Generator) -> Graph:
    """The graph that has the noise in place of the hidden links."""
    pairs = torch.cat([calls[0].train_links, calls[0].hidden], dim=1)
    return Graph.from_edges(pairs, graph.num_nodes, y=graph.y)


EXPERIMENTS = [
    Experiment(
        fastrp.classification,
        {"name": HUBS, "settings": FastRPSettings(dimension=16), "walks": WALKS, "share": 0.5},
        noise=Noise(
            source=f"{ROOM}.fastrp:labelled_graph",
            splits=[SPLIT],
            spoil=noisy_labels(lambda calls, graph: all_but(calls[0], graph)),
            scores=lambda result: list(result.values()),
            chance=0.4,
        ),
        answers=4,  # communities, each against the others
        widths=[16],
    ),
    Experiment(
        node2vec.chosen_on_labels,
        {"source": HUBS, "settings": WALKS, "grid": GRID, "share": 0.5},
        fixed=["chosen/."],
        noise=Noise(
            source=f"{ROOM}.node2vec:labelled_graph",
            splits=[f"{ROOM}.node2vec:_known_and_hidden"],
            spoil=noisy_labels(lambda calls, graph: calls[0][1]),
            scores=lambda result: [result["best"], *result["test"]],
            chance=0.4,
            chosen=lambda result: (result["chosen"], result["validation"]),
        ),
    ),
    Experiment(
        node2vec.chosen_on_links,
        {"source": HUBS, "settings": WALKS, "grid": GRID, "share": 0.3},
        fixed=["chosen/."],
        noise=Noise(
            source=f"{ROOM}.node2vec:labelled_graph",
            splits=[f"{ROOM}.node2vec:hide_links"],
            divide=other_links,
            spoil=with_hidden_links,
            scores=lambda result: [result["best"], result["deepwalk"], result["adamic-adar"]],
            chance=0.57,
            chosen=lambda result: result["chosen"],
            watch=[f"{ROOM}.node2vec:node2vec"],
        ),
    ),
]
test_experiments = suite(EXPERIMENTS)
