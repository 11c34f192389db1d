"""node2vec and its experiments."""

import networkx as nx
import pytest
import torch

from src.common.graphs.generators import stochastic_block_model
from src.common.graphs.graph import Graph
from src.network_embedding.random_walks.deepwalk import DeepWalkSettings, deepwalk
from src.network_embedding.random_walks.experiments import node2vec as experiments
from src.network_embedding.random_walks.experiments.node2vec import (
    characters,
    chosen_on_labels,
    chosen_on_links,
    les_miserables,
    modularity_communities,
    role_clusters,
)
from src.network_embedding.random_walks.node2vec import node2vec
from src.network_embedding.random_walks.sources import HUB_COMMUNITIES

TINY = DeepWalkSettings(8, walks=2, steps=10, window=2)
POINTS = [(1.0, 1.0), (1.0, 4.0)]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_p_and_q_of_one_are_deepwalk():
    graph = stochastic_block_model((20, 20), 0.3, 0.05, generator(1))
    same = node2vec(graph, TINY, 1.0, 1.0, generator())
    assert torch.equal(same, deepwalk(graph, TINY, generator()))
    assert not torch.equal(same, node2vec(graph, TINY, 1.0, 4.0, generator()))


def test_les_miserables_and_its_two_labellings():
    graph, same = les_miserables()
    assert (graph.num_nodes, graph.num_edges) == (77, 508)
    communities, roles = modularity_communities(), role_clusters()
    members = [{v for v, c in zip(same, communities, strict=True) if c == k} for k in range(5)]
    assert nx.community.modularity(same, members, weight=None) > 0.45
    names = list(same)
    degree = dict(same.degree())
    valjean = roles[names.index("Valjean")]
    assert (roles == valjean).sum() < 5  # the hub of hubs is with few others
    means = sorted(
        sum(degree[n] for n, r in zip(names, roles, strict=True) if r == k) / (roles == k).sum()
        for k in range(3)
    )
    assert means[1] > means[0] + 1


def test_characters_returns_scores_and_clusters():
    found = characters(1000, 1.0, 0.5, TINY)
    assert found == characters(1000, 1.0, 0.5, TINY)
    assert 0 <= found["roles"] <= 1 and 0 < found["communities"] <= 1
    assert [len(set(each)) for each in found["clusters"]] == [6, 3]


def test_p_and_q_are_chosen_on_validation_scores_alone():
    found = chosen_on_labels(HUB_COMMUNITIES, 1001, TINY, [(4.0, 1.0), *POINTS], 0.5)
    best = found["validation"].index(max(found["validation"]))
    assert found["chosen"] == list([(4.0, 1.0), *POINTS][best])
    assert found["best"] == found["test"][best] and found["deepwalk"] == found["test"][1]


@pytest.mark.parametrize("experiment", [chosen_on_labels, chosen_on_links])
def test_choosing_repeats_and_stays_in_range(experiment):
    found = experiment(HUB_COMMUNITIES, 1000, TINY, POINTS, 0.5)
    assert found == experiment(HUB_COMMUNITIES, 1000, TINY, POINTS, 0.5)
    assert all(0.2 < found[score] < 1 for score in ("best", "deepwalk"))
    assert len(found["validation"]) == 2
    if "adamic-adar" in found:
        assert 0.5 < found["adamic-adar"] < 1
    if found["chosen"] == [1.0, 1.0]:
        assert found["best"] == found["deepwalk"]


def test_a_grid_without_deepwalk_is_refused_before_anything_is_trained(monkeypatch):
    trained = []
    monkeypatch.setattr(experiments, "node2vec", lambda *given: trained.append(given))
    with pytest.raises(ValueError, match="which is DeepWalk"):
        chosen_on_labels(HUB_COMMUNITIES, 1000, TINY, [(1.0, 4.0)], 0.5)
    with pytest.raises(ValueError, match="at least one pair"):
        chosen_on_links(HUB_COMMUNITIES, 1000, TINY, [], 0.5)
    assert trained == []


def test_links_choose_the_walks_that_predict_them_best(monkeypatch):
    """Vectors of known quality: the pair with the better ones is chosen and reported."""
    grid = [(1.0, 1.0), (0.5, 2.0), (2.0, 1.0)]
    quality = dict(zip(grid, [0.6, 0.9, 0.7], strict=True))
    monkeypatch.setattr(experiments, "node2vec", lambda graph, settings, p, q, _: (p, q))
    monkeypatch.setattr(experiments, "link_auc", lambda vectors, part: quality[vectors])
    found = experiments.chosen_on_links(HUB_COMMUNITIES, 0, TINY, grid, 0.3)
    assert found["chosen"] == [0.5, 2.0] and found["best"] == 0.9 and found["deepwalk"] == 0.6
    assert found["validation"] == [0.6, 0.9, 0.7]


def test_nodes_with_any_label_are_known_or_hidden():
    y = torch.tensor([[True, False], [False, False], [False, True], [True, True]])
    graph = Graph(torch.tensor([[0, 1], [1, 0]]), 4, y=y)
    known, hidden = experiments._known_and_hidden(graph, 0.34, 5)
    assert sorted([*known.tolist(), *hidden.tolist()]) == [0, 2, 3] and len(known) == 1


@pytest.fixture
def clustered(monkeypatch) -> list[tuple]:
    """What is clustered: (points, number of clusters, seed) of each call."""
    cluster, given = experiments.k_means, []

    def noting(*arguments):
        given.append(arguments)
        return cluster(*arguments)

    monkeypatch.setattr(experiments, "k_means", noting)
    return given


def test_clusters_of_characters_follow_the_seed(clustered):
    experiments.characters(7, 1.0, 0.5, TINY)
    assert [seed for _, _, seed in clustered[-2:]] == [7, 7]


def test_roles_are_clusters_of_standardised_features(clustered):
    experiments.role_clusters.__wrapped__()
    points = clustered[0][0]
    torch.testing.assert_close(points.mean(0), torch.zeros(3).double(), atol=1e-9, rtol=0.0)
    torch.testing.assert_close(points.std(0, correction=0), torch.ones(3).double())
