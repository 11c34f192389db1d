"""Drift: a book that moved, and the table and the XML that say so."""

import re
import shutil
from xml.etree import ElementTree

import pytest

from src.book.__main__ import main
from src.book.acceptance import drift
from src.book.acceptance.accept import accept
from src.book.execution import runner
from src.book.storage import paths
from tests.book.toy_book import ToyBook

NAME, STEADY = "foundations/one", "foundations/steady"
MEASURE = """
import json, os
def tell(**event):
    with open(os.environ["BOOK_RECORD"], "a") as stream:
        stream.write(json.dumps(event) + "\\n")
values = open(os.environ["BOOK_ROOT"] + "/values").read().split()
value, error = map(float, values[:2])
tell(event="measure", paper="one", claim="C1", verdict="supported", n=5,
     estimate=value, low=value - 0.1, high=value + 0.1, samples=[value] * 5,
     statistic="mean", unit="seed")
tell(event="measure", paper="one", claim="C2", verdict="supported", n=1,
     estimate=error, low=None, high=None, samples=[error], statistic="max", unit="seed")
"""
PRINT = "print('mean', values[2], 'and', *values[3:])"
STAYED = "0.5 1e-9 0.31 4"
EXACT = """\
  C2:
    says: it is equal
    paper: null
    measure: largest error
    kind: exact
    unit: seed
    expect: {statistic: max, op: "<=", value: 1.0e-6}
"""


@pytest.fixture(scope="module")
def accepted(tmp_path_factory):
    """Two accepted chapters; what the first says is read from the file `values`."""
    root = tmp_path_factory.mktemp("accepted")
    for folder in ("data/papers", "data/results", "chapters", "src"):
        (root / folder).mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOOK_ROOT", str(root))
        patch.delenv("BOOK_BUILD", raising=False)
        toys = ToyBook(root)
        (root / "values").write_text(STAYED)
        toys.chapter(NAME, MEASURE, PRINT, "import random\nprint(random.random())")
        file = root / f"chapters/{NAME}.py"
        head, _, last = file.read_text().rpartition("# %%\n")
        file.write_text(f'{head}# %% tags=["timing"]\n{last}')
        toys.chapter(STEADY, "print('mean', 1.25)")
        toys.paper("one", NAME)
        toys.paper("steady", STEADY)
        paper = root / "data/papers/one.yml"
        paper.write_text(paper.read_text() + EXACT)
        assert runner.exit_status(runner.run()) == 0
        accept()
    return root


@pytest.fixture
def book(accepted, toys):
    """A copy of these chapters; returns the file `values`."""
    shutil.copytree(accepted, toys.root, dirs_exist_ok=True)
    return toys.root / "values"


def cases():
    """The test cases of the XML by class and name."""
    root = ElementTree.parse(paths.build_dir() / "drift.xml").getroot()
    return {(c.get("classname"), c.get("name")): c for c in root.iter("testcase")}


def lines(said):
    """The rows of the printed table: (chapter, where, was, is) with tolerance and verdict."""
    rows = [re.split(r"\s{2,}", line) for line in said.splitlines()]
    return {tuple(row[:4]): tuple(row[4:]) for row in rows if len(row) == 6 and row[5] != "verdict"}


def test_a_book_that_stayed_as_it_was(book, capsys):
    last = {f: f.read_bytes() for f in (paths.build_dir() / "runs").rglob("*") if f.is_file()}
    assert main(["drift"]) == 0
    assert "2 chapters: no number moved" in capsys.readouterr().out
    # The timing cell prints something else every time, and is no case.
    assert set(cases()) == {
        *((NAME, name) for name in ("one C1", "one C2", "cell 3", "cell 4", "cell 5", "cell 2")),
        *((STEADY, name) for name in ("cell 2", "cell 3", "cell 4")),
    }
    assert not any(len(case) for case in cases().values())
    assert {f: f.read_bytes() for f in last} == last, "the last good runs are touched"
    assert (paths.build_dir() / f"drift/{NAME}.ipynb").exists()


def test_numbers_within_tolerance_are_listed_and_cost_nothing(book, capsys):
    book.write_text("0.55 2e-8 0.315 4")
    assert main(["drift", NAME]) == 0
    said = capsys.readouterr().out
    assert lines(said) == {
        (NAME, "one C1 estimate", "0.5", "0.55"): ("0.1", "within"),
        (NAME, "one C1 low", "0.4", "0.45"): ("0.1", "within"),
        (NAME, "one C1 high", "0.6", "0.65"): ("0.1", "within"),
        (NAME, "one C2 estimate", "1e-09", "2e-08"): ("its criterion", "within"),
        (NAME, "cell 5", "0.31", "0.315"): ("5%", "within"),
    }
    assert "1 chapter: 5 moved within tolerance, 0 beyond" in said
    case = cases()[NAME, "cell 5"]
    assert case.find("failure") is None and "0.315" in case.find("system-out").text


def test_numbers_beyond_tolerance_fail(book, capsys):
    book.write_text("0.65 1e-9 0.36 4.1 more")
    assert main(["drift"]) == 1
    said = capsys.readouterr().out
    moved = lines(said)
    assert moved[NAME, "one C1 estimate", "0.5", "0.65"] == ("0.1", "beyond")
    assert moved[NAME, "cell 5", "0.31", "0.36"] == ("5%", "beyond")
    assert moved[NAME, "cell 5", "4", "4.1"] == ("5%", "within")
    assert "look at foundations/one; if it is meant: make book, then make accept" in said
    failed = {key for key, case in cases().items() if case.find("failure") is not None}
    assert failed == {(NAME, "one C1"), (NAME, "cell 5")}
    text = cases()[NAME, "cell 5"].find("failure").text
    assert "this run says 'mean 0.36 and 4.1 more'" in text
    suites = ElementTree.parse(paths.build_dir() / "drift.xml").getroot()
    assert [(s.get("name"), s.get("tests"), s.get("failures")) for s in suites] == [
        (NAME, "6", "2"),
        (STEADY, "3", "0"),
    ]


def test_a_verdict_and_a_word_that_changed_fail(book, capsys):
    entry = paths.results_file(NAME, "quick")
    entry.write_text(entry.read_text().replace('"verdict": "supported"', '"verdict": "x"', 1))
    book.write_text("0.5 1e-9 0.31 four")
    assert main(["drift", NAME]) == 1
    moved = lines(capsys.readouterr().out)
    assert moved == {
        (NAME, "one C1 verdict", "x", "supported"): ("none", "beyond"),
        (NAME, "cell 5", "4", "four"): ("5%", "beyond"),
    }


def test_a_chapter_that_cannot_be_compared_fails(book, capsys):
    book.write_text("not a number")
    assert main(["drift"]) == 1
    assert "foundations/one: ValueError: could not convert" in capsys.readouterr().out
    assert cases()[NAME, "run"].find("error").get("message").startswith("ValueError")
    assert runner.run([NAME])[0].state == runner.UP_TO_DATE
    book.write_text(STAYED)
    paths.results_file(NAME, "quick").unlink()
    assert main(["drift", NAME]) == 1
    assert "no committed quick ledger; run make accept" in capsys.readouterr().out


def test_an_unknown_chapter_is_named(book, capsys):
    assert main(["drift", "foundations/nope"]) == 2
    assert "unknown chapter 'foundations/nope'; valid: foundations/one" in capsys.readouterr().err
    assert not (paths.build_dir() / "drift.xml").exists()


def test_what_xml_cannot_hold_is_left_out():
    row = drift.Row("cell 1", "a", "\x1b[0m", "5%", True, "the \x00 and <b>")
    found = drift.ChapterDrift("a/b", problem="\x07", compared={"cell 1": [row]})
    (suite,) = ElementTree.fromstring(drift.junit([found]))
    assert suite.find("testcase/failure").get("message") == "the   and <b>"
    assert (suite.get("failures"), suite.get("errors"), suite.get("tests")) == ("1", "1", "2")
