"""The graphs on which this part compares methods, by name: drawn or downloaded."""

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
    """Return a graph whose `y` holds (nodes,) classes or (nodes, labels) booleans.

    Args:
        name: "hub communities" for the drawn graph below, another for every seed; else
            the name of a downloaded one in `src.common.graphs.public_sets`, the same
            for every seed.
        seed: at least 0.

    Raises:
        ValueError: for an unknown name.
        BookError: if a downloaded graph's files cannot be had.
    """
    return hub_communities(seed) if name == HUB_COMMUNITIES else load_graph(name)


def hub_communities(seed: int, nodes: int = 300, blocks: int = 4) -> Graph:
    """Draw communities of equal size with hubs.

    By default there are four communities of 75 nodes, the mean degree is about 10, and
    three in ten edges leave their community. The expected degrees have a power-law
    tail, so that popular nodes of different communities are often linked, which makes
    the graph harder than a plain block model.

    Args:
        seed: at least 0.
        nodes: a multiple of `blocks`.
        blocks: how many communities.

    Returns:
        The graph; `y` is the community.

    Raises:
        ValueError: for a number of nodes that is not a multiple of `blocks`.

    Examples:
        >>> hub_communities(seed=0).y.bincount()
        tensor([75, 75, 75, 75])
    """
    if nodes < 1 or blocks < 1 or nodes % blocks:
        raise ValueError(
            f"{nodes} nodes are no {blocks} blocks of equal size: take a multiple"
        )
    generator = stream(seed, HUB_COMMUNITIES)
    hubs = power_law_propensity(nodes, 2.5, generator)
    sizes = (nodes // blocks,) * blocks
    return stochastic_block_model(
        sizes, 28 / nodes, 4 / nodes, generator, propensity=hubs
    )


@lru_cache(maxsize=64)
def role_graph(seed: int) -> tuple[Graph, Int[Tensor, " nodes"]]:
    """Draw five communities in which the same four roles repeat.

    Each has 3 hubs, 20 members, one bridge to the other communities and 8 leaves: 160
    nodes in all. The graph's `y` is the community.

    Args:
        seed: at least 0.

    Returns:
        The graph, and (nodes,) roles 0 ... 3.
    """
    return communities_of_roles(5, 3, 20, 8, stream(seed, "role graph"))
