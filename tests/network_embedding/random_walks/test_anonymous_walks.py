"""Anonymous walks against enumeration by hand, Bell numbers and exhaustive walks."""

from itertools import pairwise, product

import networkx as nx
import pytest
import torch

from src.common.graphs.graph import Graph
from src.common.training.streams import stream
from src.network_embedding.random_walks import anonymous_walks as aw
from src.network_embedding.random_walks.walks import parked, uniform_walks

BELL = {1: 1, 2: 2, 3: 5, 4: 15, 5: 52, 6: 203}


def rename(walk):
    """Number the entries in the order of their first appearance, by a dictionary."""
    seen = {}
    return [seen.setdefault(place, len(seen)) for place in walk]


@pytest.fixture(scope="module")
def lollipop():
    """A triangle with a tail of two nodes: every node but two has its own surroundings."""
    return Graph.from_networkx(nx.lollipop_graph(3, 2))


def test_anonymise_numbers_by_first_appearance():
    walks = torch.tensor([list(walk) for walk in product(range(3), repeat=4)])
    assert aw.anonymise(walks).tolist() == [rename(walk) for walk in walks.tolist()]


@pytest.mark.parametrize("steps", BELL)
def test_the_patterns_are_all_and_as_many_as_the_bell_number(steps):
    patterns = aw.all_anonymous_walks(steps).tolist()
    assert len(patterns) == BELL[steps]
    assert patterns == sorted(patterns)
    walks = product(range(steps + 1), repeat=steps + 1) if steps < 6 else []
    moving = {tuple(rename(w)) for w in walks if all(a != b for a, b in pairwise(w))}
    assert steps == 6 or moving == {tuple(p) for p in patterns}


def test_pattern_numbers_find_every_pattern_under_other_names():
    patterns = aw.all_anonymous_walks(4)
    names = torch.tensor([70, 3, 900, 41, 12])
    assert aw.pattern_numbers(names[patterns]).tolist() == list(range(15))


def test_a_walk_that_stays_has_no_pattern():
    assert aw.pattern_numbers(torch.tensor([[5, 5, 5], [5, 6, 6], [5, 6, 5]])).tolist() == [
        -1,
        -1,
        0,
    ]
    lonely = aw.pattern_shares(torch.tensor([[[0, 0, 0]], [[1, 2, 1]]]))
    assert lonely.tolist() == [[0.0, 0.0], [1.0, 0.0]]


def test_exact_shares_follow_every_walk(lollipop):
    steps, graph = 4, lollipop.to_networkx()
    patterns = [tuple(p) for p in aw.all_anonymous_walks(steps).tolist()]
    expected = torch.zeros(5, len(patterns), dtype=torch.float64)
    for walk in product(range(5), repeat=steps + 1):
        chance = 1.0
        for a, b in pairwise(walk):
            chance *= graph.has_edge(a, b) / graph.degree(a)
        if chance:
            expected[walk[0], patterns.index(tuple(rename(walk)))] += chance
    torch.testing.assert_close(aw.exact_pattern_shares(lollipop, steps), expected)


def test_exact_shares_step_by_weight():
    star = Graph.from_edges(torch.tensor([[0, 0], [1, 2]]), 3, torch.tensor([1.0, 3.0]))
    shares = aw.exact_pattern_shares(star, 3)  # from the centre: 0101 both times, or 0102
    assert shares[0].tolist() == pytest.approx([0.25**2 + 0.75**2, 2 * 0.25 * 0.75, 0, 0, 0])


def test_drawn_shares_come_close_to_the_exact_ones(lollipop):
    per_node, steps = 20_000, 3
    starts = torch.arange(5).repeat_interleave(per_node)
    walks = uniform_walks(lollipop, starts, steps, stream(0)).reshape(5, per_node, steps + 1)
    drawn, exact = aw.pattern_shares(walks), aw.exact_pattern_shares(lollipop, steps)
    deviation = (exact * (1 - exact) / per_node).sqrt()
    assert bool(((drawn - exact).abs() <= 4 * deviation + 1e-9).all())
    torch.testing.assert_close(drawn.sum(dim=1), torch.ones(5))


def test_degree_profiles_count_what_the_walks_see(lollipop):
    walks = torch.tensor([[[0, 1, 2]], [[1, 0, 2]], [[2, 3, 4]], [[3, 4, 3]], [[4, 3, 2]]])
    profile = aw.degree_profiles(lollipop, walks, 3).reshape(5, 3, 3)
    bins = [1, 1, 1, 1, 0]  # neighbour counts 2, 2, 3, 2, 1
    for node, walk in enumerate(walks[:, 0].tolist()):
        for position, place in enumerate(walk):
            assert profile[node, position].argmax() == bins[place]
    assert bool((profile.sum(dim=2) == 1).all())
    capped = aw.degree_profiles(lollipop, walks, 1)
    assert bool((capped == 1).all())


@pytest.mark.parametrize("steps", [0, 11])
def test_senseless_lengths_are_refused(steps):
    with pytest.raises(ValueError, match="at least 1 and at most 10"):
        aw.all_anonymous_walks(steps)


def test_exact_shares_sum_to_one_in_double_precision(lollipop):
    """Thirds in single precision would leave 1e-8."""
    sums = aw.exact_pattern_shares(lollipop, 4).sum(dim=1)
    assert float((sums - 1).abs().max()) < 1e-15


def test_walks_that_end_early_have_no_pattern_and_stay_in_their_profile():
    chain = Graph.from_edges(torch.tensor([[0, 1], [1, 2]]), 3, directed=True)
    walks = uniform_walks(chain, torch.arange(3), 2, stream(0))
    assert walks.tolist() == [[0, 1, 2], [1, 2, -1], [2, -1, -1]]
    assert aw.pattern_numbers(walks).tolist() == [1, -1, -1]
    assert aw.exact_pattern_shares(chain, 2).tolist() == [[0, 1], [0, 0], [0, 0]]
    assert torch.equal(aw.pattern_shares(walks[:, None]), aw.exact_pattern_shares(chain, 2).float())
    profile = aw.degree_profiles(chain, walks[:, None], 2).reshape(3, 3, 2)
    assert torch.equal(profile, aw.degree_profiles(chain, parked(walks)[:, None], 2).view(3, 3, 2))
    with pytest.raises(ValueError, match=r"nodes 0 \.\.\. 2"):
        aw.degree_profiles(chain, walks[:, None] + 1, 2)
