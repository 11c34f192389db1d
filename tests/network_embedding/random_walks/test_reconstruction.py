"""The measures of reconstruction against scikit-learn, networkx and hand-made cases."""

import networkx as nx
import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from src.common.graphs.graph import Graph, adjacency
from src.common.training.streams import stream
from src.network_embedding.random_walks.experiments.restore import (
    BLOCKS,
    paired_scores,
    rebuild,
    reconstruction_graph,
)
from src.network_embedding.random_walks.reconstruction import (
    DECODERS,
    average_precisions,
    cosines,
    hop_distances,
    mean_average_precision,
    negative_distances,
    neighbourhoods,
    ranking,
    semantic_distance,
)

NETWORK = nx.disjoint_union(nx.gnp_random_graph(30, 0.08, seed=2), nx.path_graph(5))
GRAPH = Graph.from_networkx(NETWORK)


def scores(seed=0, nodes=35):
    return torch.randn(nodes, nodes, generator=stream(seed, "scores"))


def test_distances_are_those_of_networkx():
    steps = hop_distances(GRAPH, 3)
    lengths = dict(nx.all_pairs_shortest_path_length(NETWORK))
    for u in NETWORK:
        for v in NETWORK:
            assert int(steps[u, v]) == min(lengths[u].get(v, 4), 4)


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_average_precision_is_that_of_scikit_learn(hops):
    relevant = neighbourhoods(hop_distances(GRAPH, 3), hops)
    ours = average_precisions(ranking(scores()), relevant)
    expected = []
    for u in range(35):
        others = np.arange(35) != u
        truth, score = relevant[u].numpy()[others], scores()[u].numpy()[others]
        if not truth.any():
            assert bool(ours[u].isnan())
            continue
        expected.append(average_precision_score(truth, score))
        assert float(ours[u]) == pytest.approx(expected[-1], abs=1e-12)
    assert mean_average_precision(ranking(scores()), relevant) == pytest.approx(np.mean(expected))


def test_perfect_and_reversed_lists():
    steps = hop_distances(GRAPH, 3)
    relevant = neighbourhoods(steps, 2)
    best = -steps.float()
    assert mean_average_precision(ranking(best), relevant) == 1.0
    assert (
        mean_average_precision(ranking(-best), relevant)
        < mean_average_precision(ranking(scores()), relevant)
        < 1
    )


def test_a_perfect_ranking_serves_every_radius_at_once():
    steps = hop_distances(GRAPH, 3)
    for hops in (1, 2, 3):
        assert mean_average_precision(ranking(-steps.float()), neighbourhoods(steps, hops)) == 1.0


def test_the_node_itself_is_never_listed_and_ties_go_by_number():
    order = ranking(torch.zeros(4, 4))
    assert order.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]


def test_semantic_distance_by_hand():
    steps = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 2], [1, 2, 0, 2], [2, 2, 2, 0]])
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [5.0, 5.0]])
    relevant = neighbourhoods(steps, 1)
    perfect = -steps.float()
    assert semantic_distance(ranking(perfect), relevant, x) == 0.0
    wrong = perfect.clone()
    wrong[1, 3] = 1.0  # node 1's list begins with node 3 in the place of node 0
    expected = float(torch.tensor([5.0, 5.0]).norm()) / 3  # three nodes have a neighbourhood
    assert semantic_distance(ranking(wrong), relevant, x) == pytest.approx(expected, rel=1e-6)


def test_decoders_are_their_definitions():
    vectors = torch.randn(6, 3, generator=stream(0, "vectors"))
    vectors[5] = 0
    for u in range(5):
        for v in range(5):
            cosine = torch.cosine_similarity(vectors[u], vectors[v], dim=0)
            assert float(cosines(vectors)[u, v]) == pytest.approx(float(cosine), abs=1e-6)
            distance = float((vectors[u] - vectors[v]).norm())
            assert float(negative_distances(vectors)[u, v]) == pytest.approx(-distance, abs=1e-5)
    assert not bool(cosines(vectors)[5].any())
    assert set(DECODERS) == {"inner product", "cosine", "distance"}


def test_rows_of_the_adjacency_matrix_rebuild_two_steps_perfectly():
    rows = adjacency(GRAPH).to_dense() + torch.eye(35)
    relevant = neighbourhoods(hop_distances(GRAPH, 2), 2)
    assert mean_average_precision(ranking(DECODERS["inner product"](rows)), relevant) == 1.0


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="most must be at least 1"):
        hop_distances(GRAPH, 0)
    with pytest.raises(ValueError, match="no node"):
        mean_average_precision(ranking(scores()), torch.zeros(35, 35, dtype=torch.bool))


def test_paired_scores_compare_sources_with_targets():
    source, target = (torch.randn(5, 3, generator=stream(k, "sides")) for k in (0, 1))
    assert torch.allclose(paired_scores(source, target, "inner product"), source @ target.T)
    assert torch.allclose(paired_scores(source, target, "distance"), -torch.cdist(source, target))


def test_rebuilding_knows_its_limits():
    perfect = rebuild(BLOCKS, "adjacency rows", 16, 1000)
    chance = rebuild(BLOCKS, "random", 16, 1000)
    assert perfect["precision"][1] == 1.0
    assert perfect["distance"][1] == 0.0
    share = neighbourhoods(hop_distances(reconstruction_graph(BLOCKS, 1000), 3), 3)
    assert chance["precision"][2] == pytest.approx(float(share.float().mean()), abs=0.05)
    assert chance["precision"][0] < chance["precision"][1] < chance["precision"][2] < 0.5
    with pytest.raises(ValueError, match="unknown method"):
        rebuild(BLOCKS, "nothing", 16, 1000)


def test_every_family_beats_chance_and_the_seed_decides():
    chance = rebuild(BLOCKS, "random", 8, 1000)["precision"]
    for method in ("HOPE", "HOPE, one side", "DeepWalk"):
        found = rebuild(BLOCKS, method, 8, 1000)
        assert all(a > b + 0.1 for a, b in zip(found["precision"], chance, strict=True))
        assert rebuild(BLOCKS, method, 8, 1000) == found
    assert rebuild("Les Miserables", "HOPE", 8, 1000)["distance"] == []
