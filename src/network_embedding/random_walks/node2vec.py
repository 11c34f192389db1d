"""node2vec (Grover and Leskovec 2016): second-order walks, read as sentences."""

import torch
from jaxtyping import Float
from torch import Tensor

from src.common.checks import checked
from src.common.graphs.graph import Graph
from src.network_embedding.random_walks.deepwalk import DeepWalkSettings
from src.network_embedding.random_walks.skip_gram import train_walks
from src.network_embedding.random_walks.walks import second_order_walks, walk_starts


@checked
def node2vec(
    graph: Graph,
    settings: DeepWalkSettings,
    p: float,
    q: float,
    generator: torch.Generator,
) -> Float[Tensor, "nodes dim"]:
    """Return every node's vector; p = q = 1 is DeepWalk with the same settings.

    Args:
        graph: directed or not, weighted or not.
        settings: walks, steps, window and training; the paper uses 10, 80, 10 and
            dimension 128.
        p: positive; large avoids going back to the node before.
        q: positive; large stays near the node before, small goes outward.
        generator: source of walks and training.

    Raises:
        ValueError: for p or q that are not positive and finite, or a graph without
            nodes.

    Examples:
        >>> import networkx
        >>> club = Graph.from_networkx(networkx.karate_club_graph())
        >>> settings = DeepWalkSettings(dimension=16, walks=2, steps=20)
        >>> node2vec(club, settings, 1.0, 0.5, torch.Generator().manual_seed(0)).shape
        torch.Size([34, 16])
    """
    starts = walk_starts(graph.num_nodes, settings.walks, generator)
    walks = second_order_walks(graph, starts, settings.steps, p, q, generator)
    return train_walks(
        walks, graph.num_nodes, settings.window, settings.training, generator
    )[0]
