"""The catalogue: good entries load, bad ones are named by file, line and field."""

import json

import pytest

from src.book.evidence import catalogue
from src.book.storage.errors import BookError
from tests.conftest import PAPER


def write(root, text, name="probe"):
    (root / f"data/papers/{name}.yml").write_text(text)


def test_a_paper_is_read_with_its_claims(probe_paper):
    paper = catalogue.paper("probe")
    assert paper.chapter == "foundations/probe"
    assert list(paper.claims) == ["C1", "C2"]
    assert str(paper.claims["C1"].expect) == "mean > 0"
    assert catalogue.chapters() == {"foundations/probe": [paper]}


def test_an_edit_is_seen_at_once(probe_paper):
    assert catalogue.paper("probe").year == 2020
    write(probe_paper, PAPER.replace("2020", "20210")[:-1])
    with pytest.raises(BookError, match="year"):
        catalogue.papers()


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "says"),
    [
        ("year: 2020", "year: soon", 3, "year", "integer"),
        ("title: A paper\n", "", 1, "title", "required"),
        ("kind: exact", "kind: guess", 21, "claims.C2.kind", "exact"),
        ("    tolerance: 0.1\n", "", 9, "claims.C1", "tolerance is missing"),
        ("statistic: mean", "statistic: proportion", 9, "claims.C1", "mean, difference, ratio"),
        ("part: foundations", "part: cooking", 1, "", "valid: foundations"),
        ("chapter: foundations/probe", "chapter: gnn/probe", 1, "", "does not lie in part"),
        ("reruns: One experiment.", "reruns: One.\nfun: yes", 8, "fun", "xtra"),
        ('op: ">", value: 0}', "op: within, value: 0}", 15, "claims.C1.expect", "low, high"),
        ("  C2:", "  two:", 17, "claims.two", "pattern"),
    ],
)
def test_a_wrong_field_is_named_with_its_line(book_root, old, new, line, field, says):
    assert old in PAPER
    write(book_root, PAPER.replace(old, new, 1))
    with pytest.raises(BookError) as caught:
        catalogue.papers()
    message = str(caught.value)
    assert "data/papers/probe.yml" in message
    assert f"line {line}" in message
    assert field in message
    assert says in message


def test_unparsable_yaml_is_named_with_its_line(book_root):
    write(book_root, PAPER.replace("title: A paper", "title: [A paper"))
    with pytest.raises(BookError, match=r"probe.yml, line \d+: not valid YAML"):
        catalogue.papers()


def test_unknown_names_list_the_valid_ones(probe_paper):
    with pytest.raises(BookError, match="unknown paper 'nope'; valid: probe"):
        catalogue.paper("nope")
    with pytest.raises(BookError, match="unknown claim of probe 'C9'; valid: C1, C2"):
        catalogue.claim("probe", "C9")


def plan(root, **changed):
    """Write the plan of one paper."""
    row = {"id": "later", "title": "T", "year": 2020, "chapter": "vision/later"}
    row["idea"] = "Do what the others do once more, only later."
    (root / "data/papers/planned.jsonl").write_text(json.dumps(row | changed) + "\n")


def test_a_planned_paper_that_runs_is_an_error(probe_paper):
    plan(probe_paper, id="probe")
    with pytest.raises(BookError, match=r"planned.jsonl, line 1: probe has an entry"):
        catalogue.planned()


@pytest.mark.parametrize("chapter", ["visoin/later", "vision", "vision/Later", "a/b/c"])
def test_a_planned_chapter_lies_in_a_part(book_root, chapter):
    plan(book_root, chapter=chapter)
    with pytest.raises(BookError, match=r"planned.jsonl, line 1: field chapter: "):
        catalogue.planned()


def test_a_planned_paper_needs_its_idea(book_root):
    plan(book_root, idea=None)
    with pytest.raises(BookError, match=r"planned.jsonl, line 1: field idea: "):
        catalogue.planned()


@pytest.mark.parametrize(
    "idea", ["Too short.", "word " * 23 + "end.", "Eight words but no full stop at end"]
)
def test_an_idea_is_one_short_sentence(book_root, idea):
    plan(book_root, idea=idea)
    with pytest.raises(BookError, match=r"line 1: field idea: .*one sentence of 8 to 22 words"):
        catalogue.planned()


def test_a_claim_left_out_of_a_profile_needs_a_reason(book_root):
    write(book_root, PAPER.replace("    tolerance: 0.1", "    tolerance: 0.1\n    profiles: [cpu]"))
    with pytest.raises(BookError, match="not_tested is missing"):
        catalogue.papers()


def test_the_real_catalogue_covers_all_papers_in_scope():
    running, planned = catalogue.papers(), catalogue.planned()
    assert len(running) + len(planned) == 369
    assert len({*running, *(p.id for p in planned)}) == 369
    ideas = [p.idea for p in (*running.values(), *planned)]
    assert len(set(ideas)) == len(ideas)


def test_a_chapter_does_not_depend_on_another_chapters_entry(probe_paper):
    write(probe_paper, "not: [valid", name="other")
    assert [p.id for p in catalogue.of_chapter("foundations/probe")] == ["probe"]
    assert catalogue.claim("probe", "C1").kind == "t"
    with pytest.raises(BookError, match=r"other.yml, line \d+"):
        catalogue.papers()


def test_the_papers_of_a_chapter_are_in_the_order_of_their_years(book_root):
    for name, year in (("a", 2022), ("b", 2020), ("c", 2021)):
        write(book_root, PAPER.replace("2020", str(year)), name)
    assert [p.id for p in catalogue.of_chapter("foundations/probe")] == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('op: "<=", value: 1.0e-6}', "op: within, value: [2, 1]}", "needs low < high"),
        ('op: "<=", value: 1.0e-6}', "op: within, value: [1, 1]}", "needs low < high"),
        ("value: 1.0e-6}", "value: 1.0e-6}\n    tolerance: 0.1", "takes no tolerance"),
        ("tolerance: 0.1", "tolerance: -0.1", "greater than or equal to 0"),
    ],
)
def test_a_criterion_that_cannot_be_meant_is_refused(book_root, old, new, says):
    assert old in PAPER
    write(book_root, PAPER.replace(old, new))
    with pytest.raises(BookError, match=says):
        catalogue.papers()
