"""Orbit adjacencies against naive enumeration; the factorisation against its definition."""

from dataclasses import replace
from itertools import combinations

import networkx as nx
import numpy as np
import pytest
import torch

from src.common.graphs.graph import Graph, adjacency
from src.common.training.streams import stream
from src.network_embedding.random_walks.experiments.orbits import (
    divide,
    groups,
    label_scores,
    unexplained_shares,
)
from src.network_embedding.random_walks.factorisation.graphlets import pair_orbits
from src.network_embedding.random_walks.factorisation.orbit_adjacency import (
    containment,
    orbit_adjacencies,
    pattern_counts,
)
from src.network_embedding.random_walks.factorisation.pointwise_factorisation import (
    factorise,
    ppmi,
    walk_cooccurrence,
)


def random_graph(seed, nodes=12, chance=0.4):
    return nx.gnp_random_graph(nodes, chance, seed=seed)


def naive_counts(graph):
    """Look at every induced subgraph and every ordered pair in it, with networkx's matching."""
    hosts = []
    for orbit in pair_orbits():
        host = nx.Graph(list(orbit.graphlet.edges))
        nx.set_node_attributes(host, 0, "end")
        host.nodes[orbit.pair[0]]["end"], host.nodes[orbit.pair[1]]["end"] = 1, 2
        hosts.append(host)
    same_end = nx.isomorphism.categorical_node_match("end", 0)
    counts = torch.zeros(len(hosts), len(graph), len(graph), dtype=torch.double)
    for size in (2, 3, 4):
        for nodes in combinations(graph, size):
            induced = nx.Graph(graph.subgraph(nodes))
            if not nx.is_connected(induced):
                continue
            same = [
                k for k, host in enumerate(hosts) if nx.faster_could_be_isomorphic(induced, host)
            ]
            for u in nodes:
                for v in set(nodes) - {u}:
                    nx.set_node_attributes(induced, 0, "end")
                    induced.nodes[u]["end"], induced.nodes[v]["end"] = 1, 2
                    match = [nx.is_isomorphic(induced, hosts[k], node_match=same_end) for k in same]
                    counts[same[match.index(True)], u, v] += 1
    return counts


@pytest.mark.parametrize(("seed", "chance"), [(0, 0.4), (1, 0.25), (2, 0.7)])
def test_counts_are_those_of_naive_enumeration(seed, chance):
    graph = random_graph(seed, chance=chance)
    assert torch.equal(orbit_adjacencies(Graph.from_networkx(graph)), naive_counts(graph))


def test_every_orbit_occurs_in_the_tested_graphs():
    graphs = [random_graph(0), random_graph(2, chance=0.7)]
    total = sum(orbit_adjacencies(Graph.from_networkx(graph)) for graph in graphs)
    assert bool((total.sum(dim=(1, 2)) > 0).all())


def test_exchanging_the_nodes_exchanges_the_orbits():
    counts = orbit_adjacencies(Graph.from_networkx(random_graph(3, 20)))
    keys = [(o.graphlet.number, o.hops, o.source, o.target) for o in pair_orbits()]
    for count, (graphlet, hops, source, target) in zip(counts, keys, strict=True):
        assert torch.equal(count.T, counts[keys.index((graphlet, hops, target, source))])


def test_renaming_the_nodes_renames_the_counts():
    graph = Graph.from_networkx(random_graph(4, 20))
    order = torch.randperm(20, generator=stream(0, "names"))
    counts = orbit_adjacencies(graph)[:, order][:, :, order]
    assert torch.equal(orbit_adjacencies(graph.subgraph(order)), counts)


def test_totals_of_known_graphs():
    complete = orbit_adjacencies(Graph.from_networkx(nx.complete_graph(6)))
    names = [orbit.name for orbit in pair_orbits()]
    last = names.index("14-14, 1 step")
    assert torch.equal(complete[last], 6.0 * (1 - torch.eye(6).double()))  # C(4, 2) other pairs
    star = orbit_adjacencies(Graph.from_networkx(nx.star_graph(5)))
    assert float(star[names.index("6-7, 1 step")][1, 0]) == 6.0  # C(4, 2) other leaves
    assert float(star[names.index("7-6, 1 step")][0, 1]) == 6.0
    assert float(star[names.index("4-4, 3 steps")].abs().sum()) == 0.0


def test_walks_see_the_sum_over_the_spanning_paths():
    graph = Graph.from_networkx(random_graph(5, 30, 0.2))
    a = adjacency(graph, torch.double).to_dense()
    degree = a.sum(dim=1)
    # Walks of three steps on four different nodes: all walks less those that turn back.
    paths = a @ a @ a - a * (degree + degree.unsqueeze(1) - 1)
    counts = orbit_adjacencies(graph)
    merged = sum(
        o.paths * c for o, c in zip(pair_orbits(), counts, strict=True) if o.graphlet.nodes == 4
    )
    off = ~torch.eye(30, dtype=torch.bool)
    assert torch.equal(merged[off], paths[off])


def test_weights_are_ignored_and_bad_graphs_are_refused():
    graph = Graph.from_networkx(random_graph(0))
    source, target = graph.edge_index
    weighted = replace(graph, edge_weight=0.5 + (source + target).float())
    assert torch.equal(orbit_adjacencies(weighted), orbit_adjacencies(graph))
    with pytest.raises(ValueError, match="undirected"):
        orbit_adjacencies(Graph.from_edges(torch.tensor([[0], [1]]), 2, directed=True))
    with pytest.raises(ValueError, match="take a subgraph"):
        orbit_adjacencies(Graph.from_edges(torch.tensor([[0], [1]]), 5000))


def test_containment_counts_subgraph_placements():
    matrix = containment()
    names = [orbit.name for orbit in pair_orbits()]
    assert float(torch.linalg.det(matrix).abs()) > 0.5
    four_path, clique = names.index("4-4, 3 steps"), names.index("14-14, 1 step")
    assert float(matrix[four_path, clique]) == 2.0  # two paths through all nodes of a clique
    assert float(matrix[clique, four_path]) == 0.0
    graph = Graph.from_networkx(random_graph(6))
    counts = orbit_adjacencies(graph)
    expected = torch.einsum("kj,jab->kab", matrix, counts)
    assert torch.equal(pattern_counts(graph), expected)


def test_ppmi_is_its_definition():
    counts = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0], [0.0, 0.0, 0.0]], dtype=torch.double)
    result = ppmi(counts)
    total = 6.0
    for i in range(3):
        for j in range(3):
            row, column = float(counts[i].sum()), float(counts[:, j].sum())
            c = float(counts[i, j])
            expected = max(0.0, np.log(c * total / (row * column))) if c > 0 else 0.0
            assert float(result[i, j]) == pytest.approx(expected, abs=1e-12)
    with pytest.raises(ValueError, match="negative"):
        ppmi(-counts)


def test_ppmi_of_walks_is_the_matrix_of_netmf():
    graph = Graph.from_networkx(nx.karate_club_graph())
    a = adjacency(graph, torch.double).to_dense().numpy()
    degree, volume, window = a.sum(1), a.sum(), 4
    step = a / degree[:, None]
    powers = sum(np.linalg.matrix_power(step, r) for r in range(1, window + 1))
    netmf = np.log(np.maximum(1.0, volume / window * powers / degree))
    assert np.allclose(ppmi(walk_cooccurrence(graph, window)).numpy(), netmf, atol=1e-12)


@pytest.mark.parametrize("nodes", [30, 450])
def test_factorisation_is_the_best_of_its_rank(nodes):
    generator = stream(0, "matrix", nodes)
    left = torch.randn(nodes, 5, generator=generator, dtype=torch.double)
    symmetric = left @ left.T
    vectors = factorise(symmetric, 7)
    assert torch.allclose(vectors @ vectors.T, symmetric, atol=1e-7)
    assert float(vectors[:, 5:].abs().max()) < 1e-3
    assert torch.equal(factorise(symmetric, 7), vectors)
    other = torch.randn(nodes, nodes, generator=generator, dtype=torch.double)
    values = torch.linalg.svdvals(other)[:6]
    assert torch.allclose((factorise(other, 6) ** 2).sum(dim=0), values, rtol=1e-6)


def test_factorisation_of_nothing_is_zero_and_bad_sizes_are_refused():
    assert not bool(factorise(torch.zeros(6, 6), 2).any())
    with pytest.raises(ValueError, match="dimension"):
        factorise(torch.eye(6), 6)
    with pytest.raises(ValueError, match="window"):
        walk_cooccurrence(Graph.from_networkx(nx.path_graph(3)), 0)


def test_unexplained_shares_are_those_of_least_squares():
    shares = unexplained_shares("karate club", 0)
    graph = Graph.from_networkx(nx.karate_club_graph())
    a = adjacency(graph).to_dense().numpy().astype(float)
    off = ~np.eye(34, dtype=bool)
    inputs = np.stack([np.ones(off.sum()), a[off], (a @ a)[off], (a @ a @ a)[off]], axis=1)
    for orbit, counts in zip(pair_orbits(), orbit_adjacencies(graph).numpy(), strict=True):
        entries = counts[off]
        rest = entries - inputs @ np.linalg.lstsq(inputs, entries, rcond=None)[0]
        assert shares[orbit.name] == pytest.approx(rest.var() / entries.var(), abs=1e-9)
    assert shares["0-0, 1 step"] < 1e-20  # the graph itself is a count of walks
    assert shares["6-7, 1 step"] > 0.1


def test_divisions_keep_every_class_and_every_node():
    y = torch.tensor([0] * 12 + [1] * 4 + [2] * 8)
    members = torch.randperm(24, generator=stream(0, "members"))[:20]
    part, rest = divide(y, members, 0.25, stream(0, "division"))
    assert sorted([*part.tolist(), *rest.tolist()]) == sorted(members.tolist())
    for label in (0, 1, 2):
        size = int((y[members] == label).sum())
        assert int((y[part] == label).sum()) == max(1, round(size / 4))


def test_the_chosen_vectors_are_the_best_of_their_group_on_validation():
    found = label_scores("planted roles", 1000, 8, 1)
    assert set(found["validation"]) == set(groups()["orbit adjacencies"] + groups()["walks"])
    assert set(groups()["seen"]) | set(groups()["unseen"]) == set(groups()["orbit adjacencies"])
    for group, names in groups().items():
        name, score = found["chosen"][group]
        assert name in names
        assert found["validation"][name] == max(found["validation"][n] for n in names)
        assert 0 <= score <= 1
