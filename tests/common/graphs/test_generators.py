import math

import networkx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.common.graphs.generators import (
    communities_of_roles,
    power_law_propensity,
    preferential_attachment,
    stochastic_block_model,
    with_class_features,
)
from src.common.graphs.graph import Graph


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def matrix(graph):
    found = torch.zeros(graph.num_nodes, graph.num_nodes)
    found[tuple(graph.edge_index)] = 1
    return found


def within(hits, trials, chance, deviations=5):
    """Whether a binomial count is as close to its mean as it should be."""
    return abs(hits - trials * chance) <= deviations * (trials * chance * (1 - chance)) ** 0.5


# Blocks


def test_blocks_have_their_sizes_and_densities():
    graph = stochastic_block_model((50, 80, 120), 0.3, 0.05, generator())
    assert torch.bincount(graph.y).tolist() == [50, 80, 120]
    assert torch.equal(graph.y, graph.y.sort().values)
    one_hot = torch.nn.functional.one_hot(graph.y).float()
    counts = one_hot.T @ matrix(graph) @ one_hot
    sizes = (50, 80, 120)
    for a in range(3):
        assert within(float(counts[a, a]) / 2, sizes[a] * (sizes[a] - 1) / 2, 0.3)
        for b in range(a):
            assert counts[a, b] == counts[b, a]
            assert within(float(counts[a, b]), sizes[a] * sizes[b], 0.05)


@pytest.mark.parametrize("propensity", [None, torch.tensor([0.5, 2.0, 1.0, 0.25, 1.25])])
def test_every_pair_has_its_probability(propensity):
    runs = 800
    source = generator(1)
    total = torch.zeros(5, 5)
    for _ in range(runs):
        total += matrix(stochastic_block_model((3, 2), 0.6, 0.2, source, propensity=propensity))
    y = torch.tensor([0, 0, 0, 1, 1])
    factor = torch.ones(5) if propensity is None else propensity
    for i in range(5):
        for j in range(i):
            chance = (0.6 if y[i] == y[j] else 0.2) * float(factor[i] * factor[j])
            assert within(float(total[i, j]), runs, min(chance, 1.0)), (i, j)


def test_pairs_are_drawn_independently():
    """Two pairs that share a node are linked together as often as chance says."""
    source = generator(2)
    both = sum(
        bool(matrix(stochastic_block_model((3,), 0.5, 0.0, source))[0, 1:].all())
        for _ in range(800)
    )
    assert within(both, 800, 0.25)


def test_certain_and_impossible_edges():
    graph = stochastic_block_model((4, 3), 1.0, 0.0, generator())
    parts = sorted(map(sorted, networkx.connected_components(graph.to_networkx())))
    assert parts == [[0, 1, 2, 3], [4, 5, 6]] and graph.num_edges == 4 * 3 + 3 * 2
    assert stochastic_block_model((1,), 0.5, 0.5, generator()).num_edges == 0
    assert stochastic_block_model((0, 2), 1.0, 0.0, generator()).y.tolist() == [1, 1]


def test_bad_blocks_are_refused():
    for inside, between in ((1.1, 0.0), (0.5, -0.1)):
        with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
            stochastic_block_model((3, 3), inside, between, generator())
    for propensity in (torch.ones(5), torch.tensor([1.0, 1, 1, 1, 1, 0])):
        with pytest.raises(ValueError, match="one positive propensity for each of the 6"):
            stochastic_block_model((3, 3), 0.5, 0.1, generator(), propensity=propensity)


def test_class_features_are_a_mean_and_noise():
    graph = stochastic_block_model((200, 300), 0.1, 0.1, generator())
    clean = with_class_features(graph, 40, 0.0, generator(1))
    means = torch.stack([clean.x[0], clean.x[-1]])
    assert torch.equal(clean.x, means[graph.y]) and not torch.equal(means[0], means[1])
    assert abs(float(means.std()) - 1) < 0.4
    noisy = with_class_features(graph, 40, 0.5, generator(1))
    rest = noisy.x - clean.x  # the means come first: they are the same
    assert float(rest.std()) == pytest.approx(0.5, rel=0.02)
    assert abs(float(rest.mean())) < 5 * 0.5 / (500 * 40) ** 0.5
    assert torch.equal(noisy.edge_index, graph.edge_index) and noisy.y is graph.y
    with pytest.raises(ValueError, match="one class per node"):
        with_class_features(Graph(graph.edge_index, 500), 4, 0.1, generator())


# Hubs


@pytest.mark.parametrize("exponent", [1.5, 2.5])
def test_propensities_have_a_power_law_tail(exponent):
    values = power_law_propensity(100_000, exponent, generator())
    assert float(values.mean()) == pytest.approx(1.0, abs=1e-4)
    smallest, largest = float(values.min()), float(values.max())
    assert smallest > 0
    # Logarithms of a Pareto law are exponential, with mean 1 / exponent, here cut at the largest.
    logs = (values / smallest).log()
    cut = math.log(largest / smallest)
    expected = (1 - math.exp(-exponent * cut)) / exponent
    assert float(logs.mean()) == pytest.approx(expected, abs=5 / exponent / 100_000**0.5)
    for v in (2.0, 4.0, 8.0):
        chance = (v / smallest) ** -exponent
        assert within(int((values > v).sum()), 100_000, chance)
    assert 10 <= largest < 13  # cut at 10 before the mean is set to 1 again
    with pytest.raises(ValueError, match="greater than 1, not 1"):
        power_law_propensity(10, 1.0, generator())


@given(nodes=st.integers(2, 60), links=st.integers(1, 5), seed=st.integers(0, 1_000))
@settings(max_examples=40, deadline=None)
def test_new_nodes_link_to_older_ones(nodes, links, seed):
    if nodes <= links:
        with pytest.raises(ValueError, match="nodes > links >= 1"):
            preferential_attachment(nodes, links, generator(seed))
        return
    graph = preferential_attachment(nodes, links, generator(seed))
    older = torch.tril(matrix(graph), diagonal=-1).sum(dim=1)
    assert not older[:links].any() and int(older[links]) == links  # the first star
    assert bool(((older[links + 1 :] >= 1) & (older[links + 1 :] <= links)).all())
    assert networkx.is_connected(graph.to_networkx())
    assert graph.num_nodes == nodes


def test_degrees_follow_the_law_of_barabasi_and_albert():
    # Bollobas et al. 2001: P(degree = k) = 2 m (m + 1) / (k (k + 1) (k + 2)); m = 1 has no repeats.
    nodes = 10_000
    graph = preferential_attachment(nodes, 1, generator())
    assert graph.num_edges == 2 * (nodes - 1)
    counts = torch.bincount(graph.degree.long())
    for k in range(1, 6):
        assert float(counts[k]) / nodes == pytest.approx(4 / (k * (k + 1) * (k + 2)), abs=0.015)
    assert int(graph.degree.max()) > 50  # a random tree would have a largest degree near 14


def test_attachment_is_proportional_to_the_degree():
    """Four nodes, one link each: the last one makes a star of the path with probability 1/2."""
    source = generator(3)
    stars = sum(
        float(preferential_attachment(4, 1, source).degree.max()) == 3 for _ in range(1_000)
    )
    assert within(stars, 1_000, 0.5)
    # Two links each: the ends drawn from {0, 2, 1, 2} agree with probability 3/8, and merge.
    merged = sum(preferential_attachment(4, 2, source).num_edges == 6 for _ in range(1_000))
    assert within(merged, 1_000, 3 / 8)


def test_no_links_are_refused():
    with pytest.raises(ValueError, match="not 5 and 0"):
        preferential_attachment(5, 0, generator())


# Roles


@pytest.mark.parametrize(("hubs", "members", "leaves"), [(3, 20, 8), (1, 4, 0)])
def test_roles_have_their_numbers_and_links(hubs, members, leaves):
    graph, roles = communities_of_roles(4, hubs, members, leaves, generator())
    each = hubs + members + 1 + leaves
    assert torch.bincount(graph.y).tolist() == [each] * 4
    for community in range(4):
        found = torch.bincount(roles[graph.y == community], minlength=4).tolist()
        assert found == [hubs, members, 1, leaves]
    links = matrix(graph)
    apart = graph.y.unsqueeze(1) != graph.y
    bridge = roles == 2
    # Communities meet at their bridges only, and all bridges know each other.
    assert torch.equal(links.bool() & apart, bridge.unsqueeze(1) & bridge & apart)
    inner = links * ~apart
    assert bool((inner[bridge].sum(dim=1) == max(2, members // 5)).all())
    assert not inner[bridge][:, roles != 1].any()
    leaf = roles == 3
    assert bool((links[leaf].sum(dim=1) == 1).all()) and not links[leaf][:, roles != 0].any()
    hub_pairs = inner[roles == 0][:, roles == 0]
    assert int(hub_pairs.sum()) == 4 * hubs * (hubs - 1)


def test_roles_have_their_densities():
    graph, roles = communities_of_roles(12, 6, 30, 5, generator(1))
    inner = matrix(graph) * (graph.y.unsqueeze(1) == graph.y)
    hub, member = roles == 0, roles == 1
    assert within(int(inner[hub][:, member].sum()), 12 * 6 * 30, 0.6)
    assert within(int(inner[member][:, member].sum()) // 2, 12 * 30 * 29 // 2, 0.15)


@pytest.mark.parametrize("wrong", [(1, 2, 5, 1), (3, 0, 5, 1), (3, 2, 0, 1), (3, 2, 5, -1)])
def test_bad_roles_are_refused(wrong):
    with pytest.raises(ValueError, match="at least 2 communities"):
        communities_of_roles(*wrong, generator())


def test_everything_follows_its_generator():
    makers = [
        lambda g: stochastic_block_model((20, 20), 0.3, 0.1, g).edge_index,
        lambda g: preferential_attachment(50, 2, g).edge_index,
        lambda g: communities_of_roles(2, 2, 10, 3, g)[0].edge_index,
        lambda g: power_law_propensity(50, 2.0, g),
    ]
    for make in makers:
        assert torch.equal(make(generator(4)), make(generator(4)))
        a, b = make(generator(4)), make(generator(5))
        assert a.shape != b.shape or not torch.equal(a, b)
