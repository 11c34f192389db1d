"""What the ledger keeps of a run: the code that ran, the seed, the time that the work took."""

import json

import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from src.book.acceptance import gates, sources
from src.book.acceptance.accept import accept, write_ledger
from src.book.evidence import claims, ledger
from src.book.execution.execute import execute
from src.book.execution.results import Result, read_result
from src.book.storage import dependencies, paths

NAME = "foundations/one"


@pytest.fixture
def ran(toys):
    """A toy book whose one chapter was run."""
    toys.chapter(NAME, "print('yes')")
    toys.paper("one", NAME)
    assert execute(NAME).status == "ok"
    return toys


def test_an_entry_names_the_code_that_ran_and_no_other(ran):
    accept()
    code = dependencies.chapter_code(NAME)
    assert code and ledger.read(NAME, "quick")["code"] == code
    ran.chapter(NAME, "print('no')")
    write_ledger(read_result(NAME, "quick"))  # the chapter was edited since
    assert "code" not in ledger.read(NAME, "quick")


def test_an_entry_keeps_seed_data_models_and_all_the_time_that_the_work_took(ran):
    told = {
        "data": [{"name": "digits", "sha256": "0"}], "models": [{"name": "net", "sha256": "1"}],
        "recorded": {"curve": [1]}, "peak_memory_mb": 7.0, "startup_seconds": 3.0,
    }  # fmt: skip
    result = Result(NAME, "cpu", "ok", seed=5, seconds=10.0, kept_seconds=100.5, **told)
    write_ledger(result)
    entry = ledger.read(NAME, "cpu")
    assert entry["seconds"] == 110.5 and entry["seed"] == 5
    assert told.items() <= entry.items()
    assert "gpu_peak_memory_mb" not in entry and entry["provenance"]["device"]


def test_a_run_with_another_seed_has_a_file_beside(ran):
    accept()
    before = paths.results_file(NAME, "quick").read_bytes()
    other = Result(NAME, "quick", "ok", seed=3, parameters={"seed": 3})
    assert write_ledger(other) == paths.results_file(NAME, "quick", 3)
    assert paths.results_file(NAME, "quick").read_bytes() == before
    assert json.loads(paths.results_file(NAME, "quick", 3).read_text())["seed"] == 3


def test_only_numbers_with_a_tolerance_may_move_in_a_text(probe_paper):
    def measured(shift):
        samples = [1.0 + shift, 1.1, 0.9, 1.0, 1.2]
        return [
            claims.measure("probe", "C1", samples).as_json(),
            claims.measure("probe", "C2", [1e-5 * (1 + shift)]).as_json(),
        ]

    words = gates.measured_words({"measurements": measured(0.0)}, measured(0.5))
    before, after = (claims.describe_kept(measured(shift)[0]) for shift in (0.0, 0.5))
    assert words == {before: after}, "the exact claim's number is compared like any other text"


@pytest.mark.parametrize("before", range(1, 6))
@pytest.mark.parametrize("level", range(2, 7))
def test_a_heading_is_at_most_one_level_below_the_one_before(before, level):
    marks = [*range(1, before + 1), level]
    cells = [new_markdown_cell(f"{'#' * mark} Words") for mark in marks]
    found = [what for _, what in sources.problems(new_notebook(cells=cells)) if "level" in what]
    said = [f"a heading of level {level} follows one of {before}"]
    assert found == (said if level > before + 1 else [])
