"""Experiments on orbit adjacencies: what walks do not explain, and which labels."""

from functools import lru_cache

import networkx as nx
import torch
from jaxtyping import Float, Int
from torch import Tensor

from src.common.checks import within
from src.common.graphs.embedding_evaluation import classify_on
from src.common.graphs.generators import communities_of_roles
from src.common.graphs.graph import Graph, adjacency
from src.common.training.streams import stream
from src.network_embedding.random_walks.factorisation.graphlets import pair_orbits
from src.network_embedding.random_walks.factorisation.orbit_adjacency import (
    orbit_adjacencies,
)
from src.network_embedding.random_walks.factorisation.pointwise_factorisation import (
    factorise,
    ppmi,
    walk_cooccurrence,
)
from src.network_embedding.random_walks.sources import labelled_graph

ROLES = "planted roles"
COMMUNITIES = "planted communities"
SOCIAL = {
    "Les Miserables": nx.les_miserables_graph,
    "karate club": nx.karate_club_graph,
}
WINDOWS = (1, 2, 3, 10)
FEWEST = 4  # members of a class that takes part


@lru_cache(maxsize=2)
def orbit_graph(source: str, seed: int) -> Graph:
    """Return a graph with one label per node in `y`.

    Args:
        source: "planted roles" or "planted communities", two labellings of the same
            drawn graph; "Les Miserables" or "karate club" (without labels); else a name
            of `labelled_graph`.
        seed: of a drawn graph.

    Raises:
        ValueError: for an unknown graph.
        BookError: if the files of a downloaded graph cannot be had.
    """
    if source in (ROLES, COMMUNITIES):
        graph, roles = communities_of_roles(8, 2, 10, 5, stream(seed, "planted"))
        labels = roles if source == ROLES else graph.y
        return Graph(graph.edge_index, graph.num_nodes, y=labels)
    if source in SOCIAL:
        return Graph.from_networkx(SOCIAL[source]())
    return labelled_graph(source, seed)


def unexplained_shares(source: str, seed: int) -> dict[str, float]:
    """Return how much of each orbit adjacency the counts of walks leave unexplained.

    The entries off the diagonal are fitted by least squares with a constant and the
    numbers of walks of one, two and three steps; the share is the residual variance
    over the variance.

    Args:
        source: of `orbit_graph`.
        seed: of a drawn graph.

    Returns:
        The share in [0, 1] for each pair orbit's name; orbits that do not occur are
        left out.
    """
    graph = orbit_graph(source, seed)
    a = adjacency(graph, torch.double).to_dense()
    off = ~torch.eye(len(a), dtype=torch.bool)
    walks = torch.stack([power[off] for power in (a, a @ a, a @ a @ a)])
    walks = walks - walks.mean(dim=1, keepdim=True)
    walks = torch.linalg.qr(walks.T)[0]
    shares = {}
    for orbit, counts in zip(pair_orbits(), orbit_adjacencies(graph), strict=True):
        entries = counts[off] - counts[off].mean()
        if bool(entries.any()):
            rest = entries - walks @ (walks.T @ entries)
            shares[orbit.name] = float(rest.square().sum() / entries.square().sum())
    return shares


@lru_cache(maxsize=2)
def pair_vectors(
    source: str, seed: int, dimension: int
) -> dict[str, Float[Tensor, "nodes dim"]]:
    """Return the nodes' vectors from orbit adjacencies and from walks.

    All by the same factorisation: PPMI and truncated SVD.

    Args:
        source: of `orbit_graph`.
        seed: of a drawn graph.
        dimension: of the vectors.

    Returns:
        name -> (nodes, dim). Names are those of the pair orbits, and "walks, window 3"
        and so on.
    """
    graph = orbit_graph(source, seed)
    tables = dict(
        zip((o.name for o in pair_orbits()), orbit_adjacencies(graph), strict=True)
    )
    tables |= {f"walks, window {w}": walk_cooccurrence(graph, w) for w in WINDOWS}
    return {name: factorise(ppmi(table), dimension) for name, table in tables.items()}


def label_scores(
    source: str, seed: int, dimension: int, repeats: int
) -> dict[str, dict]:
    """Return the macro-F1 of vectors, chosen within each group by validation.

    A quarter of the nodes of each class is kept for the test. Of the others a third
    validates a logistic regression that learned from two thirds, on `repeats` random
    divisions; the vectors with the best mean then learn from all of them and are
    tested.

    Args:
        source: of `orbit_graph`, with labels.
        seed: of a drawn graph, of the test nodes and of the divisions.
        dimension: of the vectors.
        repeats: divisions, at least 1.

    Returns:
        "validation": the mean score of each name of `pair_vectors`; "chosen": for each
        of the `groups` [name, test score].

    Raises:
        ValueError: for repeats below 1, or a graph without labels.
    """
    within("repeats", repeats, 1)
    graph_seed = seed if source in (ROLES, COMMUNITIES) else 0
    y = orbit_graph(source, graph_seed).y
    if y is None:
        raise ValueError(f"the nodes of {source!r} have no labels")
    generator = stream(seed, "split", source)
    everyone = torch.nonzero(torch.bincount(y)[y] >= FEWEST).ravel()
    test, known = divide(y, everyone, 1 / 4, generator)
    divisions = [divide(y, known, 1 / 3, generator) for _ in range(repeats)]
    vectors = pair_vectors(source, graph_seed, dimension)
    validation = {
        name: sum(_macro(v, y, train, val) for val, train in divisions) / repeats
        for name, v in vectors.items()
    }
    chosen = {}
    for group, names in groups().items():
        best = max(names, key=validation.__getitem__)  # the first of equals
        chosen[group] = [best, _macro(vectors[best], y, known, test)]
    return {"validation": validation, "chosen": chosen}


def divide(
    y: Int[Tensor, " nodes"],
    members: Int[Tensor, " some"],
    share: float,
    generator: torch.Generator,
) -> tuple[Int[Tensor, " part"], Int[Tensor, " rest"]]:
    """Return a random share of the members, at least one of every class, and the rest.

    Args:
        y: classes of all nodes, (nodes,).
        members: the nodes to divide.
        share: of each class for the first part, in [0, 1].
        generator: source of the order.

    Examples:
        >>> y = torch.tensor([0, 0, 0, 0, 1])
        >>> part, rest = divide(y, torch.arange(5), 0.25, torch.Generator())
        >>> y[part].tolist(), y[rest].tolist()
        ([0, 1], [0, 0, 0])
    """
    order = members[torch.randperm(len(members), generator=generator)]
    parts, rests = [], []
    for label in torch.unique(y[members]).tolist():
        own = order[y[order] == label]
        cut = max(1, round(share * len(own)))
        parts.append(own[:cut])
        rests.append(own[cut:])
    return torch.cat(parts), torch.cat(rests)


def _macro(vectors: Tensor, y: Tensor, train: Tensor, test: Tensor) -> float:
    """Return the macro-F1 on the test nodes of a classifier taught by the others."""
    return classify_on(vectors[train], y[train], vectors[test], y[test]).macro


def groups() -> dict[str, list[str]]:
    """Return the names that each group of vectors may choose from."""
    orbits = pair_orbits()
    return {
        "orbit adjacencies": [o.name for o in orbits],
        "seen": [o.name for o in orbits if o.seen],
        "unseen": [o.name for o in orbits if not o.seen],
        "walks": [f"walks, window {w}" for w in WINDOWS],
    }
