"""The tables of the runner's own benchmarks."""

import re

import pytest

from src.book.evidence import ledger
from src.book.site.pages import DIRECTIVES

WHERE = {"device": "A <fast> machine", "cores": 2, "date": "2026-01-02"}


def words(name):
    html = "".join(section.html for section in DIRECTIVES[name](lambda page: f"{page}.html"))
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def rows(name):
    html = "".join(section.html for section in DIRECTIVES[name](lambda page: f"{page}.html"))
    found = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', html)
    return {head: re.findall(r"<td>(.*?)</td>", cells) for head, cells in found}


@pytest.fixture
def measured(toy):
    phases = ("cold", "no-op", "changed")
    seconds = {
        "papermill in a loop": ([20.0, 30.0], None, [4.0, 6.0]),
        "this book, with rendering": ([20.0, 20.0], [2.0, 2.0], [10.0, 10.0]),
        "Jupyter Book, force": ([30.0, 30.0], [3.0, 3.0], [5.0, 5.0]),
        "this book": ([10.0, 10.0], [1.0, 1.0], [5.0, 5.0]),
    }
    sets = {
        "3 notebooks": {
            name: {p: s for p, s in zip(phases, row, strict=True) if s}
            for name, row in seconds.items()
        }
    }
    versions = {"papermill": "2.7.0"}
    ledger.write("execution", "timing", {"sets": sets, "versions": versions, "provenance": WHERE})


def test_each_runner_is_compared_with_ours_that_does_as_much(measured):
    found = rows("execution-benchmark")
    assert list(found) == [
        "this book",
        "papermill in a loop",
        "this book, with rendering",
        "Jupyter Book, force",
    ]
    assert found["this book"][0] == "10.0 s (10.0 to 10.0)"
    assert found["papermill in a loop"] == [
        "25.0 s (20.0 to 30.0), 2.5 times",
        "runs all again",
        "5.0 s (4.0 to 6.0), 1 times",
    ]
    assert found["Jupyter Book, force"][0] == "30.0 s (30.0 to 30.0), 1.5 times"
    said = words("execution-benchmark")
    assert "Medians of 2 interleaved repetitions" in said and "papermill 2.7.0" in said
    assert "A &lt;fast&gt; machine, 2 cores, 2026-01-02" in said


def test_many_chapters_are_shown_with_memory_early_and_late(toy):
    entry = dict.fromkeys(
        ("plan", "plan_after_a_change", "no_op", "no_op_with_site", "run", "site"), 1.5
    )
    entry = {f"{name}_seconds": value for name, value in entry.items()}
    memory = {"runner": [50.0, 51.0], "worker": [60.0, 60.4]}
    entry |= {"chapters": 300, "jobs": 2, "early": 50, "memory_mb": memory, "provenance": WHERE}
    ledger.write("many_chapters", "timing", entry)
    found = rows("many-chapters-benchmark")
    assert found["Nothing to run"] == ["1.5 s"]
    assert found["Memory of a runner after 50 chapters"] == ["50 MB, later at most 51 MB"]


@pytest.mark.parametrize(
    ("name", "module"), [("execution-benchmark", "execution"), ("many-chapters-benchmark", "many")]
)
def test_a_table_that_was_not_measured_says_how(toy, name, module):
    assert f"python -m benchmarks.{module}" in words(name)
