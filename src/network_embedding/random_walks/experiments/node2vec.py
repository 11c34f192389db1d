"""node2vec's experiments: Les Miserables, and p and q chosen on validation data."""

from collections.abc import Sequence
from functools import lru_cache

import networkx as nx
import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score
from torch import Tensor

from src.common.graphs.embedding_evaluation import classify_on
from src.common.graphs.graph import Graph
from src.common.graphs.link_prediction import (
    LinkSplit,
    adamic_adar,
    hide_links,
    link_auc,
    score_auc,
)
from src.common.training.streams import stream
from src.network_embedding.random_walks.deepwalk import DeepWalkSettings
from src.network_embedding.random_walks.node2vec import node2vec
from src.network_embedding.random_walks.sources import labelled_graph

COMMUNITIES, ROLES = 6, 3
DEEPWALK = (1.0, 1.0)
Pair = tuple[float, float]


@lru_cache(maxsize=1)
def les_miserables() -> tuple[Graph, nx.Graph]:
    """Return the 77 characters of the novel and their 254 common appearances.

    Edges have no weights in the first graph; the second is networkx's own, and has
    them.
    """
    graph = nx.les_miserables_graph()
    return Graph.from_networkx(graph), graph


@lru_cache(maxsize=1)
def modularity_communities() -> Int[np.ndarray, " nodes"]:
    """Return each character's community, by greedy maximisation of modularity.

    Edge weights are not used.
    """
    _, graph = les_miserables()
    found = nx.community.greedy_modularity_communities(graph)
    number = {name: i for i, members in enumerate(found) for name in members}
    return np.array([number[name] for name in graph])


@lru_cache(maxsize=1)
def role_clusters() -> Int[np.ndarray, " nodes"]:
    """Return each character's role, a number below 3.

    The roles are clusters of degree, clustering coefficient and betweenness,
    standardised.
    """
    _, graph = les_miserables()
    tables = (
        dict(graph.degree()),
        nx.clustering(graph),
        nx.betweenness_centrality(graph),
    )
    features = np.array(
        [[table[name] for table in tables] for name in graph], dtype=float
    )
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    return k_means(torch.from_numpy(features), ROLES, 0)


def k_means(points: Float[Tensor, "nodes dim"], clusters: int, seed: int) -> np.ndarray:
    """Return each point's cluster: the best of ten starts.

    Args:
        points: (nodes, dim).
        clusters: how many, at most `nodes`.
        seed: of the starts.

    Returns:
        Numbers 0, ..., clusters - 1, (nodes,).
    """
    model = KMeans(clusters, n_init=10, random_state=seed)
    return model.fit_predict(points.double().numpy())


def characters(
    seed: int, p: float, q: float, settings: DeepWalkSettings
) -> dict[str, object]:
    """Embed Les Miserables; compare clusters of its vectors with communities and roles.

    Args:
        seed: of the walks, the training and the clusters.
        p: node2vec's return parameter, above 0.
        q: node2vec's in-out parameter, above 0.
        settings: walks and training.

    Returns:
        "communities" and "roles": normalised mutual information in [0, 1] of 6 clusters
        with the communities and of 3 clusters with the roles; "clusters": both lists,
        (nodes,) numbers.
    """
    graph, _ = les_miserables()
    vectors = node2vec(graph, settings, p, q, stream(seed, f"node2vec, p {p}, q {q}"))
    six, three = k_means(vectors, COMMUNITIES, seed), k_means(vectors, ROLES, seed)
    return {
        "communities": float(
            normalized_mutual_info_score(modularity_communities(), six)
        ),
        "roles": float(normalized_mutual_info_score(role_clusters(), three)),
        "clusters": [six.tolist(), three.tolist()],
    }


def chosen_on_labels(
    source: str,
    seed: int,
    settings: DeepWalkSettings,
    grid: Sequence[Pair],
    share: float,
) -> dict[str, object]:
    """Choose p and q on part of the known labels; compare with p = q = 1 on the others.

    A fifth of the known labels is set apart; the classifier is trained on the others,
    and p and q with the best micro-F1 on that fifth are tested with all known labels.

    Args:
        source: a name of `src.network_embedding.random_walks.sources.labelled_graph`.
        seed: of a drawn graph, walks, training and split.
        settings: the same for all p and q.
        grid: pairs (p, q), with (1, 1) among them: DeepWalk is one of the points.
        share: of the nodes whose labels are known, in (0, 1).

    Returns:
        "chosen": (p, q), "best": its test score, "deepwalk": that of (1, 1), and "test"
        and "validation": all scores in the grid's order.

    Raises:
        ValueError: for an unknown graph, or a grid without (1, 1).
        BookError: if the files of a downloaded graph cannot be had.
    """
    pairs = [tuple(pair) for pair in grid]
    if DEEPWALK not in pairs:
        raise ValueError(f"the grid must hold {DEEPWALK}, which is DeepWalk: {pairs}")
    graph = labelled_graph(source, seed)
    known, hidden = _known_and_hidden(graph, share, seed)
    fit, held = known[len(known) // 5 :], known[: len(known) // 5]
    validation, test = [], []
    for p, q in grid:
        x, y = (
            node2vec(graph, settings, p, q, stream(seed, f"labels, p {p}, q {q}")),
            graph.y,
        )
        validation.append(classify_on(x[fit], y[fit], x[held], y[held]).micro)
        test.append(classify_on(x[known], y[known], x[hidden], y[hidden]).micro)
    best = int(np.argmax(validation))
    return {
        "chosen": list(grid[best]),
        "best": test[best],
        "deepwalk": test[pairs.index(DEEPWALK)],
        "test": test,
        "validation": validation,
    }


def chosen_on_links(
    source: str,
    seed: int,
    settings: DeepWalkSettings,
    grid: Sequence[Pair],
    share: float,
) -> dict[str, object]:
    """Choose p and q on links hidden from what remains; compare on the hidden links.

    For the choice a tenth of the remaining links is hidden a second time. The chosen p
    and q, and p = q = 1, are then trained on all that remains.

    Args:
        source: as for `chosen_on_labels`.
        seed: of a drawn graph, hidden links, walks and training.
        settings: the same for all p and q.
        grid: pairs (p, q), at least one.
        share: of the links that are hidden, in (0, 1).

    Returns:
        "chosen": (p, q), areas under the ROC curve on the hidden links as "best",
        "deepwalk" and "adamic-adar", and "validation" in the grid's order.

    Raises:
        ValueError: for an empty grid, and from `hide_links` for a share that hides no
            link or too many.
    """
    if not grid:
        raise ValueError("the grid must hold at least one pair (p, q)")
    split = hide_links(
        labelled_graph(source, seed), share, stream(seed, "hidden links")
    )
    inner = hide_links(split.graph, 0.1, stream(seed, "links for the choice"))

    def area(part: LinkSplit, pair: Pair) -> float:
        name = f"links, p {pair[0]}, q {pair[1]}"
        return link_auc(node2vec(part.graph, settings, *pair, stream(seed, name)), part)

    validation = [area(inner, pair) for pair in grid]
    best = grid[int(np.argmax(validation))]
    scores = [
        adamic_adar(split.graph, pairs) for pairs in (split.hidden, split.non_links)
    ]
    return {
        "chosen": list(best),
        "best": area(split, best),
        "deepwalk": area(split, DEEPWALK),
        "adamic-adar": score_auc(*scores),
        "validation": validation,
    }


def _known_and_hidden(graph: Graph, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Return random known and hidden nodes among those with labels."""
    labelled = torch.arange(graph.num_nodes)
    if graph.y.dim() == 2:
        labelled = labelled[graph.y.any(dim=1)]
    order = labelled[torch.randperm(len(labelled), generator=stream(seed, "known"))]
    count = round(share * len(order))
    return order[:count], order[count:]
