"""Embedding by cores: more walks for a graph's dense middle, or vectors for it alone.

Brandeis, Jarret, Sevestre (2020). The k-core of a graph is what is left when nodes with
fewer than k neighbours are removed until there are none; a node's core number is the
largest k whose core contains it. CoreWalk gives a node walks in proportion to its core
number; the second technique embeds one core and lets the vectors flow outwards.
"""

import networkx
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from src.common.graphs.graph import Graph, adjacency, expect_undirected, sparse_matrix
from src.network_embedding.random_walks.deepwalk import DeepWalkSettings
from src.network_embedding.random_walks.skip_gram import train_walks
from src.network_embedding.random_walks.walks import uniform_walks


def core_numbers(graph: Graph) -> Int[Tensor, " nodes"]:
    """Return every node's core number; nodes without edges have 0.

    Args:
        graph: undirected; weights are ignored.

    Examples:
        A triangle with a tail: the tail is outside the 2-core.

        >>> edges = torch.tensor([[0, 0, 1, 2, 3], [1, 2, 2, 3, 4]])
        >>> core_numbers(Graph.from_edges(edges, 5))
        tensor([2, 2, 2, 1, 1])
    """
    expect_undirected(graph)
    numbers = networkx.core_number(graph.to_networkx())
    return torch.tensor([numbers[node] for node in range(graph.num_nodes)])


def walks_by_core(core: Int[Tensor, " nodes"], most: int) -> Int[Tensor, " nodes"]:
    """Return how many walks start at each node: max(1, floor(most k_v / k_max)).

    Args:
        core: (nodes,) core numbers k_v; k_max is the largest.
        most: walks of a node in the innermost core, at least 1.

    Raises:
        ValueError: for `most` below 1.

    Examples:
        >>> walks_by_core(torch.tensor([4, 2, 1, 0]), most=10)
        tensor([10,  5,  2,  1])
    """
    if most < 1:
        raise ValueError(
            f"need at least one walk from a node of the innermost core, not {most}"
        )
    return torch.div(most * core, max(int(core.max()), 1), rounding_mode="floor").clamp(
        min=1
    )


def shuffled_starts(
    counts: Int[Tensor, " nodes"], generator: torch.Generator
) -> Int[Tensor, " walks"]:
    """Return every node as often as `counts` says, in random order.

    Args:
        counts: (nodes,) walks from each node.
        generator: source of the order.
    """
    starts = torch.repeat_interleave(torch.arange(len(counts)), counts)
    return starts[torch.randperm(len(starts), generator=generator)]


def embed_from(
    graph: Graph,
    counts: Int[Tensor, " nodes"],
    settings: DeepWalkSettings,
    generator: torch.Generator,
) -> Float[Tensor, "nodes dim"]:
    """Return DeepWalk's vectors from walks that start `counts` times at each node.

    Equal counts are DeepWalk; those of `walks_by_core` are CoreWalk.

    Args:
        graph: undirected.
        counts: (nodes,) walks from each node.
        settings: DeepWalk's; its number of walks is not used.
        generator: source of walks and training.

    Raises:
        ValueError: for a window below 1 or walks of no steps.

    Examples:
        >>> club = Graph.from_networkx(networkx.karate_club_graph())
        >>> counts = walks_by_core(core_numbers(club), most=4)
        >>> settings = DeepWalkSettings(dimension=8)
        >>> embed_from(club, counts, settings, torch.Generator()).shape
        torch.Size([34, 8])
    """
    walks = uniform_walks(
        graph, shuffled_starts(counts, generator), settings.steps, generator
    )
    return train_walks(
        walks, graph.num_nodes, settings.window, settings.training, generator
    )[0]


def skip_gram_pairs(walks: int, steps: int, window: int) -> int:
    """Return how many (centre, context) pairs skip-gram learns from: its cost.

    Args:
        walks: how many in all.
        steps: of a walk, which has one node more.
        window: positions on each side that are contexts.
    """
    return walks * sum(
        2 * (steps + 1 - gap) for gap in range(1, min(window, steps) + 1)
    )


def core_of_at_most(core: Int[Tensor, " nodes"], share: float) -> int:
    """Return the smallest k whose core holds at most this share of the nodes.

    Args:
        core: (nodes,) core numbers.
        share: in (0, 1).

    Raises:
        ValueError: if even the innermost core holds more.
    """
    for k in range(int(core.max()) + 1):
        if float((core >= k).float().mean()) <= share:
            return k
    raise ValueError(
        f"the innermost core holds {float((core == core.max()).float().mean()):.0%} "
        f"of the nodes: more than {share:.0%}; "
        f"a graph without a core cannot be embedded by one"
    )


def propagate(
    graph: Graph,
    vectors: Float[Tensor, "nodes dim"],
    known: Bool[Tensor, " nodes"],
    iterations: int = 20,
) -> Float[Tensor, "nodes dim"]:
    """Return all nodes' vectors, spread from some nodes outwards, one layer at a time.

    A layer is all nodes without a vector that have a neighbour with one. Its vectors
    are the fixed point at which each is the mean of its neighbours' vectors, by weight,
    over neighbours that are known or in the same layer. It is found by repeated
    averaging.

    Args:
        graph: undirected.
        vectors: (nodes, dim); those of known nodes count, the others are replaced.
        known: (nodes,) which nodes have a vector.
        iterations: averages taken for each layer, 20 in the authors' code. They start
            from the mean over known neighbours alone; the authors' start from random
            numbers.

    Returns:
        (nodes, dim): known vectors as they were, 0 for nodes that no known node
        reaches.
    """
    weights = adjacency(graph, vectors.dtype)
    known = known.clone()
    found = torch.where(known[:, None], vectors, 0.0)
    while True:
        reached = weights @ known.to(vectors.dtype)
        layer = torch.nonzero(~known & (reached > 0)).ravel()
        if not len(layer):
            return found
        within = torch.zeros_like(known)
        within[layer] = True
        averages = _row_means(graph, within, known | within, vectors.dtype)
        from_known = weights @ found
        found[layer] = from_known[layer] / reached[layer, None]
        for _ in range(iterations):
            found[layer] = (averages @ found)[layer]
        known |= within


def _row_means(
    graph: Graph,
    rows: Bool[Tensor, " nodes"],
    columns: Bool[Tensor, " nodes"],
    dtype: torch.dtype,
) -> Tensor:
    """Return the sparse matrix that averages, for `rows`, neighbours in `columns`."""
    source, target = graph.edge_index
    keep = rows[source] & columns[target]
    weights = graph.weights[keep].to(dtype)
    total = weights.new_zeros(graph.num_nodes).index_add_(0, source[keep], weights)
    values = weights / total[source[keep]]
    return sparse_matrix(
        graph.edge_index[:, keep], values, graph.num_nodes, graph.num_nodes
    )


def embed_core(
    graph: Graph, k: int, settings: DeepWalkSettings, generator: torch.Generator
) -> Float[Tensor, "nodes dim"]:
    """Return DeepWalk's vectors of the k-core, propagated to all other nodes.

    Args:
        graph: undirected.
        k: which core; 0 is DeepWalk on the whole graph.
        settings: DeepWalk's.
        generator: source of walks and training.

    Raises:
        ValueError: if no node has a core number of at least k, for a window below 1, or
            for walks of no steps.
    """
    inside = core_numbers(graph) >= k
    nodes = torch.nonzero(inside).ravel()
    if not len(nodes):
        raise ValueError(f"the {k}-core is empty")
    core = graph.subgraph(nodes)
    counts = torch.full((len(nodes),), settings.walks)
    vectors = torch.zeros(graph.num_nodes, settings.training.dimension)
    vectors[nodes] = embed_from(core, counts, settings, generator)
    return propagate(graph, vectors, inside)
