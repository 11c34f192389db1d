"""The lists of papers: the catalogue of all in scope, and the bibliography of those that run."""

from src.book.evidence import catalogue as entries
from src.book.evidence.catalogue import Paper
from src.book.site.pages.evidence import of_paper
from src.book.site.pages.markup import Link, Section, paragraphs, render


def catalogue(link: Link) -> list[Section]:
    """Return a table of papers for each part: those that run first, then the planned ones."""
    running, planned = list(entries.papers().values()), entries.planned()
    summary = (
        f"{len(running) + len(planned)} papers are in scope. {len(running)} run today; their "
        f"titles lead to the chapter. {len(planned)} are planned; their titles lead to a search "
        "on arXiv."
    )
    sections = [paragraphs(summary)]
    for part, title in entries.PARTS.items():
        here = [(p, [e.verdict for e in of_paper(p)]) for p in running if p.part == part]
        later = [p for p in planned if p.chapter.split("/")[0] == part]
        if here or later:
            html = render("catalogue.papers", link, title, here, later)
            sections.append(Section(html, title, part))
    return sections


def bibliography(link: Link) -> list[Section]:
    """Return the papers in the order of their first authors' names, each with its chapter."""

    def by_surname(paper: Paper) -> tuple[str, int, str]:
        return paper.authors[0].split()[-1].casefold(), paper.year, paper.title

    papers = sorted(entries.papers().values(), key=by_surname)
    if not papers:
        return [paragraphs("No paper runs yet.")]
    return [Section(render("catalogue.references", link, papers))]
