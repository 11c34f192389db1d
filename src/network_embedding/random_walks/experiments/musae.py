"""The experiments of the section on MUSAE: plain numbers in, plain numbers out."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from src.common.graphs.embedding_evaluation import classify, classify_on
from src.common.graphs.generators import stochastic_block_model
from src.common.graphs.graph import Graph
from src.common.training.streams import stream
from src.network_embedding.random_walks.attribute_information import (
    expected_shares,
    log_information,
    negative_chances,
    node_vectors_for,
    observed_shares,
)
from src.network_embedding.random_walks.deepwalk import DeepWalkSettings, deepwalk
from src.network_embedding.random_walks.musae import (
    AttributedVectors,
    MUSAESettings,
    Pairs,
    pooled,
    train_attributed,
    walk_attribute_pairs,
)
from src.network_embedding.random_walks.skip_gram import SkipGramSettings
from src.network_embedding.random_walks.sources import labelled_graph


def preferences(
    classes: int, attributes: int, rare: float, often: float, generator: torch.Generator
) -> Float[Tensor, "classes attributes"]:
    """Return each class's chance of each attribute: `often` for a fifth, else `rare`.

    Args:
        classes: how many.
        attributes: how many; each class has a random fifth of its own.
        rare: chance in [0, 1].
        often: chance in [0, 1].
        generator: source of the fifths.
    """
    ranks = (
        torch.rand(classes, attributes, generator=generator)
        .argsort(dim=1)
        .argsort(dim=1)
    )
    return torch.where(ranks < attributes // 5, often, rare)


def draw_attributes(
    y: Int[Tensor, " nodes"],
    chances: Float[Tensor, "classes attributes"],
    generator: torch.Generator,
) -> Bool[Tensor, "nodes attributes"]:
    """Return independent attributes, at least one per node.

    A node has each attribute with the chance of its class; without any it is given the
    one it came closest to.

    Args:
        y: classes, (nodes,).
        chances: (classes, attributes), above 0.
        generator: source of the draws.

    Returns:
        Booleans, (nodes, attributes).
    """
    draws = torch.rand(len(y), chances.shape[1], generator=generator)
    table = draws < chances[y]
    best = (draws / chances[y]).argmin(dim=1)
    return table | torch.nn.functional.one_hot(best, chances.shape[1]).bool()


RARE, OFTEN, ATTRIBUTES = 0.03, 0.2, 100
# Learning rates: each method's best of 0.00625, 0.0125, ..., 0.2 on seeds from 1000 on.
RATES = {"MUSAE": 0.1, "AE": 0.025, "DeepWalk": 0.0125}
CORA_RATES = {"MUSAE": 0.05, "AE": 0.0125, "DeepWalk": 0.00625}


def attributed_graph(
    name: str, seed: int
) -> tuple[Graph, Bool[Tensor, "nodes attributes"]]:
    """Return a graph with classes and its nodes' binary attributes.

    A graph that has features keeps those that are above 0 (Cora's words). Another gets
    100 drawn attributes, each class preferring 20 of them: about 6 per node, which tell
    about as much of the class as Cora's words do.

    Args:
        name: a graph of `sources.labelled_graph`, with one class per node.
        seed: of the graph and the attributes, if they are drawn.

    Returns:
        The graph, and booleans (nodes, attributes).

    Raises:
        ValueError: for an unknown graph.
        BookError: if the files of a downloaded graph cannot be had.
    """
    graph = labelled_graph(name, seed)
    if graph.x is not None:
        return graph, graph.x > 0
    chances = preferences(
        int(graph.y.max()) + 1, ATTRIBUTES, RARE, OFTEN, stream(seed, "chances")
    )
    return graph, draw_attributes(graph.y, chances, stream(seed, "attributes"))


def recipe(
    dimension: int, pairs: int, epochs: int, distances: int = 3
) -> MUSAESettings:
    """Return the settings of the comparisons: MUSAE's walks, a limited number of pairs.

    Args:
        dimension: of the whole vector, a multiple of `distances`.
        pairs: for each distance.
        epochs: of the skip-grams.
        distances: the largest distance of a pair.

    Raises:
        ValueError: from `MUSAESettings`, for sizes that do not fit.
    """
    skip_gram = SkipGramSettings(epochs=epochs, block=640, rows_a_node=32.0, reach=4.0)
    return MUSAESettings(
        dimension, distances, walks=5, steps=40, pairs=pairs, skip_gram=skip_gram
    )


def learn(
    kind: str,
    parts: list[Pairs],
    table: Bool[Tensor, "nodes attributes"],
    settings: MUSAESettings,
    seed: int,
    rates: dict[str, float] = RATES,
) -> AttributedVectors:
    """Return the vectors of one method from pairs, with its own best rate.

    Args:
        kind: "MUSAE", or "AE" for the same pairs without their distances.
        parts: pairs, one set per distance.
        table: attributes, (nodes, attributes).
        settings: of the skip-grams; the learning rate is replaced.
        seed: of the training.
        rates: kind -> learning rate.

    Raises:
        ValueError: for another kind.
    """
    if kind not in ("MUSAE", "AE"):
        raise ValueError(f"the kind must be 'MUSAE' or 'AE', not {kind!r}")
    skip_gram = replace(settings.skip_gram, learning_rate=rates[kind])
    sets = parts if kind == "MUSAE" else pooled(parts)
    own = replace(settings, skip_gram=skip_gram)
    return train_attributed(sets, *table.shape, own, stream(seed, kind))


def walk_vectors(
    graph: Graph,
    dimension: int,
    generator: torch.Generator,
    rates: dict[str, float] = RATES,
) -> Float[Tensor, "nodes dim"]:
    """Return DeepWalk's vectors, with its own best rate.

    Args:
        graph: to embed; its attributes are not used.
        dimension: of the vectors.
        generator: source of walks and training.
        rates: its "DeepWalk" is the learning rate.
    """
    skip_gram = SkipGramSettings(dimension=dimension, learning_rate=rates["DeepWalk"])
    return deepwalk(graph, DeepWalkSettings(skip_gram=skip_gram), generator)


def compare(
    name: str, seed: int, dimension: int, pairs: int, epochs: int, share: float = 0.1
) -> dict[str, float]:
    """Return the micro-F1 of a linear classifier on each kind of vector.

    MUSAE and AE learn from the same pairs; all learned vectors have the same size;
    every kind is judged on the same labelled nodes.

    Args:
        name: of `attributed_graph`.
        seed: of the graph, the methods and the labelled nodes.
        dimension: a multiple of 3.
        pairs: for each of 3 distances.
        epochs: of the skip-grams.
        share: of labelled nodes, in (0, 1).

    Raises:
        ValueError: for an unknown graph.
        BookError: if the files of a downloaded graph cannot be had.
    """
    graph, table = attributed_graph(name, seed)
    settings = recipe(dimension, pairs, epochs)
    parts = walk_attribute_pairs(graph, table, settings, stream(seed, "walks"))
    rates = CORA_RATES if name == "cora" else RATES
    vectors = {
        "MUSAE": learn("MUSAE", parts, table, settings, seed, rates).nodes,
        "AE": learn("AE", parts, table, settings, seed, rates).nodes,
        "DeepWalk": walk_vectors(graph, dimension, stream(seed, "deepwalk"), rates),
        "own attributes": table.float(),
    }
    return {
        kind: classify(found, graph.y, share, stream(seed, "labels")).micro
        for kind, found in vectors.items()
    }


def factorisation(
    seed: int, nodes: int, pairs: int, epochs: int
) -> dict[str, list[float]]:
    """Train MUSAE at full size on a small block model; compare it with the closed form.

    Args:
        seed: of the graph, the attributes and the training.
        nodes: in three blocks.
        pairs: for each of 3 distances.
        epochs: of the skip-grams.

    Returns:
        "correlation" for each distance, over the node-attribute pairs that occur;
        "closed" and "trained", both numbers of every such pair at distance 2, for a
        figure.
    """
    third = nodes // 3
    graph = stochastic_block_model((third,) * 3, 0.5, 0.05, stream(seed, "small graph"))
    chances = preferences(3, 20, 0.1, 0.4, stream(seed, "small chances"))
    table = draw_attributes(graph.y, chances, stream(seed, "small attributes"))
    size = table.shape[1]
    settings = recipe(3 * size, pairs, epochs)
    parts = walk_attribute_pairs(graph, table, settings, stream(seed, "small walks"))
    found = learn("MUSAE", parts, table, settings, seed, {"MUSAE": 0.05})
    correlations, kept = [], {}
    for distance in (1, 2, 3):
        seen = observed_shares(parts[distance - 1], *table.shape) > 0
        rule = settings.skip_gram
        exact = expected_shares(graph, table, [distance])
        closed = log_information(exact, rule.negatives, rule.exponent)[seen]
        part = distance - 1
        trained = (found.node_parts[part] @ found.attribute_parts[part].T)[
            seen
        ].double()
        correlations.append(float(torch.corrcoef(torch.stack([closed, trained]))[0, 1]))
        if distance == 2:
            kept = {"closed": closed.tolist(), "trained": trained.tolist()}
    return {"correlation": correlations, **kept}


def transfer(
    seed: int, nodes: int, dimension: int, pairs: int, epochs: int
) -> dict[str, float]:
    """Return the accuracy on a second graph of classifiers fitted on the first.

    Both graphs are block models without a common node or edge; what they share are the
    classes' preferences for attributes. Attribute vectors are learned on the first
    graph and stay fixed; the nodes of both graphs get the best vectors for them.
    DeepWalk embeds each graph by itself.

    Args:
        seed: of everything.
        nodes: of each graph, in four blocks.
        dimension: a multiple of 3.
        pairs: for each of 3 distances.
        epochs: of the skip-grams.
    """
    chances = preferences(4, ATTRIBUTES, RARE, OFTEN, stream(seed, "shared chances"))
    settings = recipe(dimension, pairs, epochs)
    graphs = [
        stochastic_block_model(
            (nodes // 4,) * 4, 28 / nodes, 4 / nodes, stream(seed, "graph", i)
        )
        for i in range(2)
    ]
    tables = [
        draw_attributes(g.y, chances, stream(seed, "table", i))
        for i, g in enumerate(graphs)
    ]
    parts = [
        walk_attribute_pairs(graph, table, settings, stream(seed, "walks", i))
        for i, (graph, table) in enumerate(zip(graphs, tables, strict=True))
    ]
    vectors = {
        "MUSAE": shared_vectors(parts, tables, settings, seed),
        "DeepWalk": [
            walk_vectors(g, dimension, stream(seed, "deepwalk", i))
            for i, g in enumerate(graphs)
        ],
        "own attributes": [table.float() for table in tables],
    }
    return {
        kind: classify_on(first, graphs[0].y, second, graphs[1].y).micro
        for kind, (first, second) in vectors.items()
    }


def shared_vectors(
    parts: list[list[Pairs]],
    tables: list[Bool[Tensor, "nodes attributes"]],
    settings: MUSAESettings,
    seed: int,
) -> list[Float[Tensor, "nodes dim"]]:
    """Return MUSAE's node vectors of two graphs for the first one's attribute vectors.

    Args:
        parts: for each graph its pairs by distance.
        tables: each graph's attributes.
        settings: of the skip-grams.
        seed: of their training.

    Returns:
        For each graph, (nodes, dim).
    """
    learned = learn("MUSAE", parts[0], tables[0], settings, seed).attribute_parts
    rule, vectors = settings.skip_gram, []
    shares = [
        [observed_shares(pairs, *table.shape) for pairs in own]
        for own, table in zip(parts, tables, strict=True)
    ]
    chances = [negative_chances(share, rule.exponent) for share in shares[0]]
    for own in shares:
        solved = [
            node_vectors_for(share, words, chance, rule.negatives)
            for share, words, chance in zip(own, learned, chances, strict=True)
        ]
        vectors.append(torch.cat(solved, dim=1))
    return vectors


def mixing(
    seed: int, balance: float, nodes: int, pairs: int, epochs: int
) -> dict[str, float]:
    """Return MUSAE's and AE's micro-F1 on two classes that seek or avoid each other.

    Args:
        seed: of everything.
        balance: share of edges within the classes minus share between them, in (-1, 1):
            a step of the walk keeps this much of the difference between the classes, r
            steps its r-th power.
        nodes: in two blocks.
        pairs: for each of 2 distances.
        epochs: of the skip-grams.
    """
    inside, between = (1 + balance) * 10 / nodes, (1 - balance) * 10 / nodes
    graph = stochastic_block_model(
        (nodes // 2,) * 2, inside, between, stream(seed, "mixed graph")
    )
    chances = preferences(2, ATTRIBUTES, RARE, OFTEN, stream(seed, "mixed chances"))
    table = draw_attributes(graph.y, chances, stream(seed, "mixed attributes"))
    settings = recipe(16, pairs, epochs, distances=2)
    parts = walk_attribute_pairs(graph, table, settings, stream(seed, "mixed walks"))
    scores = {}
    for kind in ("MUSAE", "AE"):
        vectors = learn(kind, parts, table, settings, seed).nodes
        scores[kind] = classify(
            vectors, graph.y, 0.1, stream(seed, "mixed labels")
        ).micro
    return scores
