"""Gradient descent on tables of vectors in blocks, for both softmaxes of skip-gram."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

LAST_RATE = 0.01
"""The learning rate falls linearly, at the most to this part of its first value."""


def rate_blocks(
    total: int, size: int, epochs: int, learning_rate: float, generator: torch.Generator
) -> Iterator[tuple[Int[Tensor, " block"], float]]:
    """Yield blocks of the numbers below `total`, in a new order every epoch.

    Args:
        total: how many numbers.
        size: of a block; the last of an epoch may be smaller.
        epochs: passes over the numbers.
        learning_rate: of the first block; it falls linearly to a hundredth.
        generator: source of the orders.

    Yields:
        (block,) numbers, and the block's learning rate.
    """
    count = -(-total // size) * epochs
    done = 0
    for _ in range(epochs):
        order = torch.randperm(total, generator=generator)
        for first in range(0, total, size):
            rate = learning_rate * max(LAST_RATE, 1 - done / count)
            yield order[first : first + size], rate
            done += 1


def initial_vectors(
    count: int, dimension: int, generator: torch.Generator
) -> Float[Tensor, "{count} {dimension}"]:
    """Draw vectors with entries uniform within 1 / (2 dimension) of 0, as in word2vec.

    Args:
        count: how many.
        dimension: of each.
        generator: source of the entries.

    Returns:
        (count, dimension).
    """
    return (torch.rand(count, dimension, generator=generator) - 0.5) / dimension


def descend(
    table: Float[Tensor, "N D"],
    places: Int[Tensor, " rows"],
    gradients: Float[Tensor, "rows D"],
    terms: Float[Tensor, " rows"],
    rate: float,
    reach: float,
) -> None:
    """Subtract `rate` times the summed gradient from every row of a table, in place.

    Args:
        table: (N, D) vectors, which change.
        places: (rows,) rows of the table, in any order and repeated at will.
        gradients: (rows, D), one for each place.
        terms: (rows,) how many terms of the loss each of these gradients sums up.
        rate: of learning.
        reach: limit on terms times the rate; a row beyond it moves as if at the limit.
    """
    total = torch.zeros(len(table)).index_add_(0, places, terms)
    limit = reach / rate
    if float(total.max()) > limit:
        gradients = (
            gradients
            * (limit / total.clamp(min=limit)).index_select(0, places)[:, None]
        )
    table.index_add_(0, places, gradients, alpha=-rate)
