"""Experiments on embedding by cores: what is saved, and what it costs in links."""

from functools import lru_cache

import torch

from src.common.checks import within
from src.common.graphs.generators import stochastic_block_model
from src.common.graphs.graph import Graph
from src.common.graphs.link_prediction import (
    adamic_adar,
    hide_links,
    link_auc,
    score_auc,
)
from src.common.graphs.public_sets import load_graph
from src.common.training.streams import stream
from src.network_embedding.random_walks.core_embedding import (
    core_numbers,
    core_of_at_most,
    embed_core,
    embed_from,
    skip_gram_pairs,
    walks_by_core,
)
from src.network_embedding.random_walks.deepwalk import DeepWalkSettings

DENSE_CORE = "communities with a core"
EQUAL, BY_CORE, CORE_ALONE = (
    "equal walks",
    "walks by core number",
    "core and propagation",
)


@lru_cache(maxsize=64)
def core_graph(name: str, seed: int) -> Graph:
    """Return a graph to embed by cores.

    Args:
        name: "communities with a core" for that of `communities_with_core`, another for
            every seed; or the name of a downloaded graph in
            `src.common.graphs.public_sets`, the same for every seed.
        seed: at least 0.

    Raises:
        ValueError: for another name.
        BookError: if the files of a downloaded graph cannot be had.
    """
    return communities_with_core(seed) if name == DENSE_CORE else load_graph(name)


def communities_with_core(
    seed: int, communities: int = 4, nodes: int = 80, inner: int = 20
) -> Graph:
    """Draw communities with a dense core each; the cores know each other.

    Two block models laid over each other: one over all nodes, one over the cores. With
    the defaults the mean core number is about half of the largest.

    Args:
        seed: of the graph.
        communities: how many.
        nodes: of each community.
        inner: of them in its core, at most `nodes`.

    Returns:
        The graph, with the community as `y`.

    Raises:
        ValueError: for numbers below 1, or more inner nodes than nodes.
    """
    within("communities", communities, 1)
    within("inner", inner, 1, nodes)
    generator = stream(seed, DENSE_CORE)
    all_nodes = stochastic_block_model((nodes,) * communities, 0.06, 0.003, generator)
    cores = stochastic_block_model((inner,) * communities, 0.8, 0.05, generator)
    number = (torch.arange(communities)[:, None] * nodes + torch.arange(inner)).ravel()
    edges = torch.cat([all_nodes.edge_index, number[cores.edge_index]], dim=1)
    return Graph.from_edges(edges, communities * nodes, y=all_nodes.y)


def comparison(
    name: str,
    seed: int,
    settings: DeepWalkSettings,
    hidden: float,
    core_share: float = 0.5,
) -> dict[str, float | int]:
    """Embed what is left after hiding links in three ways; predict the hidden links.

    Args:
        name: see `core_graph`.
        seed: of the graph if it is drawn, of the hidden links and of the methods.
        settings: DeepWalk's; with walks by core number its number of walks is that of
            the innermost core.
        hidden: the share of links to hide, in (0, 1).
        core_share: the core that is embedded alone is the largest with at most this
            share of the nodes.

    Returns:
        For each way "... pairs", how many pairs skip-gram learns from, and "... AUC" of
        the hidden links; "Adamic-Adar AUC", a score without vectors; "core k" and "core
        nodes" (a share).

    Raises:
        ValueError: from `hide_links`, for a share that hides no link or too many.
    """
    split = hide_links(core_graph(name, seed), hidden, stream(seed, "hidden links"))
    graph, core = split.graph, core_numbers(split.graph)
    k = core_of_at_most(core, core_share)
    inside = int((core >= k).sum())
    equal = torch.full((graph.num_nodes,), settings.walks)
    by_core = walks_by_core(core, settings.walks)
    vectors = {
        EQUAL: embed_from(graph, equal, settings, stream(seed, EQUAL)),
        BY_CORE: embed_from(graph, by_core, settings, stream(seed, BY_CORE)),
        CORE_ALONE: embed_core(graph, k, settings, stream(seed, CORE_ALONE)),
    }
    walks = {
        EQUAL: equal.sum(),
        BY_CORE: by_core.sum(),
        CORE_ALONE: inside * settings.walks,
    }
    found: dict[str, float | int] = {
        "core k": k,
        "core nodes": inside / graph.num_nodes,
    }
    for way in vectors:
        pairs = skip_gram_pairs(int(walks[way]), settings.steps, settings.window)
        found |= {f"{way} pairs": pairs, f"{way} AUC": link_auc(vectors[way], split)}
    scores = [adamic_adar(graph, pairs) for pairs in (split.hidden, split.non_links)]
    return found | {"Adamic-Adar AUC": score_auc(*scores)}


def over_cores(
    name: str, seed: int, settings: DeepWalkSettings, hidden: float, cores: list[int]
) -> list[dict[str, float | int]]:
    """Return what the embedding of each k-core costs and how well it predicts links.

    Args:
        name: see `core_graph`.
        seed: of the graph if it is drawn, of the hidden links and of the method.
        settings: DeepWalk's.
        hidden: the share of links to hide, in (0, 1).
        cores: the k to try; those that are empty after hiding links are left out.

    Returns:
        For each k: "k"; "pairs", over those of the whole graph, in [0, 1]; "AUC".

    Raises:
        ValueError: from `hide_links`, for a share that hides no link or too many.
    """
    split = hide_links(core_graph(name, seed), hidden, stream(seed, "hidden links"))
    core = core_numbers(split.graph)
    found = []
    for k in (k for k in cores if k <= int(core.max())):
        vectors = embed_core(split.graph, k, settings, stream(seed, "core", k))
        share = float((core >= k).double().mean())
        found.append({"k": k, "pairs": share, "AUC": link_auc(vectors, split)})
    return found
