import warnings
from dataclasses import replace

import networkx
import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import laplacian
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.utils import coalesce, get_laplacian, remove_self_loops, to_undirected
from torch_geometric.utils import subgraph as pyg_subgraph

from src.common.graphs.graph import (
    Graph,
    adjacency,
    normalised_adjacency,
    normalised_laplacian,
    sparse_matrix,
    transition_matrix,
)


def edges_of(*pairs):
    return torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T


def weighted(seed=0, nodes=30, isolated=2):
    """A random weighted graph; its last nodes have no edges."""
    source = torch.Generator().manual_seed(seed)
    edges = torch.randint(nodes, (2, 4 * nodes), generator=source)
    weight = 0.1 + torch.rand(4 * nodes, generator=source)
    return Graph.from_edges(edges, nodes + isolated, weight)


def dense(graph):
    """The adjacency matrix, entry by entry."""
    matrix = np.zeros((graph.num_nodes, graph.num_nodes))
    for u, v, w in zip(*graph.edge_index.tolist(), graph.weights.tolist(), strict=True):
        matrix[u, v] = w
    return matrix


raw_graphs = st.integers(1, 8).flatmap(
    lambda nodes: st.tuples(
        st.just(nodes),
        st.lists(
            st.tuples(
                st.integers(0, nodes - 1), st.integers(0, nodes - 1), st.integers(1, 5).map(float)
            ),
            max_size=20,
        ),
        st.booleans(),
    )
)


@given(raw_graphs)
def test_loops_go_and_repeats_merge_to_the_largest_weight(raw):
    nodes, triples, directed = raw
    truth = {}
    for u, v, w in triples:
        for a, b in [(u, v)] if directed else [(u, v), (v, u)]:
            if a != b:
                truth[a, b] = max(w, truth.get((a, b), 0.0))
    edges = edges_of(*[(u, v) for u, v, _ in triples])
    weight = torch.tensor([w for _, _, w in triples], dtype=torch.float)
    graph = Graph.from_edges(edges, nodes, weight, directed=directed)
    assert [tuple(pair) for pair in graph.edge_index.T.tolist()] == sorted(truth)
    assert graph.weights.tolist() == [truth[pair] for pair in sorted(truth)]
    bare = Graph.from_edges(edges, nodes, directed=directed)
    assert torch.equal(bare.edge_index, graph.edge_index)
    assert bare.edge_weight is None and bare.weights.tolist() == [1.0] * len(truth)


def test_edges_are_those_of_torch_geometric():
    edges = torch.randint(40, (2, 300), generator=torch.Generator().manual_seed(0))
    without = remove_self_loops(edges)[0]
    assert torch.equal(Graph.from_edges(edges, 40).edge_index, to_undirected(without, num_nodes=40))
    assert torch.equal(
        Graph.from_edges(edges.int(), 40, directed=True).edge_index, coalesce(without)
    )


def test_bad_edges_and_weights_are_refused():
    for pair in ((0, 3), (-1, 0)):
        with pytest.raises(ValueError, match=r"outside 0 \.\.\. 2"):
            Graph.from_edges(edges_of(pair), 3)
    for weight in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="positive"):
            Graph.from_edges(edges_of((0, 1)), 3, torch.tensor([weight]))


def test_a_graph_without_edges_or_nodes():
    empty = Graph.from_edges(edges_of(), 3)
    assert empty.num_edges == 0 and empty.indptr.tolist() == [0] * 4
    assert empty.degree.tolist() == [0.0] * 3
    assert normalised_laplacian(empty).to_dense().tolist() == torch.eye(3).tolist()
    assert not adjacency(empty).to_dense().any() and not transition_matrix(empty).to_dense().any()
    assert Graph.from_edges(edges_of(), 0).indptr.tolist() == [0]


def test_networkx_and_back():
    raw = networkx.karate_club_graph()
    raw.add_node("alone")
    graph = Graph.from_networkx(raw, weight="weight")
    assert np.array_equal(dense(graph), networkx.to_numpy_array(raw))
    back = graph.to_networkx()
    assert np.array_equal(networkx.to_numpy_array(back), networkx.to_numpy_array(raw))
    bare = Graph.from_networkx(raw)
    assert bare.edge_weight is None
    assert np.array_equal(dense(bare), networkx.to_numpy_array(raw, weight=None))


def test_nodes_of_networkx_are_numbered_in_their_order_and_directions_kept():
    raw = networkx.DiGraph([("c", "a"), ("a", "b")])
    graph = Graph.from_networkx(raw)  # c, a, b
    assert graph.edge_index.T.tolist() == [[0, 1], [1, 2]]
    multiple = networkx.MultiGraph([(0, 1, {"w": 2.0}), (0, 1, {"w": 3.0}), (1, 2, {})])
    found = Graph.from_networkx(multiple, weight="w")
    assert found.weights.tolist() == [3.0, 3.0, 1.0, 1.0]  # the largest; 1 where there is none


def test_pointers_and_degrees():
    graph = weighted()
    matrix = scipy.sparse.csr_matrix(dense(graph))
    assert graph.indptr.tolist() == matrix.indptr.tolist()
    assert graph.edge_index[1].tolist() == matrix.indices.tolist()
    assert np.allclose(graph.degree.numpy(), dense(graph).sum(axis=1), rtol=1e-6)
    assert graph.num_edges == matrix.nnz == 2 * graph.to_networkx().number_of_edges()


def test_degrees_take_the_precision_of_the_weights():
    graph = Graph.from_edges(edges_of((0, 1)), 2, torch.tensor([0.1], dtype=torch.double))
    assert graph.degree.dtype == torch.double and graph.degree.tolist() == [0.1, 0.1]


def test_an_induced_subgraph_is_renumbered_in_the_given_order():
    graph = weighted()
    half = torch.arange(32) % 2 == 0
    graph = replace(graph, x=torch.randn(32, 3), train=half)
    nodes = torch.randperm(32, generator=torch.Generator().manual_seed(1))[:13]
    part = graph.subgraph(nodes)
    assert np.array_equal(dense(part), dense(graph)[np.ix_(nodes, nodes)])
    assert torch.equal(part.x, graph.x[nodes]) and torch.equal(part.train, half[nodes])
    assert part.y is None and part.num_nodes == 13
    ordered = nodes.sort().values
    theirs, weight = pyg_subgraph(
        ordered, graph.edge_index, graph.edge_weight, relabel_nodes=True, num_nodes=32
    )
    ours = graph.subgraph(ordered)
    assert torch.equal(ours.edge_index, theirs) and torch.equal(ours.edge_weight, weight)


def test_a_subgraph_of_a_directed_graph_stays_directed():
    graph = Graph.from_edges(edges_of((0, 1), (1, 2), (2, 0)), 3, directed=True)
    assert graph.subgraph(torch.tensor([2, 1])).edge_index.tolist() == [[1], [0]]
    assert graph.subgraph(torch.tensor([1])).num_edges == 0


def test_edges_can_be_picked():
    graph = weighted()
    keep = graph.weights > 0.6
    part = graph.with_edges(keep)
    assert np.array_equal(dense(part), np.where(dense(graph) > 0.6, dense(graph), 0))
    assert np.allclose(part.degree.numpy(), dense(part).sum(axis=1), rtol=1e-6)
    assert part.indptr[-1] == keep.sum()


# Matrices


def test_sparse_matrices_add_repeats_and_have_a_gradient():
    index = torch.tensor([[0, 2, 0, 2], [1, 0, 1, 3]])
    values = torch.tensor([1.0, 2.0, 3.0, 4.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        matrix = sparse_matrix(index, values, 3, 4)
    assert matrix.layout == torch.sparse_csr
    expected = torch.tensor([[0.0, 4, 0, 0], [0, 0, 0, 0], [2, 0, 0, 4]])
    assert torch.equal(matrix.to_dense(), expected)
    factor = torch.randn(4, 2, requires_grad=True)
    (matrix @ factor).square().sum().backward()
    assert torch.allclose(factor.grad, 2 * expected.T @ expected @ factor.detach())
    with pytest.raises(RuntimeError):
        sparse_matrix(index, values, 2, 4)


@pytest.mark.parametrize("dtype", [torch.float, torch.double])
def test_adjacency_and_transitions(dtype):
    graph = weighted()
    matrix = dense(graph)
    found = adjacency(graph, dtype)
    assert found.dtype == dtype and np.array_equal(found.to_dense().double().numpy(), matrix)
    degree = matrix.sum(axis=1, keepdims=True)
    steps = np.divide(matrix, degree, out=np.zeros_like(matrix), where=degree > 0)
    error = np.abs(transition_matrix(graph, dtype).to_dense().double().numpy() - steps).max()
    assert error < (1e-6 if dtype == torch.float else 1e-14)


def test_adjacency_of_a_directed_graph_has_the_source_in_the_row():
    graph = Graph.from_edges(edges_of((0, 1), (0, 2)), 3, directed=True)
    assert adjacency(graph).to_dense().tolist() == [[0, 1, 1], [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("self_loops", [False, True])
def test_the_normalised_adjacency_is_that_of_torch_geometric(self_loops):
    graph = weighted()
    index, weight = gcn_norm(
        graph.edge_index, graph.edge_weight.double(), 32, add_self_loops=self_loops
    )
    expected = torch.zeros(32, 32, dtype=torch.double)
    expected[tuple(index)] = weight
    found = normalised_adjacency(graph, self_loops=self_loops, dtype=torch.double)
    assert torch.allclose(found.to_dense(), expected, atol=1e-12)
    matrix = dense(graph) + self_loops * np.eye(32)
    scale = np.diag(np.where(matrix.sum(axis=1) > 0, matrix.sum(axis=1), 1) ** -0.5)
    assert np.allclose(found.to_dense().numpy(), scale @ matrix @ scale, atol=1e-12)


def test_the_laplacian_is_that_of_torch_geometric_and_of_scipy():
    graph = weighted()
    found = normalised_laplacian(graph, torch.double).to_dense()
    index, weight = get_laplacian(graph.edge_index, graph.edge_weight.double(), "sym", num_nodes=32)
    theirs = torch.zeros(32, 32, dtype=torch.double)
    theirs[tuple(index)] = weight
    assert torch.allclose(found, theirs, atol=1e-12)
    # SciPy gives nodes without edges a 0 on the diagonal: compare the others.
    linked = graph.degree > 0
    assert int(linked.sum()) == 30
    scipys = laplacian(dense(graph), normed=True)
    assert np.allclose(found[linked][:, linked].numpy(), scipys[linked][:, linked], atol=1e-12)
    assert torch.equal(found[~linked], torch.eye(32, dtype=torch.double)[~linked])


def test_the_spectrum_of_the_laplacian_lies_in_0_to_2():
    values = torch.linalg.eigvalsh(normalised_laplacian(weighted(), torch.double).to_dense())
    assert values.min() > -1e-12 and values.max() < 2
    # Two ends reach it: one component has one 0, a bipartite graph has the value 2.
    cycle = Graph.from_networkx(networkx.cycle_graph(8))
    values = torch.linalg.eigvalsh(normalised_laplacian(cycle, torch.double).to_dense())
    truth = sorted(1 - np.cos(2 * np.pi * np.arange(8) / 8))
    assert np.allclose(values.numpy(), truth, atol=1e-12)
