"""The scoreboard: every claim of every paper that runs, and how the verdicts are spread."""

from collections import Counter
from html import escape
from itertools import groupby

from src.book.chapter.tables import badge
from src.book.evidence import catalogue
from src.book.evidence.catalogue import Paper
from src.book.evidence.claims import chance_verdicts
from src.book.evidence.statistics import INCONCLUSIVE, NOT_SUPPORTED, NOT_TESTED, SUPPORTED
from src.book.site.pages import downloads
from src.book.site.pages.evidence import Evidence, gather
from src.book.site.pages.markup import (
    SCOREBOARD,
    Link,
    Section,
    anchor,
    beside,
    cell_link,
    paper_link,
    row,
    table,
    text,
)

_ORDER = (SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE, NOT_TESTED)
_HEADER = [
    "Claim",
    "What the paper says",
    "Paper reports",
    "We measured",
    "Verdict",
    "Profile",
    "Where",
]
STALE, UNKNOWN = "older than the code", "code unknown"
_NOTHING = "<p>No chapter has a ledger entry yet.</p>\n"


def scoreboard(link: Link) -> list[Section]:
    """Return the figure, the word of caution and a table of all claims for each part."""
    evidence = gather()
    if not evidence:
        return [Section(_NOTHING)]
    about = _figure(evidence, link) + _caution(evidence) + _downloads(evidence, link)
    sections = [Section(about)]
    for part, title in catalogue.PARTS.items():
        here = [e for e in evidence if e.paper.part == part]
        if here:
            rows = "".join(_paper(p, list(es), link) for p, es in groupby(here, lambda e: e.paper))
            html = table(f"Claims of the papers in {title}", _HEADER, rows, "scoreboard")
            sections.append(Section(html, title, part))
    return sections


def scoreboard_summary(link: Link) -> list[Section]:
    """Return the scoreboard in one line and the figure, for the front page."""
    evidence = gather()
    if not evidence:
        return [Section(_NOTHING)]
    papers = len({e.paper.id for e in evidence})
    total = papers + len(catalogue.planned())
    found = Counter(e.verdict for e in evidence)
    numbers = "".join(
        f'<li class="verdict-{word.replace(" ", "-")}"><strong>{found[word]}</strong> {word}</li>\n'
        for word in _ORDER
    )
    line = f"{papers} of {total} papers run so far, with {len(evidence)} claims:"
    html = f'<p class="numbers-lead">{line}</p>\n<ul class="numbers">\n{numbers}</ul>\n'
    return [Section(html + _figure(evidence, link))]


def _paper(paper: Paper, evidence: list[Evidence], link: Link) -> str:
    """Return a paper's claims as a group of rows under its title."""
    title = f"{paper_link(paper, link)} ({paper.year})"
    head = f'<tr><th class="paper" scope="rowgroup" colspan="{len(_HEADER)}">{title}</th></tr>\n'
    return f"<tbody>\n{head}{''.join(_row(e, link) for e in evidence)}</tbody>\n"


def _row(e: Evidence, link: Link) -> str:
    verdict = badge(e.verdict)
    if e.others:
        others = ", ".join(f"{profile}: {word}" for profile, word in e.others.items())
        verdict += f'<br><span class="disagreement">profiles disagree ({escape(others)})</span>'
    said, reported = text(e.claim.says), text(e.claim.paper or "–")
    profile = text(e.measured["profile"]) if e.measured else "–"
    cells = [escape(e.name), said, reported, _numbers(e), verdict, profile, _where(e, link)]
    return row(cells, anchor(e.paper.id, e.name))


def _numbers(e: Evidence) -> str:
    """Return the measured numbers with the criterion that judged them."""
    numbers = text(e.numbers)
    if e.measured is None:
        return numbers
    expected = str(e.claim.expect).replace("<=", "≤").replace(">=", "≥")
    criterion = f"{text(e.claim.measure)}; supported if {text(expected)}"
    return f'{numbers}<br><span class="criterion">{criterion}</span>'


def _where(e: Evidence, link: Link) -> str:
    """Return device, date, the way to the measuring cell, and whether the code is newer."""
    if e.measured is None:
        return "–"
    parts = [text(e.measured["device"])]
    if date := e.measured["date"]:
        parts.append(f'<time datetime="{escape(date)}">{escape(date)}</time>')
    # A benchmark measures outside the pages; its chapter shows the result with the verdicts.
    words = "verdict" if e.measured["profile"] == "timing" else "cell"
    parts.append(cell_link(e.paper, e.name, words, link))
    if e.stale is not False:
        parts.append(f'<span class="stale">{UNKNOWN if e.stale is None else STALE}</span>')
    return "<br>".join(parts)


def _downloads(evidence: list[Evidence], link: Link) -> str:
    """Return links to the table as data, and what a mark of age means where one is shown."""
    csv, json = (beside(link, file) for file in (downloads.CSV, downloads.JSON))
    aged = (
        f'<p>Rows marked <span class="stale">{STALE}</span> were measured before the code of their '
        "chapter was last changed; the next run of that profile measures them again. Rows marked "
        f'<span class="stale">{UNKNOWN}</span> do not say which code they measured.</p>\n'
        if any(e.stale is not False for e in evidence)
        else ""
    )
    return (
        f'<p>The same rows as data: <a href="{csv}" download>CSV</a>, '
        f'<a href="{json}" download>JSON</a>.</p>\n{aged}'
    )


def _caution(evidence: list[Evidence]) -> str:
    """Return how many verdicts chance alone would produce."""
    judged = [e for e in evidence if e.verdict in (SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE)]
    intervals = [e for e in judged if e.claim.kind != "exact"]
    if not intervals:
        return ""
    wrong = chance_verdicts(len(intervals))
    return (
        f"<p>{len(judged)} claims were judged, {len(intervals)} of them by a 95&nbsp;% interval. "
        f"If the truth lay exactly on the border of every criterion, chance alone would call about "
        f"{wrong:.1g} of these {len(intervals)} supported, and as many not supported.</p>\n"
    )


def _figure(evidence: list[Evidence], link: Link) -> str:
    """Return stacked bars of the verdicts, one bar a part: HTML, so that it follows the theme."""
    by_part = {
        part: Counter(e.verdict for e in evidence if e.paper.part == part)
        for part in catalogue.PARTS
    }
    widest = max(found.total() for found in by_part.values())
    bars = "".join(_bar(part, found, widest, link) for part, found in by_part.items() if found)
    legend = " ".join(map(badge, _ORDER))
    return (
        f'<figure class="verdict-bars">\n{bars}<figcaption>Number of claims by part and verdict: '
        f"{legend}</figcaption></figure>\n"
    )


def _bar(part: str, found: Counter, widest: int, link: Link) -> str:
    words = [word for word in _ORDER if found[word]]
    pieces = "".join(
        f'<span class="verdict-{word.replace(" ", "-")}" style="flex-grow:{found[word]}">'
        f"{found[word]}</span>"
        for word in words
    )
    spoken = ", ".join(f"{found[word]} {word}" for word in words)
    name = f'<a class="bar-name" href="{link(SCOREBOARD)}#{part}">{catalogue.PARTS[part]}</a>'
    return (
        f'<div class="bar-row">{name}<span class="bar-space"><span class="bar" role="img" '
        f'aria-label="{spoken}" style="width:{100 * found.total() / widest:.4g}%">{pieces}</span>'
        "</span></div>\n"
    )
