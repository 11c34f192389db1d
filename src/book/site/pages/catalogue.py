"""The catalogue page: every paper in scope, by part and chapter, with its state."""

from src.book.evidence import catalogue as entries
from src.book.evidence.catalogue import Paper, Planned
from src.book.site.pages.evidence import of_paper
from src.book.site.pages.markup import (
    Link,
    Section,
    arxiv_search,
    chapter_link,
    counts,
    paper_link,
    row,
    row_of,
    table,
    text,
)

_HEADER = ["Paper", "Year", "Chapter", "State"]


def catalogue(link: Link) -> list[Section]:
    """Return a table of papers for each part: those that run first, then the planned ones."""
    running, planned = list(entries.papers().values()), entries.planned()
    sections = [Section(_summary(len(running), len(planned)))]
    for part, title in entries.PARTS.items():
        rows = [_running(p, link) for p in running if p.part == part]
        rows += [_planned(p, link) for p in planned if p.chapter.split("/")[0] == part]
        if rows:
            html = table(f"Papers in {title}", _HEADER, "".join(rows), "papers")
            sections.append(Section(html, title, part))
    return sections


def _summary(running: int, planned: int) -> str:
    return (
        f"<p>{running + planned} papers are in scope. {running} run today; their titles lead "
        f"to the chapter. {planned} are planned; their titles lead to a search on arXiv.</p>\n"
    )


def _running(paper: Paper, link: Link) -> str:
    first = next(iter(paper.claims))
    state = counts((e.verdict for e in of_paper(paper)), row_of(paper, first, link))
    return row(
        [
            paper_link(paper, link) + _idea(paper.idea),
            str(paper.year),
            chapter_link(paper.chapter, link),
            state,
        ]
    )


def _planned(paper: Planned, link: Link) -> str:
    title = f'<a href="{arxiv_search(paper.title)}">{text(paper.title)}</a>'
    title += _idea(paper.idea)
    state = '<span class="planned">planned</span>'
    return row(
        [
            title,
            str(paper.year or "–"),
            chapter_link(paper.chapter, link),
            state,
        ]
    )


def _idea(idea: str) -> str:
    return f'<br><span class="idea">{text(idea)}</span>'
