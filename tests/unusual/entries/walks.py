"""Entry points of `src.network_embedding.random_walks`."""

from collections.abc import Callable
from dataclasses import replace

import networkx as nx
import torch
from torch import Tensor

from src.common.graphs.graph import Graph
from src.network_embedding.random_walks.anonymous_walks import pattern_shares
from src.network_embedding.random_walks.contexts import walk_pairs
from src.network_embedding.random_walks.core_embedding import core_numbers
from src.network_embedding.random_walks.deepwalk import DeepWalkSettings, deepwalk
from src.network_embedding.random_walks.factorisation.fastrp import FastRPSettings, fastrp
from src.network_embedding.random_walks.factorisation.hope import hope
from src.network_embedding.random_walks.factorisation.orbit_adjacency import orbit_adjacencies
from src.network_embedding.random_walks.factorisation.spectral import (
    laplacian_vectors,
    modularity_vectors,
)
from src.network_embedding.random_walks.graph_autoencoders import (
    GAESettings,
    SDNESettings,
    gae,
    gae_loss,
    sdne,
)
from src.network_embedding.random_walks.line import LineSettings, line
from src.network_embedding.random_walks.node2vec import node2vec
from src.network_embedding.random_walks.skip_gram import (
    SkipGramSettings,
    train_pairs,
    train_walks,
)
from src.network_embedding.random_walks.walks import (
    parked,
    second_order_walks,
    uniform_walks,
    walk_starts,
)
from tests.unusual.inputs import Entry, same, usual

SMALL = SkipGramSettings(dimension=4, negatives=2)
DEEPWALK = DeepWalkSettings(walks=2, steps=5, window=2, skip_gram=SMALL)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def club() -> Graph:
    return Graph.from_networkx(nx.karate_club_graph())


def embedded(method: Callable, settings: object) -> Callable:
    def call(graph: Graph) -> Tensor:
        found = method(graph, settings, seeded())
        return getattr(found, "vectors", found)

    call.__qualname__ = call.__name__ = method.__name__
    return call


def deepwalk_of(graph: Graph, walks: int, steps: int, window: int) -> Tensor:
    return deepwalk(graph, replace(DEEPWALK, walks=walks, steps=steps, window=window), seeded())


def node2vec_of(graph: Graph, p: float, q: float) -> Tensor:
    return node2vec(graph, DEEPWALK, p, q, seeded())


def walks(graph: Graph, starts: Tensor, steps: int) -> Tensor:
    return uniform_walks(graph, starts, steps, seeded())


def second_order(graph: Graph, starts: Tensor, steps: int, p: float, q: float) -> Tensor:
    return second_order_walks(graph, starts, steps, p, q, seeded())


def eigenvectors(method: Callable) -> Callable:
    def call(graph: Graph, dimension: int) -> Tensor:
        return method(graph, dimension, seeded())

    call.__qualname__ = call.__name__ = method.__name__
    return call


def hope_of(graph: Graph, dimension: int, decay: float) -> Tensor:
    return torch.cat(hope(graph, dimension, decay), dim=1)


def trained(walks: Tensor, num_nodes: int, window: int) -> Tensor:
    return train_walks(walks, num_nodes, window, SMALL, seeded())[0]


def trained_on_pairs(sources: Tensor, contexts: Tensor, num_sources: int) -> Tensor:
    return train_pairs(sources, contexts, num_sources, 4, SMALL, seeded())[0]


def _finite(result: Tensor, expected: Tensor) -> bool:
    return bool(result.isfinite().all())


def _zeros(result: Tensor, expected: Tensor) -> bool:
    """Nobody has neighbours to sum up."""
    return result.shape == expected.shape and not bool(result.any())


def _row_per_node(result: Tensor, expected: Tensor) -> bool:
    return len(result) == 34 and bool(result.isfinite().all())


# Methods take weighted graphs, and do not look at classes or features.
WEIGHTED = {"graph: weighted": _row_per_node}
# The start of the training: nothing moves the vectors of nodes without edges.
EDGELESS = {"graph: no edges": _row_per_node}
DIRECTED = WEIGHTED | {"graph: directed": _row_per_node}
# Weights play no part; a graph without edges has only zeros.
UNWEIGHTED = {
    "graph: weighted": usual,
    "graph: no edges": lambda r, e: r.shape == e.shape and not bool(r.any()),
    "graph: no nodes": lambda r, e: r.numel() == 0,
}
WALKS = torch.tensor([[0, 1, 2, 3], [3, 2, 1, 0], [1, 2, 3, 2]])
STARTS = torch.tensor([0, 5, 33])
LESS = ("one row", "one row less", "empty")


def _walks_of(result: Tensor, expected: Tensor) -> bool:
    return result.dtype == torch.long and int(result.max() if result.numel() else 0) < 34


WALK = {f"starts: {c}": _walks_of for c in LESS}
WALK |= {f"graph: {c}": _walks_of for c in ("no edges", "directed", "weighted")}
WALK |= {"steps: 0": lambda r, e: same(r, STARTS[:, None])}

ENTRIES = [
    Entry(
        walk_starts,
        lambda: {"num_nodes": 5, "per_node": 2, "generator": seeded()},
        accepts={f"{n}: 0": lambda r, e: len(r) == 0 for n in ("num_nodes", "per_node")},
    ),
    Entry(walks, lambda: {"graph": club(), "starts": STARTS, "steps": 4}, WALK),
    Entry(
        second_order,
        lambda: {"graph": club(), "starts": STARTS, "steps": 4, "p": 4.0, "q": 0.5},
        accepts=WALK,
    ),
    Entry(
        parked,
        lambda: {"walks": torch.tensor([[4, 2, -1, -1], [0, 1, 2, 3]])},
        accepts={
            "walks: one row": lambda r, e: same(r, e[:1]),
            "walks: one row less": lambda r, e: same(r, e[:1]),
            "walks: another dimension": lambda r, e: same(r, e[None]),
            "walks: a dimension less": lambda r, e: same(r, e[0]),
            "walks: too large": lambda r, e: same(r[1:], e[1:]),
            "walks: ten columns": lambda r, e: r.shape == (2, 4, 10),
            "walks: negative": lambda r, e: same(r[1:], e[1:]),
        },
    ),
    Entry(
        walk_pairs,
        lambda: {"walks": WALKS, "window": 2},
        accepts={f"walks: {c}": lambda r, e: len(r[0]) <= len(e[0]) for c in LESS}
        | {
            "walks: too large": lambda r, e: len(r[0]) == len(e[0]),
            # -1 in the first place: the walk has ended before it began
            "walks: negative": lambda r, e: int(r[0].min()) >= 0,
        },
    ),
    Entry(
        trained,
        lambda: {"walks": WALKS, "num_nodes": 4, "window": 2},
        accepts={f"walks: {c}": _finite for c in ("one row", "one row less", "negative")},
    ),
    Entry(
        trained_on_pairs,
        lambda: {
            "sources": torch.tensor([0, 1, 2]),
            "contexts": torch.tensor([1, 2, 3]),
            "num_sources": 3,
        },
    ),
    Entry(
        deepwalk_of,
        lambda: {"graph": club(), "walks": 2, "steps": 5, "window": 2},
        accepts=DIRECTED | EDGELESS,
    ),
    Entry(node2vec_of, lambda: {"graph": club(), "p": 4.0, "q": 0.5}, DIRECTED | EDGELESS),
    *(
        Entry(eigenvectors(method), lambda: {"graph": club(), "dimension": 3}, WEIGHTED)
        for method in (laplacian_vectors, modularity_vectors)
    ),
    Entry(hope_of, lambda: {"graph": club(), "dimension": 4, "decay": 0.5}, DIRECTED),
    *(
        Entry(embedded(method, settings), lambda: {"graph": club()}, WEIGHTED | extra)
        for method, settings, extra in (
            (fastrp, FastRPSettings(dimension=4), {"graph: no edges": _zeros}),
            (line, LineSettings(dimension=4, edges=200, block=16), {}),
            (sdne, SDNESettings(steps=2), {}),
            (gae, GAESettings(steps=2), {}),
        )
    ),
    Entry(core_numbers, lambda: {"graph": club()}, UNWEIGHTED),
    Entry(orbit_adjacencies, lambda: {"graph": club()}, UNWEIGHTED),
    Entry(
        gae_loss,
        lambda: {"vectors": torch.randn(3, 2, generator=seeded()), "target": torch.eye(3)},
    ),
    Entry(
        pattern_shares,
        lambda: {"walks": WALKS[:, None, :]},
        # A pattern asks which nodes are the same, not what they are called.
        accepts={f"walks: {c}": lambda r, e: same(r, e[: len(r)]) for c in LESS[:2]}
        | {"walks: negative": usual, "walks: too large": usual},
    ),
]
