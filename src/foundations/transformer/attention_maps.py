"""Where a trained Transformer looks while it translates the small language pair."""

import torch
from jaxtyping import Float
from torch import Tensor

from src.foundations.transformer.attention import record_attention
from src.foundations.transformer.language_pair import (
    NOUNS,
    Clause,
    clause_batch,
    english,
    translation,
)
from src.foundations.transformer.model import Transformer

_NOUNS = {form for noun in NOUNS for form in noun[:2]}


def cross_attention(
    network: Transformer, clauses: list[Clause]
) -> Float[Tensor, "clauses heads target source"]:
    """Return the last decoder layer's weights over the source.

    Row t is the step that writes target word t, given the right words before it; the
    last row of a clause writes the end mark. Rows and columns past a clause's end mean
    nothing.

    Args:
        network: a Transformer of the small language pair.
        clauses: the sentences to translate.
    """
    batch = clause_batch(clauses)
    with record_attention(network) as maps, torch.no_grad():
        network(batch.source, batch.target[:, :-1])
    last = len(network.decoder) - 1
    return maps[f"decoder.{last}.cross_attention"][0]


def attention_shares(
    network: Transformer, clauses: list[Clause]
) -> Float[Tensor, "heads places"]:
    """Return each head's mean weight on three kinds of words while it writes the verb.

    The kinds of source words: the verb itself, the noun that the verb agrees with, and
    all other nouns together.

    Args:
        network: a Transformer of the small language pair.
        clauses: the sentences to average over.
    """
    weights = cross_attention(network, clauses)
    rows = []
    for number, clause in enumerate(clauses):
        words = translation(clause)
        verb, at = words[-1], weights[number, :, len(words) - 1]
        places = [i for i, word in enumerate(english(clause)) if word in _NOUNS]
        others = [i for i in places if i != verb.controller]
        rows.append(
            torch.stack(
                [at[:, verb.source], at[:, verb.controller], at[:, others].sum(1)]
            )
        )
    return torch.stack(rows).mean(0).T
