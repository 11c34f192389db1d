"""Numbers that the authors' programs gave, and what ours must give for the same inputs.

Each JSON file beside this one lists comparisons: `what` is compared ("kind: setting"), the `source`
of the numbers (a public repository and its commit, or a package and its version, and the function
that was run), the `inputs`, the `outputs` and the `tolerance`, relative to the largest entry of an
output. Only numbers are kept here, not the programs. A source that begins with "formula" is a dense
computation of the paper's formula in double precision, where no program could be run.
"""

import json
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent
FIELDS = ["what", "source", "inputs", "outputs", "tolerance"]


def comparisons(part, methods):
    """Parametrise a test by (method, comparison) for every comparison of a part of the book."""
    stored = json.loads((FOLDER / f"{part}.json").read_text(encoding="utf-8"))
    assert all(list(one) == FIELDS for one in stored)
    kinds = [one["what"].split(":")[0] for one in stored]
    assert set(kinds) == set(methods), "each kind of comparison has its method, and the reverse"
    names = [one["what"] for one in stored]
    assert len(set(names)) == len(names), "two comparisons of one name"
    cases = [(methods[kind], one) for kind, one in zip(kinds, stored, strict=True)]
    return pytest.mark.parametrize(("method", "stored"), cases, ids=names)


def at_each(times, name, values):
    """Outputs that are compared time by time, because their sizes differ by orders."""
    return {f"{name} at {t}": value for t, value in zip(times, values, strict=True)}


def difference(found, expected):
    """The largest difference of two arrays over the largest entry of the second."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    assert found.shape == expected.shape, f"{found.shape} instead of {expected.shape}"
    away = np.abs(found - expected).max(initial=0)
    return float(away / (np.abs(expected).max(initial=0) or 1))


def agree(method, stored, *departures):
    """Check that a method gives the stored outputs, but for departures that are documented."""
    found = method(**stored["inputs"])
    expected = {k: v for k, v in stored["outputs"].items() if k not in departures}
    assert set(found) == set(expected)
    for name, values in expected.items():
        away = difference(found[name], values)
        assert away <= stored["tolerance"], f"{name} of {stored['source']}: {away:.1e}"
