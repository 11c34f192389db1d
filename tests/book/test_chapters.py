"""Every chapter of this repository: one quick run feeds all checks (nothing fresh is run again)."""

import pytest

from src.book.acceptance import gates
from src.book.acceptance.committed import Committed
from src.book.execution import runner
from src.book.notebook import chapters
from tests.conftest import REPOSITORY

CHAPTERS = [c.name for c in chapters.select()]


@pytest.fixture(scope="session")
def outcomes():
    """What became of each chapter when everything out of date was run."""
    found = runner.run()
    print(runner.table(found, 0.0))
    return {outcome.chapter: outcome for outcome in found}


def test_there_are_chapters():
    assert CHAPTERS


@pytest.mark.parametrize("gate", gates.BOOK_GATES, ids=lambda gate: gate.__name__)
def test_gate_of_the_book(gate):
    assert [str(problem) for problem in gate()] == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_settings_are_where_the_readme_says(chapter):
    notebook = Committed(chapters.find(chapter)).notebook
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert "parameters" in code[1].metadata.tags
    assert [n for n, cell in enumerate(code) if "\nSIZES = " in f"\n{cell.source}"] in ([2], [3])
    said = "in its second code cell, every size in the dictionary `SIZES` of the third or fourth"
    assert said in (REPOSITORY / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_quick_profile_runs(chapter, outcomes):
    result = outcomes[chapter].result
    assert result.status == "ok", f"cell {result.cell}: {result.reason}; see {result.log}"


@pytest.mark.parametrize("gate", gates.GATES, ids=lambda gate: gate.__name__)
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_gate(chapter, gate, outcomes):
    problems = gate(Committed(chapters.find(chapter)))
    assert not problems, "\n".join(map(str, problems))
