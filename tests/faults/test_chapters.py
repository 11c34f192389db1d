"""A chapter that breaks costs that chapter alone: its cause and remedy are named, it mends."""

import hashlib

import pytest
import yaml

from src.book.execution.results import read_result
from src.book.storage import paths
from tests.book.command_line import book, hidden

CONFLICT = "<<<<<<< HEAD\nx = 1\n=======\nx = 2\n>>>>>>> other\n"
NUMBERS = b"numbers\n1\n2\n"
READS = "from src.book.evidence import catalogue\nprint(catalogue.of_chapter({0!r})[0].year)"
FETCHES = (
    "from src.book.storage.data import fetch\nprint((fetch('toy') / 'numbers.txt').stat().st_size)"
)


def entry(old, new):
    def spoil(toys, chapter):
        file = toys.root / f"data/papers/{chapter.split('/')[1]}.yml"
        text = file.read_text()
        assert old in text
        file.write_bytes(text.encode().replace(old.encode(), new))

    return spoil


def cell(text):
    return lambda toys, chapter: toys.chapter(chapter, text)


def truncate_data(toys, chapter):
    (toys.root / "cache/data/toy/numbers.txt").write_bytes(NUMBERS[:3])
    (toys.root / "mirror/toy/numbers.txt").write_bytes(NUMBERS[:-1] + b"!")


def not_text(toys, chapter):
    file = toys.root / f"chapters/{chapter}.py"
    file.write_bytes(file.read_bytes() + b"# \xff\n")


def marked(toys, chapter):
    file = toys.root / f"chapters/{chapter}.py"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes() + b"\n# %%\n1\n")


# What breaks it, how it fails, the cause as it is told, and the remedy.
FAULTS = {
    "foundations/raises": (
        cell("raise ValueError('no good')"),
        "raised", "cell 4: ValueError: no good", "see _build/runs/quick/foundations/raises.log",
    ),
    "foundations/killed": (
        cell("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"),
        "died", "the kernel died: SIGKILL", "run it alone (--jobs 1)",
    ),
    "foundations/hungry": (
        cell("x = bytearray(600 * 2**20)\nimport time\ntime.sleep(600)"),
        "memory", "over its memory limit of 0.4 GiB", "BOOK_MEMORY_GIB",
    ),
    "foundations/merging": (
        cell(CONFLICT),
        "invalid", "merging.py, line 23: a merge is not finished (<<<", "delete the marks",
    ),
    "foundations/marked": (
        marked, "invalid", "marked.py, line 1: it starts with a byte order mark", "without it",
    ),
    "foundations/bytes": (not_text, "invalid", "bytes.py, line 24: not UTF-8", "save it as UTF-8"),
    "foundations/typed": (
        entry("year: 2020", b"year: soon"),
        "raised", "data/papers/typed.yml, line 3, field year", "should be a valid integer",
    ),
    "foundations/syntax": (
        entry("title: A paper", b"title: [A paper"),
        "raised", "data/papers/syntax.yml, line 2: not valid YAML", "expected ',' or ']'",
    ),
    "foundations/letters": (
        entry("One idea", b"One id\xe9a"),
        "raised", "data/papers/letters.yml, line 6: not UTF-8", "save it as UTF-8",
    ),
    "foundations/bom": (
        entry("title: A paper", b"\xef\xbb\xbftitle: A paper"),
        "raised", "data/papers/bom.yml, line 1: it starts with a byte order mark", "without it",
    ),
    "foundations/data": (
        truncate_data,
        "raised", "toy/numbers.txt has another checksum than the registry", "BOOK_DATA_MIRROR",
    ),
}  # fmt: skip


@pytest.fixture
def good_book(toys, monkeypatch):
    """A book with a chapter for every fault, and one beside them."""
    for name in ("typed", "syntax", "letters", "bom"):
        toys.paper(name, f"foundations/{name}")
    (toys.root / "mirror/toy").mkdir(parents=True)
    file = {
        "sha256": hashlib.sha256(NUMBERS).hexdigest(),
        "bytes": len(NUMBERS),
        "url": None,
        "mirror": "toy/numbers.txt",
    }
    about = {"description": "d", "licence": "l", "citation": "c", "files": {"numbers.txt": file}}
    (toys.root / "data/datasets.yml").write_text(yaml.safe_dump({"toy": about}))
    monkeypatch.setenv("BOOK_DATA_MIRROR", str(toys.root / "mirror"))
    repair(toys)
    return toys


def repair(toys):
    toys.chapter("foundations/beside", "1")
    for chapter in FAULTS:
        name = chapter.split("/")[1]
        reads = (toys.root / f"data/papers/{name}.yml").exists()
        toys.chapter(
            chapter, READS.format(chapter) if reads else FETCHES if name == "data" else "1"
        )
        if reads:
            toys.paper(name, chapter)
    (toys.root / "mirror/toy/numbers.txt").write_bytes(NUMBERS)


def ok(ended):
    status, said = ended
    assert status == 0, said


def pages():
    return {name: paths.run_file(name, "quick").read_bytes() for name in FAULTS}


def test_each_fault_costs_its_chapter_alone(good_book, temporary):
    status, said = book("run")
    assert status == 0 and f"{len(FAULTS) + 1} ok" in said, said
    before = pages()
    for chapter, (spoil, *_) in FAULTS.items():
        spoil(good_book, chapter)
    good_book.chapter("foundations/beside", "2")

    status, said = book("run", "--force", BOOK_MEMORY_GIB="0.4")
    assert status == 1 and f"1 ok, {len(FAULTS)} failed" in said, said
    told = {line.split()[0]: line for line in said.splitlines() if line.startswith("foundations/")}
    for chapter, (_, failure, cause, remedy) in FAULTS.items():
        assert "failed" in told[chapter] and cause in told[chapter], told[chapter]
        assert (
            remedy in told[chapter]
            or remedy in paths.run_file(chapter, "quick", ".log").read_text()
        )
        assert read_result(chapter, "quick").failure == failure
    assert pages() == before, "the last good pages stay"
    assert list(temporary.iterdir()) == [] == hidden(good_book.root)

    repair(good_book)
    status, said = book("run")
    assert status == 0 and f"{len(FAULTS) + 1} ok" in said, said


def test_the_time_limit_counts_the_chapter_and_not_the_cell(toys, temporary):
    toys.chapter("toys/good", "1")
    toys.chapter("toys/slow", "1")
    ok(book("run"))
    before = paths.run_file("toys/slow", "quick").read_bytes()
    # No cell takes as long as the limit, all together they would take ten times as long.
    toys.chapter("toys/slow", *["import time\ntime.sleep(1)"] * 30)
    status, said = book("run", BOOK_LIMIT_S="3")
    assert status == 1 and "1 up to date, 1 failed" in said, said
    assert "over its limit of 3 s; make it do less, or allow it more" in said
    assert "BOOK_LIMIT_S" in said
    assert paths.run_file("toys/slow", "quick").read_bytes() == before
    assert list(temporary.iterdir()) == []
    toys.chapter("toys/slow", "1")
    ok(book("run"))


def test_a_limit_that_is_no_number_is_refused(toys):
    toys.chapter("toys/good", "1")
    status, said = book("run-one", "toys/good", BOOK_LIMIT_S="an hour")
    assert status == 2 and "BOOK_LIMIT_S must be a number above 0, not 'an hour'" in said


def test_what_an_editor_hides_beside_the_files_is_no_chapter_and_no_paper(toys):
    toys.chapter("toys/good", "1")
    for file in ("chapters/toys/.#good.py", "data/papers/.#good.yml"):
        (toys.root / file).symlink_to("somebody@somewhere.1234")
    status, said = book("run")
    assert status == 0 and "1 ok" in said, said


def test_a_broken_registry_costs_only_the_chapters_that_fetch(good_book):
    ok(book("run", "foundations/data", "foundations/beside"))
    registry = good_book.root / "data/datasets.yml"
    kept = registry.read_text()
    faults = ((kept + "\n  x: [\n", r"datasets.yml, line 1"), ("[1]\n", "must map"))
    for text, cause in faults:
        registry.write_text(text)
        good_book.chapter("foundations/beside", f"{len(text)}")
        status, said = book("run", "foundations/data", "foundations/beside")
        assert status == 1 and "1 ok, 1 failed" in said and cause in said, said
    registry.write_text(kept)
    ok(book("run", "foundations/data", "foundations/beside"))


def test_results_of_the_other_chapters_are_written(toys):
    toys.chapter("toys/good", "1")
    toys.chapter("toys/merging", CONFLICT)
    status, said = book("results", "--profile", "cpu")
    assert status == 1 and "a merge is not finished" in said, said
    assert "wrote data/results/cpu/toys/good.json" in said
