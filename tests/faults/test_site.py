"""Broken files and a killed process when the site is rendered: the other pages are not harmed."""

import errno
import os
import shutil
import signal
import subprocess

import psutil
import pytest

from src.book.__main__ import main
from src.book.notebook import notebooks
from src.book.site import build as site
from src.book.storage import paths
from tests.book.command_line import book, start_book, wait_for
from tests.site.fake_book import CHAPTER, make_book, run_result

CONFLICT = (
    '{\n<<<<<<< HEAD\n "cells": [],\n=======\n "cells": [1],\n>>>>>>> other\n "nbformat": 4}\n'
)
RUN = f"_build/runs/quick/{CHAPTER}.ipynb"


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The folder of a toy book with a run, not rendered."""
    monkeypatch.setenv("BOOK_ROOT", str(tmp_path / "book"))
    monkeypatch.delenv("BOOK_BUILD", raising=False)
    run_result(make_book(tmp_path / "book"))
    return tmp_path / "book"


def html(root, page):
    return (root / f"_build/html/{page}.html").read_text(encoding="utf-8")


def rendering(process):
    """The processes that render for a `site` command."""
    with_children = psutil.Process(process.pid).children()
    return [child for child in with_children if "jupyter_book" in " ".join(child.cmdline())]


def test_broken_notebooks_and_a_killed_render_harm_no_other_page(toy):
    reference = toy / "chapters/gnn/other.ipynb"
    reference.write_text(CONFLICT)
    killed = start_book("site")
    wait_for(lambda: rendering(killed))
    [renderer] = rendering(killed)
    renderer.suspend()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    # What it had started still holds the lock: nobody renders into the same folder meanwhile.
    again = start_book("site")
    try:
        assert "waiting for process" in again.stdout.readline()
    finally:
        renderer.kill()
    said = again.communicate()[0]
    assert again.returncode == 1, said
    assert "gnn/other: chapters/gnn/other.ipynb is not a notebook (line 2: a merge is not" in said
    assert "delete it, then make book (and make accept" in said
    assert "A file of this chapter cannot be read" in html(toy, "chapters/gnn/other")
    good = html(toy, f"chapters/{CHAPTER}")
    assert "_images/" in good and "cannot be read" not in good

    assert site.build().problems, "it is told until it is mended, also when nothing is rendered"
    reference.unlink()
    status, said = book("site")
    assert status == 0, said
    assert "cannot be read" not in html(toy, "chapters/gnn/other")


@pytest.mark.parametrize(
    ("file", "content", "source", "cause"),
    [
        (RUN, b"not JSON", "source", "is not a notebook"),
        (RUN, b'{"cells": [1], "nbformat": 4}', "source", "is not"),
        (RUN, b'{"cells": [], "nbformat": 4}', "source", "no cells"),
        ("chapters/gnn/other.ipynb", CONFLICT.encode(), "source", "line 2: a merge"),
        ("chapters/gnn/other.py", b"# %%\n<<<<<<< HEAD\n", "", "line 2: a merge is not finished"),
        ("chapters/gnn/other.py", b"# %%\n\xff", "", "other.py, line 2: not UTF-8"),
    ],
)  # fmt: skip
def test_the_next_best_page_takes_the_place_of_a_broken_one(toy, file, content, source, cause):
    from src.book.site.stage import stage

    (toy / file).write_bytes(content)
    staged = stage()
    chapter = CHAPTER if "toy" in file else "gnn/other"
    assert staged.sources[chapter] == source
    [problem] = staged.problems
    assert problem.startswith(f"{chapter}: ") and cause in problem
    cells = notebooks.load(staged.folder / f"chapters/{chapter}.ipynb").cells
    assert cells[0].source.startswith("# ") and "cannot be read" in cells[0].source


@pytest.mark.parametrize("file", ["_toc.yml", "_config.yml", "pages/how_we_judge.md"])
def test_an_unfinished_merge_in_a_page_or_setting_is_told_with_its_line(toy, file):
    text = (toy / file).read_text()
    (toy / file).write_text(f"{text}<<<<<<< HEAD\n=======\n>>>>>>> other\n")
    line = text.count("\n") + 1
    status, said = book("site")
    assert status == 2 and f"error: {file}, line {line}: a merge is not finished" in said, said


def test_a_disk_that_fills_while_the_site_is_rendered_is_told_once(toy, monkeypatch, capsys):
    def fails(command, **_):
        said = "WARNING: cannot copy a.css OSError(28, 'No space left on device')\n" * 50
        return subprocess.CompletedProcess(command, 1, said)

    monkeypatch.setattr(site.subprocess, "run", fails)
    assert main(["site"]) == 6
    said = capsys.readouterr().err
    assert said.startswith("error: _build/site: No space left on device; free some space")
    assert said.count("\n") == 1


def test_a_disk_that_fills_while_the_site_is_published_leaves_the_last_one(tmp_path, monkeypatch):
    monkeypatch.setenv("BOOK_ROOT", str(tmp_path))
    rendered, published = tmp_path / "rendered", tmp_path / "_build/html"
    rendered.mkdir()
    for name in "abc":
        (rendered / f"{name}.html").write_text("old")
    site._publish(rendered, published)
    before = site._listing(published)
    for name in "abd":
        (rendered / f"{name}.html").write_text("new")
    (rendered / "c.html").unlink()
    copy, room = shutil.copyfile, iter([True, True])

    def full(source, target):
        if not next(room, False):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left"):
        site._publish(rendered, published)
    assert site._listing(published) == before
    assert sorted(f.name for f in paths.build_dir().iterdir()) == ["html"]
    monkeypatch.undo()
    site._publish(rendered, published)
    assert sorted(f.read_text() for f in published.iterdir()) == ["new", "new", "new"]
