"""The install cell: with it a committed notebook runs where Python does not find the book's `src`.

In Colab it installs the book. Where the reader's folder has a package `src` of its own, it makes
room for the book's, or says why it cannot; where the book is not installed, it says what to do.

It is the first code cell of a committed notebook, written there from `_config.yml` and the book's
version. Neither the source (`.py`) nor a page has it, and in a clone it does nothing. So it is no
part of the run that made the reference: the other cells keep that run's counts, and its own is that
of a first cell.
"""

import copy
from pathlib import Path
from typing import TYPE_CHECKING

from src.book.notebook import chapters, notebooks, repository
from src.book.storage.files import write_atomically

if TYPE_CHECKING:
    from nbformat import NotebookNode

_SOURCE = """\
# In Google Colab this installs the book's code, version {version}, in one to two minutes.
import sys
from importlib.util import find_spec

if "google.colab" in sys.modules:
    print("Installing the book's code: one to two minutes ...")
    %pip install -q "papers-that-run @ git+{address}@{reference}"
if find_spec("papers_that_run") is None:
    raise ImportError("the book is not installed here: run `pip install .` in a clone of it")
import papers_that_run  # so that a package `src` of your own does not hide the book's\
"""


def install_cell() -> "NotebookNode | None":
    """Return the install cell as it is after a run elsewhere; None if the book has no address."""
    import nbformat

    if (address := repository.address()) is None:
        return None
    source = _SOURCE.format(
        version=repository.version(), address=address, reference=repository.released_as()
    )
    about = {"id": "install", "metadata": {"tags": ["install", "remove-cell"]}}
    return nbformat.v4.new_code_cell(source, execution_count=1, outputs=[], **about)


def with_install_cell(notebook: "NotebookNode") -> "NotebookNode":
    """Return a notebook with the install cell, as it is today, before its other code cells."""
    made, cell = without_install_cell(notebook), install_cell()
    if cell is not None:
        kinds = [c.cell_type for c in made.cells]
        made.cells.insert(kinds.index("code") if "code" in kinds else len(kinds), cell)
    return made


def without_install_cell(notebook: "NotebookNode") -> "NotebookNode":
    """Return a notebook without its install cells."""
    made = copy.deepcopy(notebook)
    made.cells = [cell for cell in made.cells if not is_install_cell(cell)]
    return made


def is_install_cell(cell: "NotebookNode") -> bool:
    """Return whether a cell is an install cell, of whatever address and version."""
    return "install" in cell.metadata.get("tags", [])


def install_problems(pair: "NotebookNode") -> list[str]:
    """Return what is wrong with the install cell of a committed notebook."""
    if with_install_cell(pair).cells == pair.cells:
        return []
    if not any(map(is_install_cell, pair.cells)):
        return ["the .ipynb has no install cell for Colab: make configure"]
    asked = "what _config.yml and the version ask for"
    return [f"the .ipynb's install cell is not {asked}: make configure"]


def refresh() -> list[Path]:
    """Write the install cell into every committed notebook; return those that changed.

    Nothing is run: the cell does nothing where references are made, and so changes no output.
    """
    changed = []
    for file in (chapter.pair for chapter in chapters.select() if chapter.pair.exists()):
        content = notebooks.dumps(with_install_cell(notebooks.load(file))).encode()
        if content != file.read_bytes():
            write_atomically(file, content)
            changed.append(file)
    return changed
