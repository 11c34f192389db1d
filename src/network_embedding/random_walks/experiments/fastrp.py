"""FastRP's experiments: DeepWalk, an exact decomposition, and part by part."""

from dataclasses import replace

import torch

from src.common.graphs.embedding_evaluation import classify
from src.common.training.streams import stream
from src.network_embedding.random_walks.deepwalk import DeepWalkSettings, deepwalk
from src.network_embedding.random_walks.factorisation.fastrp import (
    FastRPSettings,
    fastrp,
    projected_powers,
    svd_of_similarity,
    very_sparse_matrix,
)
from src.network_embedding.random_walks.sources import labelled_graph


def variants(settings: FastRPSettings) -> dict[str, FastRPSettings]:
    """Return the method and its copies with one part switched off or changed.

    Args:
        settings: of the method as a whole.
    """
    powers = len(settings.weights)
    return {
        "FastRP": settings,
        "first power alone": replace(settings, weights=(1.0,)),
        "all powers alike": replace(settings, weights=(1.0,) * powers),
        "hubs not tamed": replace(settings, beta=0.0),
        "powers not normalised": replace(settings, normalise_rows=False),
    }


def classification(
    name: str,
    seed: int,
    settings: FastRPSettings,
    walks: DeepWalkSettings,
    share: float = 0.1,
) -> dict[str, float]:
    """Return the micro-F1 of FastRP, its variants, an exact decomposition and DeepWalk.

    All methods are judged on the same labelled nodes.

    Args:
        name: a graph of `sources.labelled_graph`.
        seed: of the graph if it is drawn, of the methods and of the labelled nodes.
        settings: FastRP's.
        walks: DeepWalk's.
        share: of the nodes whose labels are known, in (0, 1).

    Raises:
        ValueError: for an unknown graph.
        BookError: if the files of a downloaded graph cannot be had.
    """
    graph = labelled_graph(name, seed)
    vectors = {
        label: fastrp(graph, changed, stream(seed, "projection"))
        for label, changed in variants(settings).items()
    }
    vectors["truncated SVD"] = svd_of_similarity(graph, settings, stream(seed, "turn"))
    vectors["DeepWalk"] = deepwalk(graph, walks, stream(seed, "walks"))
    return {
        label: classify(found, graph.y, share, stream(seed, "labelled nodes")).micro
        for label, found in vectors.items()
    }


def lost_by_first_power(scores: dict[str, float]) -> float:
    """Return the micro-F1 lost by the first power alone.

    Args:
        scores: of `classification`.
    """
    return scores["FastRP"] - scores["first power alone"]


def changed_by_svd(scores: dict[str, float]) -> float:
    """Return how much an exact decomposition of the same matrix changes the micro-F1.

    Args:
        scores: of `classification`.

    Returns:
        The absolute difference.
    """
    return abs(scores["truncated SVD"] - scores["FastRP"])


def identity_error(name: str, seed: int, settings: FastRPSettings) -> float:
    """Return the largest difference between repeated products and the full matrix.

    Both in double precision; the full matrix is the weighted sum of the powers of
    S = D^-1 A times L, made here from its definition.

    Args:
        name: a graph of `sources.labelled_graph`, small enough for (nodes, nodes)
            matrices.
        seed: of the graph if it is drawn, and of the projection.
        settings: its dimension, weights and beta are used.

    Raises:
        ValueError: for an unknown graph.
        BookError: if the files of a downloaded graph cannot be had.
    """
    graph = labelled_graph(name, seed)
    random = very_sparse_matrix(
        graph.num_nodes,
        settings.dimension,
        stream(seed, "identity"),
        dtype=torch.double,
    )
    powers = projected_powers(graph, random, len(settings.weights), settings.beta)
    repeated = sum(w * power for w, power in zip(settings.weights, powers, strict=True))
    full = torch.zeros(graph.num_nodes, graph.num_nodes, dtype=torch.double)
    full[tuple(graph.edge_index)] = graph.weights.double()
    degree = full.sum(dim=1)
    step = full / torch.where(degree > 0, degree, 1.0)[:, None]
    hubs = torch.where(degree > 0, degree / degree.sum(), 1.0) ** settings.beta
    power, total = torch.eye(len(step), dtype=torch.double), torch.zeros_like(step)
    for weight in settings.weights:
        power = power @ step
        total += weight * power * hubs
    return float((repeated - total @ random).abs().max())


def with_beta(
    name: str, seed: int, settings: FastRPSettings, beta: float, share: float = 0.1
) -> float:
    """Return FastRP's micro-F1 with another degree normalisation.

    It is judged on the same labelled nodes as `classification`.

    Args:
        name: a graph of `sources.labelled_graph`.
        seed: of the graph if it is drawn, of the projection and of the labelled nodes.
        settings: all but beta.
        beta: exponent of the degree normalisation.
        share: of the nodes whose labels are known, in (0, 1).

    Raises:
        ValueError: for an unknown graph.
        BookError: if the files of a downloaded graph cannot be had.
    """
    graph = labelled_graph(name, seed)
    found = fastrp(graph, replace(settings, beta=beta), stream(seed, "projection"))
    return classify(found, graph.y, share, stream(seed, "labelled nodes")).micro
