"""Framelet pooling: reading out a graph from its framelet coefficients (UFGPool).

From "How Framelets Enhance Graph Neural Networks" (Zheng et al., ICML 2021, arXiv
2102.06986). A graph's nodes have features H; block q of the framelet transform pools to

    sum:       p_q = 1^T (W_q H),
    spectrum:  p_q = 1^T (W_q H)^2        (squares of the entries),

and the readout is [p_0 | p_1 | ...]. With exact filters the spectra add up to the
energy |H_j|^2 of each feature. The released code has the sum; the spectrum follows the
paper's description.

A batch of graphs is one graph without edges between them. Its Laplacian is
block-diagonal, and so are its framelet operators if the bound 2 takes the place of each
graph's own largest eigenvalue.
"""

from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor

from src.gnn.framelets.transform import FrameletTransform

Pooling = Literal["sum", "spectrum"]


def framelet_pool(
    transform: FrameletTransform,
    h: Float[Tensor, "nodes features"],
    graph_number: Int[Tensor, " nodes"],
    num_graphs: int,
    kind: Pooling = "sum",
) -> Float[Tensor, "graphs pooled"]:
    """Return the readouts of a batch, with the pooled blocks one after another.

    Args:
        transform: of the batch's block-diagonal Laplacian.
        h: features of all nodes.
        graph_number: which graph a node belongs to, 0 ... num_graphs - 1.
        num_graphs: of the batch.
        kind: "sum" or "spectrum".

    Returns:
        One row per graph, (num_graphs, blocks * features).

    Raises:
        ValueError: for another kind.

    Examples:
        >>> import torch
        >>> from src.common.graphs.graph import Graph, normalised_laplacian
        >>> edges = torch.tensor([[0, 2, 3], [1, 3, 4]])  # a pair and a path of three
        >>> union = Graph.from_edges(edges, 5)
        >>> transform = FrameletTransform(normalised_laplacian(union))
        >>> h, graph_number = torch.ones(5, 4), torch.tensor([0, 0, 1, 1, 1])
        >>> framelet_pool(transform, h, graph_number, 2, "spectrum").shape
        torch.Size([2, 12])
    """
    if kind == "sum":
        # W_q is symmetric: 1^T (W_q H) = (W_q 1)^T H, so one column is transformed
        # instead of many.
        ones = h.new_ones(len(h), 1)
        nodewise = transform.analysis(ones) * h
    elif kind == "spectrum":
        nodewise = transform.analysis(h).square()
    else:
        raise ValueError(f"kind must be 'sum' or 'spectrum', not {kind!r}")
    pooled = h.new_zeros(num_graphs, transform.num_blocks, h.shape[1])
    return pooled.index_add(0, graph_number, nodewise.transpose(0, 1)).flatten(1)
