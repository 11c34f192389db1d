"""Random graphs with a known truth: communities, roles, hubs.

All are undirected, and drawn by a generator.
"""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from src.common.checks import checked
from src.common.graphs.graph import Graph


@checked
def stochastic_block_model(
    sizes: tuple[int, ...],
    inside: float,
    between: float,
    generator: torch.Generator,
    *,
    propensity: Float[Tensor, " nodes"] | None = None,
) -> Graph:
    """Return a graph of blocks whose nodes prefer their own block; `y` is the block.

    Args:
        sizes: nodes of each block.
        inside: edge probability within a block, in [0, 1].
        between: edge probability between two blocks, in [0, 1].
        generator: source of the edges.
        propensity: positive, mean 1: an edge's probability is multiplied by the values
            of both ends and cut at 1 (the degree-corrected model, which makes hubs);
            None is 1 for all.

    Raises:
        ValueError: for a probability outside [0, 1], or not one positive propensity per
            node.

    Examples:
        >>> generator = torch.Generator().manual_seed(0)
        >>> graph = stochastic_block_model((20, 20), 0.5, 0.0, generator)
        >>> source, target = graph.edge_index
        >>> bool((graph.y[source] == graph.y[target]).all())
        True
    """
    if not (0 <= inside <= 1 and 0 <= between <= 1):
        raise ValueError(
            f"edge probabilities must lie in [0, 1], not {inside} and {between}"
        )
    if not sizes or min(sizes) < 0 or not sum(sizes):
        raise ValueError(f"need at least one node, not blocks of {sizes} nodes")
    y = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    nodes = len(y)
    weight = torch.ones(nodes) if propensity is None else propensity
    if len(weight) != nodes or not bool((weight > 0).all()):
        raise ValueError(f"need one positive propensity for each of the {nodes} nodes")
    pairs = [torch.empty(2, 0, dtype=torch.long)]
    for node in range(nodes - 1):  # a row at a time: memory stays linear in the nodes
        chance = (
            torch.where(y[node + 1 :] == y[node], inside, between) * weight[node + 1 :]
        )
        draws = torch.rand(nodes - node - 1, generator=generator)
        hits = torch.nonzero(draws < chance * weight[node]).ravel() + node + 1
        pairs.append(torch.stack([torch.full_like(hits, node), hits]))
    return Graph.from_edges(torch.cat(pairs, dim=1), nodes, y=y)


@checked
def with_class_features(
    graph: Graph, dimension: int, noise: float, generator: torch.Generator
) -> Graph:
    """Return the graph with features: its class's random mean plus Gaussian noise.

    Args:
        graph: with classes `y` (nodes,).
        dimension: number of features; the means are standard normal.
        noise: standard deviation of the noise, at least 0.
        generator: source of the means and of the noise.

    Raises:
        ValueError: for a graph without classes.
    """
    if graph.y is None or graph.y.dim() != 1:
        raise ValueError("need a graph with one class per node as y")
    classes = int(graph.y.max()) + 1
    means = torch.randn(classes, dimension, generator=generator)
    x = means[graph.y] + noise * torch.randn(
        graph.num_nodes, dimension, generator=generator
    )
    return replace(graph, x=x)


@checked
def power_law_propensity(
    nodes: int, exponent: float, generator: torch.Generator
) -> Float[Tensor, " nodes"]:
    """Return values of mean 1 with a power-law tail, cut near 10.

    P(value > v) ~ v^-exponent; a `propensity` for `stochastic_block_model`.

    Args:
        nodes: how many.
        exponent: greater than 1; smaller makes larger hubs.
        generator: source of the draws.

    Raises:
        ValueError: for an exponent of at most 1: such a law has no mean.
    """
    if not exponent > 1:
        raise ValueError(f"the exponent must be greater than 1, not {exponent}")
    values = (1 - torch.rand(nodes, generator=generator)) ** (-1 / exponent)
    values = (values / values.mean()).clamp(max=10.0)
    return values / values.mean()


@checked
def preferential_attachment(
    nodes: int, links: int, generator: torch.Generator
) -> Graph:
    """Return a Barabasi-Albert graph: new nodes link to others by their degree.

    Args:
        nodes: more than `links`.
        links: of a new node, at least 1; it draws ends of earlier edges, and repeats
            are merged.
        generator: source of the draws.

    Raises:
        ValueError: if there are too few nodes or no links.

    Examples:
        >>> graph = preferential_attachment(30, 1, torch.Generator().manual_seed(0))
        >>> graph.num_edges // 2
        29
    """
    if links < 1 or nodes <= links:
        raise ValueError(f"need nodes > links >= 1, not {nodes} and {links}")
    ends = torch.empty(2 * links * nodes, dtype=torch.long)
    ends[: 2 * links : 2] = torch.arange(links)
    ends[1 : 2 * links : 2] = links
    filled = 2 * links
    draws = torch.rand(nodes, links, generator=generator)
    for node in range(links + 1, nodes):
        ends[filled + 1 : filled + 2 * links : 2] = node
        ends[filled : filled + 2 * links : 2] = ends[(draws[node] * filled).long()]
        filled += 2 * links
    return Graph.from_edges(ends[:filled].reshape(-1, 2).T, nodes)


@checked
def communities_of_roles(
    communities: int, hubs: int, members: int, leaves: int, generator: torch.Generator
) -> tuple[Graph, Int[Tensor, " nodes"]]:
    """Return a graph whose communities hold the same roles, and the nodes' roles.

    In each community the hubs (role 0) know each other and most members; the members
    (role 1) know some of each other; each leaf (role 3) hangs on one hub; and a bridge
    (role 2) joins the community's members with the bridges of all other communities.
    Roles repeat in distant places, communities do not, so the graph separates
    structural from positional embeddings.

    Args:
        communities: how many, at least 2.
        hubs: of each community, at least 1.
        members: of each community, at least 1.
        leaves: of each community, at least 0.
        generator: source of the edges.

    Returns:
        The graph, with the community as `y`, and (nodes,) roles 0 ... 3.

    Raises:
        ValueError: for fewer than two communities, or one without hubs or members.

    Examples:
        >>> generator = torch.Generator().manual_seed(0)
        >>> graph, roles = communities_of_roles(3, 2, 5, 4, generator)
        >>> graph.y.bincount(), roles.bincount()
        (tensor([12, 12, 12]), tensor([ 6, 15,  3, 12]))
    """
    if communities < 2 or hubs < 1 or members < 1 or leaves < 0:
        raise ValueError(
            "need at least 2 communities, each with at least 1 hub and 1 member"
        )
    size = hubs + members + 1 + leaves
    roles = torch.tensor([0] * hubs + [1] * members + [2] + [3] * leaves)
    drawn = [_community(hubs, members, leaves, generator) for _ in range(communities)]
    bridges = torch.arange(communities) * size + hubs + members
    pairs = [edges + size * number for number, edges in enumerate(drawn)]
    pairs.append(torch.combinations(bridges).T)
    community = torch.arange(communities).repeat_interleave(size)
    graph = Graph.from_edges(torch.cat(pairs, dim=1), communities * size, y=community)
    return graph, roles.repeat(communities)


def _community(
    hubs: int, members: int, leaves: int, generator: torch.Generator
) -> Int[Tensor, "2 pairs"]:
    """Draw the links inside one community: hubs first, then members, bridge, leaves."""
    inner = hubs + members
    is_hub = torch.arange(inner) < hubs
    both, either = is_hub[:, None] & is_hub, is_hub[:, None] | is_hub
    chance = torch.where(both, 1.0, torch.where(either, 0.6, 0.15))
    links = torch.nonzero(
        (torch.rand(inner, inner, generator=generator) < chance).triu(1)
    ).T
    picks = hubs + torch.randperm(members, generator=generator)[: max(2, members // 5)]
    hangs = torch.randint(hubs, (leaves,), generator=generator)
    bridge = torch.stack([torch.full_like(picks, inner), picks])
    leaf = torch.stack([inner + 1 + torch.arange(leaves), hangs])
    return torch.cat([links, bridge, leaf], dim=1)
