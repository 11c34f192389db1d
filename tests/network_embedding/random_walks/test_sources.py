import pytest
import torch

from src.common.graphs.graph import Graph
from src.network_embedding.random_walks import sources
from src.network_embedding.random_walks.sources import (
    HUB_COMMUNITIES,
    hub_communities,
    labelled_graph,
    role_graph,
)


@pytest.fixture(autouse=True)
def fresh():
    labelled_graph.cache_clear()
    yield
    labelled_graph.cache_clear()


def leaving(graph):
    """The share of edges between two communities."""
    source, target = graph.edge_index
    return float((graph.y[source] != graph.y[target]).float().mean())


def differ(a, b):
    return a.edge_index.shape != b.edge_index.shape or not torch.equal(a.edge_index, b.edge_index)


def test_hub_communities_are_what_their_description_says():
    graphs = [hub_communities(seed) for seed in range(1_000, 1_020)]
    assert all(torch.bincount(graph.y).tolist() == [75] * 4 for graph in graphs)
    degrees = torch.cat([graph.degree for graph in graphs])
    assert abs(float(degrees.mean()) - 10) < 0.7
    assert abs(sum(map(leaving, graphs)) / 20 - 0.3) < 0.04
    # Poisson degrees of mean 10 have a deviation of 3.2 and hardly ever exceed 25.
    assert float(degrees.std()) > 6
    assert min(float(graph.degree.max()) for graph in graphs) > 25


def test_a_name_and_a_seed_are_always_the_same_graph():
    graph = labelled_graph(HUB_COMMUNITIES, 1_000)
    assert labelled_graph(HUB_COMMUNITIES, 1_000) is graph
    assert torch.equal(hub_communities(1_000).edge_index, graph.edge_index)
    other = labelled_graph(HUB_COMMUNITIES, 1_001)
    assert differ(graph, other)


def test_other_names_are_downloaded_graphs(monkeypatch):
    asked = []

    def load(name):
        asked.append(name)
        return Graph(torch.empty(2, 0, dtype=torch.long), 1)

    monkeypatch.setattr(sources, "load_graph", load)
    assert labelled_graph("cora", 0).num_nodes == 1
    labelled_graph("cora", 0)
    assert asked == ["cora"]


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="unknown graph 'hubs'"):
        labelled_graph("hubs", 0)


def test_the_role_graph_has_five_communities_of_the_same_roles():
    graph, roles = role_graph(1_000)
    assert graph.num_nodes == 160 and torch.bincount(graph.y).tolist() == [32] * 5
    assert torch.bincount(roles).tolist() == [15, 100, 5, 40]
    assert leaving(graph) == pytest.approx(20 / graph.num_edges)  # ten links between five bridges
    assert differ(graph, role_graph(1_001)[0])
