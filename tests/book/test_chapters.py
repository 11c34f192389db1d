"""Every chapter of this repository: one quick run feeds all checks (nothing fresh is run again)."""

import pytest

from src.book.acceptance import gates
from src.book.execution import runner
from src.book.notebook import chapters

CHAPTERS = [c.name for c in chapters.select()]


@pytest.fixture(scope="session")
def outcomes():
    """What became of each chapter when everything out of date was run."""
    found = runner.run()
    print(runner.table(found, 0.0))
    return {outcome.chapter: outcome for outcome in found}


def test_there_are_chapters():
    assert CHAPTERS


def test_catalogue_and_chapters_match():
    assert [str(problem) for problem in gates.check_catalogue()] == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_quick_profile_runs(chapter, outcomes):
    result = outcomes[chapter].result
    assert result.status == "ok", f"cell {result.cell}: {result.reason}; see {result.log}"


@pytest.mark.parametrize("gate", gates.GATES, ids=lambda gate: gate.__name__)
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_gate(chapter, gate, outcomes):
    problems = gate(chapters.find(chapter))
    assert not problems, "\n".join(map(str, problems))
