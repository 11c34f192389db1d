"""What a person sees while chapters run: a live display in a terminal, plain lines elsewhere."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from src.book.execution.results import Result

if TYPE_CHECKING:
    from rich.progress import Progress


@contextlib.contextmanager
def show(total: int, report: Callable[[str], None]) -> Iterator["Lines"]:
    """Show the progress of a number of chapters."""
    if not (report is print and sys.stdout.isatty()):
        yield Lines(total, report)
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, transient=True) as bar:
        yield _Live(total, bar)


class Lines:
    """A line when a chapter begins, and one when it ends."""

    def __init__(self, total: int, report: Callable[[str], None]) -> None:
        self.total, self.count, self.report = total, 0, report

    def started(self, chapter: str, why: str) -> None:
        """Show that a chapter runs, and why."""
        self.report(f"running {chapter} ({why})")

    def finished(self, result: Result) -> None:
        """Show how it went."""
        self.count += 1
        seconds = result.startup_seconds + result.seconds
        line = f"[{self.count}/{self.total}] {result.chapter}: {result.status}, {seconds:.1f} s"
        self.report(line + (f": {result.reason}" if result.reason else ""))


class _Live(Lines):
    """A line for all chapters and one for each that runs; what is finished scrolls past."""

    def __init__(self, total: int, bar: "Progress") -> None:
        super().__init__(total, lambda line: bar.console.print(line, markup=False, highlight=False))
        self.bar, self.running = bar, {}
        self.all = bar.add_task(f"0 of {total} chapters", total=None)

    def started(self, chapter: str, why: str) -> None:
        self.running[chapter] = self.bar.add_task(f"{chapter} ({why})", total=None)

    def finished(self, result: Result) -> None:
        self.bar.remove_task(self.running.pop(result.chapter))
        super().finished(result)
        self.bar.update(self.all, description=f"{self.count} of {self.total} chapters")
