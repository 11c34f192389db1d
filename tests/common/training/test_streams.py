import hashlib
from itertools import combinations

import pytest
import torch

from src.common.training.streams import stream


def draws(*keys, count=2_000):
    return torch.randn(count, generator=stream(*keys))


def test_a_stream_is_the_same_whatever_was_drawn_before():
    first = draws(3, "graph")
    other = stream(3, "walks")
    torch.rand(17, generator=other)
    torch.manual_seed(5)
    assert torch.equal(draws(3, "graph"), first)


def test_streams_with_other_seeds_or_keys_are_independent():
    keys = [(3,), (4,), (3, "graph"), (3, "walks"), (3, 4), (3, "4"), (34,), (3, "graph", 0)]
    for a, b in combinations(keys, 2):
        correlation = float(torch.corrcoef(torch.stack([draws(*a), draws(*b)]))[0, 1])
        assert abs(correlation) < 5 / 2_000**0.5, (a, b)


def test_many_streams_have_different_seeds():
    seeds = {stream(seed, name).initial_seed() for seed in range(200) for name in "abcde"}
    assert len(seeds) == 1_000
    assert sum(seed % 2 for seed in seeds) == pytest.approx(500, abs=80)


def test_the_seed_is_the_digest_of_the_keys():
    """Written out here: a change would silently change every number of the book."""
    digest = hashlib.sha256(b'[3, "graph", 7]').hexdigest()
    assert stream(3, "graph", 7).initial_seed() == int(digest[:16], 16) // 2


def test_the_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    draws(1, "x")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert stream(1).device == torch.device("cpu")
