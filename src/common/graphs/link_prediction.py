"""Predict hidden links: a fair split, the score of node vectors, a classical heuristic.

The protocol of node2vec (Grover, Leskovec, KDD 2016, section 4.4): hide links so that
what remains stays connected, and rank them against as many random pairs that are not
linked.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import minimum_spanning_tree
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor

from src.common.checks import checked, within
from src.common.graphs.embedding_evaluation import standardise
from src.common.graphs.graph import Graph, expect_undirected

_ITERATIONS = 1_000
_CHUNK = 16_384  # pairs whose neighbour lists are compared at once: bounds the memory


@dataclass(frozen=True)
class LinkSplit:
    """Links to predict, pairs to tell them from, and what a method may see.

    Every pair (u, v) is a column with u < v; no pair is in two of the four lists.

    Attributes:
        graph: the graph without the hidden links; methods are trained on nothing else.
        hidden: (2, hidden) the links to predict.
        non_links: (2, hidden) random pairs that are not linked in the whole graph.
        train_links: (2, train) the links of `graph`, for a classifier of pairs.
        train_non_links: (2, train) further random pairs that are not linked in the
            whole graph.
    """

    graph: Graph
    hidden: Int[Tensor, "2 hidden"]
    non_links: Int[Tensor, "2 hidden"]
    train_links: Int[Tensor, "2 train"]
    train_non_links: Int[Tensor, "2 train"]


@checked
def hide_links(graph: Graph, share: float, generator: torch.Generator) -> LinkSplit:
    """Hide random links, but so that every component stays connected.

    None of the links of a random spanning forest is hidden: the minimum spanning forest
    for random weights. The hidden links are drawn uniformly from the others, the
    non-links uniformly from all pairs without a link.

    Args:
        graph: undirected; its features, labels and edge weights stay with the remaining
            graph.
        share: of all links to hide, in (0, 1).
        generator: source of the forest, the hidden links and the non-links.

    Returns:
        The remaining graph with the lists of pairs to train and to test on.

    Raises:
        ValueError: for a directed graph, a share that hides no link or more links than
            the graph can spare and stay connected, or a graph in which most pairs are
            linked.

    Examples:
        >>> nodes = torch.arange(8)
        >>> ring = Graph.from_edges(torch.stack([nodes, nodes.roll(1)]), 8)
        >>> split = hide_links(ring, 1 / 8, torch.Generator().manual_seed(0))
        >>> split.hidden.shape, split.train_links.shape
        (torch.Size([2, 1]), torch.Size([2, 7]))
    """
    within("share", share, 0, 1)
    links = _links(graph)
    count = round(share * links.shape[1])
    spare = torch.nonzero(
        ~_in_spanning_forest(links, graph.num_nodes, generator)
    ).ravel()
    if not 0 < count <= len(spare):
        raise ValueError(
            f"cannot hide {count} of {links.shape[1]} links: choose a share that hides "
            f"at least 1 and at most the {len(spare)} that the graph can lose and stay "
            "connected"
        )
    hide = torch.zeros(links.shape[1], dtype=torch.bool)
    hide[spare[torch.randperm(len(spare), generator=generator)[:count]]] = True
    non_links = _sample_non_links(links, graph.num_nodes, links.shape[1], generator)
    hidden_keys = _keys(links[:, hide], graph.num_nodes)
    kept = ~torch.isin(
        _keys(graph.edge_index.sort(dim=0).values, graph.num_nodes), hidden_keys
    )
    return LinkSplit(
        graph=graph.with_edges(kept),
        hidden=links[:, hide],
        non_links=non_links[:, :count],
        train_links=links[:, ~hide],
        train_non_links=non_links[:, count:],
    )


@checked
def link_auc(vectors: Float[Tensor, "nodes dim"], split: LinkSplit) -> float:
    """Return the area under the ROC curve of a classifier of pairs on the hidden links.

    A pair's features are the products of its nodes' vectors, entry by entry (node2vec's
    Hadamard operator), standardised on the training pairs; logistic regression is
    trained to tell the remaining links from the training non-links.

    Args:
        vectors: the nodes' vectors, trained on `split.graph` alone.
        split: from `hide_links`.

    Raises:
        ValueError: for vectors that are not finite, or not one for every node.

    Examples:
        >>> nodes = torch.arange(12)
        >>> cliques = torch.combinations(nodes[:6]).T, torch.combinations(nodes[6:]).T
        >>> graph = Graph.from_edges(torch.cat(cliques, dim=1), 12)
        >>> split = hide_links(graph, 0.2, torch.Generator().manual_seed(0))
        >>> link_auc(torch.where(nodes < 6, 1.0, -1.0)[:, None], split)
        1.0
    """
    if len(vectors) != split.graph.num_nodes:
        raise ValueError(f"{len(vectors)} vectors for {split.graph.num_nodes} nodes")
    train, train_target = _joined(split.train_links, split.train_non_links)
    test, target = _joined(split.hidden, split.non_links)
    train_x, test_x = standardise(hadamard(vectors, train), hadamard(vectors, test))
    model = LogisticRegression(max_iter=_ITERATIONS).fit(train_x, train_target)
    return float(roc_auc_score(target, model.decision_function(test_x)))


def score_auc(
    positive_scores: Float[Tensor, " positives"],
    negative_scores: Float[Tensor, " negatives"],
) -> float:
    """Return the chance that a random positive scores above a random negative.

    Ties count one half: it is the area under the ROC curve.

    Args:
        positive_scores: of what should rank high.
        negative_scores: of what should rank low.

    Raises:
        ValueError: if one side is empty, or a score is not finite.

    Examples:
        >>> score_auc(torch.tensor([2.0, 3.0]), torch.tensor([1.0, 2.0]))
        0.875
    """
    scores = torch.cat([positive_scores, negative_scores]).double()
    target = np.repeat([True, False], [len(positive_scores), len(negative_scores)])
    if target.all() or not target.any() or not bool(scores.isfinite().all()):
        raise ValueError("need finite scores of at least one positive and one negative")
    return float(roc_auc_score(target, scores.numpy()))


def hadamard(
    vectors: Float[Tensor, "nodes dim"], pairs: Int[Tensor, "2 pairs"]
) -> Float[Tensor, "pairs dim"]:
    """Return the products of the pairs' vectors, entry by entry.

    Args:
        vectors: the nodes' vectors.
        pairs: the two nodes of each pair.
    """
    return vectors[pairs[0]] * vectors[pairs[1]]


@checked
def adamic_adar(graph: Graph, pairs: Int[Tensor, "2 pairs"]) -> Float[Tensor, " pairs"]:
    """Return the sum of 1 / log(degree) over common neighbours (Adamic, Adar, 2003).

    A common neighbour of two nodes has at least two neighbours, so the logarithm is
    positive.

    Args:
        graph: undirected; its edge weights are ignored.
        pairs: the two different nodes of each pair.
    """
    expect_undirected(graph)
    degree = graph.indptr.diff()
    return _shared(
        graph, pairs, torch.where(degree > 1, 1 / degree.clamp(min=2).log(), 0.0)
    )


def _shared(graph: Graph, pairs: Tensor, value: Tensor) -> Float[Tensor, " pairs"]:
    """Return the sum of `value` (nodes,) over each pair's common neighbours."""
    neighbours = csr_matrix(
        (np.ones(graph.num_edges), graph.edge_index[1].numpy(), graph.indptr.numpy()),
        shape=(graph.num_nodes, graph.num_nodes),
    )
    weight = value.double().numpy()
    parts = [
        neighbours[u.numpy()].multiply(neighbours[v.numpy()]) @ weight
        for u, v in _chunks(pairs, _CHUNK)
    ]
    return torch.from_numpy(np.concatenate(parts) if parts else np.zeros(0)).float()


def _chunks(pairs: Tensor, size: int) -> Iterator[Tensor]:
    return (pairs[:, start : start + size] for start in range(0, pairs.shape[1], size))


def _links(graph: Graph) -> Int[Tensor, "2 links"]:
    """Return each link of an undirected graph once, as (u, v) with u < v, sorted."""
    source, target = graph.edge_index
    forward, back = source < target, source > target
    links = graph.edge_index[:, forward]
    opposite = _keys(graph.edge_index[:, back].flip(0), graph.num_nodes).sort().values
    if not torch.equal(_keys(links, graph.num_nodes), opposite):
        raise ValueError(
            "need an undirected graph: make it with Graph.from_edges(edges, nodes)"
        )
    return links


def _keys(pairs: Int[Tensor, "2 pairs"], nodes: int) -> Int[Tensor, " pairs"]:
    """Return one whole number per pair."""
    return pairs[0] * nodes + pairs[1]


def _in_spanning_forest(
    links: Int[Tensor, "2 links"], nodes: int, generator: torch.Generator
) -> Tensor:
    """Return (links,) booleans: whether a link is in a random spanning forest."""
    # Weights from 1 on: SciPy takes an entry of 0 for a link that is not there.
    weight = 1 + torch.rand(links.shape[1], generator=generator, dtype=torch.double)
    matrix = csr_matrix((weight.numpy(), tuple(links.numpy())), shape=(nodes, nodes))
    tree = minimum_spanning_tree(matrix).tocoo()
    ends = torch.from_numpy(np.sort(np.stack([tree.row, tree.col]), axis=0)).long()
    return torch.isin(_keys(links, nodes), _keys(ends, nodes))


def _sample_non_links(
    links: Int[Tensor, "2 links"], nodes: int, count: int, generator: torch.Generator
) -> Int[Tensor, "2 count"]:
    """Return different random pairs u < v that are not linked, in random order."""
    available = nodes * (nodes - 1) // 2 - links.shape[1]
    if count > available:
        raise ValueError(
            f"need {count} pairs without a link, one for every link; the graph has "
            f"{available}"
        )
    taken, found = _keys(links, nodes), links.new_empty(0)
    while len(found) < count:
        draws = (
            torch.randint(nodes, (2, 2 * count + 64), generator=generator)
            .sort(dim=0)
            .values
        )
        keys = _keys(draws[:, draws[0] < draws[1]], nodes)
        found = torch.unique(torch.cat([found, keys[~torch.isin(keys, taken)]]))
    chosen = found[torch.randperm(len(found), generator=generator)[:count]]
    return torch.stack([chosen // nodes, chosen % nodes])


def _joined(positive: Tensor, negative: Tensor) -> tuple[Tensor, np.ndarray]:
    """Return both lists of pairs as one, and which of them are positive."""
    target = np.repeat([True, False], [positive.shape[1], negative.shape[1]])
    return torch.cat([positive, negative], dim=1), target
