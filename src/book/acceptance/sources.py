"""What a chapter's source must be like: its headings, and cells that a reader can follow."""

import ast
import re
from collections.abc import Iterator
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
    checks = (_headings, _lost_displays, _open_imports, _wide_lines)
    return [problem for check in checks for problem in check(notebook)]


def _headings(notebook: "NotebookNode") -> list[tuple[int, str]]:
    """Return (cell, what) for a missing or second title, and for levels that are skipped."""
    found, previous, titles = [], 0, 0
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "markdown":
            continue
        for mark in _HEADING.findall(_FENCED.sub("", cell.source)):
            level = len(mark)
            titles += level == 1
            if level > previous + 1 and previous:
                found.append((number, f"a heading of level {level} follows one of {previous}"))
            previous = level
    if not notebook.cells or not notebook.cells[0].source.startswith("# ") or titles != 1:
        found.append((1, f"the first cell must start with the only # title ({titles} found)"))
    return found


def _lost_displays(notebook: "NotebookNode") -> list[tuple[int, str]]:
    """Return (cell, what) for each table or source that nobody sees, as another line follows it."""
    found = []
    for number, _, lines in _code(notebook):
        for line in lines[:-1]:
            if isinstance(line, ast.Expr) and isinstance(line.value, ast.Call):
                name = ast.unparse(line.value.func)
                if name in _DISPLAYS:
                    found.append((number, f"{name}(...) is not shown; only a cell's last line is"))
    return found


def _open_imports(notebook: "NotebookNode") -> list[tuple[int, str]]:
    """Return (cell, what) for each cell that mostly imports and is not folded on the page."""
    found = []
    for number, cell, lines in _code(notebook):
        if _FOLDING.intersection(cell.metadata.get("tags", [])):
            continue
        imports = sum(isinstance(line, ast.Import | ast.ImportFrom) for line in lines)
        if imports > len(lines) / 2:
            found.append((number, 'it only imports: fold it with tags=["hide-input"]'))
    return found


def _wide_lines(notebook: "NotebookNode") -> list[tuple[int, str]]:
    """Return (cell, what) for each cell whose code would be cut off at the right edge."""
    found = []
    for number, cell in enumerate(notebook.cells, start=1):
        widest = max(map(len, cell.source.splitlines()), default=0)
        if cell.cell_type == "code" and widest > _WIDEST:
            found.append((number, f"a line of code has {widest} columns; a page shows {_WIDEST}"))
    return found


def _code(notebook: "NotebookNode") -> Iterator[tuple[int, "NotebookNode", list[ast.stmt]]]:
    """Yield number, cell and statements of each code cell that Python can read."""
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code":
            try:
                yield number, cell, ast.parse(cell.source).body
            except SyntaxError:  # the run says so, with the place
                continue
