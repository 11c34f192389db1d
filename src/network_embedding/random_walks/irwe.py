"""IRWE: identity and position vectors of nodes from walk statistics, by one model.

Qin and Yeung, "IRWE: Inductive Random Walk for Joint Inference of Identity and Position
Network Embedding" (2024). The paper's abstract states that walks are the only input,
that several attention units handle them, that statistics of walks stand for identities
and positions, that the two are trained together, and that new nodes and graphs can be
embedded. This module is a reconstruction from that: the statistics (anonymous walks and
degrees along the way for identities, visited places for positions), the layers, the
losses and the sizes are a reading, not the authors' program.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from src.common.checks import checked, finite, within
from src.common.graphs.graph import Graph
from src.common.training.loop import TrainingSettings, seeded, train
from src.network_embedding.random_walks.anonymous_walks import (
    MOST_STEPS,
    all_anonymous_walks,
    degree_profiles,
    pattern_shares,
)
from src.network_embedding.random_walks.walks import parked, uniform_walks


@dataclass(frozen=True)
class IRWESettings:
    """The walks, the model and its training.

    Attributes:
        walks: from each node.
        steps: of each walk, 1 to 10.
        bins: of degrees, in powers of two.
        places: size of the random code of a place.
        dimension: of both embeddings.
        negatives: weight of a random pair against a pair that a walk saw.
        balance: weight of the identity loss against the position loss.
        training: of both together, all nodes in every step.
    """

    walks: int = 20
    steps: int = 5
    bins: int = 6
    places: int = 64
    dimension: int = 32
    negatives: float = 5.0
    balance: float = 10.0
    training: TrainingSettings = TrainingSettings(  # noqa: RUF009
        steps=150, learning_rate=5e-3
    )

    def __post_init__(self) -> None:
        """Reject sizes and weights that leave nothing to train.

        Raises:
            ValueError: for a size below 1, steps not from 1 to 10, or a weight below 0.
        """
        for name in ("walks", "bins", "places", "dimension"):
            within(name, getattr(self, name), 1)
        within("steps", self.steps, 1, MOST_STEPS)
        within("negatives", self.negatives, 0)
        within("balance", self.balance, 0)


IRWESettings.__init__ = checked(IRWESettings.__init__)


@dataclass(frozen=True)
class WalkStatistics:
    """All that the model sees of a graph.

    Attributes:
        roles: (nodes, features) square roots of pattern shares and degree profiles; the
            distance between two rows is then the Hellinger distance, and rare patterns
            count as much as their noise allows.
        walks: (nodes, per_node, positions) node numbers, each walk beginning at its own
            node.
        places: (nodes, codes) unit rows, similar for nodes whose walks visit the same
            places.
        meetings: (nodes, nodes) share of each ordered pair of two nodes among all pairs
            that the walks saw.
    """

    roles: Float[Tensor, "nodes features"]
    walks: Int[Tensor, "nodes per_node positions"]
    places: Float[Tensor, "nodes codes"]
    meetings: Float[Tensor, "nodes nodes"]


@checked
def walk_statistics(
    graph: Graph, settings: IRWESettings, generator: torch.Generator
) -> WalkStatistics:
    """Draw walks from every node and return their statistics.

    Args:
        graph: directed or not, of a few thousand nodes at most, since the table of
            meetings is dense; with at least one edge. A walk that cannot go on stays.
        settings: gives the walks, their steps, the degree bins and the size of a
            place's code.
        generator: source of the walks and of the random codes.

    Returns:
        The input of `IRWE`, of all nodes.

    Raises:
        ValueError: for a graph without edges.
    """
    if not graph.num_edges:
        raise ValueError("walks on a graph without edges meet nobody: no statistics")
    nodes, positions = graph.num_nodes, settings.steps + 1
    starts = torch.arange(nodes).repeat_interleave(settings.walks)
    flat = parked(uniform_walks(graph, starts, settings.steps, generator))
    walks = flat.reshape(nodes, settings.walks, positions)
    roles = torch.cat(
        [pattern_shares(walks), degree_profiles(graph, walks, settings.bins)], dim=1
    )
    codes = torch.randn(nodes, settings.places, generator=generator)
    visits = codes[walks.reshape(nodes, -1)].sum(dim=1)
    cells = (starts[:, None] * nodes + flat[:, 1:]).ravel()
    counts = (
        torch.bincount(cells, minlength=nodes * nodes).reshape(nodes, nodes).float()
    )
    counts = (counts + counts.T).fill_diagonal_(0)
    places = nn.functional.normalize(visits, dim=1)
    return WalkStatistics(roles.sqrt(), walks, places, counts / counts.sum())


@checked
def attend(
    query: Float[Tensor, "*batch dim"],
    keys: Float[Tensor, "*batch items dim"],
    bias: Float[Tensor, "*batch items"] | None = None,
) -> Float[Tensor, "*batch items"]:
    """Return softmax(keys . query / sqrt(dim) + bias): the query's weight on each item.

    Args:
        query: (..., dim).
        keys: (..., items, dim).
        bias: (..., items) added to the scores; None adds nothing.

    Returns:
        (..., items), summing to 1.
    """
    scores = (keys @ query.unsqueeze(-1)).squeeze(-1) / math.sqrt(query.shape[-1])
    return torch.softmax(scores if bias is None else scores + bias, dim=-1)


@checked
def mix(
    weights: Float[Tensor, "*batch items"], values: Float[Tensor, "*batch items dim"]
) -> Float[Tensor, "*batch dim"]:
    """Return the weighted sum of the items' values.

    Args:
        weights: (..., items).
        values: (..., items, dim).
    """
    return (weights.unsqueeze(-2) @ values).squeeze(-2)


class IdentityEncoder(nn.Module):
    """Identity vectors: a node's role statistics ask which anonymous walks describe it.

    Args:
        steps: of the walks.
        features: columns of the role statistics; the first are the shares of the
            patterns.
        dimension: of the identity vectors.
    """

    def __init__(self, steps: int, features: int, dimension: int) -> None:
        super().__init__()
        patterns = all_anonymous_walks(steps)
        one_hot = nn.functional.one_hot(patterns, steps + 1).flatten(1).float()
        self.register_buffer("patterns", one_hot)
        self.query = nn.Sequential(
            nn.Linear(features, dimension), nn.GELU(), nn.Linear(dimension, dimension)
        )
        self.key = nn.Linear(one_hot.shape[1], dimension)
        self.value = nn.Linear(one_hot.shape[1], dimension)
        self.back = nn.Sequential(
            nn.Linear(dimension, dimension), nn.GELU(), nn.Linear(dimension, features)
        )

    def forward(
        self, roles: Float[Tensor, "nodes features"]
    ) -> Float[Tensor, "nodes dim"]:
        """Return psi: the query plus the patterns' mean by share and attention.

        Args:
            roles: (nodes, features) of `WalkStatistics`.
        """
        shares = roles[:, : len(self.patterns)].square()
        query = self.query(roles)
        scores = query @ self.key(self.patterns).T / math.sqrt(query.shape[1])
        weights = torch.softmax(scores + (shares + 1e-3).log(), dim=1)
        return query + weights @ self.value(self.patterns)


class IRWE(nn.Module):
    """Both embeddings of every node of a graph; no parameter belongs to a node.

    Args:
        settings: sizes.
        features: columns of the role statistics.
    """

    def __init__(self, settings: IRWESettings, features: int) -> None:
        super().__init__()
        size = settings.dimension
        self.identity = IdentityEncoder(settings.steps, features, size)
        self.query = nn.Linear(size, size)
        self.key = nn.Linear(size, size)
        self.step_key = nn.Parameter(torch.zeros(settings.steps + 1, size))
        self.place = nn.Linear(settings.places, size, bias=False)
        self.step_value = nn.Parameter(torch.ones(settings.steps + 1, 1))
        self.scale = nn.Parameter(torch.zeros(2))

    def forward(
        self, statistics: WalkStatistics
    ) -> tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"]]:
        """Return identity vectors psi and position vectors gamma, both (nodes, dim).

        Identities decide how much of each place on a walk, and then of each walk, a
        position takes; the places themselves decide what it takes.

        Args:
            statistics: of all nodes of a graph, drawn with the model's settings.
        """
        psi = self.identity(statistics.roles)
        query = self.query(psi)
        walks = statistics.walks
        keys = self.key(psi)[walks] + self.step_key
        values = self.place(statistics.places)[walks] * self.step_value
        asked = query[:, None].expand(-1, walks.shape[1], -1)
        along = attend(asked, keys)
        walk_keys, walk_values = mix(along, keys), mix(along, values)
        return psi, mix(attend(query, walk_keys), walk_values)

    def meeting_logits(
        self, gamma: Float[Tensor, "nodes dim"]
    ) -> Float[Tensor, "nodes nodes"]:
        """Return exp(a) times the cosine of each pair of positions, minus an offset b.

        Args:
            gamma: (nodes, dim) position vectors.
        """
        unit = nn.functional.normalize(gamma, dim=1)
        return (self.scale[0] + 1).exp() * unit @ unit.T - self.scale[1]


def joint_loss(
    model: IRWE, statistics: WalkStatistics, settings: IRWESettings
) -> Float[Tensor, ""]:
    """Return the sum of both losses.

    Identity: the squared error of the role statistics, decoded from psi. Position:
    skip-gram with negative sampling, its expectation over all pairs of nodes, with both
    sides read from gamma.

    Args:
        model: model whose loss is wanted.
        statistics: of all nodes of a graph.
        settings: gives the weights of negatives and of the identity loss.
    """
    psi, gamma = model(statistics)
    lost = (model.identity.back(psi) - statistics.roles).square().sum(dim=1).mean()
    share = statistics.meetings.sum(dim=1)
    chance = (settings.negatives * share[:, None] * share).fill_diagonal_(0)
    logits = model.meeting_logits(gamma)
    met = nn.functional.softplus(-logits) * statistics.meetings
    not_met = nn.functional.softplus(logits) * chance
    return settings.balance * lost + (met + not_met).sum()


def fit_irwe(
    statistics: WalkStatistics, settings: IRWESettings, generator: torch.Generator
) -> IRWE:
    """Return a model trained on one graph's statistics; it can be called on another's.

    Args:
        statistics: of `walk_statistics`.
        settings: those that the statistics were drawn with.
        generator: source of the initial weights.

    Raises:
        ValueError: for statistics that are not finite, or that were drawn with other
            settings.
    """
    _expect_drawn_with(statistics, settings)
    with seeded(generator):
        model = IRWE(settings, statistics.roles.shape[1])

    def loss(model: nn.Module, batch: WalkStatistics) -> Tensor:
        return joint_loss(model, batch, settings)

    batches: Iterator[WalkStatistics] = repeat(statistics)
    train(model, loss, batches, settings.training, generator)
    return model


def _expect_drawn_with(statistics: WalkStatistics, settings: IRWESettings) -> None:
    """Refuse statistics of other walks than the model is made for."""
    finite("meetings", statistics.meetings)
    finite("roles", statistics.roles)
    given = *statistics.walks.shape[1:], statistics.places.shape[1]
    wanted = settings.walks, settings.steps + 1, settings.places
    if given != wanted:
        raise ValueError(
            f"the statistics have walks, positions and places {given}, the settings "
            f"{wanted}: draw them with the same settings"
        )


@torch.no_grad()
def embed(
    model: IRWE, statistics: WalkStatistics
) -> tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"]]:
    """Return a graph's identity and position vectors, (nodes, dim) each.

    No gradients are taken.

    Args:
        model: trained, on this graph or another; it is left in evaluation mode.
        statistics: of the graph, drawn with the model's settings.

    Examples:
        >>> import networkx
        >>> club = Graph.from_networkx(networkx.karate_club_graph())
        >>> settings = IRWESettings(walks=5, dimension=8)
        >>> statistics = walk_statistics(club, settings, torch.Generator())
        >>> model = IRWE(settings, statistics.roles.shape[1])  # not yet trained
        >>> [tuple(vectors.shape) for vectors in embed(model, statistics)]
        [(34, 8), (34, 8)]
    """
    return model.eval()(statistics)
