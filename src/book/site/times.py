"""Where the time of the last runs went, chapter by chapter: `make times`.

A chapter's rendering is measured while Sphinx works: reading from one event to the next. Pages are
written one after the other and Sphinx only tells when one begins: a page's writing ends where the
next one's begins. A page that was not rendered this time keeps its last seconds.
"""

import json
import time
from typing import TYPE_CHECKING

from src.book.execution.results import Result, read_result
from src.book.execution.runner import aligned
from src.book.notebook.chapters import select
from src.book.storage import paths
from src.book.storage.files import write_atomically

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_HEADER = ("chapter", "start-up", "imports", "compute", "rendering", "CPU", "of which overhead")


def table(profile: str) -> str:
    """Return a table of the times, and the share of start-up and imports in a cold build.

    It has the seconds of every chapter whose last run in the profile went well.
    """
    pages = load()
    results = [read_result(chapter.name, profile) for chapter in select()]
    found = {r.chapter: _seconds(r, pages) for r in results if r and r.status == "ok"}
    if not found:
        return f"no chapter has been run in the {profile} profile yet: make book"
    found["all"] = total = [sum(column) for column in zip(*found.values(), strict=True)]
    rows = [_HEADER, *((name, *map(_text, seconds)) for name, seconds in found.items())]
    startup, imports, compute, rendering, cpu, overhead = total
    cold = startup + imports + compute + rendering
    return (
        f"{aligned(rows, right=range(1, len(_HEADER)))}\n"
        f"start-up and imports: {(startup + imports) / cold:.0%} of a cold build's seconds, "
        f"{overhead / max(cpu, 0.01):.0%} of the kernels' processor time"
    )


def load() -> dict[str, dict[str, float]]:
    """Return {"read": {page: seconds}, "write": ...}; empty for a site that was never rendered."""
    try:
        return json.loads((paths.build_dir() / "page_times.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"read": {}, "write": {}}


def measure(app: "Sphinx") -> None:
    """Measure how long each page of a build takes."""
    clock = Clock()
    app.connect("source-read", lambda app, page, source: clock.begin("read", page), priority=0)
    app.connect("doctree-read", lambda app, tree: clock.end(), priority=999)
    app.connect("doctree-resolved", lambda app, tree, page: clock.begin("write", page), priority=0)
    app.connect("build-finished", lambda app, error: clock.keep(), priority=0)


class Clock:
    """Adds up the seconds of one build."""

    def __init__(self) -> None:
        self.seconds = load()
        self.now: tuple[str, str, float] | None = None

    def begin(self, what: str, page: str) -> None:
        """Begin with a page; what was measured before ends here."""
        self.end()
        self.now = (what, page, time.perf_counter())

    def end(self) -> None:
        """End what is being measured, if anything is."""
        if self.now is not None:
            what, page, began = self.now
            self.seconds[what][page] = round(time.perf_counter() - began, 3)
            self.now = None

    def keep(self) -> None:
        """Write what is known."""
        self.end()
        content = json.dumps(self.seconds, indent=0, sort_keys=True)
        write_atomically(paths.build_dir() / "page_times.json", content + "\n")


def _seconds(result: Result, pages: dict[str, dict[str, float]]) -> list[float]:
    """Return the columns: wall time by phase, processor time, and of it that before the work."""
    page = f"chapters/{result.chapter}"
    return [
        result.startup_seconds,
        result.import_seconds,
        result.seconds - result.import_seconds,
        sum(pages[what].get(page, 0.0) for what in ("read", "write")),
        result.cpu_seconds,
        result.import_cpu_seconds,
    ]


def _text(seconds: float) -> str:
    return f"{seconds:.1f}" if seconds else "-"  # not measured, by an earlier version of the book
