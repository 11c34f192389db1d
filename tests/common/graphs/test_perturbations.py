from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from src.common.graphs.generators import preferential_attachment
from src.common.graphs.graph import Graph
from src.common.graphs.perturbations import noisy_features, rewire
from src.common.training.streams import stream


def edge_set(graph: Graph) -> set[tuple[int, int]]:
    return {(a, b) for a, b in graph.edge_index.T.tolist()}


def proper(graph: Graph) -> bool:
    """Both directions, sorted, no loops, no repeats."""
    edges = graph.edge_index.T.tolist()
    pairs = edge_set(graph)
    both = all((b, a) in pairs and a != b for a, b in pairs)
    return both and edges == sorted(edges) and len(pairs) == len(edges)


def tree_like(seed: int = 0) -> Graph:
    return preferential_attachment(60, 3, stream(seed, "graph"))


@settings(max_examples=25)
@given(st.integers(0, 500), st.floats(0, 1))
def test_rewiring_keeps_the_number_of_edges_and_moves_the_share(seed, share):
    graph = tree_like(seed % 5)
    made = rewire(graph, share, stream(seed))
    edges = graph.num_edges // 2
    assert proper(made)
    assert made.num_edges == graph.num_edges
    assert len(edge_set(made) & edge_set(graph)) == 2 * (edges - round(share * edges))


def test_new_ends_are_uniform_over_the_free_pairs():
    graph = Graph.from_edges(torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]]), 5)  # a path, 6 free pairs
    generator = stream(1)
    counts = {}
    for _ in range(1000):
        for pair in edge_set(rewire(graph, 0.5, generator)) - edge_set(graph):
            if pair[0] < pair[1]:
                counts[pair] = counts.get(pair, 0) + 1
    assert len(counts) == 6
    assert sum(counts.values()) == 2000
    assert chisquare(list(counts.values())).pvalue > 1e-4


def test_rewired_edges_are_drawn_uniformly():
    graph = tree_like()
    generator = stream(2)
    kept = torch.zeros(graph.num_nodes, graph.num_nodes)
    for _ in range(400):
        source, target = rewire(graph, 0.3, generator).edge_index
        kept[source, target] += 1
    share = kept[graph.edge_index[0], graph.edge_index[1]] / 400
    assert float((share - 0.7).abs().max()) < 5 * (0.21 / 400) ** 0.5


def test_rewired_edges_keep_their_weights_and_the_nodes_their_labels():
    graph = replace(tree_like(), x=torch.ones(60, 2), y=torch.arange(60))
    weight = (graph.edge_index[0] * graph.edge_index[1]).float() + 1.0  # the same both ways
    made = rewire(replace(graph, edge_weight=weight), 0.4, stream(0))
    assert torch.equal(made.edge_weight.sort().values, weight.sort().values)
    assert made.x is graph.x
    assert made.y is graph.y
    assert rewire(graph, 0.4, stream(0)).edge_weight is None


def test_noise_has_the_stated_deviation():
    x = torch.arange(200_000).reshape(400, 500) / 1e5
    noise = noisy_features(x, 0.3, stream(0)) - x
    assert float(noise.std()) == pytest.approx(0.3, abs=5 * 0.3 / (2 * 200_000) ** 0.5)
    assert abs(float(noise.mean())) < 5 * 0.3 / 200_000**0.5
    assert torch.equal(noisy_features(x, 0.0, stream(0)), x)


def test_same_generator_same_perturbation():
    graph = tree_like()
    first = rewire(graph, 0.5, stream(3)).edge_index
    assert torch.equal(first, rewire(graph, 0.5, stream(3)).edge_index)
    assert not torch.equal(first, rewire(graph, 0.5, stream(4)).edge_index)


def test_clear_errors():
    graph = tree_like()
    with pytest.raises(ValueError, match="share must lie in"):
        rewire(graph, 1.5, stream(0))
    with pytest.raises(ValueError, match="at least 0"):
        noisy_features(torch.ones(2, 2), -1.0, stream(0))
    complete = Graph.from_edges(torch.combinations(torch.arange(5)).T, 5)
    with pytest.raises(ValueError, match="0 free pairs"):
        rewire(complete, 0.5, stream(0))
