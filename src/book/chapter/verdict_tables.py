"""The tables of a run's verdicts: of its own, and of what larger runs have measured."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from src.book.chapter.tables import Table
from src.book.evidence import catalogue, claims, ledger
from src.book.evidence.statistics import NOT_TESTED

if TYPE_CHECKING:
    from src.book.chapter.context import Run


def verdicts(run: "Run", paper: str | None) -> Table:
    """Return the table of one paper's verdicts, or of all papers of the run's chapter."""
    rows = []
    timing = ledger.read(run.chapter, "timing") or {}
    bench = {(m["paper"], m["claim"]): m for m in timing.get("measurements", [])}
    for entry, name, claim in _claims(run):
        if paper not in (None, entry.id):
            continue
        measured, key = run.judged(entry.id, name), (entry.id, name)
        words = claims.describe(measured.judgement, measured.statistic, measured.unit)
        verdict = measured.verdict
        if claim.kind == "timing" and key in bench:
            words, verdict = f"{_numbers(bench[key])} (benchmark)", bench[key]["verdict"]
        words = (words or measured.judgement.reason) + _other_at_scale(run.chapter, key, verdict)
        lead = _lead(run, entry.id) if paper is None else []
        rows.append([*lead, name, claim.says, claim.paper, words, verdict])
    lead = _lead(run, "Paper") if paper is None else []
    header = [*lead, "Claim", "It says", "The paper reports", "We measured", "Verdict"]
    return Table(header, rows, "verdict-table")


def print_words(run: "Run") -> None:
    """Print one line a claim: its name and the verdict's word (no numbers, no timing)."""
    for paper, name, claim in _claims(run):
        if claim.kind != "timing":
            print(*_lead(run, paper.id), name, run.judged(paper.id, name).verdict)


def at_scale(run: "Run") -> Table:
    """Return the table of what the larger profiles and the benchmarks measured, by claim."""
    rows = []
    for profile in ("cpu", "gpu", "timing"):
        entry, above = ledger.read(run.chapter, profile), ""
        for m in (entry or {}).get("measurements", []):
            if m["verdict"] == NOT_TESTED:
                continue
            source = m.get("provenance") or entry["provenance"]
            where = f"{source['device']}, {source['date']}"
            where, above = ("" if where == above else where), where
            lead = _lead(run, m["paper"])
            rows.append([*lead, m["claim"], profile, _numbers(m), m["verdict"], where])
        if entry is None and profile in run.profiles:
            said = f"the {profile} profile has not been run yet"
            rows.append([*_lead(run, None), None, profile, said, None, None])
    where = "Device and date (blank: as above)"
    header = [*_lead(run, "Paper"), "Claim", "Profile", "Measured", "Verdict", where]
    return Table(header, rows, "scale-table")


def _claims(run: "Run") -> Iterator[tuple[catalogue.Paper, str, catalogue.Claim]]:
    for paper in run.papers:
        for name, claim in paper.claims.items():
            yield paper, name, claim


def _other_at_scale(chapter: str, key: tuple[str, str], verdict: str) -> str:
    """Return a pointer to the verdict of a larger profile, where it is another one."""
    for profile in ledger.LARGER:
        for m in (ledger.read(chapter, profile) or {"measurements": []})["measurements"]:
            if (m["paper"], m["claim"]) == key and m["verdict"] not in (NOT_TESTED, verdict):
                return f" (the {profile} profile says: {m['verdict']}; see At scale)"
    return ""


def _lead(run: "Run", paper: str | None) -> list[str | None]:
    """Return the paper's column, which only chapters of several papers need."""
    return [paper] if len(run.papers) > 1 else []


def _numbers(measured: dict) -> str:
    words = claims.describe_kept(measured)
    return f"{words}; {measured['peer']}" if "peer" in measured else words
