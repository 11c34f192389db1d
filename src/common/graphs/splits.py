"""Divisions of nodes or graphs into training, validation and test parts.

They are drawn by a generator. Functions for nodes return the graph with its masks set;
functions for items (graphs, pairs) return index tensors.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor

from src.common.checks import checked
from src.common.graphs.graph import Graph


@dataclass(frozen=True)
class Split:
    """Numbers of the items of three disjoint parts.

    Attributes:
        train: items to train on.
        val: items to choose settings and epochs by.
        test: items to report on.
    """

    train: Int[Tensor, " train"]
    val: Int[Tensor, " val"]
    test: Int[Tensor, " test"]


@checked
def split_per_class(
    graph: Graph,
    per_class: int,
    val: int,
    generator: torch.Generator,
    *,
    test: int | None = None,
) -> Graph:
    """Return the graph with a random split that has equally many labels of each class.

    Args:
        graph: with one class per node.
        per_class: training nodes of each class, at least 1.
        val: validation nodes in all, drawn from the rest.
        generator: source of the draw.
        test: test nodes in all; None takes every node that is left.

    Raises:
        ValueError: if the graph has no classes, or a class or the graph is too small.

    Examples:
        >>> y = torch.tensor([0, 1]).repeat(10)
        >>> graph = Graph(torch.empty(2, 0, dtype=torch.long), num_nodes=20, y=y)
        >>> split = split_per_class(graph, 3, val=4, generator=torch.Generator())
        >>> int(split.train.sum()), int(split.val.sum()), int(split.test.sum())
        (6, 4, 10)
    """
    y = _classes(graph)
    counts = torch.bincount(y)
    counts = counts[counts > 0]
    if not 1 <= per_class <= int(counts.min()):
        raise ValueError(
            f"need 1 to {int(counts.min())} labels per class, not {per_class}"
        )
    order = torch.randperm(graph.num_nodes, generator=generator)
    first = _rank_within(y[order]) < per_class
    train, rest = order[first], order[~first]
    asked = len(rest) - val if test is None else test
    if min(val, asked) < 1 or val + asked > len(rest):
        raise ValueError(
            f"{len(rest)} nodes are left for {val} validation and {asked} test nodes"
        )
    return _with_masks(graph, train, rest[:val], rest[val : val + asked])


@checked
def split_at_random(
    count: int, shares: Sequence[float], generator: torch.Generator
) -> Split:
    """Return a random split of the items 0 ... count - 1.

    Args:
        count: number of items.
        shares: of training, validation and test, positive with sum 1; the first two
            counts are rounded, and the test part takes what is left.
        generator: source of the order.

    Raises:
        ValueError: for shares that are not positive, do not add up to 1 or leave a part
            empty.

    Examples:
        >>> split = split_at_random(10, (0.6, 0.2, 0.2), torch.Generator())
        >>> len(split.train), len(split.val), len(split.test)
        (6, 2, 2)
    """
    if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise ValueError(
            f"need three positive shares that add up to 1, not {tuple(shares)}"
        )
    train, val = round(shares[0] * count), round(shares[1] * count)
    if min(train, val, count - train - val) < 1:
        raise ValueError(f"{count} items are too few for the shares {tuple(shares)}")
    order = torch.randperm(count, generator=generator)
    return Split(order[:train], order[train : train + val], order[train + val :])


def _classes(graph: Graph) -> Tensor:
    """Return the graph's classes (nodes,)."""
    if graph.y is None or graph.y.dim() != 1:
        raise ValueError("the graph needs one class per node as y, shape (nodes,)")
    return graph.y


def _rank_within(y: Int[Tensor, " items"]) -> Int[Tensor, " items"]:
    """Return how many earlier items have the same class."""
    order = torch.argsort(y, stable=True)
    counts = torch.bincount(y)
    starts = (counts.cumsum(0) - counts)[y[order]]
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(y)) - starts
    return rank


def _with_masks(graph: Graph, train: Tensor, val: Tensor, test: Tensor) -> Graph:
    """Return the graph with these nodes as its masks."""
    masks = {}
    for name, nodes in (("train", train), ("val", val), ("test", test)):
        masks[name] = torch.zeros(graph.num_nodes, dtype=torch.bool)
        masks[name][nodes] = True
    return replace(graph, **masks)
