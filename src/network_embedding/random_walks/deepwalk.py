"""DeepWalk (Perozzi, Al-Rfou and Skiena 2014): uniform walks, read as sentences."""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from src.common.checks import checked, within
from src.common.graphs.graph import Graph
from src.network_embedding.random_walks.skip_gram import SkipGramSettings, train_walks
from src.network_embedding.random_walks.walks import uniform_walks, walk_starts


@dataclass(frozen=True)
class DeepWalkSettings:
    """Walks and training.

    Attributes:
        dimension: of the vectors; None takes that of `skip_gram`.
        walks: from every node, at least 1.
        steps: of a walk, at least 1.
        window: positions on each side that are contexts, at least 1.
        skip_gram: negatives, epochs, learning rate.
    """

    dimension: int | None = None
    walks: int = 10
    steps: int = 40
    window: int = 5
    skip_gram: SkipGramSettings = field(default_factory=SkipGramSettings)

    def __post_init__(self) -> None:
        """Reject settings without pairs of nodes.

        Raises:
            ValueError: for a number below 1.
        """
        for name in ("walks", "steps", "window"):
            within(name, getattr(self, name), 1)
        if self.dimension is not None:
            within("dimension", self.dimension, 1)

    @property
    def training(self) -> SkipGramSettings:
        """Skip-gram's settings with the dimension asked for."""
        if self.dimension is None:
            return self.skip_gram
        return replace(self.skip_gram, dimension=self.dimension)


DeepWalkSettings.__init__ = checked(DeepWalkSettings.__init__)


@checked
def deepwalk(
    graph: Graph, settings: DeepWalkSettings, generator: torch.Generator
) -> Float[Tensor, "nodes dim"]:
    """Return every node's vector: walks, then skip-gram (algorithms 1 and 2).

    Args:
        graph: directed or not, weighted or not.
        settings: walks, window and training.
        generator: source of walks and training.

    Raises:
        ValueError: for a graph without nodes.

    Examples:
        >>> import networkx
        >>> club = Graph.from_networkx(networkx.karate_club_graph())
        >>> settings = DeepWalkSettings(dimension=16, walks=5, steps=20)
        >>> deepwalk(club, settings, torch.Generator().manual_seed(0)).shape
        torch.Size([34, 16])
    """
    starts = walk_starts(graph.num_nodes, settings.walks, generator)
    walks = uniform_walks(graph, starts, settings.steps, generator)
    return train_walks(
        walks, graph.num_nodes, settings.window, settings.training, generator
    )[0]
