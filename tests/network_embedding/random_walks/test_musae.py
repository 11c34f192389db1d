"""MUSAE's pairs, its closed form and the vectors of new nodes against brute force."""

from collections import Counter

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from src.common.graphs.generators import stochastic_block_model
from src.common.training.streams import stream
from src.network_embedding.random_walks import attribute_information as info
from src.network_embedding.random_walks.experiments import musae as experiments
from src.network_embedding.random_walks.musae import (
    AttributeLists,
    MUSAESettings,
    Pairs,
    attribute_pairs,
    musae,
    pooled,
    train_attributed,
    walk_attribute_pairs,
)
from src.network_embedding.random_walks.skip_gram import SkipGramSettings

WALKS = torch.tensor([[0, 1, 2, 1], [3, 2, 1, 0]])
TABLE = torch.tensor([[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1]]).bool()


def by_hand(distance):
    """Read the pairs off the walks one by one, as the released program does."""
    seen = Counter()
    for walk in WALKS.tolist():
        for i in range(len(walk) - distance):
            for source, target in [(walk[i], walk[i + distance]), (walk[i + distance], walk[i])]:
                seen.update((source, f) for f in TABLE[target].nonzero().ravel().tolist())
    return seen


def as_counter(pairs):
    return Counter(zip(pairs.nodes.tolist(), pairs.attributes.tolist(), strict=True))


@pytest.fixture(scope="module")
def small():
    """A connected block model of 24 nodes with 6 attributes."""
    graph = stochastic_block_model((12, 12), 0.6, 0.1, stream(0))
    table = torch.rand(24, 6, generator=stream(1)) < 0.4
    table[:, 0] |= ~table.any(dim=1)
    return graph, table


@pytest.mark.parametrize("distance", [1, 2, 3])
def test_all_pairs_are_those_read_off_by_hand(distance):
    pairs = attribute_pairs(WALKS, AttributeLists(TABLE), distance, None, stream(0))
    assert as_counter(pairs) == by_hand(distance)


def test_drawn_pairs_have_the_shares_of_all_pairs():
    draws = 40_000
    counts = as_counter(attribute_pairs(WALKS, AttributeLists(TABLE), 1, draws, stream(0)))
    expected = by_hand(1)
    assert set(counts) == set(expected)
    for pair, times in expected.items():
        share = times / expected.total()
        assert abs(counts[pair] / draws - share) < 5 * (share / draws) ** 0.5


def test_walks_without_attributes_are_refused():
    with pytest.raises(ValueError, match="no walk meets an attribute"):
        attribute_pairs(WALKS, AttributeLists(torch.zeros(4, 2).bool()), 1, None, stream(0))


def test_expected_shares_are_the_limit_of_long_walks(small):
    graph, table = small
    settings = MUSAESettings(dimension=6, walks=40, steps=200)
    parts = walk_attribute_pairs(graph, table, settings, stream(2))
    for distance in (1, 2, 3):
        observed = info.observed_shares(parts[distance - 1], 24, 6)
        expected = info.expected_shares(graph, table, [distance])
        assert (observed - expected).abs().max() < 0.06 * expected.max()
    torch.testing.assert_close(expected.sum(), torch.tensor(1.0).double())
    together = info.observed_shares(pooled(parts)[0], 24, 6)
    assert (together - info.expected_shares(graph, table, [1, 2, 3])).abs().max() < 1e-3


def test_expected_shares_follow_every_path(small):
    graph, table = small
    dense = graph.to_networkx()
    two = np.zeros((24, 6))
    for a in dense:
        for b in dense[a]:
            for c in dense[b]:
                chance = dense.degree(a) / (dense.degree(a) * dense.degree(b))
                two[a] += chance * table[c].numpy()
    found = info.expected_shares(graph, table, [2]).numpy()
    np.testing.assert_allclose(found, two / two.sum(), rtol=1e-9)


def test_log_information_is_zero_where_nodes_and_attributes_are_independent():
    shares = torch.outer(torch.tensor([0.2, 0.8]), torch.tensor([0.1, 0.6, 0.3])).double()
    assert info.log_information(shares, 1).abs().max() < 1e-12
    torch.testing.assert_close(
        info.log_information(shares, 5).exp(), torch.full((2, 3), 0.2).double()
    )


def test_full_size_vectors_reach_the_closed_form():
    found = experiments.factorisation(seed=1_000, nodes=30, pairs=60_000, epochs=2)
    assert min(found["correlation"]) > 0.85
    wrong = torch.corrcoef(
        torch.stack([torch.tensor(found["closed"]).roll(1), torch.tensor(found["trained"])])
    )[0, 1]
    assert abs(wrong) < 0.5


def test_node_vectors_are_the_optimum_that_scipy_finds():
    generator = stream(3)
    shares = torch.rand(3, 7, generator=generator).double()
    shares[2] = 0.0
    words = torch.randn(7, 2, generator=generator)
    noise = torch.full((7,), 1 / 7)
    found = info.node_vectors_for(shares, words, noise, 5, ridge=0.05)
    assert found[2].tolist() == [0.0, 0.0]
    for node in range(2):
        q = (shares[node] / shares[node].sum()).numpy()

        def loss(w, q=q):
            scores = words.numpy() @ w
            lost = q @ np.logaddexp(0, -scores) + 5 / 7 * np.logaddexp(0, scores).sum()
            return lost + 0.025 * w @ w

        best = minimize(loss, np.zeros(2), tol=1e-12).x
        np.testing.assert_allclose(found[node].numpy(), best, atol=1e-4)


def test_parts_stand_side_by_side_and_pooling_has_one(small):
    graph, table = small
    settings = MUSAESettings(6, 3, 2, 10, None, SkipGramSettings(rows_a_node=64.0))
    separate = musae(graph, table, settings, stream(0))
    assert [tuple(part.shape) for part in separate.node_parts] == [(24, 2)] * 3
    assert [tuple(part.shape) for part in separate.attribute_parts] == [(6, 2)] * 3
    assert torch.equal(separate.nodes[:, 2:4], separate.node_parts[1])
    together = pooled(walk_attribute_pairs(graph, table, settings, stream(0)))
    assert train_attributed(together, 24, 6, settings, stream(0)).nodes.shape == (24, 6)
    again = musae(graph, table, settings, stream(0))
    assert torch.equal(again.nodes, separate.nodes)


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="multiple of distances"):
        MUSAESettings(dimension=32, distances=3)
    with pytest.raises(ValueError, match="have no distance"):
        MUSAESettings(dimension=6, steps=2)


def test_drawn_attributes_follow_their_class_and_nobody_is_left_without():
    chances = experiments.preferences(2, 50, 0.01, 0.3, stream(0))
    assert ((chances == 0.3).sum(dim=1) == 10).all()
    y = torch.arange(2).repeat_interleave(20_000)
    table = experiments.draw_attributes(y, chances, stream(1))
    assert bool(table.any(dim=1).all())
    shares = torch.stack([table[y == c].float().mean(dim=0) for c in range(2)])
    assert (shares - chances).abs().max() < 0.02


def test_attributes_carry_a_classifier_to_another_graph():
    found = experiments.transfer(seed=1_000, nodes=120, dimension=12, pairs=40_000, epochs=1)
    assert found["MUSAE"] > 0.45 > found["DeepWalk"]


def test_observed_shares_count():
    pairs = Pairs(torch.tensor([0, 0, 1, 0]), torch.tensor([1, 1, 0, 0]))
    assert info.observed_shares(pairs, 2, 2).tolist() == [[0.25, 0.5], [0.25, 0.0]]


def test_a_table_of_other_numbers_than_booleans_is_refused(small):
    graph, table = small
    settings = MUSAESettings(6, 3, 2, 10)
    for wrong in (table.float(), table.long(), table[:5]):
        with pytest.raises(ValueError, match="table"):
            musae(graph, wrong, settings, stream(0))


def test_every_rival_is_trained_with_its_own_tuned_rate_on_the_same_pairs(monkeypatch):
    seen, walks = {}, []
    train, embed = experiments.train_attributed, experiments.deepwalk

    def trained(parts, nodes, attributes, settings, generator):
        seen[len(parts)] = (parts, settings)
        return train(parts, nodes, attributes, settings, generator)

    def embedded(graph, settings, generator):
        walks.append(settings.training)
        return embed(graph, settings, generator)

    monkeypatch.setattr(experiments, "train_attributed", trained)
    monkeypatch.setattr(experiments, "deepwalk", embedded)
    experiments.compare("hub communities", 1_000, 6, 500, 1, 0.5)
    (parts, ours), (pooled_parts, rival) = seen[3], seen[1]
    assert ours.skip_gram.learning_rate == experiments.RATES["MUSAE"]
    assert rival.skip_gram.learning_rate == experiments.RATES["AE"]
    assert walks[0].learning_rate == experiments.RATES["DeepWalk"]
    assert ours.dimension == rival.dimension == walks[0].dimension == 6
    for name in ("nodes", "attributes"):
        every = torch.cat([getattr(pairs, name) for pairs in parts])
        assert torch.equal(every, getattr(pooled_parts[0], name))
    with pytest.raises(ValueError, match="'MUSAE' or 'AE'"):
        experiments.learn("musae", parts, TABLE, ours, 0)
