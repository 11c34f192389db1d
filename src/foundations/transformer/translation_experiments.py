"""The Transformer chapter on real text: one training on Multi30k and its BLEU."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from src.book.storage.data import fetch
from src.foundations.transformer.decoding import beam_search, greedy
from src.foundations.transformer.experiments import Recipe, build, fit, streams
from src.foundations.transformer.model import parameter_count
from src.foundations.transformer.sequence_tasks import PAD, Batch, make_batch
from src.foundations.transformer.training import (
    average_checkpoints,
    label_smoothed_loss,
)
from src.foundations.transformer.translation import (
    SPLITS,
    Corpus,
    Subwords,
    bleu,
    grouped_bleu,
    load_multi30k,
    token_batches,
)

Pairs = list[tuple[list[int], list[int]]]
_CHECKPOINTS = 5  # averaged, as the paper does for its base model
_SHOWN = 3  # sentences whose translations are kept for the page


@dataclass(frozen=True)
class TranslationSettings:
    """Sizes of the data, and how to decode.

    Attributes:
        pieces: size of the joint vocabulary.
        tokens: ids per batch and side, padding included.
        groups: sentence groups for BLEU.
        longest: in ids; longer training pairs are left out, longer outputs cut off.
        beam: hypotheses kept by beam search.
        alpha: strength of the length penalty.
    """

    pieces: int
    tokens: int
    groups: int = 20
    longest: int = 60
    beam: int = 4
    alpha: float = 0.6


def run_translation(
    model: str, recipe: Recipe, settings: TranslationSettings, seed: int, device: str
) -> dict:
    """Train on Multi30k German-English and translate the 2016 test set.

    The last five checkpoints, a twentieth of the training apart, are averaged.

    Args:
        model: one of `experiments.MODELS`.
        recipe: the model's shape and its training.
        settings: sizes of the data, and how to decode.
        seed: fixes data, weights and dropout.
        device: where to train, such as "cuda".

    Returns:
        Corpus BLEU ("greedy", "beam", and "last": beam search with the last checkpoint
        alone) with sacreBLEU's "signature", "groups" (beam BLEU of each sentence
        group), "validation" (pairs of step and cross-entropy in nats per piece),
        "losses" (means of a twentieth of the training), "parameters" (their number),
        "seconds" of training, and "examples".
    """
    training, validation, test = (
        load_multi30k(fetch("multi30k"), split) for split in SPLITS
    )
    subwords = Subwords(training, settings.pieces)
    network, batches, noise = prepare(
        model, recipe, settings, seed, device, training, subwords
    )

    held_out, spacing, kept = (
        encode(validation, subwords),
        max(1, recipe.steps // 20),
        [],
    )

    def keep(step: int, network: nn.Module) -> None:
        if (
            recipe.steps - step
        ) % spacing == 0 and recipe.steps - step < _CHECKPOINTS * spacing:
            kept.append(
                {n: v.detach().clone() for n, v in network.state_dict().items()}
            )

    began = time.perf_counter()
    curve = fit(
        network,
        batches,
        recipe,
        noise,
        watch=lambda network: cross_entropy(network, held_out, settings.tokens),
        watch_every=spacing * 2,
        after_step=keep,
    )
    seconds = time.perf_counter() - began
    scores = score(network, kept, subwords, test, settings)
    return {
        **scores,
        "validation": curve.watched,
        "losses": curve.smoothed(spacing),
        "parameters": parameter_count(network),
        "seconds": seconds,
    }


def try_rate(
    model: str, recipe: Recipe, settings: TranslationSettings, seed: int, device: str
) -> float:
    """Return the validation cross-entropy, in nats per piece, after a training.

    It tells how good the recipe's `peak` is.

    Args:
        model: one of `experiments.MODELS`.
        recipe: the model's shape and its training.
        settings: sizes of the data.
        seed: fixes data, weights and dropout.
        device: where to train, such as "cuda".
    """
    training, validation = (
        load_multi30k(fetch("multi30k"), split) for split in ("train", "val")
    )
    subwords = Subwords(training, settings.pieces)
    network, batches, noise = prepare(
        model, recipe, settings, seed, device, training, subwords
    )
    fit(network, batches, recipe, noise)
    with torch.no_grad():
        return cross_entropy(network, encode(validation, subwords), settings.tokens)


def prepare(
    model: str,
    recipe: Recipe,
    settings: TranslationSettings,
    seed: int,
    device: str,
    training: Corpus,
    subwords: Subwords,
) -> tuple[nn.Module, Iterator[Batch], torch.Generator]:
    """Return a fresh model on the device, its endless batches, and dropout's generator.

    Args:
        model: one of `experiments.MODELS`.
        recipe: the model's shape.
        settings: sizes of the data.
        seed: fixes data, weights and dropout.
        device: where to train, such as "cuda".
        training: sentence pairs to train on.
        subwords: the joint vocabulary.
    """
    data, start, noise, _ = streams(seed)
    pairs = [
        p for p in encode(training, subwords) if max(map(len, p)) <= settings.longest
    ]
    batches = (
        to_device(b, device) for b in token_batches(pairs, settings.tokens, data)
    )
    return build(model, recipe, len(subwords), start).to(device), batches, noise


def score(
    network: nn.Module,
    checkpoints: Sequence[dict[str, torch.Tensor]],
    subwords: Subwords,
    test: Corpus,
    settings: TranslationSettings,
) -> dict:
    """Return BLEU of a network and of its averaged checkpoints.

    Args:
        network: holds the averaged weights afterwards.
        checkpoints: state dictionaries to average, at least one.
        subwords: the joint vocabulary.
        test: sentence pairs to translate.
        settings: how to decode.

    Returns:
        "beam", "greedy", "last", "signature", "groups" and "examples", as in
        `run_translation`.

    Raises:
        ValueError: if there are no checkpoints.
    """

    def by_beam(source: torch.Tensor) -> torch.Tensor:
        longest = settings.longest
        return beam_search(network, source, settings.beam, settings.alpha, longest)

    last = translate(network, subwords, test.source, by_beam)
    network.load_state_dict(average_checkpoints(checkpoints))
    beam = translate(network, subwords, test.source, by_beam)
    simple = translate(
        network,
        subwords,
        test.source,
        lambda source: greedy(network, source, settings.longest),
    )
    total, signature = bleu(beam, test.target)
    return {
        "beam": total,
        "greedy": bleu(simple, test.target)[0],
        "last": bleu(last, test.target)[0],
        "signature": signature,
        "groups": grouped_bleu(beam, test.target, settings.groups),
        "examples": [
            {"source": test.source[i], "reference": test.target[i], "output": beam[i]}
            for i in range(_SHOWN)
        ],
    }


def translate(
    network: nn.Module,
    subwords: Subwords,
    sentences: Sequence[str],
    decode: Callable[[torch.Tensor], torch.Tensor],
) -> list[str]:
    """Translate sentences in batches of similar length.

    Args:
        network: tells the device; `decode` does the work.
        subwords: the joint vocabulary.
        sentences: sentences of the source language.
        decode: source ids (batch, source) -> target ids.

    Returns:
        The translations, in the order of the sentences.
    """
    device = next(network.parameters()).device
    ids = [subwords.encode(s) for s in sentences]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    answers = [""] * len(ids)
    for first in range(0, len(order), 100):
        chosen = order[first : first + 100]
        source = make_batch([(ids[i], []) for i in chosen]).source.to(device)
        for i, row in zip(chosen, decode(source).tolist(), strict=True):
            answers[i] = subwords.decode(row)
    return answers


def cross_entropy(network: nn.Module, pairs: Pairs, tokens: int) -> float:
    """Return the mean cross-entropy in nats per piece, without smoothing.

    Its exponential is the perplexity.

    Args:
        network: in evaluation mode, which the caller sets.
        pairs: (source ids, target ids), at least one pair.
        tokens: largest padded size of a batch's side, in ids.
    """
    device = next(network.parameters()).device
    ordered = sorted(pairs, key=lambda p: max(len(p[0]), len(p[1])))
    size = max(1, tokens // (max(len(ordered[-1][0]), len(ordered[-1][1])) + 2))
    total = count = 0.0
    for first in range(0, len(ordered), size):
        batch = to_device(make_batch(ordered[first : first + size]), device)
        wanted = batch.target[:, 1:]
        logits = network(batch.source, batch.target[:, :-1])
        words = int((wanted != PAD).sum())
        total += float(label_smoothed_loss(logits, wanted, 0.0, PAD)) * words
        count += words
    return total / count


def encode(corpus: Corpus, subwords: Subwords) -> Pairs:
    """Return the ids of each pair.

    Args:
        corpus: sentence pairs.
        subwords: the joint vocabulary.
    """
    return [
        (subwords.encode(s), subwords.encode(t))
        for s, t in zip(corpus.source, corpus.target, strict=True)
    ]


def to_device(batch: Batch, device: str | torch.device) -> Batch:
    """Return the batch on a device.

    Args:
        batch: on any device.
        device: where it should go.
    """
    return Batch(batch.source.to(device), batch.target.to(device))
