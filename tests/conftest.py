"""Shared fixtures: fake roots, the data mirror, and a loud word for what cannot run."""

import os
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

REPOSITORY = Path(__file__).resolve().parents[1]

# The same examples every time, and no deadline: a busy machine is no failure.
settings.register_profile("book", deadline=None, derandomize=True, database=None)
settings.load_profile("book")

# Shapes and types in the signatures of the methods are checked at run time, in every part.
_PARTS = {f.parent.name for f in (REPOSITORY / "src").glob("*/__init__.py")} - {"book"}
install_import_hook([f"src.{part}" for part in sorted(_PARTS)], "beartype.beartype")


@pytest.fixture
def book_root(tmp_path, monkeypatch):
    """An empty book in a temporary folder: its own catalogue, ledger, cache and build folder."""
    for folder in ("data/papers", "data/results", "chapters", "src"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "data" / "datasets.yml").write_text("{}\n")
    monkeypatch.setenv("BOOK_ROOT", str(tmp_path))
    monkeypatch.setenv("BOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BOOK_BUILD", raising=False)
    monkeypatch.delenv("BOOK_RECORD", raising=False)
    return tmp_path


PAPER = """\
title: A paper
authors: [A. Author]
year: 2020
part: foundations
chapter: foundations/probe
idea: One idea.
reruns: One experiment.
claims:
  C1:
    says: it is better
    paper: null
    measure: method minus baseline, one value a seed
    kind: t
    unit: seed
    expect: {statistic: mean, op: ">", value: 0}
    tolerance: 0.1
  C2:
    says: it is equal
    paper: null
    measure: largest error, one value a matrix
    kind: exact
    unit: matrix
    expect: {statistic: max, op: "<=", value: 1.0e-6}
"""


@pytest.fixture
def probe_paper(book_root):
    """The book of `book_root` with one paper, `probe`, in the chapter foundations/probe."""
    (book_root / "data/papers/probe.yml").write_text(PAPER)
    return book_root


def _mirror() -> Path | None:
    """Return the data mirror named by `$BOOK_DATA_MIRROR`, if it exists."""
    chosen = os.environ.get("BOOK_DATA_MIRROR")
    return Path(chosen) if chosen and Path(chosen).is_dir() else None


@pytest.fixture(scope="session")
def data_mirror():
    """The folder with the public data sets; without it a test skips, and under CI it fails."""
    mirror = _mirror()
    if mirror is None:
        message = "no data mirror: set BOOK_DATA_MIRROR to test the loaders on the real data sets"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return mirror


def pytest_terminal_summary(terminalreporter):
    """Say loudly which checks could not run."""
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        terminalreporter.write_line(f"NOT CHECKED {report.nodeid}: {reason}", yellow=True)
