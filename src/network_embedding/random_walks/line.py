"""LINE: node vectors from single edges, drawn in proportion to their weight.

Tang, Qu, Wang, Zhang, Yan, Mei (WWW 2015). First-order vectors explain who is linked to
whom, second-order vectors who shares neighbours; the method trains both and puts them
side by side.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import log_softmax, logsigmoid, normalize

from src.common.checks import alike, checked, finite, within
from src.common.graphs.graph import Graph, adjacency, expect_undirected
from src.network_embedding.random_walks.precision import FullFloat

NOISE_POWER = 0.75  # negatives are drawn by degree to this power (section 4.2)
LAST_RATE = 1e-4  # the step size falls linearly to this part of its first value


@dataclass(frozen=True)
class LineSettings:
    """How to train one order of LINE.

    Attributes:
        dimension: of one order's vectors; the two side by side have twice as many.
        edges: how many edges are drawn in all.
        negatives: noise nodes for each drawn edge.
        learning_rate: the first step size; it falls linearly, almost to 0.
        block: edges whose gradients are taken together, before any of them is applied;
            keep it small against the number of nodes, or a popular node's steps add up
            and training diverges.
    """

    dimension: int = 64
    edges: int = 1_000_000
    negatives: int = 5
    learning_rate: float = 0.025
    block: int = 256

    def __post_init__(self) -> None:
        """Reject settings that train nothing.

        Raises:
            ValueError: for a number below 1, or a learning rate that is not positive.
        """
        for name in ("dimension", "edges", "negatives", "block"):
            within(name, getattr(self, name), 1)
        within("learning_rate", self.learning_rate, 0, ends=False)


LineSettings.__init__ = checked(LineSettings.__init__)


@dataclass(frozen=True)
class AliasTable:
    """A table that draws from a fixed distribution at constant cost (Walker 1977).

    Attributes:
        keep: (items,) in [0, 1]: how likely a uniformly chosen place stands for its own
            item.
        other: (items,) the item that the place stands for otherwise.
    """

    keep: Float[Tensor, " items"]
    other: Int[Tensor, " items"]

    @classmethod
    @checked
    def of(cls, weights: Float[Tensor, " items"]) -> "AliasTable":
        """Build the table without a loop: heavy places, in order, fill up light ones.

        Args:
            weights: (items,) not negative, not all 0.

        Returns:
            A table that draws each item in proportion to its weight.

        Raises:
            ValueError: for weights that are no distribution, even after scaling.

        Examples:
            >>> table = AliasTable.of(torch.tensor([0.0, 1.0, 0.0]))
            >>> table.draw(4, torch.Generator().manual_seed(0))
            tensor([1, 1, 1, 1])
        """
        share = weights.double() * len(weights) / weights.double().sum()
        if not len(share) or not bool((share.isfinite() & (share >= 0)).all()):
            raise ValueError("weights must be finite, at least 0, and not all 0")
        light, heavy = (
            torch.nonzero(share < 1).ravel(),
            torch.nonzero(share >= 1).ravel(),
        )
        keep, other = share.clone().clamp_(max=1.0), torch.arange(len(share))
        if len(light) == 0:
            return cls(keep, other)
        lacking, spare = (1 - share[light]).cumsum(0), (share[heavy] - 1).cumsum(0)
        # Light place i is filled by the first heavy one with something left after the
        # i - 1 light ones before it.
        before = torch.cat([lacking.new_zeros(1), lacking[:-1]])
        last = len(heavy) - 1
        other[light] = heavy[
            torch.searchsorted(spare, before, right=True).clamp_(max=last)
        ]
        # A heavy place that has given too much becomes a light one, which the next
        # heavy one fills.
        until = torch.searchsorted(lacking, spare, right=True)
        gave = torch.nonzero(until < len(light)).ravel()
        gave = gave[gave < last]
        keep[heavy[gave]] = (1 + spare[gave] - lacking[until[gave]]).clamp_(0.0, 1.0)
        other[heavy[gave]] = heavy[gave + 1]
        return cls(keep, other)

    @checked
    def draw(self, count: int, generator: torch.Generator) -> Int[Tensor, " count"]:
        """Return independent items.

        Args:
            count: how many, at least 0.
            generator: source of the draws.

        Raises:
            ValueError: for a negative count.
        """
        within("count", count, 0)
        place = torch.randint(len(self.keep), (count,), generator=generator)
        coin = torch.rand(count, generator=generator, dtype=self.keep.dtype)
        return torch.where(coin < self.keep[place], place, self.other[place])


@dataclass(frozen=True)
class EdgeDraws:
    """A graph prepared for drawing edges and noise nodes.

    Attributes:
        target: (edges,) the stored edges' targets.
        edges: draws edges.
        noise: draws nodes by degree to the power 3/4.
    """

    target: Int[Tensor, " edges"]
    edges: AliasTable
    noise: AliasTable

    @classmethod
    def of(cls, graph: Graph, *, by_weight: bool = True) -> "EdgeDraws":
        """Build the tables.

        Args:
            graph: with at least one edge.
            by_weight: whether edges are drawn by weight or all with equal chance.

        Returns:
            The graph's targets with both tables.

        Raises:
            ValueError: for a graph without edges.
        """
        if not graph.num_edges:
            raise ValueError("LINE needs a graph with at least one edge")
        weights = graph.weights if by_weight else torch.ones(graph.num_edges)
        noise = AliasTable.of(graph.degree**NOISE_POWER)
        return cls(graph.edge_index[1], AliasTable.of(weights), noise)

    def block(
        self, size: int, negatives: int, generator: torch.Generator
    ) -> tuple[Int[Tensor, " size"], Int[Tensor, "size ends"]]:
        """Return drawn edges, and for each its target followed by its noise nodes.

        Args:
            size: how many edges.
            negatives: noise nodes per edge.
            generator: source of the draws.

        Returns:
            (size,) places of the edges, and (size, 1 + negatives) nodes.
        """
        edge = self.edges.draw(size, generator)
        noise = self.noise.draw(size * negatives, generator).view(size, negatives)
        return edge, torch.cat([self.target[edge, None], noise], dim=1)


def apply_block(
    vectors: Float[Tensor, "nodes dim"],
    contexts: Float[Tensor, "nodes dim"],
    source: Int[Tensor, " block"],
    ends: Int[Tensor, "block ends"],
    rate: Float[Tensor, "block 1"] | float,
) -> None:
    """Take one step of gradient ascent on a block of edges, in place (equation 7).

    For each edge (i, j) with noise nodes n_1 ... n_K this is the gradient of

        log s(c_j . u_i) + sum_k log s(-c_{n_k} . u_i),

    with s the logistic function.

    Args:
        vectors: (nodes, dim), u.
        contexts: (nodes, dim), c; the same tensor as `vectors` for the first order.
        source: (block,) the edges' sources i.
        ends: (block, 1 + K); in each row the edge's target j, then its K noise nodes.
        rate: the step size, or one for each edge, (block, 1).
    """
    u, c = vectors[source], contexts[ends.ravel()].view(*ends.shape, -1)
    error = -torch.sigmoid(torch.bmm(c, u[:, :, None]).squeeze(2))
    error[:, 0] += 1.0
    error *= rate
    to_contexts = error[:, :, None] * u[:, None, :]
    contexts.index_add_(0, ends.ravel(), to_contexts.view(-1, u.shape[1]))
    vectors.index_add_(0, source, torch.bmm(error[:, None, :], c).squeeze(1))


@checked
def train_order(
    graph: Graph,
    order: int,
    settings: LineSettings,
    generator: torch.Generator,
    drawing: str = "by weight",
) -> tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"]]:
    """Return the vectors and the context vectors of one order.

    In the first order both are the same tensor.

    Args:
        graph: undirected for the first order; with at least one edge.
        order: 1 or 2.
        settings: see `LineSettings`.
        generator: source of the initial vectors, the edges and the negatives.
        drawing: "by weight" is LINE; "uniform" draws every edge with equal chance and
            multiplies its step by its weight over the mean weight. The gradient has the
            same mean; the paper draws by weight because of its variance (section 4.2).

    Returns:
        (nodes, dim) each.

    Raises:
        ValueError: for another order, another drawing, a graph without edges, or a
            directed one in the first order.
    """
    if order not in (1, 2) or drawing not in ("by weight", "uniform"):
        raise ValueError(
            f"order must be 1 or 2 and drawing 'by weight' or 'uniform', "
            f"not {order}, {drawing!r}"
        )
    if order == 1:
        expect_undirected(graph, edges=True)
    nodes, dim, sources = graph.num_nodes, settings.dimension, graph.edge_index[0]
    by_weight = drawing == "by weight"
    draws = EdgeDraws.of(graph, by_weight=by_weight)
    vectors = (torch.rand(nodes, dim, generator=generator) - 0.5) / dim
    contexts = vectors if order == 1 else torch.zeros(nodes, dim)
    factor = None if by_weight else (graph.weights / graph.weights.mean())[:, None]
    for start in range(0, settings.edges, settings.block):
        size = min(settings.block, settings.edges - start)
        rate = settings.learning_rate * max(1 - start / settings.edges, LAST_RATE)
        edge, ends = draws.block(size, settings.negatives, generator)
        each = rate if factor is None else rate * factor[edge]
        apply_block(vectors, contexts, sources[edge], ends, each)
    return vectors, contexts


@checked
def side_by_side(
    first: FullFloat[Tensor, "nodes first"], second: FullFloat[Tensor, "nodes second"]
) -> Float[Tensor, "nodes both"]:
    """Return both orders' vectors, scaled to length 1, side by side (section 4.1).

    Args:
        first: (nodes, first) vectors.
        second: (nodes, second) vectors.

    Raises:
        ValueError: for vectors that are not finite, or not equally many.
    """
    finite("first", first)
    finite("second", second)
    return torch.cat([normalize(first), normalize(second)], dim=1)


@checked
def line(
    graph: Graph, settings: LineSettings, generator: torch.Generator
) -> Float[Tensor, "nodes twice_dim"]:
    """Return first- and second-order vectors side by side.

    Args:
        graph: undirected, with at least one edge; weights count.
        settings: of each order.
        generator: source of all draws.

    Returns:
        (nodes, 2 * dimension), each half of length 1.

    Raises:
        ValueError: for a directed graph, or one without edges.

    Examples:
        >>> import networkx
        >>> club = Graph.from_networkx(networkx.karate_club_graph())
        >>> settings = LineSettings(dimension=8, edges=1_000, block=16)
        >>> line(club, settings, torch.Generator().manual_seed(0)).shape
        torch.Size([34, 16])
    """
    expect_undirected(graph, edges=True)
    first, _ = train_order(graph, 1, settings, generator)
    second, _ = train_order(graph, 2, settings, generator)
    return side_by_side(first, second)


@checked
def softmax_objective(
    vectors: Float[Tensor, "nodes dim"],
    contexts: Float[Tensor, "nodes dim"],
    graph: Graph,
) -> Float[Tensor, ""]:
    """Return the second-order objective, in nats per drawn edge (equations 4 and 6).

    The mean over the edges, by weight, of -log softmax(u_i . c)_j. All pairs of nodes
    are scored: for small graphs.

    Args:
        vectors: (nodes, dim), u.
        contexts: (nodes, dim), c.
        graph: with at least one edge.

    Raises:
        ValueError: for a graph without edges, or vectors of other nodes.
    """
    _expect_vectors_of(graph, vectors, contexts)
    source, target = graph.edge_index
    log_chance = log_softmax(vectors @ contexts.T, dim=1)[source, target]
    return -(graph.weights.to(vectors.dtype) * log_chance).sum() / graph.weights.sum()


@checked
def sampled_objective(
    vectors: Float[Tensor, "nodes dim"],
    contexts: Float[Tensor, "nodes dim"],
    graph: Graph,
    negatives: int,
) -> Float[Tensor, ""]:
    """Return the exact mean, over edges and negatives, of what `apply_block` descends.

    It is in nats per drawn edge; the gradient of one random edge is an unbiased
    estimate of its gradient. All pairs of nodes are scored: for small graphs.

    Args:
        vectors: (nodes, dim), u.
        contexts: (nodes, dim), c.
        graph: with at least one edge.
        negatives: per drawn edge, at least 1.

    Raises:
        ValueError: for a graph without edges, vectors of other nodes, or negatives
            below 1.
    """
    _expect_vectors_of(graph, vectors, contexts)
    within("negatives", negatives, 1)
    scores = vectors @ contexts.T
    joint, noise = drawn_chances(graph, scores.dtype)
    wrong = negatives * joint.sum(dim=1)[:, None] * noise
    return -(joint * logsigmoid(scores) + wrong * logsigmoid(-scores)).sum()


def _expect_vectors_of(graph: Graph, vectors: Tensor, contexts: Tensor) -> None:
    """Refuse vectors of other nodes or of two types, and graphs without edges."""
    alike(vectors=vectors, contexts=contexts)
    if not graph.num_edges or len(vectors) != graph.num_nodes:
        raise ValueError(
            f"need a vector per node and an edge: {len(vectors)} vectors, "
            f"{graph.num_nodes} nodes, {graph.num_edges} edges"
        )


def drawn_chances(
    graph: Graph, dtype: torch.dtype
) -> tuple[Float[Tensor, "nodes nodes"], Float[Tensor, " nodes"]]:
    """Return each edge's chance of being drawn, and each node's as a negative.

    Args:
        graph: with at least one edge; dense matrices of its size are made.
        dtype: of the results.

    Returns:
        (nodes, nodes) and (nodes,), each summing to 1.

    Raises:
        ValueError: for a graph without edges.
    """
    if not graph.num_edges:
        raise ValueError("LINE needs a graph with at least one edge")
    joint = adjacency(graph, dtype).to_dense()
    noise = graph.degree.to(dtype) ** NOISE_POWER
    return joint / joint.sum(), noise / noise.sum()
