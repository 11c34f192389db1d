"""Two autoencoders of a graph: SDNE and GAE.

SDNE: Wang, Cui and Zhu, "Structural Deep Network Embedding" (KDD 2016): a deep
autoencoder of the rows of the adjacency matrix. Here it lacks the paper's layer-wise
pretraining by Boltzmann machines, and has ReLU instead of sigmoids between the layers,
as in the GEM library.

GAE: Kipf and Welling, "Variational Graph Auto-Encoders" (2016, arXiv 1611.07308), the
variant without sampling: a graph convolutional network whose vectors' inner products
predict the edges.
"""

from dataclasses import dataclass
from itertools import pairwise, repeat

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from src.common.checks import checked, finite, within
from src.common.graphs.graph import Graph, adjacency, expect_undirected
from src.common.graphs.networks import GCN
from src.common.training.loop import TrainingSettings, seeded, train


@dataclass(frozen=True)
class SDNESettings:
    """How to build and train SDNE.

    Attributes:
        dimension: of the vectors.
        hidden: widths between the row of the adjacency matrix and the vector.
        edge_weight: b of equation 3: how much more an edge's error counts than a
            missing edge's.
        first_order: alpha of equation 5, the weight of the distance of linked nodes.
        weight_decay: of AdamW, instead of the paper's L2 penalty.
        steps: of the training.
        learning_rate: of the training.
        batch: nodes per step, at least 2; all of them where there are fewer.
    """

    dimension: int = 16
    hidden: tuple[int, ...] = (64,)
    edge_weight: float = 10.0
    first_order: float = 0.1
    weight_decay: float = 1e-4
    steps: int = 300
    learning_rate: float = 5e-3
    batch: int = 512

    def __post_init__(self) -> None:
        """Reject settings that train nothing.

        Raises:
            ValueError: for a size below 1, a batch below 2, an edge weight that is not
                positive, or a negative weight.
        """
        _expect_sizes(dimension=self.dimension, hidden=min(self.hidden, default=1))
        within("batch", self.batch, 2, remedy="one node alone has no linked nodes")
        within("edge_weight", self.edge_weight, 0, ends=False)
        within("first_order", self.first_order, 0)


SDNESettings.__init__ = checked(SDNESettings.__init__)


class SDNE(nn.Module):
    """The deep autoencoder: a row of the adjacency matrix -> vector -> row."""

    def __init__(self, nodes: int, settings: SDNESettings) -> None:
        """Build encoder and decoder, each the mirror image of the other.

        Args:
            nodes: length of a row.
            settings: dimension and hidden widths.
        """
        super().__init__()
        sizes = (nodes, *settings.hidden, settings.dimension)
        self.encoder = _layers(sizes)
        self.decoder = _layers(sizes[::-1])

    def forward(self, rows: Float[Tensor, "batch nodes"]) -> tuple[Tensor, Tensor]:
        """Return the vectors and the logits of the rebuilt rows.

        Args:
            rows: (batch, nodes) of the adjacency matrix.

        Returns:
            (batch, dim) vectors and (batch, nodes) logits.
        """
        vectors = self.encoder(rows)
        return vectors, self.decoder(vectors)


@dataclass(frozen=True)
class Autoencoded:
    """What an autoencoder learned.

    Attributes:
        vectors: (nodes, dim).
        scores: (nodes, nodes); the larger, the likelier the decoder holds an edge.
    """

    vectors: Float[Tensor, "nodes dim"]
    scores: Float[Tensor, "nodes nodes"]


@checked
def sdne(
    graph: Graph, settings: SDNESettings, generator: torch.Generator
) -> Autoencoded:
    """Train SDNE and return its vectors and what its decoder makes of them.

    Args:
        graph: undirected; a dense matrix of its size is made.
        settings: of the network and the training.
        generator: source of the initial weights and of the batches; nodes that do not
            fill a batch wait for the next pass, which has another order.

    Returns:
        (nodes, dim) vectors and (nodes, nodes) logits of the rebuilt rows.

    Raises:
        ValueError: for a directed graph, or one without edges.
    """
    expect_undirected(graph, edges=True)
    rows = adjacency(graph).to_dense()
    with seeded(generator):
        model = SDNE(graph.num_nodes, settings)
    nodes, size = graph.num_nodes, min(settings.batch, graph.num_nodes)

    def batches():
        while True:
            order = torch.randperm(nodes, generator=generator)
            yield from (order[i : i + size] for i in range(0, nodes - size + 1, size))

    recipe = TrainingSettings(
        settings.steps, settings.learning_rate, weight_decay=settings.weight_decay
    )
    train(
        model,
        lambda m, batch: sdne_loss(m, rows, batch, settings),
        batches(),
        recipe,
        generator,
    )
    with torch.no_grad():
        vectors, scores = model(rows)
    return Autoencoded(vectors, scores)


def sdne_loss(
    model: SDNE,
    rows: Float[Tensor, "nodes nodes"],
    batch: Tensor,
    settings: SDNESettings,
) -> Float[Tensor, ""]:
    """Return SDNE's mean loss over a batch of nodes (equations 3 to 5).

    A node u costs its reconstruction error and the distances of its vector y to those
    of linked nodes,

        |(x' - x) * b|^2 + first_order * sum_v a_uv |y_u - y_v|^2,

    with b = edge_weight where x > 0 and 1 elsewhere, x' the sigmoid of the rebuilt
    logits, and v in the batch.

    Args:
        model: autoencoder whose loss is wanted.
        rows: (nodes, nodes), the adjacency matrix.
        batch: (batch,) nodes.
        settings: gives edge_weight and first_order.
    """
    x = rows[batch]
    vectors, logits = model(x)
    penalty = torch.where(x > 0, settings.edge_weight, 1.0)
    second = ((logits.sigmoid() - x) * penalty).square().sum() / len(batch)
    links = x[:, batch]
    # sum a_uv |y_u - y_v|^2 = 2 sum_u d_u |y_u|^2 - 2 sum a_uv <y_u, y_v>
    squares = (links.sum(dim=1) * vectors.square().sum(dim=1)).sum()
    first = 2 * (squares - (vectors * (links @ vectors)).sum()) / len(batch)
    return second + settings.first_order * first


def _expect_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        within(name, size, 1)


def _layers(sizes: tuple[int, ...]) -> nn.Sequential:
    """Return linear layers with ReLU between them."""
    parts: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        parts += [nn.ReLU(), nn.Linear(inputs, outputs)]
    return nn.Sequential(*parts[1:])


@dataclass(frozen=True)
class GAESettings:
    """How to build and train GAE.

    Attributes:
        dimension: of the vectors.
        hidden: units of the first graph convolution.
        steps: of the training; every step takes the whole graph.
        learning_rate: of the training.
    """

    dimension: int = 16
    hidden: int = 32
    steps: int = 200
    learning_rate: float = 0.01

    def __post_init__(self) -> None:
        """Reject sizes below 1.

        Raises:
            ValueError: for a size below 1.
        """
        _expect_sizes(dimension=self.dimension, hidden=self.hidden)


GAESettings.__init__ = checked(GAESettings.__init__)


@checked
def gae(graph: Graph, settings: GAESettings, generator: torch.Generator) -> Autoencoded:
    """Train GAE without node features (the identity replaces them); return its vectors.

    Args:
        graph: undirected; dense matrices of its size are made.
        settings: of the network and the training.
        generator: source of the initial weights.

    Returns:
        (nodes, dim) vectors and (nodes, nodes) inner products.

    Raises:
        ValueError: for a directed graph, one without edges, or one with all edges.
    """
    expect_undirected(graph, edges=True)
    nodes = graph.num_nodes
    target = (adjacency(graph).to_dense() + torch.eye(nodes) > 0).float()
    with seeded(generator):
        model = GCN(graph, (nodes, settings.hidden, settings.dimension), dropout=0.0)
    inputs = torch.eye(nodes)
    recipe = TrainingSettings(settings.steps, settings.learning_rate)
    train(model, lambda m, _: gae_loss(m(inputs), target), repeat(0), recipe, generator)
    with torch.no_grad():
        vectors = model(inputs)
    return Autoencoded(vectors, vectors @ vectors.T)


@checked
def gae_loss(
    vectors: Float[Tensor, "nodes dim"], target: Float[Tensor, "nodes nodes"]
) -> Float[Tensor, ""]:
    """Return the cross-entropy of edges under sigmoid(<z_u, z_v>), classes balanced.

    The authors weight the few edges up by (pairs without edge) / (pairs with edge), and
    scale so that both kinds together weigh one.

    Args:
        vectors: (nodes, dim), z.
        target: (nodes, nodes), 1 for an edge and 0 for none.

    Raises:
        ValueError: for a target of other numbers than 0 and 1, without edges or
            without pairs that have none, or vectors that are not finite.
    """
    pairs, edges = target.numel(), target.sum()
    finite("target", target)
    finite("vectors", vectors)
    if not bool(((target == 0) | (target == 1)).all()):
        raise ValueError("target must hold zeros and ones: use (target > 0).float()")
    if not 0 < int(edges) < pairs:
        raise ValueError(
            f"need both edges and pairs without one: {int(edges)} of {pairs} are edges"
        )
    weight = (pairs - edges) / edges
    scale = pairs / (2 * (pairs - edges))
    logits = vectors @ vectors.T
    return scale * F.binary_cross_entropy_with_logits(logits, target, pos_weight=weight)
