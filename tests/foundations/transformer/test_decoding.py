"""Greedy and beam decoding: caches change nothing, and each search finds what it should."""

import itertools
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.foundations.transformer.decoding import beam_search, greedy, length_penalty
from src.foundations.transformer.layers import TransformerConfig
from src.foundations.transformer.model import Transformer
from src.foundations.transformer.recurrent import RecurrentConfig, RecurrentTranslator

MODELS = ["post", "pre", "learned", "fused", "recurrent", "recurrent-2"]
PAD, BOS, EOS = 0, 1, 2


def make(kind, seed=0, vocabulary=7):
    """An untrained float64 model whose choices differ from step to step and end at times."""
    generator = torch.Generator().manual_seed(seed)
    if kind.startswith("recurrent"):
        layers = 2 if kind == "recurrent-2" else 1
        model = RecurrentTranslator(RecurrentConfig(vocabulary, 8, layers), generator)
    else:
        changes = {"pre": {"norm": "pre"}, "learned": {"positions": "learned"}}
        changes = {**changes, "fused": {"fused": True}}.get(kind, {})
        config = TransformerConfig(vocabulary, 16, 2, 4, hidden=16, max_length=20, **changes)
        model = Transformer(config, generator)
    # A tied matrix makes an untrained model repeat its input; large other weights drown that.
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.mul_(1.0 if "norm" in name or "embedding" in name else 4.0)
    return model.double().eval()


def sources(batch, length, seed=0, vocabulary=7):
    """Random sources of different lengths, padded."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(3, vocabulary, (batch, length), generator=generator)
    lengths = torch.randint(1, length + 1, (batch, 1), generator=generator)
    return tokens.masked_fill(torch.arange(length) >= lengths, PAD)


@torch.no_grad()
def log_probability(model, source, tokens):
    """log P of one sequence (a list of tokens) given one source (1, S), in one forward pass."""
    target_in = torch.tensor([[BOS, *tokens[:-1]]])
    log_p = model(source, target_in).log_softmax(-1)[0]
    return log_p[torch.arange(len(tokens)), torch.tensor(tokens)].sum().item()


def words(row):
    """A decoded row without the padding after eos."""
    return [t for t in row.tolist() if t != PAD]


@pytest.mark.parametrize("kind", MODELS)
def test_steps_give_the_logits_of_the_whole_prefix(kind):
    model, source = make(kind), sources(4, 6)
    target_in = torch.randint(1, 7, (4, 9), generator=torch.Generator().manual_seed(3))
    state, steps = model.start(source), []
    for tokens in target_in.unbind(1):
        logits, state = model.step(tokens, state)
        steps.append(logits)
    torch.testing.assert_close(torch.stack(steps, 1), model(source, target_in), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", MODELS)
def test_reordered_states_continue_the_chosen_rows(kind):
    model, source = make(kind), sources(3, 5)
    first, second = torch.tensor([3, 4, 5]), torch.tensor([6, 3, 4, 5])
    index = torch.tensor([2, 0, 0, 1])
    _, state = model.step(torch.full((3,), BOS), model.start(source))
    _, state = model.step(first, state)
    logits, _ = model.step(second, state.reorder(index))
    target_in = torch.stack([torch.full((4,), BOS), first[index], second], dim=1)
    expected = model(source[index], target_in)[:, -1]
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("seed", range(3))
def test_cached_decoding_equals_uncached(kind, seed):
    model, source = make(kind, seed), sources(6, 5, seed)
    assert torch.equal(
        greedy(model, source, max_length=12), greedy(model, source, max_length=12, cached=False)
    )
    assert torch.equal(
        beam_search(model, source, beam=3, max_length=12),
        beam_search(model, source, beam=3, max_length=12, cached=False),
    )


@pytest.mark.parametrize("kind", ["post", "recurrent"])
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 1000), alpha=st.floats(0, 2), max_length=st.integers(1, 12))
def test_a_beam_of_one_is_greedy(kind, seed, alpha, max_length):
    model, source = make(kind, seed), sources(5, 4, seed)
    beam = beam_search(model, source, beam=1, alpha=alpha, max_length=max_length)
    assert torch.equal(beam, greedy(model, source, max_length))


@pytest.mark.parametrize("kind", ["post", "recurrent"])
def test_greedy_takes_the_most_probable_token_each_time(kind):
    model, source = make(kind, seed=1), sources(8, 5, seed=1)
    decoded, lengths = greedy(model, source, max_length=10), set()
    for row, one_source in zip(decoded, source, strict=True):
        expected = [BOS]
        while expected[-1] != EOS and len(expected) <= 10:
            logits = model(one_source[None], torch.tensor([expected]))[0, -1]
            logits[[PAD, BOS]] = -torch.inf
            expected.append(logits.argmax().item())
        assert words(row) == expected[1:]
        assert row.tolist() == expected[1:] + [PAD] * (len(row) - len(expected) + 1)
        lengths.add(len(expected) - 1)
    assert len(lengths) > 1, "the test needs rows that end at different steps"


@pytest.mark.parametrize("alpha", [0.0, 0.6, 3.0])
@pytest.mark.parametrize("kind", ["post", "recurrent"])
@pytest.mark.parametrize("seed", range(4))
def test_a_beam_as_wide_as_the_tree_finds_the_best_sequence(kind, alpha, seed):
    """Vocabulary: pad, bos, eos and two words; every finished sequence of up to 4 tokens."""
    model, source, longest = make(kind, seed, vocabulary=5), sources(3, 4, seed, 5), 4
    best = beam_search(model, source, beam=24, alpha=alpha, max_length=longest)
    for row, one_source in zip(best, source, strict=True):
        finished = [
            [*prefix, EOS]
            for length in range(longest)
            for prefix in itertools.product([3, 4], repeat=length)
        ]
        assert len(finished) == 15
        score = {
            tuple(y): log_probability(model, one_source[None], y) / length_penalty(len(y), alpha)
            for y in finished
        }
        assert tuple(words(row)) == max(score, key=score.get)


def plain_beam_search(model, source, beam, alpha, max_length):
    """The same search for one source, hypothesis by hypothesis, without stopping early."""
    live, finished = [([], 0.0)], []
    for _ in range(max_length):
        candidates = []
        for tokens, total in live:
            target_in = torch.tensor([[BOS, *tokens]])
            log_p = model(source, target_in)[0, -1].log_softmax(-1)
            candidates += [
                ([*tokens, t], total + log_p[t].item()) for t in range(len(log_p)) if t >= EOS
            ]
        candidates = sorted(candidates, key=lambda c: -c[1])[:beam]
        finished += [c for c in candidates if c[0][-1] == EOS]
        live = [c for c in candidates if c[0][-1] != EOS]
    pool = finished or live
    return max(pool, key=lambda c: c[1] / length_penalty(len(c[0]), alpha))[0]


@pytest.mark.parametrize("kind", ["post", "recurrent"])
@pytest.mark.parametrize(("seed", "alpha", "max_length"), [(0, 0.6, 8), (1, 0.0, 8), (2, 2.0, 3)])
@torch.no_grad()
def test_batched_beams_equal_a_plain_search(kind, seed, alpha, max_length):
    model, source = make(kind, seed), sources(6, 5, seed)
    decoded = beam_search(model, source, beam=3, alpha=alpha, max_length=max_length)
    for row, one_source in zip(decoded, source, strict=True):
        assert words(row) == plain_beam_search(model, one_source[None], 3, alpha, max_length)


class Scripted:
    """P(end now) = 0.55, P(word) = 0.45; after a word nine more are certain, then the end."""

    config = RecurrentConfig(vocabulary=4)

    def start(self, source):
        return Position(0)

    def step(self, tokens, state):
        p = {0: [0, 0, 0.55, 0.45], 10: [0, 0, 1, 0]}.get(state.count, [0, 0, 0, 1])
        return torch.tensor(p).log().expand(len(tokens), 4).clone(), Position(state.count + 1)

    def encode(self, *_):
        raise AssertionError("not asked for when cached")

    decode = logits = encode


@dataclass
class Position:
    count: int

    def reorder(self, index):
        return self


def test_the_search_goes_on_while_the_length_penalty_can_still_turn_it():
    """log 0.55 = -0.60 beats log 0.45 = -0.80, but not -0.80 / lp(11) = -0.30 for alpha = 1."""
    source = torch.tensor([[3]])
    short = beam_search(Scripted(), source, beam=2, alpha=0.0, max_length=20)
    long = beam_search(Scripted(), source, beam=2, alpha=1.0, max_length=20)
    assert words(short[0]) == [EOS] and words(long[0]) == [3] * 10 + [EOS]


def test_without_a_finished_hypothesis_the_best_live_one_is_returned():
    model = make("post")
    source = sources(4, 5)
    original = model.logits

    def never_ends(x):
        logits = original(x)
        logits[..., EOS] = -1e9
        return logits

    model.logits = never_ends
    decoded = beam_search(model, source, beam=3, max_length=5)
    assert decoded.shape == (4, 5) and (decoded > EOS).all()
    for row, one_source in zip(decoded, source, strict=True):
        with torch.no_grad():
            assert words(row) == plain_beam_search(model, one_source[None], 3, 0.6, 5)
    assert greedy(model, source, max_length=5).shape == (4, 5)


@pytest.mark.parametrize("kind", ["post", "recurrent"])
def test_decoded_rows_hold_words_then_eos_then_padding(kind):
    model, source = make(kind, seed=4), sources(16, 5, seed=4)
    for decoded in (greedy(model, source, 9), beam_search(model, source, 4, max_length=9)):
        assert decoded.shape[1] <= 9 and not (decoded == BOS).any()
        for row in decoded.tolist():
            end = row.index(EOS) + 1 if EOS in row else len(row)
            assert PAD not in row[:end] and set(row[end:]) <= {PAD}
        assert (decoded[:, -1] != PAD).any()


def test_length_penalty():
    """(5 + |Y|) / 6 to the power alpha (Wu et al. 2016, equation 14)."""
    assert length_penalty(1, 0.6) == 1.0 == length_penalty(9, 0.0)
    assert length_penalty(7, 1.0) == pytest.approx(2.0)
    assert length_penalty(13, 0.6) == pytest.approx(3**0.6)


def test_impossible_searches_are_refused():
    model, source = make("post"), sources(1, 3)
    for arguments in ({"beam": 0}, {"alpha": -0.1}):
        with pytest.raises(ValueError, match="must be at least"):
            beam_search(model, source, **arguments)
    for search in (greedy, beam_search):
        with pytest.raises(ValueError, match="max_length must be at least 1"):
            search(model, source, max_length=0)


@pytest.mark.parametrize("cached", [True, False])
def test_decoding_keeps_no_gradients(cached):
    model, source = make("post"), sources(2, 3)
    greedy(model, source, 4, cached=cached)
    beam_search(model, source, 2, max_length=4, cached=cached)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_model_without_numbers_writes_nothing():
    model = make("post")
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)
    for search in (greedy, beam_search):
        with pytest.raises(ValueError, match="logits are NaN"):
            search(model, sources(2, 3), max_length=4)


def test_a_search_without_sources_finds_nothing():
    assert beam_search(make("post"), sources(2, 3)[:0]).shape == (0, 0)
    assert len(greedy(make("post"), sources(2, 3)[:0], 4)) == 0
