import gzip

import pytest
import torch

from src.foundations.transformer.sequence_tasks import BOS, EOS, PAD
from src.foundations.transformer.translation import (
    SPLITS,
    Corpus,
    Subwords,
    bleu,
    grouped_bleu,
    load_multi30k,
    token_batches,
)

SMALL = Corpus(
    ("ein mann geht", "eine frau geht", "ein hund schläft", "zwei hunde schlafen") * 5,
    ("a man walks", "a woman walks", "a dog sleeps", "two dogs sleep") * 5,
)


@pytest.fixture(scope="module")
def subwords():
    return Subwords(SMALL, 60)


def test_subwords_give_back_the_sentence(subwords):
    assert len(subwords) == 60
    for text in (*SMALL.source[:4], *SMALL.target[:4], "a dog walks"):
        ids = subwords.encode(text)
        assert min(ids) > EOS  # pieces never collide with the special ids
        assert subwords.decode(ids) == text
        assert subwords.decode([*ids, EOS, 17, 18]) == text
        assert subwords.decode([BOS, *ids, EOS, PAD, PAD]) == text
        assert "".join(subwords.pieces(text)).replace("▁", " ").strip() == text


def test_subwords_are_shared_and_frequent_strings_become_one_piece(subwords):
    assert subwords.pieces("hund")[-1] in subwords.pieces("hunde")
    assert len(subwords.pieces("geht")) < 4


def test_unknown_characters_do_not_raise(subwords):
    assert 3 in subwords.encode("ein ☃")


def test_batches_hold_every_pair_once_an_epoch_and_stay_within_the_budget():
    stream = torch.Generator().manual_seed(0)
    sizes = torch.randint(1, 12, (200, 2), generator=stream).tolist()
    # The first id of a pair is its number, so that pairs can be told apart.
    pairs = [([100 + i] * a, [100 + i] * b) for i, (a, b) in enumerate(sizes)]
    batches = token_batches(pairs, 60, torch.Generator().manual_seed(1))
    seen, padding, total = [], 0, 0
    while len(seen) < 200:
        batch = next(batches)
        seen += batch.source[:, 0].tolist()
        for side in (batch.source, batch.target):
            assert side.numel() <= 60
            padding += int((side == PAD).sum())
            total += side.numel()
    assert sorted(seen) == list(range(100, 300))
    assert padding / total < 0.35  # in random order more than half would be padding
    first = [next(batches).source[:, 0].tolist() for _ in range(3)]
    assert first != [seen[: len(part)] for part in first]  # the next epoch is shuffled anew


def test_a_pair_longer_than_the_budget_is_a_batch_of_its_own():
    batches = token_batches([([5] * 50, [6] * 50), ([7], [8])], 10, torch.Generator())
    assert sorted(len(next(batches).source) for _ in range(2)) == [1, 1]


def test_bleu_of_known_translations():
    references = ["a man walks through the park", "two dogs sleep on the grass"]
    assert bleu(references, references)[0] == pytest.approx(100)
    score, signature = bleu(["a man walks through the garden", references[1]], references)
    # 11 of 12 words, 9 of 10 pairs, 7 of 8 triples, 5 of 6 quadruples; no length penalty.
    assert score == pytest.approx(100 * (11 / 12 * 9 / 10 * 7 / 8 * 5 / 6) ** 0.25, abs=0.01)
    assert "tok:13a" in signature
    assert "case:mixed" in signature


def test_groups_are_interleaved():
    references = [f"sentence number {i} is about dogs and cats" for i in range(6)]
    outputs = ["wrong" if i % 3 == 1 else r for i, r in enumerate(references)]
    right, wrong, also_right = grouped_bleu(outputs, references, 3)
    assert right == pytest.approx(100)
    assert also_right == pytest.approx(100)
    assert wrong < 1


def test_a_wrong_split_and_a_short_file_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"unknown split 'dev'; valid: train, val"):
        load_multi30k(tmp_path, "dev")
    for language in ("de", "en"):
        with gzip.open(tmp_path / f"val.{language}.gz", "wt") as file:
            file.write("one line\n")
    with pytest.raises(ValueError, match="should hold 1014 lines a side, found 1 and 1"):
        load_multi30k(tmp_path, "val")


def test_multi30k_has_the_published_counts(data_mirror):
    from src.book.storage.data import fetch

    folder = fetch("multi30k")
    for split, count in SPLITS.items():
        assert len(load_multi30k(folder, split)) == count
    first = load_multi30k(folder, "train")
    assert first.source[0].startswith("Zwei junge weiße Männer")
    assert first.target[0].startswith("Two young, White males")


def test_lists_that_do_not_belong_together_have_no_bleu():
    one, two = "the dog bit the man today", "it was a very sunny day"
    for hypotheses, references in (([one, two], [one]), ([one], [one, two])):
        with pytest.raises(ValueError, match="must have the same length"):
            bleu(hypotheses, references)
    with pytest.raises(ValueError, match="not one text"):
        bleu(one, one)
    with pytest.raises(ValueError, match="must not be empty"):
        bleu([], [])
    with pytest.raises(ValueError, match="groups must be at least 1 and at most 2, not 3"):
        grouped_bleu([one, two], [one, two], 3)


def test_batches_need_pairs():
    with pytest.raises(ValueError, match="need at least one pair"):
        next(token_batches([], 10, torch.Generator()))
