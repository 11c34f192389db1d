"""The experiments of the Transformer chapter: one training and its measurements.

Two models run through the same functions: "transformer", and "recurrent", a GRU
encoder-decoder with additive attention whose width is chosen so that it has the same
number of parameters. With the same seed both see the same batches in the same order and
are asked the same questions. Results are plain numbers and text.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from src.common.checks import within
from src.common.training.loop import TrainingCurve, TrainingSettings, train
from src.foundations.transformer.decoding import greedy
from src.foundations.transformer.language_pair import (
    Clause,
    clause_batch,
    corpus,
    new_clauses,
    vocabulary,
)
from src.foundations.transformer.layers import TransformerConfig
from src.foundations.transformer.model import (
    Transformer,
    closed_form_parameter_count,
    parameter_count,
)
from src.foundations.transformer.recurrent import (
    RecurrentConfig,
    RecurrentTranslator,
    match_width,
)
from src.foundations.transformer.sequence_tasks import (
    PAD,
    SPECIAL,
    Batch,
    exact_match,
    symbol_batch,
    symbol_stream,
    token_accuracy,
)
from src.foundations.transformer.training import label_smoothed_loss, warmup_schedule

MODELS = ("transformer", "recurrent")


@dataclass(frozen=True)
class Recipe:
    """One training: the Transformer's shape (and its rival's size), and how to train.

    Attributes:
        steps: number of parameter updates.
        peak: highest learning rate, reached after `warmup` steps.
        width: d_model.
        layers: number of encoder layers and also of decoder layers.
        heads: number of attention heads; divides `width`.
        key_width: d_k; width / heads if None.
        hidden: d_ff.
        dropout: probability of dropping a unit, in [0, 1).
        smoothing: label smoothing, in [0, 1].
        positions: "sinusoidal", "learned" or "none".
        scaled: whether scores are multiplied by 1/sqrt(d_k).
        warmup: steps during which the learning rate rises.
        batch: sequences per update.
        max_length: longest sequence, in tokens.
    """

    steps: int
    peak: float
    width: int = 32
    layers: int = 1
    heads: int = 4
    key_width: int | None = None
    hidden: int = 128
    dropout: float = 0.1
    smoothing: float = 0.1
    positions: str = "sinusoidal"
    scaled: bool = True
    warmup: int = 100
    batch: int = 32
    max_length: int = 64


def build(
    model: str, recipe: Recipe, tokens: int, generator: torch.Generator
) -> nn.Module:
    """Return a fresh model; both kinds have the same number of parameters, within 3 %.

    The recurrent model is as large as the Transformer with d_k = width / heads and
    sinusoidal positions, whatever the recipe says about these two.

    Args:
        model: one of `MODELS`.
        recipe: sizes and variants.
        tokens: size of the vocabulary.
        generator: draws the initial weights.

    Raises:
        ValueError: if `model` is not one of `MODELS`, if the recipe makes no model, or
            if no recurrent model comes close enough in size.
    """
    if model not in MODELS:
        raise ValueError(f"unknown model {model!r}; valid: {', '.join(MODELS)}")
    config = TransformerConfig(
        vocabulary=tokens,
        width=recipe.width,
        layers=recipe.layers,
        heads=recipe.heads,
        key_width=recipe.key_width,
        hidden=recipe.hidden,
        dropout=recipe.dropout,
        positions=recipe.positions,
        scaled=recipe.scaled,
        max_length=recipe.max_length,
    )
    if model == "transformer":
        return Transformer(config, generator)
    size = closed_form_parameter_count(
        replace(config, key_width=None, positions="sinusoidal")
    )
    narrow = RecurrentConfig(tokens, layers=recipe.layers, dropout=recipe.dropout)
    return RecurrentTranslator(match_width(narrow, size), generator)


def fit(
    model: nn.Module,
    batches: Iterator[Batch],
    recipe: Recipe,
    generator: torch.Generator,
    **hooks: object,
) -> TrainingCurve:
    """Train with Adam, label smoothing and the warm-up schedule.

    Args:
        model: trained in place.
        batches: at least `recipe.steps` of them.
        recipe: how to train; its `peak` scales the schedule.
        generator: the source of dropout's random numbers.
        **hooks: further arguments of `src.common.training.loop.train`.

    Returns:
        The training curve.

    Raises:
        ValueError: if the batches run out early.
        FloatingPointError: if the loss stops being a finite number.
    """

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        logits = model(batch.source, batch.target[:, :-1])
        return label_smoothed_loss(logits, batch.target[:, 1:], recipe.smoothing, PAD)

    top = warmup_schedule(recipe.warmup, recipe.width, recipe.warmup)
    settings = TrainingSettings(
        steps=recipe.steps,
        learning_rate=recipe.peak,
        betas=(0.9, 0.98),
        epsilon=1e-9,
        clip_norm=1.0,
        schedule=lambda step: warmup_schedule(step, recipe.width, recipe.warmup) / top,
    )
    return train(model, loss, batches, settings, generator, **hooks)


def run_symbols(
    model: str, task: str, recipe: Recipe, seed: int, symbols: int = 10, length: int = 8
) -> dict:
    """Train on fresh strings of a symbol task; decode 500 new ones greedily.

    Args:
        model: one of `MODELS`.
        task: "copy", "reverse" or "sort".
        recipe: the model's shape and its training.
        seed: fixes data, weights, dropout and test.
        symbols: number of different symbols.
        length: length of the strings.

    Returns:
        "accuracy" (share of right symbols), "exact" (share of strings without a
        mistake), "losses" (means of 10 steps), "parameters" (their number) and
        "weights" (as text, see `pack`).
    """
    data, start, noise, test = streams(seed)
    network = build(model, recipe, symbols + len(SPECIAL), start)
    curve = fit(
        network, symbol_stream(task, symbols, length, recipe.batch, data), recipe, noise
    )
    questions = symbol_batch(task, symbols, length, 500, test)
    answers = greedy(network, questions.source, length + 2)
    right = exact_match(answers, questions)
    return {
        "accuracy": token_accuracy(answers, questions),
        "exact": sum(right) / len(right),
        "losses": curve.smoothed(10),
        "parameters": parameter_count(network),
        "weights": pack(network),
    }


def run_language(
    model: str, recipe: Recipe, seed: int, train_pairs: int, test_pairs: int
) -> dict:
    """Train on the small language pair; translate sentences not seen in training.

    Args:
        model: one of `MODELS`.
        recipe: the model's shape and its training.
        seed: fixes data, weights, dropout and test.
        train_pairs: number of training sentences.
        test_pairs: number of test sentences.

    Returns:
        What `examine` measures, "losses" (means of 50 steps), "parameters" (their
        number) and "weights" (as text, see `pack`).
    """
    data, start, noise, test = streams(seed)
    pairs = corpus(train_pairs, data)
    network = build(model, recipe, len(vocabulary()), start)
    curve = fit(network, clause_stream(pairs, recipe.batch, data), recipe, noise)
    return {
        **examine(network, unseen(pairs, test_pairs, test)),
        "losses": curve.smoothed(50),
        "parameters": parameter_count(network),
        "weights": pack(network),
    }


def examine(network: nn.Module, clauses: list[Clause]) -> dict:
    """Translate clauses greedily and compare with the exact translations.

    Args:
        network: a model of the small language pair, in evaluation mode.
        clauses: the sentences to translate.

    Returns:
        "exact" (share of sentences without a mistake), "accuracy" (share of right
        words) and "cross_entropy" (nats per token, without label smoothing).
    """
    batch = clause_batch(clauses)
    answers = greedy(network, batch.source, batch.target.shape[1] + 2)
    right = exact_match(answers, batch)
    with torch.no_grad():
        logits = network(batch.source, batch.target[:, :-1])
        loss = label_smoothed_loss(logits, batch.target[:, 1:], 0.0, PAD)
    return {
        "exact": sum(right) / len(right),
        "accuracy": token_accuracy(answers, batch),
        "cross_entropy": float(loss),
    }


def clause_stream(
    clauses: list[Clause], size: int, generator: torch.Generator
) -> Iterator[Batch]:
    """Yield batches of a corpus without end, reshuffled in every epoch.

    The last batch of an epoch is left out if it is incomplete.

    Args:
        clauses: the corpus.
        size: clauses per batch, at most the size of the corpus.
        generator: draws the order.

    Raises:
        ValueError: when the first batch is asked for, if the corpus is smaller than a
            batch.
    """
    within("size", size, 1, len(clauses), remedy="use a smaller batch")
    while True:
        order = torch.randperm(len(clauses), generator=generator).tolist()
        for i in range(0, len(order) - size + 1, size):
            yield clause_batch([clauses[j] for j in order[i : i + size]])


def unseen(known: list[Clause], size: int, generator: torch.Generator) -> list[Clause]:
    """Draw different clauses that are not among the known ones.

    Args:
        known: clauses to avoid.
        size: number of new clauses.
        generator: draws them.

    Returns:
        The new clauses.
    """
    return new_clauses(size, set(known), generator)


def streams(seed: int) -> tuple[torch.Generator, ...]:
    """Return generators for training data, initial weights, dropout, and test data.

    Both models of a seed get the same four.

    Args:
        seed: a non-negative number.
    """
    return tuple(torch.Generator().manual_seed(4 * seed + i) for i in range(4))


def pack(network: nn.Module) -> str:
    """Return the network's weights in half precision as text.

    Args:
        network: any module.
    """
    half = {
        name: value.half().contiguous() for name, value in network.state_dict().items()
    }
    return base64.b64encode(save(half)).decode()


def unpack(text: str) -> dict[str, Tensor]:
    """Return the weights that `pack` wrote, in single precision.

    Args:
        text: what `pack` returned.
    """
    return {name: value.float() for name, value in load(base64.b64decode(text)).items()}
