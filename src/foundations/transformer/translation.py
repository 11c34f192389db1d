"""Machine translation on real text: Multi30k, byte-pair encoding, batches, BLEU.

Multi30k (Elliott et al., 2016) holds English captions of photographs with German
translations by professionals: 29,000 training, 1,014 validation and 1,000 test pairs.
"""

import gzip
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import sacrebleu
import sentencepiece
import torch

from src.common.checks import checked, same_length, within
from src.foundations.transformer.sequence_tasks import BOS, EOS, PAD, Batch, make_batch

SPLITS = {"train": 29_000, "val": 1_014, "test_2016_flickr": 1_000}


@dataclass(frozen=True)
class Corpus:
    """Sentence pairs.

    Attributes:
        source: sentences to translate.
        target: their translations, in the same order.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.source)


def load_multi30k(
    folder: Path, split: str, source: str = "de", target: str = "en"
) -> Corpus:
    """Read one split of Multi30k from the folder of its `.gz` files.

    Args:
        folder: holds files such as `train.de.gz`.
        split: a key of `SPLITS`.
        source: language to translate from, "de" or "en".
        target: language to translate into.

    Returns:
        The sentence pairs, in the order of the files.

    Raises:
        ValueError: if the split is unknown or does not hold the published number of
            pairs.
        FileNotFoundError: if a file is missing.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; valid: {', '.join(SPLITS)}")
    sides = []
    for language in (source, target):
        with gzip.open(
            Path(folder) / f"{split}.{language}.gz", "rt", encoding="utf-8"
        ) as lines:
            sides.append(tuple(line.strip() for line in lines))
    if any(len(side) != SPLITS[split] for side in sides):
        found = " and ".join(str(len(side)) for side in sides)
        raise ValueError(
            f"split {split} should hold {SPLITS[split]} lines a side, found {found}"
        )
    return Corpus(*sides)


class Subwords:
    """Byte-pair encoding shared by both languages (Sennrich et al., 2016).

    The encoding is sentencepiece's, learnt from the training text alone. Ids 0, 1, 2
    are `PAD`, `BOS`, `EOS`; id 3 is an unknown character.

    Args:
        corpus: training pairs; the pieces are learnt from both sides.
        size: number of pieces, the four special ids included.

    Raises:
        RuntimeError: if the corpus is too small for so many pieces.
    """

    def __init__(self, corpus: Corpus, size: int) -> None:
        """Learn `size` pieces from both sides of `corpus`."""
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([*corpus.source, *corpus.target]),
            model_writer=model,
            model_type="bpe",
            vocab_size=size,
            pad_id=PAD,
            bos_id=BOS,
            eos_id=EOS,
            unk_id=3,
            num_threads=1,
            minloglevel=2,
        )
        self._model = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())

    def __len__(self) -> int:
        """Return the number of ids."""
        return self._model.vocab_size()

    def encode(self, text: str) -> list[int]:
        """Return the ids of a sentence, without BOS and EOS.

        Args:
            text: a sentence of either language.
        """
        return self._model.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the sentence of ids, up to the first EOS; special ids are left out.

        Args:
            ids: as `encode` or a decoder gives them.
        """
        ids = list(ids)
        ids = ids[: ids.index(EOS)] if EOS in ids else ids
        return self._model.decode([i for i in ids if i not in (PAD, BOS)])

    def pieces(self, text: str) -> list[str]:
        """Return the pieces of a sentence as text ("▁" marks the beginning of a word).

        Args:
            text: a sentence of either language.
        """
        return self._model.encode(text, out_type=str)


def token_batches(
    pairs: Sequence[tuple[list[int], list[int]]],
    tokens: int,
    generator: torch.Generator,
) -> Iterator[Batch]:
    """Yield batches of pairs of similar length without end, reshuffled in every epoch.

    A batch holds as many pairs as keep each of its padded sides within `tokens` ids (at
    least one pair), so that little time is spent on padding.

    Args:
        pairs: (source ids, target ids), at least one pair.
        tokens: largest padded size of a side, in ids.
        generator: draws the order.

    Raises:
        ValueError: when the first batch is asked for, without pairs or tokens.
    """
    if not pairs or tokens < 1:
        raise ValueError(
            f"need at least one pair and one token per batch, not {len(pairs)} pairs "
            f"and {tokens} tokens"
        )
    while True:
        # Sorting by length with noise keeps lengths similar but the batches different.
        noise = torch.rand(len(pairs), generator=generator).tolist()
        keys = [max(len(s), len(t)) + noise[i] for i, (s, t) in enumerate(pairs)]
        order = sorted(range(len(pairs)), key=keys.__getitem__)
        groups = list(_groups(order, pairs, tokens))
        for i in torch.randperm(len(groups), generator=generator).tolist():
            yield make_batch([pairs[j] for j in groups[i]])


def _groups(
    order: list[int], pairs: Sequence[tuple[list[int], list[int]]], tokens: int
) -> Iterator[list[int]]:
    """Cut `order` into runs whose padded sides stay within `tokens` ids."""
    group: list[int] = []
    longest = 0
    for i in order:
        length = max(len(pairs[i][0]), len(pairs[i][1]) + 2)
        if group and max(longest, length) * (len(group) + 1) > tokens:
            yield group
            group, longest = [], 0
        group.append(i)
        longest = max(longest, length)
    if group:
        yield group


@checked
def bleu(hypotheses: Sequence[str], references: Sequence[str]) -> tuple[float, str]:
    """Return corpus BLEU in [0, 100] and sacreBLEU's signature of its settings.

    Args:
        hypotheses: translations, one per sentence.
        references: one right translation per sentence.

    Raises:
        ValueError: for lists of different lengths, empty ones, or a text in the place
            of a list of texts.

    Examples:
        >>> score, _ = bleu(["the dog bit the man today"], ["the dog bit the man now"])
        >>> round(score, 2)
        75.98
    """
    same_length(hypotheses=hypotheses, references=references)
    metric = sacrebleu.metrics.BLEU()
    score = metric.corpus_score(list(hypotheses), [list(references)])
    return score.score, str(metric.get_signature())


@checked
def grouped_bleu(
    hypotheses: Sequence[str], references: Sequence[str], groups: int
) -> list[float]:
    """Return the corpus BLEU of each of several interleaved groups of sentences.

    Sentence i belongs to group i modulo `groups`, so neighbouring sentences fall into
    different groups. A group is a small corpus: unlike a single sentence it has 4-gram
    matches.

    Args:
        hypotheses: translations, one per sentence.
        references: one right translation per sentence.
        groups: number of groups, at most the number of sentences.

    Raises:
        ValueError: for more groups than sentences, and as `bleu`.
    """
    same_length(hypotheses=hypotheses, references=references)
    within("groups", groups, 1, len(hypotheses), remedy="a group needs a sentence")
    return [
        bleu(hypotheses[g::groups], references[g::groups])[0] for g in range(groups)
    ]
