"""The Transformer of "Attention Is All You Need" (Vaswani et al. 2017).

Attention, masks and positions are in `src.foundations.transformer.attention`; greedy
and beam decoding in `src.foundations.transformer.decoding`. Tokens are integers; source
and target share one vocabulary.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from src.foundations.transformer.attention import (
    AttentionCache,
    MultiHeadAttention,
    causal_mask,
    padding_mask,
    sinusoidal_positions,
)

NORMS = ("post", "pre")
POSITIONS = ("sinusoidal", "learned", "none")


@dataclass(frozen=True)
class TransformerConfig:
    """Settings; the defaults are the paper's base model (Table 3).

    Attributes:
        vocabulary: number of tokens.
        width: d_model.
        layers: N, the number of encoder layers and also of decoder layers.
        heads: number of attention heads; divides `width`.
        key_width: d_k; width / heads if None. d_v is always width / heads, as in Table
            3, rows B.
        hidden: d_ff.
        dropout: probability of dropping a unit, in [0, 1).
        norm: "post" is the paper's; "pre" normalises the input of each sub-layer
            instead and adds one norm at the end of each stack.
        positions: "sinusoidal", "learned" or "none".
        scaled: whether scores are multiplied by 1/sqrt(d_k).
        fused: use PyTorch's attention kernel.
        max_length: longest sequence, in tokens.
        pad: token that fills the end of short sequences.
        bos: token before the first one of a target.
        eos: token after the last one of a target.

    Raises:
        ValueError: for settings that make no model.
    """

    vocabulary: int
    width: int = 512
    layers: int = 6
    heads: int = 8
    key_width: int | None = None
    hidden: int = 2048
    dropout: float = 0.1
    norm: str = "post"
    positions: str = "sinusoidal"
    scaled: bool = True
    fused: bool = False
    max_length: int = 512
    pad: int = 0
    bos: int = 1
    eos: int = 2

    def __post_init__(self):
        for name in ("vocabulary", "width", "layers", "heads", "hidden", "max_length"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, got {getattr(self, name)}"
                )
        if self.key_width is not None and self.key_width < 1:
            raise ValueError(
                f"key_width must be at least 1 or None, got {self.key_width}"
            )
        if self.width % self.heads:
            raise ValueError(
                f"width {self.width} is not a multiple of heads {self.heads}"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if self.norm not in NORMS:
            raise ValueError(f"unknown norm {self.norm!r}; valid: {', '.join(NORMS)}")
        if self.positions not in POSITIONS:
            raise ValueError(
                f"unknown positions {self.positions!r}; valid: {', '.join(POSITIONS)}"
            )
        if self.positions == "sinusoidal" and self.width % 2:
            raise ValueError(
                f"sinusoidal positions need an even width, got {self.width}"
            )
        check_special_tokens(self.vocabulary, self.pad, self.bos, self.eos)


def check_special_tokens(vocabulary: int, pad: int, bos: int, eos: int) -> None:
    """Check that pad, bos and eos are three different tokens of the vocabulary.

    Args:
        vocabulary: number of tokens.
        pad: token that fills the end of short sequences.
        bos: token before the first one of a target.
        eos: token after the last one of a target.

    Raises:
        ValueError: if two of them are equal or one is outside the vocabulary.
    """
    if len({pad, bos, eos}) < 3 or not all(
        0 <= t < vocabulary for t in (pad, bos, eos)
    ):
        raise ValueError(
            f"pad, bos and eos must be three different tokens below vocabulary = "
            f"{vocabulary}, got {pad}, {bos}, {eos}"
        )


class FeedForward(nn.Module):
    """max(0, x W_1 + b_1) W_2 + b_2 at each position, equation (2).

    Args:
        width: d_model, of inputs and outputs.
        hidden: d_ff, between the two maps.
    """

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.inner = nn.Linear(width, hidden)
        self.outer = nn.Linear(hidden, width)

    def forward(
        self, x: Float[Tensor, "batch time width"]
    ) -> Float[Tensor, "batch time width"]:
        """Return the result of the same map at each position.

        Args:
            x: one vector per position.
        """
        return self.outer(self.inner(x).relu())


class Residual(nn.Module):
    """The connection around a sub-layer: LN(x + Drop(Sub(x))), or x + Drop(Sub(LN(x))).

    Args:
        width: d_model.
        dropout: probability of dropping a unit, in [0, 1).
        norm: "pre" for the second formula, else the first.
    """

    def __init__(self, width: int, dropout: float, norm: str):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.pre = norm == "pre"

    def forward(
        self, x: Float[Tensor, "batch time width"], sublayer: Callable[[Tensor], Tensor]
    ) -> Float[Tensor, "batch time width"]:
        """Return the sub-layer's result with the connection around it.

        Args:
            x: input of the sub-layer.
            sublayer: Sub, any map that keeps the shape.
        """
        if self.pre:
            return x + self.dropout(sublayer(self.norm(x)))
        return self.norm(x + self.dropout(sublayer(x)))


def _attention(config: TransformerConfig) -> MultiHeadAttention:
    return MultiHeadAttention(
        config.width,
        config.heads,
        key_width=config.key_width,
        scaled=config.scaled,
        fused=config.fused,
    )


def _residuals(config: TransformerConfig, count: int) -> nn.ModuleList:
    return nn.ModuleList(
        Residual(config.width, config.dropout, config.norm) for _ in range(count)
    )


class EncoderLayer(nn.Module):
    """Self-attention, then feed-forward (section 3.1).

    Args:
        config: sizes, norm and dropout.
    """

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.self_attention = _attention(config)
        self.feed_forward = FeedForward(config.width, config.hidden)
        self.residuals = _residuals(config, 2)

    def forward(
        self,
        x: Float[Tensor, "batch source width"],
        mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "batch source width"]:
        """Return the layer's output, one vector per source position.

        Args:
            x: one vector per source position.
            mask: which positions may be attended to; None allows all.
        """
        x = self.residuals[0](x, lambda y: self.self_attention(y, y, mask))
        return self.residuals[1](x, self.feed_forward)


class DecoderLayer(nn.Module):
    """Masked self-attention, attention over the source, feed-forward (section 3.1).

    Args:
        config: sizes, norm and dropout.
    """

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.self_attention = _attention(config)
        self.cross_attention = _attention(config)
        self.feed_forward = FeedForward(config.width, config.hidden)
        self.residuals = _residuals(config, 3)

    def forward(
        self,
        x: Float[Tensor, "batch time width"],
        memory: Float[Tensor, "batch source width"],
        mask: Bool[Tensor, "..."] | None = None,
        memory_mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "batch time width"]:
        """Return the layer's output for all target positions at once.

        Args:
            x: one vector per target position.
            memory: the encoder's output.
            mask: must hide the future (`causal_mask`).
            memory_mask: which source positions may be attended to; None allows all.
        """
        x = self.residuals[0](x, lambda y: self.self_attention(y, y, mask))
        x = self.residuals[1](x, lambda y: self.cross_attention(y, memory, memory_mask))
        return self.residuals[2](x, self.feed_forward)

    def start(self, memory: Float[Tensor, "batch source width"]) -> AttentionCache:
        """Return the cache before the first target token: only the projected source.

        Args:
            memory: the encoder's output.
        """
        memory_keys, memory_values = self.cross_attention.project(memory)
        return AttentionCache(
            memory_keys[:, :, :0], memory_values[:, :, :0], memory_keys, memory_values
        )

    def step(
        self,
        x: Float[Tensor, "batch 1 width"],
        cache: AttentionCache,
        memory_mask: Bool[Tensor, "..."] | None = None,
    ) -> tuple[Float[Tensor, "batch 1 width"], AttentionCache]:
        """Return the output at one target position, and the cache that now includes it.

        No mask of the future is needed: there is none yet.

        Args:
            x: the vector of the new position.
            cache: keys and values of the positions before it.
            memory_mask: which source positions may be attended to; None allows all.
        """

        def attend_to_past(y: Tensor) -> Tensor:
            nonlocal cache
            cache = cache.append(*self.self_attention.project(y))
            return self.self_attention.attend(y, cache.keys, cache.values)

        def attend_to_source(y: Tensor) -> Tensor:
            return self.cross_attention.attend(
                y, cache.memory_keys, cache.memory_values, memory_mask
            )

        x = self.residuals[0](x, attend_to_past)
        x = self.residuals[1](x, attend_to_source)
        return self.residuals[2](x, self.feed_forward), cache


@dataclass(frozen=True)
class TransformerState:
    """What decoding one more token needs.

    Attributes:
        caches: one per decoder layer.
        memory_mask: True at the real tokens of the source.
        position: of the next target token, from 0.
    """

    caches: tuple[AttentionCache, ...]
    memory_mask: Bool[Tensor, "batch 1 1 source"]
    position: int

    def reorder(self, index: Int[Tensor, " rows"]) -> "TransformerState":
        """Return the rows picked by `index`, as beam search needs them.

        Args:
            index: row numbers; a row may be picked several times, or not at all.
        """
        caches = tuple(cache.reorder(index) for cache in self.caches)
        return TransformerState(caches, self.memory_mask[index], self.position)


class Transformer(nn.Module):
    """The encoder-decoder with one embedding matrix E for source, target and output.

    Inputs are E[token] sqrt(d) + position, then dropout; logits are x E^T (section
    3.4). E is drawn from N(0, 1/d), so that scaled inputs and logits both start with
    variance about 1; the other matrices are Glorot-uniform, biases zero. Learned
    positions (one table for both stacks) start as N(0, 1/2): 1/2 is the mean square of
    the sinusoids.

    Args:
        config: sizes and variants.
        generator: draws the initial weights; None uses PyTorch's global stream, which
            dropout always uses, as in `nn.Dropout`.

    Examples:
        >>> config = TransformerConfig(13, width=16, layers=1, heads=2, hidden=32)
        >>> network = Transformer(config, torch.Generator().manual_seed(0))
        >>> source, target_in = torch.tensor([[3, 4, 5]]), torch.tensor([[1, 5]])
        >>> network(source, target_in).shape
        torch.Size([1, 2, 13])
    """

    def __init__(
        self, config: TransformerConfig, generator: torch.Generator | None = None
    ):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.layers))
        # Pre-norm leaves the last sum unnormalised, hence one more norm; post-norm does
        # not.
        final_norm = nn.LayerNorm if config.norm == "pre" else nn.Identity
        self.encoder_norm = final_norm(config.width)
        self.decoder_norm = final_norm(config.width)
        table = torch.zeros(config.max_length, config.width)
        if config.positions == "learned":
            self.positions = nn.Parameter(table)
        else:
            if config.positions == "sinusoidal":
                table = sinusoidal_positions(config.max_length, config.width).to(
                    table.dtype
                )
            self.register_buffer("positions", table, persistent=False)
        self._initialise(generator)

    def _initialise(self, generator: torch.Generator | None) -> None:
        for name, parameter in self.named_parameters():
            if name == "embedding.weight":
                nn.init.normal_(
                    parameter, std=self.config.width**-0.5, generator=generator
                )
            elif name == "positions":
                nn.init.normal_(parameter, std=0.5**0.5, generator=generator)
            elif parameter.dim() == 2:
                nn.init.xavier_uniform_(parameter, generator=generator)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(
        self, source: Int[Tensor, "batch source"], target_in: Int[Tensor, "batch time"]
    ) -> Float[Tensor, "batch time vocabulary"]:
        """Return the logits of the token after each prefix of `target_in`.

        Args:
            source: source tokens, padded at the end.
            target_in: target tokens, bos first.

        Raises:
            ValueError: if a sequence is longer than `max_length`.
        """
        return self.logits(self.decode(target_in, self.encode(source), source))

    def embed(
        self, tokens: Int[Tensor, "batch time"], first: int = 0
    ) -> Float[Tensor, "batch time width"]:
        """Return the embeddings of tokens that stand at positions first, first + 1, ...

        Args:
            tokens: token ids.
            first: position of the first token, from 0.

        Raises:
            ValueError: if a sequence is longer than `max_length`.
        """
        last = first + tokens.shape[1]
        if last > self.config.max_length:
            raise ValueError(
                f"sequence of {last} tokens, but max_length is {self.config.max_length}"
            )
        x = (
            self.embedding(tokens) * math.sqrt(self.config.width)
            + self.positions[first:last]
        )
        return self.dropout(x)

    def encode(
        self, source: Int[Tensor, "batch source"]
    ) -> Float[Tensor, "batch source width"]:
        """Return the encoder's output ("memory"), meaningless at padded positions.

        Args:
            source: source tokens, padded at the end.

        Raises:
            ValueError: if a sequence is longer than `max_length`.
        """
        x, mask = self.embed(source), padding_mask(source, self.config.pad)
        for layer in self.encoder:
            x = layer(x, mask)
        return self.encoder_norm(x)

    def decode(
        self,
        target_in: Int[Tensor, "batch time"],
        memory: Float[Tensor, "batch source width"],
        source: Int[Tensor, "batch source"],
    ) -> Float[Tensor, "batch time width"]:
        """Return the decoder's output before the projection to logits.

        All positions are computed in parallel. Padding at the end of `target_in` needs
        no mask of its own: the causal mask already hides it from every real position.

        Args:
            target_in: target tokens, bos first.
            memory: the encoder's output.
            source: source tokens, from which the mask of `memory` is made.

        Raises:
            ValueError: if a sequence is longer than `max_length`.
        """
        x, mask = (
            self.embed(target_in),
            causal_mask(target_in.shape[1], target_in.device),
        )
        memory_mask = padding_mask(source, self.config.pad)
        for layer in self.decoder:
            x = layer(x, memory, mask, memory_mask)
        return self.decoder_norm(x)

    def logits(
        self, x: Float[Tensor, "*batch width"]
    ) -> Float[Tensor, "*batch vocabulary"]:
        """Return x E^T, with the same E that embeds the inputs.

        Args:
            x: output of the decoder.
        """
        return x @ self.embedding.weight.T

    def start(self, source: Int[Tensor, "batch source"]) -> TransformerState:
        """Return the state before the first target token: the encoded source.

        Args:
            source: source tokens, padded at the end.

        Raises:
            ValueError: if a sequence is longer than `max_length`.
        """
        memory = self.encode(source)
        caches = tuple(layer.start(memory) for layer in self.decoder)
        return TransformerState(caches, padding_mask(source, self.config.pad), 0)

    def step(
        self, tokens: Int[Tensor, " batch"], state: TransformerState
    ) -> tuple[Float[Tensor, "batch vocabulary"], TransformerState]:
        """Feed one target token (bos first) to the decoder.

        Args:
            tokens: one token per row.
            state: from `start`, or from the previous step.

        Returns:
            The logits of the next token, and the new state.

        Raises:
            ValueError: if a sequence is longer than `max_length`.
        """
        x, caches = self.embed(tokens[:, None], state.position), []
        for layer, cache in zip(self.decoder, state.caches, strict=True):
            x, cache = layer.step(x, cache, state.memory_mask)
            caches.append(cache)
        x = self.decoder_norm(x)
        state = TransformerState(tuple(caches), state.memory_mask, state.position + 1)
        return self.logits(x[:, 0]), state


def parameter_count(model: nn.Module) -> int:
    """Return the number of trained numbers; a shared matrix counts once.

    Args:
        model: any module.
    """
    return sum(parameter.numel() for parameter in model.parameters())


def closed_form_parameter_count(config: TransformerConfig) -> int:
    """Return the parameter count of `Transformer(config)` from its settings alone.

    With d_k = d_v = d / h, post-norm and sinusoids this is the well-known
    V d + N (4 d^2 + 2 d d_ff + d_ff + d + 4 d) + N (8 d^2 + 2 d d_ff + d_ff + d + 6 d).

    Args:
        config: sizes and variants.
    """
    d, hidden = config.width, config.hidden
    key_width = config.key_width or d // config.heads
    attention = 2 * d * config.heads * key_width + 2 * d * d
    feed_forward = 2 * d * hidden + hidden + d
    encoder = attention + feed_forward + 2 * 2 * d
    decoder = 2 * attention + feed_forward + 3 * 2 * d
    final_norms = 2 * 2 * d if config.norm == "pre" else 0
    positions = config.max_length * d if config.positions == "learned" else 0
    return (
        config.vocabulary * d
        + config.layers * (encoder + decoder)
        + final_norms
        + positions
    )


def label_smoothed_loss(
    logits: Float[Tensor, "*batch vocabulary"],
    target: Int[Tensor, "*batch"],
    smoothing: float,
    pad: int,
) -> Float[Tensor, ""]:
    """Return the mean cross-entropy to the smoothed target, in nats per real token.

    The target distribution (section 5.4) is 1 - smoothing on the right token plus
    smoothing / V on every token, the right one included (PyTorch's convention; the
    authors' code spreads it over V - 1 tokens). With smoothing 0 this is the negative
    log-likelihood, whose exponential is the perplexity.

    Args:
        logits: unnormalised log-probabilities of the V tokens.
        target: the right tokens.
        smoothing: in [0, 1].
        pad: target token that does not count; a batch that is all padding gives NaN.

    Examples:
        >>> logits, target = torch.zeros(3, 8), torch.tensor([5, 2, 0])
        >>> loss = label_smoothed_loss(logits, target, smoothing=0.1, pad=0)
        >>> round(float(loss.exp()), 3)  # as uncertain as among 8 equal choices
        8.0
    """
    log_p = logits.log_softmax(-1)
    right = log_p.gather(-1, target[..., None])[..., 0]
    loss = -(1 - smoothing) * right - smoothing * log_p.mean(-1)
    keep = target != pad
    return (loss * keep).sum() / keep.sum()


def warmup_schedule(step: int, width: int, warmup: int = 4000) -> float:
    """Return the learning rate d^(-1/2) min(s^(-1/2), s w^(-3/2)), equation (3).

    Args:
        step: s, counted from 1.
        width: d, the model's width.
        warmup: w, the step at which the rate is highest.

    Raises:
        ValueError: if `step` or `warmup` is below 1.

    Examples:
        >>> peak = warmup_schedule(4000, width=512)
        >>> f"{peak:.0e}"
        '7e-04'
        >>> [round(warmup_schedule(s, 512) / peak, 3) for s in (1000, 4000, 16000)]
        [0.25, 1.0, 0.5]
    """
    if step < 1 or warmup < 1:
        raise ValueError(
            f"step and warmup count from 1, got step {step}, warmup {warmup}"
        )
    return width**-0.5 * min(step**-0.5, step * warmup**-1.5)


def average_checkpoints(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the element-wise mean of state dictionaries.

    Section 6.1 averages the last 5 or 20.

    Args:
        states: dictionaries with the same names and shapes.

    Raises:
        ValueError: if there is none, or if their names differ.
    """
    if not states:
        raise ValueError("no checkpoints to average")
    if any(state.keys() != states[0].keys() for state in states):
        raise ValueError("the checkpoints do not have the same parameter names")
    return {name: torch.stack([s[name] for s in states]).mean(0) for name in states[0]}
