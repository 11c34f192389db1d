"""What a chapter's source must be like: its headings, and cells that a reader can follow."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

_WIDEST = 88  # columns of code that a page shows without a scroll bar
# Calls whose value is what the reader sees; Jupyter shows the value of a cell's last line only.
_DISPLAYS = {"show", "Table", "run.verdicts", "run.at_scale"}
# Tags by which a page shows a cell's source only to those who ask.
_FOLDING = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
_HEADING = re.compile(r"^(#{1,6}) ", re.MULTILINE)
_FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def problems(notebook: "NotebookNode") -> list[tuple[int, str]]:
    """Return (cell number, what) for each fault of a chapter's cells."""
    found = list(_faulty_headings(notebook))
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code":
            found += [(number, what) for what in _faults(cell)]
    return found


def _faulty_headings(notebook: "NotebookNode") -> Iterator[tuple[int, str]]:
    """Yield (cell, what) for a missing or second title, and for levels that are skipped."""
    levels = [
        (number, len(mark))
        for number, cell in enumerate(notebook.cells, start=1)
        if cell.cell_type == "markdown"
        for mark in _HEADING.findall(_FENCED.sub("", cell.source))
    ]
    for (_, previous), (number, level) in pairwise(levels):
        if level > previous + 1:
            yield number, f"a heading of level {level} follows one of {previous}"
    titles = sum(level == 1 for _, level in levels)
    if not notebook.cells or not notebook.cells[0].source.startswith("# ") or titles != 1:
        yield 1, f"the first cell must start with the only # title ({titles} found)"


def _faults(cell: "NotebookNode") -> Iterator[str]:
    """Yield what is wrong with a code cell: too wide, results that nobody sees, open imports."""
    widest = max(map(len, cell.source.splitlines()), default=0)
    if widest > _WIDEST:
        yield f"a line of code has {widest} columns; a page shows {_WIDEST}"
    try:
        lines = ast.parse(cell.source).body
    except SyntaxError:  # the run says so, with the place
        return
    for line in lines[:-1]:
        if isinstance(line, ast.Expr) and isinstance(line.value, ast.Call):
            name = ast.unparse(line.value.func)
            if name in _DISPLAYS:
                yield f"{name}(...) is not shown; only a cell's last line is"
    imports = sum(isinstance(line, ast.Import | ast.ImportFrom) for line in lines)
    if imports > len(lines) / 2 and not _FOLDING.intersection(cell.metadata.get("tags", [])):
        yield 'it only imports: fold it with tags=["hide-input"]'
