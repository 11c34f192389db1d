"""`make new`: the files that it writes run and pass as they are."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from src.book.authoring import scaffold
from src.book.evidence import catalogue
from src.book.notebook import chapters
from src.book.notebook.titles import chapter_title
from src.book.storage.errors import BookError
from tests.conftest import REPOSITORY

IDEA = "Send messages through framelets rather than through the edges alone."


@pytest.fixture
def tree(book_root):
    shutil.copy(REPOSITORY / "chapters/TEMPLATE.py", book_root / "chapters")
    row = {"id": "ufg", "title": "How Framelets Help", "year": 2021, "chapter": "gnn/framelets"}
    (book_root / "data/papers/planned.jsonl").write_text(json.dumps(row | {"idea": IDEA}) + "\n")
    return book_root


def test_a_new_chapter_has_its_files_and_leaves_the_plan(tree):
    written = {f.relative_to(tree).as_posix() for f in scaffold.new("gnn", "framelets", "ufg")}
    assert written == {
        "chapters/gnn/framelets.py",
        "src/gnn/framelets/method.py",
        "src/gnn/framelets/experiments.py",
        "src/gnn/framelets/__init__.py",
        "src/gnn/__init__.py",
        "tests/gnn/framelets/test_method.py",
        "tests/leaks/test_framelets.py",
        "data/papers/ufg.yml",
    }
    paper = catalogue.paper("ufg")
    assert (paper.title, paper.year) == ("How Framelets Help", 2021)
    assert catalogue.planned() == []
    for name in written:
        text = (tree / name).read_text()
        assert not re.search(r"\b(PART|CHAPTER|MODULES?|TITLE)\b", text)


def test_its_own_test_passes(tree):
    scaffold.new("gnn", "framelets", "ufg")
    (tree / "src/__init__.py").touch()
    shutil.copytree(REPOSITORY / "src/common", tree / "src/common", dirs_exist_ok=True)
    for name in ("suite.py", "tape.py"):
        shutil.copy(REPOSITORY / "tests/leaks" / name, tree / "tests/leaks" / name)
    files = ["tests/gnn/framelets", "tests/leaks/test_framelets.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


@pytest.mark.parametrize("several", [False, True])
def test_a_title_stays_a_title_whatever_it_holds(tree, several):
    title = "Is \"a < b\"? <script>1</script> \\ \\n # %% 'yes'"
    rows = [{"id": "odd", "title": title, "year": 2020, "chapter": "gnn/odd", "idea": IDEA}]
    rows += [{**rows[0], "id": "even"}] * several
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tree / "data/papers/planned.jsonl").write_text(text)
    scaffold.new("gnn", "odd")
    assert catalogue.paper("odd").title == title
    notebook = chapters.find("gnn/odd").notebook
    [heading] = [c for c in notebook.cells if "Is " in c.source.split("\n")[0]][:1]
    assert heading.cell_type == "markdown" and r"\<script>1\</script>" in heading.source
    if not several:
        assert chapter_title("gnn/odd") == title
    (tree / "data/papers/planned.jsonl").write_text(text.replace("Is ", "Is\\n"))
    with pytest.raises(BookError, match=r"planned\.jsonl, line 1: field title"):
        scaffold.new("gnn", "other")


def test_nothing_is_overwritten(tree):
    scaffold.new("gnn", "framelets", "ufg")
    before = (tree / "chapters/gnn/framelets.py").read_text()
    with pytest.raises(BookError, match=r"already there: chapters/gnn/framelets.py"):
        scaffold.new("gnn", "framelets", "other")
    assert (tree / "chapters/gnn/framelets.py").read_text() == before
    assert not (tree / "data/papers/other.yml").exists()


def test_a_topic_chapter_has_a_section_a_module_and_a_test_for_each_paper(tree):
    about = {"year": 2020, "chapter": "gnn/topics", "idea": IDEA}
    rows = [about | {"id": name, "title": f"About {name.title()}"} for name in ("one-way", "other")]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tree / "data/papers/planned.jsonl").write_text(lines)
    written = {f.relative_to(tree).as_posix() for f in scaffold.new("gnn", "topics")}
    assert {"chapters/gnn/topics.py", "data/papers/other.yml"} <= written
    assert {"src/gnn/topics/one_way.py", "src/gnn/topics/other.py"} <= written
    assert {"src/gnn/topics/__init__.py", "tests/gnn/topics/test_one_way.py"} <= written
    assert catalogue.planned() == []
    page = (tree / "chapters/gnn/topics.py").read_text()
    assert page.index("## About One-Way") < page.index("## About Other") < page.index("At scale")
    assert not {"SECTION", "MODULE", "PAPER"} & set(page.replace('"', " ").split())
    code = (
        f"import runpy, src.gnn; src.gnn.__path__.append({str(tree / 'src/gnn')!r}); "
        f"runpy.run_path({str(tree / 'chapters/gnn/topics.py')!r})"
    )
    environment = os.environ | {"BOOK_ROOT": str(tree), "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "one-way C1 supported" in done.stdout and "other C2 supported" in done.stdout


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
