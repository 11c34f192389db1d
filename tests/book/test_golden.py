"""What a run writes changes only together with `EXECUTION_VERSION`."""

import copy
import json

import pytest

from src.book.storage import dependencies
from tests.book import golden

REMEDY = (
    "what a run writes has changed: raise EXECUTION_VERSION in dependencies.py, then "
    "python -m tests.book.golden, then make book and make accept"
)


@pytest.fixture
def committed():
    return json.loads(golden.FILE.read_text())


def test_a_run_writes_what_the_golden_page_says(toys, committed):
    golden.write(toys)
    version = committed.pop("execution_version")
    assert version == dependencies.EXECUTION_VERSION, "python -m tests.book.golden"
    assert golden.differences(committed, golden.content()) == [], REMEDY


def test_the_golden_page_shows_all_that_the_machinery_makes(committed):
    text = json.dumps(committed)
    for made in ("text/markdown", "text/html", "verdict-table", "scale-table", "image/png", "alt"):
        assert made in text, made
    assert [m["verdict"] for m in committed["result"]["measurements"]].count("not tested") == 1
    assert committed["result"]["shown"] == [golden.MODULE.strip()]


def test_any_change_of_what_is_written_is_found(committed):
    for change in (
        lambda c: c["page"]["cells"][-1]["outputs"][0]["metadata"]["book"].update(alt="other"),
        lambda c: c["result"]["measurements"][0].update(low=0.9),
        lambda c: c["page"]["cells"].pop(),
    ):
        found = copy.deepcopy(committed)
        change(found)
        assert golden.differences(committed, found) != []
