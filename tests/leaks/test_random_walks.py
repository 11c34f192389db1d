"""The experiments of the random-walks chapter cannot leak."""

from collections.abc import Callable
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
    irwe,
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


def never_known(calls: list[torch.Tensor], graph: Graph) -> torch.Tensor:
    """The nodes whose label no split gives to a classifier."""
    return all_but(torch.cat(calls).unique(), graph)


def shuffled(y: torch.Tensor, nodes: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The labels after those of some nodes were shuffled among themselves."""
    y = y.clone()
    y[nodes] = y[nodes[torch.randperm(len(nodes), generator=generator)]]
    return y


def other_roles(calls: list, generator: torch.Generator) -> list:
    """Noise for `planted`: on the first graph in the test halves, on the fresh one everywhere."""
    (graph, roles), (fresh, fresh_roles), by_role, by_community = calls
    roles = shuffled(roles, by_role[1], generator)
    graph = replace(graph, y=shuffled(graph.y, by_community[1], generator))
    everyone = torch.arange(fresh.num_nodes)
    return [(graph, roles), (fresh, shuffled(fresh_roles, everyone, generator)), *calls[2:]]


def second_graph(calls: list, generator: torch.Generator) -> list:
    """Noise for the classes of the second graph, whose attributes stay."""
    first, second, *tables = calls
    everyone = torch.arange(second.num_nodes)
    return [first, replace(second, y=shuffled(second.y, everyone, generator)), *tables]


def few(module: str, scores: Callable) -> Noise:
    """Noise in the labels that none of several splits gives to a classifier."""
    return labels(module, scores, 0.45, spoil=noisy_labels(never_known))


SETTINGS = {"source": HUBS, "settings": WALKS}
MUSAE = {"dimension": 12, "pairs": 30_000, "epochs": 3}
LINE = LineSettings(dimension=16, edges=40_000, learning_rate=0.1, block=128)
EXPERIMENTS = [
    # --- DeepWalk ---
    Experiment(
        deepwalk.few_labels,
        SETTINGS | {"shares": [0.1]},
        noise=few("deepwalk", lambda result: result["DeepWalk"]),
        parts=3,
        widths=[16],
    ),
    *(
        Experiment(
            experiment,
            SETTINGS | {"share": 0.1},
            noise=few("deepwalk", list),
            parts=3,
            widths=[16],
        )
        for experiment in (deepwalk.online, deepwalk.two_softmaxes)
    ),
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
    Experiment(
        node2vec.characters,
        {"p": 1.0, "q": 0.5, "settings": WALKS},
        fixed=[r"clusters/./\d+"],
        shared_seeds={0: "the roles are the same clusters for all seeds"},
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
    Experiment(
        musae.transfer,
        MUSAE | {"nodes": 80},
        noise=Noise(
            splits=[f"{ROOM}.musae:stochastic_block_model", f"{ROOM}.musae:draw_attributes"],
            divide=second_graph,
            scores=lambda result: [result["own attributes"], result["MUSAE"]],
            chance=0.4,
        ),
    ),
    Experiment(
        musae.mixing,
        {"balance": 0.8, "nodes": 100, "pairs": 20_000, "epochs": 2},
        noise=Noise(
            source=f"{ROOM}.musae:stochastic_block_model",
            splits=[f"{ROOM}.musae:draw_attributes", SPLIT],
            spoil=lambda graph, calls, generator: noisy_labels(never_known)(
                graph, calls[1:], generator
            ),
            scores=lambda result: list(result.values()),
            chance=0.65,
        ),
        parts=1,
        widths=[16],
    ),
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
    Experiment(
        comparison.communities_and_roles,
        {"method": "DeepWalk"},
        noise=Noise(
            source=f"{comparison.__name__}:role_graph",
            splits=[SPLIT],
            spoil=lambda found, calls, generator: (
                found[0],
                shuffled(found[1], all_but(calls[1], found[0]), generator),
            ),
            scores=lambda result: [result["roles"]],
            chance=0.4,
        ),
    ),
    Experiment(
        comparison.public_score,
        {"task": "labels", "source": HUBS, "method": "spectral"},
        noise=labels("", lambda result: [result], source=f"{comparison.__name__}:labelled_graph"),
    ),
    Experiment(
        comparison.public_score,
        {"task": "links", "source": HUBS, "method": "DeepWalk"},
        noise=Noise(
            source=f"{comparison.__name__}:labelled_graph",
            splits=[f"{comparison.__name__}:hide_links"],
            divide=other_links,
            spoil=with_hidden_links,
            scores=lambda result: [result],
            chance=0.53,  # scores are inner products, half of the links are hidden
            watch=[f"{comparison.__name__}:embed"],
        ),
    ),
    # --- IRWE ---
    Experiment(
        irwe.roles_and_communities,
        {"communities": 3, "walks": 4, "steps": 5},
        fixed=[".*"],  # of the few nodes many kinds classify all
        noise=Noise(
            splits=[f"{ROOM}.irwe:planted", f"{ROOM}.irwe:halves"],
            divide=other_roles,
            scores=lambda result: [
                result[name]
                for name in ("statistics roles", "statistics fresh", "DeepWalk communities")
            ],
            chance=0.4,
        ),
    ),
    Experiment(
        irwe.activity_classes,
        {"name": HUBS, "walks": 4, "steps": 5},
        noise=labels("irwe", lambda result: [result["DeepWalk"]]),
        parts=1,
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
