"""LINE: draws against their distribution, gradients against autograd, training against optima."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import chisquare

from src.common.graphs.embedding_evaluation import Scores
from src.common.graphs.generators import stochastic_block_model
from src.common.graphs.graph import Graph
from src.common.training.streams import stream
from src.network_embedding.random_walks.experiments import line as experiments
from src.network_embedding.random_walks.line import (
    AliasTable,
    EdgeDraws,
    LineSettings,
    apply_block,
    drawn_chances,
    line,
    sampled_objective,
    side_by_side,
    softmax_objective,
    train_order,
)


def small_graph(seed: int = 0, nodes: int = 9) -> Graph:
    """A connected weighted graph."""
    generator = stream(seed, "small")
    extra = torch.randint(nodes, (2, nodes), generator=generator)
    ring = torch.stack([torch.arange(nodes), (torch.arange(nodes) + 1) % nodes])
    weights = 0.2 + 3 * torch.rand(2 * nodes, generator=generator)
    return Graph.from_edges(torch.cat([ring, extra], dim=1), nodes, weights)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("size", [1, 2, 3, 50, 2000])
def test_the_alias_table_holds_exactly_the_distribution(seed: int, size: int) -> None:
    weights = (3 * torch.randn(size, generator=stream(seed, size))).exp()
    weights[::7] = 0.0 if size > 7 else weights[0]
    table = AliasTable.of(weights)
    assert float(table.keep.min()) >= 0 and float(table.keep.max()) <= 1
    held = table.keep.clone().index_add_(0, table.other, 1 - table.keep) / size
    torch.testing.assert_close(held, weights.double() / weights.double().sum())


def test_equal_weights_need_no_second_item() -> None:
    assert bool((AliasTable.of(torch.ones(5)).keep == 1).all())


def test_draws_follow_the_weights() -> None:
    weights = torch.tensor([5.0, 1.0, 0.5, 3.0, 0.0, 2.0])
    draws = AliasTable.of(weights).draw(60_000, stream(1, "draws"))
    counts = torch.bincount(draws, minlength=6).numpy()
    assert counts[4] == 0
    expected = (weights / weights.sum() * 60_000).numpy()
    assert chisquare(counts[counts > 0], expected[expected > 0], sum_check=False).pvalue > 1e-3


@pytest.mark.parametrize("weights", [torch.zeros(3), torch.tensor([1.0, -1.0, 2.0])])
def test_what_is_no_distribution_is_refused(weights: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="not all 0"):
        AliasTable.of(weights)


@pytest.mark.parametrize("shared", [False, True])
def test_a_block_is_a_step_along_the_gradient(shared: bool) -> None:
    """Against autograd, with repeated nodes, different rates, and one table for both roles."""
    generator = stream(2, "gradient")
    start = torch.randn(2, 6, 4, generator=generator)
    source = torch.tensor([0, 0, 3, 5, 2])
    ends = torch.randint(6, (5, 4), generator=generator)
    rate = torch.rand(5, 1, generator=generator)
    vectors = start[0].clone().requires_grad_()
    contexts = vectors if shared else start[1].clone().requires_grad_()
    scores = (contexts[ends] * vectors[source][:, None]).sum(2)
    signs = torch.tensor([1.0, -1.0, -1.0, -1.0])
    gain = (rate * torch.nn.functional.logsigmoid(signs * scores)).sum()
    gain.backward()
    moved = start[0].clone()
    moved_contexts = moved if shared else start[1].clone()
    apply_block(moved, moved_contexts, source, ends, rate)
    torch.testing.assert_close(moved, start[0] + vectors.grad)
    if not shared:
        torch.testing.assert_close(moved_contexts, start[1] + contexts.grad)


@pytest.mark.parametrize("drawing", ["by weight", "uniform"])
def test_both_ways_follow_the_same_objective_on_average(drawing: str) -> None:
    graph, settings = small_graph(), LineSettings(3, 400_000, 5, 1e-4, 400_000)
    generator = stream(3, "unbiased")
    vectors, contexts = torch.randn(2, graph.num_nodes, 3, generator=generator)
    moved, moved_contexts = vectors.clone(), contexts.clone()
    uniform = drawing == "uniform"
    edge, ends = EdgeDraws.of(graph, by_weight=not uniform).block(settings.edges, 5, generator)
    factor = graph.weights[edge, None] / graph.weights.mean() if uniform else 1.0
    apply_block(moved, moved_contexts, graph.edge_index[0, edge], ends, factor * 1.0)
    vectors.requires_grad_()
    sampled_objective(vectors, contexts, graph, 5).backward()
    torch.testing.assert_close(
        (moved - vectors.detach()) / settings.edges, -vectors.grad, atol=0.015, rtol=0.0
    )


def test_the_objectives_are_sums_over_edges() -> None:
    """Against loops over nodes, edges and negatives."""
    graph = small_graph(1, nodes=5)
    generator = stream(4, "objective")
    vectors, contexts = torch.randn(2, 5, 3, generator=generator, dtype=torch.double)
    joint, noise = (part.numpy() for part in drawn_chances(graph, torch.double))
    u, c = vectors.numpy(), contexts.numpy()
    exact, sampled = 0.0, 0.0
    for i, j in graph.edge_index.T.tolist():
        scores = [float(c[k] @ u[i]) for k in range(5)]
        exact -= joint[i, j] * (scores[j] - np.log(sum(np.exp(scores))))
        sampled += joint[i, j] * np.log1p(np.exp(-scores[j]))
        for k in range(5):
            sampled += joint[i, j] * 2 * noise[k] * np.log1p(np.exp(scores[k]))
    assert float(softmax_objective(vectors, contexts, graph)) == pytest.approx(exact)
    assert float(sampled_objective(vectors, contexts, graph, 2)) == pytest.approx(sampled)
    weights = {tuple(e): w for e, w in zip(graph.edge_index.T.tolist(), graph.weights, strict=True)}
    total = sum(weights.values())
    assert joint[0, 1] == pytest.approx(float(weights[0, 1] / total))


def test_the_first_order_comes_close_to_the_best_there_is() -> None:
    """The minimum of the exact objective by SciPy, from several starts, on a tiny graph."""
    graph, settings = small_graph(2, nodes=6), LineSettings(3, 50_000, 5, 0.1, 12)
    vectors, contexts = train_order(graph, 1, settings, stream(5, "train"))
    assert vectors is contexts

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        point = torch.from_numpy(flat).view(6, 3).requires_grad_()
        value = sampled_objective(point, point, graph, 5)
        value.backward()
        return value.item(), point.grad.numpy().ravel()

    draw = np.random.default_rng(0)
    best = min(minimize(objective, draw.normal(size=18), jac=True).fun for _ in range(4))
    reached = float(sampled_objective(vectors.double(), vectors.double(), graph, 5))
    start = float(sampled_objective(torch.zeros(6, 3), torch.zeros(6, 3), graph, 5))
    assert best - 1e-6 < reached < best + 0.03 * (start - best)


def test_the_second_order_comes_close_to_its_closed_form() -> None:
    """With enough dimensions every score is free: sigma(score) = p / (p + q) is the optimum."""
    graph = small_graph(3, nodes=8)
    settings = LineSettings(8, 80_000, 2, 0.3, 16)
    vectors, contexts = train_order(graph, 2, settings, stream(6, "train"))
    joint, noise = drawn_chances(graph, torch.double)
    wrong = 2 * joint.sum(dim=1)[:, None] * noise
    hit = joint > 0
    ideal = -(joint * (joint / (joint + wrong)).log())[hit].sum()
    ideal -= (wrong * (wrong / (joint + wrong)).log()).sum()
    reached = sampled_objective(vectors.double(), contexts.double(), graph, 2)
    start = 3 * np.log(2)
    assert float(ideal) < float(reached) < float(ideal) + 0.04 * (start - float(ideal))


def test_both_halves_have_length_one_and_runs_repeat() -> None:
    graph = stochastic_block_model((20, 20), 0.5, 0.05, stream(7, "blocks"))
    settings = LineSettings(8, 4_000, 5, 0.1, 16)
    both = line(graph, settings, stream(7, "train"))
    assert both.shape == (40, 16)
    torch.testing.assert_close(both[:, :8].norm(dim=1), torch.ones(40))
    torch.testing.assert_close(both[:, 8:].norm(dim=1), torch.ones(40))
    assert torch.equal(both, line(graph, settings, stream(7, "train")))
    assert not torch.equal(both, line(graph, settings, stream(8, "train")))
    assert bool((side_by_side(torch.zeros(2, 3), torch.ones(2, 3))[:, :3] == 0).all())


def test_linked_nodes_come_close_in_the_first_order_and_alike_nodes_in_the_second() -> None:
    """Two leaves of one hub are not linked: only the second order puts them together."""
    star = Graph.from_edges(
        torch.tensor([[0, 0, 0, 0, 5, 5, 5, 5, 0], [1, 2, 3, 4, 6, 7, 8, 9, 5]]), 10
    )
    settings = LineSettings(4, 24_000, 2, 0.1, 16)
    first, _ = train_order(star, 1, settings, stream(9, "first"))
    second, contexts = train_order(star, 2, settings, stream(9, "second"))
    scores = first @ first.T
    assert float(scores[0, 1:5].min()) > float(scores[0, 6:].max())
    unit = torch.nn.functional.normalize(second)
    leaves = unit[1:5] @ unit[[1, 2, 3, 4, 6, 7, 8, 9]].T
    assert float(leaves[:, :4].min()) > float(leaves[:, 4:].max())
    assert float((second[1] @ contexts.T).argmax()) == 0


@pytest.mark.parametrize(
    "change", [{"dimension": 0}, {"edges": 0}, {"negatives": 0}, {"learning_rate": 0.0}]
)
def test_settings_that_train_nothing_are_refused(change: dict) -> None:
    with pytest.raises(ValueError, match="must be"):
        replace(LineSettings(), **change)


def test_a_graph_without_edges_is_refused() -> None:
    with pytest.raises(ValueError, match="without edges"):
        line(Graph.from_edges(torch.empty(2, 0).long(), 3), LineSettings(), stream(0, "none"))
    with pytest.raises(ValueError, match="order"):
        train_order(small_graph(), 3, LineSettings(), stream(0, "third"))


def test_the_orders_alone_and_both_have_the_same_length_and_labelled_nodes(monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(
        experiments,
        "classify",
        lambda vectors, y, share, generator: (
            seen.append((tuple(vectors.shape), share, generator.initial_seed())) or Scores(0.5, 0.5)
        ),
    )
    settings = LineSettings(dimension=3, edges=200)
    found = experiments.classification("hub communities", 1000, 8, settings, share=0.2)
    assert list(found) == ["first order", "second order", "both", "SVD of the adjacency"]
    assert seen == [((300, 8), 0.2, seen[0][2])] * 4
    with pytest.raises(ValueError, match="even"):
        experiments.classification("hub communities", 1000, 7, settings)


def test_both_is_the_two_orders_side_by_side(monkeypatch) -> None:
    orders, vectors = [], []
    train = experiments.train_order

    def recorded(graph, order, settings, generator):
        orders.append((order, settings.dimension, settings.edges, generator.initial_seed()))
        return train(graph, order, settings, generator)

    monkeypatch.setattr(experiments, "train_order", recorded)
    monkeypatch.setattr(
        experiments, "classify", lambda v, *rest: vectors.append(v) or Scores(0.5, 0.5)
    )
    experiments.classification("hub communities", 1000, 8, LineSettings(edges=200))
    assert [each[:3] for each in orders] == [(o, d, 200) for o in (1, 2) for d in (8, 4)]
    assert len({each[3] for each in orders}) == 4  # no order repeats another's draws
    lengths = vectors[2].view(300, 2, 4).norm(dim=2)
    torch.testing.assert_close(lengths, torch.ones(300, 2))


def test_weights_inside_communities_are_twice_as_large() -> None:
    graphs = [experiments.weighted_communities(seed) for seed in range(1000, 1010)]
    logs: dict[bool, list[torch.Tensor]] = {True: [], False: []}
    for graph in graphs:
        source, target = graph.edge_index
        same = graph.y[source] == graph.y[target]
        for inside in logs:
            logs[inside].append(graph.weights[same == inside].log())
        matrix = torch.zeros(300, 300)
        matrix[source, target] = graph.weights
        assert torch.equal(matrix, matrix.T)
    inside, outside = torch.cat(logs[True]), torch.cat(logs[False])
    assert float(inside.mean() - outside.mean()) == pytest.approx(np.log(2), abs=0.06)
    assert float(outside.std()) == pytest.approx(1.0, abs=0.06)


def test_objectives_start_at_the_uniform_distribution_and_both_ways_lower_it() -> None:
    settings = LineSettings(dimension=8, edges=20_000, block=64)
    found = experiments.objectives(1000, 0.5, settings, [0.2, 1e9])
    assert found["start"] == [pytest.approx(np.log(300), rel=1e-6)]
    for way in (experiments.DRAWN, experiments.MULTIPLIED):
        first, diverged = found[way]
        assert first is not None and first < found["start"][0]
        assert diverged is None or diverged > first
    assert found[experiments.DRAWN] != found[experiments.MULTIPLIED]
    assert experiments.best([None, 3.0, 2.0]) == 2.0
    with pytest.raises(ValueError, match="diverged"):
        experiments.best([None])


def test_the_svd_of_the_adjacency_is_the_dense_one() -> None:
    graph = small_graph()
    matrix = torch.zeros(9, 9, dtype=torch.double)
    matrix[tuple(graph.edge_index)] = graph.weights.double()
    left, values, _ = torch.linalg.svd(matrix)
    expected = (left[:, :4] * values[:4]) @ left[:, :4].T
    found = experiments.adjacency_svd(graph, 4).double()
    torch.testing.assert_close(found @ found.T, expected, atol=1e-5, rtol=0.0)


def test_every_seed_draws_another_graph_and_other_weights() -> None:
    one, again, other = (experiments.weighted_communities(seed) for seed in (1, 1, 2))
    assert torch.equal(one.edge_index, again.edge_index) and torch.equal(one.weights, again.weights)
    assert one.edge_index.shape != other.edge_index.shape or not torch.equal(
        one.edge_index, other.edge_index
    )
