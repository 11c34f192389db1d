"""The install cell: in committed notebooks alone, right, and without effect in a clone."""

import io
import sys
from contextlib import redirect_stdout
from types import ModuleType

import pytest
from IPython.core.inputtransformer2 import TransformerManager
from IPython.core.interactiveshell import InteractiveShell

from src.book.__main__ import main
from src.book.acceptance import gates
from src.book.acceptance.committed import Committed
from src.book.notebook import chapters, install, notebooks, repository
from src.book.site import stage
from tests.papers_that_run.outside import run

ADDRESS = "https://github.com/owner/name"
CONFIG = f"repository:\n  url: {ADDRESS}\n  branch: main\n"
NAME = "foundations/one"


@pytest.fixture
def pair(toys):
    """The committed notebook of a toy chapter, without install cell, as an earlier book left it."""
    (toys.root / "_config.yml").write_text(CONFIG)
    toys.chapter(NAME, "6 * 7")
    notebook = chapters.find(NAME).notebook
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for count, cell in enumerate(code, start=1):
        cell.execution_count = count
    file = chapters.find(NAME).pair
    file.write_text(notebooks.dumps(notebook), encoding="utf-8")
    return file


def problems():
    both, chapter = (gates.check_pair, gates.check_reference), Committed(chapters.find(NAME))
    return [problem.what for gate in both for problem in gate(chapter)]


def test_configure_writes_the_cell_and_nothing_else(pair, capsys):
    before = notebooks.load(pair)
    assert main(["configure"]) == 0
    assert "wrote the install cell of chapters/foundations/one.ipynb" in capsys.readouterr().out
    after = notebooks.load(pair)
    number = next(k for k, cell in enumerate(after.cells) if cell.cell_type == "code")
    cell = after.cells.pop(number)
    assert after == before
    assert f'"papers-that-run @ git+{ADDRESS}@{repository.released_as()}"' in cell.source
    assert "one to two minutes" in cell.source and repository.version() in cell.source
    assert cell.execution_count == 1 and cell.outputs == []
    assert problems() == []
    assert install.refresh() == [], "a second time changes nothing"
    assert "google.colab" not in chapters.find(NAME).source.read_text()


def test_a_missing_or_old_cell_is_found(pair):
    [missing] = problems()
    assert "no install cell for Colab: make configure" in missing
    install.refresh()
    repository.set_address("https://github.com/other/name")
    [old] = problems()
    assert "is not what _config.yml and the version ask for: make configure" in old
    install.refresh()
    assert problems() == []
    notebook = notebooks.load(pair)
    notebook.cells.append(notebook.cells.pop(1))
    pair.write_text(notebooks.dumps(notebook))
    assert "make configure" in problems()[0], "it must be the first code cell"


def test_the_cell_never_gets_into_the_source(pair):
    install.refresh()
    source = chapters.find(NAME).source
    source.write_text(source.read_text() + '\n# %% tags=["install", "remove-cell"]\nimport sys\n')
    assert problems() == ["the .py holds the install cell of its .ipynb; delete it there"]


def test_pages_do_not_have_the_cell(pair, toys, monkeypatch):
    install.refresh()
    monkeypatch.setattr(stage, "_COPIED", ())
    folder = stage.stage().folder
    page = notebooks.load(folder / f"chapters/{NAME}.ipynb")
    assert not [cell for cell in page.cells if install.is_install_cell(cell)]
    assert len(page.cells) == len(chapters.find(NAME).notebook.cells)


@pytest.mark.parametrize("in_colab", [False, True])
def test_the_cell_installs_in_colab_and_does_nothing_elsewhere(pair, monkeypatch, in_colab):
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    if in_colab:
        monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    shell, asked = InteractiveShell(), []
    shell.register_magic_function(asked.append, magic_name="pip")
    with redirect_stdout(io.StringIO()) as said:
        shell.run_cell(install.install_cell().source).raise_error()
    if in_colab:
        [arguments] = asked
        assert arguments.startswith("install ") and ADDRESS in arguments
        assert "one to two minutes" in said.getvalue()
    else:
        assert asked == [] and said.getvalue() == ""


@pytest.fixture
def program(pair):
    """The install cell as a program, with what a chapter's first own cell begins with."""
    return TransformerManager().transform_cell(install.install_cell().source) + (
        "from src.book import start\nprint(start.__module__)"
    )


def test_in_a_folder_with_a_package_src_the_chapter_starts_all_the_same(program, tmp_path):
    outside = tmp_path / "outside"
    (outside / "src").mkdir(parents=True)
    (outside / "src/__init__.py").touch()
    done = run(outside, program)
    assert (done.stdout, done.stderr) == ("src.book.chapter.context\n", "")


def test_where_that_cannot_be_the_cell_names_the_folder_and_says_what_to_do(program, tmp_path):
    outside = tmp_path / "outside"
    (outside / "src/book").mkdir(parents=True)
    for folder in ("src", "src/book"):
        (outside / folder / "__init__.py").touch()
    done = run(outside, program)
    assert f"ImportError: {outside}/src is another `src` than the book's" in done.stderr
    assert "Rename it, or work in a folder or an environment without it." in done.stderr


@pytest.mark.parametrize("has_src", [False, True])
def test_where_the_book_is_not_installed_the_cell_says_so(program, tmp_path, has_src):
    outside = tmp_path / "outside"
    outside.mkdir()
    if has_src:
        (outside / "src").mkdir()
        (outside / "src/__init__.py").touch()
    # -S: without what is installed in this environment, the book included.
    done = run(outside, program, "-S", "program.py", PYTHONPATH="")
    assert "ImportError: the book is not installed here: run `pip install .`" in done.stderr


def test_a_book_without_an_address_has_no_install_cell(pair, toys):
    (toys.root / "_config.yml").unlink()
    assert install.install_cell() is None
    assert install.refresh() == []
    assert problems() == []
