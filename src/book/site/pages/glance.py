"""The at-a-glance box under a chapter's title."""

import re
from html import escape

from src.book.chapter.tables import badge
from src.book.evidence import catalogue
from src.book.evidence.catalogue import Paper
from src.book.evidence.statistics import VERDICTS
from src.book.site.pages.evidence import of_paper
from src.book.site.pages.markup import Link, arxiv_link, people, row_of, text
from src.book.site.pages.reading import reading_time
from src.book.site.pages.run_times import run_time

NOTATION = "pages/notation"


def at_a_glance(chapter: str, link: Link) -> str:
    """Return the box: papers, what is re-run, verdicts, times; "" for a chapter of no paper."""
    papers = catalogue.chapters().get(chapter, [])
    if not papers:
        return ""
    # A topic chapter has several papers: their claims are then counted, not listed one by one.
    blocks = "".join(_paper(p, link, every_claim=len(papers) == 1) for p in papers)
    symbols = f'<a href="{link(NOTATION)}">Symbols of the book</a>.'
    words = " ".join(filter(None, [reading_time(chapter), run_time(chapter), symbols]))
    foot = f'<p class="glance-foot">{words}</p>\n'
    return f'<aside class="glance" aria-label="At a glance">\n{blocks}{foot}</aside>\n'


def _paper(paper: Paper, link: Link, every_claim: bool) -> str:
    venue = f", {text(paper.venue)}" if paper.venue else ""
    year = "" if re.search(r"\b(19|20)\d\d\b", paper.venue or "") else f", {paper.year}"
    listed = "" if every_claim else " glance-counts"
    links = [arxiv_link(paper)]
    if paper.repository:
        links.append(f'<a href="{escape(paper.repository)}">authors\' code</a>')
    return (
        f'<p class="glance-paper"><strong>{text(paper.title)}</strong><br>'
        f"{people(paper.authors)}{venue}{year} · {' · '.join(links)}</p>\n"
        f"<p><strong>Re-run here:</strong> {text(paper.reruns)}</p>\n"
        f'<ul class="glance-verdicts{listed}">\n{_verdicts(paper, link, every_claim)}</ul>\n'
    )


def _verdicts(paper: Paper, link: Link, every_claim: bool) -> str:
    """Return a line a verdict: how often, and for which claims."""
    evidence = of_paper(paper)
    lines = []
    for verdict in VERDICTS:
        names = [e.name for e in evidence if e.verdict == verdict]
        if names:
            links = [f'<a href="{row_of(paper, name, link)}">{name}</a>' for name in names]
            which = " ".join(links) if every_claim else ""
            lines.append(f"<li>{badge(verdict, str(len(names)))} {which}</li>\n")
    return "".join(lines)
