import pytest
import torch

from src.foundations.transformer import language_pair as pair
from src.foundations.transformer.language_pair import Clause, NounPhrase
from src.foundations.transformer.sequence_tasks import BOS, EOS


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def read(words: list[str]) -> Clause:
    """Parse an English sentence: the way back, written independently of `english`."""
    nouns = {w: (i, p) for i, n in enumerate(pair.NOUNS) for p, w in enumerate(n[:2])}
    adjectives = {a[0]: i for i, a in enumerate(pair.ADJECTIVES)}
    verbs = {w: i for i, v in enumerate(pair.VERBS) for w in v[:2]}
    adverbs = {a[0]: i for i, a in enumerate(pair.ADVERBS)}
    rest = list(words)

    def phrase() -> NounPhrase:
        article = rest.pop(0)
        adjective = adjectives[rest.pop(0)] if rest[0] in adjectives else None
        noun, plural = nouns[rest.pop(0)]
        near = None
        if rest and rest[0] == "near":
            rest.pop(0)
            near = phrase()
        return NounPhrase(noun, bool(plural), article == "the", adjective, near)

    subject, verb = phrase(), verbs[rest.pop(0)]
    object_ = phrase()
    adverb = adverbs[rest.pop(0)] if rest else None
    assert not rest
    return Clause(subject, verb, object_, adverb)


def text(clause: Clause) -> str:
    return " ".join(word.text for word in pair.translation(clause))


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("the dog sees a cat", "kano lo na mica una ko vidot"),
        ("the dogs see a cat", "kani li na mica una ko vidit"),
        ("the cat sees some dogs", "mica la na kani uni ko vidat"),
        ("the cats near the dog see a bird", "kano lo lu mice le na avo uno ko videt"),
        ("a big cow hears the small foxes today",
         "hodi vaca granda una na vulpe parve le ko audat"),
        ("a boy likes the old horse near some girls",
         "puero uno na file une lu cavalo veto lo ko amot"),
    ],
)  # fmt: skip
def test_translations_worked_out_by_hand(source, target):
    assert text(read(source.split())) == target


def test_english_says_all_that_the_translation_needs():
    for clause in pair.corpus(500, generator(1)):
        assert read(pair.english(clause)) == clause


def test_each_word_points_to_the_word_it_translates_and_to_its_controller():
    stems = {w: n[2] for n in pair.NOUNS for w in n[:2]}
    stems |= dict(pair.ADJECTIVES) | dict(pair.ADVERBS)
    stems |= {w: v[2] for v in pair.VERBS for w in v[:2]}
    genders = {w: n[3] for n in pair.NOUNS for w in n[:2]}
    plurals = {n[1] for n in pair.NOUNS}
    for clause in pair.corpus(300, generator(2)):
        source = pair.english(clause)
        for word in pair.translation(clause):
            said, controller = source[word.source], source[word.controller]
            if said in stems and word.text not in (pair.SUBJECT_MARK, pair.OBJECT_MARK):
                assert word.text.startswith(stems[said])
            if said in ("the", "a", "some") or said in dict(pair.ADJECTIVES):
                ending = pair.ENDINGS[genders[controller], controller in plurals]
                assert word.text.endswith(ending)


def test_the_verb_agrees_with_the_head_of_the_subject_not_with_the_nearest_noun():
    clause = read(["the", "cats", "near", "the", "dog", "see", "a", "bird"])
    verb = pair.translation(clause)[-1]
    assert (verb.text, verb.source, verb.controller) == ("videt", 5, 1)


def test_vocabulary_has_no_word_twice_and_every_word_of_the_corpus():
    words = pair.vocabulary()
    assert len(words) == len(set(words)) == 122
    used = set()
    for clause in pair.corpus(3000, generator(3)):
        used |= set(pair.english(clause)) | {w.text for w in pair.translation(clause)}
    assert used == set(words[3:])


def test_corpus_is_seeded_and_without_repeats():
    first = pair.corpus(1000, generator(4))
    assert len(set(first)) == 1000
    assert pair.corpus(1000, generator(4)) == first
    share = sum(c.adverb is not None for c in first) / 1000
    assert share == pytest.approx(1 / 3, abs=0.06)


def test_batch_holds_the_sentences():
    words, clauses = pair.vocabulary(), pair.corpus(5, generator(5))
    batch = pair.clause_batch(clauses)
    for row, clause in enumerate(clauses):
        source = [words[i] for i in batch.source[row].tolist() if i]
        assert source == pair.english(clause)
        target = batch.target[row].tolist()
        assert target[0] == BOS
        assert " ".join(words[i] for i in target[1 : target.index(EOS)]) == text(clause)
