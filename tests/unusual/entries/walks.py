"""Entry points of `src.network_embedding.random_walks`."""

from collections.abc import Callable
from dataclasses import replace

import networkx as nx
import torch
from torch import Tensor

from src.common.graphs.graph import Graph
from src.network_embedding.random_walks.anonymous_walks import (
    all_anonymous_walks,
    anonymise,
    degree_profiles,
    exact_pattern_shares,
    pattern_numbers,
    pattern_shares,
)
from src.network_embedding.random_walks.attribute_information import (
    expected_shares,
    log_information,
    negative_chances,
    node_vectors_for,
    observed_shares,
)
from src.network_embedding.random_walks.contexts import walk_pairs
from src.network_embedding.random_walks.core_embedding import (
    core_numbers,
    core_of_at_most,
    embed_core,
    embed_from,
    propagate,
    skip_gram_pairs,
    walks_by_core,
)
from src.network_embedding.random_walks.deepwalk import DeepWalkSettings, deepwalk
from src.network_embedding.random_walks.factorisation.fastrp import (
    FastRPSettings,
    fastrp,
    projected_powers,
    svd_of_similarity,
    very_sparse_matrix,
)
from src.network_embedding.random_walks.factorisation.hope import hope, katz
from src.network_embedding.random_walks.factorisation.orbit_adjacency import orbit_adjacencies
from src.network_embedding.random_walks.factorisation.pointwise_factorisation import (
    factorise,
    ppmi,
    walk_cooccurrence,
)
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
from src.network_embedding.random_walks.hierarchical_softmax import (
    huffman_turns,
    train_walks_by_turns,
)
from src.network_embedding.random_walks.irwe import IRWESettings, walk_statistics
from src.network_embedding.random_walks.line import (
    AliasTable,
    LineSettings,
    line,
    side_by_side,
    softmax_objective,
    train_order,
)
from src.network_embedding.random_walks.musae import MUSAESettings, Pairs, musae
from src.network_embedding.random_walks.node2vec import node2vec
from src.network_embedding.random_walks.reconstruction import (
    average_precisions,
    cosines,
    hop_distances,
    mean_average_precision,
    negative_distances,
    neighbourhoods,
    ranking,
    semantic_distance,
)
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


def by_turns(walks: Tensor, num_nodes: int, window: int) -> Tensor:
    return train_walks_by_turns(walks, num_nodes, window, SMALL, seeded())


def embedded_from(graph: Graph, walks: int) -> Tensor:
    counts = torch.full((graph.num_nodes,), walks)
    return embed_from(graph, counts, DEEPWALK, seeded())


def core_of(graph: Graph, k: int) -> Tensor:
    return embed_core(graph, k, DEEPWALK, seeded())


def attributed(graph: Graph, table: Tensor, walks: int, steps: int, pairs: int) -> Tensor:
    settings = MUSAESettings(4, 2, walks, steps, pairs, SMALL)
    return musae(graph, table, settings, seeded()).nodes


def statistics(graph: Graph, walks: int, steps: int, bins: int, places: int) -> list[Tensor]:
    found = walk_statistics(graph, IRWESettings(walks, steps, bins, places), seeded())
    return [found.roles, found.walks, found.places, found.meetings]


def shares_at(graph: Graph, table: Tensor, distance: int) -> Tensor:
    return expected_shares(graph, table, [distance])


def counted(nodes: Tensor, attributes: Tensor, num_nodes: int, num_attributes: int) -> Tensor:
    return observed_shares(Pairs(nodes, attributes), num_nodes, num_attributes)


def alias_draws(weights: Tensor, count: int) -> Tensor:
    return AliasTable.of(weights).draw(count, seeded())


def one_order(graph: Graph, order: int, drawing: str) -> Tensor:
    settings = LineSettings(dimension=4, edges=100, block=16)
    return train_order(graph, order, settings, seeded(), drawing)[0]


def edge_draws(dimension: int, edges: int, negatives: int, learning_rate: float) -> Tensor:
    settings = LineSettings(dimension, edges, negatives, learning_rate, 16)
    return train_order(club(), 2, settings, seeded())[0]


def skip_gram(dimension: int, learning_rate: float, exponent: float, reach: float) -> Tensor:
    settings = SkipGramSettings(
        dimension, 2, 1, learning_rate=learning_rate, exponent=exponent, reach=reach
    )
    return train_walks(WALKS, 4, 2, settings, seeded())[0]


def projection(rows: int, columns: int, sparsity: float) -> Tensor:
    return very_sparse_matrix(rows, columns, seeded(), sparsity)


def powers_of(graph: Graph, projection: Tensor, powers: int, beta: float) -> Tensor:
    return torch.cat(projected_powers(graph, projection, powers, beta), dim=1)


def exact_fastrp(graph: Graph, dimension: int, beta: float) -> Tensor:
    settings = FastRPSettings(dimension, beta=beta)
    return svd_of_similarity(graph, settings, seeded())


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


FEWER_WALKS = {f"walks: {c}": lambda r, e: same(r, e[: len(r)]) for c in LESS}
SHARES = torch.tensor([[0.1, 0.0, 0.3], [0.2, 0.4, 0.0]], dtype=torch.double)
CHANCES = {f"shares: {c}": lambda r, e: True for c in ("one row", "one row less")}
EXPONENTS = CHANCES | {f"exponent: {n}": lambda r, e: r.shape == e.shape for n in (0, -1)}
STEPS = torch.tensor([[0, 1, 2, 3], [1, 0, 1, 2], [2, 1, 0, 1], [3, 2, 1, 0]])
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
        | {
            "walks: negative": lambda r, e: same(r[1:], e[1:]) and not r[0].any(),
            "walks: too large": usual,
        },
    ),
    Entry(
        anonymise,
        lambda: {"walks": WALKS},
        FEWER_WALKS | {"walks: negative": usual, "walks: too large": usual},
    ),
    Entry(all_anonymous_walks, lambda: {"steps": 3}),
    Entry(
        pattern_numbers,
        lambda: {"walks": WALKS},
        FEWER_WALKS | {"walks: negative": lambda r, e: int(r[0]) == -1, "walks: too large": usual},
    ),
    Entry(
        exact_pattern_shares,
        lambda: {"graph": club().subgraph(torch.arange(8)), "steps": 2},
        {
            "graph: no nodes": lambda r, e: r.shape == (0, 2),
            "graph: no edges": _zeros,
            "graph: directed": lambda r, e: float(r.sum(1).max()) <= 1 + 1e-12,
            "graph: weighted": lambda r, e: same(r.sum(1), torch.ones(8)),
        },
    ),
    Entry(
        degree_profiles,
        lambda: {"graph": club(), "walks": WALKS[:, None, :], "bins": 3},
        FEWER_WALKS
        | {
            "walks: negative": _finite,
            "graph: weighted": usual,  # neighbours are counted
            "graph: directed": _finite,
            "graph: no edges": _finite,
        },
    ),
    Entry(
        by_turns,
        lambda: {"walks": WALKS, "num_nodes": 4, "window": 2},
        {f"walks: {c}": _finite for c in ("one row", "one row less", "negative")},
    ),
    Entry(
        huffman_turns,
        lambda: {"frequency": torch.tensor([3, 0, 2, 5])},
        {
            "frequency: one row less": lambda r, e: r.shape == (3, 2),
            "frequency: too large": lambda r, e: float(r[0].abs().sum()) == 1,
        },
    ),
    Entry(
        walks_by_core,
        lambda: {"core": torch.tensor([4, 2, 0]), "most": 8},
        {
            "core: one row": lambda r, e: r.tolist() == [8],
            "core: one row less": lambda r, e: r.tolist() == [8, 4],
            "core: too large": lambda r, e: r.tolist() == [8, 1, 1],
        },
    ),
    Entry(
        core_of_at_most,
        lambda: {"core": torch.tensor([0, 1, 2, 2]), "share": 0.6},
        {
            "core: one row less": lambda r, e: r == 2,
            "core: too large": lambda r, e: r == 3,
        },
    ),
    Entry(
        skip_gram_pairs,
        lambda: {"walks": 3, "steps": 4, "window": 2},
        {f"{n}: 0": lambda r, e: r == 0 for n in ("walks", "steps")},
    ),
    Entry(
        embedded_from,
        lambda: {"graph": club(), "walks": 2},
        DIRECTED | EDGELESS,
    ),
    Entry(core_of, lambda: {"graph": club(), "k": 3}, WEIGHTED | {"k: 0": _row_per_node}),
    Entry(
        propagate,
        lambda: {
            "graph": club(),
            "vectors": torch.ones(34, 2).double(),
            "known": torch.arange(34) < 5,
            "iterations": 5,
        },
        {
            "graph: weighted": usual,  # a mean of ones
            "graph: no edges": lambda r, e: int(r.any(dim=1).sum()) == 5,
            "vectors: double": usual,
            "known: nothing marked": lambda r, e: not bool(r.any()),
            "vectors: ten columns": lambda r, e: False,
            "iterations: 0": usual,
        },
    ),
    Entry(
        attributed,
        lambda: {
            "graph": club(),
            "table": torch.eye(34).bool(),
            "walks": 2,
            "steps": 5,
            "pairs": 50,
        },
        DIRECTED,
    ),
    Entry(
        statistics,
        lambda: {"graph": club(), "walks": 2, "steps": 3, "bins": 3, "places": 4},
        {
            f"graph: {c}": lambda r, e: all(bool(t.isfinite().all()) for t in r)
            for c in ("weighted", "directed")
        },
    ),
    Entry(
        shares_at,
        lambda: {"graph": club(), "table": torch.eye(34).bool(), "distance": 2},
        {"graph: weighted": lambda r, e: abs(float(r.sum()) - 1) < 1e-9},
    ),
    Entry(
        counted,
        lambda: {
            "nodes": torch.tensor([0, 1, 1]),
            "attributes": torch.tensor([2, 0, 2]),
            "num_nodes": 2,
            "num_attributes": 3,
        },
    ),
    Entry(negative_chances, lambda: {"shares": SHARES, "exponent": 0.75}, EXPONENTS),
    Entry(log_information, lambda: {"shares": SHARES, "negatives": 2, "exponent": 1.0}, EXPONENTS),
    Entry(
        node_vectors_for,
        lambda: {
            "shares": SHARES,
            "attribute_vectors": torch.eye(3)[:, :2],
            "noise": torch.full((3,), 1 / 3),
            "negatives": 2,
        },
        {
            "shares: one row": lambda r, e: same(r, e[:1]),
            "shares: one row less": lambda r, e: same(r, e[:1]),
        },
    ),
    Entry(
        alias_draws,
        lambda: {"weights": torch.tensor([1.0, 0.0, 3.0]), "count": 5},
        {
            "weights: one row": lambda r, e: not bool(r.any()),
            "weights: one row less": lambda r, e: not bool(r.any()),
            "count: 0": lambda r, e: len(r) == 0,
        },
    ),
    Entry(
        one_order,
        lambda: {"graph": club(), "order": 2, "drawing": "by weight"},
        DIRECTED,
    ),
    Entry(
        edge_draws,
        lambda: {"dimension": 2, "edges": 50, "negatives": 1, "learning_rate": 0.02},
    ),
    Entry(
        skip_gram,
        lambda: {"dimension": 2, "learning_rate": 0.02, "exponent": 0.75, "reach": 1.0},
        {"exponent: 0": _finite, "exponent: -1": _finite},
    ),
    Entry(
        side_by_side,
        lambda: {"first": torch.eye(3), "second": torch.eye(3)[:, :2]},
        {
            "first: strided": usual,
            "first: ten columns": lambda r, e: False,
        },
    ),
    Entry(
        softmax_objective,
        lambda: {"vectors": torch.zeros(34, 2), "contexts": torch.zeros(34, 2), "graph": club()},
        {
            "graph: weighted": usual,  # log 34 for every edge
            "graph: directed": usual,
        },
    ),
    Entry(
        projection,
        lambda: {"rows": 30, "columns": 4, "sparsity": 3.0},
        {"rows: 0": lambda r, e: r.shape == (0, 4)},
    ),
    Entry(
        powers_of,
        lambda: {"graph": club(), "projection": torch.eye(34), "powers": 2, "beta": -0.5},
        {"graph: weighted": _finite, "graph: no edges": _zeros, "beta: 0": _finite}
        | {"beta: -1": _finite},
    ),
    Entry(
        exact_fastrp,
        lambda: {"graph": club(), "dimension": 4, "beta": -0.5},
        {"graph: weighted": _finite, "beta: 0": _finite, "beta: -1": _finite},
    ),
    Entry(katz, lambda: {"graph": club(), "decay": 0.5}, DIRECTED),
    Entry(
        ppmi,
        lambda: {"counts": SHARES},
        {
            f"counts: {c}": lambda r, e: not bool(r.any())  # one row: all is expected
            for c in ("one row", "one row less", "empty")
        },
    ),
    Entry(
        walk_cooccurrence,
        lambda: {"graph": club(), "window": 2},
        {
            "graph: weighted": _finite,
            "graph: no edges": _zeros,
            "graph: no nodes": lambda r, e: r.shape == (0, 0),
        },
    ),
    Entry(
        factorise,
        lambda: {"matrix": torch.diag(torch.arange(1.0, 5.0)), "dimension": 2},
        {"matrix: one row less": lambda r, e: r.shape == (3, 2)},
    ),
    Entry(
        hop_distances,
        lambda: {"graph": club(), "most": 2},
        {
            "graph: weighted": usual,
            "graph: directed": lambda r, e: bool((r >= e).all()),
            "graph: no edges": lambda r, e: same(r, (3 * (1 - torch.eye(34))).long()),
            "graph: no nodes": lambda r, e: r.shape == (0, 0),
        },
    ),
    Entry(
        neighbourhoods,
        lambda: {"distances": STEPS, "hops": 1},
        {"distances: negative": usual, "distances: too large": usual},
    ),
    Entry(
        ranking,
        lambda: {"scores": -STEPS.float()},
        {f"scores: {c}": usual for c in ("NaN", "infinite")},  # in the node's own place
    ),
    *(
        Entry(
            measure,
            lambda: {"lists": ranking(-STEPS.float()), "relevant": STEPS == 1},
            {"relevant: nothing marked": lambda r, e: bool(r.isnan().all())},
        )
        for measure in (average_precisions, mean_average_precision)
    ),
    Entry(
        semantic_distance,
        lambda: {
            "lists": ranking(-STEPS.float()),
            "relevant": STEPS == 1,
            "x": torch.eye(4),
        },
    ),
    *(
        Entry(
            decoder,
            lambda: {"vectors": torch.arange(6.0).view(3, 2)},
            {f"vectors: {c}": lambda r, e: same(r, e[: len(r), : len(r)]) for c in LESS}
            | {"vectors: infinite": lambda r, e: not bool(r.isfinite().all())},
        )
        for decoder in (cosines, negative_distances)
    ),
]
