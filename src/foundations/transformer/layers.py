"""The settings of a Transformer, and its layers (Vaswani et al. 2017, section 3).

Attention, masks and positions are in `src.foundations.transformer.attention`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor, nn

from src.foundations.transformer.attention import AttentionCache, MultiHeadAttention

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


def check_tokens(tokens: Tensor, vocabulary: int) -> None:
    """Check that token ids are in the vocabulary.

    On a GPU they are not looked at, because the processor would wait for them.

    Args:
        tokens: token ids.
        vocabulary: number of tokens.

    Raises:
        ValueError: for an id outside 0 ... vocabulary - 1.
    """
    if tokens.device.type != "cpu" or not tokens.numel():
        return
    low, high = (int(end) for end in tokens.aminmax())
    if not 0 <= low <= high < vocabulary:
        raise ValueError(
            f"token ids lie in 0 ... {vocabulary - 1}, not {low} ... {high}: is this "
            "another tokenizer's text?"
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
