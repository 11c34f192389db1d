"""Where the time of the last runs went, chapter by chapter: `make times`."""

from src.book.execution.results import Result, read_result
from src.book.execution.runner import aligned
from src.book.notebook.chapters import select
from src.book.site import page_times

_HEADER = ("chapter", "start-up", "imports", "compute", "rendering", "CPU", "of which overhead")


def table(profile: str) -> str:
    """Return a table of the times, and the share of start-up and imports in a cold build.

    It has the seconds of every chapter whose last run in the profile went well.
    """
    pages = page_times.load()
    results = [read_result(chapter.name, profile) for chapter in select()]
    found = {r.chapter: _seconds(r, pages) for r in results if r and r.status == "ok"}
    if not found:
        return f"no chapter has been run in the {profile} profile yet: make book"
    total = [sum(column) for column in zip(*found.values(), strict=True)]
    found["all"] = total
    rows = [_HEADER, *((name, *map(_text, seconds)) for name, seconds in found.items())]
    startup, imports, compute, rendering, cpu, overhead = total
    cold = startup + imports + compute + rendering
    return (
        f"{aligned(rows, right=range(1, len(_HEADER)))}\n"
        f"start-up and imports: {(startup + imports) / cold:.0%} of a cold build's seconds, "
        f"{overhead / max(cpu, 0.01):.0%} of the kernels' processor time"
    )


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
