"""The scoreboard: every claim of every paper that runs, and how the verdicts are spread."""

from collections import Counter
from itertools import groupby

from src.book.evidence import catalogue
from src.book.evidence.claims import chance_verdicts
from src.book.evidence.statistics import NOT_TESTED, VERDICTS
from src.book.site.pages import downloads
from src.book.site.pages.evidence import STALE, UNKNOWN, Evidence, gather
from src.book.site.pages.markup import Link, Section, beside, paragraphs, render

_NOTHING = "No chapter has a ledger entry yet."


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
        "files": {"CSV": beside(link, downloads.CSV), "JSON": beside(link, downloads.JSON)},
        "marks": (STALE, UNKNOWN) if any(e.age for e in evidence) else (),
    }


def _bars(evidence: list[Evidence]) -> list[dict[str, object]]:
    """Return a bar for each part that has claims, as wide as it has many."""
    by_part = {part: Counter() for part in catalogue.PARTS}
    for e in evidence:
        by_part[e.paper.part][e.verdict] += 1
    widest = max(found.total() for found in by_part.values())
    bars = []
    for part, found in by_part.items():
        pieces = [(word, found[word]) for word in VERDICTS if found[word]]
        spoken = ", ".join(f"{number} {word}" for word, number in pieces)
        width = f"{100 * found.total() / widest:.4g}"
        if found:
            bars.append({"part": part, "pieces": pieces, "spoken": spoken, "width": width})
    return bars
