"""The larger profiles' runs: which chapters, with which seeds, into which files of the ledger."""

import re

from src.book.acceptance.accept import write_ledger
from src.book.execution import runner
from src.book.notebook import chapters
from src.book.storage import paths
from src.book.storage.errors import BookError, choose

_MOST_SEEDS = 100
_STANDS = ("ok", runner.UP_TO_DATE)
_SEEDS = re.compile(r"(\d+)(?:-(\d+))?")


def run_profile(
    names: list[str] | None,
    profile: str,
    seeds: list[int] | None = None,
    **asked: object,
) -> list[runner.Outcome]:
    """Run a larger profile of chapters and write their ledger entries; return how each run went.

    Args:
        names: of the chapters; None for all that have the profile.
        profile: "cpu" or "gpu".
        seeds: the base seeds, from which a chapter derives those of its units; None for each
            chapter's own. A chapter's own seed writes the entry that the pages show; every other
            seed N writes `<chapter>.seed-N.json` beside it, and leaves pages and weights alone.
        jobs, force: as for `runner.run`; with another seed nothing is up to date.

    Raises:
        BookError: for an unknown chapter or profile, or a chapter without the profile.
    """
    choose("profile of results", profile, ["cpu", "gpu"])
    own = _own_seeds(names, profile)
    outcomes = []
    for seed in [None] if seeds is None else seeds:
        if usual := [name for name in own if seed in (None, own[name])]:
            outcomes += _run(usual, profile, **asked)
        if others := [name for name in own if name not in usual]:
            print(f"seed {seed}:")
            out = paths.build_dir() / "runs" / profile / f"seed-{seed}"
            outcomes += _run(others, profile, given={"seed": seed}, out=out, **asked)
    return outcomes


def parse_seeds(text: str) -> list[int]:
    """Return the seeds that a text such as "0-4" or "0,3,7-9" names, each once, in its order.

    Raises:
        BookError: if the text is anything else, or names more than a hundred.
    """
    found: dict[int, None] = {}
    for part in text.split(","):
        match = _SEEDS.fullmatch(part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise BookError(f"seeds are whole numbers such as 3, 0-4 or 0,1,2, not {text!r}")
        if len(found) + last - first >= _MOST_SEEDS:
            raise BookError(f"{text!r} names more than {_MOST_SEEDS} seeds; run fewer at a time")
        found |= dict.fromkeys(range(first, last + 1))
    return list(found)


def verdicts_by_seed(outcomes: list[runner.Outcome]) -> str:
    """Return a table of the verdicts: a line a claim, a column a seed; "" if only one seed ran."""
    verdicts: dict[tuple[str, str], dict[int, str]] = {}
    for result in (outcome.result for outcome in outcomes if outcome.state in _STANDS):
        for measured in result.measurements:
            key = result.chapter, f"{measured['paper']} {measured['claim']}"
            verdicts.setdefault(key, {})[result.seed] = measured["verdict"]
    seeds = sorted({seed for row in verdicts.values() for seed in row})
    if len(seeds) < 2:
        return ""
    rows = [["chapter", "claim", *(f"seed {seed}" for seed in seeds)]]
    rows += [[*key, *(row.get(seed, "") for seed in seeds)] for key, row in verdicts.items()]
    return runner.aligned(rows)


def _own_seeds(asked: list[str] | None, profile: str) -> dict[str, int | None]:
    """Return the chapters that have the profile, with their own seeds.

    A chapter that cannot be read has None: its run says what is wrong, at no cost to the others.
    """
    found: dict[str, int | None] = {}
    for chapter in chapters.select(asked):
        try:
            if asked:
                choose(f"profile of {chapter.name}", profile, chapter.profiles)
            if profile in chapter.profiles:
                found[chapter.name] = chapter.schema["seed"]
        except BookError:
            if asked:
                raise
            found[chapter.name] = None
    if not found:
        raise BookError(f"no chapter has a {profile} profile")
    return found


def _run(names: list[str], profile: str, **asked: object) -> list[runner.Outcome]:
    """Run chapters and write the ledger entries of the runs that went well."""
    outcomes = runner.run_and_report(names, profile, **asked)
    for outcome in outcomes:
        if outcome.state in _STANDS:
            print(f"wrote {paths.short(write_ledger(outcome.result))}")
    return outcomes
