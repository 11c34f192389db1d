"""AE and MUSAE: nodes predict the attributes that walks find near them.

Rozemberczki, Allen and Sarkar, "Multi-scale Attributed Node Embedding" (Journal of
Complex Networks, 2021). A pair (node, attribute) is read off a walk wherever a node
with that attribute stands r places after or before the node, r = 1 ... t. AE trains one
skip-gram on the pairs of all distances; MUSAE trains one per distance and puts the
parts of the vectors side by side.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from src.common.checks import boolean_mask, checked, within
from src.common.graphs.graph import Graph
from src.network_embedding.random_walks.skip_gram import SkipGramSettings, train_pairs
from src.network_embedding.random_walks.walks import uniform_walks, walk_starts


@dataclass(frozen=True)
class MUSAESettings:
    """The walks and the pairs read off them.

    Attributes:
        dimension: of the whole vector; MUSAE gives each distance an equal part.
        distances: t, the largest distance of a pair.
        walks: from each node.
        steps: of each walk, at least `distances`.
        pairs: keep this many pairs per distance, drawn with replacement; None keeps
            all.
        skip_gram: its own dimension is ignored.
    """

    dimension: int = 32
    distances: int = 3
    walks: int = 5
    steps: int = 79
    pairs: int | None = None
    skip_gram: SkipGramSettings = SkipGramSettings()  # noqa: RUF009

    def __post_init__(self) -> None:
        """Reject sizes that cannot be divided among the distances.

        Raises:
            ValueError: for a dimension that is not a multiple of the distances,
                distances, walks or pairs below 1, or walks shorter than the largest
                distance.
        """
        if self.distances < 1 or self.dimension % self.distances:
            raise ValueError(
                f"dimension {self.dimension} must be a multiple of "
                f"distances {self.distances} >= 1"
            )
        if self.distances > self.steps:
            raise ValueError(
                f"walks of {self.steps} steps have no distance {self.distances}"
            )
        within("walks", self.walks, 1)
        within("dimension", self.dimension, 1)
        if self.pairs is not None:
            within("pairs", self.pairs, 1)
            if int(self.pairs) != self.pairs:
                raise ValueError(f"pairs must be a whole number, not {self.pairs}")


MUSAESettings.__init__ = checked(MUSAESettings.__init__)


@dataclass(frozen=True)
class AttributeLists:
    """The attributes of every node, as lists in one array.

    Attributes:
        table: (nodes, attributes), true where the node has the attribute.
    """

    table: Bool[Tensor, "nodes attributes"]

    def __post_init__(self) -> None:
        """Reject tables of another type: their nonzero entries would count as one each.

        Raises:
            ValueError: for a table that is not boolean.
        """
        boolean_mask("table", self.table, self.table.shape)

    @cached_property
    def counts(self) -> Int[Tensor, " nodes"]:
        """How many attributes each node has."""
        return self.table.sum(dim=1)

    @cached_property
    def items(self) -> Int[Tensor, " entries"]:
        """All lists, one after the other."""
        return torch.nonzero(self.table)[:, 1]

    @cached_property
    def first(self) -> Int[Tensor, " nodes"]:
        """Where each node's list begins in `items`."""
        return self.counts.cumsum(0) - self.counts


@dataclass(frozen=True)
class Pairs:
    """Observed pairs of one distance.

    Attributes:
        nodes: (pairs,) the first sides.
        attributes: (pairs,) the second sides.
    """

    nodes: Int[Tensor, " pairs"]
    attributes: Int[Tensor, " pairs"]


Pairs.__init__ = checked(Pairs.__init__)


@checked
def attribute_pairs(
    walks: Int[Tensor, "walks positions"],
    lists: AttributeLists,
    distance: int,
    limit: int | None,
    generator: torch.Generator,
) -> Pairs:
    """Return the pairs of one distance along the walks, in both directions.

    Args:
        walks: (walks, positions), each of more than `distance` nodes.
        lists: the nodes' attributes; nodes without any are never a target.
        distance: at least 1.
        limit: None returns every pair as often as it was seen; a number returns that
            many independent draws from them, each equally likely.
        generator: source of the draws.

    Raises:
        ValueError: if no walk meets an attribute, for a distance or limit below 1, or
            for walks to nodes that are not in the table.

    Examples:
        >>> walks = torch.tensor([[0, 1, 2]])
        >>> lists = AttributeLists(torch.eye(3).bool())  # node v has attribute v
        >>> pairs = attribute_pairs(walks, lists, 1, None, torch.Generator())
        >>> list(zip(pairs.nodes.tolist(), pairs.attributes.tolist()))
        [(0, 1), (1, 2), (1, 0), (2, 1)]
    """
    within("distance", distance, 1)
    if limit is not None:
        within("limit", limit, 1)
    if walks.numel() and int(walks.max()) >= len(lists.table):
        raise ValueError(
            f"walks reach node {int(walks.max())}: {len(lists.table)} rows"
        )
    early, late = walks[:, :-distance].reshape(-1), walks[:, distance:].reshape(-1)
    early, late = early[late >= 0], late[late >= 0]  # -1 after the end of a walk
    source, target = torch.cat([early, late]), torch.cat([late, early])
    spans = lists.counts[target]
    ends = spans.cumsum(0)
    total = int(ends[-1]) if len(ends) else 0
    if not total:
        raise ValueError("no walk meets an attribute; give the nodes attributes")
    if limit is None:
        drawn = torch.arange(total)
    else:
        drawn = (
            torch.rand(limit, generator=generator, dtype=torch.double) * total
        ).long()
    pair = torch.searchsorted(ends, drawn, right=True)
    place = lists.first[target[pair]] + drawn - (ends - spans)[pair]
    return Pairs(source[pair], lists.items[place])


@checked
def walk_attribute_pairs(
    graph: Graph,
    table: Bool[Tensor, "nodes attributes"],
    settings: MUSAESettings,
    generator: torch.Generator,
) -> list[Pairs]:
    """Draw walks and return their pairs of distance 1, 2, ..., settings.distances.

    Args:
        graph: of the walks.
        table: (nodes, attributes), true where the node has the attribute.
        settings: walks, distances and pairs to keep.
        generator: source of walks and draws.

    Returns:
        One set of pairs per distance.

    Raises:
        ValueError: if no walk meets an attribute, or for a table that is not boolean
            with a row per node.
    """
    boolean_mask("table", table, (graph.num_nodes, table.shape[1]))
    starts = walk_starts(graph.num_nodes, settings.walks, generator)
    walks = uniform_walks(graph, starts, settings.steps, generator)
    lists = AttributeLists(table)
    return [
        attribute_pairs(walks, lists, distance + 1, settings.pairs, generator)
        for distance in range(settings.distances)
    ]


@dataclass(frozen=True)
class AttributedVectors:
    """Vectors of nodes and of attributes; several parts with MUSAE, one with AE.

    Attributes:
        node_parts: one (nodes, part) matrix for each distance.
        attribute_parts: one (attributes, part) matrix for each distance.
    """

    node_parts: list[Float[Tensor, "nodes part"]]
    attribute_parts: list[Float[Tensor, "attributes part"]]

    @property
    def nodes(self) -> Float[Tensor, "nodes dim"]:
        """The parts of the nodes' vectors side by side."""
        return torch.cat(self.node_parts, dim=1)


@checked
def train_attributed(
    parts: list[Pairs],
    num_nodes: int,
    num_attributes: int,
    settings: MUSAESettings,
    generator: torch.Generator,
) -> AttributedVectors:
    """Train one skip-gram on each set of pairs; the sets divide the dimension equally.

    Args:
        parts: sets of pairs, none of them empty.
        num_nodes: rows of the nodes' vectors.
        num_attributes: rows of the attributes' vectors.
        settings: dimension and skip-gram.
        generator: source of initial vectors, order and negatives.

    Returns:
        One part of the vectors for each set.

    Raises:
        ValueError: without sets, for a set without pairs, or more sets than dimensions.
    """
    within("the number of sets", len(parts), 1, settings.dimension)
    skip_gram = replace(settings.skip_gram, dimension=settings.dimension // len(parts))
    found = [
        train_pairs(
            pairs.nodes,
            pairs.attributes,
            num_nodes,
            num_attributes,
            skip_gram,
            generator,
        )
        for pairs in parts
    ]
    return AttributedVectors(
        [nodes for nodes, _ in found], [words for _, words in found]
    )


def pooled(parts: list[Pairs]) -> list[Pairs]:
    """Return the pairs of all distances as one set, on which AE trains.

    Args:
        parts: one set of pairs per distance, at least one.

    Raises:
        ValueError: without any set.
    """
    within("the number of sets", len(parts), 1)
    nodes = torch.cat([pairs.nodes for pairs in parts])
    return [Pairs(nodes, torch.cat([pairs.attributes for pairs in parts]))]


@checked
def musae(
    graph: Graph,
    table: Bool[Tensor, "nodes attributes"],
    settings: MUSAESettings,
    generator: torch.Generator,
) -> AttributedVectors:
    """Return vectors whose parts each predict the attributes at one distance.

    Args:
        graph: of the walks.
        table: (nodes, attributes), true where the node has the attribute.
        settings: walks, pairs and skip-gram.
        generator: source of everything random.

    Raises:
        ValueError: if no walk meets an attribute, or for a table that is not boolean
            with a row per node.

    Examples:
        >>> import networkx
        >>> club = Graph.from_networkx(networkx.karate_club_graph())
        >>> table = torch.eye(34).bool()  # node v has attribute v
        >>> settings = MUSAESettings(dimension=8, distances=2, walks=2, steps=10)
        >>> musae(club, table, settings, torch.Generator().manual_seed(0)).nodes.shape
        torch.Size([34, 8])
    """
    parts = walk_attribute_pairs(graph, table, settings, generator)
    return train_attributed(parts, *table.shape, settings, generator)
