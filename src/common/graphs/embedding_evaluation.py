"""Judge node vectors by the labels that a linear classifier reads from them.

The protocol is that of DeepWalk (Perozzi, Al-Rfou, Skiena, KDD 2014, section 5), which
most embedding papers share, but for one step: one-vs-rest logistic regression on the
vectors of some nodes, F1 scores on the others, a test node being given as many labels
as it has. DeepWalk's released program fits the vectors as they are; here every column
is standardised first, so that a method's scale does not set the classifier's penalty.
That step is not innocent. On the protein network with 10 % of the labels it lowers
DeepWalk's micro-F1 from 0.176 to 0.135 and raises that of Laplacian eigenvectors, whose
columns are tiny, from 0.074 to 0.166.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from src.common.checks import checked

_ITERATIONS = 1_000


@dataclass(frozen=True)
class Scores:
    """Two averages of the F1 score, in [0, 1].

    Attributes:
        micro: F1 over all decisions together; with one label per node it is the
            accuracy.
        macro: mean of the F1 scores of the labels, over those that some test node has.
    """

    micro: float
    macro: float


@checked
def classify(
    vectors: Float[Tensor, "nodes dim"],
    y: Shaped[Tensor, " nodes *labels"],
    share: float,
    generator: torch.Generator,
) -> Scores:
    """Train a classifier on a random share of the nodes and test it on all others.

    Args:
        vectors: the nodes' vectors.
        y: (nodes,) classes 0, 1, ..., or (nodes, labels) booleans for several labels
            per node; nodes without any label then take no part.
        share: of the nodes to train on, in (0, 1). With classes each class keeps its
            share, but at least one node.
        generator: source of the split.

    Returns:
        The F1 scores on the test nodes.

    Raises:
        ValueError: for a share that leaves no node to train on or to test, labels of
            another form, or vectors that are not finite.

    Examples:
        >>> vectors = torch.tensor([[-3.0], [-2.0], [-1.0], [1.0], [2.0], [3.0]])
        >>> y = torch.tensor([0, 0, 0, 1, 1, 1])
        >>> classify(vectors, y, 0.5, torch.Generator().manual_seed(0))
        Scores(micro=1.0, macro=1.0)
    """
    if not 0 < share < 1:
        raise ValueError(
            f"the share of training nodes must lie between 0 and 1, not {share}"
        )
    table = _label_table(y)
    nodes = torch.nonzero(table.any(dim=1)).ravel()
    train = _split(nodes, y if y.dim() == 1 else None, share, generator)
    test = nodes[~torch.isin(nodes, train)]
    return classify_on(vectors[train], y[train], vectors[test], y[test])


@checked
def classify_on(
    train_vectors: Float[Tensor, "train dim"],
    train_y: Shaped[Tensor, " train *labels"],
    test_vectors: Float[Tensor, "test dim"],
    test_y: Shaped[Tensor, " test *labels"],
) -> Scores:
    """Train a classifier on some nodes and return its scores on others.

    A test node is given as many labels as it has, as in DeepWalk's protocol: those with
    the highest scores; with classes this is the best one. The classifiers of the labels
    are fitted independently.

    Args:
        train_vectors: of the training nodes; every column is standardised with their
            mean and deviation, because methods scale their vectors differently and the
            classifier's penalty depends on the scale.
        train_y: classes (nodes,) or booleans (nodes, labels).
        test_vectors: of the test nodes, standardised in the same way.
        test_y: in the form of `train_y`.

    Returns:
        The F1 scores on the test nodes.

    Raises:
        ValueError: without training or test nodes, for labels of another form, or for
            vectors that are not finite.
    """
    if not len(train_y) or not len(test_y):
        raise ValueError("need at least one node to train on and one to test")
    if train_y.dim() == 1 == test_y.dim():
        both = _label_table(torch.cat([train_y, test_y]))
        train_table, test_table = both.split([len(train_y), len(test_y)])
    else:
        train_table, test_table = _label_table(train_y), _label_table(test_y)
    scores = one_vs_rest(train_vectors, train_table, test_vectors)
    return f1_scores(top_labels(scores, test_table.sum(dim=1)), test_table)


@checked
def one_vs_rest(
    train_vectors: Float[Tensor, "train dim"],
    train_table: Bool[Tensor, "train labels"],
    test_vectors: Float[Tensor, "test dim"],
) -> Float[Tensor, "test labels"]:
    """Return the log-odds that one logistic regression per label gives to each node.

    Scikit-learn's regression with its default penalty (C = 1) on standardised columns.
    A label that no training node has scores minus infinity, one that all have plus
    infinity.

    Args:
        train_vectors: of the training nodes.
        train_table: which training node has which label.
        test_vectors: of the test nodes.

    Raises:
        ValueError: for vectors that are not finite.
    """
    train, test = standardise(train_vectors, test_vectors)
    scores = np.empty((len(test), train_table.shape[1]))
    for label, column in enumerate(train_table.T.numpy()):
        if column.all() or not column.any():
            scores[:, label] = np.inf if column.all() else -np.inf
            continue
        model = LogisticRegression(max_iter=_ITERATIONS).fit(train, column)
        scores[:, label] = model.decision_function(test)
    return torch.from_numpy(scores)


@checked
def standardise(
    train: Float[Tensor, "train dim"], test: Float[Tensor, "test dim"]
) -> tuple[np.ndarray, np.ndarray]:
    """Return both in double precision, training columns with mean 0 and deviation 1.

    A column that is constant on the training nodes is only shifted.

    Args:
        train: vectors that give the mean and the deviation of each column.
        test: vectors to shift and scale in the same way.

    Raises:
        ValueError: for vectors that are not finite.
    """
    if not (bool(train.isfinite().all()) and bool(test.isfinite().all())):
        raise ValueError(
            "vectors hold infinite or undefined numbers: training has diverged"
        )
    train, test = train.detach().double(), test.detach().double()
    mean, deviation = train.mean(dim=0), train.std(dim=0, correction=0)
    # A constant column's deviation is not always exactly 0 in floating point.
    constant = deviation <= 1e-10 * train.abs().amax(dim=0)
    deviation = torch.where(constant, 1.0, deviation)
    return ((train - mean) / deviation).numpy(), ((test - mean) / deviation).numpy()


@checked
def top_labels(
    scores: Float[Tensor, "nodes labels"], counts: Int[Tensor, " nodes"]
) -> Bool[Tensor, "nodes labels"]:
    """Return the table that gives each node its `counts` highest-scoring labels.

    Args:
        scores: of every node and label; of equal ones the first label wins.
        counts: labels to give to each node.
    """
    order = scores.argsort(dim=1, descending=True, stable=True)
    chosen = torch.arange(scores.shape[1]) < counts.unsqueeze(1)
    return torch.zeros_like(chosen).scatter_(1, order, chosen)


@checked
def f1_scores(
    predicted: Bool[Tensor, "nodes labels"], truth: Bool[Tensor, "nodes labels"]
) -> Scores:
    """Return the micro and macro F1 score, F1 = 2 hits / (predicted + true).

    Args:
        predicted: the labels that each node was given.
        truth: the labels that each node has.

    Examples:
        >>> truth = torch.tensor([[True, False], [False, True]])
        >>> f1_scores(truth.flip(0), truth)
        Scores(micro=0.0, macro=0.0)

    Raises:
        ValueError: if no node has a label.
    """
    if not bool(truth.any()):
        raise ValueError("no node has a label, so there is no F1 score")
    hits = (predicted & truth).sum(dim=0).double()
    sizes = predicted.sum(dim=0) + truth.sum(dim=0)
    present = truth.any(dim=0)
    macro = (2 * hits[present] / sizes[present]).mean()
    return Scores(float(2 * hits.sum() / sizes.sum()), float(macro))


def _label_table(y: Tensor) -> Bool[Tensor, "nodes labels"]:
    """Return labels of either form as booleans, one column per class that occurs."""
    if y.dim() == 2 and y.dtype == torch.bool:
        return y
    if y.dim() != 1 or y.is_floating_point() or y.dtype == torch.bool:
        raise ValueError(
            "labels must be whole numbers (nodes,) or booleans (nodes, labels), not "
            f"{y.dtype} {tuple(y.shape)}"
        )
    if len(y) and int(y.min()) < 0:
        raise ValueError("classes must be 0, 1, ...: leave nodes without a class out")
    return torch.nn.functional.one_hot(y.unique(return_inverse=True)[1]).bool()


def _split(
    nodes: Int[Tensor, " labelled"],
    y: Tensor | None,
    share: float,
    generator: torch.Generator,
) -> Int[Tensor, " train"]:
    """Return random training nodes: a share of all, or of each class but at least 1."""
    order = nodes[torch.randperm(len(nodes), generator=generator)]
    if y is None:
        return order[: max(1, round(share * len(order)))]
    parts = []
    for one_class in torch.unique(y).tolist():
        members = order[y[order] == one_class]
        parts.append(members[: max(1, round(share * len(members)))])
    return torch.cat(parts)
