"""A small language pair with real grammar, generated exactly.

The source language is a fragment of English: subject, verb, object, in this order; a
noun phrase may hold an adjective and a second noun phrase after "near"; an adverb may
close the sentence. The target language is invented:

- the verb comes last, the adverb first, and a "near" phrase before the noun it
  describes;
- every noun has a gender that English does not show; adjective and article follow
  their noun and agree with it in gender and number;
- a case mark closes the subject (`na`) and the object (`ko`);
- the verb agrees with its *subject* in gender and number, however far away that is.

So a translator must reorder, and must look at two places for one word: at the verb for
its stem and at the subject for its ending. Each target word comes with these two places
(`Word`).
"""

from collections.abc import Set
from dataclasses import dataclass

import torch

from src.foundations.transformer.sequence_tasks import SPECIAL, Batch, make_batch

# English singular, plural, stem of the translation, gender.
NOUNS = (
    ("dog", "dogs", "kan", "m"),
    ("bird", "birds", "av", "m"),
    ("boy", "boys", "puer", "m"),
    ("horse", "horses", "caval", "m"),
    ("cat", "cats", "mic", "f"),
    ("girl", "girls", "fil", "f"),
    ("cow", "cows", "vac", "f"),
    ("fox", "foxes", "vulp", "f"),
)
ADJECTIVES = (
    ("big", "grand"),
    ("small", "parv"),
    ("red", "ruf"),
    ("old", "vet"),
    ("young", "nov"),
    ("quick", "cel"),
)
# English with a singular and a plural subject, stem of the translation.
VERBS = (
    ("sees", "see", "vid"),
    ("likes", "like", "am"),
    ("hears", "hear", "aud"),
    ("follows", "follow", "seq"),
    ("calls", "call", "voc"),
    ("finds", "find", "trov"),
)
ADVERBS = (("today", "hodi"), ("often", "sepe"), ("here", "hik"))
NEAR, SUBJECT_MARK, OBJECT_MARK = "lu", "na", "ko"
# Ending by gender and number (False: singular, True: plural); verbs add a "t".
ENDINGS = {("m", False): "o", ("m", True): "i", ("f", False): "a", ("f", True): "e"}


@dataclass(frozen=True)
class NounPhrase:
    """A noun with what belongs to it.

    Attributes:
        noun: index into `NOUNS`.
        plural: whether there are several.
        definite: "the" rather than "a" or "some".
        adjective: index into `ADJECTIVES`, or None.
        near: the noun phrase after "near", or None.
    """

    noun: int
    plural: bool
    definite: bool
    adjective: int | None = None
    near: "NounPhrase | None" = None


@dataclass(frozen=True)
class Clause:
    """What a sentence says: who does what to whom.

    Attributes:
        subject: who.
        verb: index into `VERBS`.
        object: to whom.
        adverb: index into `ADVERBS`, or None.
    """

    subject: NounPhrase
    verb: int
    object: NounPhrase
    adverb: int | None = None


@dataclass(frozen=True)
class Word:
    """A target word and the two places in the source that decide it.

    Attributes:
        text: the word.
        source: place of the source word that it translates.
        controller: place of the source noun that decides its ending.
    """

    text: str
    source: int
    controller: int


def draw_clause(generator: torch.Generator) -> Clause:
    """Draw a clause.

    A noun phrase has an adjective with probability 1/2 and a "near" phrase with 1/3
    (never one inside another); a clause has an adverb with 1/3.

    Args:
        generator: draws all choices.

    Returns:
        The clause.
    """
    return Clause(
        _draw_phrase(generator, nested=False),
        _below(len(VERBS), generator),
        _draw_phrase(generator, nested=False),
        _below(len(ADVERBS), generator) if _below(3, generator) == 0 else None,
    )


def english(clause: Clause) -> list[str]:
    """Return the clause in the source language, word by word.

    Args:
        clause: what to say.
    """
    singular, plural, _ = VERBS[clause.verb]
    verb = plural if clause.subject.plural else singular
    adverb = [] if clause.adverb is None else [ADVERBS[clause.adverb][0]]
    return [
        *_english_phrase(clause.subject),
        verb,
        *_english_phrase(clause.object),
        *adverb,
    ]


def translation(clause: Clause) -> list[Word]:
    """Return the one right translation of the clause, word by word.

    Args:
        clause: what to say.
    """
    subject_length = len(_english_phrase(clause.subject))
    subject = _phrase(clause.subject, 0)
    object_ = _phrase(clause.object, subject_length + 1)
    length = len(english(clause))
    head = _noun_place(clause.subject, 0)
    object_head = _noun_place(clause.object, subject_length + 1)
    adverb = []
    if clause.adverb is not None:
        adverb = [Word(ADVERBS[clause.adverb][1], length - 1, length - 1)]
    verb = VERBS[clause.verb][2] + _ending(clause.subject) + "t"
    return [
        *adverb,
        *subject,
        Word(SUBJECT_MARK, head, head),
        *object_,
        Word(OBJECT_MARK, object_head, object_head),
        Word(verb, subject_length, head),
    ]


def vocabulary() -> list[str]:
    """Return the special tokens and the words of both languages, ordered by id."""
    source = ["the", "a", "some", "near"]
    source += [w for n in NOUNS for w in n[:2]] + [a[0] for a in ADJECTIVES]
    source += [w for v in VERBS for w in v[:2]] + [a[0] for a in ADVERBS]
    target = [NEAR, SUBJECT_MARK, OBJECT_MARK] + [a[1] for a in ADVERBS]
    target += ["l" + e for e in ENDINGS.values()] + ["un" + e for e in ENDINGS.values()]
    target += [n[2] + ENDINGS[n[3], plural] for n in NOUNS for plural in (False, True)]
    target += [a[1] + e for a in ADJECTIVES for e in ENDINGS.values()]
    target += [v[2] + e + "t" for v in VERBS for e in ENDINGS.values()]
    return [*SPECIAL, *source, *target]


def corpus(size: int, generator: torch.Generator) -> list[Clause]:
    """Draw different clauses.

    Args:
        size: number of clauses.
        generator: draws them.

    Returns:
        The clauses, in the order in which they were drawn.

    Raises:
        ValueError: if 1,000 draws in a row find nothing new: the language is finite.
    """
    return new_clauses(size, set(), generator)


def new_clauses(
    size: int, known: Set[Clause], generator: torch.Generator
) -> list[Clause]:
    """Draw different clauses that are not among the known ones.

    Args:
        size: number of clauses.
        known: clauses to avoid.
        generator: draws them.

    Returns:
        The clauses, in the order in which they were drawn.

    Raises:
        ValueError: if 1,000 draws in a row find nothing new: the language is finite.
    """
    clauses: dict[Clause, None] = {}
    in_vain = 0
    while len(clauses) < size:
        clause = draw_clause(generator)
        in_vain = in_vain + 1 if clause in clauses or clause in known else 0
        if in_vain == 1_000:
            raise ValueError(
                f"no more than {len(clauses)} new clauses were found, not {size}: ask "
                "for fewer"
            )
        if not in_vain:
            clauses[clause] = None
    return list(clauses)


def clause_batch(clauses: list[Clause]) -> Batch:
    """Return clauses and their translations as one padded batch of token ids.

    Args:
        clauses: at least one.
    """
    ids = {word: i for i, word in enumerate(vocabulary())}
    pairs = [
        ([ids[w] for w in english(c)], [ids[w.text] for w in translation(c)])
        for c in clauses
    ]
    return make_batch(pairs)


def _below(bound: int, generator: torch.Generator) -> int:
    return int(torch.randint(bound, (1,), generator=generator))


def _draw_phrase(generator: torch.Generator, nested: bool) -> NounPhrase:
    noun = _below(len(NOUNS), generator)
    plural, definite = bool(_below(2, generator)), bool(_below(2, generator))
    adjective = (
        _below(len(ADJECTIVES), generator) if _below(2, generator) == 0 else None
    )
    near = None
    if not nested and _below(3, generator) == 0:
        near = _draw_phrase(generator, nested=True)
    return NounPhrase(noun, plural, definite, adjective, near)


def _english_phrase(phrase: NounPhrase) -> list[str]:
    article = "the" if phrase.definite else "some" if phrase.plural else "a"
    adjective = [] if phrase.adjective is None else [ADJECTIVES[phrase.adjective][0]]
    near = [] if phrase.near is None else ["near", *_english_phrase(phrase.near)]
    return [article, *adjective, NOUNS[phrase.noun][int(phrase.plural)], *near]


def _noun_place(phrase: NounPhrase, start: int) -> int:
    """Return the place of the head noun of an English phrase that begins at `start`."""
    return start + 1 + (phrase.adjective is not None)


def _ending(phrase: NounPhrase) -> str:
    return ENDINGS[NOUNS[phrase.noun][3], phrase.plural]


def _phrase(phrase: NounPhrase, start: int) -> list[Word]:
    """Return the translation of a phrase whose English begins at place `start`."""
    head, ending = _noun_place(phrase, start), _ending(phrase)
    words = [Word(NOUNS[phrase.noun][2] + ending, head, head)]
    if phrase.adjective is not None:
        words.append(Word(ADJECTIVES[phrase.adjective][1] + ending, start + 1, head))
    words.append(Word(("l" if phrase.definite else "un") + ending, start, head))
    if phrase.near is None:
        return words
    near = _phrase(phrase.near, head + 2)
    return [*near, Word(NEAR, head + 1, head + 1), *words]
