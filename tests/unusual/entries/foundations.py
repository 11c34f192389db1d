"""Entry points of `src.foundations.transformer`."""

import torch
from torch import Tensor

from src.foundations.transformer.attention import (
    MultiHeadAttention,
    padding_mask,
    scaled_dot_product_attention,
    sinusoidal_positions,
)
from src.foundations.transformer.decoding import beam_search, greedy, length_penalty
from src.foundations.transformer.layers import TransformerConfig
from src.foundations.transformer.model import Transformer
from src.foundations.transformer.recurrent import RecurrentConfig, RecurrentTranslator
from src.foundations.transformer.training import (
    average_checkpoints,
    label_smoothed_loss,
    warmup_schedule,
)
from src.foundations.transformer.translation import bleu, grouped_bleu
from tests.unusual.inputs import Entry, finite, same, usual

SENTENCES = [f"the dog bit the man number {n} today" for n in range(4)]


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _numbers(*shape: int) -> Tensor:
    return torch.randn(shape, generator=_seeded())


def _model() -> Transformer:
    config = TransformerConfig(13, width=16, layers=1, heads=2, hidden=32)
    return Transformer(config, _seeded()).eval()


def _recurrent() -> RecurrentTranslator:
    return RecurrentTranslator(RecurrentConfig(13, width=8, layers=1), _seeded()).eval()


def _source() -> Tensor:
    return torch.tensor([[3, 4, 5, 6], [7, 8, 9, 0], [10, 11, 0, 0]])


def attention(x: Tensor, memory: Tensor, mask: Tensor, fused: bool) -> Tensor:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = MultiHeadAttention(16, heads=4, fused=fused)
    return layer(x, memory, mask).detach()


def _attention(fused: bool) -> dict[str, object]:
    mask = torch.tensor([True, True, False]).expand(2, 1, 1, 3).clone()
    return {"x": _numbers(2, 5, 16), "memory": _numbers(2, 3, 16), "mask": mask, "fused": fused}


def translate(source: Tensor, target_in: Tensor) -> Tensor:
    return _model()(source, target_in).detach()


def translate_recurrent(source: Tensor, target_in: Tensor) -> Tensor:
    return _recurrent()(source, target_in).detach()


def _pair() -> dict[str, object]:
    return {"source": _source(), "target_in": torch.tensor([[1, 4, 5], [1, 8, 9], [1, 10, 0]])}


def _per_row(result: Tensor, expected: Tensor) -> bool:
    return same(result, expected[: len(result), : result.shape[1]])


def corpus_score(hypotheses: list[str], references: list[str]) -> float:
    return bleu(hypotheses, references)[0]


# The mask of all rows is the same here, and broadcasts.
BROADCAST = {f"mask: {case}": usual for case in ("a dimension less", "one row less", "one row")}
# Of a row without a key to attend to, only the output's (absent) bias is left.
ATTENTION = BROADCAST | {"mask: nothing marked": lambda r, e: bool((r == 0).all())}

ENTRIES = [
    Entry(
        scaled_dot_product_attention,
        lambda: {
            "query": _numbers(2, 3, 4),
            "key": _numbers(2, 5, 4),
            "value": _numbers(2, 5, 6),
            "mask": torch.tensor([True, True, True, False, False]).expand(2, 3, 5).clone(),
        },
        accepts=BROADCAST | {"mask: nothing marked": lambda r, e: same(r, (0 * e[0], 0 * e[1]))},
    ),
    Entry(attention, lambda: _attention(False), ATTENTION),
    Entry(attention, lambda: _attention(True), ATTENTION),
    Entry(
        padding_mask,
        lambda: {"tokens": _source(), "pad": 0},
        accepts={
            "tokens: one row less": lambda r, e: same(r, e[:2]),
            "tokens: one row": lambda r, e: same(r, e[:1]),
            "tokens: negative": usual,  # any id but that of the padding is a token
            "tokens: too large": usual,
            "pad: -1": lambda r, e: bool(r.all()),
        },
    ),
    Entry(
        sinusoidal_positions,
        lambda: {"length": 5, "width": 8},
        accepts={"length: 0": lambda r, e: r.shape == (0, 8)},
    ),
    Entry(translate, _pair),
    Entry(translate_recurrent, _pair),
    Entry(
        greedy,
        lambda: {"model": _model(), "source": _source(), "max_length": 5},
        accepts={f"source: {c}": _per_row for c in ("one row", "one row less")},
    ),
    Entry(
        beam_search,
        lambda: {"model": _model(), "source": _source(), "beam": 2, "alpha": 0.6, "max_length": 5},
        accepts={f"source: {c}": _per_row for c in ("one row", "one row less")}
        | {"alpha: 0": finite},
    ),
    Entry(
        length_penalty,
        lambda: {"length": 7, "alpha": 0.6},
        accepts={
            "length: 0": lambda r, e: abs(r - (5 / 6) ** 0.6) < 1e-12,
            "alpha: 0": lambda r, e: r == 1,
        },
    ),
    Entry(
        label_smoothed_loss,
        lambda: {
            "logits": _numbers(2, 3, 8),
            "target": torch.tensor([[1, 2, 0], [3, 4, 5]]),
            "smoothing": 0.1,
            "pad": 0,
        },
        accepts={
            # Without smoothing it is the cross-entropy; no target is -1.
            "smoothing: 0": lambda r, e: same(float(r), _cross_entropy(), 1e-5),
            "pad: -1": finite,
        },
    ),
    Entry(warmup_schedule, lambda: {"step": 10, "width": 16, "warmup": 4}),
    Entry(
        average_checkpoints,
        lambda: {"states": [{"w": _numbers(2)}, {"w": _numbers(2) + 1}]},
        accepts={"states: one less": lambda r, e: same(r["w"], _numbers(2))},
    ),
    Entry(corpus_score, lambda: {"hypotheses": SENTENCES, "references": [*SENTENCES]}),
    Entry(
        grouped_bleu,
        lambda: {"hypotheses": SENTENCES, "references": [*SENTENCES], "groups": 2},
    ),
]


def _cross_entropy() -> float:
    target = torch.tensor([1, 2, 0, 3, 4, 5])
    logits = _numbers(2, 3, 8).flatten(0, 1)
    return float(torch.nn.functional.cross_entropy(logits, target, ignore_index=0))
