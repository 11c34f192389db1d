"""Questions for trained networks: all that the quick profile itself measures."""

import torch
from torch import Tensor, nn

from src.foundations.transformer.decoding import greedy
from src.foundations.transformer.experiments import Recipe, build, examine, streams
from src.foundations.transformer.language_pair import (
    Clause,
    corpus,
    new_clauses,
    vocabulary,
)
from src.foundations.transformer.sequence_tasks import (
    SPECIAL,
    symbol_batch,
    token_accuracy,
)

Weights = dict[str, Tensor]


def rebuild(model: str, recipe: Recipe, tokens: int, weights: Weights) -> nn.Module:
    """Return a model with these weights, in evaluation mode.

    Args:
        model: one of `experiments.MODELS`.
        recipe: the recipe it was trained by.
        tokens: size of its vocabulary.
        weights: its state dictionary.

    Raises:
        ValueError: if the kind of model does not exist.
        RuntimeError: if the weights do not fit the recipe.
    """
    network = build(model, recipe, tokens, torch.Generator())
    network.load_state_dict(weights)
    return network.eval()


def speaker(model: str, recipe: Recipe, weights: Weights) -> nn.Module:
    """Return a model of the small language pair with these weights.

    Args:
        model: one of `experiments.MODELS`.
        recipe: the recipe it was trained by.
        weights: its state dictionary.
    """
    return rebuild(model, recipe, len(vocabulary()), weights)


def reversal_exam(
    model: str,
    recipe: Recipe,
    weights: Weights,
    length: int,
    generator: torch.Generator,
) -> float:
    """Return the share of right symbols in 500 new strings, reversed greedily.

    Args:
        model: one of `experiments.MODELS`.
        recipe: the recipe it was trained by.
        weights: the state dictionary of a model for ten symbols.
        length: length of the strings.
        generator: draws the strings.
    """
    network = rebuild(model, recipe, 10 + len(SPECIAL), weights)
    questions = symbol_batch("reverse", 10, length, 500, generator)
    return token_accuracy(greedy(network, questions.source, length + 2), questions)


def language_exam(
    model: str, recipe: Recipe, weights: Weights, sentences: list[Clause]
) -> float:
    """Return the share of sentences that are translated without a mistake.

    Args:
        model: one of `experiments.MODELS`.
        recipe: the recipe it was trained by.
        weights: its state dictionary.
        sentences: the sentences to translate.
    """
    return examine(speaker(model, recipe, weights), sentences)["exact"]


def new_sentences(
    seed: int, trained_on: int, size: int, generator: torch.Generator
) -> list[Clause]:
    """Return sentences that the networks of a seed have not seen in training.

    Args:
        seed: of the training.
        trained_on: size of the training corpus.
        size: number of new sentences, all different.
        generator: draws them.
    """
    known = set(corpus(trained_on, streams(seed)[0]))
    return new_clauses(size, known, generator)
