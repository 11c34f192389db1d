"""Walks against the definition: exact transition probabilities, chi-square, stationary law."""

import math

import networkx as nx
import numpy as np
import pytest
import torch
from scipy import stats

from src.common.graphs.graph import Graph
from src.network_embedding.random_walks import edge_membership, second_order
from src.network_embedding.random_walks import walks as random_walks
from src.network_embedding.random_walks.edge_membership import EdgeSet
from src.network_embedding.random_walks.walks import (
    ENDED,
    parked,
    second_order_walks,
    uniform_walks,
    walk_starts,
)

LEAST_P = 1e-4


def small_graph(weighted: bool, directed: bool = False) -> Graph:
    """Twelve nodes: a triangle-rich part, a hub and a tail; directed has one-way edges."""
    pairs = [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3), (3, 4), (4, 5), (4, 6), (5, 6), (3, 7)]
    pairs += [(3, 8), (3, 9), (8, 9), (9, 10), (10, 11)]
    edges = torch.tensor(pairs).T
    if directed:
        edges = torch.cat([edges, edges[:, ::2].flip(0), torch.tensor([[11, 7, 5], [0, 2, 0]])], 1)
    weight = 1 + torch.arange(edges.shape[1]) % 5 if weighted else None
    return Graph.from_edges(
        edges, 12, None if weight is None else weight.float(), directed=directed
    )


def transition(graph: Graph, p: float, q: float) -> np.ndarray:
    """P[t, v, x] from the definition, one triple at a time."""
    n = graph.num_nodes
    weight = np.zeros((n, n))
    for (a, b), w in zip(graph.edge_index.T.tolist(), graph.weights.tolist(), strict=True):
        weight[a, b] = w
    probability = np.zeros((n, n, n))
    for t in range(n):
        for v in range(n):
            for x in range(n):
                alpha = 1 / p if x == t else (1.0 if weight[t, x] else 1 / q)
                probability[t, v, x] = alpha * weight[v, x]
            total = probability[t, v].sum()
            if total:
                probability[t, v] /= total
    return probability


def chi_square(observed: np.ndarray, expected: np.ndarray) -> float:
    """p-value of counts (states, outcomes) given each state's outcome probabilities."""
    statistic, freedom = 0.0, 0
    for counts, chances in zip(observed, expected, strict=True):
        assert (counts[chances == 0] == 0).all()
        possible = chances > 0
        if counts.sum() == 0 or possible.sum() < 2:
            continue
        mean = counts.sum() * chances[possible]
        statistic += ((counts[possible] - mean) ** 2 / mean).sum()
        freedom += possible.sum() - 1
    return float(stats.chi2.sf(statistic, freedom))


def triples(walks: torch.Tensor, n: int) -> np.ndarray:
    t, v, x = (walks[:, k : walks.shape[1] - 2 + k].reshape(-1) for k in range(3))
    return np.bincount((t * n + v) * n + x, minlength=n**3).reshape(n * n, n)


@pytest.mark.parametrize("weighted", [False, True])
def test_first_order_frequencies_follow_the_weights(weighted):
    graph = small_graph(weighted)
    starts = walk_starts(12, 3000, torch.Generator().manual_seed(0))
    walks = uniform_walks(graph, starts, 10, torch.Generator().manual_seed(1))
    counts = triples(walks, 12)
    expected = transition(graph, 1.0, 1.0)
    assert chi_square(counts, expected.reshape(144, 12)) > LEAST_P
    # and the plain first-order counts have no memory
    wrong = transition(small_graph(not weighted), 1.0, 1.0)
    assert chi_square(counts, wrong.reshape(144, 12)) < LEAST_P


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize(
    ("p", "q"), [(0.25, 4.0), (4.0, 0.25), (0.25, 0.5), (4.0, 2.0), (1.0, 2.0), (0.3, 1.0)]
)
def test_second_order_frequencies_follow_the_definition(p, q, weighted, directed):
    graph = small_graph(weighted, directed)
    starts = walk_starts(12, 3000, torch.Generator().manual_seed(0))
    walks = second_order_walks(graph, starts, 10, p, q, torch.Generator().manual_seed(2))
    counts = triples(walks, 12)
    assert chi_square(counts, transition(graph, p, q).reshape(144, 12)) > LEAST_P
    assert chi_square(counts, transition(graph, q, p).reshape(144, 12)) < LEAST_P


@pytest.mark.parametrize("weighted", [False, True])
def test_hashed_membership_walks_follow_the_definition(monkeypatch, weighted):
    monkeypatch.setattr(edge_membership, "EXACT_BITS", 0)
    graph = small_graph(weighted)
    starts = walk_starts(12, 3000, torch.Generator().manual_seed(0))
    walks = second_order_walks(graph, starts, 10, 0.5, 4.0, torch.Generator().manual_seed(2))
    expected = transition(graph, 0.5, 4.0).reshape(144, 12)
    assert chi_square(triples(walks, 12), expected) > LEAST_P


@pytest.mark.parametrize("exact_bits", [0, 1 << 28])
def test_edge_set_answers_every_pair(monkeypatch, exact_bits):
    monkeypatch.setattr(edge_membership, "EXACT_BITS", exact_bits)
    draw = torch.randint(300, (2, 2000), generator=torch.Generator().manual_seed(3))
    graph = Graph.from_edges(draw, 300, directed=True)
    dense = torch.zeros(300, 300, dtype=torch.bool)
    dense[tuple(graph.edge_index)] = True
    every = torch.cartesian_prod(torch.arange(300), torch.arange(300)).T
    found = EdgeSet(graph.edge_index, 300).contains(every[0], every[1])
    assert torch.equal(found.view(300, 300), dense)


def test_p_and_q_of_one_are_the_first_order_walks():
    graph = small_graph(True)
    starts = torch.arange(12)
    first = uniform_walks(graph, starts, 20, torch.Generator().manual_seed(4))
    second = second_order_walks(graph, starts, 20, 1.0, 1.0, torch.Generator().manual_seed(4))
    assert torch.equal(first, second)


def test_visits_are_proportional_to_degree_in_the_long_run():
    graph = Graph.from_networkx(nx.karate_club_graph(), "weight")
    starts = walk_starts(34, 600, torch.Generator().manual_seed(5))
    last = uniform_walks(graph, starts, 200, torch.Generator().manual_seed(6))[:, -1]
    expected = graph.degree / graph.degree.sum() * len(last)
    observed = torch.bincount(last, minlength=34)
    assert stats.chisquare(observed, expected.double(), sum_check=False).pvalue > LEAST_P


@pytest.mark.parametrize("weighted", [False, True])
def test_every_step_is_an_edge_and_walks_end_where_no_edge_leads_on(weighted):
    edges = torch.tensor([[1, 2, 2, 5], [2, 3, 4, 1]])  # 0, 6 and 7 have none, 3 and 4 no way out
    weight = torch.tensor([1.0, 2.0, 3.0, 0.5]) if weighted else None
    graph = Graph.from_edges(edges, 8, weight, directed=True)
    starts = torch.arange(8).repeat(20)
    allowed = set(map(tuple, edges.T.tolist()))
    allowed |= {(v, ENDED) for v in (0, 3, 4, 6, 7, ENDED)}
    for walks in (
        uniform_walks(graph, starts, 6, torch.Generator().manual_seed(7)),
        second_order_walks(graph, starts, 6, 0.5, 2.0, torch.Generator().manual_seed(7)),
    ):
        assert walks.shape == (160, 7) and walks.dtype == torch.long
        assert torch.equal(walks[:, 0], starts)
        steps = set(
            zip(walks[:, :-1].reshape(-1).tolist(), walks[:, 1:].reshape(-1).tolist(), strict=True)
        )
        assert steps == allowed
        stayed = parked(walks)
        assert torch.equal(stayed[walks != ENDED], walks[walks != ENDED])
        ends = torch.tensor([0, 3, 4, 6, 7])
        assert bool(torch.isin(stayed[:, -1], ends).all())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize(("p", "q"), [(0.25, 4.0), (4.0, 0.25), (1e4, 1.0), (50.0, 1e-3)])
def test_the_step_after_many_refusals_follows_the_definition(monkeypatch, p, q, weighted, directed):
    """With one round all refused steps are exact, and the law is still that of the paper."""
    monkeypatch.setattr(second_order, "ROUNDS", 1)
    graph = small_graph(weighted, directed)
    starts = walk_starts(12, 3000, torch.Generator().manual_seed(0))
    walks = second_order_walks(graph, starts, 10, p, q, torch.Generator().manual_seed(2))
    counts = triples(walks, 12)
    assert chi_square(counts, transition(graph, p, q).reshape(144, 12)) > LEAST_P


@pytest.mark.parametrize(("p", "q"), [(1e9, 1.0), (1.0, 1e-9), (1e9, 1e-9), (1e-9, 1e9)])
def test_the_number_of_proposals_does_not_grow_with_p_and_q(monkeypatch, p, q):
    proposals = []
    propose = second_order.Acceptance._propose

    def counted(self, at, *rest):
        proposals.append(len(at))
        return propose(self, at, *rest)

    monkeypatch.setattr(second_order.Acceptance, "_propose", counted)
    tree = Graph.from_networkx(nx.random_labeled_tree(200, seed=1))
    walks = second_order_walks(tree, torch.arange(200), 20, p, q, torch.Generator())
    assert walks.shape == (200, 21)
    assert sum(proposals) <= 200 * 20 * (second_order.ROUNDS + second_order.TIMES)


def test_on_a_path_a_walk_that_never_turns_turns_at_the_end():
    path = Graph.from_networkx(nx.path_graph(50))
    starts, generator = torch.arange(50), torch.Generator().manual_seed(0)
    walks = second_order_walks(path, starts, 80, 1e9, 1.0, generator)
    turns = walks[:, 2:] == walks[:, :-2]
    assert bool(torch.isin(walks[:, 1:-1][turns], torch.tensor([0, 49])).all())


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, -1.0])
def test_p_and_q_are_positive_and_finite(value):
    graph = small_graph(False)
    for pair in ((value, 1.0), (1.0, value)):
        with pytest.raises(ValueError, match="must be"):
            second_order_walks(graph, torch.arange(3), 4, *pair, torch.Generator())


def test_walks_do_not_depend_on_threads_and_repeat(monkeypatch):
    monkeypatch.setattr(random_walks, "CHUNK", 64)
    graph, starts = small_graph(True), torch.arange(12).repeat(50)
    threads = torch.get_num_threads()
    results = []
    for count in (1, 2):
        torch.set_num_threads(count)
        results.append(
            second_order_walks(graph, starts, 9, 0.5, 2.0, torch.Generator().manual_seed(8))
        )
    torch.set_num_threads(threads)
    assert torch.equal(*results)
    other = second_order_walks(graph, starts, 9, 0.5, 2.0, torch.Generator().manual_seed(9))
    assert not torch.equal(results[0], other)


def test_many_walks_at_once_equal_the_definition_past_a_chunk():
    graph = small_graph(False)
    starts = torch.zeros(100_000, dtype=torch.long)
    walks = second_order_walks(graph, starts, 3, 0.25, 4.0, torch.Generator().manual_seed(10))
    counts = triples(walks, 12)
    assert chi_square(counts, transition(graph, 0.25, 4.0).reshape(144, 12)) > LEAST_P


def test_starts_are_every_node_in_every_round():
    starts = walk_starts(7, 3, torch.Generator().manual_seed(11)).view(3, 7)
    assert torch.equal(starts.sort(dim=1).values, torch.arange(7).expand(3, 7))
    assert not torch.equal(starts[0], starts[1])


def test_no_walks_no_steps_and_bad_input():
    graph, generator = small_graph(False), torch.Generator().manual_seed(12)
    none = torch.empty(0, dtype=torch.long)
    assert uniform_walks(graph, none, 3, generator).shape == (0, 4)
    one = second_order_walks(graph, torch.tensor([5]), 0, 0.5, 2.0, generator)
    assert one.tolist() == [[5]]
    with pytest.raises(ValueError, match="starts must be nodes"):
        uniform_walks(graph, torch.tensor([12]), 3, generator)
    with pytest.raises(ValueError, match="steps must be at least 0"):
        uniform_walks(graph, torch.tensor([1]), -1, generator)
    with pytest.raises(ValueError, match="p must be at least"):
        second_order_walks(graph, torch.tensor([1]), 3, 0.0, 1.0, generator)


def test_a_question_about_edges_leaves_the_nodes_as_they_were():
    source, target = torch.tensor([0, 1]), torch.tensor([1, 0])
    edges = EdgeSet(torch.tensor([[0, 1], [1, 2]]), 3)
    assert edges.contains(source, target).tolist() == [True, False]
    assert source.tolist() == [0, 1] and target.tolist() == [1, 0]
    with pytest.raises(ValueError, match="sorted"):
        EdgeSet(torch.tensor([[1, 0], [2, 1]]), 3)


def test_graphs_without_sinks_have_no_ended_walks_and_others_the_same_steps_until_the_end():
    """The places after an end are cut; everything before is what it is without cutting."""
    chain = Graph.from_edges(torch.tensor([[0, 1, 1, 2], [1, 0, 2, 3]]), 5, directed=True)
    starts = torch.arange(5).repeat(30)
    for p, q in ((1.0, 1.0), (0.5, 2.0), (1e6, 1.0)):
        walks = second_order_walks(chain, starts, 8, p, q, torch.Generator().manual_seed(3))
        lengths = (walks != ENDED).sum(dim=1)
        for walk, length in zip(walks.tolist(), lengths.tolist(), strict=True):
            assert walk[length:] == [ENDED] * (9 - length)
            assert length == 9 or walk[length - 1] in (3, 4)
    whole = uniform_walks(small_graph(False), starts, 8, torch.Generator().manual_seed(3))
    assert int(whole.min()) >= 0
