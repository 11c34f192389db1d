"""What a sequence layer costs: Table 1 of the Transformer paper, counted.

The number of operations comes from PyTorch's own counter; sequential steps and path
lengths are read off the autograd graph, which records which operation waited for which.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from src.foundations.transformer.attention import MultiHeadAttention

# A layer here takes one vector per position, shape (1, width), and returns as many.
Positions = list[Float[Tensor, "1 width"]]
Layer = Callable[[Positions], Positions]


def self_attention(width: int, heads: int) -> Layer:
    """Return a multi-head self-attention layer.

    Args:
        width: size of each vector.
        heads: number of heads; divides `width`.

    Raises:
        ValueError: if `width` is not a multiple of `heads`.
    """
    attention = MultiHeadAttention(width, heads)

    def layer(inputs: Positions) -> Positions:
        x = torch.stack(inputs, dim=1)
        return list(attention(x, x).unbind(1))

    return layer


def recurrent(width: int) -> Layer:
    """Return a layer of GRU cells that reads from left to right.

    Args:
        width: size of each vector.
    """
    cell = nn.GRUCell(width, width)

    def layer(inputs: Positions) -> Positions:
        state, states = inputs[0].new_zeros(1, width), []
        for x in inputs:
            state = cell(x, state)
            states.append(state)
        return states

    return layer


def graph_lengths(layer: Layer, length: int, width: int) -> tuple[int, int]:
    """Return the lengths of two chains of operations through a layer.

    The first is the *longest* chain that leads to the last output position: its
    operations must run one after another, however many processors there are. The second
    is the *shortest* chain from the first input position to the last output position:
    the path that a gradient travels. A matrix product counts as one operation, as in
    the paper's table.

    Args:
        layer: the layer to measure.
        length: number of positions.
        width: size of each vector.
    """
    inputs = [torch.randn(1, width, requires_grad=True) for _ in range(length)]
    end = layer(inputs)[-1].grad_fn
    longest: dict[object, int] = {}
    shortest: dict[object, float] = {}
    for node in _topological(end):
        before = [parent for parent, _ in node.next_functions if parent is not None]
        longest[node] = 1 + max((longest[p] for p in before), default=-1)
        is_first_input = getattr(node, "variable", None) is inputs[0]
        nearest = min((shortest[p] for p in before), default=float("inf"))
        shortest[node] = 0 if is_first_input else 1 + nearest
    return longest[end], int(shortest[end])


def operations(layer: Layer, length: int, width: int) -> int:
    """Return how many floating-point operations a layer spends on one sequence.

    As usual a multiplication with its addition counts as two, and only matrix products
    count.

    Args:
        layer: the layer to measure.
        length: number of positions.
        width: size of each vector.
    """
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        layer([torch.randn(1, width) for _ in range(length)])
    return counter.get_total_flops()


def softmax_gradient(scores: Float[Tensor, "queries keys"]) -> float:
    """Return the mean Frobenius norm of the softmax's Jacobian diag(p) - p p^T.

    It is 0 when one key takes all the weight: then no gradient reaches the scores.

    Args:
        scores: arguments of the softmax; the mean is over the queries.
    """
    p = scores.softmax(-1)
    jacobian = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    return float(jacobian.flatten(1).norm(dim=1).mean())


def random_scores(
    key_width: int, queries: int, keys: int, generator: torch.Generator
) -> Float[Tensor, "queries keys"]:
    """Return q . k for queries and keys with independent standard normal components.

    Args:
        key_width: d_k, the number of components.
        queries: number of queries.
        keys: number of keys.
        generator: draws queries, then keys.
    """
    q = torch.randn(queries, key_width, generator=generator)
    k = torch.randn(keys, key_width, generator=generator)
    return q @ k.T


def _topological(end: object) -> list:
    """Return the autograd graph's nodes below `end`, each after what it needs."""
    order, seen, stack = [], set(), [(end, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack += [(p, False) for p, _ in node.next_functions if p is not None]
    return order
