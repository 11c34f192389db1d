"""Where the time of the last runs went, chapter by chapter: `make times`."""

from dataclasses import dataclass

from src.book import notebooks, page_times
from src.book.results import Result, read_result

_HEADER = ("chapter", "start-up", "imports", "compute", "rendering", "CPU", "of which overhead")


@dataclass(frozen=True)
class Times:
    """Seconds of one chapter's last run.

    Attributes:
        startup: reading the chapter and starting its kernel.
        imports: from the first cell until the run context is there.
        compute: the chapter's other cells.
        rendering: reading and writing its page, the last time it was rendered.
        cpu: processor time of the kernel.
        overhead_cpu: of it, until the run context was there.
    """

    chapter: str
    startup: float
    imports: float
    compute: float
    rendering: float
    cpu: float
    overhead_cpu: float

    @property
    def seconds(self) -> tuple[float, ...]:
        """The columns of the table."""
        return (self.startup, self.imports, self.compute, self.rendering, self.cpu,
                self.overhead_cpu)  # fmt: skip


def times(profile: str) -> list[Times]:
    """Return the times of every chapter whose last run in a profile went well."""
    pages = page_times.load()
    results = [read_result(chapter, profile) for chapter in notebooks.chapters()]
    return [_times(result, pages) for result in results if result and result.status == "ok"]


def table(profile: str) -> str:
    """Return a table of the times, and the share of start-up and imports in a cold build."""
    found = times(profile)
    if not found:
        return f"no chapter has been run in the {profile} profile yet: make book"
    total = [sum(column) for column in zip(*(t.seconds for t in found), strict=True)]
    rows = [_HEADER, *((t.chapter, *map(_text, t.seconds)) for t in found)]
    rows.append(("all", *map(_text, total)))
    widths = [max(len(row[k]) for row in rows) for k in range(len(_HEADER))]
    lines = [
        "  ".join(
            [
                f"{row[0]:<{widths[0]}}",
                *(f"{c:>{w}}" for c, w in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in rows
    ]
    startup, imports, compute, rendering, cpu, overhead = total
    cold = startup + imports + compute + rendering
    lines.append(
        f"start-up and imports: {(startup + imports) / cold:.0%} of a cold build's seconds, "
        f"{overhead / max(cpu, 0.01):.0%} of the kernels' processor time"
    )
    return "\n".join(lines)


def _times(result: Result, pages: dict[str, dict[str, float]]) -> Times:
    page = f"chapters/{result.chapter}"
    return Times(
        result.chapter,
        result.startup_seconds,
        result.import_seconds,
        result.seconds - result.import_seconds,
        sum(pages[what].get(page, 0.0) for what in ("read", "write")),
        result.cpu_seconds,
        result.import_cpu_seconds,
    )


def _text(seconds: float) -> str:
    return f"{seconds:.1f}" if seconds else "-"  # not measured, by an earlier version of the book
