"""Readouts: from the features of a graph's nodes to one vector per graph.

A readout is a function or a module, `readout(h, batch)` -> (graphs, dimension), where h
(nodes, hidden) belongs to the nodes of a `GraphBatch`.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from src.common.graphs.batches import GraphBatch

Readout = Callable[[Tensor, GraphBatch], Tensor]


def sum_readout(
    h: Float[Tensor, "nodes hidden"], batch: GraphBatch
) -> Float[Tensor, "graphs hidden"]:
    """Return the sum over each graph's nodes.

    Args:
        h: features of the batch's nodes.
        batch: says which node is in which graph.
    """
    return batch.pool(h)


def mean_readout(
    h: Float[Tensor, "nodes hidden"], batch: GraphBatch
) -> Float[Tensor, "graphs hidden"]:
    """Return the mean over each graph's nodes.

    Args:
        h: features of the batch's nodes.
        batch: says which node is in which graph.
    """
    return batch.pool(h) / batch.sizes[:, None]


def max_readout(
    h: Float[Tensor, "nodes hidden"], batch: GraphBatch
) -> Float[Tensor, "graphs hidden"]:
    """Return the largest value of each feature over each graph's nodes.

    Args:
        h: features of the batch's nodes.
        batch: says which node is in which graph.
    """
    return torch.segment_reduce(h, "max", lengths=batch.sizes, axis=0, unsafe=True)


class AttentionReadout(nn.Module):
    """A weighted mean; the weights are a softmax over the nodes of a learned score.

    The global attention of gated graph networks (Li et al., arXiv 1511.05493, section
    3.3), with the identity in place of their transformation of h.
    """

    def __init__(self, hidden: int) -> None:
        """Draw the score's weights.

        Args:
            hidden: width of h.
        """
        super().__init__()
        self.score = nn.Linear(hidden, 1)

    def forward(
        self, h: Float[Tensor, "nodes hidden"], batch: GraphBatch
    ) -> Float[Tensor, "graphs hidden"]:
        """Return the weighted mean over each graph's nodes.

        Args:
            h: features of the batch's nodes.
            batch: says which node is in which graph.
        """
        score = self.score(h)
        top = max_readout(
            score.detach(), batch
        )  # softmax is the same for a shifted score
        weight = (score - top.index_select(0, batch.graph_number)).exp()
        return batch.pool(weight * h) / batch.pool(weight)


READOUTS: dict[str, Callable[[int], Readout]] = {
    "sum": lambda hidden: sum_readout,
    "mean": lambda hidden: mean_readout,
    "max": lambda hidden: max_readout,
    "attention": AttentionReadout,
}


def make_readout(name: str, hidden: int) -> Readout:
    """Return the readout of that name for `hidden` features.

    Args:
        name: "sum", "mean", "max" or "attention".
        hidden: width of the nodes' features; only "attention" has weights that depend
            on it.

    Raises:
        ValueError: for a name that is not in `READOUTS`.
    """
    if name not in READOUTS:
        raise ValueError(f"no readout {name!r}; there are {', '.join(READOUTS)}")
    return READOUTS[name](hidden)
