"""Embedding by cores: against peeling by hand, counted pairs, and linear systems solved exactly."""

import numpy as np
import pytest
import torch

from src.common.graphs.generators import preferential_attachment, stochastic_block_model
from src.common.graphs.graph import Graph
from src.common.training.streams import stream
from src.network_embedding.random_walks.contexts import walk_pairs
from src.network_embedding.random_walks.core_embedding import (
    core_numbers,
    core_of_at_most,
    embed_core,
    embed_from,
    propagate,
    shuffled_starts,
    skip_gram_pairs,
    walks_by_core,
)
from src.network_embedding.random_walks.deepwalk import DeepWalkSettings
from src.network_embedding.random_walks.experiments.core import communities_with_core

SETTINGS = DeepWalkSettings(walks=4, steps=10, window=3, dimension=8)


def clique_with_tail() -> Graph:
    """A clique of five (core number 4), a tail of two (1), and a node without edges (0)."""
    clique = [(a, b) for a in range(5) for b in range(a)]
    return Graph.from_edges(torch.tensor([*clique, (4, 5), (5, 6)]).T, 8)


def test_core_numbers_by_peeling() -> None:
    graph = preferential_attachment(80, 3, stream(0, "graph"))
    keep = torch.rand(graph.num_edges, generator=stream(0, "keep")) < 0.6
    graph = Graph.from_edges(graph.edge_index[:, keep], 81)
    matrix = np.zeros((81, 81))
    matrix[tuple(graph.edge_index.numpy())] = 1
    alive, expected = np.ones(81, dtype=bool), np.zeros(81, dtype=int)
    for k in range(1, 10):
        while True:
            weak = alive & (matrix[:, alive].sum(axis=1) < k)
            if not weak.any():
                break
            alive &= ~weak
        expected[alive] = k
    assert core_numbers(graph).tolist() == expected.tolist()
    assert core_numbers(clique_with_tail()).tolist() == [4, 4, 4, 4, 4, 1, 1, 0]


def test_walks_in_proportion_to_the_core_number() -> None:
    core = torch.tensor([4, 3, 2, 1, 0])
    assert walks_by_core(core, 10).tolist() == [10, 7, 5, 2, 1]
    assert walks_by_core(core, 1).tolist() == [1, 1, 1, 1, 1]
    assert walks_by_core(torch.zeros(3).long(), 5).tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="at least one walk"):
        walks_by_core(core, 0)
    starts = shuffled_starts(walks_by_core(core, 10), stream(1, "starts"))
    assert torch.bincount(starts).tolist() == [10, 7, 5, 2, 1]
    assert starts.tolist() != sorted(starts.tolist())


@pytest.mark.parametrize(("steps", "window"), [(10, 3), (4, 9), (1, 1)])
def test_pairs_are_those_that_skip_gram_sees(steps: int, window: int) -> None:
    walks = torch.zeros(6, steps + 1, dtype=torch.long)
    assert skip_gram_pairs(6, steps, window) == len(walk_pairs(walks, window)[0])


def test_the_chosen_core_is_the_largest_that_is_small_enough() -> None:
    core = torch.tensor([1, 1, 1, 2, 2, 3, 3, 3, 4, 4])
    assert core_of_at_most(core, 0.5) == 3
    assert core_of_at_most(core, 0.7) == 2
    assert core_of_at_most(core, 0.49) == 4
    with pytest.raises(ValueError, match="innermost core"):
        core_of_at_most(core, 0.1)


def exact_layer(weights: np.ndarray, vectors: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The next layer's vectors by solving its linear system."""
    layer = ~known & (weights @ known > 0)
    seen = known | layer
    means = weights[layer][:, seen] / weights[layer][:, seen].sum(axis=1, keepdims=True)
    inner, outer = means[:, layer[seen]], means[:, known[seen]]
    return np.linalg.solve(np.eye(layer.sum()) - inner, outer @ vectors[known])


@pytest.mark.parametrize("seed", range(4))
def test_every_layer_is_the_mean_of_its_neighbours(seed: int) -> None:
    """Against numpy's solver, layer by layer, on a weighted graph."""
    generator = stream(seed, "layers")
    edges = stochastic_block_model((20, 20), 0.12, 0.01, generator).edge_index
    edges = edges[:, edges[0] < edges[1]]
    graph = Graph.from_edges(edges, 40, 0.2 + torch.rand(edges.shape[1], generator=generator))
    weights = np.zeros((40, 40))
    weights[tuple(graph.edge_index.numpy())] = graph.weights.numpy()
    known = torch.zeros(40, dtype=torch.bool)
    known[:5] = True
    vectors = torch.randn(40, 3, generator=generator, dtype=torch.double)
    found = propagate(graph, vectors, known, iterations=400).numpy()
    expected, filled = np.zeros((40, 3)), known.numpy().copy()
    expected[filled] = vectors.numpy()[filled]
    layers = 0
    while (layer := ~filled & (weights @ filled > 0)).any():
        expected[layer] = exact_layer(weights, expected, filled)
        filled |= layer
        layers += 1
    assert layers >= 2
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_vectors_flow_along_a_tail_and_stop_where_no_path_leads() -> None:
    graph = clique_with_tail()
    vectors = torch.arange(16.0).view(8, 2)
    known = core_numbers(graph) >= 4
    found = propagate(graph, vectors, known)
    assert torch.equal(found[:5], vectors[:5])
    torch.testing.assert_close(found[5], vectors[4])
    torch.testing.assert_close(found[6], vectors[4])
    assert torch.equal(found[7], torch.zeros(2))
    assert torch.equal(propagate(graph, vectors, torch.zeros(8, dtype=torch.bool)), 0 * vectors)


def test_the_core_is_embedded_as_if_it_were_alone() -> None:
    graph = clique_with_tail()
    found = embed_core(graph, 4, SETTINGS, stream(2, "core"))
    clique = graph.subgraph(torch.arange(5))
    alone = embed_from(clique, torch.full((5,), 4), SETTINGS, stream(2, "core"))
    assert torch.equal(found[:5], alone)
    assert torch.equal(found, embed_core(graph, 4, SETTINGS, stream(2, "core")))
    with pytest.raises(ValueError, match="empty"):
        embed_core(graph, 5, SETTINGS, stream(2, "core"))


def test_communities_are_found_from_a_core_alone() -> None:
    """Nodes that were never embedded lie nearest to their own community's core."""
    graph = communities_with_core(1000)
    core = core_numbers(graph)
    k = core_of_at_most(core, 0.5)
    settings = DeepWalkSettings(walks=10, steps=20, window=3, dimension=16)
    vectors = embed_core(graph, k, settings, stream(3, "walks"))
    unit = torch.nn.functional.normalize(vectors)
    inside = core >= k
    means = torch.stack([unit[inside & (graph.y == block)].mean(dim=0) for block in range(4)])
    outside = ~inside & (vectors.norm(dim=1) > 0)
    guess = (unit[outside] @ means.T).argmax(dim=1)
    assert float((guess == graph.y[outside]).float().mean()) > 0.7


def test_the_asked_number_of_communities_is_drawn() -> None:
    graph = communities_with_core(1000, communities=3, nodes=20, inner=5)
    assert torch.bincount(graph.y).tolist() == [20, 20, 20]
    core = core_numbers(graph).view(3, 20)
    assert float(core[:, :5].float().mean()) > float(core[:, 5:].float().mean()) + 1


def test_the_start_of_the_propagation_is_a_mean() -> None:
    """Without an iteration, a layer's vectors are the weighted means over known neighbours."""
    generator = stream(0, "start")
    edges = torch.tensor([[0, 0, 1, 2, 2], [2, 3, 2, 3, 4]])
    graph = Graph.from_edges(edges, 5, 0.5 + torch.rand(5, generator=generator))
    vectors = torch.randn(5, 3, generator=generator, dtype=torch.double)
    weights = torch.zeros(5, 5, dtype=torch.double)
    weights[tuple(graph.edge_index)] = graph.weights.double()
    known = torch.tensor([True, True, False, False, False])
    found = propagate(graph, vectors, known, iterations=0)
    first = weights[2:4, :2] / weights[2:4, :2].sum(dim=1, keepdim=True) @ vectors[:2]
    torch.testing.assert_close(found[2:4], first)
    torch.testing.assert_close(found[4], found[2])  # the next layer knows the first
    assert bool((found.abs() <= vectors[:2].abs().amax(dim=0) + 1e-12).all())
