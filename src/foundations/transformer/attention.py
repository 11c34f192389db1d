"""Attention, masks and positions of the Transformer (Vaswani et al. 2017, sections 3.2 and 3.5).

Shapes are written with the paper's letters in mind: `time` is the number of queries, `source` the
number of keys, `key` is d_k, `value` is d_v, `width` is d_model. In every mask True means "may
attend", as in `torch.nn.functional.scaled_dot_product_attention` (`torch.nn.MultiheadAttention`
uses the opposite sign).
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


def scaled_dot_product_attention(
    query: Float[Tensor, "*batch time key"],
    key: Float[Tensor, "*batch source key"],
    value: Float[Tensor, "*batch source value"],
    mask: Bool[Tensor, "..."] | None = None,
    scale: float | None = None,
) -> tuple[Float[Tensor, "*batch time value"], Float[Tensor, "*batch time source"]]:
    """softmax(Q K^T / sqrt(d_k) + M) V, equation (1) of the paper; gives (output, weights).

    `mask` broadcasts to (..., time, source); True = may attend (M = 0), False = may not (M a huge
    negative number). `scale` replaces 1/sqrt(d_k): 1.0 is the unscaled attention that section
    3.2.1 warns about. A query that may attend to no key at all gets weights and output zero:
    "nothing to look at" is then a harmless answer, where M = minus infinity in the whole row gives
    0/0 = NaN, and a huge negative number alone averages the very values that the mask hides.
    Raises TypeError when the mask is not boolean.
    """
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    # A contiguous key lets the product read K^T in place; else it is copied element by element.
    scores = (query * scale) @ key.contiguous().transpose(-2, -1)
    if mask is None:
        weights = scores.softmax(-1)
    else:
        if mask.dtype is not torch.bool:
            raise TypeError(f"mask must be boolean (True = may attend), got {mask.dtype}")
        # Half the lowest number: adding a score to it cannot overflow, not even in half precision.
        barrier = torch.finfo(scores.dtype).min / 2
        scores = scores + (~mask).to(scores.dtype) * barrier
        weights = scores.softmax(-1) * mask.any(-1, keepdim=True)
    return weights @ value, weights


def padding_mask(tokens: Int[Tensor, "batch source"], pad: int) -> Bool[Tensor, "batch 1 1 source"]:
    """True where a key is a real token; broadcasts over heads and queries."""
    return (tokens != pad)[:, None, None, :]


def causal_mask(length: int, device: torch.device | None = None) -> Bool[Tensor, "time time"]:
    """True on and below the diagonal: position t attends to positions 0..t (section 3.2.3)."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()


def position_frequencies(width: int) -> Float[Tensor, " half"]:
    """omega_i = 10000^(-2i/d) for i = 0 .. d/2 - 1, float64: one frequency per (sin, cos) pair."""
    if width < 2 or width % 2:
        raise ValueError(f"sinusoidal positions need an even width of at least 2, got {width}")
    return 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)


def sinusoidal_positions(length: int, width: int) -> Float[Tensor, "length width"]:
    """PE(pos, 2i) = sin(pos omega_i), PE(pos, 2i + 1) = cos(pos omega_i) (section 3.5), float64.

    Sines and cosines are interleaved, as in the formula. (The authors' released code puts all
    sines before all cosines and spaces the frequencies slightly differently.)
    """
    angles = torch.arange(length, dtype=torch.float64)[:, None] * position_frequencies(width)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def shift_matrix(offset: int, width: int) -> Float[Tensor, "width width"]:
    """The rotation R_k with PE(pos + k) = R_k PE(pos) for every pos, float64.

    It is why the paper hopes that a head can learn to attend by relative position: looking k steps
    back is one fixed linear map.
    """
    angles = offset * position_frequencies(width)
    sin, cos = angles.sin(), angles.cos()
    blocks = torch.stack([torch.stack([cos, sin], -1), torch.stack([-sin, cos], -1)], -2)
    return torch.block_diag(*blocks)


class MultiHeadAttention(nn.Module):
    """Concat(head_1 .. head_h) W^O with head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V).

    The projections have no bias. W_1^Q .. W_h^Q are stored side by side as one matrix, likewise for
    K and V. `key_width` (d_k) and `value_width` (d_v) default to width / heads. `scaled=False`
    leaves out 1/sqrt(d_k). `fused=True` calls PyTorch's kernel instead of the function above: the
    same numbers, less memory for long sequences.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        key_width: int | None = None,
        value_width: int | None = None,
        scaled: bool = True,
        fused: bool = False,
    ):
        super().__init__()
        if (key_width is None or value_width is None) and width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}")
        self.heads = heads
        key_width = key_width or width // heads
        value_width = value_width or width // heads
        self.scale = 1 / math.sqrt(key_width) if scaled else 1.0
        self.fused = fused
        self.query = nn.Linear(width, heads * key_width, bias=False)
        self.key = nn.Linear(width, heads * key_width, bias=False)
        self.value = nn.Linear(width, heads * value_width, bias=False)
        self.output = nn.Linear(heads * value_width, width, bias=False)
        self.recorded: list[Tensor] | None = None  # filled inside `record_attention`

    def forward(
        self,
        x: Float[Tensor, "batch time width"],
        memory: Float[Tensor, "batch source width"],
        mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "batch time width"]:
        """Queries from `x`, keys and values from `memory` (`x` itself in self-attention)."""
        return self.attend(x, *self.project(memory), mask)

    def project(
        self, memory: Float[Tensor, "batch source width"]
    ) -> tuple[Float[Tensor, "batch heads source key"], Float[Tensor, "batch heads source value"]]:
        """Keys and values of every head: the part of the work that decoding caches."""
        return self._split(self.key(memory)), self._split(self.value(memory))

    def attend(
        self,
        x: Float[Tensor, "batch time width"],
        keys: Float[Tensor, "batch heads source key"],
        values: Float[Tensor, "batch heads source value"],
        mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "batch time width"]:
        """Attention of the queries made from `x` over given keys and values."""
        query = self._split(self.query(x))
        if self.fused and self.recorded is None:
            heads = F.scaled_dot_product_attention(query, keys, values, mask, scale=self.scale)
        else:
            heads, weights = scaled_dot_product_attention(query, keys, values, mask, self.scale)
            if self.recorded is not None:
                self.recorded.append(weights.detach())
        return self.output(heads.transpose(1, 2).flatten(2))

    def _split(
        self, projected: Float[Tensor, "batch time joint"]
    ) -> Float[Tensor, "batch heads time each"]:
        return projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)


@dataclass(frozen=True)
class AttentionCache:
    """Keys and values of one decoder layer: the target so far (growing), the source (fixed)."""

    keys: Float[Tensor, "batch heads time key"]
    values: Float[Tensor, "batch heads time value"]
    memory_keys: Float[Tensor, "batch heads source key"]
    memory_values: Float[Tensor, "batch heads source value"]

    def append(self, keys: Tensor, values: Tensor) -> "AttentionCache":
        """The cache with one more target position."""
        return AttentionCache(
            torch.cat([self.keys, keys], dim=2),
            torch.cat([self.values, values], dim=2),
            self.memory_keys,
            self.memory_values,
        )

    def reorder(self, index: Int[Tensor, " rows"]) -> "AttentionCache":
        """Rows picked by `index` (with repeats), as beam search needs them."""
        return AttentionCache(
            self.keys[index],
            self.values[index],
            self.memory_keys[index],
            self.memory_values[index],
        )


@contextmanager
def record_attention(model: nn.Module) -> Iterator[dict[str, list[Tensor]]]:
    """Collects the attention weights of every call made inside the `with` block.

    Gives a dictionary from a module's name, such as "encoder.0.self_attention" or
    "decoder.1.cross_attention", to the list of its weights (batch, heads, time, source), one entry
    per call, detached from the graph.
    """
    layers = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, MultiHeadAttention)
    }
    maps: dict[str, list[Tensor]] = {name: [] for name in layers}
    try:
        for name, layer in layers.items():
            layer.recorded = maps[name]
        yield maps
    finally:
        for layer in layers.values():
            layer.recorded = None
