"""Public entry points meet unusual input with a right value or a clear error."""

import json
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY
from tests.unusual.inputs import Entry, cases, judge
from tests.unusual.table import entries

ENTRIES = entries()


@pytest.fixture(scope="module")
def outcomes(request):
    """What became of the cases of the entries whose tests were asked for."""
    items = request.session.items  # cells of notebooks, too, which have no module
    tests = [item for item in items if getattr(item, "module", None) is request.module]
    names = {item.callspec.params["name"] for item in tests if hasattr(item, "callspec")}
    command = [sys.executable, "-m", "tests.unusual.table", "--json", *sorted(names)]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout)


@pytest.mark.parametrize("name", ENTRIES)
def test_every_unusual_input_gives_a_right_value_or_a_clear_error(name, outcomes):
    assert {case: said for case, (right, said) in outcomes[name].items() if not right} == {}


@pytest.mark.parametrize("name", ENTRIES)
def test_what_an_entry_accepts_is_among_the_cases(name):
    entry = ENTRIES[name]
    known = {f"{argument}: {case}" for argument, case, _ in cases(entry.good())}
    known |= {f"{argument}: *" for argument in entry.good()}
    assert set(entry.accepts) <= known


def careless(x, share):
    return x.mean(0) * share


def test_a_careless_function_is_seen():
    import torch

    entry = Entry(careless, lambda: {"x": torch.ones(3, 2), "share": 0.5})
    faults = {
        f"{argument}: {case}"
        for argument, case, value in cases(entry.good())
        if not judge(entry, argument, case, value)[0]
    }
    assert {"x: whole numbers", "x: one row", "x: empty", "share: -1"} <= faults
    assert not faults & {"x: double", "x: NaN", "x: strided"}
