"""IRWE: attention by hand, what the embeddings may depend on, roles on a fresh graph."""

import math

import networkx as nx
import pytest
import torch

from src.common.graphs.graph import Graph
from src.common.training.loop import TrainingSettings, seeded
from src.common.training.streams import stream
from src.network_embedding.random_walks.experiments import irwe as experiments
from src.network_embedding.random_walks.irwe import (
    IRWE,
    IRWESettings,
    WalkStatistics,
    attend,
    embed,
    fit_irwe,
    joint_loss,
    mix,
    walk_statistics,
)

SETTINGS = IRWESettings(
    walks=8, steps=3, bins=4, places=16, dimension=8, training=TrainingSettings(steps=5)
)


@pytest.fixture(scope="module")
def statistics():
    graph, _ = experiments.planted(1_000, 2, "test")
    return walk_statistics(graph, SETTINGS, stream(0))


def untrained(statistics):
    """The model as `fit_irwe` with stream(2) starts from it."""
    with seeded(stream(2)):
        return IRWE(SETTINGS, statistics.roles.shape[1])


def renamed(statistics, order):
    """The statistics of the same graph after node order[i] was given the number i."""
    number = torch.empty_like(order)
    number[order] = torch.arange(len(order))
    return WalkStatistics(
        statistics.roles[order],
        number[statistics.walks[order]],
        statistics.places[order],
        statistics.meetings[order][:, order],
    )


def test_attention_by_hand():
    query, keys = torch.tensor([1.0, 0.0]), torch.tensor([[0.0, 5.0], [math.sqrt(2), 0.0]])
    weights = attend(query, keys)
    assert weights.tolist() == pytest.approx([1 / (1 + math.e), math.e / (1 + math.e)])
    assert attend(query, keys, torch.tensor([1.0, 0.0])).tolist() == pytest.approx([0.5, 0.5])
    assert mix(weights, keys).tolist() == pytest.approx(
        [math.sqrt(2) * math.e / (1 + math.e), 5 / (1 + math.e)]
    )


def test_statistics_are_shares(statistics):
    nodes = len(statistics.roles)
    patterns, positions = 5, SETTINGS.steps + 1
    squares = statistics.roles.square()
    torch.testing.assert_close(squares[:, :patterns].sum(dim=1), torch.ones(nodes))
    torch.testing.assert_close(
        squares[:, patterns:].sum(dim=1), torch.full((nodes,), positions * 1.0)
    )
    assert torch.equal(statistics.walks[:, :, 0], torch.arange(nodes)[:, None].expand(-1, 8))
    assert torch.equal(statistics.meetings, statistics.meetings.T)
    assert not statistics.meetings.diagonal().any()
    assert float(statistics.meetings.sum()) == pytest.approx(1.0)
    torch.testing.assert_close(statistics.places.norm(dim=1), torch.ones(nodes))


def test_meetings_count_the_later_nodes_of_a_walk():
    path = Graph.from_networkx(nx.path_graph(2))
    found = walk_statistics(path, IRWESettings(walks=2, steps=3, places=4), stream(0))
    assert found.meetings.tolist() == [[0.0, 0.5], [0.5, 0.0]]


def test_names_of_nodes_do_not_matter(statistics):
    model = untrained(statistics)
    order = torch.randperm(len(statistics.roles), generator=stream(1))
    psi, gamma = embed(model, statistics)
    new_psi, new_gamma = embed(model, renamed(statistics, order))
    torch.testing.assert_close(new_psi, psi[order])
    torch.testing.assert_close(new_gamma, gamma[order])
    torch.testing.assert_close(
        joint_loss(model, renamed(statistics, order), SETTINGS),
        joint_loss(model, statistics, SETTINGS),
    )


def test_identities_do_not_see_places_and_positions_do(statistics):
    model = untrained(statistics)
    moved = WalkStatistics(
        statistics.roles, statistics.walks, -statistics.places, statistics.meetings
    )
    psi, gamma = embed(model, statistics)
    new_psi, new_gamma = embed(model, moved)
    assert torch.equal(psi, new_psi)
    torch.testing.assert_close(new_gamma, -gamma)


def test_equal_surroundings_give_equal_identities():
    """On a ring all nodes are alike: their walks differ, their exact statistics do not."""
    ring = Graph.from_networkx(nx.cycle_graph(12))
    found = walk_statistics(ring, IRWESettings(walks=4_000, steps=3), stream(0))
    spread = (found.roles - found.roles[0]).abs().max()
    assert spread < 0.05


def test_the_position_loss_is_skip_grams_expectation(statistics):
    """With no weight on identities, the loss is the sum over all pairs of its definition."""
    model = untrained(statistics)
    settings = IRWESettings(walks=8, steps=3, bins=4, dimension=8, negatives=2.0, balance=0.0)
    _, gamma = embed(model, statistics)
    unit = gamma / gamma.norm(dim=1, keepdim=True)
    met, total = statistics.meetings, 0.0
    share = met.sum(dim=1)
    for u in range(len(met)):
        for v in range(len(met)):
            score = math.e * float(unit[u] @ unit[v])
            if u != v:
                total -= float(met[u, v]) * math.log(1 / (1 + math.exp(-score)))
                total -= 2 * float(share[u] * share[v]) * math.log(1 / (1 + math.exp(score)))
    assert joint_loss(model, statistics, settings).item() == pytest.approx(total, rel=1e-4)


def test_training_is_repeatable_and_lowers_the_loss(statistics):
    first, second = (fit_irwe(statistics, SETTINGS, stream(2)) for _ in range(2))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    start = joint_loss(untrained(statistics), statistics, SETTINGS)
    assert joint_loss(first, statistics, SETTINGS) < start


def test_hop_distances_are_networkxs():
    graph = Graph.from_networkx(nx.lollipop_graph(4, 4))
    lengths = dict(nx.all_pairs_shortest_path_length(graph.to_networkx()))
    found = experiments.hop_distances(graph, 3)
    for a in range(8):
        for b in range(8):
            assert int(found[a, b]) == min(lengths[a][b], 4)


def test_degree_sequences_tell_the_ends_of_a_path_from_its_middle():
    path = Graph.from_networkx(nx.path_graph(7))
    rows = experiments.degree_sequences(path)
    assert torch.equal(rows[0], rows[6])
    assert torch.equal(rows[1], rows[5])
    assert not torch.equal(rows[0], rows[1])
    assert rows[0].tolist() == pytest.approx([math.log(2)] * 5 + [math.log(3)] * 10)


def test_halves_divide_every_class():
    classes = torch.tensor([0] * 10 + [1] * 6 + [2] * 4)
    first, second = experiments.halves(classes, stream(0))
    assert sorted(first.tolist() + second.tolist()) == list(range(20))
    assert torch.bincount(classes[first]).tolist() == [5, 3, 2]


def test_roles_come_from_identities_and_communities_from_positions():
    found = experiments.roles_and_communities(seed=1_000, communities=3, walks=6, steps=40)
    assert found["identity roles"] > found["position roles"]
    assert found["position communities"] > found["identity communities"] + 0.2
    assert found["statistics fresh"] > found["DeepWalk fresh"] + 0.2


def test_a_graph_without_edges_has_no_statistics():
    lonely = Graph.from_edges(torch.empty(2, 0, dtype=torch.long), 3)
    with pytest.raises(ValueError, match="without edges"):
        walk_statistics(lonely, SETTINGS, stream(0))


def test_statistics_of_other_settings_are_refused(statistics):
    with pytest.raises(ValueError, match="same settings"):
        fit_irwe(statistics, IRWESettings(walks=9, steps=3, places=16), stream(0))


def test_walks_on_a_directed_graph_stay_at_its_sinks():
    """As a parked walk does: finite statistics, and a pattern only for walks that move."""
    chain = Graph.from_edges(torch.tensor([[0, 1], [1, 2]]), 3, directed=True)
    found = walk_statistics(chain, IRWESettings(walks=2, steps=2, bins=2, places=4), stream(0))
    assert found.walks[:, 0].tolist() == [[0, 1, 2], [1, 2, 2], [2, 2, 2]]
    assert found.roles[:, :2].tolist() == [[0, 1], [0, 0], [0, 0]]
    assert found.meetings.tolist() == [[0, 0.125, 0.125], [0.125, 0, 0.25], [0.125, 0.25, 0]]
