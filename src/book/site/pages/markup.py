"""HTML building blocks of the pages made from `data/`: text, badges, tables, links to papers."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape
from urllib.parse import quote_plus

from src.book.chapter.tables import badge
from src.book.evidence.catalogue import Paper
from src.book.evidence.statistics import VERDICTS
from src.book.notebook.titles import chapter_title
from src.book.site.pages.cells import anchor_of_cell
from src.book.storage import paths

# From a document's name ("pages/scoreboard") to an address that works on the page being made.
Link = Callable[[str], str]

SCOREBOARD = "pages/scoreboard"
CATALOGUE = "pages/catalogue"


@dataclass(frozen=True)
class Section:
    """A piece of a page: HTML, under a heading of its own (with an anchor) if it has a title."""

    html: str
    title: str | None = None
    anchor: str = ""


def text(value: str) -> str:
    """Return plain text as HTML; `code` in backticks becomes code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(value))


def counts(verdicts: Iterable[str], href: str | None = None) -> str:
    """Return one badge a verdict that occurs, with how often: "3 supported", "1 inconclusive"."""
    found = list(verdicts)
    return " ".join(badge(word, str(found.count(word)), href) for word in VERDICTS if word in found)


def table(caption: str, header: list[str], rows: str, kind: str) -> str:
    """Return a table that scrolls in its own box when the page is narrow.

    Args:
        caption: what the table lists; read out by screen readers, also the scroll box's name.
        header: the columns' names.
        rows: `<tr>` elements, or `<tbody>` elements around them.
        kind: a class for the style sheet.
    """
    cells = "".join(f'<th scope="col">{name}</th>' for name in header)
    body = rows if rows.startswith("<tbody") else f"<tbody>\n{rows}</tbody>\n"
    return (
        f'<div class="table-box" role="region" aria-label="{escape(caption)}" tabindex="0">\n'
        f'<table class="table {kind}">\n'
        f'<caption class="visually-hidden">{escape(caption)}</caption>\n'
        f"<thead><tr>{cells}</tr></thead>\n{body}</table></div>\n"
    )


def row(cells: Iterable[str], anchor: str | None = None) -> str:
    """Return a table row whose first cell is its heading."""
    first, *others = cells
    identity = f' id="{anchor}"' if anchor else ""
    rest = "".join(f"<td>{cell}</td>" for cell in others)
    return f'<tr{identity}><th scope="row">{first}</th>{rest}</tr>\n'


def anchor(paper: str, claim: str) -> str:
    """Return the id of a claim's row on the scoreboard."""
    return f"{paper}-{claim}"


def row_of(paper: Paper, claim: str, link: Link) -> str:
    """Return the address of a claim's row on the scoreboard."""
    return f"{link(SCOREBOARD)}#{anchor(paper.id, claim)}"


def chapter_link(chapter: str, link: Link) -> str:
    """Return a chapter's title, linked if the chapter exists."""
    title = text(chapter_title(chapter))
    if not (paths.chapters_dir() / f"{chapter}.py").exists():
        return title
    return f'<a href="{link(f"chapters/{chapter}")}">{title}</a>'


def paper_link(paper: Paper, link: Link) -> str:
    """Return a paper's title, linked to its chapter if the chapter exists."""
    if not (paths.chapters_dir() / f"{paper.chapter}.py").exists():
        return text(paper.title)
    return f'<a href="{link(f"chapters/{paper.chapter}")}">{text(paper.title)}</a>'


def arxiv_link(paper: Paper) -> str:
    """Return a link to the paper on arXiv, or to a search for its title if no id was verified."""
    if paper.arxiv:
        return f'<a href="https://arxiv.org/abs/{paper.arxiv}">arXiv:{paper.arxiv}</a>'
    return f'<a href="{arxiv_search(paper.title)}">search arXiv</a>'


def arxiv_search(title: str) -> str:
    """Return the address of a search on arXiv for a paper's title."""
    query = quote_plus(f'"{title}"')
    return escape(f"https://arxiv.org/search/?query={query}&searchtype=title")


def beside(link: Link, file: str) -> str:
    """Return the address of a file of the site that is no page, such as "pages/scoreboard.csv"."""
    return link("page").removesuffix("page.html") + file


def cell_link(paper: Paper, claim: str, words: str, link: Link) -> str:
    """Return a link to the cell of a chapter that measures a claim (or shows its verdict)."""
    address = f"{link(f'chapters/{paper.chapter}')}#{anchor_of_cell(paper.id, claim)}"
    told = f'<span class="visually-hidden"> of {escape(paper.id)} {escape(claim)}</span>'
    return f'<a href="{address}">{words}{told}</a>'


def people(authors: tuple[str, ...], most: int = 8) -> str:
    """Return the authors' names, shortened after `most`."""
    if len(authors) > most:
        return text(", ".join(authors[:most])) + " et al."
    return text(", ".join(authors))


def duration(seconds: float | None) -> str:
    """Return a run time for people: "12 s", "3 min 20 s", "1 h 5 min"."""
    if seconds is None:
        return "–"
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"
