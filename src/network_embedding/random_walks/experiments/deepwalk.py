"""DeepWalk's experiments: few labels, late walks, hubs in walks, two softmaxes."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from src.common.checks import within
from src.common.graphs.embedding_evaluation import classify
from src.common.graphs.generators import preferential_attachment
from src.common.graphs.graph import Graph
from src.common.training.streams import stream
from src.network_embedding.random_walks.deepwalk import DeepWalkSettings, deepwalk
from src.network_embedding.random_walks.factorisation.spectral import (
    laplacian_vectors,
    modularity_vectors,
)
from src.network_embedding.random_walks.hierarchical_softmax import train_walks_by_turns
from src.network_embedding.random_walks.skip_gram import train_walks
from src.network_embedding.random_walks.sources import labelled_graph
from src.network_embedding.random_walks.walks import ENDED, uniform_walks, walk_starts

DEEPWALK, SPECTRAL, MODULARITY = "DeepWalk", "Laplacian", "modularity"
SPLITS = 3


def mean_micro(
    vectors: Tensor, graph: Graph, share: float, seed: int, splits: int = SPLITS
) -> float:
    """Return the micro-F1 with this share of labels, mean over random splits.

    Args:
        vectors: (nodes, dim).
        graph: its `y` holds the labels.
        share: of the nodes whose labels the classifier sees, in (0, 1).
        seed: of the splits.
        splits: how many, at least 1.

    Raises:
        ValueError: for splits below 1.
    """
    within("splits", splits, 1)
    found = [
        classify(
            vectors, graph.y, share, stream(seed, f"{share} of the labels", k)
        ).micro
        for k in range(splits)
    ]
    return sum(found) / splits


def few_labels(
    source: str, seed: int, settings: DeepWalkSettings, shares: Sequence[float]
) -> dict[str, list[float]]:
    """Classify nodes with DeepWalk's vectors and with those of two spectral baselines.

    Args:
        source: a name of `src.network_embedding.random_walks.sources.labelled_graph`.
        seed: of a drawn graph, the walks, the training and the splits.
        settings: walks and training; the baselines have the same dimension.
        shares: of the nodes whose labels the classifier sees, each in (0, 1).

    Returns:
        method -> micro-F1, one for each share.

    Raises:
        ValueError: for an unknown graph.
        BookError: if the files of a downloaded graph cannot be had.
    """
    graph = labelled_graph(source, seed)
    dimension = settings.training.dimension
    vectors = {
        DEEPWALK: deepwalk(graph, settings, stream(seed, DEEPWALK)),
        SPECTRAL: laplacian_vectors(graph, dimension, stream(seed, SPECTRAL)),
        MODULARITY: modularity_vectors(graph, dimension, stream(seed, MODULARITY)),
    }
    return {
        name: [mean_micro(found, graph, share, seed) for share in shares]
        for name, found in vectors.items()
    }


def online(
    source: str, seed: int, settings: DeepWalkSettings, share: float
) -> tuple[float, float]:
    """Train on the walks from half the nodes, then the others', and on all at once.

    Args:
        source: as for `few_labels`.
        seed: as for `few_labels`; both ways see the same walks.
        settings: walks and training.
        share: of the nodes whose labels the classifier sees, in (0, 1).

    Returns:
        The micro-F1 of training in two turns, and of training at once.

    Raises:
        ValueError: for an unknown graph.
        BookError: if the files of a downloaded graph cannot be had.
    """
    graph = labelled_graph(source, seed)
    nodes, window, training = graph.num_nodes, settings.window, settings.training
    starts = walk_starts(nodes, settings.walks, stream(seed, "starts"))
    walks = uniform_walks(graph, starts, settings.steps, stream(seed, "walks"))
    early = torch.randperm(nodes, generator=stream(seed, "half"))[: nodes // 2]
    first = torch.isin(starts, early)
    generator = stream(seed, "online")
    state = train_walks(walks[first], nodes, window, training, generator)
    later = train_walks(walks[~first], nodes, window, training, generator, start=state)[
        0
    ]
    at_once = train_walks(walks, nodes, window, training, stream(seed, "at once"))[0]
    return mean_micro(later, graph, share, seed), mean_micro(
        at_once, graph, share, seed
    )


def rank_slopes(
    seed: int, nodes: int, links: int, walks: int, steps: int
) -> dict[str, list]:
    """Compare how degrees, and nodes' frequencies in short walks, fall with their rank.

    Args:
        seed: of the preferential-attachment graph and the walks.
        nodes: of the graph, at least 20.
        links: that a new node makes.
        walks: from every node.
        steps: of a walk.

    Returns:
        "degree" and "frequency", largest first, and "slopes": of the logarithms of
        frequency and degree against that of the rank, over the first tenth of the
        ranks.

    Raises:
        ValueError: for fewer than 20 nodes.
    """
    within("nodes", nodes, 20, remedy="a slope takes two ranks in the first tenth")
    graph = preferential_attachment(nodes, links, stream(seed, "graph"))
    starts = walk_starts(nodes, walks, stream(seed, "starts"))
    found = uniform_walks(graph, starts, steps, stream(seed, "walks"))
    frequency = torch.bincount(found[found != ENDED], minlength=nodes).double()
    ranked = [
        each.double().sort(descending=True).values for each in (frequency, graph.degree)
    ]
    return {
        "degree": ranked[1].tolist(),
        "frequency": ranked[0].tolist(),
        "slopes": [log_slope(each[: nodes // 10]) for each in ranked],
    }


def log_slope(values: Float[Tensor, " ranks"]) -> float:
    """Return the slope of log values against log rank, by least squares.

    Args:
        values: positive, at least two, largest first.

    Raises:
        ValueError: for fewer than two values, or one that is not positive and finite.

    Examples:
        >>> round(log_slope(torch.tensor([8.0, 4.0, 8 / 3, 2.0])), 3)  # 8 / rank
        -1.0
    """
    if len(values) < 2 or not bool(((values > 0) & values.isfinite()).all()):
        raise ValueError("need at least two values, all positive and finite")
    rank = np.log(np.arange(1, len(values) + 1))
    return float(np.polyfit(rank, values.double().log().numpy(), 1)[0])


def two_softmaxes(
    source: str, seed: int, settings: DeepWalkSettings, share: float
) -> tuple[float, float]:
    """Return the micro-F1 of negative sampling and of hierarchical softmax.

    Both learn from the same walks.

    Args:
        source: as for `few_labels`.
        seed: of a drawn graph, the walks, the training and the splits.
        settings: walks and training.
        share: of the nodes whose labels the classifier sees, in (0, 1).

    Raises:
        ValueError: for an unknown graph.
        BookError: if the files of a downloaded graph cannot be had.
    """
    graph = labelled_graph(source, seed)
    starts = walk_starts(graph.num_nodes, settings.walks, stream(seed, "starts"))
    walks = uniform_walks(graph, starts, settings.steps, stream(seed, "walks"))
    known = (walks, graph.num_nodes, settings.window, settings.training)
    sampled = train_walks(*known, stream(seed, "negatives"))[0]
    by_turns = train_walks_by_turns(*known, stream(seed, "turns"))
    return mean_micro(sampled, graph, share, seed), mean_micro(
        by_turns, graph, share, seed
    )
