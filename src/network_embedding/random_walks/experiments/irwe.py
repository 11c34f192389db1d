"""The experiments of the section on IRWE: plain numbers in, plain numbers out."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from src.common.graphs.embedding_evaluation import classify, classify_on
from src.common.graphs.generators import communities_of_roles
from src.common.graphs.graph import Graph
from src.common.training.loop import TrainingSettings
from src.common.training.streams import stream
from src.network_embedding.random_walks.deepwalk import DeepWalkSettings, deepwalk
from src.network_embedding.random_walks.irwe import (
    IRWESettings,
    embed,
    fit_irwe,
    walk_statistics,
)
from src.network_embedding.random_walks.skip_gram import SkipGramSettings
from src.network_embedding.random_walks.sources import labelled_graph

SHARE = 0.5  # of the nodes to learn a classifier from


def planted(
    seed: int, communities: int, key: str
) -> tuple[Graph, Int[Tensor, " nodes"]]:
    """Return a graph of communities (`y`) with four roles in each, and the roles.

    Args:
        seed: of the graph.
        communities: of 32 nodes each, at least 2.
        key: tells several graphs of one seed apart.
    """
    generator = stream(seed, "planted roles", key)
    return communities_of_roles(communities, 3, 20, 8, generator)


def hop_distances(graph: Graph, furthest: int) -> Int[Tensor, "nodes nodes"]:
    """Return the number of steps between nodes.

    Args:
        graph: small enough for (nodes, nodes) matrices.
        furthest: steps to look; larger distances become furthest + 1.
    """
    near = torch.zeros(graph.num_nodes, graph.num_nodes)
    near[graph.edge_index[0], graph.edge_index[1]] = 1.0
    reached = torch.eye(graph.num_nodes)
    distances = torch.full_like(reached, furthest + 1, dtype=torch.long).fill_diagonal_(
        0
    )
    for hop in range(1, furthest + 1):
        reached = ((reached @ near + reached) > 0).float()
        distances[(reached > 0) & (distances > hop)] = hop
    return distances


def degree_sequences(
    graph: Graph, hops: int = 2, quantiles: int = 5
) -> Float[Tensor, "nodes features"]:
    """Return quantiles of the logarithmic degrees on the rings around each node.

    What struc2vec (Ribeiro, Saverese and Figueiredo, 2017) compares: the ordered
    degrees of the nodes at 0, 1, ..., `hops` steps; an empty ring counts as zeros.

    Args:
        graph: small.
        hops: the last ring.
        quantiles: numbers per ring, from the smallest degree to the largest.

    Returns:
        (nodes, (hops + 1) * quantiles).
    """
    logs = torch.log1p(graph.indptr.diff().float())
    distances = hop_distances(graph, hops)
    levels = torch.linspace(0, 1, quantiles)
    rows = []
    for node in range(graph.num_nodes):
        rings = [logs[distances[node] == hop] for hop in range(hops + 1)]
        values = [
            r.quantile(levels) if len(r) else torch.zeros(quantiles) for r in rings
        ]
        rows.append(torch.cat(values))
    return torch.stack(rows)


def halves(
    classes: Int[Tensor, " nodes"], generator: torch.Generator
) -> tuple[Int[Tensor, " first"], Int[Tensor, " second"]]:
    """Return two random halves of the nodes; each class is divided evenly.

    Args:
        classes: (nodes,).
        generator: source of the order.

    Examples:
        >>> classes = torch.tensor([0, 1, 1, 0])
        >>> first, second = halves(classes, torch.Generator().manual_seed(0))
        >>> classes[first].tolist(), classes[second].tolist()
        ([0, 1], [0, 1])
    """
    order = torch.randperm(len(classes), generator=generator)
    order = order[classes[order].argsort(stable=True)]
    return order[::2], order[1::2]


def recipe(walks: int, steps: int) -> IRWESettings:
    """Return the settings of the experiments.

    Args:
        walks: from each node.
        steps: of the training.
    """
    return IRWESettings(
        walks=walks, training=TrainingSettings(steps=steps, learning_rate=1e-2)
    )


def walk_vectors(
    graph: Graph, dimension: int, seed: int, key: str
) -> Float[Tensor, "nodes dim"]:
    """Return DeepWalk's vectors.

    Args:
        graph: to embed.
        dimension: of the vectors.
        seed: of walks and training.
        key: tells several graphs of one seed apart.
    """
    settings = DeepWalkSettings(skip_gram=SkipGramSettings(dimension=dimension))
    return deepwalk(graph, settings, stream(seed, "deepwalk", key))


KINDS = ("identity", "position", "statistics", "degrees", "DeepWalk")
# What each kind of vectors is asked: its strength, its weakness, and what transfers.
ASKED = {
    "roles": KINDS,
    "fresh": ("identity", "statistics", "degrees", "DeepWalk"),
    "communities": ("identity", "position", "DeepWalk"),
}


def roles_and_communities(
    seed: int, communities: int, walks: int, steps: int
) -> dict[str, float]:
    """Return the macro-F1 of roles and of communities from the kinds of vectors.

    Half of the nodes teach a linear classifier, the others test it; all kinds are
    judged on the same halves.

    Args:
        seed: of the graphs, the walks and the training.
        communities: each has 32 nodes.
        walks: from each node.
        steps: of the training.

    Returns:
        "identity roles", "position communities" and so on (see `ASKED`) -> macro-F1;
        "fresh" are the roles of a second graph that no model was trained on, by the
        classifier of the first.
    """
    graph, roles = planted(seed, communities, "first")
    fresh, fresh_roles = planted(seed, communities, "fresh")
    settings = recipe(walks, steps)
    own = walk_statistics(graph, settings, stream(seed, "walks"))
    new = walk_statistics(fresh, settings, stream(seed, "fresh walks"))
    model = fit_irwe(own, settings, stream(seed, "training"))
    (identity, position), (new_identity, new_position) = (
        embed(model, own),
        embed(model, new),
    )
    size = settings.dimension
    vectors = {
        "identity": (identity, new_identity),
        "position": (position, new_position),
        "statistics": (own.roles, new.roles),
        "degrees": (degree_sequences(graph), degree_sequences(fresh)),
        "DeepWalk": tuple(
            walk_vectors(g, size, seed, key)
            for g, key in [(graph, "first"), (fresh, "fresh")]
        ),
    }
    learn, test = halves(roles, stream(seed, "role halves"))
    place, other = halves(graph.y, stream(seed, "community halves"))
    scores = {}
    for kind in ASKED["roles"]:
        v = vectors[kind][0]
        found = classify_on(v[learn], roles[learn], v[test], roles[test])
        scores[f"{kind} roles"] = found.macro
    for kind in ASKED["fresh"]:
        v, w = vectors[kind]
        scores[f"{kind} fresh"] = classify_on(
            v[learn], roles[learn], w, fresh_roles
        ).macro
    for kind in ASKED["communities"]:
        v = vectors[kind][0]
        found = classify_on(v[place], graph.y[place], v[other], graph.y[other])
        scores[f"{kind} communities"] = found.macro
    return scores


def activity_classes(name: str, seed: int, walks: int, steps: int) -> dict[str, float]:
    """Return the macro-F1 of an air-traffic network's classes by kind of vectors.

    Args:
        name: of a graph with four classes of activity.
        seed: of the walks, the training and the halves.
        walks: from each node.
        steps: of the training.

    Raises:
        ValueError: for an unknown graph.
        BookError: if the files of a downloaded graph cannot be had.
    """
    graph = labelled_graph(name, seed)
    settings = recipe(walks, steps)
    statistics = walk_statistics(graph, settings, stream(seed, "walks"))
    model = fit_irwe(statistics, settings, stream(seed, "training"))
    identity, position = embed(model, statistics)
    vectors = {
        "identity": identity,
        "position": position,
        "statistics": statistics.roles,
        "degrees": degree_sequences(graph),
        "DeepWalk": walk_vectors(graph, settings.dimension, seed, name),
    }
    return {
        kind: classify(found, graph.y, SHARE, stream(seed, "halves")).macro
        for kind, found in vectors.items()
    }
