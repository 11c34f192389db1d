"""What a cluster needs to know of the runs, and what it left: before and after `workflow/`.

A scheduler runs the chapters by `run-one`; which ones, and with what resources, stands here.
"""

import json
import math
import os
from dataclasses import dataclass

from src.book.execution.execute import PROFILES, Limits, limits_of
from src.book.execution.results import Result, read_result, why_stale
from src.book.execution.runner import Outcome
from src.book.notebook.chapters import Chapter, select
from src.book.storage.errors import BookError, choose

# Beyond the kernel's limit: the process that watches it, so that its word comes before the
# scheduler's, which says less.
_RUNNER_MB = 512
_RUNNER_MIN = 5
_LONGEST_UNIT_MIN = 15


@dataclass(frozen=True)
class Planned:
    """One run of one chapter.

    Attributes:
        why: why it must be run, "" if the last run stands.
        threads: processor cores.
        resources: `mem_mb`, `runtime` (minutes) and, where it needs one, `gpu`, as schedulers ask.
    """

    chapter: str
    profile: str
    why: str
    threads: int
    resources: dict[str, int]


def plan(profile: str) -> list[Planned]:
    """Return the runs of all chapters that have a profile, up to date or not.

    Raises:
        BookError: for an unknown profile, one that no chapter has, or a chapter that is not valid.
    """
    return [
        Planned(c.name, profile, why_stale(c.name, profile), *resources(c, profile))
        for c in chapters_with(profile)
    ]


def resources(chapter: Chapter, profile: str) -> tuple[int, dict[str, int]]:
    """Return the processor cores and the scheduler's resources for a run.

    Where `BOOK_BUDGET_S` makes the larger profiles stop in time, their jobs ask for no more.

    Raises:
        BookError: if `BOOK_BUDGET_S` is not a number of seconds.
    """
    limits = limits_of(chapter, profile)
    asked = asked_of_a_scheduler(limits)
    if (budget := os.environ.get("BOOK_BUDGET_S")) and profile != "quick":
        longest = _minutes(budget) + _LONGEST_UNIT_MIN + _RUNNER_MIN
        asked["runtime"] = min(asked["runtime"], longest)
    return limits.threads, asked


def asked_of_a_scheduler(limits: Limits) -> dict[str, int]:
    """Return `mem_mb`, `runtime` in minutes and, where a GPU is needed, `gpu`."""
    asked = {
        "mem_mb": math.ceil(limits.memory_gib * 1024) + _RUNNER_MB,
        "runtime": math.ceil(limits.limit_s / 60) + _RUNNER_MIN,
    }
    return {**asked, **({"gpu": limits.gpus} if limits.gpus else {})}


def chapters_with(profile: str) -> list[Chapter]:
    """Return the chapters that have a profile.

    Raises:
        BookError: for an unknown profile, or one that no chapter has.
    """
    choose("profile", profile, list(PROFILES))
    found = [chapter for chapter in select() if profile in chapter.profiles]
    if not found:
        raise BookError(f"no chapter has a {profile} profile")
    return found


def as_json(runs: list[Planned]) -> str:
    """Return the plan as JSON, one run a line."""
    lines = ",\n".join(" " + json.dumps(vars(run)) for run in runs)
    return f"[\n{lines}\n]\n"


def look(profile: str, chapters: list[str] | None = None) -> list[Outcome]:
    """Return what became of the last runs, and run nothing.

    Args:
        profile: "quick", "cpu" or "gpu".
        chapters: their names; None for all that have the profile.

    Returns:
        States "ok" (it stands), "failed", "incomplete", and "not run" (never, or not since
        something changed).
    """
    known = [chapter.name for chapter in chapters_with(profile)]
    names = known if chapters is None else [choose("chapter", c, known) for c in chapters]
    return [_outcome(name, profile) for name in names]


def _minutes(budget: str) -> int:
    try:
        return math.ceil(float(budget) / 60)
    except (ValueError, OverflowError):
        raise BookError(f"BOOK_BUDGET_S must be a number of seconds, not {budget!r}") from None


def _outcome(chapter: str, profile: str) -> Outcome:
    why, result = why_stale(chapter, profile), read_result(chapter, profile)
    if result is None or (why and result.status == "ok"):
        return Outcome(chapter, "not run", Result(chapter, profile, "failed", reason=why))
    return Outcome(chapter, result.status, result)
