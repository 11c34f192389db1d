"""The experiments on orbit adjacencies: which labels are for what, and what walks explain."""

import pytest
import torch

from src.common.graphs.graph import Graph, adjacency
from src.common.training.streams import stream
from src.network_embedding.random_walks.experiments import orbits
from src.network_embedding.random_walks.experiments.orbits import (
    ROLES,
    divide,
    groups,
    label_scores,
    orbit_graph,
    unexplained_shares,
)
from src.network_embedding.random_walks.factorisation.graphlets import pair_orbits
from src.network_embedding.random_walks.factorisation.orbit_adjacency import orbit_adjacencies


def test_the_choice_learns_from_twice_what_it_validates_on_and_never_sees_the_test(monkeypatch):
    calls = []

    def scored(vectors, y, train, test):
        calls.append((set(train.tolist()), set(test.tolist())))
        return float(len(calls))

    monkeypatch.setattr(orbits, "_macro", scored)
    found = label_scores(ROLES, 1000, 8, repeats=2)
    choices, last = calls[: -len(groups())], calls[-1]
    known, test = last
    assert all(call == last for call in calls[-len(groups()) :])
    assert len(test) * 3 == pytest.approx(len(known), abs=6)
    assert not known & test
    for train, val in choices:
        assert not train & val and train | val == known
        assert len(val) * 2 == pytest.approx(len(train), abs=8)
    assert len({tuple(sorted(val)) for _, val in choices}) == 2  # divisions, for all vectors
    assert set(found["validation"]) >= {name for names in groups().values() for name in names}


def test_the_chosen_vectors_have_the_best_mean_of_their_group(monkeypatch):
    scores = iter(range(10_000))
    monkeypatch.setattr(orbits, "_macro", lambda *_: next(scores) % 97 / 97)
    found = label_scores(ROLES, 1000, 8, repeats=3)
    for group, names in groups().items():
        best = max(found["validation"][name] for name in names)
        assert found["validation"][found["chosen"][group][0]] == best


def test_a_division_takes_its_share_of_every_class():
    y = torch.tensor([0] * 8 + [1] * 12 + [2] * 3)
    members = torch.arange(1, 23)
    part, rest = divide(y, members, 1 / 4, stream(0, "divide"))
    assert sorted(part.tolist() + rest.tolist()) == members.tolist()
    assert torch.bincount(y[part]).tolist() == [2, 3, 1]
    other, _ = divide(y, members, 1 / 4, stream(1, "divide"))
    assert sorted(other.tolist()) != sorted(part.tolist())


def test_what_walks_leave_unexplained_is_the_residual_of_least_squares():
    shares = unexplained_shares("karate club", 0)
    graph = orbit_graph("karate club", 0)
    a = adjacency(graph, torch.double).to_dense()
    off = ~torch.eye(34, dtype=torch.bool)
    columns = torch.stack([torch.ones(int(off.sum())).double(), a[off], (a @ a)[off]])
    columns = torch.cat([columns, (a @ a @ a)[off][None]]).T
    for orbit, counts in zip(pair_orbits(), orbit_adjacencies(graph), strict=True):
        entries = counts[off][:, None]
        rest = entries - columns @ torch.linalg.lstsq(columns, entries).solution
        total = (entries - entries.mean()).square().sum()
        assert shares[orbit.name] == pytest.approx(float(rest.square().sum() / total), abs=1e-9)
    assert shares["0-0, 1 step"] < 1e-12  # an edge is a walk of one step


def test_labels_and_repeats_are_needed():
    with pytest.raises(ValueError, match="have no labels"):
        label_scores("karate club", 0, 4, 1)
    with pytest.raises(ValueError, match="repeats"):
        label_scores(ROLES, 0, 4, 0)


def test_every_window_is_another():
    assert list(orbits.WINDOWS) == sorted(set(orbits.WINDOWS))
    names = orbits.pair_vectors(ROLES, 0, 2)
    assert sum(name.startswith("walks") for name in names) == len(orbits.WINDOWS)


def test_classes_of_four_take_part_and_smaller_ones_do_not(monkeypatch):
    """Four is the least of which a test, a validation and a training part can have a member."""
    y = torch.tensor([0] * 27 + [1] * 4 + [2] * 3)
    club = Graph(orbit_graph("karate club", 0).edge_index, 34, y=y)
    monkeypatch.setattr(orbits, "orbit_graph", lambda *_: club)
    divided, usual = [], orbits.divide

    def noting(y, members, share, generator):
        divided.append(members)
        return usual(y, members, share, generator)

    monkeypatch.setattr(orbits, "divide", noting)
    label_scores("karate club", 0, dimension=2, repeats=1)
    assert sorted(divided[0].tolist()) == list(range(31))
