"""Timings of the Transformer chapter, as ratios: `python -m benchmarks.transformer`.

Each ratio compares two ways side by side in one process: after a warm-up they take turns, so that
a slower minute of the machine hits both. The ratios that a claim asks for go to the ledger, with
all rows behind them; `--print-only` leaves the ledger alone. Numbers of threads are set here and
printed; the environment's OMP_NUM_THREADS does not matter.
"""

import os
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.ratios import Measured, Ratio, in_turn, report
from src.foundations.transformer.attention import (
    causal_mask,
    padding_mask,
    scaled_dot_product_attention,
)
from src.foundations.transformer.decoding import greedy
from src.foundations.transformer.layers import EncoderLayer, TransformerConfig
from src.foundations.transformer.model import Transformer, parameter_count
from src.foundations.transformer.recurrent import RecurrentConfig, RecurrentTranslator, match_width
from src.foundations.transformer.training import label_smoothed_loss

CHAPTER, PAPER = "foundations/transformer", "transformer"
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
# The model that the chapter's cpu profile trains on Multi30k, and its batches of 2,000 tokens.
TEXT = TransformerConfig(4000, width=128, layers=2, heads=4, hidden=512, max_length=128)
TOKENS = 2000


def random_pairs(config: TransformerConfig, batch: int, length: int) -> tuple[Tensor, Tensor]:
    """Source and target of real tokens, no padding: every token costs and counts."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(3, config.vocabulary, (2, batch, length), generator=generator)
    return tokens[0], tokens[1]


def training_step(model: nn.Module, source: Tensor, target: Tensor) -> Callable[[], None]:
    """One whole update: forward, smoothed loss, backward, Adam."""
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-9)
    target_in = F.pad(target[:, :-1], (1, 0), value=model.config.bos)

    def step() -> None:
        optimiser.zero_grad()
        label_smoothed_loss(model(source, target_in), target, 0.1, model.config.pad).backward()
        optimiser.step()

    return step


def training(length: int, threads: int) -> Ratio:
    """Target tokens a second in training: the Transformer against the recurrent model."""
    torch.set_num_threads(threads)
    batch = TOKENS // length
    source, target = random_pairs(TEXT, batch, length)
    ours = Transformer(TEXT, torch.Generator().manual_seed(1))
    like = RecurrentConfig(TEXT.vocabulary, layers=TEXT.layers, dropout=TEXT.dropout)
    rival = RecurrentTranslator(match_width(like, parameter_count(ours)))
    steps = training_step(ours, source, target), training_step(rival, source, target)
    rows = [(target.numel() / a, target.numel() / b) for a, b in in_turn(steps)]
    return Ratio(
        "training tokens/s, Transformer / recurrent",
        rows,
        f"{batch} pairs of {length} tokens, width {TEXT.width}, {TEXT.layers} layers a stack, "
        f"{parameter_count(ours):,} and {parameter_count(rival):,} parameters, threads: {threads}",
    )


def decoding(length: int = 128, batch: int = 8) -> Ratio:
    """Seconds of greedy decoding, without the cache against with it; no row may end early."""
    torch.set_num_threads(1)
    model = Transformer(TEXT, torch.Generator().manual_seed(1)).eval()
    source, _ = random_pairs(TEXT, batch, length)
    plain_logits = model.logits

    def endless(x: Tensor) -> Tensor:
        logits = plain_logits(x)
        logits[..., TEXT.eos] = -torch.inf
        return logits

    model.logits = endless
    rows = in_turn(
        [lambda: greedy(model, source, length, cached=False), lambda: greedy(model, source, length)]
    )
    return Ratio(
        "decoding seconds, without / with cache",
        rows,
        f"{batch} sources and outputs of {length} tokens, width {TEXT.width}, "
        f"{TEXT.layers} layers a stack, greedy, threads: 1",
    )


def attention(batch: int, heads: int, length: int, width: int, mask: str) -> Ratio:
    """Seconds of one forward and backward pass of attention, ours against PyTorch's kernel.

    Query, key, value and the gradient lie in memory as they do inside a model: (batch, time, heads,
    width) seen as (batch, heads, time, width).
    """
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    query, key, value, gradient = (
        torch.randn(batch, length, heads, width, generator=generator).transpose(1, 2)
        for _ in range(4)
    )
    inputs = [x.requires_grad_() for x in (query, key, value)]
    lengths = torch.randint(length // 2, length + 1, (batch, 1), generator=generator)
    padded = padding_mask((torch.arange(length) < lengths).long(), pad=0)
    allowed = {"causal": causal_mask(length), "padding": padded}[mask]

    def ours() -> tuple[Tensor, ...]:
        output, _ = scaled_dot_product_attention(*inputs, allowed)
        return torch.autograd.grad(output, inputs, gradient)

    def theirs() -> tuple[Tensor, ...]:
        output = F.scaled_dot_product_attention(*inputs, allowed)
        return torch.autograd.grad(output, inputs, gradient)

    return Ratio(
        "attention seconds, ours / PyTorch's kernel",
        in_turn([ours, theirs]),
        f"batch {batch}, {heads} heads, length {length}, d_k {width}, {mask} mask, threads: 1",
    )


def encoder_layer(train: bool) -> Ratio:
    """Seconds of one encoder layer, ours against `nn.TransformerEncoderLayer`."""
    torch.set_num_threads(1)
    length = 24
    x = torch.randn(TOKENS // length, length, TEXT.width, requires_grad=train)
    keep = torch.ones(len(x), length, dtype=torch.bool)
    keep[: len(x) // 2, length // 2 :] = False
    ours = EncoderLayer(TEXT).train(train)
    theirs = nn.TransformerEncoderLayer(
        TEXT.width, TEXT.heads, TEXT.hidden, TEXT.dropout, batch_first=True
    ).train(train)

    def run(layer: Callable[[], Tensor]) -> Callable[[], None]:
        def step() -> None:
            if train:
                layer().mean().backward()
            else:
                with torch.no_grad():
                    layer()

        return step

    rows = in_turn(
        [
            run(lambda: ours(x, keep[:, None, None])),
            run(lambda: theirs(x, src_key_padding_mask=~keep)),
        ]
    )
    how = "forward and backward" if train else "forward, no gradient"
    return Ratio(
        "encoder layer seconds, ours / nn.TransformerEncoderLayer",
        rows,
        f"{how}, batch {len(x)}, length {length}, width {TEXT.width}, padding, threads: 1",
    )


def measurements() -> Iterator[Measured]:
    """(claim or None, peer, ratio) one after another; rows of one claim are judged together."""
    recurrent = "GRU encoder-decoder with additive attention (this book's)"
    # The claim is about parallel work, hence all cores; a sentence of the paper's data has some 24
    # words.
    yield "C2d", recurrent, training(length=24, threads=CORES)
    yield None, recurrent, training(length=96, threads=CORES)
    yield None, recurrent, training(length=24, threads=1)
    yield None, recurrent, training(length=96, threads=1)
    yield "C11", "the same model without a cache", decoding()
    # The chapter's own sizes: strings of 8 and 24 symbols, and text. Then two longer ones: beyond
    # some hundred positions our (time x source) matrix no longer fits into the processor's cache,
    # and the kernel, which never stores it whole, wins.
    kernel = f"F.scaled_dot_product_attention of PyTorch {torch.__version__}"
    for batch, length, width in ((32, 10, 8), (32, 26, 8), (TOKENS // 24, 24, 32)):
        for mask in ("causal", "padding"):
            yield "C12", kernel, attention(batch, 4, length, width, mask)
    for batch, length in ((8, 128), (2, 512)):
        yield None, kernel, attention(batch, 8, length, 64, "causal")
    for train in (True, False):
        yield (
            None,
            f"nn.TransformerEncoderLayer of PyTorch {torch.__version__}",
            encoder_layer(train),
        )


if __name__ == "__main__":
    report(CHAPTER, PAPER, "Timings of the Transformer chapter.", measurements())
