"""Notebooks of chapters: read from their source, cleaned after a run, compared with their pair.

The `.py` (jupytext's percent format) is the source. Every notebook written here is byte-identical
when it is made again: cell ids are derived from the source, and nothing of the run but its outputs
is kept.
"""

import copy
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from src.book.storage import paths
from src.book.storage.errors import BookError
from src.book.storage.files import byte_order_mark, unfinished_merge

if TYPE_CHECKING:
    from nbformat import NotebookNode

METADATA = {
    "jupytext": {
        "text_representation": {
            "extension": ".py",
            "format_name": "percent",
            "format_version": "1.3",
        }
    },
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
}
# What papermill adds to a notebook, and what no page should show.
_ADDED_BY_PAPERMILL = {"injected-parameters", "papermill-error-cell-tag"}
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def read_source(text: str) -> "NotebookNode":
    """Return the notebook of a text in percent format, with minimal metadata.

    Raises:
        BookError: if jupytext cannot read it.
    """
    import jupytext
    import nbformat

    try:
        cells = jupytext.reads(text, fmt="py:percent").cells
    except Exception as error:  # a faulty header raises whatever YAML or the schema say
        said = str(error).strip().split("\n")[0]
        raise BookError(
            f"the chapter's source cannot be read as a notebook ({said}); "
            "compare its header with chapters/TEMPLATE.py"
        ) from None
    notebook = nbformat.v4.new_notebook(metadata=nbformat.from_dict(METADATA), cells=cells)
    for cell in cells:
        cell.metadata = _kept_metadata(cell.metadata)
        if cell.cell_type == "code":
            cell.execution_count, cell.outputs = None, []
    _assign_ids(cells)
    return notebook


def load(file: Path) -> "NotebookNode":
    """Read a notebook file.

    Raises:
        BookError: if the file is missing, or is not a notebook.
    """
    import nbformat

    text = ""
    try:
        content = file.read_bytes()
        if said := byte_order_mark(content):
            raise BookError(f"{paths.short(file)}, {said}")
        text = content.decode()
        notebook = json.loads(text)
        if not isinstance(notebook["cells"], list) or notebook["nbformat"] != 4:
            raise ValueError("it has no cells of notebook format 4")
        if not all({"cell_type", "source"} <= cell.keys() for cell in notebook["cells"]):
            raise ValueError("a cell has no type or no source")
        return nbformat.v4.rwbase.rejoin_lines(nbformat.from_dict(notebook))
    except FileNotFoundError:
        raise BookError(f"{paths.short(file)} is missing") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BookError(
            f"{paths.short(file)} is not a notebook ({unfinished_merge(text) or error}); the book "
            "writes this file: delete it, then make book (and make accept, if it lies in chapters)"
        ) from None


def dumps(notebook: "NotebookNode") -> str:
    """Return the text of a notebook file: sorted keys, one item a line, a final newline.

    Without indent, which at the depth of a notebook's lines would be a tenth of the file.
    """
    import nbformat

    split = nbformat.v4.rwbase.split_lines(copy.deepcopy(notebook))
    return json.dumps(split, indent=0, sort_keys=True, ensure_ascii=False) + "\n"


def clean(executed: "NotebookNode") -> "NotebookNode":
    """Return an executed notebook without what differs from run to run.

    Cells that papermill added go, execution counts are numbered anew without them, cell metadata is
    restricted to `tags` and `mystnb`, pieces of one stream are joined (how it is cut depends on
    time), tracebacks lose their colours. Images and the outputs' own metadata stay.
    """
    import nbformat

    notebook = copy.deepcopy(executed)
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.cells = [
        cell
        for cell in notebook.cells
        if not _ADDED_BY_PAPERMILL.intersection(cell.metadata.get("tags", []))
    ]
    count = 0
    for cell in notebook.cells:
        cell.metadata = _kept_metadata(cell.metadata)
        if cell.cell_type != "code":
            continue
        if cell.execution_count is not None:
            count += 1
            cell.execution_count = count
        cell.outputs = [_clean_output(o, cell.execution_count) for o in _join_streams(cell.outputs)]
    _assign_ids(notebook.cells)
    return notebook


def source_differences(source: "NotebookNode", pair: "NotebookNode") -> list[str]:
    """Return the first few differences of source and pair: in cells, types, text, tags and ids."""
    found = []
    for number, (ours, theirs) in enumerate(zip(source.cells, pair.cells, strict=False), start=1):
        for what in ("cell_type", "source", "metadata", "id"):
            if ours.get(what) != theirs.get(what):
                here, there = f"{ours.get(what)!r:.70}", f"{theirs.get(what)!r:.70}"
                found.append(f"cell {number}: {what} is {here} in the .py, {there} in the .ipynb")
                break
    if len(source.cells) != len(pair.cells):
        found.append(f"{len(source.cells)} cells in the .py, {len(pair.cells)} in the .ipynb")
    return found[:5]


def with_outputs(source: "NotebookNode", executed: "NotebookNode") -> "NotebookNode":
    """Return the cells of a source with the outputs of a run of the same code cells."""
    made, ran = copy.deepcopy(source), [c for c in executed.cells if c.cell_type == "code"]
    code = [cell for cell in made.cells if cell.cell_type == "code"]
    if len(code) != len(ran):
        return executed
    for cell, done in zip(code, ran, strict=True):
        cell.execution_count, cell.outputs = done.execution_count, done.outputs
    return made


def unexecuted(notebook: "NotebookNode") -> list[int]:
    """Return the numbers (from 1) of code cells not executed, or not in order."""
    code = [(n, c) for n, c in enumerate(notebook.cells, start=1) if c.cell_type == "code"]
    counted = enumerate(code, start=1)
    return [n for expected, (n, cell) in counted if cell.get("execution_count") != expected]


def numbered_outputs(notebook: "NotebookNode") -> list[tuple[int, "NotebookNode"]]:
    """Return (cell number, output) for every output."""
    return [
        (number, output)
        for number, cell in enumerate(notebook.cells, start=1)
        for output in cell.get("outputs", [])
    ]


def errors(notebook: "NotebookNode") -> list[tuple[int, str]]:
    """Return (cell number, "Name: message") for every error output."""
    return [
        (number, f"{output.ename}: {output.evalue}".split("\n")[0])
        for number, output in numbered_outputs(notebook)
        if output.output_type == "error"
    ]


def without_colour(text: str) -> str:
    """Return a text without a terminal's colour codes."""
    return _ANSI.sub("", text)


def _kept_metadata(metadata: dict) -> "NotebookNode":
    import nbformat

    kept = {key: metadata[key] for key in ("mystnb", "tags") if metadata.get(key)}
    return nbformat.from_dict(kept)


def _assign_ids(cells: list) -> None:
    """Give each cell an id made from its source, with a counter where cells repeat."""
    seen: dict[str, int] = {}
    for cell in cells:
        base = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        seen[base] = seen.get(base, 0) + 1
        cell["id"] = base if seen[base] == 1 else f"{base}-{seen[base]}"


def _join_streams(outputs: list) -> list:
    joined: list = []
    for output in outputs:
        # Only streams have names.
        if joined and "name" in output and output.name == joined[-1].get("name"):
            joined[-1]["text"] += output.text
        else:
            joined.append(output)
    return joined


def _clean_output(output: dict, count: int | None) -> dict:
    if output.output_type == "execute_result":
        output["execution_count"] = count
    elif output.output_type == "error":
        output["traceback"] = [without_colour(line) for line in output.traceback]
    return output
