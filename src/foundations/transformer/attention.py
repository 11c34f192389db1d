"""Attention, masks and positions of the Transformer (Vaswani et al. 2017, 3.2 and 3.5).

Shapes follow the paper's letters: `time` is the number of queries, `source` the number
of keys, `key` is d_k, `value` is d_v, `width` is d_model. In every mask True means "may
attend", as in `torch.nn.functional.scaled_dot_product_attention`
(`torch.nn.MultiheadAttention` uses the opposite convention).
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from src.common.checks import alike, checked, within


@checked
def scaled_dot_product_attention(
    query: Float[Tensor, "*batch time key"],
    key: Float[Tensor, "*batch source key"],
    value: Float[Tensor, "*batch source value"],
    mask: Bool[Tensor, "..."] | None = None,
    scale: float | None = None,
) -> tuple[Float[Tensor, "*batch time value"], Float[Tensor, "*batch time source"]]:
    """Return softmax(Q K^T / sqrt(d_k) + M) V, equation (1), and the weights.

    A query that may attend to no key at all gets weights and output zero. With minus
    infinity in a whole row of M, it would get 0/0 = NaN; with a huge negative number
    alone, an average of the very values that the mask hides.

    Args:
        query: Q, one row per query.
        key: K, one row per key.
        value: V, one row per key.
        mask: broadcasts to (..., time, source). True: may attend (M = 0); False: may
            not (M is a huge negative number). None: every query attends to every key.
        scale: replaces 1/sqrt(d_k); 1.0 is the unscaled attention that section 3.2.1
            warns about.

    Returns:
        The output, and the weights by which it averages the values: each row sums to 1,
        or is zero if the mask hides all keys.

    Raises:
        TypeError: if the mask is not boolean.

    Examples:
        >>> query, key = torch.zeros(1, 2), torch.zeros(2, 2)
        >>> value = torch.tensor([[1.0], [3.0]])
        >>> scaled_dot_product_attention(query, key, value)
        (tensor([[2.]]), tensor([[0.5000, 0.5000]]))
        >>> mask = torch.tensor([[True, False]])
        >>> scaled_dot_product_attention(query, key, value, mask)
        (tensor([[1.]]), tensor([[1., 0.]]))
    """
    alike(query=query, key=key, value=value)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    # A contiguous key lets the product read K^T in place; any other is copied element
    # by element.
    scores = (query * scale) @ key.contiguous().transpose(-2, -1)
    _check_mask(mask, scores.shape)
    if mask is None:
        weights = scores.softmax(-1)
    else:
        # Half the lowest number: adding a score to it cannot overflow, not even in half
        # precision.
        barrier = torch.finfo(scores.dtype).min / 2
        scores = scores + (~mask).to(scores.dtype) * barrier
        weights = scores.softmax(-1) * mask.any(-1, keepdim=True)
    return weights @ value, weights


def _check_mask(mask: Tensor | None, shape: torch.Size) -> None:
    """Refuse masks of another type, and those that do not broadcast to the scores."""
    if mask is None:
        return
    if mask.dtype is not torch.bool:
        raise TypeError(f"mask must be boolean (True = may attend), got {mask.dtype}")
    pairs = zip(reversed(mask.shape), reversed(shape), strict=False)
    if mask.dim() > len(shape) or any(a not in (1, b) for a, b in pairs):
        raise ValueError(
            f"mask {tuple(mask.shape)} does not broadcast to the scores {tuple(shape)}"
        )


@checked
def padding_mask(
    tokens: Int[Tensor, "batch source"], pad: int
) -> Bool[Tensor, "batch 1 1 source"]:
    """Return True where a key is a real token, for all heads and queries.

    Args:
        tokens: token ids of the keys.
        pad: id of the padding.
    """
    return (tokens != pad)[:, None, None, :]


@checked
def causal_mask(
    length: int, device: torch.device | None = None
) -> Bool[Tensor, "time time"]:
    """Return True on and below the diagonal: t attends to 0..t (section 3.2.3).

    Args:
        length: number of positions.
        device: where to make the mask.
    """
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()


@checked
def position_frequencies(width: int) -> Float[Tensor, " half"]:
    """Return omega_i = 10000^(-2i/d) for i = 0 .. d/2 - 1 in float64.

    Args:
        width: d, an even number; each (sin, cos) pair of components has one frequency.

    Raises:
        ValueError: if the width is odd or below 2.
    """
    if width < 2 or width % 2:
        raise ValueError(
            f"sinusoidal positions need an even width of at least 2, got {width}"
        )
    return 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)


@checked
def sinusoidal_positions(length: int, width: int) -> Float[Tensor, "length width"]:
    """Return the positional signal of section 3.5 in float64.

    PE(pos, 2i) = sin(pos omega_i) and PE(pos, 2i + 1) = cos(pos omega_i): sines and
    cosines are interleaved. (The authors' released code puts all sines before all
    cosines and spaces the frequencies slightly differently.)

    Args:
        length: number of positions, from 0.
        width: number of components, even.

    Raises:
        ValueError: if the width is odd or below 2, or the length negative.

    Examples:
        >>> table = sinusoidal_positions(length=10, width=8)
        >>> table[0].tolist()
        [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]
        >>> torch.allclose(shift_matrix(2, 8) @ table[3], table[5])
        True
    """
    within("length", length, 0)
    angles = torch.arange(length, dtype=torch.float64)[:, None] * position_frequencies(
        width
    )
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


@checked
def shift_matrix(offset: int, width: int) -> Float[Tensor, "width width"]:
    """Return the rotation R_k with PE(pos + k) = R_k PE(pos) for every pos, in float64.

    It is why the paper hopes that a head can learn to attend by relative position:
    looking k steps back is one fixed linear map.

    Args:
        offset: k, of either sign.
        width: number of components, even.

    Raises:
        ValueError: if the width is odd or below 2.
    """
    angles = offset * position_frequencies(width)
    sin, cos = angles.sin(), angles.cos()
    blocks = torch.stack(
        [torch.stack([cos, sin], -1), torch.stack([-sin, cos], -1)], -2
    )
    return torch.block_diag(*blocks)


class MultiHeadAttention(nn.Module):
    """Concat(head_1 .. head_h) W^O with head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V).

    Section 3.2.2. The projections have no bias. W_1^Q .. W_h^Q are stored side by side
    as one matrix, and likewise for K and V.

    Args:
        width: d_model, of inputs and outputs.
        heads: number of heads h.
        key_width: d_k; width / heads if None.
        value_width: d_v; width / heads if None.
        scaled: whether scores are multiplied by 1/sqrt(d_k).
        fused: call PyTorch's kernel instead of `scaled_dot_product_attention`: the same
            numbers, with less memory for long sequences.

    Raises:
        ValueError: if a default is needed and `width` is not a multiple of `heads`.

    Examples:
        >>> attention = MultiHeadAttention(width=16, heads=4)
        >>> x, memory = torch.zeros(2, 5, 16), torch.zeros(2, 3, 16)
        >>> attention(x, memory).shape
        torch.Size([2, 5, 16])
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

    @checked
    def forward(
        self,
        x: Float[Tensor, "batch time width"],
        memory: Float[Tensor, "batch source width"],
        mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "batch time width"]:
        """Return the attention of `x` over `memory`.

        Args:
            x: where the queries come from.
            memory: where keys and values come from (`x` itself in self-attention).
            mask: broadcasts to (batch, heads, time, source); True = may attend.
        """
        alike(weights=self.query.weight, x=x, memory=memory)
        return self.attend(x, *self.project(memory), mask)

    def project(
        self, memory: Float[Tensor, "batch source width"]
    ) -> tuple[
        Float[Tensor, "batch heads source key"],
        Float[Tensor, "batch heads source value"],
    ]:
        """Return keys and values of every head: the work that decoding caches.

        Args:
            memory: where keys and values come from.
        """
        return self._split(self.key(memory)), self._split(self.value(memory))

    def attend(
        self,
        x: Float[Tensor, "batch time width"],
        keys: Float[Tensor, "batch heads source key"],
        values: Float[Tensor, "batch heads source value"],
        mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "batch time width"]:
        """Return the attention of the queries made from `x` over given keys and values.

        Args:
            x: where the queries come from.
            keys: keys of every head, from `project`.
            values: values of every head, from `project`.
            mask: broadcasts to (batch, heads, time, source); True = may attend.
        """
        query = self._split(self.query(x))
        _check_mask(mask, torch.Size((*query.shape[:3], keys.shape[2])))
        if self.fused and self.recorded is None:
            heads = F.scaled_dot_product_attention(
                query, keys, values, mask, scale=self.scale
            )
        else:
            heads, weights = scaled_dot_product_attention(
                query, keys, values, mask, self.scale
            )
            if self.recorded is not None:
                self.recorded.append(weights.detach())
        return self.output(heads.transpose(1, 2).flatten(2))

    def _split(
        self, projected: Float[Tensor, "batch time joint"]
    ) -> Float[Tensor, "batch heads time each"]:
        return projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)


@dataclass(frozen=True)
class AttentionCache:
    """Keys and values of one decoder layer.

    Attributes:
        keys: of the target so far.
        values: of the target so far.
        memory_keys: of the source, fixed.
        memory_values: of the source, fixed.
    """

    keys: Float[Tensor, "batch heads time key"]
    values: Float[Tensor, "batch heads time value"]
    memory_keys: Float[Tensor, "batch heads source key"]
    memory_values: Float[Tensor, "batch heads source value"]

    def append(self, keys: Tensor, values: Tensor) -> "AttentionCache":
        """Return the cache with further target positions.

        Args:
            keys: keys of the new positions, (batch, heads, 1, key) for one.
            values: their values.
        """
        return AttentionCache(
            torch.cat([self.keys, keys], dim=2),
            torch.cat([self.values, values], dim=2),
            self.memory_keys,
            self.memory_values,
        )

    def reorder(self, index: Int[Tensor, " rows"]) -> "AttentionCache":
        """Return the rows picked by `index`, as beam search needs them.

        Args:
            index: row numbers; a row may be picked several times, or not at all.
        """
        return AttentionCache(
            self.keys[index],
            self.values[index],
            self.memory_keys[index],
            self.memory_values[index],
        )


@contextmanager
def record_attention(model: nn.Module) -> Iterator[dict[str, list[Tensor]]]:
    """Collect the attention weights of every call made inside the `with` block.

    Args:
        model: a model with `MultiHeadAttention` layers at any depth.

    Yields:
        A dictionary from a layer's name, such as "encoder.0.self_attention" or
        "decoder.1.cross_attention", to the list of its weights (batch, heads, time,
        source), one entry per call, detached from the graph.

    Examples:
        >>> model = nn.ModuleDict({"self_attention": MultiHeadAttention(16, heads=4)})
        >>> x = torch.zeros(2, 5, 16)
        >>> with record_attention(model) as maps:
        ...     output = model["self_attention"](x, x)
        >>> maps["self_attention"][0].shape
        torch.Size([2, 4, 5, 5])
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
