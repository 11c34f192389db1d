"""Beside a `src` of somebody else's: what works, and what is said where it cannot."""

import pytest

from tests.papers_that_run.outside import run

USE = "from papers_that_run.common import statistics\n"  # loads no library
BOTH = f"{USE}import src.common, src.mine\nassert src.mine.value == 1\nprint('fine')\n"
# The path without the book, for what is imported before the book is there.
WITHOUT = """\
import sys
from pathlib import Path
whole = list(sys.path)
sys.path[:] = [p for p in whole if not Path(p, "src/__init__.py").exists()]
import src.mine
sys.path[:] = whole
"""


def write(folder, **files):
    """Write modules; in a name, __ stands for / and INIT for the module of a package itself."""
    for name, text in files.items():
        file = folder / (name.replace("__", "/").replace("INIT", "__init__") + ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def package(folder, init="", **files):
    """Write a package `src` with a module `mine`."""
    write(folder, src__INIT=init, src__mine="value = 1\n", **files)


@pytest.mark.parametrize(
    "first", ["", "import src\n", "import src.mine\n", "import papers_that_run\n"]
)
def test_a_package_keeps_its_modules_and_finds_the_books(tmp_path, first):
    package(tmp_path, "mark = 2\n")
    done = run(tmp_path, f"{first}{BOTH}assert src.mark == 2")
    assert (done.stdout, done.stderr) == ("fine\n", "")


def test_the_chapters_own_imports_work_after_the_alias(tmp_path):
    package(tmp_path)
    start = "from src.book import start\n"
    assert "No module named 'src.book'" in run(tmp_path, start).stderr
    done = run(tmp_path, f"import papers_that_run\n{start}")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_package_that_uses_the_book_itself(tmp_path):
    package(tmp_path, f"{USE}import src.mine\n")
    for first in ("import papers_that_run\n", "import src\n"):
        done = run(tmp_path, f"{first}{BOTH}")
        assert (done.stdout, done.stderr) == ("fine\n", "")


def test_a_package_that_is_reloaded(tmp_path):
    package(tmp_path)
    code = f"{BOTH}import importlib\nimportlib.reload(src)\nimport papers_that_run.gnn.framelets"
    done = run(tmp_path, code)
    assert (done.stdout, done.stderr) == ("fine\n", "")


def test_a_file_called_src(tmp_path):
    write(tmp_path, src="mark = 2\n")
    done = run(tmp_path, f"{USE}import src.common\nassert src.mark == 2\nprint('fine')")
    assert (done.stdout, done.stderr) == ("fine\n", "")


def test_a_folder_without_init(tmp_path):
    write(tmp_path, src__mine="value = 1\n")
    hidden = run(tmp_path, "import src.mine")
    assert "No module named 'src.mine'" in hidden.stderr, "the book's package hides it"
    done = run(tmp_path, BOTH)
    assert (done.stdout, done.stderr) == ("fine\n", "")


def test_a_folder_without_init_that_was_imported_before_the_book_was_there(tmp_path):
    write(tmp_path, src__mine="value = 1\n")
    done = run(tmp_path, f"{WITHOUT}{BOTH}")
    assert (done.stdout, done.stderr) == ("fine\n", "")


@pytest.mark.parametrize("name", ["common", "book"])
@pytest.mark.parametrize("form", ["src__{}", "src__{}__INIT", "src__{}__deep"])
@pytest.mark.parametrize("first", ["", "import src.{}\n"])
def test_a_name_that_every_part_needs_stops_at_once(tmp_path, name, form, first):
    package(tmp_path, **{form.format(name): ""})
    done = run(tmp_path, f"{first.format(name)}import papers_that_run")
    assert f"ImportError: {tmp_path}/src is another `src`" in done.stderr
    assert f"names that the book needs: {name}. Rename it, or work in a folder" in done.stderr


def test_a_part_that_both_have_stops_when_it_is_asked_for(tmp_path):
    package(tmp_path, src__gnn="theirs = 3\n")
    code = f"{BOTH}import src.gnn\nassert src.gnn.theirs == 3\nimport papers_that_run.diffusion\n"
    done = run(tmp_path, f"{code}import papers_that_run.gnn.framelets")
    assert done.stdout == "fine\n"
    assert f"ImportError: {tmp_path}/src is another `src` than the book's" in done.stderr
    assert "names that the book needs: gnn." in done.stderr


@pytest.mark.parametrize("file", ["src", "src__INIT"])
def test_a_variable_of_the_same_name_counts(tmp_path, file):
    write(tmp_path, **{file: "common = 3\n"})
    done = run(tmp_path, "import papers_that_run")
    assert f"ImportError: {tmp_path}/src" in done.stderr
    assert ".py is another `src`" in done.stderr


def test_in_a_folder_without_init_the_books_is_used_with_a_warning(tmp_path):
    write(tmp_path, src__common__deep="")
    done = run(tmp_path, f"{USE}print('fine')")
    assert done.stdout == "fine\n"
    assert "program.py:1: UserWarning" in done.stderr and f"{tmp_path}/src is" in done.stderr


def test_a_folder_without_code_is_no_module(tmp_path):
    package(tmp_path)
    (tmp_path / "src/common/headers").mkdir(parents=True)
    (tmp_path / "src/common/headers/a.h").touch()
    done = run(tmp_path, BOTH)
    assert (done.stdout, done.stderr) == ("fine\n", "")
