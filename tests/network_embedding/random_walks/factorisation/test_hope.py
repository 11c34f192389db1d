"""HOPE against the Katz series, the dense decomposition and its own promises."""

import math

import networkx as nx
import numpy as np
import pytest
import torch

from src.common.graphs.graph import Graph, adjacency
from src.network_embedding.random_walks.factorisation import hope as module
from src.network_embedding.random_walks.factorisation.hope import hope, katz, katz_beta


def graph(nodes=40, seed=0):
    return Graph.from_networkx(nx.gnp_random_graph(nodes, 6 / nodes, seed=seed))


def product(network, dimension, decay):
    source, target = hope(network, dimension, decay)
    return source @ target.T


def directed_graph():
    edges = torch.tensor([[0, 1, 2, 3, 1, 4, 0], [1, 2, 0, 1, 3, 2, 4]])
    return Graph.from_edges(edges, 6, directed=True)


@pytest.mark.parametrize("network", [graph(), directed_graph()])
def test_katz_is_the_series_of_walks(network):
    a = adjacency(network, torch.double).to_dense()
    step = katz_beta(network, 0.5) * a
    series, power = torch.zeros_like(a), torch.eye(len(a), dtype=torch.double)
    for _ in range(80):
        power = power @ step
        series += power
    assert torch.allclose(katz(network, 0.5), series, atol=1e-12)


def test_beta_is_below_one_over_the_spectral_radius():
    a = adjacency(graph(), torch.double).to_dense().numpy()
    radius = np.abs(np.linalg.eigvalsh(a)).max()
    assert katz_beta(graph(), 0.9) == pytest.approx(0.9 / radius)
    large = graph(500)
    radius = np.abs(np.linalg.eigvalsh(adjacency(large, torch.double).to_dense().numpy())).max()
    assert katz_beta(large, 0.9) == pytest.approx(0.9 / radius)


def test_beta_of_a_graph_without_cycles_is_the_decay():
    chain = Graph.from_edges(torch.tensor([[0, 1], [1, 2]]), 3, directed=True)
    assert katz_beta(chain, 0.5) == 0.5
    assert float(katz(chain, 0.5)[0, 2]) == pytest.approx(0.25)


@pytest.mark.parametrize("network", [graph(), directed_graph()])
def test_full_rank_vectors_give_the_katz_matrix(network):
    source, target = hope(network, 2 * network.num_nodes)
    assert torch.allclose(source @ target.T, katz(network), atol=1e-10)


def test_fewer_dimensions_are_the_best_approximation():
    source, target = hope(graph(), 12)
    matrix = katz(graph())
    error = (source @ target.T - matrix).norm()
    values = torch.linalg.svdvals(matrix)
    assert float(error) == pytest.approx(float(values[6:].norm()), rel=1e-9)


@pytest.mark.parametrize("decay", [0.2, 0.9])
def test_iterations_and_dense_decomposition_agree(monkeypatch, decay):
    network = graph(120)
    dense = product(network, 10, decay)
    monkeypatch.setattr(module, "SMALL", 10)
    source, target = hope(network, 10, decay)
    assert torch.allclose(source @ target.T, dense, atol=1e-8)
    assert torch.equal(hope(network, 10, decay)[0], source)


def test_iterations_agree_on_a_directed_graph(monkeypatch):
    network = Graph.from_networkx(nx.gnp_random_graph(80, 0.08, seed=1, directed=True))
    dense = product(network, 8, 0.5)
    monkeypatch.setattr(module, "SMALL", 10)
    source, target = hope(network, 8)
    assert torch.allclose(source @ target.T, dense, atol=1e-8)


@pytest.mark.parametrize(
    ("dimension", "decay"), [(7, 0.5), (0, 0.5), (82, 0.5), (8, 1.0), (8, 0.0)]
)
def test_bad_settings_are_refused(dimension, decay):
    with pytest.raises(ValueError, match=r"dimension|decay"):
        hope(graph(), dimension, decay)


def test_a_graph_without_edges_is_refused():
    with pytest.raises(ValueError, match="without edges"):
        hope(Graph.from_edges(torch.zeros(2, 0, dtype=torch.long), 4), 2)


def test_beta_is_positive_where_the_spectrum_is_symmetric():
    """A large bipartite graph has the eigenvalue of largest size with both signs."""
    for size in (450, 451, 452):
        path = Graph.from_networkx(nx.path_graph(size))
        expected = 0.5 / (2 * math.cos(math.pi / (size + 1)))
        assert katz_beta(path, 0.5) == pytest.approx(expected, rel=1e-6)
