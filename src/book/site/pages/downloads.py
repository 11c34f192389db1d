"""The scoreboard as data: the rows of its table, as CSV and as JSON."""

import csv
import io
import json
import re

from src.book.evidence import catalogue
from src.book.notebook.titles import chapter_title
from src.book.site.pages.cells import anchor_of_cell
from src.book.site.pages.evidence import Evidence, gather

CSV, JSON = "pages/scoreboard.csv", "pages/scoreboard.json"

_FORMULA = re.compile(r"\s*[=+\-@]|[\t\r]")
_NUMBER = re.compile(r"[+-]?\d*\.?\d+(?:[eE][+-]?\d+)? ?%?")

# The columns and their order are what programs of others rely on: add at the end, rename nothing.
COLUMNS = (
    *("part", "paper", "title", "year", "chapter", "claim", "says", "paper_reports", "measure"),
    *("criterion", "verdict", "profile", "statistic", "estimate", "low", "high", "n", "unit"),
    *("device", "date", "older_than_code", "other_profiles", "page"),
)
_OF_MEASUREMENT = ("profile", "statistic", "estimate", "low", "high", "n", "unit", "device", "date")


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


def as_json(found: list[dict[str, object]]) -> str:
    """Return the rows as a JSON list of objects."""
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


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
