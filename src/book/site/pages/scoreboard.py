"""The scoreboard: every claim of every paper that runs, as a page, as CSV and as JSON."""

import csv
import io
import json
import re
from itertools import groupby
from pathlib import Path

from src.book.evidence import catalogue
from src.book.evidence.claims import chance_verdicts
from src.book.evidence.statistics import NOT_TESTED, VERDICTS
from src.book.notebook.titles import chapter_title
from src.book.site.pages.cells import anchor_of_cell
from src.book.site.pages.evidence import STALE, UNKNOWN, Evidence, gather
from src.book.site.pages.markup import Link, Section, beside, paragraphs, render

_NOTHING = "No chapter has a ledger entry yet."

CSV, JSON = "pages/scoreboard.csv", "pages/scoreboard.json"  # below the site's root

_FORMULA = re.compile(r"\s*[=+\-@]|[\t\r]")
_NUMBER = re.compile(r"[+-]?\d*\.?\d+(?:[eE][+-]?\d+)? ?%?")

# The columns and their order are what programs of others rely on: add at the end, rename nothing.
COLUMNS = (
    *("part", "paper", "title", "year", "chapter", "claim", "says", "paper_reports", "measure"),
    *("criterion", "verdict", "profile", "statistic", "estimate", "low", "high", "n", "unit"),
    *("device", "date", "older_than_code", "other_profiles", "page"),
)
_OF_MEASUREMENT = ("profile", "statistic", "estimate", "low", "high", "n", "unit", "device", "date")


def scoreboard(link: Link) -> list[Section]:
    """Return the figure, the word of caution and a table of all claims for each part."""
    evidence = gather()
    if not evidence:
        return [paragraphs(_NOTHING)]
    sections = [Section(render("scoreboard.about", link, **_about(evidence, link)))]
    for part, title in catalogue.PARTS.items():
        here = [e for e in evidence if e.paper.part == part]
        if here:
            papers = [(paper, list(claims)) for paper, claims in groupby(here, lambda e: e.paper)]
            html = render("scoreboard.claims", link, title, papers)
            sections.append(Section(html, title, part))
    return sections


def scoreboard_summary(link: Link) -> list[Section]:
    """Return the scoreboard in one line and the figure, for the front page."""
    evidence = gather()
    if not evidence:
        return [paragraphs(_NOTHING)]
    papers = len({e.paper.id for e in evidence})
    total = papers + len(catalogue.planned())
    verdicts = [e.verdict for e in evidence]
    bars = _bars(evidence)
    return [Section(render("scoreboard.summary", link, papers, total, verdicts, bars))]


def _about(evidence: list[Evidence], link: Link) -> dict[str, object]:
    """Return what stands above the tables; chance alone would produce `wrong` verdicts."""
    judged = [e for e in evidence if e.verdict in VERDICTS and e.verdict != NOT_TESTED]
    intervals = sum(e.claim.kind != "exact" for e in judged)
    return {
        "bars": _bars(evidence),
        "judged": len(judged),
        "intervals": intervals,
        "wrong": chance_verdicts(intervals),
        "files": {"CSV": beside(link, CSV), "JSON": beside(link, JSON)},
        "marks": (STALE, UNKNOWN) if any(e.age for e in evidence) else (),
    }


def _bars(evidence: list[Evidence]) -> dict[str, list[str]]:
    """Return the verdicts of each part that has claims."""
    by_part = {p: [e.verdict for e in evidence if e.paper.part == p] for p in catalogue.PARTS}
    return {part: verdicts for part, verdicts in by_part.items() if verdicts}


def write_downloads(site: Path) -> None:
    """Write the rows into a rendered site, as CSV and as a JSON list of objects."""
    found = rows()
    (site / CSV).parent.mkdir(exist_ok=True)
    (site / CSV).write_text(as_csv(found), encoding="utf-8")
    words = json.dumps(found, indent=1, ensure_ascii=False)
    (site / JSON).write_text(f"{words}\n", encoding="utf-8")


def rows() -> list[dict[str, object]]:
    """Return one row a claim, in the order of the table; None where nothing was measured."""
    return [dict(zip(COLUMNS, _values(e), strict=True)) for e in gather()]


def as_csv(found: list[dict[str, object]]) -> str:
    """Return the rows as CSV with a header; what is None is empty.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _harmless(value) for key, value in row.items()} for row in found)
    return buffer.getvalue()


def _harmless(value: object) -> object:
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def _values(e: Evidence) -> tuple[object, ...]:
    paper, claim, measured = e.paper, e.claim, e.measured or {}
    return (
        *(catalogue.PARTS[paper.part], paper.id, paper.title, paper.year),
        *(chapter_title(paper.chapter), e.name, claim.says, claim.paper, claim.measure),
        *(str(claim.expect), e.verdict, *map(measured.get, _OF_MEASUREMENT)),
        *(e.stale, e.disagreement),
        f"chapters/{paper.chapter}.html#{anchor_of_cell(paper.id, e.name)}",
    )
