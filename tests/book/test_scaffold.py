"""`make new`: the files that it writes run and pass as they are."""

import shutil
import subprocess
import sys

import pytest

from src.book import catalogue, scaffold
from src.book.errors import BookError
from tests.conftest import REPOSITORY


@pytest.fixture
def tree(book_root):
    shutil.copy(REPOSITORY / "chapters/TEMPLATE.py", book_root / "chapters")
    row = '{"id": "ufg", "title": "How Framelets Help", "year": 2021, "chapter": "gnn/framelets"}\n'
    (book_root / "data/papers/planned.jsonl").write_text(row)
    return book_root


def test_a_new_chapter_has_four_files_and_leaves_the_plan(tree):
    written = {f.relative_to(tree).as_posix() for f in scaffold.new("gnn", "framelets", "ufg")}
    assert written == {
        "chapters/gnn/framelets.py",
        "src/gnn/framelets.py",
        "src/gnn/__init__.py",
        "tests/gnn/test_framelets.py",
        "data/papers/ufg.yml",
    }
    paper = catalogue.paper("ufg")
    assert (paper.title, paper.year) == ("How Framelets Help", 2021)
    assert catalogue.planned() == []
    for name in written:
        text = (tree / name).read_text()
        assert "PART" not in text and "CHAPTER" not in text and "TITLE" not in text


def test_its_own_test_passes(tree):
    scaffold.new("gnn", "framelets", "ufg")
    (tree / "src/__init__.py").touch()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_nothing_is_overwritten(tree):
    scaffold.new("gnn", "framelets", "ufg")
    before = (tree / "chapters/gnn/framelets.py").read_text()
    with pytest.raises(BookError, match=r"already there: chapters/gnn/framelets.py"):
        scaffold.new("gnn", "framelets", "other")
    assert (tree / "chapters/gnn/framelets.py").read_text() == before
    assert not (tree / "data/papers/other.yml").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("cooking", "soup"), "unknown part 'cooking'; valid: foundations"),
        (("gnn", "Two Words"), "lower-case words joined by underscores"),
        (("gnn", "ok", "Not OK"), "lower-case words joined by hyphens"),
    ],
)
def test_wrong_names_are_refused(tree, arguments, says):
    with pytest.raises(BookError, match=says):
        scaffold.new(*arguments)
