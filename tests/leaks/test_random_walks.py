"""The experiments of the random-walks chapter cannot leak."""

from dataclasses import replace

import torch

from src.common.graphs.graph import Graph
from src.common.graphs.link_prediction import LinkSplit
from src.network_embedding.random_walks.deepwalk import DeepWalkSettings
from src.network_embedding.random_walks.experiments import (
    fastrp,
    node2vec,
)
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


def labels(module: str, scores, chance: float = 0.4, chosen=lambda result: None, **rest) -> Noise:
    """Noise in the labels of the nodes that `classify` tests on."""
    return Noise(
        source=rest.get("source", f"{ROOM}.{module}:labelled_graph"),
        splits=[SPLIT],
        spoil=rest.get("spoil", noisy_labels(lambda calls, graph: all_but(calls[0], graph))),
        scores=scores,
        chance=chance,
        chosen=chosen,
    )


def links(module: str, source: str, scores, chosen=lambda result: None, watch=()) -> Noise:
    """Noise in place of the hidden links; of the area under a ROC curve a half is chance."""
    return Noise(
        source=f"{ROOM}.{module}:{source}",
        splits=[f"{ROOM}.{module}:hide_links"],
        divide=other_links,
        spoil=with_hidden_links,
        scores=scores,
        chance=0.57,
        chosen=chosen,
        watch=[f"{ROOM}.{module}:{name}" for name in watch],
    )


SETTINGS = {"source": HUBS, "settings": WALKS}
EXPERIMENTS = [
    # --- node2vec ---
    Experiment(
        node2vec.chosen_on_labels,
        SETTINGS | {"grid": GRID, "share": 0.5},
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
        SETTINGS | {"grid": GRID, "share": 0.3},
        fixed=["chosen/."],
        noise=links(
            "node2vec",
            "labelled_graph",
            lambda result: [result["best"], result["deepwalk"], result["adamic-adar"]],
            lambda result: (result["chosen"], result["validation"]),
            ["node2vec"],
        ),
    ),
    # --- FastRP ---
    Experiment(
        fastrp.classification,
        {"name": HUBS, "settings": FastRPSettings(dimension=16), "walks": WALKS, "share": 0.5},
        noise=labels("fastrp", lambda result: list(result.values())),
        parts=1,
        widths=[16],
    ),
    Experiment(
        fastrp.with_beta,
        {"name": HUBS, "settings": FastRPSettings(dimension=16), "beta": 0.0, "share": 0.5},
        noise=labels("fastrp", lambda result: [result]),
    ),
    Experiment(fastrp.identity_error, {"name": HUBS, "settings": FastRPSettings(dimension=4)}),
]
HOME = "src.network_embedding.random_walks"
HELPERS = {
    f"{HOME}.sources:hub_communities": "a data set",
    f"{HOME}.sources:labelled_graph": "a data set",
    f"{HOME}.sources:role_graph": "a data set",
    f"{ROOM}.core:communities_with_core": "a data set",
    f"{ROOM}.core:core_graph": "a data set",
    f"{ROOM}.deepwalk:mean_micro": "the mean of `classify` over splits",
    f"{ROOM}.irwe:activity_classes": "`classify` on a downloaded network",
    f"{ROOM}.irwe:planted": "a data set",
    f"{ROOM}.irwe:walk_vectors": "vectors of `roles_and_communities`",
    f"{ROOM}.line:weighted_communities": "a data set",
    f"{ROOM}.musae:attributed_graph": "a data set",
    f"{ROOM}.musae:learn": "vectors of `compare`",
    f"{ROOM}.musae:shared_vectors": "vectors of `transfer`",
    f"{ROOM}.node2vec:k_means": "clusters of `characters`",
    f"{ROOM}.orbits:orbit_graph": "a data set",
    f"{ROOM}.orbits:pair_vectors": "vectors of `label_scores`",
    f"{ROOM}.restore:blocks_with_features": "a data set",
    f"{ROOM}.restore:reconstruction_graph": "a data set",
    f"{ROOM}.restore:scores_of": "scores of `rebuild`",
}
test_experiments = suite(EXPERIMENTS)
