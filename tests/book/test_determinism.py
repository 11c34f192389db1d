"""Two quick runs of a chapter on one machine leave the same bytes, figures and all."""

import pytest
from nbformat import v4

from src.book.execution import runner
from src.book.execution.execute import execute
from src.book.notebook import notebooks, references
from src.book.storage import paths

# Three chapters are enough to see that the machinery adds nothing; the references check the rest.
# These are the fast ones that draw from random streams, train, and load weights.
CHAPTERS = ["foundations/matrix_calculus", "foundations/transformer", "inverse_problems/tmpd"]


def differing_cells(first, second):
    """The numbers of the cells that differ in any byte; in timing cells the outputs may."""
    found = []
    for number, pair in enumerate(zip(first.cells, second.cells, strict=True), start=1):
        kept = [dict(cell) for cell in pair]
        if pair[0].cell_type == "code" and not references.is_compared(pair[0]):
            for cell in kept:
                cell.pop("outputs")
        if kept[0] != kept[1]:
            found.append(number)
    return found


def figures(notebook):
    """The images of a notebook's outputs."""
    return [
        content
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        for kind, content in output.get("data", {}).items()
        if kind.startswith("image/")
    ]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_two_quick_runs_agree_byte_by_byte(chapter, tmp_path):
    # The first run is usually the one that `make book` has left.
    assert runner.exit_status(runner.run([chapter])) == 0
    again = execute(chapter, "quick", out=tmp_path)
    assert again.status == "ok", again.reason
    files = paths.run_file(chapter, "quick"), tmp_path / f"{chapter}.ipynb"
    first, second = map(notebooks.load, files)
    assert differing_cells(first, second) == []
    assert figures(first) and figures(first) == figures(second)
    if all(references.is_compared(c) for c in first.cells if c.cell_type == "code"):
        assert files[0].read_bytes() == files[1].read_bytes()


def test_a_difference_is_found_and_only_timing_cells_may_have_one():
    def notebook(text, tags, image="aGk="):
        cell = v4.new_code_cell("1", id="a", metadata={"tags": tags})
        cell.outputs = [v4.new_output("stream", text=text)]
        drawn = v4.new_code_cell("2", id="b")
        drawn.outputs = [v4.new_output("display_data", {"image/png": image})]
        return v4.new_notebook(cells=[cell, drawn])

    first = notebook("0.1 s", [])
    assert differing_cells(first, notebook("0.2 s", [])) == [1]
    assert differing_cells(first, notebook("0.1 s", [], "aGo=")) == [2]
    timed = notebook("0.1 s", ["timing"])
    assert differing_cells(timed, notebook("0.2 s", ["timing"])) == []
    assert differing_cells(timed, notebook("0.2 s", ["timing"], "aGo=")) == [2]
