"""Orbit adjacencies: how often two nodes occupy given positions of one small subgraph.

Windels, Malod-Dognin and Przulj, "Graphlets correct for the topological information
missed by random walks" (2024, arXiv 2405.14194). The counts are exact. Their counter
walks through all subgraphs; here every pattern is first counted whether induced or not,
which takes matrix products, and a small linear system turns these counts into those of
induced subgraphs.
"""

from functools import lru_cache
from itertools import permutations

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse
from torch import Tensor

from src.common.checks import checked
from src.common.graphs.graph import Graph, adjacency, expect_undirected
from src.network_embedding.random_walks.factorisation.graphlets import (
    PairOrbit,
    pair_orbits,
)

MOST_NODES = 4_000


@checked
def orbit_adjacencies(graph: Graph) -> Float[Tensor, "orbits nodes nodes"]:
    """Return all 28 orbit adjacency matrices, in the order of `pair_orbits()`.

    Entry [o, u, v] is the number of induced subgraphs in which u and v stand on the
    first and the second position of pair orbit o: whole numbers in double precision,
    zero on the diagonal.

    Args:
        graph: undirected, at most 4,000 nodes; weights are ignored.

    Raises:
        ValueError: for a directed graph, or for too many nodes: the matrices are dense.

    Examples:
        On a path of three nodes, the ends see each other once, two steps apart.

        >>> path = Graph.from_edges(torch.tensor([[0, 1], [1, 2]]), 3)
        >>> names = [orbit.name for orbit in pair_orbits()]
        >>> orbit_adjacencies(path)[names.index("1-1, 2 steps")].int().tolist()
        [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
    """
    expect_undirected(graph)
    patterns = pattern_counts(graph)
    solve = np.linalg.inv(containment().numpy())
    solve = torch.from_numpy(
        np.round(2 * solve) / 2
    )  # its entries are whole or half numbers
    result = torch.zeros_like(patterns)
    for orbit, pattern in torch.nonzero(solve).tolist():
        result[orbit].add_(patterns[pattern], alpha=float(solve[orbit, pattern]))
    return result


@lru_cache(maxsize=1)
def containment() -> Float[Tensor, "orbits orbits"]:
    """Return how often each pair orbit's pattern lies in each other one, ends on ends.

    Entry [k, j] counts the maps of graphlet k's nodes onto those of graphlet j that
    send the pair onto the pair and edges onto edges. Only graphlets with equally many
    nodes contain one another.
    """
    orbits = pair_orbits()
    rows = [
        [float(_placements(pattern, host)) for host in orbits] for pattern in orbits
    ]
    return torch.tensor(rows, dtype=torch.double)


def _placements(pattern: PairOrbit, host: PairOrbit) -> int:
    """Return how many maps of `pattern` into `host` keep the pair and the edges."""
    if pattern.graphlet.nodes != host.graphlet.nodes:
        return 0
    fits = 0
    for image in permutations(range(host.graphlet.nodes)):
        if tuple(image[node] for node in pattern.pair) == host.pair:
            edges = {
                tuple(sorted((image[a], image[b]))) for a, b in pattern.graphlet.edges
            }
            fits += edges <= host.graphlet.edges
    return fits


@checked
def pattern_counts(graph: Graph) -> Float[Tensor, "orbits nodes nodes"]:
    """Return each pair orbit's placements of its graphlet, whether induced or not.

    Entry [o, u, v]: the ways to choose the other nodes, one after another and all
    different, so that the graphlet's edges are there; further edges do not matter.

    Args:
        graph: undirected, at most 4,000 nodes; weights are ignored.

    Returns:
        (28, nodes, nodes), in double precision, zero on the diagonals.

    Raises:
        ValueError: for a directed graph, or for too many nodes.
    """
    expect_undirected(graph)
    a = _binary_adjacency(graph)
    four, three = _four_node_patterns(a), _three_node_patterns(a)
    patterns = {"0-0, 1 step": a} | three | four
    counts = torch.empty(len(pair_orbits()), *a.shape, dtype=torch.double)
    for place, orbit in zip(counts, pair_orbits(), strict=True):
        mirrored = f"{orbit.target}-{orbit.source}, {orbit.name.split(', ')[1]}"
        place.copy_(
            patterns[orbit.name] if orbit.name in patterns else patterns[mirrored].T
        )
        place.fill_diagonal_(0)
    return counts


def _three_node_patterns(a: Tensor) -> dict[str, Tensor]:
    """Return the counts of the patterns with three nodes."""
    common, degree = a @ a, a.sum(dim=1)
    return {
        "1-2, 1 step": a * (degree - 1),
        "1-1, 2 steps": common,
        "3-3, 1 step": a * common,
    }


def _four_node_patterns(a: Tensor) -> dict[str, Tensor]:
    """Return the counts of the patterns with four nodes, one direction of each.

    Rows are u, columns v. `far` counts the paths u, w, x, v on four different nodes,
    and `spread` the common neighbours w of u and v with one more edge of w.
    """
    degree = a.sum(dim=1)
    common = a @ a
    around = a * common  # triangles at an edge
    ends = degree.unsqueeze(1) + degree - 1
    far = common @ a - a * ends
    spread = (a * (degree - 2)) @ a
    via_triangle = a @ around - around
    enclosed = _edges_in_common(a)
    others = degree - 1
    return {
        "4-5, 1 step": a * (a @ degree - degree.unsqueeze(1) - others - common),
        "4-5, 2 steps": common * (degree - 1 - a),
        "5-5, 1 step": a * (others.unsqueeze(1) * others - common),
        "4-4, 3 steps": far,
        "6-7, 1 step": a * (others * (degree - 2)),
        "6-6, 2 steps": spread,
        "8-8, 1 step": a * far,
        "8-8, 2 steps": common * (common - 1),
        "9-11, 1 step": a * (around.sum(dim=1) - 2 * common),
        "10-10, 1 step": a * spread,
        "10-11, 1 step": around * (degree - 2),
        "9-10, 2 steps": via_triangle,
        "12-13, 1 step": a * via_triangle,
        "13-13, 1 step": around * (common - 1),
        "12-12, 2 steps": enclosed,
        "14-14, 1 step": a * enclosed,
    }


def _edges_in_common(a: Tensor) -> Tensor:
    """Return twice the number of edges among the common neighbours of each two nodes.

    An edge lies there exactly if both nodes are common neighbours of its ends, so the
    matrix is B^T B with a row of B for every edge and both directions: sparse, as
    triangles are.
    """
    matrix = sparse.csr_array(a.numpy())
    first, second = matrix.nonzero()
    apexes = matrix[first].multiply(matrix[second]).tocsr()
    return torch.from_numpy((apexes.T @ apexes).toarray())


def _binary_adjacency(graph: Graph) -> Float[Tensor, "nodes nodes"]:
    """Return the adjacency matrix of zeros and ones, dense, in double precision.

    Raises:
        ValueError: for a directed graph, or for too many nodes.
    """
    if graph.num_nodes > MOST_NODES:
        raise ValueError(
            f"orbit adjacencies are dense matrices: {graph.num_nodes} nodes are more "
            f"than {MOST_NODES}; take a subgraph"
        )
    return (adjacency(graph, torch.double).to_dense() > 0).double()
