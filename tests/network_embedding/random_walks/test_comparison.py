"""The joint comparison: every method is one call, and the harness can tell right from wrong."""

import matplotlib.pyplot as plt
import pytest
import torch

from src.common.graphs.generators import communities_of_roles
from src.common.graphs.graph import Graph
from src.common.training.streams import stream
from src.network_embedding.random_walks import comparison, figures
from src.network_embedding.random_walks.comparison import (
    DIMENSION,
    METHODS,
    communities_and_roles,
    embed,
)
from src.network_embedding.random_walks.sources import role_graph


@pytest.fixture(scope="module")
def graph():
    return communities_of_roles(3, 2, 10, 4, torch.Generator().manual_seed(0))[0]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_the_same_finite_vectors_twice(graph, method):
    first, second = (embed(method, graph, stream(0, "test")) for _ in range(2))
    assert first.shape == (graph.num_nodes, DIMENSION)
    assert first.isfinite().all() and torch.equal(first, second)
    assert float(first.std()) > 0


def test_an_unknown_method_is_named_with_the_known_ones(graph):
    with pytest.raises(ValueError, match=r"unknown method 'BERT'; known: random, spectral"):
        embed("BERT", graph, stream(0, "test"))


def test_vectors_that_hold_the_truth_score_one_and_random_ones_score_chance(monkeypatch):
    graph, roles = role_graph(7)

    def oracle(_graph: Graph, _generator: torch.Generator) -> torch.Tensor:
        both = torch.nn.functional.one_hot(graph.y), torch.nn.functional.one_hot(roles)
        return torch.cat(both, dim=1).float()

    monkeypatch.setitem(METHODS, "oracle", oracle)
    assert communities_and_roles("oracle", 7) == {"communities": 1.0, "roles": 1.0}
    chance = communities_and_roles("random", 7)
    assert chance["communities"] < 0.4 and chance["roles"] < 0.4


def test_walks_find_communities_and_shapes_find_roles():
    walks, shapes = (communities_and_roles(m, 3) for m in ("DeepWalk", "IRWE, identity"))
    assert walks["communities"] > 0.9 > shapes["communities"]
    assert shapes["roles"] > walks["roles"] + 0.1


def test_public_scores_are_accuracy_and_area(monkeypatch):
    graph, _ = role_graph(7)
    monkeypatch.setattr(comparison, "labelled_graph", lambda source, seed: graph)
    assert comparison.public_score("labels", "any", "DeepWalk", 0) > 0.9
    area = comparison.public_score("links", "any", "spectral", 0)
    assert 0.6 < area < 1
    assert comparison.public_score("links", "any", "random", 0) < 0.65


def test_the_figures_show_every_method_and_every_class(graph):
    rows = [{"communities": 0.2, "roles": 0.4}, {"communities": 0.4, "roles": 0.6}]
    fig = figures.draw_comparison({"one": rows, "other": rows[:1]})
    assert [text.get_text() for text in fig.axes[0].get_yticklabels()] == ["one", "other"]
    communities, roles = (c.lines[0].get_xdata() for c in fig.axes[0].containers)
    assert communities.tolist() == pytest.approx([0.3, 0.2])
    assert roles.tolist() == pytest.approx([0.5, 0.4])
    plt.close(fig)
    classes = torch.arange(graph.num_nodes) % 3
    fig = figures.draw_graphs((graph, graph.y), (graph, classes))
    names = [[t.get_text() for t in panel.get_legend().get_texts()] for panel in fig.axes]
    assert names == [["0", "1", "2"], ["0", "1", "2"]]
    plt.close(fig)
