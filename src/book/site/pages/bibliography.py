"""The bibliography: every paper that runs, in the order of its first author's name."""

from src.book.evidence import catalogue
from src.book.evidence.catalogue import Paper
from src.book.site.pages.markup import Link, Section, arxiv_link, chapter_link, people, text


def bibliography(link: Link) -> list[Section]:
    """Return a list of references, each with its chapter."""
    papers = sorted(catalogue.papers().values(), key=lambda p: (_surname(p), p.year, p.title))
    if not papers:
        return [Section("<p>No paper runs yet.</p>\n")]
    items = "".join(f"<li>{_reference(p, link)}</li>\n" for p in papers)
    return [Section(f'<ul class="references">\n{items}</ul>\n')]


def _surname(paper: Paper) -> str:
    return paper.authors[0].split()[-1].casefold()


def _reference(paper: Paper, link: Link) -> str:
    venue = f"{text(paper.venue)}. " if paper.venue else ""
    return (
        f"{people(paper.authors, most=20)} ({paper.year}). <em>{text(paper.title)}</em>. {venue}"
        f"{arxiv_link(paper)}. Chapter: {chapter_link(paper.chapter, link)}."
    )
