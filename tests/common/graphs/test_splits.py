import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.common.graphs.graph import Graph
from src.common.graphs.splits import split_at_random, split_per_class
from src.common.training.streams import stream


def classes(counts: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    y = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    return y[torch.randperm(len(y), generator=stream(seed, "shuffle"))]


def graph_of(y: torch.Tensor) -> Graph:
    return Graph.from_edges(torch.zeros(2, 0, dtype=torch.long), len(y), y=y)


@settings(max_examples=25)
@given(st.integers(0, 1000), st.lists(st.integers(4, 12), min_size=2, max_size=5))
def test_split_per_class_counts_and_disjointness(seed, counts):
    y = classes(tuple(counts), seed)
    split = split_per_class(graph_of(y), 2, 3, stream(seed))
    assert torch.bincount(y[split.train]).tolist() == [2] * len(counts)
    assert int(split.val.sum()) == 3
    together = split.train.int() + split.val.int() + split.test.int()
    assert together.tolist() == [1] * len(y)  # disjoint, and nobody is left out


def test_the_number_of_test_nodes_may_be_given():
    y = classes((20, 30))
    split = split_per_class(graph_of(y), 5, 10, stream(1), test=12)
    together = split.train.int() + split.val.int() + split.test.int()
    assert int(together.max()) == 1
    assert [int(mask.sum()) for mask in (split.train, split.val, split.test)] == [10, 10, 12]


def test_every_node_of_a_class_is_equally_likely_to_be_labelled():
    y = torch.tensor([0] * 4 + [1] * 8)
    generator = stream(2)
    counts = torch.zeros(12)
    for _ in range(1000):
        counts += split_per_class(graph_of(y), 1, 2, generator).train
    expected = torch.tensor([1 / 4] * 4 + [1 / 8] * 8)
    assert float((counts / 1000 - expected).abs().max()) < 5 * (0.25 * 0.75 / 1000) ** 0.5


def test_classes_without_nodes_are_skipped():
    split = split_per_class(graph_of(torch.tensor([0, 0, 0, 2, 2, 2])), 1, 1, stream(0))
    assert int(split.train.sum()) == 2


@settings(max_examples=25)
@given(st.integers(0, 1000), st.integers(10, 200))
def test_split_at_random_is_a_partition_of_rounded_sizes(seed, count):
    split = split_at_random(count, (0.8, 0.1, 0.1), stream(seed))
    joined = torch.cat([split.train, split.val, split.test])
    assert joined.sort().values.tolist() == list(range(count))
    assert (len(split.train), len(split.val)) == (round(0.8 * count), round(0.1 * count))


def test_same_generator_same_split():
    graph = graph_of(classes((10, 10)))
    first = split_per_class(graph, 2, 4, stream(3))
    assert torch.equal(first.test, split_per_class(graph, 2, 4, stream(3)).test)
    assert not torch.equal(first.test, split_per_class(graph, 2, 4, stream(4)).test)


def test_clear_errors():
    graph = graph_of(classes((5, 9)))
    with pytest.raises(ValueError, match="1 to 5 labels per class, not 6"):
        split_per_class(graph, 6, 1, stream(0))
    with pytest.raises(ValueError, match="8 nodes are left for 8 validation and 0 test"):
        split_per_class(graph, 3, 8, stream(0))
    with pytest.raises(ValueError, match="one class per node"):
        split_per_class(graph_of(torch.ones(4, 2)), 1, 1, stream(0))
    with pytest.raises(ValueError, match="add up to 1"):
        split_at_random(10, (0.8, 0.1, 0.2), stream(0))
    with pytest.raises(ValueError, match="too few"):
        split_at_random(4, (0.8, 0.1, 0.1), stream(0))
