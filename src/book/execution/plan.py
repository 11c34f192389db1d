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
    """One run of one chapter."""

    chapter: str
    profile: str
    why: str  # it must be run; "" if the last run stands
    threads: int  # processor cores
    resources: dict[str, int]  # `mem_mb`, `runtime` (minutes) and, where it needs one, `gpu`


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
        try:
            longest = math.ceil(float(budget) / 60) + _LONGEST_UNIT_MIN + _RUNNER_MIN
        except (ValueError, OverflowError):
            said = f"BOOK_BUDGET_S must be a number of seconds, not {budget!r}"
            raise BookError(said) from None
        asked["runtime"] = min(asked["runtime"], longest)
    return limits.threads, asked


def asked_of_a_scheduler(limits: Limits) -> dict[str, int]:
    """Return `mem_mb`, `runtime` in minutes and, where a GPU is needed, `gpu`."""
    memory = math.ceil(limits.memory_gib * 1024) + _RUNNER_MB
    asked = {"mem_mb": memory, "runtime": math.ceil(limits.limit_s / 60) + _RUNNER_MIN}
    return asked | ({"gpu": limits.gpus} if limits.gpus else {})


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
    """Return what became of the last runs of chapters, or of all that have the profile.

    The states are "ok" (it stands), "failed", "incomplete", and "not run" (never, or not since
    something changed).
    """
    known = [chapter.name for chapter in chapters_with(profile)]
    found = []
    for name in known if chapters is None else [choose("chapter", c, known) for c in chapters]:
        why, result = why_stale(name, profile), read_result(name, profile)
        if result is None or (why and result.status == "ok"):
            result = Result(name, profile, "not run", reason=why)
        found.append(Outcome(name, result.status, result))
    return found
