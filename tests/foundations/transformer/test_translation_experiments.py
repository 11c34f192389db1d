from dataclasses import replace
from pathlib import Path

import pytest
import torch

from src.foundations.transformer import translation_experiments as experiments
from src.foundations.transformer.decoding import greedy
from src.foundations.transformer.experiments import MODELS, Recipe, build
from src.foundations.transformer.sequence_tasks import PAD, make_batch
from src.foundations.transformer.translation import Corpus, Subwords

SUBJECTS = (("ein mann", "a man"), ("eine frau", "a woman"), ("ein hund", "a dog"))
VERBS = (("geht", "walks"), ("steht", "stands"), ("schläft", "sleeps"), ("springt", "jumps"))
PLACES = (("am see", "at the lake"), ("im haus", "in the house"))
TOY = Corpus(
    *(
        tuple(" ".join(part[side] for part in parts) for parts in
              ((s, v, p) for s in SUBJECTS for v in VERBS for p in PLACES))
        for side in (0, 1)
    )
)  # fmt: skip
SETTINGS = experiments.TranslationSettings(pieces=90, tokens=80, groups=4, longest=20)
RECIPE = Recipe(steps=20, peak=0.01, width=16, hidden=32, warmup=5, dropout=0.0)


@pytest.fixture
def toy_text(monkeypatch):
    monkeypatch.setattr(experiments, "fetch", lambda name: Path(name))
    monkeypatch.setattr(experiments, "load_multi30k", lambda folder, split: TOY)


@pytest.fixture(scope="module")
def subwords():
    return Subwords(TOY, SETTINGS.pieces)


def network(subwords, model="transformer"):
    return build(model, RECIPE, len(subwords), torch.Generator().manual_seed(0)).eval()


@pytest.mark.parametrize("model", MODELS)
def test_learns_a_toy_language_by_heart(toy_text, model):
    recipe = replace(RECIPE, steps=150, warmup=30, width=32, hidden=64)
    result = experiments.run_translation(model, recipe, SETTINGS, 0, "cpu")
    assert result["beam"] > 60
    assert result["greedy"] > 60
    assert len(result["groups"]) == 4
    steps, losses = zip(*result["validation"], strict=True)
    assert steps[-1] == 150
    assert losses[-1] < 0.5 * losses[0]
    assert "tok:13a" in result["signature"]
    assert [e["source"] for e in result["examples"]] == list(TOY.source[:3])


def test_exactly_the_last_five_checkpoints_are_averaged(toy_text, monkeypatch):
    averaged = []

    def note(states):
        averaged.append(len(states))
        return states[-1]

    monkeypatch.setattr(experiments, "average_checkpoints", note)
    for steps in (20, 47):
        experiments.run_translation("transformer", replace(RECIPE, steps=steps), SETTINGS, 0, "cpu")
    assert averaged == [5, 5]


def test_try_rate_is_the_validation_loss_after_training(toy_text):
    long, short = (
        experiments.try_rate("transformer", replace(RECIPE, steps=n), SETTINGS, 0, "cpu")
        for n in (60, 1)
    )
    assert long < short


def test_cross_entropy_does_not_depend_on_the_batches(subwords):
    pairs, model = experiments.encode(TOY, subwords), network(subwords)
    alone = []
    with torch.no_grad():
        whole = experiments.cross_entropy(model, pairs, tokens=10_000)
        one_by_one = experiments.cross_entropy(model, pairs, tokens=1)
        for pair in pairs:
            batch = make_batch([pair])
            logits = model(batch.source, batch.target[:, :-1])
            wanted = batch.target[:, 1:]
            assert (wanted != PAD).all()
            alone.append(torch.nn.functional.cross_entropy(logits[0], wanted[0], reduction="none"))
    expected = float(torch.cat(alone).mean())
    assert whole == pytest.approx(expected, rel=1e-5)
    assert one_by_one == pytest.approx(expected, rel=1e-5)


def test_translations_come_in_the_given_order(subwords):
    model = network(subwords, "recurrent")

    def decode(source):
        return greedy(model, source, 12)

    together = experiments.translate(model, subwords, TOY.source, decode)
    alone = [experiments.translate(model, subwords, [s], decode)[0] for s in TOY.source]
    assert together == alone
    assert len(set(together)) > 1
