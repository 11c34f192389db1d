"""DeepWalk, its baselines and its experiments."""

import networkx as nx
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from src.common.graphs.embedding_evaluation import classify
from src.common.graphs.generators import stochastic_block_model
from src.common.graphs.graph import Graph, normalised_laplacian
from src.common.training.streams import stream
from src.network_embedding.random_walks.deepwalk import DeepWalkSettings, deepwalk
from src.network_embedding.random_walks.experiments import deepwalk as experiments
from src.network_embedding.random_walks.experiments.deepwalk import (
    few_labels,
    log_slope,
    online,
    rank_slopes,
    two_softmaxes,
)
from src.network_embedding.random_walks.factorisation.spectral import (
    laplacian_vectors,
    modularity_vectors,
)
from src.network_embedding.random_walks.hierarchical_softmax import (
    huffman_turns,
    train_walks_by_turns,
    walk_gradients_of_turns,
)
from src.network_embedding.random_walks.skip_gram import SkipGramSettings
from src.network_embedding.random_walks.sources import HUB_COMMUNITIES

TINY = DeepWalkSettings(8, walks=2, steps=10, window=2)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def two_blocks() -> Graph:
    return stochastic_block_model((30, 30), 0.4, 0.01, generator(1))


def test_vectors_of_the_same_block_are_close():
    graph = two_blocks()
    vectors = deepwalk(graph, DeepWalkSettings(8, walks=10, steps=20, window=3), generator())
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    same = graph.y[:, None] == graph.y
    cosine = unit @ unit.T
    assert vectors.shape == (60, 8)
    assert float(cosine[same].mean() - cosine[~same].mean()) > 0.5


def test_the_dimension_is_that_asked_for():
    assert TINY.training.dimension == 8
    assert DeepWalkSettings(skip_gram=SkipGramSettings(dimension=5)).training.dimension == 5


def test_laplacian_vectors_are_the_dense_eigenvectors():
    graph = Graph.from_networkx(nx.karate_club_graph())
    dense = normalised_laplacian(graph, torch.double).to_dense()
    values = torch.linalg.eigvalsh(dense)
    found = laplacian_vectors(graph, 4, generator()).double()
    torch.testing.assert_close(found.T @ dense @ found, values[1:5].diag(), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(found.T @ found, torch.eye(4).double(), atol=1e-5, rtol=0.0)


def test_modularity_vectors_are_the_dense_eigenvectors():
    graph = nx.karate_club_graph()
    dense = torch.from_numpy(np.asarray(nx.modularity_matrix(graph, weight=None)))
    values = torch.linalg.eigvalsh(dense)
    found = modularity_vectors(Graph.from_networkx(graph), 3, generator()).double()
    largest = values[-3:].flip(0).diag()
    torch.testing.assert_close(found.T @ dense @ found, largest, atol=1e-4, rtol=0.0)
    with pytest.raises(ValueError, match="lower the dimension"):
        modularity_vectors(Graph.from_networkx(graph), 34, generator())


def log_probabilities(f, theta, turns):
    """log P(leaf | node), (nodes, leaves): the definition, against which gradients are checked."""
    scores = f @ theta.T
    left, right = (turns > 0).float(), (turns < 0).float()
    return F.logsigmoid(scores) @ left.T + F.logsigmoid(-scores) @ right.T


def test_huffman_codes_have_the_least_length():
    turns = huffman_turns(torch.tensor([45, 13, 12, 16, 9, 5]))
    assert turns.abs().sum(dim=1).tolist() == [1, 3, 3, 3, 4, 4]  # the textbook's example
    with pytest.raises(ValueError, match="two leaves"):
        huffman_turns(torch.tensor([3]))


def test_probabilities_of_all_leaves_add_up_to_one():
    turns = huffman_turns(torch.randint(1, 9, (11,), generator=generator()))
    f, theta = torch.randn(3, 4, generator=generator(1)), torch.randn(10, 4, generator=generator(2))
    total = log_probabilities(f, theta, turns).exp().sum(dim=1)
    torch.testing.assert_close(total, torch.ones(3))


def test_gradients_of_turns_are_those_of_autograd():
    turns = huffman_turns(torch.tensor([4, 2, 2, 1, 3]))
    f = torch.randn(3, 6, generator=generator(1)).requires_grad_()
    theta = torch.randn(4, 6, generator=generator(2)).requires_grad_()
    contexts = [[0, 1, 1], [4], [2, 3]]
    logs = log_probabilities(f, theta, turns)
    loss = -sum(logs[i, c] for i, found in enumerate(contexts) for c in found)
    expected = torch.autograd.grad(loss, (f, theta))
    passes = torch.stack([turns[found].abs().sum(dim=0) for found in contexts])
    lefts = torch.stack([(turns[found] > 0).float().sum(dim=0) for found in contexts])
    found = walk_gradients_of_turns(f.detach(), theta.detach(), passes, lefts)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_training_by_turns_learns_which_contexts_are_likely():
    walks = torch.tensor([[0, 1, 0, 1], [2, 3, 2, 3]]).repeat(100, 1)
    settings = SkipGramSettings(dimension=4, epochs=20, learning_rate=0.1)
    vectors = train_walks_by_turns(walks, 4, 1, settings, generator())
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    assert float(unit[0] @ unit[2]) < 0.5
    assert bool(vectors.isfinite().all())


def test_slope_of_a_power_law_is_its_exponent():
    assert log_slope(torch.arange(1, 50).double() ** -0.7) == pytest.approx(-0.7)


def test_experiments_return_plain_numbers_and_repeat():
    first = few_labels(HUB_COMMUNITIES, 1000, TINY, [0.1, 0.5])
    assert first == few_labels(HUB_COMMUNITIES, 1000, TINY, [0.1, 0.5])
    assert all(0 < score < 1 for scores in first.values() for score in scores)
    assert first["DeepWalk"] != few_labels(HUB_COMMUNITIES, 1001, TINY, [0.1, 0.5])["DeepWalk"]
    later, at_once = online(HUB_COMMUNITIES, 1000, TINY, 0.5)
    assert 0 < later < 1 and 0 < at_once < 1 and later != at_once
    sampled, by_turns = two_softmaxes(HUB_COMMUNITIES, 1000, TINY, 0.5)
    assert 0.1 < sampled < 1 and 0.1 < by_turns < 1
    ranks = rank_slopes(1000, 300, 3, 5, 10)
    assert len(ranks["degree"]) == 300
    assert ranks["slopes"][0] / ranks["slopes"][1] == pytest.approx(1.0, abs=0.15)


def test_online_training_sees_every_walk_once_and_the_same_as_at_once(monkeypatch):
    """The walks of both stages are, together, those of the training at once."""
    seen = []
    train = experiments.train_walks

    def recorded(walks, *rest, **more):
        seen.append((walks, more.get("start")))
        return train(walks, *rest, **more)

    monkeypatch.setattr(experiments, "train_walks", recorded)
    online(HUB_COMMUNITIES, 1000, TINY, 0.5)
    (early, no_start), (late, start), (both, none) = seen
    assert no_start is none is None and start is not None
    rows = sorted(early.tolist() + late.tolist())
    assert rows == sorted(both.tolist()) and len(both) == 600
    assert not set(early[:, 0].tolist()) & set(late[:, 0].tolist())
    assert len(set(early[:, 0].tolist())) == 150


def test_both_softmaxes_learn_from_the_same_walks(monkeypatch):
    seen = []
    for name in ("train_walks", "train_walks_by_turns"):
        train = getattr(experiments, name)

        def recorded(walks, *rest, train=train):
            seen.append((walks, *rest[:-1]))
            return train(walks, *rest)

        monkeypatch.setattr(experiments, name, recorded)
    two_softmaxes(HUB_COMMUNITIES, 1000, TINY, 0.5)
    assert torch.equal(seen[0][0], seen[1][0]) and seen[0][1:] == seen[1][1:]


def test_the_score_over_splits_is_the_mean_of_different_splits():
    graph = two_blocks()
    vectors = torch.randn(60, 4, generator=generator())
    one, two = (experiments.mean_micro(vectors, graph, 0.5, 3, k) for k in (1, 2))
    second = classify(vectors, graph.y, 0.5, stream(3, "0.5 of the labels", 1)).micro
    assert two == pytest.approx((one + second) / 2)
    assert experiments.mean_micro(vectors, graph, 0.5, 3) != one


def test_vectors_and_not_contexts_are_classified(monkeypatch):
    train, judged = experiments.train_walks, []

    def noting(*given):
        judged.append(train(*given))
        return judged[-1]

    monkeypatch.setattr(experiments, "train_walks", noting)
    settings = DeepWalkSettings(walks=2, steps=10, skip_gram=SkipGramSettings(dimension=8))
    sampled, _ = experiments.two_softmaxes(HUB_COMMUNITIES, 3, settings, 0.5)
    graph = experiments.labelled_graph(HUB_COMMUNITIES, 3)
    nodes, contexts = judged[0][:2]
    assert sampled == experiments.mean_micro(nodes, graph, 0.5, 3)
    assert sampled != experiments.mean_micro(contexts, graph, 0.5, 3)


@pytest.mark.parametrize("values", [[2.0], [2.0, 0.0], [2.0, float("inf"), 1.0], [3.0, -1.0, 2.0]])
def test_slopes_of_numbers_without_logarithm_are_refused(values):
    with pytest.raises(ValueError, match="all positive and finite"):
        experiments.log_slope(torch.tensor(values))


def test_a_mean_over_no_splits_is_refused():
    graph = experiments.labelled_graph(HUB_COMMUNITIES, 3)
    with pytest.raises(ValueError, match="splits must be at least 1"):
        experiments.mean_micro(torch.zeros(graph.num_nodes, 2), graph, 0.5, 0, splits=0)


def test_ranks_are_those_of_degrees_and_of_visits():
    found = rank_slopes(4, 100, 2, 3, 5)
    assert sum(found["degree"]) == 2 * 2 * (100 - 2)  # two links for each node but the first two
    assert sum(found["frequency"]) == 100 * 3 * 6  # three walks of six nodes from each
    assert log_slope(torch.tensor([2.0, 1.0])) == pytest.approx(-1.0)
