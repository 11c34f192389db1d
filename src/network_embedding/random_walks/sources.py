"""The graphs on which the methods of this part are compared, by name: drawn or downloaded."""

from functools import lru_cache

from jaxtyping import Int
from torch import Tensor

from src.common.graphs.generators import (
    communities_of_roles,
    power_law_propensity,
    stochastic_block_model,
)
from src.common.graphs.graph import Graph
from src.common.graphs.public_sets import load_graph
from src.common.training.streams import stream

HUB_COMMUNITIES = "hub communities"


@lru_cache(maxsize=64)
def labelled_graph(name: str, seed: int) -> Graph:
    """Return a graph whose nodes have classes (nodes,) or several labels (nodes, labels) as `y`.

    Args:
        name: "hub communities" for the drawn graph below, another for every seed; else the name
            of a downloaded one in `src.common.graphs.public_sets`, the same for every seed.
        seed: at least 0.
    """
    return hub_communities(seed) if name == HUB_COMMUNITIES else load_graph(name)


def hub_communities(seed: int, nodes: int = 300, blocks: int = 4) -> Graph:
    """Draw four communities of 75 nodes with hubs: mean degree about 10, three in ten edges leave.

    The expected degrees have a power-law tail, so that popular nodes of different communities are
    often linked: what makes the graph more than an easy block model.
    """
    generator = stream(seed, HUB_COMMUNITIES)
    hubs = power_law_propensity(nodes, 2.5, generator)
    sizes = (nodes // blocks,) * blocks
    return stochastic_block_model(sizes, 28 / nodes, 4 / nodes, generator, propensity=hubs)


@lru_cache(maxsize=64)
def role_graph(seed: int) -> tuple[Graph, Int[Tensor, " nodes"]]:
    """Draw five communities in which the same four roles repeat; return graph and roles.

    Each has 3 hubs, 20 members, one bridge to the other communities and 8 leaves: 160 nodes in
    all. The graph's `y` is the community.
    """
    return communities_of_roles(5, 3, 20, 8, stream(seed, "role graph"))
