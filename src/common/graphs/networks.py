"""Networks that label the nodes of a graph: a multilayer perceptron, GCN and GAT.

All of them, and every method that a chapter adds, are called in the same way: a model
is built for ONE graph and called `model(x)`, where x holds the features of the graph's
nodes, a dense tensor (nodes, features) or `SparseFeatures` (bags of words;
`node_features(x)` chooses). It returns logits (nodes, classes). The graph's operator is
kept in the model as a `SparseProduct`, whose gradient is fifteen times as fast as that
of `matrix @ h`; models of one graph may share one. Apply `FeatureLinear` to x first,
then propagate: that is what makes sparse features possible. So all methods are trained
by the same code, `src.common.graphs.node_classification`.

Build a model inside `with seeded(generator):` from `src.common.training.loop`.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from src.common.graphs.graph import Graph, normalised_adjacency
from src.common.graphs.sparse_products import SparseFeatures, SparseProduct, dropout


class FeatureLinear(nn.Module):
    """The map x W + b for dense or sparse features x.

    W (inputs, outputs) starts from Glorot's uniform distribution, b at 0.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        """Draw W.

        Args:
            inputs: number of features.
            outputs: number of units.
            bias: whether to add b.
        """
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        nn.init.xavier_uniform_(self.weight)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor | SparseFeatures) -> Float[Tensor, "nodes outputs"]:
        """Return x W + b.

        Args:
            x: (nodes, inputs).
        """
        h = x @ self.weight
        return h if self.bias is None else h + self.bias


class Dropout(nn.Module):
    """Dropout for dense and sparse features; does nothing in evaluation mode."""

    def __init__(self, p: float) -> None:
        """Set each entry to zero with probability p.

        Args:
            p: in [0, 1).

        Raises:
            ValueError: unless p is in [0, 1).
        """
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"a dropout probability must lie in [0, 1), not {p}")
        self.p = p

    def forward(self, x: Tensor | SparseFeatures) -> Tensor | SparseFeatures:
        """Return x thinned, and scaled to keep its expectation.

        Args:
            x: (nodes, features).
        """
        if not self.training or self.p == 0:
            return x
        return (
            x.dropped(self.p) if isinstance(x, SparseFeatures) else dropout(x, self.p)
        )


class MLP(nn.Module):
    """A perceptron for each node alone: dropout, linear, ReLU, ..., dropout, linear."""

    def __init__(
        self,
        sizes: Sequence[int],
        dropout: float = 0.5,
        *,
        input_dropout: float | None = None,
    ) -> None:
        """Build a layer between each two consecutive sizes.

        Args:
            sizes: (features, hidden, ..., classes).
            dropout: probability on each layer's input, in [0, 1).
            input_dropout: probability on the features; None for `dropout`.

        Raises:
            ValueError: for fewer than two sizes, or a dropout outside [0, 1).
        """
        super().__init__()
        self.layers = nn.ModuleList(FeatureLinear(a, b) for a, b in _consecutive(sizes))
        self.drops = _drops(len(self.layers), dropout, input_dropout)

    def forward(self, x: Tensor | SparseFeatures) -> Float[Tensor, "nodes classes"]:
        """Return the logits.

        Args:
            x: features of the nodes.
        """
        h = x
        for number, (drop, layer) in enumerate(
            zip(self.drops, self.layers, strict=True)
        ):
            h = layer(drop(h if number == 0 else h.relu()))
        return h


class GCN(nn.Module):
    """Kipf and Welling's graph convolutions: h <- ReLU(S h W + b).

    The last one has no ReLU; S = (D + I)^-1/2 (A + I) (D + I)^-1/2 (arXiv 1609.02907,
    equation 2).

    Examples:
        >>> graph = Graph.from_edges(torch.tensor([[0, 1], [1, 2]]), num_nodes=3)
        >>> model = GCN(graph, sizes=(5, 16, 2))
        >>> model(torch.randn(3, 5)).shape
        torch.Size([3, 2])
    """

    def __init__(
        self,
        graph: Graph | SparseProduct,
        sizes: Sequence[int],
        dropout: float = 0.5,
        *,
        input_dropout: float | None = None,
    ) -> None:
        """Build a convolution between each two consecutive sizes.

        Args:
            graph: undirected, or its operator from `gcn_operator`.
            sizes: (features, hidden, ..., classes).
            dropout: probability on each layer's input, in [0, 1).
            input_dropout: probability on the features; None for `dropout`.

        Raises:
            ValueError: for fewer than two sizes, or a dropout outside [0, 1).
        """
        super().__init__()
        self.operator = gcn_operator(graph) if isinstance(graph, Graph) else graph
        self.layers = nn.ModuleList(GCNLayer(a, b) for a, b in _consecutive(sizes))
        self.drops = _drops(len(self.layers), dropout, input_dropout)

    def forward(self, x: Tensor | SparseFeatures) -> Float[Tensor, "nodes classes"]:
        """Return the logits.

        Args:
            x: features of the nodes of the graph that the network was built for.
        """
        h = x
        for number, (drop, layer) in enumerate(
            zip(self.drops, self.layers, strict=True)
        ):
            h = layer(drop(h if number == 0 else h.relu()), self.operator)
        return h


class GCNLayer(nn.Module):
    """One graph convolution S h W + b."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Draw W; b starts at 0.

        Args:
            inputs: width of h.
            outputs: width of the result.
        """
        super().__init__()
        self.linear = FeatureLinear(inputs, outputs, bias=False)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(
        self, h: Tensor | SparseFeatures, operator: SparseProduct
    ) -> Float[Tensor, "nodes outputs"]:
        """Return S h W + b; the product with S is taken at the smaller width.

        Args:
            h: features of the nodes.
            operator: the product with S.
        """
        inputs, outputs = self.linear.weight.shape
        if isinstance(h, SparseFeatures) or outputs < inputs:
            return operator(self.linear(h)) + self.bias
        return self.linear(operator(h)) + self.bias


class GAT(nn.Module):
    """Graph attention (arXiv 1710.10903): heads side by side, ELU, ..., one head.

    Dropout acts on each layer's input and on the attention coefficients, as in the
    paper. Calling the network needs torch-geometric.
    """

    def __init__(
        self,
        graph: Graph,
        sizes: Sequence[int],
        dropout: float = 0.6,
        *,
        heads: int = 8,
        input_dropout: float | None = None,
    ) -> None:
        """Build an attention layer between each two consecutive sizes.

        Args:
            graph: undirected; every node also attends to itself.
            sizes: (features, hidden units per head, ..., classes).
            dropout: probability on each layer's input and on the attention, in [0, 1).
            heads: of each layer but the last, which has one.
            input_dropout: probability on the features; None for `dropout`.

        Raises:
            ValueError: for fewer than two sizes, or a dropout outside [0, 1).
        """
        super().__init__()
        loops = torch.arange(graph.num_nodes).expand(2, -1)
        edges = torch.cat([graph.edge_index, loops], dim=1)
        self.register_buffer("edges", edges, persistent=False)
        self.layers = nn.ModuleList()
        pairs, width = _consecutive(sizes), sizes[0]
        for number, (_, outputs) in enumerate(pairs, start=1):
            count = heads if number < len(pairs) else 1
            self.layers.append(GATLayer(width, outputs, count, dropout))
            width = count * outputs
        self.drops = _drops(len(self.layers), dropout, input_dropout)

    def forward(self, x: Tensor | SparseFeatures) -> Float[Tensor, "nodes classes"]:
        """Return the logits.

        Args:
            x: features of the nodes of the graph that the network was built for.
        """
        h = x
        for number, (drop, layer) in enumerate(
            zip(self.drops, self.layers, strict=True)
        ):
            h = layer(drop(h if number == 0 else F.elu(h)), self.edges)
        return h


class GATLayer(nn.Module):
    """One layer of graph attention; its heads stand side by side.

    With z = h W, node i takes sum_j alpha_ij z_j + b over the sources j of its edges,
    where alpha_ij = softmax_j LeakyReLU(a_target . z_i + a_source . z_j) (equations 3
    and 4). The numbers are those of torch-geometric's `GATConv`, which takes no sparse
    features.
    """

    def __init__(self, inputs: int, outputs: int, heads: int, dropout: float) -> None:
        """Draw W and both halves of a; b starts at 0.

        Args:
            inputs: width of h.
            outputs: width of each head.
            heads: how many, side by side in the result.
            dropout: probability on the attention coefficients, in [0, 1].
        """
        super().__init__()
        self.linear = FeatureLinear(inputs, heads * outputs, bias=False)
        for _ in range(2):  # thrown away: `GATConv` draws W twice before it draws a
            nn.init.xavier_uniform_(torch.empty(heads * outputs, inputs))
        reach = sqrt(6 / (heads + outputs))
        self.a_source = nn.Parameter(
            torch.empty(heads, outputs).uniform_(-reach, reach)
        )
        self.a_target = nn.Parameter(
            torch.empty(heads, outputs).uniform_(-reach, reach)
        )
        self.bias = nn.Parameter(torch.zeros(heads * outputs))
        self.dropout = dropout

    def forward(
        self, h: Tensor | SparseFeatures, edges: Int[Tensor, "2 edges"]
    ) -> Float[Tensor, "nodes outputs"]:
        """Return the new features of the nodes, (nodes, heads * outputs).

        Args:
            h: features of the nodes.
            edges: sources and targets, with a loop at every node that attends to
                itself.
        """
        from torch_geometric.utils import scatter, softmax

        source, target = edges
        z = self.linear(h).unflatten(1, self.a_source.shape)  # (nodes, heads, outputs)
        by_source, by_target = (
            (z * self.a_source).sum(dim=-1),
            (z * self.a_target).sum(dim=-1),
        )
        scores = by_source.index_select(0, source) + by_target.index_select(0, target)
        alpha = softmax(
            F.leaky_relu(scores, 0.2), target, num_nodes=len(z)
        )  # (edges, heads)
        alpha = F.dropout(alpha, self.dropout, self.training)
        messages = alpha[..., None] * z.index_select(
            0, source
        )  # (edges, heads, outputs)
        return scatter(messages, target, dim_size=len(z)).flatten(1) + self.bias


def gcn_operator(graph: Graph) -> SparseProduct:
    """Return (D + I)^-1/2 (A + I) (D + I)^-1/2 as a product.

    Args:
        graph: undirected.
    """
    return SparseProduct(normalised_adjacency(graph, self_loops=True), symmetric=True)


def _consecutive(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Return the pairs of consecutive sizes."""
    if len(sizes) < 2:
        raise ValueError(f"a network needs at least two sizes, not {tuple(sizes)}")
    return list(pairwise(sizes))


def _drops(layers: int, dropout: float, input_dropout: float | None) -> nn.ModuleList:
    """Return each layer's dropout."""
    first = dropout if input_dropout is None else input_dropout
    return nn.ModuleList(
        Dropout(first if number == 0 else dropout) for number in range(layers)
    )
