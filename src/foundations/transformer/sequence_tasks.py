"""Sequence-to-sequence problems with exact answers: copy, reverse and sort.

Every problem is made in code from a `torch.Generator`, so that a model's answer can be
compared with the one right answer, and fresh test data costs nothing.

Token ids: `PAD`, `BOS` and `EOS` come first, then the symbols or words of the task.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

PAD, BOS, EOS = 0, 1, 2
SPECIAL = ("<pad>", "<bos>", "<eos>")
TASKS = ("copy", "reverse", "sort")


@dataclass(frozen=True)
class Batch:
    """Padded pairs of sequences.

    Attributes:
        source: ids, padded with `PAD` at the end, without BOS or EOS.
        target: ids, BOS first, EOS last, then padding: `target[:, :-1]` goes into the
            decoder and `target[:, 1:]` should come out.
    """

    source: Int[Tensor, "batch source"]
    target: Int[Tensor, "batch target"]


def make_batch(pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> Batch:
    """Return pairs as one padded batch, with BOS and EOS around each target.

    Args:
        pairs: (source ids, target ids), at least one pair.
    """
    sources = [torch.tensor(list(source)) for source, _ in pairs]
    targets = [torch.tensor([BOS, *target, EOS]) for _, target in pairs]
    pad = torch.nn.utils.rnn.pad_sequence
    return Batch(
        pad(sources, batch_first=True, padding_value=PAD),
        pad(targets, batch_first=True, padding_value=PAD),
    )


def symbol_batch(
    task: str, symbols: int, length: int, size: int, generator: torch.Generator
) -> Batch:
    """Draw strings of independent uniform symbols and their exact answers.

    Symbol k = 0, ..., `symbols` - 1 has the id k + 3, so the vocabulary has `symbols` +
    3 entries.

    Args:
        task: one of `TASKS`.
        symbols: number of different symbols.
        length: length of the strings.
        size: number of strings.
        generator: draws the symbols.

    Returns:
        The batch; it needs no padding.

    Raises:
        ValueError: if the task is not one of `TASKS`.
    """
    if task not in TASKS:
        raise ValueError(f"unknown task {task!r}; valid: {', '.join(TASKS)}")
    first = len(SPECIAL)
    source = torch.randint(first, first + symbols, (size, length), generator=generator)
    if task == "copy":
        answer = source
    elif task == "reverse":
        answer = source.flip(1)
    else:
        answer = source.sort(dim=1).values
    begin, end = torch.full((size, 1), BOS), torch.full((size, 1), EOS)
    return Batch(source, torch.cat([begin, answer, end], dim=1))


def symbol_stream(
    task: str, symbols: int, length: int, size: int, generator: torch.Generator
) -> Iterator[Batch]:
    """Yield fresh batches of a symbol task without end.

    Args:
        task: one of `TASKS`.
        symbols: number of different symbols.
        length: length of the strings.
        size: strings per batch.
        generator: draws the symbols.

    Raises:
        ValueError: at the first batch, if the task is not one of `TASKS`.
    """
    while True:
        yield symbol_batch(task, symbols, length, size, generator)


def exact_match(output: Int[Tensor, "batch any"], batch: Batch) -> list[bool]:
    """Return for each row whether the ids, up to and with EOS, are the right answer.

    Args:
        output: what decoding returns, without BOS; a row that never ends is wrong.
        batch: the questions with their answers.

    Raises:
        ValueError: if the numbers of rows differ.
    """
    rows = zip(output.tolist(), batch.target[:, 1:].tolist(), strict=True)
    return [_upto_end(ours) == _upto_end(right) for ours, right in rows]


def token_accuracy(output: Int[Tensor, "batch any"], batch: Batch) -> float:
    """Return the share of right ids, by position, with EOS and without padding.

    Args:
        output: what decoding returns, without BOS.
        batch: the questions with their answers.

    Raises:
        ValueError: if the numbers of rows differ.
    """
    right = total = 0
    for ours, target in zip(output.tolist(), batch.target[:, 1:].tolist(), strict=True):
        wanted = _upto_end(target)
        right += sum(a == b for a, b in zip(_upto_end(ours), wanted, strict=False))
        total += len(wanted)
    return right / total


def _upto_end(ids: list[int]) -> list[int]:
    """Return the ids up to and with the first EOS (or all of them if there is none)."""
    return ids[: ids.index(EOS) + 1] if EOS in ids else ids
