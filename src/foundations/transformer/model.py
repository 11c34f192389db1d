"""The Transformer of "Attention Is All You Need" (Vaswani et al. 2017).

Its layers are in `src.foundations.transformer.layers`, attention, masks and positions
in `src.foundations.transformer.attention`; greedy and beam decoding in
`src.foundations.transformer.decoding`. Tokens are integers; source and target share
one vocabulary.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from src.common.checks import checked
from src.foundations.transformer.attention import (
    AttentionCache,
    causal_mask,
    padding_mask,
    sinusoidal_positions,
)
from src.foundations.transformer.layers import (
    DecoderLayer,
    EncoderLayer,
    TransformerConfig,
    check_tokens,
)


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

    @checked
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
        check_tokens(tokens, self.config.vocabulary)
        x = (
            self.embedding(tokens) * math.sqrt(self.config.width)
            + self.positions[first:last]
        )
        return self.dropout(x)

    @checked
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

    @checked
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
