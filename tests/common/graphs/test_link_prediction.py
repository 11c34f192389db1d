from dataclasses import replace

import networkx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from src.common.graphs import link_prediction
from src.common.graphs.graph import Graph
from src.common.graphs.link_prediction import adamic_adar, hadamard, hide_links, link_auc, score_auc


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def small_world(nodes=60, seed=0):
    return Graph.from_networkx(networkx.connected_watts_strogatz_graph(nodes, 6, 0.2, seed=seed))


def pair_set(pairs):
    return set(map(tuple, pairs.T.tolist()))


def links_of(graph):
    return pair_set(graph.edge_index[:, graph.edge_index[0] < graph.edge_index[1]])


def components(graph):
    return {frozenset(part) for part in networkx.connected_components(graph.to_networkx())}


@given(
    nodes=st.integers(12, 40),
    density=st.floats(0.15, 0.4),
    share=st.floats(0.05, 0.5),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=60, deadline=None)
def test_the_split_keeps_its_promises(nodes, density, share, seed):
    graph = Graph.from_networkx(networkx.gnp_random_graph(nodes, density, seed=seed))
    links = links_of(graph)
    try:
        split = hide_links(graph, share, generator(seed))
    except ValueError as error:
        spare = len(links) - nodes + len(components(graph))
        few = len(links) > nodes * (nodes - 1) / 4
        assert few or not 1 <= round(share * len(links)) <= spare, str(error)
        return
    hidden, rest = pair_set(split.hidden), pair_set(split.train_links)
    apart, train_apart = pair_set(split.non_links), pair_set(split.train_non_links)
    assert len(hidden) == split.hidden.shape[1] == round(share * len(links))
    assert hidden | rest == links and not hidden & rest
    assert links_of(split.graph) == rest
    assert len(apart) == split.non_links.shape[1] == len(hidden)
    assert len(train_apart) == split.train_non_links.shape[1] == len(rest)
    assert not (apart | train_apart) & links and not apart & train_apart
    assert all(u < v for u, v in hidden | rest | apart | train_apart)
    assert components(split.graph) == components(graph)


def test_everything_but_a_spanning_tree_can_be_hidden_and_no_more():
    graph = small_world()
    split = hide_links(graph, (180 - 59) / 180, generator())
    assert split.train_links.shape == (2, 59)
    assert networkx.is_tree(split.graph.to_networkx())
    with pytest.raises(ValueError, match="at most the 121 that"):
        hide_links(graph, (180 - 58) / 180, generator())


def test_hidden_links_and_non_links_are_uniform():
    """Every non-link is drawn equally often, and so are links that are alike by symmetry."""
    graph = Graph.from_networkx(networkx.circulant_graph(12, [1, 2]))
    runs = 600
    hidden = torch.zeros(12, 12)
    apart = torch.zeros(12, 12)
    for seed in range(runs):
        split = hide_links(graph, 0.25, generator(seed))
        hidden[tuple(split.hidden)] += 1
        apart[tuple(split.non_links)] += 1
    upper = torch.triu(torch.ones(12, 12), diagonal=1).bool()
    links = torch.zeros(12, 12, dtype=torch.bool)
    links[tuple(graph.edge_index)] = True
    # 6 of 42 non-links a run; five standard deviations of a binomial.
    share = 6 / 42
    bound = 5 * (runs * share * (1 - share)) ** 0.5
    assert float((apart[upper & ~links] - runs * share).abs().max()) < bound
    # The graph is the same from every node: links of one length are hidden equally often.
    for length in (1, 2):
        around = torch.arange(12)
        ends = torch.stack([around, (around + length) % 12]).sort(dim=0).values
        counts = hidden[tuple(ends)]
        assert float((counts - counts.mean()).abs().max()) < 5 * (runs * 0.25 * 0.75) ** 0.5
    assert not hidden[~links].any()


def test_the_split_follows_the_generator_and_keeps_what_the_nodes_have():
    graph = small_world()
    weight = (graph.edge_index.sum(dim=0) + 1).float()
    graph = replace(graph, edge_weight=weight, x=torch.randn(60, 3), y=torch.arange(60))
    a, b = (hide_links(graph, 0.3, generator(4)) for _ in range(2))
    assert torch.equal(a.hidden, b.hidden) and torch.equal(a.train_non_links, b.train_non_links)
    assert not torch.equal(a.hidden, hide_links(graph, 0.3, generator(5)).hidden)
    assert a.graph.x is graph.x and a.graph.y is graph.y
    assert torch.equal(a.graph.weights, (a.graph.edge_index.sum(dim=0) + 1).float())


def test_bad_splits_say_what_to_do():
    graph = small_world()
    with pytest.raises(ValueError, match="cannot hide 0 of 180"):
        hide_links(graph, 0.001, generator())
    directed = Graph.from_edges(torch.tensor([[0, 1, 2], [1, 2, 0]]), 3, directed=True)
    with pytest.raises(ValueError, match="undirected"):
        hide_links(directed, 0.4, generator())
    dense = Graph.from_networkx(networkx.complete_graph(8))
    with pytest.raises(ValueError, match="the graph has 0"):
        hide_links(dense, 0.5, generator())


@pytest.mark.parametrize("chunk", [7, 10_000])
def test_adamic_adar_is_that_of_networkx(chunk, monkeypatch):
    monkeypatch.setattr(link_prediction, "_CHUNK", chunk)
    raw = networkx.barabasi_albert_graph(40, 2, seed=1)
    raw.add_nodes_from([40, 41])  # nodes without neighbours
    raw.add_edge(42, 43)  # and with one
    graph = Graph.from_networkx(raw)
    pairs = torch.combinations(torch.arange(44)).T
    truth = [score for _, _, score in networkx.adamic_adar_index(raw, pairs.T.tolist())]
    assert torch.allclose(adamic_adar(graph, pairs), torch.tensor(truth).float(), atol=1e-6)
    assert adamic_adar(graph, pairs[:, :0]).shape == (0,)


def test_adamic_adar_ignores_weights():
    graph = small_world()
    heavy = replace(graph, edge_weight=torch.full((graph.num_edges,), 3.0))
    pairs = torch.combinations(torch.arange(60)).T
    assert torch.equal(adamic_adar(graph, pairs), adamic_adar(heavy, pairs))


def test_score_auc_by_hand_and_by_scikit_learn():
    # 3 > 2, 3 > 1, 1 < 2, and 1 = 1 counts a half: 2.5 of 4 comparisons.
    assert score_auc(torch.tensor([3.0, 1.0]), torch.tensor([2.0, 1.0])) == 2.5 / 4
    positive = torch.randn(70, generator=generator(1)).round(decimals=1) + 0.3
    negative = torch.randn(90, generator=generator(2)).round(decimals=1)
    greater = (positive.unsqueeze(1) > negative).double().mean()
    equal = (positive.unsqueeze(1) == negative).double().mean()
    assert score_auc(positive, negative) == pytest.approx(float(greater + equal / 2))
    expected = roc_auc_score([1] * 70 + [0] * 90, torch.cat([positive, negative]).numpy())
    assert score_auc(positive, negative) == pytest.approx(expected)
    for bad in (torch.empty(0), torch.tensor([torch.nan])):
        with pytest.raises(ValueError, match="finite scores"):
            score_auc(bad, negative)


def test_hadamard_by_hand():
    vectors = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, -6.0]])
    found = hadamard(vectors, torch.tensor([[0, 1], [1, 2]]))
    assert found.tolist() == [[3.0, 8.0], [15.0, -24.0]]


def cliques(count=10, size=8):
    """Complete groups in a ring: each node of one group knows one of the next."""
    blocks = torch.arange(count * size) // size
    full = torch.nonzero(blocks.unsqueeze(0) == blocks.unsqueeze(1)).T
    first = torch.arange(count) * size
    ring = torch.stack([first, first.roll(1)])
    return Graph.from_edges(torch.cat([full, ring], dim=1), count * size), blocks


def test_vectors_that_name_the_group_find_nearly_all_links():
    graph, blocks = cliques()
    split = hide_links(graph, 0.4, generator())
    vectors = torch.nn.functional.one_hot(blocks).float()
    truth = score_auc(
        *[(blocks[p[0]] == blocks[p[1]]).float() for p in (split.hidden, split.non_links)]
    )
    assert truth > 0.97
    assert link_auc(vectors, split) == pytest.approx(truth, abs=1e-9)


def test_the_classifier_of_pairs_is_that_of_scikit_learn():
    graph = small_world()
    split = hide_links(graph, 0.3, generator())
    vectors = torch.randn(60, 5, generator=generator(3)) * torch.logspace(-2, 2, 5)
    vectors = (vectors + torch.roll(vectors, 1, dims=0)).double()

    def table(first, second):
        pairs = torch.cat([first, second], dim=1)
        products = [vectors[u] * vectors[v] for u, v in pairs.T.tolist()]
        return torch.stack(products).numpy(), [1] * first.shape[1] + [0] * second.shape[1]

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
    model.fit(*table(split.train_links, split.train_non_links))
    test, target = table(split.hidden, split.non_links)
    expected = roc_auc_score(target, model.decision_function(test))
    assert link_auc(vectors, split) == pytest.approx(expected, abs=1e-3)


def test_random_vectors_are_at_chance_and_bad_ones_refused():
    graph = small_world(nodes=600)
    split = hide_links(graph, 0.4, generator())
    vectors = torch.randn(600, 4, generator=generator(9))
    # 720 positives and negatives: the standard deviation of the area is about 0.015.
    assert abs(link_auc(vectors, split) - 0.5) < 0.06
    with pytest.raises(ValueError, match="599 vectors for 600 nodes"):
        link_auc(vectors[:-1], split)
    with pytest.raises(ValueError, match="diverged"):
        link_auc(vectors / 0, split)


def test_the_classifier_learns_from_the_remaining_links_only():
    """With the answers of the training pairs swapped the ranking of the hidden ones turns round."""
    graph, blocks = cliques()
    split = hide_links(graph, 0.4, generator())
    vectors = torch.nn.functional.one_hot(blocks).float()
    swapped = replace(split, train_links=split.train_non_links, train_non_links=split.train_links)
    assert link_auc(vectors, swapped) == pytest.approx(1 - link_auc(vectors, split), abs=1e-6)
