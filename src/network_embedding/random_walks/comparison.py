"""All methods of the part on the same graphs, at equal dimension.

None sees attributes of nodes.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from src.common.graphs.embedding_evaluation import classify
from src.common.graphs.graph import Graph
from src.common.graphs.link_prediction import hide_links, link_auc
from src.common.training.loop import TrainingSettings
from src.common.training.streams import stream
from src.network_embedding.random_walks import core_embedding
from src.network_embedding.random_walks.deepwalk import DeepWalkSettings, deepwalk
from src.network_embedding.random_walks.factorisation.fastrp import (
    FastRPSettings,
    fastrp,
)
from src.network_embedding.random_walks.factorisation.hope import hope
from src.network_embedding.random_walks.factorisation.orbit_adjacency import (
    orbit_adjacencies,
)
from src.network_embedding.random_walks.factorisation.pointwise_factorisation import (
    factorise,
    ppmi,
)
from src.network_embedding.random_walks.factorisation.spectral import laplacian_vectors
from src.network_embedding.random_walks.graph_autoencoders import SDNESettings, sdne
from src.network_embedding.random_walks.irwe import (
    IRWESettings,
    fit_irwe,
    walk_statistics,
)
from src.network_embedding.random_walks.irwe import embed as read_irwe
from src.network_embedding.random_walks.line import LineSettings, line
from src.network_embedding.random_walks.musae import MUSAESettings, musae
from src.network_embedding.random_walks.node2vec import node2vec
from src.network_embedding.random_walks.skip_gram import SkipGramSettings
from src.network_embedding.random_walks.sources import labelled_graph, role_graph

DIMENSION = 32
SKIP_GRAM = SkipGramSettings(dimension=DIMENSION, learning_rate=0.05)
WALKS = DeepWalkSettings(walks=10, steps=40, window=5, skip_gram=SKIP_GRAM)


def core_walk(graph: Graph, generator: torch.Generator) -> Float[Tensor, "nodes dim"]:
    """Return DeepWalk's vectors from walks in proportion to the core numbers.

    Args:
        graph: undirected.
        generator: source of walks and training.
    """
    counts = core_embedding.walks_by_core(
        core_embedding.core_numbers(graph), WALKS.walks
    )
    return core_embedding.embed_from(graph, counts, WALKS, generator)


def attributes_from_degrees(
    graph: Graph, generator: torch.Generator
) -> Float[Tensor, "nodes dim"]:
    """Return MUSAE's vectors with the degree's power of two as a node's only attribute.

    Args:
        graph: undirected.
        generator: source of walks and training.
    """
    degree = torch.bincount(graph.edge_index[0], minlength=graph.num_nodes)
    bins = torch.log2(degree.clamp(min=1).double()).long()
    skip_gram = replace(
        SKIP_GRAM, block=640, rows_a_node=32.0, reach=4.0
    )  # few attributes
    settings = MUSAESettings(
        DIMENSION, 2, walks=5, steps=40, pairs=50_000, skip_gram=skip_gram
    )
    return musae(graph, F.one_hot(bins).bool(), settings, generator).nodes


def irwe_vectors(
    graph: Graph, generator: torch.Generator
) -> tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"]]:
    """Return IRWE's identity and position vectors.

    Args:
        graph: undirected, of a few thousand nodes at most.
        generator: source of walks and training.
    """
    training = TrainingSettings(steps=40, learning_rate=1e-2)
    settings = IRWESettings(walks=10, dimension=DIMENSION, training=training)
    statistics = walk_statistics(graph, settings, generator)
    return read_irwe(fit_irwe(statistics, settings, generator), statistics)


def orbit_vectors(graph: Graph) -> Float[Tensor, "nodes dim"]:
    """Return the factorised sum of all orbit adjacencies, each scaled to total 1.

    Args:
        graph: undirected, at most 4,000 nodes.

    Raises:
        ValueError: for a directed or too large graph, or one of at most `DIMENSION`
            nodes.
    """
    tables = orbit_adjacencies(graph)
    totals = tables.sum(dim=(1, 2), keepdim=True).clamp(min=1)
    return factorise(ppmi((tables / totals).sum(dim=0)), DIMENSION).float()


def autoencoded(graph: Graph, generator: torch.Generator) -> Float[Tensor, "nodes dim"]:
    """Return SDNE's vectors.

    Args:
        graph: undirected, with at least one edge.
        generator: source of weights and batches.
    """
    settings = SDNESettings(
        DIMENSION, hidden=(256,), edge_weight=5.0, first_order=1.0, steps=100
    )
    return sdne(graph, settings, generator).vectors


METHODS: dict[str, Callable[[Graph, torch.Generator], Tensor]] = {
    "random": lambda graph, g: torch.randn(graph.num_nodes, DIMENSION, generator=g),
    "spectral": lambda graph, g: laplacian_vectors(graph, DIMENSION, g),
    "DeepWalk": lambda graph, g: deepwalk(graph, WALKS, g),
    "node2vec, q = 0.5": lambda graph, g: node2vec(graph, WALKS, 1.0, 0.5, g),
    "node2vec, q = 2": lambda graph, g: node2vec(graph, WALKS, 1.0, 2.0, g),
    "LINE": lambda graph, g: line(
        graph, LineSettings(DIMENSION // 2, 50_000, learning_rate=0.1, block=128), g
    ),
    "FastRP": lambda graph, g: fastrp(graph, FastRPSettings(DIMENSION), g),
    "MUSAE, degrees": attributes_from_degrees,
    "CoreWalk": core_walk,
    "HOPE": lambda graph, g: torch.cat(hope(graph, DIMENSION), dim=1).float(),
    "SDNE": autoencoded,
    "IRWE, identity": lambda graph, g: irwe_vectors(graph, g)[0],
    "IRWE, position": lambda graph, g: irwe_vectors(graph, g)[1],
    "orbits": lambda graph, g: orbit_vectors(graph),
}
PUBLIC = (("labels", "cora"), ("labels", "usa airports"))


def embed(
    method: str, graph: Graph, generator: torch.Generator
) -> Float[Tensor, "nodes dim"]:
    """Return a method's vectors of the nodes, of `DIMENSION` numbers each.

    Args:
        method: one of `METHODS`.
        graph: undirected.
        generator: source of all randomness.

    Raises:
        ValueError: for an unknown method.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; known: {', '.join(METHODS)}")
    return METHODS[method](graph, generator)


def communities_and_roles(
    method: str, seed: int, share: float = 0.3
) -> dict[str, float]:
    """Return how well a method's vectors separate communities and roles of one graph.

    Args:
        method: one of `METHODS`.
        seed: of the graph, the vectors and the split.
        share: of the nodes whose labels the classifier sees, in (0, 1).

    Returns:
        "communities" and "roles": macro-F1 of each, from the same vectors.
    """
    graph, roles = role_graph(seed)
    found = embed(method, graph, stream(seed, method))
    split = "split of communities and roles"
    return {
        "communities": classify(found, graph.y, share, stream(seed, split)).macro,
        "roles": classify(found, roles, share, stream(seed, split)).macro,
    }


def public_score(task: str, source: str, method: str, seed: int) -> float:
    """Return a method's score on a downloaded network.

    Args:
        task: "labels" for micro-F1 with half of the nodes' labels given, "links" for
            the area under the ROC curve with half of the links hidden, pairs scored by
            inner products.
        source: a name of `src.network_embedding.random_walks.sources.labelled_graph`.
        method: one of `METHODS`.
        seed: of the vectors and the split.

    Raises:
        ValueError: for an unknown source or method, or a graph that cannot spare half
            its links.
        BookError: if the graph's files cannot be had.
    """
    graph = labelled_graph(source, seed)
    if task == "labels":
        found = embed(method, graph, stream(seed, method))
        return classify(found, graph.y, 0.5, stream(seed, "split")).micro
    split = hide_links(graph, 0.5, stream(seed, "hidden links"))
    return link_auc(embed(method, split.graph, stream(seed, method)), split)
