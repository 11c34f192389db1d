"""RESTORE: how much of each neighbourhood comes back from vectors of every family."""

from dataclasses import dataclass, field, replace
from functools import lru_cache

import networkx as nx
import torch
from jaxtyping import Float
from torch import Tensor

from src.common.graphs.generators import stochastic_block_model, with_class_features
from src.common.graphs.graph import Graph, adjacency
from src.common.training.streams import stream
from src.network_embedding.random_walks.deepwalk import DeepWalkSettings, deepwalk
from src.network_embedding.random_walks.factorisation.hope import hope
from src.network_embedding.random_walks.graph_autoencoders import (
    Autoencoded,
    GAESettings,
    SDNESettings,
    gae,
    sdne,
)
from src.network_embedding.random_walks.reconstruction import (
    DECODERS,
    hop_distances,
    mean_average_precision,
    neighbourhoods,
    ranking,
    semantic_distance,
)
from src.network_embedding.random_walks.skip_gram import SkipGramSettings
from src.network_embedding.random_walks.sources import labelled_graph

BLOCKS = "blocks with features"
LES_MISERABLES = "Les Miserables"
HOPS = (1, 2, 3)
BLOCKS_SDNE = SDNESettings(hidden=(256,), edge_weight=5.0, first_order=1.0, steps=200)
BLOCKS_GAE = GAESettings(hidden=64, learning_rate=0.007)
CORA_SDNE = SDNESettings(hidden=(256,), edge_weight=30.0, first_order=1.0, steps=300)


@dataclass(frozen=True)
class Recipe:
    """The settings of every family.

    Attributes:
        decay: of HOPE, as a share of the largest possible, in (0, 1).
        window: of DeepWalk: contexts on each side.
        passes: of DeepWalk: epochs.
        rate: of DeepWalk: learning rate.
        sdne: of this autoencoder; its dimension is replaced by the one asked for.
        gae: of the other; its dimension is replaced too.
        decoders: how HOPE's and DeepWalk's vectors are scored, names of `DECODERS`.
    """

    decay: float = 0.95
    window: int = 3
    passes: int = 3
    rate: float = 0.05
    sdne: SDNESettings = field(default_factory=lambda: BLOCKS_SDNE)
    gae: GAESettings = field(default_factory=lambda: BLOCKS_GAE)
    decoders: tuple[str, str] = ("cosine", "distance")


# Chosen by the mean precision at one to three steps: for the blocks from 36 to 60
# settings per family on seeds 1000 to 1002, for Cora from 8 on seed 1000 (GAE was not
# searched there).
RECIPES = {
    BLOCKS: Recipe(),
    "cora": Recipe(window=2, sdne=CORA_SDNE, decoders=("cosine", "cosine")),
}


@lru_cache(maxsize=16)
def reconstruction_graph(source: str, seed: int) -> Graph:
    """Return the graph to rebuild.

    Args:
        source: "blocks with features" for that of `blocks_with_features`, "Les
            Miserables" for the novel's characters (without features), else a name of
            `labelled_graph`.
        seed: of a drawn graph.

    Raises:
        ValueError: for an unknown graph.
        BookError: if the files of a downloaded graph cannot be had.
    """
    if source == BLOCKS:
        return blocks_with_features(seed)
    if source == LES_MISERABLES:
        return Graph.from_networkx(nx.les_miserables_graph())
    return labelled_graph(source, seed)


def blocks_with_features(seed: int) -> Graph:
    """Draw six communities of 30 nodes, sparse, with features.

    A node has about three links inside its community and one outside: two steps reach
    about one node in ten and three steps one in four. The eight features are the
    community's mean plus noise of the same size.

    Args:
        seed: of the graph and the features.

    Returns:
        The graph, with features (180, 8).
    """
    graph = stochastic_block_model((30,) * 6, 0.105, 0.0065, stream(seed, BLOCKS))
    return with_class_features(graph, 8, 1.0, stream(seed, "features"))


def scores_of(
    method: str, source: str, dimension: int, seed: int, recipe: Recipe
) -> Float[Tensor, "nodes nodes"]:
    """Return the scores of all pairs that a method's vectors give.

    Args:
        method: "HOPE", "HOPE, one side" (twice its rank: on an undirected graph the two
            sides of a node's vector differ by signs alone), "DeepWalk", "SDNE" (its
            decoder network), "SDNE, vectors" (the cosine of the same vectors), "GAE",
            "adjacency rows" (of A + I, as many numbers as nodes: no compression), or
            "random" (vectors of random numbers).
        source: of `reconstruction_graph`.
        dimension: numbers per node.
        seed: of a drawn graph and of the method.
        recipe: settings of the families.

    Raises:
        ValueError: for an unknown method.
    """
    graph = reconstruction_graph(source, seed)
    generator = stream(seed, "reconstruction", method)
    if method in ("HOPE", "HOPE, one side"):
        numbers = dimension if method == "HOPE" else 2 * dimension
        return paired_scores(*hope(graph, numbers, recipe.decay), recipe.decoders[0])
    if method == "DeepWalk":
        skip_gram = SkipGramSettings(epochs=recipe.passes, learning_rate=recipe.rate)
        settings = DeepWalkSettings(dimension, 10, 20, recipe.window, skip_gram)
        return DECODERS[recipe.decoders[1]](deepwalk(graph, settings, generator))
    if method in ("SDNE", "SDNE, vectors"):
        found = _trained_sdne(source, seed, replace(recipe.sdne, dimension=dimension))
        return found.scores if method == "SDNE" else DECODERS["cosine"](found.vectors)
    if method == "GAE":
        return gae(graph, replace(recipe.gae, dimension=dimension), generator).scores
    if method == "adjacency rows":
        rows = adjacency(graph).to_dense()
        return DECODERS["inner product"](rows + torch.eye(len(rows)))
    if method == "random":
        vectors = torch.randn(graph.num_nodes, dimension, generator=generator)
        return DECODERS["inner product"](vectors)
    raise ValueError(f"unknown method {method!r}")


@lru_cache(maxsize=1)
def _trained_sdne(source: str, seed: int, settings: SDNESettings) -> Autoencoded:
    """Return SDNE trained on a graph.

    The result is kept: two ways to read its vectors need one training.
    """
    graph = reconstruction_graph(source, seed)
    return sdne(graph, settings, stream(seed, "reconstruction", "SDNE"))


def paired_scores(
    source: Float[Tensor, "nodes half"],
    target: Float[Tensor, "nodes half"],
    decoder: str,
) -> Float[Tensor, "nodes nodes"]:
    """Return the decoder's scores of source vectors against target vectors.

    Args:
        source: (nodes, half), the rows of the result.
        target: (nodes, half), its columns.
        decoder: a name of `DECODERS`.

    Examples:
        >>> left, right = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])
        >>> paired_scores(left, right, "inner product")
        tensor([[11.]])
    """
    nodes = len(source)
    return DECODERS[decoder](torch.cat([source, target]))[:nodes, nodes:]


def rebuild(
    source: str, method: str, dimension: int, seed: int, recipe: Recipe | None = None
) -> dict[str, list[float]]:
    """Return how much a method brings back at one to three steps.

    Args:
        source: of `reconstruction_graph`.
        method: of `scores_of`.
        dimension: numbers per node.
        seed: of the graph and of the method.
        recipe: settings of the families; None takes those of `RECIPES`.

    Returns:
        "precision": mean average precision against the nodes within k steps, k = 1, 2,
        3; "ring": against the nodes exactly k steps away; "distance": between mean
        features of the rebuilt and the true neighbourhood, empty for a graph without
        features.

    Raises:
        ValueError: from `scores_of`, for an unknown method.
    """
    graph = reconstruction_graph(source, seed)
    recipe = recipe or RECIPES.get(source, RECIPES[BLOCKS])
    lists = ranking(scores_of(method, source, dimension, seed, recipe))
    steps = hop_distances(graph, HOPS[-1])
    within = [neighbourhoods(steps, hops) for hops in HOPS]
    distance = []
    if graph.x is not None:
        distance = [semantic_distance(lists, part, graph.x) for part in within]
    return {
        "precision": [mean_average_precision(lists, part) for part in within],
        "ring": [mean_average_precision(lists, steps == hops) for hops in HOPS],
        "distance": distance,
    }
