"""The experiments of the random-walks chapter cannot leak."""

from dataclasses import replace

import torch

from src.common.graphs.graph import Graph
from src.common.graphs.link_prediction import LinkSplit
from src.network_embedding.random_walks import comparison
from src.network_embedding.random_walks.deepwalk import DeepWalkSettings
from src.network_embedding.random_walks.experiments import (
    core,
    deepwalk,
    fastrp,
    line,
    musae,
    node2vec,
    orbits,
    restore,
)
from src.network_embedding.random_walks.factorisation.fastrp import FastRPSettings
from src.network_embedding.random_walks.line import LineSettings
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


def in_first(spoil):
    """The same noise, where the source gives a graph and something else."""

    def spoilt(found, calls, generator):
        return (spoil(found[0], calls, generator), *found[1:])

    return spoilt


def kept_for_the_test(calls: list, graph: Graph) -> torch.Tensor:
    """The nodes that the first call of `divide` keeps for the test."""
    return calls[0][0]


SETTINGS = {"source": HUBS, "settings": WALKS}
MUSAE = {"dimension": 12, "pairs": 10_000, "epochs": 2}
LINE = LineSettings(dimension=16, edges=40_000, learning_rate=0.1, block=128)
EXPERIMENTS = [
    # --- DeepWalk ---
    Experiment(
        deepwalk.few_labels,
        SETTINGS | {"shares": [0.5]},
        parts=3,
        widths=[16],
    ),
    Experiment(deepwalk.online, SETTINGS | {"share": 0.5}, parts=3, widths=[16]),
    Experiment(deepwalk.two_softmaxes, SETTINGS | {"share": 0.5}, parts=3, widths=[16]),
    Experiment(
        deepwalk.rank_slopes,
        {"nodes": 100, "links": 2, "walks": 2, "steps": 5},
        fixed=[r"(degree|frequency)/\d+"],
    ),
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
    # --- LINE ---
    Experiment(
        line.objectives,
        {"spread": 1.0, "settings": replace(LINE, edges=500), "rates": [0.05]},
    ),
    Experiment(
        line.classification,
        {"name": HUBS, "dimension": 16, "settings": LINE, "share": 0.5},
        noise=labels("line", lambda result: [result["second order"], result["both"]]),
        parts=1,
        widths=[16],
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
    # --- MUSAE ---
    Experiment(
        musae.compare,
        MUSAE | {"name": HUBS, "share": 0.5},
        noise=labels(
            "musae",
            lambda result: [result["MUSAE"], result["AE"]],
            source=f"{ROOM}.musae:attributed_graph",
            spoil=in_first(noisy_labels(lambda calls, graph: all_but(calls[0], graph))),
        ),
        parts=1,
    ),
    Experiment(
        musae.factorisation,
        {"nodes": 30, "pairs": 2_000, "epochs": 1},
    ),
    Experiment(musae.transfer, {"nodes": 80} | MUSAE),
    Experiment(musae.mixing, {"balance": 0.5, "nodes": 60, "pairs": 2_000, "epochs": 1}),
    # --- cores ---
    Experiment(
        core.comparison,
        {"name": core.DENSE_CORE, "settings": WALKS, "hidden": 0.3},
        fixed=["core k", ".* pairs"],
        noise=links(
            "core",
            "core_graph",
            lambda result: [v for k, v in result.items() if k.endswith("AUC")],
            lambda result: {k: v for k, v in result.items() if not k.endswith("AUC")},
            ["embed_from", "embed_core"],
        ),
    ),
    Experiment(
        core.over_cores,
        {"name": core.DENSE_CORE, "settings": WALKS, "hidden": 0.3, "cores": [2, 4]},
        fixed=["./k", "0/pairs"],
        noise=links(
            "core",
            "core_graph",
            lambda result: [row["AUC"] for row in result],
            lambda result: [(row["k"], row["pairs"]) for row in result],
            ["embed_core"],
        ),
    ),
    # --- orbits ---
    Experiment(orbits.unexplained_shares, {"source": orbits.ROLES}),
    Experiment(
        orbits.label_scores,
        {"source": orbits.ROLES, "dimension": 4, "repeats": 2},
        fixed=["chosen/.*/.", "validation/.*"],
        noise=Noise(
            source=f"{ROOM}.orbits:orbit_graph",
            splits=[f"{ROOM}.orbits:divide"],
            spoil=noisy_labels(kept_for_the_test),
            scores=lambda result: [result["chosen"]["orbit adjacencies"][1]],
            chance=0.6,
            chosen=lambda r: (r["validation"], {k: v[0] for k, v in r["chosen"].items()}),
        ),
    ),
    # --- reconstruction ---
    Experiment(
        restore.rebuild,
        {"source": restore.BLOCKS, "method": "DeepWalk", "dimension": 8},
    ),
    # --- all methods ---
    Experiment(
        comparison.communities_and_roles,
        {"method": "DeepWalk"},
        fixed=["communities"],
        noise=Noise(
            source=f"{comparison.__name__}:role_graph",
            splits=[SPLIT],
            spoil=in_first(noisy_labels(lambda calls, graph: all_but(calls[0], graph))),
            scores=lambda result: [result["communities"]],
            chance=0.5,
        ),
        parts=2,  # of communities and of roles
    ),
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
