"""Hierarchical softmax, DeepWalk's own objective: P(c | v) as turns down a binary tree.

The contexts are the leaves of the tree; every inner node j holds a vector theta_j, and
P(c | v) is the product of s(+-f_v . theta_j) over the inner nodes on the way to c, with
plus for a turn to the left (Perozzi et al. 2014, equations 4 and 5). The probabilities
of all leaves add up to 1.
"""

import heapq

import torch
from jaxtyping import Float, Int
from torch import Tensor

from src.common.checks import checked, within
from src.network_embedding.random_walks.block_descent import (
    descend,
    initial_vectors,
    rate_blocks,
)
from src.network_embedding.random_walks.contexts import check_walks, context_band
from src.network_embedding.random_walks.skip_gram import SkipGramSettings


@checked
def huffman_turns(frequency: Int[Tensor, " leaves"]) -> Float[Tensor, "leaves inner"]:
    """Return Huffman's tree of these frequencies: frequent leaves are near the root.

    Args:
        frequency: (leaves,) counts.

    Returns:
        (leaves, leaves - 1) turns: 1 for left, -1 for right, 0 for an inner node not on
        the way.

    Raises:
        ValueError: for fewer than two leaves, or a negative count.

    Examples:
        >>> huffman_turns(torch.tensor([5, 1, 2]))
        tensor([[ 0., -1.],
                [ 1.,  1.],
                [-1.,  1.]])
    """
    leaves = len(frequency)
    if leaves < 2:
        raise ValueError(f"a tree needs at least two leaves, not {leaves}")
    within("the smallest frequency", int(frequency.min()), 0)
    turns = torch.zeros(leaves, leaves - 1)
    heap = [(count, leaf, [leaf]) for leaf, count in enumerate(frequency.tolist())]
    heapq.heapify(heap)
    for inner in range(leaves - 1):
        left, right = heapq.heappop(heap), heapq.heappop(heap)
        turns[left[2], inner], turns[right[2], inner] = 1.0, -1.0
        heapq.heappush(heap, (left[0] + right[0], leaves + inner, left[2] + right[2]))
    return turns


def walk_gradients_of_turns(
    f: Float[Tensor, "positions dim"],
    theta: Float[Tensor, "inner dim"],
    passes: Float[Tensor, "positions inner"],
    lefts: Float[Tensor, "positions inner"],
) -> tuple[Tensor, Tensor]:
    """Return the gradients of -sum log P over all positions' contexts, by f and theta.

    Args:
        f: (positions, dim) vectors of the positions.
        theta: (inner, dim) vectors of the inner nodes.
        passes: (positions, inner), how many of a position's contexts have the inner
            node on their way.
        lefts: (positions, inner), how many of them turn left there.

    Returns:
        (positions, dim) and (inner, dim), each summed over the other.
    """
    error = torch.sigmoid(f @ theta.T) * passes - lefts
    return error @ theta, error.T @ f


@checked
def train_walks_by_turns(
    walks: Int[Tensor, "walks positions"],
    num_nodes: int,
    window: int,
    settings: SkipGramSettings,
    generator: torch.Generator,
) -> Float[Tensor, "nodes dim"]:
    """Train by hierarchical softmax, otherwise as `skip_gram.train_walks` does.

    For small graphs. The turns are a dense matrix, so cost and memory grow with the
    square of the nodes; a block's gradients are then two matrix products.

    Args:
        walks: (walks, positions) of nodes 0 ... num_nodes - 1, -1 after an early end.
        num_nodes: rows of the result, at least 2.
        window: positions on each side that are contexts, at least 1.
        settings: of which negatives and exponent are not used.
        generator: source of initial vectors and order.

    Returns:
        (num_nodes, dimension) vectors.

    Raises:
        ValueError: for fewer than two nodes, a window below 1, no walks, walks of one
            node, or numbers that are no nodes.
    """
    check_walks(walks, num_nodes, window)
    turns = huffman_turns(torch.bincount(walks[walks >= 0], minlength=num_nodes))
    on_the_way, left = turns.abs(), (turns > 0).float()
    vectors = initial_vectors(num_nodes, settings.dimension, generator)
    theta = torch.zeros(num_nodes - 1, settings.dimension)
    band = context_band(walks.shape[1], window)
    size = max(1, settings.rows(num_nodes) // len(band))
    plan = settings.epochs, settings.learning_rate
    for block, rate in rate_blocks(len(walks), size, *plan, generator):
        real = (walks[block] >= 0).float()[:, :, None]
        nodes = walks[block].clamp(min=0)
        passes = (real * (band @ (on_the_way[nodes] * real))).flatten(0, 1)
        lefts = (real * (band @ (left[nodes] * real))).flatten(0, 1)
        at = nodes.reshape(-1)
        by_f, by_theta = walk_gradients_of_turns(vectors[at], theta, passes, lefts)
        descend(vectors, at, by_f, passes.sum(dim=1), rate, settings.reach)
        limit = (
            settings.reach / rate
        )  # every inner node has one row here: no sums to take
        by_theta *= (limit / passes.sum(dim=0).clamp(min=limit))[:, None]
        theta.sub_(by_theta, alpha=rate)
    return vectors
