"""The scoreboard: every claim of every paper that runs, and how the verdicts are spread."""

from collections import Counter
from html import escape
from itertools import groupby

from src.book import catalogue
from src.book.catalogue import Paper
from src.book.claims import chance_verdicts
from src.book.pages.evidence import Evidence, gather
from src.book.pages.markup import (
    SCOREBOARD,
    Link,
    Section,
    anchor,
    counts,
    paper_link,
    row,
    table,
    text,
)
from src.book.statistics import INCONCLUSIVE, NOT_SUPPORTED, NOT_TESTED, SUPPORTED
from src.book.tables import badge

_ORDER = (SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE, NOT_TESTED)
_HEADER = ["Claim", "What the paper says", "Paper reports", "We measured", "Verdict", "Where"]
_NOTHING = "<p>No chapter has a ledger entry yet.</p>\n"


def scoreboard(link: Link) -> list[Section]:
    """Return the figure, the word of caution and a table of all claims for each part."""
    evidence = gather()
    if not evidence:
        return [Section(_NOTHING)]
    sections = [Section(_figure(evidence, link) + _caution(evidence))]
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
    badges = counts((e.verdict for e in evidence), link(SCOREBOARD))
    line = f"{papers} of {total} papers run so far, with {len(evidence)} claims: {badges}"
    return [Section(f"<p>{line}</p>\n{_figure(evidence, link)}")]


def _paper(paper: Paper, evidence: list[Evidence], link: Link) -> str:
    """Return a paper's claims as a group of rows under its title."""
    title = f"{paper_link(paper, link)} ({paper.year})"
    head = f'<tr><th class="paper" scope="rowgroup" colspan="{len(_HEADER)}">{title}</th></tr>\n'
    return f"<tbody>\n{head}{''.join(map(_row, evidence))}</tbody>\n"


def _row(e: Evidence) -> str:
    verdict = badge(e.verdict)
    if e.others:
        others = ", ".join(f"{profile}: {word}" for profile, word in e.others.items())
        verdict += f'<br><span class="disagreement">profiles disagree ({others})</span>'
    said, reported = text(e.claim.says), text(e.claim.paper or "–")
    cells = [escape(e.name), said, reported, _numbers(e), verdict, _where(e)]
    return row(cells, anchor(e.paper.id, e.name))


def _numbers(e: Evidence) -> str:
    """Return the measured numbers with the criterion that judged them."""
    numbers = text(e.numbers)
    if e.measured is None:
        return numbers
    expected = str(e.claim.expect).replace("<=", "≤").replace(">=", "≥")
    criterion = f"{text(e.claim.measure)}; supported if {text(expected)}"
    return f'{numbers}<br><span class="criterion">{criterion}</span>'


def _where(e: Evidence) -> str:
    if e.measured is None:
        return "–"
    parts = [e.measured["profile"], e.measured["device"], e.measured["date"]]
    return "<br>".join(text(str(part)) for part in parts if part)


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
