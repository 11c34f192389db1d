"""The baseline: a recurrent translator with additive attention (Bahdanau et al. 2015).

It has the interface of `src.foundations.transformer.model.Transformer`, so that one
training loop and one decoder serve both. Every inner vector (embedding, state of each
direction, attention) has the same `width`.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from src.common.checks import checked
from src.foundations.transformer.layers import check_special_tokens, check_tokens


@dataclass(frozen=True)
class RecurrentConfig:
    """Settings of the recurrent translator.

    Attributes:
        vocabulary: number of tokens.
        width: size of every inner vector.
        layers: GRU layers in the encoder (each in two directions) and in the decoder.
        dropout: probability of dropping a unit, in [0, 1).
        pad: token that fills the end of short sequences.
        bos: token before the first one of a target.
        eos: token after the last one of a target.

    Raises:
        ValueError: for settings that make no model.
    """

    vocabulary: int
    width: int = 512
    layers: int = 1
    dropout: float = 0.1
    pad: int = 0
    bos: int = 1
    eos: int = 2

    def __post_init__(self):
        for name in ("vocabulary", "width", "layers"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, got {getattr(self, name)}"
                )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        check_special_tokens(self.vocabulary, self.pad, self.bos, self.eos)


class AdditiveAttention(nn.Module):
    """e_s = v^T tanh(W_s state + W_h h_s), context = sum_s softmax(e)_s h_s.

    Args:
        state_width: size of the decoder's state.
        memory_width: size of each h_s.
        width: size of the vectors inside tanh.
    """

    def __init__(self, state_width: int, memory_width: int, width: int):
        super().__init__()
        self.state = nn.Linear(state_width, width, bias=False)
        self.memory = nn.Linear(memory_width, width, bias=False)
        self.energy = nn.Linear(width, 1, bias=False)

    def forward(
        self,
        state: Float[Tensor, "batch state"],
        keys: Float[Tensor, "batch source width"],
        memory: Float[Tensor, "batch source memory"],
        mask: Bool[Tensor, "batch source"],
    ) -> tuple[Float[Tensor, "batch memory"], Float[Tensor, "batch source"]]:
        """Return the context and the weights.

        Args:
            state: the decoder's state.
            keys: W_h h_s, the same at every step of the decoder.
            memory: h_s, the encoder's output.
            mask: True at the real tokens of the source.
        """
        energy = self.energy((self.state(state)[:, None] + keys).tanh()).squeeze(-1)
        weights = energy.masked_fill(~mask, torch.finfo(energy.dtype).min).softmax(-1)
        return (weights[:, None] @ memory).squeeze(1), weights


@dataclass(frozen=True)
class RecurrentState:
    """What decoding one more token needs.

    Attributes:
        states: of the decoder, one per layer.
        memory: the encoder's output.
        keys: `memory` as the attention projects it.
        mask: True at the real tokens of the source.
    """

    states: tuple[Float[Tensor, "batch width"], ...]
    memory: Float[Tensor, "batch source memory"]
    keys: Float[Tensor, "batch source width"]
    mask: Bool[Tensor, "batch source"]

    def reorder(self, index: Int[Tensor, " rows"]) -> "RecurrentState":
        """Return the rows picked by `index`, as beam search needs them.

        Args:
            index: row numbers; a row may be picked several times, or not at all.
        """
        states = tuple(state[index] for state in self.states)
        return RecurrentState(
            states, self.memory[index], self.keys[index], self.mask[index]
        )


class RecurrentTranslator(nn.Module):
    """A GRU encoder in two directions and a GRU decoder with additive attention.

    With E the embedding, h_s = [forward; backward] the encoder's output and s_0 =
    tanh(W_0 of the backward state at the first token), step t of the decoder is, as in
    the paper,

        c_t = attention of s_{t-1} over h     (the previous state asks, not the new one)
        s_t = GRU([E y_{t-1}; c_t], s_{t-1})  (y_{t-1}: the true token while training)
        logits_t = E tanh(W_o [s_t; c_t; E y_{t-1}] + b_o)

    where tanh(W_o ...) stands in for the paper's maxout layer, so that E can be tied as
    in the Transformer. E is N(0, 1/d) and inputs are scaled by sqrt(d), also as there.
    The loop over t cannot be avoided: s_t needs s_{t-1}. Everything that does not
    depend on s (W_h h, the output layer, the logits) is computed for all positions at
    once.

    Args:
        config: sizes and special tokens.
        generator: draws the initial weights; None uses PyTorch's global stream, which
            dropout always uses, as in `nn.Dropout`.
    """

    def __init__(
        self, config: RecurrentConfig, generator: torch.Generator | None = None
    ):
        super().__init__()
        self.config = config
        width, layers = config.width, config.layers
        self.embedding = nn.Embedding(config.vocabulary, width)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = nn.GRU(
            width,
            width,
            layers,
            batch_first=True,
            bidirectional=True,
            dropout=config.dropout if layers > 1 else 0.0,
        )
        self.bridge = nn.Linear(width, layers * width)
        self.attention = AdditiveAttention(width, 2 * width, width)
        self.cells = nn.ModuleList(
            nn.GRUCell(3 * width if layer == 0 else width, width)
            for layer in range(layers)
        )
        self.output = nn.Linear(4 * width, width)
        self._initialise(generator)

    def _initialise(self, generator: torch.Generator | None) -> None:
        for name, parameter in self.named_parameters():
            if name == "embedding.weight":
                nn.init.normal_(
                    parameter, std=self.config.width**-0.5, generator=generator
                )
            elif parameter.dim() == 1:
                nn.init.zeros_(parameter)
            elif "weight_hh" in name:  # keeps the length of the state over many steps
                for gate in parameter.detach().chunk(3):
                    nn.init.orthogonal_(gate, generator=generator)
            else:
                nn.init.xavier_uniform_(parameter, generator=generator)

    @checked
    def forward(
        self, source: Int[Tensor, "batch source"], target_in: Int[Tensor, "batch time"]
    ) -> Float[Tensor, "batch time vocabulary"]:
        """Return the logits of the token after each prefix of `target_in`.

        Args:
            source: source tokens, padded at the end.
            target_in: target tokens, bos first.
        """
        return self.logits(self.decode(target_in, self.encode(source), source))

    def embed(self, tokens: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch width"]:
        """Return E[token] sqrt(d), with dropout.

        Args:
            tokens: token ids.
        """
        check_tokens(tokens, self.config.vocabulary)
        return self.dropout(self.embedding(tokens) * math.sqrt(self.config.width))

    def encode(
        self, source: Int[Tensor, "batch source"]
    ) -> Float[Tensor, "batch source memory"]:
        """Return the [forward; backward] states; both directions skip padding (zeros).

        Args:
            source: source tokens, padded at the end.
        """
        lengths = (source != self.config.pad).sum(1).clamp(min=1).cpu()
        packed = pack_padded_sequence(
            self.embed(source), lengths, batch_first=True, enforce_sorted=False
        )
        memory, _ = pad_packed_sequence(
            self.encoder(packed)[0], batch_first=True, total_length=source.shape[1]
        )
        return memory

    def decode(
        self,
        target_in: Int[Tensor, "batch time"],
        memory: Float[Tensor, "batch source memory"],
        source: Int[Tensor, "batch source"],
    ) -> Float[Tensor, "batch time width"]:
        """Return the decoder's output before the projection to logits.

        Args:
            target_in: target tokens, bos first.
            memory: the encoder's output.
            source: source tokens, from which the mask of `memory` is made.
        """
        state = self._state(memory, source)
        inputs = self.embed(target_in)
        states, contexts = [], []
        for embedded in inputs.unbind(1):
            context, state = self._advance(embedded, state)
            states.append(state.states[-1])
            contexts.append(context)
        return self._output(torch.stack(states, 1), torch.stack(contexts, 1), inputs)

    def logits(
        self, x: Float[Tensor, "*batch width"]
    ) -> Float[Tensor, "*batch vocabulary"]:
        """Return x E^T, with the same E that embeds the inputs.

        Args:
            x: output of the decoder.
        """
        return x @ self.embedding.weight.T

    def start(self, source: Int[Tensor, "batch source"]) -> RecurrentState:
        """Return the state before the first target token: the source, encoded once.

        Args:
            source: source tokens, padded at the end.
        """
        return self._state(self.encode(source), source)

    def step(
        self, tokens: Int[Tensor, " batch"], state: RecurrentState
    ) -> tuple[Float[Tensor, "batch vocabulary"], RecurrentState]:
        """Feed one target token (bos first) to the decoder.

        Args:
            tokens: one token per row.
            state: from `start`, or from the previous step.

        Returns:
            The logits of the next token, and the new state.
        """
        embedded = self.embed(tokens)
        context, state = self._advance(embedded, state)
        return self.logits(self._output(state.states[-1], context, embedded)), state

    def _state(self, memory: Tensor, source: Tensor) -> RecurrentState:
        backward_first = memory[:, 0, self.config.width :]
        states = self.bridge(backward_first).tanh().chunk(self.config.layers, dim=-1)
        mask = source != self.config.pad
        return RecurrentState(
            tuple(states), memory, self.attention.memory(memory), mask
        )

    def _advance(
        self, embedded: Float[Tensor, "batch width"], state: RecurrentState
    ) -> tuple[Float[Tensor, "batch memory"], RecurrentState]:
        context, _ = self.attention(
            state.states[-1], state.keys, state.memory, state.mask
        )
        x, states = torch.cat([embedded, context], dim=-1), []
        for layer, cell in enumerate(self.cells):
            states.append(
                cell(x if layer == 0 else self.dropout(x), state.states[layer])
            )
            x = states[-1]
        return context, replace(state, states=tuple(states))

    def _output(self, states: Tensor, contexts: Tensor, embedded: Tensor) -> Tensor:
        return self.dropout(
            self.output(torch.cat([states, contexts, embedded], dim=-1)).tanh()
        )


def recurrent_parameter_count(config: RecurrentConfig) -> int:
    """Return the size of `RecurrentTranslator(config)` from its settings alone.

    Args:
        config: sizes.
    """
    w, layers = config.width, config.layers
    # A GRU layer with n inputs has 3 w (n + w) weights and 6 w biases.
    encoder = 2 * (6 * w * w + 6 * w) + (layers - 1) * 2 * (9 * w * w + 6 * w)
    decoder = 12 * w * w + 6 * w + (layers - 1) * (6 * w * w + 6 * w)
    attention = w * w + 2 * w * w + w
    bridge = layers * (w * w + w)
    return (
        config.vocabulary * w + encoder + decoder + attention + bridge + 4 * w * w + w
    )


def match_width(config: RecurrentConfig, target_parameters: int) -> RecurrentConfig:
    """Return `config` with the width whose parameter count is nearest to a target.

    Args:
        config: all other settings.
        target_parameters: the wanted count.

    Raises:
        ValueError: if no width comes within 3 %. This happens for small targets: at
            width w, one step of width changes the count by a fraction of about 2 / w.
    """

    def count(width: int) -> int:
        return recurrent_parameter_count(replace(config, width=width))

    enough = 1 + bisect_left(range(1, target_parameters), target_parameters, key=count)
    width = min(
        (max(1, enough - 1), enough), key=lambda w: abs(count(w) - target_parameters)
    )
    if abs(count(width) - target_parameters) > 0.03 * target_parameters:
        raise ValueError(
            f"no width comes within 3 % of {target_parameters} parameters; "
            f"the nearest, {width}, has {count(width)}"
        )
    return replace(config, width=width)
