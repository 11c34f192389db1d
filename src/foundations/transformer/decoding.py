"""Greedy and beam decoding for any model with the methods of `Decodable`.

A sequence that is being written starts from bos (fed, never returned); a finished one
ends in eos. pad and bos are never chosen.
"""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from src.common.checks import checked, within


@runtime_checkable
class Decodable(Protocol):
    """What decoding asks of a model (`Transformer`, `RecurrentTranslator`).

    `start` and `step` go token by token with a state that has `reorder(index)`;
    `encode`, `decode` and `logits` compute a whole prefix at once.

    Attributes:
        config: names the tokens pad, bos and eos.
    """

    config: Any

    def start(self, source: Tensor) -> Any:
        """Return the state before the first token of every row.

        Args:
            source: source tokens, (batch, source).
        """

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Return the logits after one more token, and the new state.

        Args:
            tokens: one token per row.
            state: from `start`, or from the previous step.
        """

    def encode(self, source: Tensor) -> Tensor:
        """Return the encoded source.

        Args:
            source: source tokens, (batch, source).
        """

    def decode(self, target_in: Tensor, memory: Tensor, source: Tensor) -> Tensor:
        """Return one vector for each prefix of `target_in`.

        Args:
            target_in: target tokens, bos first.
            memory: the encoded source.
            source: source tokens, which show where the padding is.
        """

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits that belong to vectors from `decode`.

        Args:
            x: such vectors.
        """


@dataclass(frozen=True)
class Prefix:
    """A decoding state without cache.

    Attributes:
        source: source tokens.
        memory: the encoded source.
        tokens: all target tokens so far.
    """

    source: Int[Tensor, "rows source"]
    memory: Float[Tensor, "rows source width"]
    tokens: Int[Tensor, "rows time"]

    def reorder(self, index: Int[Tensor, " rows"]) -> "Prefix":
        """Return the rows picked by `index`, as beam search needs them.

        Args:
            index: row numbers; a row may be picked several times, or not at all.
        """
        return Prefix(self.source[index], self.memory[index], self.tokens[index])


def _start(model: Decodable, source: Tensor, cached: bool) -> Any:
    if cached:
        return model.start(source)
    return Prefix(source, model.encode(source), source[:, :0])


def _step(model: Decodable, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
    """Return log-probabilities of the next token, minus infinity for pad and bos."""
    if isinstance(state, Prefix):
        prefix = torch.cat([state.tokens, tokens[:, None]], dim=1)
        logits = model.logits(model.decode(prefix, state.memory, state.source)[:, -1])
        state = Prefix(state.source, state.memory, prefix)
    else:
        logits, state = model.step(tokens, state)
    if bool(logits.isnan().any()):
        raise ValueError(
            "the model's logits are NaN, so no token is the most probable: look for "
            "NaN among its weights"
        )
    log_p = logits.log_softmax(-1)
    # Forbidden after the softmax: this limits the search, not the model's P.
    log_p[:, [model.config.pad, model.config.bos]] = -torch.inf
    return log_p, state


@torch.no_grad()
@checked
def greedy(
    model: Decodable,
    source: Int[Tensor, "batch source"],
    max_length: int,
    cached: bool = True,
) -> Int[Tensor, "batch time"]:
    """Return the most probable token at each step, until eos or `max_length` tokens.

    Args:
        model: in evaluation mode, which the caller sets.
        source: source tokens, padded at the end.
        max_length: at least 1; eos counts.
        cached: False recomputes the whole prefix at every step (the source is encoded
            once either way): the same tokens, far slower.

    Returns:
        Tokens without bos; rows that end early are filled with pad.

    Raises:
        ValueError: if `max_length` is below 1 or longer than the model allows, for a
            source without tokens, or if the model's logits are NaN.

    Examples:
        >>> from src.foundations.transformer.layers import TransformerConfig
        >>> from src.foundations.transformer.model import Transformer
        >>> config = TransformerConfig(13, width=16, layers=1, heads=2, hidden=32)
        >>> network = Transformer(config, torch.Generator().manual_seed(0)).eval()
        >>> source = torch.tensor([[3, 4, 5]])
        >>> slow = greedy(network, source, max_length=5, cached=False)
        >>> torch.equal(greedy(network, source, max_length=5), slow)
        True
    """
    _check(source, max_length)
    pad, bos, eos = model.config.pad, model.config.bos, model.config.eos
    state = _start(model, source, cached)
    tokens = source.new_full((len(source),), bos)
    finished = torch.zeros_like(tokens, dtype=torch.bool)
    written = []
    for _ in range(max_length):
        log_p, state = _step(model, tokens, state)
        tokens = log_p.argmax(-1).masked_fill(finished, pad)
        written.append(tokens)
        finished |= tokens == eos
        if finished.all():
            break
    return torch.stack(written, dim=1)


@checked
def length_penalty(length: int, alpha: float) -> float:
    """Return lp = ((5 + |Y|) / 6)^alpha (Wu et al. 2016).

    Dividing log P by it keeps short outputs from winning.

    Args:
        length: |Y|, in tokens.
        alpha: 0 is no penalty.

    Raises:
        ValueError: for a negative length or penalty.
    """
    within("length", length, 0)
    within("alpha", alpha, 0)
    return ((5 + length) / 6) ** alpha


@torch.no_grad()
@checked
def beam_search(
    model: Decodable,
    source: Int[Tensor, "batch source"],
    beam: int = 4,
    alpha: float = 0.6,
    max_length: int = 64,
    cached: bool = True,
) -> Int[Tensor, "batch time"]:
    """Return the hypothesis with the largest log P(Y) / lp(|Y|) that was found.

    |Y| counts eos. At each step the `beam` best continuations of the live hypotheses
    are kept; those that end in eos are finished and leave the beam. A source is done
    when no live hypothesis is left or none can still win: log P only falls, and the
    penalty of `max_length` is the mildest (alpha >= 0). A source without any finished
    hypothesis gets its best live one. All sources and beams are one batch of batch *
    beam rows.

    Args:
        model: in evaluation mode, which the caller sets.
        source: source tokens, padded at the end.
        beam: number of hypotheses kept, from 1 (which is `greedy`).
        alpha: strength of `length_penalty`, at least 0.
        max_length: at least 1; eos counts.
        cached: False recomputes the whole prefix at every step.

    Returns:
        Tokens without bos; rows that end early are filled with pad.

    Raises:
        ValueError: if `beam` or `max_length` is below 1, if `alpha` is negative, if
            `max_length` is longer than the model allows, for a source without tokens,
            or if the model's logits are NaN.

    Examples:
        >>> from src.foundations.transformer.layers import TransformerConfig
        >>> from src.foundations.transformer.model import Transformer
        >>> config = TransformerConfig(13, width=16, layers=1, heads=2, hidden=32)
        >>> network = Transformer(config, torch.Generator().manual_seed(0)).eval()
        >>> source = torch.tensor([[3, 4, 5]])
        >>> one = beam_search(network, source, beam=1, max_length=5)
        >>> torch.equal(one, greedy(network, source, max_length=5))
        True
    """
    _check(source, max_length)
    within("beam", beam, 1)
    within("alpha", alpha, 0)
    if not len(source):
        return source[:, :0]
    pad, bos, eos = model.config.pad, model.config.bos, model.config.eos
    batch = len(source)
    rows = torch.arange(batch, device=source.device)
    state = _start(model, source, cached).reorder(rows.repeat_interleave(beam))
    tokens = source.new_full((batch * beam,), bos)
    written = source.new_full((batch, beam, max_length), pad)
    live = torch.full((batch, beam), -torch.inf, device=source.device)
    live[:, 0] = 0  # all beams start equal: only the first may be continued
    best, best_score = written[:, 0].clone(), live.new_full((batch,), -torch.inf)
    for length in range(1, max_length + 1):
        log_p, state = _step(model, tokens, state)
        candidates = (live[:, :, None] + log_p.unflatten(0, (batch, beam))).flatten(1)
        live, chosen = candidates.topk(beam, dim=1)
        parent, token = chosen // log_p.shape[1], chosen % log_p.shape[1]
        written = written.gather(1, parent[:, :, None].expand_as(written))
        written[:, :, length - 1] = token

        ended = token == eos
        score, winner = (
            (live / length_penalty(length, alpha))
            .masked_fill(~ended, -torch.inf)
            .max(1)
        )
        better = score > best_score
        best_score = torch.where(better, score, best_score)
        best = torch.where(better[:, None], written[rows, winner], best)
        live = live.masked_fill(ended, -torch.inf)

        bound = live.amax(1) / length_penalty(max_length, alpha)
        if (best_score >= bound).all():
            break
        tokens, state = (
            token.flatten(),
            state.reorder((rows[:, None] * beam + parent).flatten()),
        )
    unfinished = best_score == -torch.inf
    best = torch.where(unfinished[:, None], written[rows, live.argmax(1)], best)
    return best[:, : (best != pad).sum(1).max()]


def _check(source: Tensor, max_length: int) -> None:
    within("max_length", max_length, 1)
    if not source.shape[1]:
        raise ValueError("the source has no tokens: give at least one per row")
