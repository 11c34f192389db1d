"""Graphlets and their orbits against networkx, the atlas of small graphs and known tables."""

from collections import Counter
from itertools import permutations

import networkx as nx
import pytest
from networkx.generators.atlas import graph_atlas_g

from src.network_embedding.random_walks.factorisation.graphlets import (
    automorphisms,
    distance,
    graphlets,
    pair_orbits,
    spanning_paths,
    unordered_pair_orbits,
)

# The list of Windels et al.'s own counter: (steps, first orbit, second orbit), one direction each.
PUBLISHED = {
    (1, 0, 0), (1, 1, 2), (2, 1, 1), (1, 3, 3), (1, 4, 5), (2, 4, 5), (1, 5, 5), (3, 4, 4),
    (1, 6, 7), (2, 6, 6), (1, 8, 8), (2, 8, 8), (1, 9, 11), (2, 9, 10), (1, 10, 10), (1, 10, 11),
    (1, 12, 13), (1, 13, 13), (2, 12, 12), (1, 14, 14),
}  # fmt: skip


def as_networkx(graphlet):
    graph = nx.Graph()
    graph.add_nodes_from(range(graphlet.nodes))
    graph.add_edges_from(graphlet.edges)
    return graph


def test_graphlets_are_the_connected_graphs_of_the_atlas():
    atlas = [g for g in graph_atlas_g() if 2 <= len(g) <= 4 and nx.is_connected(g)]
    assert len(graphlets()) == len(atlas) == 9
    matches = [
        [nx.is_isomorphic(as_networkx(g), a) for a in atlas].count(True) for g in graphlets()
    ]
    assert matches == [1] * 9


def test_graphlets_stand_in_the_usual_order():
    path, star, cycle = nx.path_graph(4), nx.star_graph(3), nx.cycle_graph(4)
    for number, expected in ((3, path), (4, star), (5, cycle), (8, nx.complete_graph(4))):
        assert nx.is_isomorphic(as_networkx(graphlets()[number]), expected)
    assert [g.number for g in graphlets()] == list(range(9))


def test_node_orbits_are_the_fifteen_and_ordered_by_degree():
    assert {orbit for g in graphlets() for orbit in g.orbits} == set(range(15))
    for graphlet in graphlets():
        degree = as_networkx(graphlet).degree
        by_orbit = sorted({(o, degree[node]) for node, o in enumerate(graphlet.orbits)})
        assert [d for _, d in by_orbit] == sorted(d for _, d in by_orbit)


def test_symmetries_are_those_of_networkx():
    for graphlet in graphlets():
        graph = as_networkx(graphlet)
        matcher = nx.isomorphism.GraphMatcher(graph, graph)
        theirs = {tuple(m[i] for i in range(graphlet.nodes)) for m in matcher.isomorphisms_iter()}
        assert set(automorphisms(graphlet.nodes, graphlet.edges)) == theirs


def test_pair_orbits_are_28_ordered_and_20_unordered_and_those_published():
    counts = Counter(orbit.graphlet.number for orbit in pair_orbits())
    assert [counts[number] for number in range(9)] == [1, 3, 1, 6, 3, 2, 7, 4, 1]
    keys = {(o.hops, o.source, o.target) for o in pair_orbits()}
    assert len(keys) == len(pair_orbits()) == 28
    assert keys == PUBLISHED | {(hops, b, a) for hops, a, b in PUBLISHED}
    assert unordered_pair_orbits() == len(PUBLISHED) == 20


def test_pair_orbits_divide_the_ordered_pairs_of_every_graphlet():
    for graphlet in graphlets():
        orbits = [o for o in pair_orbits() if o.graphlet == graphlet]
        symmetries = automorphisms(graphlet.nodes, graphlet.edges)
        covered = [{(s[o.pair[0]], s[o.pair[1]]) for s in symmetries} for o in orbits]
        assert sum(map(len, covered)) == graphlet.nodes * (graphlet.nodes - 1)
        assert set.union(*covered) == set(permutations(range(graphlet.nodes), 2))


def test_distances_and_spanning_paths_are_those_of_networkx():
    for orbit in pair_orbits():
        graph, (a, b) = as_networkx(orbit.graphlet), orbit.pair
        assert orbit.hops == nx.shortest_path_length(graph, a, b)
        paths = [p for p in nx.all_simple_paths(graph, a, b) if len(p) == len(graph)]
        assert orbit.paths == len(paths)


def test_walks_see_eleven_of_them_and_none_of_the_star():
    assert sum(orbit.seen for orbit in pair_orbits()) == 11
    assert not any(orbit.seen for orbit in pair_orbits() if orbit.graphlet.number == 4)
    assert spanning_paths(3, frozenset({(0, 1), (1, 2)}), 0, 2) == 1
    assert spanning_paths(3, frozenset({(0, 1), (1, 2)}), 0, 1) == 0


def test_the_distance_of_nodes_without_a_path_is_refused():
    apart = frozenset({(0, 1), (2, 3)})
    assert distance(apart, 0, 1) == 1
    with pytest.raises(ValueError, match="no path"):
        distance(apart, 0, 2)
