"""Runs what is out of date: side by side, the longest first, each chapter on its own feet."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from src.book.execution import pool
from src.book.execution.execute import PROFILES
from src.book.execution.results import INCOMPLETE_STATUS, Result, read_result, why_stale
from src.book.notebook.chapters import select
from src.book.storage import locks, paths
from src.book.storage.errors import BookError, choose
from src.book.storage.one_look import one_look

UP_TO_DATE = "up to date"


@dataclass(frozen=True)
class Outcome:
    """What became of one chapter: a result's status or "up to date", and the result."""

    chapter: str
    state: str
    result: Result


def run(
    chapters: list[str] | None = None,
    profile: str = "quick",
    *,
    jobs: int | None = None,
    force: bool = False,
    given: dict[str, object] | None = None,
    out: Path | None = None,
    report: Callable[[str], None] = print,
) -> list[Outcome]:
    """Run the chapters that are out of date; return what became of each.

    Args:
        chapters: their names; None for all.
        profile: "quick", "cpu" or "gpu".
        jobs: how many at a time; None for as many as cores and memory allow.
        force: run them even when they are up to date.
        given: parameters for all of them; such a run is never up to date.
        out: a folder for the runs' files, which leaves the last runs as they are; there, nothing
            is up to date.
        report: called with each line of progress when there is no terminal.

    Raises:
        BookError: for an unknown chapter or profile.
    """
    choose("profile", profile, list(PROFILES))
    names = [chapter.name for chapter in select(chapters)]
    folder = out or paths.build_dir() / "runs" / profile
    with locks.exclusive(folder / ".lock", lambda who: report(f"waiting for another run ({who})")):
        # Looked at under the lock: another run may just have made them up to date.
        with one_look():
            stale = {n: "" if out else _why_stale(n, profile) for n in dict.fromkeys(names)}
        if force or given or out:
            stale = {name: why or "asked for" for name, why in stale.items()}
        todo = sorted((n for n in stale if stale[n]), key=lambda n: (-_last_seconds(n, profile), n))
        tasks = [pool.Task(name, profile, given or {}, out) for name in todo]
        done = _run_all(tasks, stale, jobs, report)
        return [
            Outcome(name, done[name].status, done[name])
            if name in done
            else Outcome(name, UP_TO_DATE, read_result(name, profile))
            for name in stale
        ]


def _run_all(
    tasks: list[pool.Task], why: dict[str, str], jobs: int | None, report: Callable[[str], None]
) -> dict[str, Result]:
    """Run chapters in order, with a live display in a terminal and plain lines elsewhere."""
    if not tasks:
        return {}
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    _make_font_cache()
    done: dict[str, Result] = {}
    running = {}
    live = report is print and sys.stdout.isatty()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, transient=True, disable=not live) as bar:
        everything = bar.add_task(f"0 of {len(tasks)} chapters", total=None)

        def started(task: pool.Task) -> None:
            words = f"{task.chapter} ({why[task.chapter]})"
            running[task.chapter] = bar.add_task(words, total=None)
            if not live:
                report(f"running {words}")

        def finished(result: Result) -> None:
            done[result.chapter] = result
            bar.remove_task(running[result.chapter])
            seconds = result.startup_seconds + result.seconds
            said = f"{result.chapter}: {result.status}, {seconds:.1f} s"
            because = f": {result.reason}" if result.reason else ""
            report(f"[{len(done)}/{len(tasks)}] {said}{because}")
            bar.update(everything, description=f"{len(done)} of {len(tasks)} chapters")

        jobs = jobs or default_jobs(tasks[0].profile)
        pool.run_all(tasks, jobs, started=started, finished=finished)
    return done


def _why_stale(chapter: str, profile: str) -> str:
    try:
        return why_stale(chapter, profile)
    except (BookError, OSError):  # something is broken: its run says what, the others go on
        return "it cannot be told whether it is up to date"


def default_jobs(profile: str) -> int:
    """Return how many chapters this machine can run at a time; one on a GPU."""
    import psutil

    if profile == "gpu":
        return 1
    limits = PROFILES[profile]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = psutil.virtual_memory().total / 2**30
    return max(1, min(cores // limits.threads, int(memory / limits.memory_gib)))


def exit_status(outcomes: list[Outcome]) -> int:
    """Return 0 if all is well, 75 if a chapter only needs another go, 1 for anything else."""
    states = {outcome.state for outcome in outcomes} - {"ok", UP_TO_DATE}
    return 1 if states - {"incomplete"} else INCOMPLETE_STATUS if states else 0


def table(outcomes: list[Outcome], seconds: float | None = None) -> str:
    """Return the final table: per chapter state, seconds, memory and what to look at.

    The last line counts the states, and says how long all of it took if that is known.
    """
    rows = [("chapter", "result", "seconds", "peak MB", "")]
    for outcome in outcomes:
        result = outcome.result
        ran = outcome.state not in (UP_TO_DATE, "not run")
        total = f"{result.seconds + result.startup_seconds:.1f}" if ran else ""
        peak = f"{result.peak_memory_mb:.0f}" if ran else ""
        rows.append((outcome.chapter, outcome.state, total, peak, _note(outcome)))
    lines = aligned(rows, right=(2, 3))
    states = [outcome.state for outcome in outcomes]
    order = ("ok", UP_TO_DATE, "incomplete", "failed", "not run")
    counts = [f"{states.count(state)} {state}" for state in order if state in states]
    took = "" if seconds is None else f" in {seconds:.1f} s"
    return "\n".join([lines, f"{', '.join(counts) or 'no chapters'}{took}"])


def aligned(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> str:
    """Return rows of texts as lines with aligned columns; those in `right` end together."""
    columns = []
    for number, column in enumerate(zip(*rows, strict=True)):
        side, width = ">" if number in right else "<", max(map(len, column))
        columns.append([f"{text:{side}{width}}" for text in column])
    return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))


def run_and_report(chapters: list[str] | None, profile: str, **asked: object) -> list[Outcome]:
    """Run as `run` does and print the final table."""
    began = time.monotonic()
    outcomes = run(chapters, profile, **asked)
    print(table(outcomes, time.monotonic() - began))
    return outcomes


def _note(outcome: Outcome) -> str:
    if outcome.state == "ok" and outcome.result.over_budget:
        return f"over its budget of {outcome.result.budget_s:g} s"
    return outcome.result.says


def _last_seconds(chapter: str, profile: str) -> float:
    """Return how long it took the last time; a chapter never run may be the longest."""
    result = read_result(chapter, profile)
    return result.seconds if result else float("inf")


def _make_font_cache() -> None:
    """Have matplotlib look for fonts now; on a new machine it says so on a chapter's page."""
    with contextlib.suppress(ImportError):
        import matplotlib

        if not any(Path(matplotlib.get_cachedir()).glob("fontlist-*.json")):
            import matplotlib.font_manager
