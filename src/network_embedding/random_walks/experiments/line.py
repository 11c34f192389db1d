"""LINE's experiments: drawn edges or multiplied gradients, and the two orders."""

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds
from torch import Tensor

from src.common.graphs.embedding_evaluation import classify
from src.common.graphs.graph import Graph
from src.common.training.streams import stream
from src.network_embedding.random_walks.line import (
    LineSettings,
    side_by_side,
    softmax_objective,
    train_order,
)
from src.network_embedding.random_walks.sources import HUB_COMMUNITIES, labelled_graph

WEIGHTED_COMMUNITIES = "weighted communities"
DRAWN, MULTIPLIED = "drawn by weight", "multiplied by weight"


def log_normal_weights(
    graph: Graph, spread: float, generator: torch.Generator
) -> Graph:
    """Return the graph with weights exp(spread z), z standard normal, one per edge.

    Args:
        graph: undirected; its labels are kept, its features are not.
        spread: standard deviation of the weights' logarithm.
        generator: source of the weights.
    """
    edges = graph.edge_index[:, graph.edge_index[0] < graph.edge_index[1]]
    weights = (spread * torch.randn(edges.shape[1], generator=generator)).exp()
    return Graph.from_edges(edges, graph.num_nodes, weights, y=graph.y)


def weighted_communities(seed: int, spread: float = 1.0) -> Graph:
    """Draw communities with hubs and log-normal weights, twice as large inside.

    Args:
        seed: of the graph and the weights.
        spread: standard deviation of the weights' logarithm.

    Returns:
        The graph, with the community as `y`.
    """
    graph = labelled_graph(HUB_COMMUNITIES, seed)
    weighted = log_normal_weights(graph, spread, stream(seed, "weights"))
    same = graph.y[weighted.edge_index[0]] == graph.y[weighted.edge_index[1]]
    return replace(weighted, edge_weight=weighted.weights * torch.where(same, 2.0, 1.0))


def objectives(
    seed: int, spread: float, settings: LineSettings, rates: Sequence[float]
) -> dict[str, list[float | None]]:
    """Train the second order with each step size, with edges drawn or steps multiplied.

    Args:
        seed: of the graph (communities with hubs), of its weights and of the training.
        spread: standard deviation of the weights' logarithm.
        settings: all but the step size.
        rates: the step sizes.

    Returns:
        For both ways the objective (nats per edge) at the end, one for each step size;
        None where training diverged. "start" is the objective before training.
    """
    graph = labelled_graph(HUB_COMMUNITIES, seed)
    graph = log_normal_weights(graph, spread, stream(seed, "widely spread weights"))
    found: dict[str, list[float | None]] = {DRAWN: [], MULTIPLIED: []}
    for way, drawing in ((DRAWN, "by weight"), (MULTIPLIED, "uniform")):
        for rate in rates:
            trained = train_order(
                graph,
                2,
                replace(settings, learning_rate=rate),
                stream(seed, "train"),
                drawing,
            )
            value = float(softmax_objective(*trained, graph))
            found[way].append(value if isfinite(value) else None)
    flat = torch.zeros(graph.num_nodes, 1)
    return {**found, "start": [float(softmax_objective(flat, flat, graph))]}


def best(values: Sequence[float | None]) -> float:
    """Return the smallest objective that is a number.

    Args:
        values: objectives, None where training diverged.

    Raises:
        ValueError: if all diverged.

    Examples:
        >>> best([2.5, None, 1.5])
        1.5
    """
    numbers = [value for value in values if value is not None]
    if not numbers:
        raise ValueError("training diverged at every step size: try smaller ones")
    return min(numbers)


def adjacency_svd(graph: Graph, dimension: int) -> Float[Tensor, "nodes dim"]:
    """Return the adjacency's left singular vectors times root singular values.

    The baseline of `classification`.

    Args:
        graph: with edge weights, if it has any.
        dimension: how many left singular vectors, below the number of nodes.
    """
    matrix = csr_array(
        (graph.weights.double().numpy(), tuple(graph.edge_index.numpy())),
        shape=(graph.num_nodes, graph.num_nodes),
    )
    # A fixed start makes the iteration's result the same in every run.
    left, values, _ = svds(matrix, dimension, v0=np.ones(graph.num_nodes), rng=0)
    return torch.from_numpy(left * np.sqrt(values)).float()


def classification(
    name: str, seed: int, dimension: int, settings: LineSettings, share: float = 0.1
) -> dict[str, float]:
    """Return the micro-F1 of the orders alone, of both, and of a truncated SVD.

    All vectors are equally long.

    Args:
        name: "weighted communities", or a graph of `sources.labelled_graph`.
        seed: of the graph if it is drawn, of the training and of the labelled nodes.
        dimension: of the vectors that are classified, even; side by side, both orders
            have half each.
        settings: of the training; its dimension is replaced.
        share: of the nodes whose labels are known, in (0, 1).

    Raises:
        ValueError: for an unknown graph, or an odd dimension.
        BookError: if the files of a downloaded graph cannot be had.
    """
    if dimension % 2:
        raise ValueError(f"the dimension must be even, not {dimension}: two halves")
    drawn = name == WEIGHTED_COMMUNITIES
    graph = weighted_communities(seed) if drawn else labelled_graph(name, seed)
    vectors, halves = {}, []
    for order, label in ((1, "first order"), (2, "second order")):
        alone = replace(settings, dimension=dimension)
        half = replace(settings, dimension=dimension // 2)
        vectors[label], _ = train_order(graph, order, alone, stream(seed, label))
        halves.append(train_order(graph, order, half, stream(seed, label, "half"))[0])
    vectors["both"] = side_by_side(*halves)
    vectors["SVD of the adjacency"] = adjacency_svd(graph, dimension)
    return {
        label: classify(found, graph.y, share, stream(seed, "labelled nodes")).micro
        for label, found in vectors.items()
    }
