import pytest
import torch

from src.foundations.transformer.sequence_tasks import (
    BOS,
    EOS,
    PAD,
    TASKS,
    exact_match,
    make_batch,
    symbol_batch,
    symbol_stream,
    token_accuracy,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_known_answers():
    for task, answer in {
        "copy": lambda row: row,
        "reverse": lambda row: row[::-1],
        "sort": sorted,
    }.items():
        batch = symbol_batch(task, 10, 7, 20, generator())
        for source, target in zip(batch.source.tolist(), batch.target.tolist(), strict=True):
            assert target == [BOS, *answer(source), EOS]


def test_symbols_are_uniform_over_all_ids_after_the_special_ones():
    source = symbol_batch("copy", 4, 10, 2000, generator()).source
    counts = torch.bincount(source.flatten(), minlength=7)
    assert counts[:3].tolist() == [0, 0, 0]
    assert len(counts) == 7
    assert (counts[3:] / 20_000 - 0.25).abs().max() < 0.02


def test_stream_is_fresh_and_seeded():
    stream = symbol_stream("sort", 10, 8, 4, generator(1))
    first, second = next(stream), next(stream)
    assert not torch.equal(first.source, second.source)
    again = next(symbol_stream("sort", 10, 8, 4, generator(1)))
    assert torch.equal(first.source, again.source)


def test_unknown_task_names_the_valid_ones():
    with pytest.raises(ValueError, match=", ".join(TASKS)):
        symbol_batch("shuffle", 10, 8, 4, generator())


def test_padding_of_unequal_pairs():
    batch = make_batch([([5, 6, 7], [8]), ([9], [8, 7])])
    assert batch.source.tolist() == [[5, 6, 7], [9, PAD, PAD]]
    assert batch.target.tolist() == [[BOS, 8, EOS, PAD], [BOS, 8, 7, EOS]]


def test_scores_count_the_end_and_not_the_padding():
    batch = make_batch([([3], [4, 5]), ([3], [4])])
    right = torch.tensor([[4, 5, EOS], [4, EOS, PAD]])
    assert exact_match(right, batch) == [True, True]
    assert token_accuracy(right, batch) == 1.0

    endless = torch.tensor([[4, 5, 5], [4, 4, 4]])
    assert exact_match(endless, batch) == [False, False]
    assert token_accuracy(endless, batch) == pytest.approx(3 / 5)

    early = torch.tensor([[4, EOS, PAD], [4, EOS, PAD]])
    assert exact_match(early, batch) == [False, True]
    assert token_accuracy(early, batch) == pytest.approx(3 / 5)

    after_the_end = torch.tensor([[4, 5, EOS, 9], [4, EOS, 9, 9]])
    assert exact_match(after_the_end, batch) == [True, True]
