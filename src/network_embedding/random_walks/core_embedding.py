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

from src.common.checks import boolean_mask, checked, finite, within
from src.common.graphs.graph import Graph, adjacency, expect_undirected, sparse_matrix
from src.network_embedding.random_walks.deepwalk import DeepWalkSettings
from src.network_embedding.random_walks.precision import FullFloat
from src.network_embedding.random_walks.skip_gram import train_walks
from src.network_embedding.random_walks.walks import uniform_walks


@checked
def core_numbers(graph: Graph) -> Int[Tensor, " nodes"]:
    """Return every node's core number; nodes without edges have 0.

    Args:
        graph: undirected; weights are ignored.

    Raises:
        ValueError: for a directed graph.

    Examples:
        A triangle with a tail: the tail is outside the 2-core.

        >>> edges = torch.tensor([[0, 0, 1, 2, 3], [1, 2, 2, 3, 4]])
        >>> core_numbers(Graph.from_edges(edges, 5))
        tensor([2, 2, 2, 1, 1])
    """
    expect_undirected(graph)
    numbers = networkx.core_number(graph.to_networkx())
    return torch.tensor([numbers[node] for node in range(graph.num_nodes)])


@checked
def walks_by_core(core: Int[Tensor, " nodes"], most: int) -> Int[Tensor, " nodes"]:
    """Return how many walks start at each node: max(1, floor(most k_v / k_max)).

    Args:
        core: (nodes,) core numbers k_v; k_max is the largest.
        most: walks of a node in the innermost core, at least 1.

    Raises:
        ValueError: for `most` below 1, no nodes or negative core numbers.

    Examples:
        >>> walks_by_core(torch.tensor([4, 2, 1, 0]), most=10)
        tensor([10,  5,  2,  1])
    """
    within("most", most, 1, remedy="a node has at least one walk")
    _expect_counts("core", core)
    return torch.div(most * core, max(int(core.max()), 1), rounding_mode="floor").clamp(
        min=1
    )


@checked
def shuffled_starts(
    counts: Int[Tensor, " nodes"], generator: torch.Generator
) -> Int[Tensor, " walks"]:
    """Return every node as often as `counts` says, in random order.

    Args:
        counts: (nodes,) walks from each node.
        generator: source of the order.

    Raises:
        ValueError: for no nodes or negative counts.
    """
    _expect_counts("counts", counts)
    starts = torch.repeat_interleave(torch.arange(len(counts)), counts)
    return starts[torch.randperm(len(starts), generator=generator)]


def _expect_counts(name: str, counts: Int[Tensor, " nodes"]) -> None:
    """Refuse an empty list and negative numbers."""
    if not len(counts) or int(counts.min()) < 0:
        raise ValueError(f"{name} must be at least 0, for at least one node")


@checked
def embed_from(
    graph: Graph,
    counts: Int[Tensor, " nodes"],
    settings: DeepWalkSettings,
    generator: torch.Generator,
) -> Float[Tensor, "nodes dim"]:
    """Return DeepWalk's vectors from walks that start `counts` times at each node.

    Equal counts are DeepWalk; those of `walks_by_core` are CoreWalk.

    Args:
        graph: directed or not.
        counts: (nodes,) walks from each node.
        settings: DeepWalk's; its number of walks is not used.
        generator: source of walks and training.

    Raises:
        ValueError: for counts of other nodes, or without any walk.

    Examples:
        >>> club = Graph.from_networkx(networkx.karate_club_graph())
        >>> counts = walks_by_core(core_numbers(club), most=4)
        >>> settings = DeepWalkSettings(dimension=8)
        >>> embed_from(club, counts, settings, torch.Generator()).shape
        torch.Size([34, 8])
    """
    if len(counts) != graph.num_nodes:
        raise ValueError(f"{len(counts)} counts for {graph.num_nodes} nodes")
    walks = uniform_walks(
        graph, shuffled_starts(counts, generator), settings.steps, generator
    )
    return train_walks(
        walks, graph.num_nodes, settings.window, settings.training, generator
    )[0]


@checked
def skip_gram_pairs(walks: int, steps: int, window: int) -> int:
    """Return how many (centre, context) pairs skip-gram learns from: its cost.

    Args:
        walks: how many in all.
        steps: of a walk, which has one node more.
        window: positions on each side that are contexts.

    Raises:
        ValueError: for a window below 1, or negative walks or steps.
    """
    within("walks", walks, 0)
    within("steps", steps, 0)
    within("window", window, 1)
    return walks * sum(
        2 * (steps + 1 - gap) for gap in range(1, min(window, steps) + 1)
    )


@checked
def core_of_at_most(core: Int[Tensor, " nodes"], share: float) -> int:
    """Return the smallest k whose core holds at most this share of the nodes.

    Args:
        core: (nodes,) core numbers.
        share: above 0, at most 1, where the whole graph is taken.

    Raises:
        ValueError: for a share out of range, or if even the innermost core holds more.
    """
    within("share", share, 0, 1)
    _expect_counts("core", core)
    for k in range(int(core.max()) + 1):
        if float((core >= k).float().mean()) <= share:
            return k
    raise ValueError(
        f"the innermost core holds {float((core == core.max()).float().mean()):.0%} "
        f"of the nodes: more than {share:.0%}; "
        f"a graph without a core cannot be embedded by one"
    )


@checked
def propagate(
    graph: Graph,
    vectors: FullFloat[Tensor, "nodes dim"],
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

    Raises:
        ValueError: for a directed graph, known vectors that are not finite, or fewer
            than 0 iterations.
    """
    expect_undirected(graph)
    boolean_mask("known", known, (graph.num_nodes,))
    finite("vectors", vectors[known])
    within("iterations", iterations, 0)
    weights = adjacency(graph, vectors.dtype)
    known = known.clone()
    found = torch.where(known[:, None], vectors, 0.0)
    while True:
        reached = weights @ known.to(vectors.dtype)
        layer = torch.nonzero(~known & (reached > 0)).ravel()
        if not len(layer):
            return found
        inside = torch.zeros_like(known)
        inside[layer] = True
        averages = _row_means(graph, inside, known | inside, vectors.dtype)
        from_known = weights @ found
        found[layer] = from_known[layer] / reached[layer, None]
        for _ in range(iterations):
            found[layer] = (averages @ found)[layer]
        known |= inside


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


@checked
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
        ValueError: for a directed graph, a negative k, or if no node has a core number
            of at least k.
    """
    within("k", k, 0)
    inside = core_numbers(graph) >= k
    nodes = torch.nonzero(inside).ravel()
    if not len(nodes):
        raise ValueError(f"the {k}-core is empty")
    core = graph.subgraph(nodes)
    counts = torch.full((len(nodes),), settings.walks)
    vectors = torch.zeros(graph.num_nodes, settings.training.dimension)
    vectors[nodes] = embed_from(core, counts, settings, generator)
    return propagate(graph, vectors, inside)
