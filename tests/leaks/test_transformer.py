"""The experiments of the Transformer chapter cannot leak.

The real text is replaced by a small one: a phrase book of two invented languages.
"""

import gzip
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
import torch

from src.book.storage.data import fetch
from src.foundations.transformer import (
    exams,
    experiments,
    translation,
    translation_experiments,
)
from src.foundations.transformer.experiments import MODELS, Recipe, build
from src.foundations.transformer.language_pair import (
    Clause,
    Word,
    corpus,
    english,
    vocabulary,
)
from src.foundations.transformer.language_pair import (
    translation as translated,
)
from src.foundations.transformer.model import parameter_count
from src.foundations.transformer.sequence_tasks import Batch
from src.foundations.transformer.translation import SPLITS, Corpus
from src.foundations.transformer.translation_experiments import TranslationSettings
from tests.leaks.suite import SEEDS, Experiment, Noise, noise_for_answers, suite

ROOM = "src.foundations.transformer"
TEST = "test_2016_flickr"


# --- a phrase book ------------------------------------------------------------------------------


def phrase_book() -> dict[str, Corpus]:
    """Sentences of five words and their translations, in reverse order, in three parts."""
    words = [[first + vowel for vowel in "aei"] for first in "kmslr"]
    code = str.maketrans("kmslraei", "tnzbdoua")
    pairs = [
        (" ".join(phrase), " ".join(reversed(phrase)).translate(code))
        for phrase in itertools.product(*words)
    ]
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(0)).tolist()
    parts = {"train": order[:180], "val": order[180:205], TEST: order[205:]}
    return {
        split: Corpus(*(tuple(pairs[i][side] for i in rows) for side in (0, 1)))
        for split, rows in parts.items()
    }


TEXT = phrase_book()


def on_made_text(function: Callable) -> Callable:
    """An experiment on Multi30k, given the phrase book in its place."""

    def called(**arguments: object) -> object:
        with (
            TemporaryDirectory() as folder,
            patch.dict(SPLITS, {split: len(part) for split, part in TEXT.items()}),
            patch.object(translation_experiments, "fetch", lambda name: Path(folder)),
        ):
            for split, part in TEXT.items():
                for language, side in (("de", part.source), ("en", part.target)):
                    with gzip.open(f"{folder}/{split}.{language}.gz", "wt") as file:
                        file.write("\n".join(side) + "\n")
            result = function(**arguments)
        if isinstance(result, dict):
            del result["seconds"]  # the clock does not follow the seed
        return result

    called.__module__, called.__qualname__ = function.__module__, function.__qualname__
    return called


run_translation = on_made_text(translation_experiments.run_translation)
try_rate = on_made_text(translation_experiments.try_rate)


# --- noise --------------------------------------------------------------------------------------


def noisy_symbols(questions: Batch, calls: list, generator: torch.Generator) -> Batch:
    """The questions with their answers shuffled: each gets another's."""
    order = torch.randperm(len(questions.target), generator=generator)
    return Batch(questions.source, questions.target[order])


@cache
def answers_to(clauses: tuple[Clause, ...]) -> list[list[Word]]:
    return [translated(clause) for clause in clauses]


def noisy_translations(words: list[Word], calls: list, generator: torch.Generator) -> list[Word]:
    """The translation of another test sentence for a test sentence, wherever it is asked for."""
    answers = answers_to(tuple(calls[0]))
    order = torch.randperm(len(answers), generator=generator).tolist()
    return answers[order[answers.index(words)]] if words in answers else words


def noisy_part(split: str) -> Callable:
    """Shuffles the translations of a part of the phrase book."""

    def spoil(text: Corpus, calls: list, generator: torch.Generator) -> Corpus:
        if text != TEXT[split]:
            return text
        order = torch.randperm(len(text), generator=generator).tolist()
        return Corpus(text.source, tuple(text.target[i] for i in order))

    return spoil


def in_text(split: str, scores: Callable, chance: float, chosen=lambda result: None) -> Noise:
    source = f"{translation_experiments.__name__}:load_multi30k"
    return Noise(
        source=source, spoil=noisy_part(split), scores=scores, chance=chance, chosen=chosen
    )


def without(*names: str) -> Callable[[dict], dict]:
    return lambda result: {name: value for name, value in result.items() if name not in names}


def likelihood(cross_entropy: float) -> float:
    """The geometric mean of the probabilities of the right words."""
    return math.exp(-cross_entropy)


def sizes(recipe: Recipe, tokens: int) -> Callable[[], dict[str, int]]:
    """Parameters of both models at the sizes of a page's training."""

    def count() -> dict[str, int]:
        networks = {m: build(m, recipe, tokens, torch.Generator()) for m in MODELS}
        return {name: parameter_count(network) for name, network in networks.items()}

    return count


SMALL = Recipe(60, 0.01, width=16, hidden=64, warmup=20, dropout=0.0, batch=16)
FAST = replace(SMALL, steps=100, peak=0.02)
STRINGS = {"task": "copy", "symbols": 3, "length": 3}
SENTENCES = {"train_pairs": 200, "test_pairs": 40}
PHRASES = {
    "settings": TranslationSettings(pieces=32, tokens=150, groups=2, longest=16, beam=2),
    "device": "cpu",
}
BRIEF = Recipe(steps=150, peak=0.01)
CAPTIONS = Recipe(1600, 3e-3, 128, 2, 4, hidden=512, max_length=128)
EXPERIMENTS = [
    *(
        Experiment(
            experiments.run_symbols,
            STRINGS | {"model": model, "recipe": SMALL},
            fixed=["parameters", "accuracy", "exact"],  # the two may be 1
            noise=Noise(
                source=f"{ROOM}.experiments:symbol_batch",
                spoil=noisy_symbols,
                scores=lambda result: [result["accuracy"], result["exact"]],
                chance=0.55,
                chosen=without("accuracy", "exact"),
            ),
            sizes=sizes(BRIEF, 13),
        )
        for model in MODELS
    ),
    Experiment(
        experiments.run_language,
        SENTENCES | {"model": "transformer", "recipe": FAST},
        fixed=["parameters", "exact"],
        noise=Noise(
            source=f"{ROOM}.language_pair:translation",
            splits=[f"{ROOM}.experiments:unseen"],
            spoil=noisy_translations,
            scores=lambda result: [likelihood(result["cross_entropy"])],
            chance=0.15,
            chosen=without("accuracy", "exact", "cross_entropy"),
        ),
        sizes=sizes(BRIEF, len(vocabulary())),
    ),
    Experiment(
        run_translation,
        PHRASES | {"model": "recurrent", "recipe": replace(FAST, steps=80)},
        fixed=["parameters", "signature", "examples/./(source|reference)", "validation/./0"],
        noise=in_text(
            TEST,
            lambda result: [result["beam"], result["greedy"], result["last"], *result["groups"]],
            30.0,
            lambda result: (result["validation"], result["losses"]),
        ),
        sizes=sizes(CAPTIONS, 4000),
    ),
    Experiment(
        try_rate,
        PHRASES | {"model": "transformer", "recipe": FAST},
        noise=in_text("val", lambda result: [likelihood(result)], 0.52),
    ),
]
HELPERS = {
    f"{ROOM}.exams:new_sentences": "a data set",
    f"{ROOM}.experiments:streams": "generators",
    f"{ROOM}.translation_experiments:prepare": "the model and the batches of `run_translation`",
}
test_experiments = suite(EXPERIMENTS)


# --- the parts do not overlap -------------------------------------------------------------------


class Seen:
    """What trainings see: batches, settings, and the questions that are asked afterwards."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[Batch] = []
        self.settings: list = []
        self.questions: list[torch.Tensor] = []
        self.corpora: list[Corpus] = []
        self._keep(monkeypatch, experiments, "train", self._training)
        self._keep(monkeypatch, experiments, "greedy", self._asking)
        self._keep(monkeypatch, translation_experiments, "greedy", self._asking)
        self._keep(monkeypatch, translation_experiments, "Subwords", self._learning)

    def _keep(self, monkeypatch, module, name: str, note: Callable) -> None:
        function = getattr(module, name)

        def noting(*args: object, **kwargs: object) -> object:
            return function(*note(*args), **kwargs)

        monkeypatch.setattr(module, name, noting)

    def _training(self, model, loss, batches, settings, generator) -> tuple:
        schedule = [settings.schedule(step) for step in range(1, settings.steps + 1)]
        self.settings.append((replace(settings, schedule=None), schedule))
        return model, loss, self._used(batches), settings, generator

    def _used(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            self.batches.append(batch)
            yield batch

    def _asking(self, network, source, length) -> tuple:
        self.questions.append(source)
        return network, source, length

    def _learning(self, text: Corpus, size: int) -> tuple:
        self.corpora.append(text)
        return text, size

    def learnt(self) -> set[tuple[int, ...]]:
        """The ids of all training sequences."""
        return {row for batch in self.batches for row in rows(batch.source)}

    def asked(self) -> set[tuple[int, ...]]:
        """The ids of all questions."""
        return {row for source in self.questions for row in rows(source)}


def rows(source: torch.Tensor) -> list[tuple[int, ...]]:
    """The rows without their padding."""
    return [tuple(i for i in row if i) for row in source.tolist()]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    return Seen(monkeypatch)


SHORT = replace(SMALL, steps=20)
RUNS = {
    "symbols": (experiments.run_symbols, {"task": "reverse", "length": 12}),
    "language": (experiments.run_language, {"train_pairs": 200, "test_pairs": 100}),
    "text": (run_translation, PHRASES),
}


@pytest.mark.parametrize("name", RUNS)
def test_no_question_is_learnt(seen: Seen, name: str):
    function, arguments = RUNS[name]
    function(**arguments, model="transformer", recipe=SHORT, seed=SEEDS[0])
    questions = {"symbols": 500, "language": 100, "text": len(TEXT[TEST])}
    assert len(seen.learnt()) > 100
    assert len(seen.asked()) == questions[name]
    assert not seen.learnt() & seen.asked()


def test_the_vocabulary_knows_the_training_sentences_only(seen: Seen):
    for function in (run_translation, try_rate):
        function(**PHRASES, model="transformer", recipe=replace(SHORT, steps=1), seed=SEEDS[0])
    assert seen.corpora == [TEXT["train"]] * 2


def test_rates_are_tried_without_the_test_sentences(monkeypatch: pytest.MonkeyPatch):
    read = []

    def load(folder: Path, split: str) -> Corpus:
        read.append(split)
        return translation.load_multi30k(folder, split)

    monkeypatch.setattr(translation_experiments, "load_multi30k", load)
    try_rate(**PHRASES, model="transformer", recipe=replace(SHORT, steps=1), seed=SEEDS[0])
    assert sorted(read) == ["train", "val"]


def test_validation_sentences_choose_nothing():
    """Noise there moves the validation curve alone: the last checkpoints are kept in any case."""
    (line,) = (e for e in EXPERIMENTS if e.function is run_translation)
    noise = in_text(
        "val",
        lambda result: [likelihood(result["validation"][-1][1])],
        0.55,
        without("validation"),
    )
    noise_for_answers(replace(line, noise=noise))


def test_the_real_test_sentences_are_new(data_mirror):
    folder = fetch("multi30k")
    parts = {split: translation.load_multi30k(folder, split) for split in SPLITS}
    for side in ("source", "target"):
        known = {s for split in ("train", "val") for s in getattr(parts[split], side)}
        assert not known & set(getattr(parts[TEST], side))
    # One German and another English validation caption occur in training, no pair does.
    training, validation = (
        set(zip(part.source, part.target, strict=True)) for part in (parts["train"], parts["val"])
    )
    assert not training & validation


def test_exams_have_new_sentences_for_every_seed():
    for seed in SEEDS:
        trained = corpus(300, experiments.streams(seed)[0])
        # Drawn as the training sentences are, so that without care they would be the same.
        exam = exams.new_sentences(seed, 300, 50, experiments.streams(seed)[0])
        texts = [{" ".join(english(clause)) for clause in part} for part in (trained, exam)]
        assert [len(part) for part in texts] == [300, 50]
        assert not texts[0] & texts[1]


def test_no_two_streams_are_the_same():
    seeds = [s.initial_seed() for seed in (*range(5), *SEEDS) for s in experiments.streams(seed)]
    assert len(set(seeds)) == len(seeds)


# --- both models get the same -------------------------------------------------------------------


@pytest.mark.parametrize("name", RUNS)
def test_both_models_get_the_same_batches_steps_and_questions(monkeypatch, name: str):
    function, arguments = RUNS[name]
    one, other = (_seen_by(model, function, arguments, monkeypatch) for model in MODELS)
    assert one.settings == other.settings and len(one.settings) == 1
    assert len(one.batches) == len(other.batches) == SHORT.steps
    for a, b in zip(one.batches, other.batches, strict=True):
        assert torch.equal(a.source, b.source) and torch.equal(a.target, b.target)
    for a, b in zip(one.questions, other.questions, strict=True):
        assert torch.equal(a, b)


def _seen_by(model: str, function: Callable, arguments: dict, monkeypatch) -> Seen:
    with monkeypatch.context() as context:
        seen = Seen(context)
        function(**arguments, model=model, recipe=SHORT, seed=SEEDS[0])
    return seen


# --- what is divided by -------------------------------------------------------------------------


def test_language_scores_are_shares_of_sentences_and_words():
    """Every sentence and every word counts once, although sentences are padded together."""
    clauses: list[Clause] = corpus(6, torch.Generator().manual_seed(0))
    network = build("transformer", SMALL, len(vocabulary()), torch.Generator()).eval()
    ids = {word: i for i, word in enumerate(vocabulary())}
    right = [[ids[w.text] for w in translated(clause)] + [2] for clause in clauses]
    # Answers: three are right, one has a wrong first word, two are empty.
    answers = torch.zeros(6, 40, dtype=torch.long)
    for i, sentence in enumerate(right[:4]):
        answers[i, : len(sentence)] = torch.tensor(sentence)
    answers[3, 0] = ids["dog"]
    answers[4:, 0] = 2
    with patch.object(experiments, "greedy", lambda *_: answers):
        found = experiments.examine(network, clauses)
    words = sum(map(len, right))
    assert found["exact"] == 3 / 6
    assert found["accuracy"] == (sum(map(len, right[:4])) - 1) / words
    losses = 0.0
    for clause, sentence in zip(clauses, right, strict=True):
        source = torch.tensor([[ids[w] for w in english(clause)]])
        with torch.no_grad():
            logits = network(source, torch.tensor([[1, *sentence[:-1]]]))[0]
        picked = logits.log_softmax(-1)[torch.arange(len(sentence)), sentence]
        losses -= float(picked.sum())
    assert found["cross_entropy"] == pytest.approx(losses / words, rel=1e-5)
