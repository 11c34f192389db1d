"""The at-a-glance box under a chapter's title."""

import re

from src.book.evidence import catalogue
from src.book.evidence.catalogue import Paper
from src.book.evidence.statistics import VERDICTS
from src.book.site.pages.evidence import of_paper
from src.book.site.pages.markup import Link, people, render
from src.book.site.pages.reading import reading_time
from src.book.site.pages.run_times import run_time


def at_a_glance(chapter: str, link: Link) -> str:
    """Return the box: papers, what is re-run, verdicts, times; "" for a chapter of no paper."""
    papers = catalogue.chapters().get(chapter, [])
    if not papers:
        return ""
    times = " ".join(filter(None, [reading_time(chapter), run_time(chapter)]))
    shown = [(paper, _facts(paper), _claims(paper)) for paper in papers]
    return render("chapter.glance", link, shown, times)


def _facts(paper: Paper) -> str:
    """Return authors, venue and year, which many venues name already."""
    dated = re.search(r"\b(19|20)\d\d\b", paper.venue or "")
    facts = [people(paper.authors), paper.venue, "" if dated else str(paper.year)]
    return ", ".join(filter(None, facts))


def _claims(paper: Paper) -> dict[str, list[str]]:
    """Return the claims' names by verdict."""
    evidence = of_paper(paper)
    found = {verdict: [e.name for e in evidence if e.verdict == verdict] for verdict in VERDICTS}
    return {verdict: names for verdict, names in found.items() if names}
