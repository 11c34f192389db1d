"""The Transformer of "Attention Is All You Need" (Vaswani et al. 2017), encoder and decoder.

Attention, masks and positions are in `src.foundations.transformer.attention`; greedy and beam
decoding in `src.foundations.transformer.decoding`. Tokens are integers; source and target share one
vocabulary.
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
    """Settings; the defaults are the paper's base model (Table 3) for the given vocabulary size.

    `width` is d_model, `hidden` d_ff, `layers` N (so many encoder and so many decoder layers),
    `key_width` d_k (default width / heads; d_v is always width / heads, as in Table 3, rows B).
    `norm="post"` is the paper's; "pre" normalises the input of each sub-layer instead and adds one
    norm at the end of each stack. `scaled=False` leaves out 1/sqrt(d_k). `fused=True` uses
    PyTorch's attention kernel. Raises ValueError for settings that make no model.
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
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.key_width is not None and self.key_width < 1:
            raise ValueError(f"key_width must be at least 1 or None, got {self.key_width}")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if self.norm not in NORMS:
            raise ValueError(f"unknown norm {self.norm!r}; valid: {', '.join(NORMS)}")
        if self.positions not in POSITIONS:
            raise ValueError(f"unknown positions {self.positions!r}; valid: {', '.join(POSITIONS)}")
        if self.positions == "sinusoidal" and self.width % 2:
            raise ValueError(f"sinusoidal positions need an even width, got {self.width}")
        check_special_tokens(self.vocabulary, self.pad, self.bos, self.eos)


def check_special_tokens(vocabulary: int, pad: int, bos: int, eos: int) -> None:
    """Raises ValueError unless pad, bos and eos are three different tokens of the vocabulary."""
    if len({pad, bos, eos}) < 3 or not all(0 <= t < vocabulary for t in (pad, bos, eos)):
        raise ValueError(
            f"pad, bos and eos must be three different tokens below vocabulary = {vocabulary}, "
            f"got {pad}, {bos}, {eos}"
        )


class FeedForward(nn.Module):
    """max(0, x W_1 + b_1) W_2 + b_2 at each position, equation (2)."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.inner = nn.Linear(width, hidden)
        self.outer = nn.Linear(hidden, width)

    def forward(self, x: Float[Tensor, "batch time width"]) -> Float[Tensor, "batch time width"]:
        """The same map at each position."""
        return self.outer(self.inner(x).relu())


class Residual(nn.Module):
    """The connection around a sub-layer: LN(x + Drop(Sub(x))), or x + Drop(Sub(LN(x))) (pre)."""

    def __init__(self, width: int, dropout: float, norm: str):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.pre = norm == "pre"

    def forward(
        self, x: Float[Tensor, "batch time width"], sublayer: Callable[[Tensor], Tensor]
    ) -> Float[Tensor, "batch time width"]:
        """`sublayer` is Sub: any map that keeps the shape."""
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
    return nn.ModuleList(Residual(config.width, config.dropout, config.norm) for _ in range(count))


class EncoderLayer(nn.Module):
    """Self-attention, then feed-forward (section 3.1)."""

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
        """Every position attends to every position that `mask` allows."""
        x = self.residuals[0](x, lambda y: self.self_attention(y, y, mask))
        return self.residuals[1](x, self.feed_forward)


class DecoderLayer(nn.Module):
    """Masked self-attention, attention over the encoder's output, feed-forward (section 3.1)."""

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
        """All target positions at once; `mask` must hide the future (`causal_mask`)."""
        x = self.residuals[0](x, lambda y: self.self_attention(y, y, mask))
        x = self.residuals[1](x, lambda y: self.cross_attention(y, memory, memory_mask))
        return self.residuals[2](x, self.feed_forward)

    def start(self, memory: Float[Tensor, "batch source width"]) -> AttentionCache:
        """An empty target and the projected source."""
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
        """One target position, given the cached ones: no mask needed, there is no future yet."""

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
    """What decoding one more token needs: a cache per layer, the source mask, the position."""

    caches: tuple[AttentionCache, ...]
    memory_mask: Bool[Tensor, "batch 1 1 source"]
    position: int

    def reorder(self, index: Int[Tensor, " rows"]) -> "TransformerState":
        """Rows picked by `index` (with repeats)."""
        caches = tuple(cache.reorder(index) for cache in self.caches)
        return TransformerState(caches, self.memory_mask[index], self.position)


class Transformer(nn.Module):
    """The encoder-decoder with one embedding matrix E for source, target and output (section 3.4).

    Inputs are E[token] sqrt(d) + position, then dropout; logits are x E^T. E is drawn from
    N(0, 1/d), so that scaled inputs and logits both start with variance about 1; the other
    matrices are Glorot-uniform, biases zero. Learned positions (one table for both stacks) start
    as N(0, 1/2), the mean square of the sinusoids. `generator` draws the initial weights; dropout
    uses PyTorch's global stream, as `nn.Dropout` always does.
    """

    def __init__(self, config: TransformerConfig, generator: torch.Generator | None = None):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.layers))
        # Pre-norm leaves the last sum unnormalised, hence one more norm; post-norm has none.
        final_norm = nn.LayerNorm if config.norm == "pre" else nn.Identity
        self.encoder_norm = final_norm(config.width)
        self.decoder_norm = final_norm(config.width)
        table = torch.zeros(config.max_length, config.width)
        if config.positions == "learned":
            self.positions = nn.Parameter(table)
        else:
            if config.positions == "sinusoidal":
                table = sinusoidal_positions(config.max_length, config.width).to(table.dtype)
            self.register_buffer("positions", table, persistent=False)
        self._initialise(generator)

    def _initialise(self, generator: torch.Generator | None) -> None:
        for name, parameter in self.named_parameters():
            if name == "embedding.weight":
                nn.init.normal_(parameter, std=self.config.width**-0.5, generator=generator)
            elif name == "positions":
                nn.init.normal_(parameter, std=0.5**0.5, generator=generator)
            elif parameter.dim() == 2:
                nn.init.xavier_uniform_(parameter, generator=generator)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(
        self, source: Int[Tensor, "batch source"], target_in: Int[Tensor, "batch time"]
    ) -> Float[Tensor, "batch time vocabulary"]:
        """Logits of the token after each prefix of `target_in` (which begins with bos)."""
        return self.logits(self.decode(target_in, self.encode(source), source))

    def embed(
        self, tokens: Int[Tensor, "batch time"], first: int = 0
    ) -> Float[Tensor, "batch time width"]:
        """Embeddings of tokens that stand at positions first, first + 1, ..."""
        last = first + tokens.shape[1]
        if last > self.config.max_length:
            raise ValueError(
                f"sequence of {last} tokens, but max_length is {self.config.max_length}"
            )
        x = self.embedding(tokens) * math.sqrt(self.config.width) + self.positions[first:last]
        return self.dropout(x)

    def encode(self, source: Int[Tensor, "batch source"]) -> Float[Tensor, "batch source width"]:
        """The encoder's output ("memory"); rows at padded positions are meaningless."""
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
        """The decoder's output before the projection to logits, all positions in parallel.

        Padding at the end of `target_in` needs no mask of its own: the causal mask already hides
        it from every real position.
        """
        x, mask = self.embed(target_in), causal_mask(target_in.shape[1], target_in.device)
        memory_mask = padding_mask(source, self.config.pad)
        for layer in self.decoder:
            x = layer(x, memory, mask, memory_mask)
        return self.decoder_norm(x)

    def logits(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch vocabulary"]:
        """x E^T, with the same E that embeds the inputs."""
        return x @ self.embedding.weight.T

    def start(self, source: Int[Tensor, "batch source"]) -> TransformerState:
        """The state before the first target token: the source, encoded and projected once."""
        memory = self.encode(source)
        caches = tuple(layer.start(memory) for layer in self.decoder)
        return TransformerState(caches, padding_mask(source, self.config.pad), 0)

    def step(
        self, tokens: Int[Tensor, " batch"], state: TransformerState
    ) -> tuple[Float[Tensor, "batch vocabulary"], TransformerState]:
        """Feeds one target token (bos first); gives the next one's logits and the new state."""
        x, caches = self.embed(tokens[:, None], state.position), []
        for layer, cache in zip(self.decoder, state.caches, strict=True):
            x, cache = layer.step(x, cache, state.memory_mask)
            caches.append(cache)
        x = self.decoder_norm(x)
        state = TransformerState(tuple(caches), state.memory_mask, state.position + 1)
        return self.logits(x[:, 0]), state


def parameter_count(model: nn.Module) -> int:
    """Number of trained numbers; a matrix used in several places counts once."""
    return sum(parameter.numel() for parameter in model.parameters())


def closed_form_parameter_count(config: TransformerConfig) -> int:
    """The same number for `Transformer(config)` from its settings alone.

    With d_k = d_v = d / h, post-norm and sinusoids this is the well-known
    V d + N (4 d^2 + 2 d d_ff + d_ff + d + 4 d) + N (8 d^2 + 2 d d_ff + d_ff + d + 6 d).
    """
    d, hidden = config.width, config.hidden
    key_width = config.key_width or d // config.heads
    attention = 2 * d * config.heads * key_width + 2 * d * d
    feed_forward = 2 * d * hidden + hidden + d
    encoder = attention + feed_forward + 2 * 2 * d
    decoder = 2 * attention + feed_forward + 3 * 2 * d
    final_norms = 2 * 2 * d if config.norm == "pre" else 0
    positions = config.max_length * d if config.positions == "learned" else 0
    return config.vocabulary * d + config.layers * (encoder + decoder) + final_norms + positions


def label_smoothed_loss(
    logits: Float[Tensor, "*batch vocabulary"],
    target: Int[Tensor, "*batch"],
    smoothing: float,
    pad: int,
) -> Float[Tensor, ""]:
    """Cross-entropy to the smoothed target, in nats, averaged over the tokens that are not `pad`.

    The target distribution is 1 - smoothing on the right token plus smoothing / V on every token,
    the right one included (PyTorch's convention; the authors' code spreads it over V - 1 tokens).
    With smoothing 0 this is the negative log-likelihood, whose exponential is the perplexity.
    A batch that is all padding gives NaN.
    """
    log_p = logits.log_softmax(-1)
    right = log_p.gather(-1, target[..., None])[..., 0]
    loss = -(1 - smoothing) * right - smoothing * log_p.mean(-1)
    keep = target != pad
    return (loss * keep).sum() / keep.sum()


def warmup_schedule(step: int, width: int, warmup: int = 4000) -> float:
    """Learning rate d^(-1/2) min(s^(-1/2), s w^(-3/2)), equation (3); steps count from 1."""
    if step < 1 or warmup < 1:
        raise ValueError(f"step and warmup count from 1, got step {step}, warmup {warmup}")
    return width**-0.5 * min(step**-0.5, step * warmup**-1.5)


def average_checkpoints(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Element-wise mean of state dictionaries (section 6.1 averages the last 5 or 20).

    Raises ValueError when there is none or when their names differ.
    """
    if not states:
        raise ValueError("no checkpoints to average")
    if any(state.keys() != states[0].keys() for state in states):
        raise ValueError("the checkpoints do not have the same parameter names")
    return {name: torch.stack([s[name] for s in states]).mean(0) for name in states[0]}
