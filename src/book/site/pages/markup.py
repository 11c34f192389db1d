"""What turns the facts of `data/` into HTML: the templates, and the words and addresses in them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from src.book.chapter.tables import badge
from src.book.evidence.catalogue import PARTS
from src.book.evidence.statistics import VERDICTS
from src.book.notebook.titles import chapter_title
from src.book.site.pages.cells import anchor_of_cell
from src.book.storage import paths

# From a document's name ("pages/scoreboard") to an address that works on the page being made.
Link = Callable[[str], str]

SCOREBOARD, CATALOGUE, NOTATION = "pages/scoreboard", "pages/catalogue", "pages/notation"


@dataclass(frozen=True)
class Section:
    """A piece of a page: HTML, under a heading of its own (with an anchor) if it has a title."""

    html: str
    title: str | None = None
    anchor: str = ""


def render(macro: str, link: Link, *facts: object, **named: object) -> str:
    """Return the HTML that a macro, such as "chapter.glance", makes of some facts.

    Args:
        macro: the template's name and the macro's.
        link: of the page that the HTML is for.
    """
    file, name = macro.split(".")
    page = _environment().get_template(f"{file}.html.j2").make_module({"link": link})
    return str(getattr(page, name)(*facts, **named))


def table(
    caption: str, header: list[str], rows: list[list[str]], kind: str, link: Link | None = None
) -> Section:
    """Return a table of texts whose first column heads its rows.

    Args:
        caption: what the table lists; read out by screen readers, also the scroll box's name.
        kind: a class for the style sheet.
        link: if given, the first column holds chapters, shown by titles that lead to them.
    """
    facts = (caption, kind, header, rows, link is not None)
    return Section(render("macros.text_table", link or str, *facts))


def paragraphs(*sentences: str) -> Section:
    """Return each text as a paragraph."""
    return Section(render("macros.paragraphs", str, sentences))


def text(value: str) -> Markup:
    """Return plain text as HTML; `code` in backticks becomes code."""
    pieces = re.split(r"`([^`]+)`", value)
    code = Markup("<code>{}</code>")
    return Markup("").join(code.format(p) if k % 2 else p for k, p in enumerate(pieces))


def anchor(paper: str, claim: str) -> str:
    """Return the id of a claim's row on the scoreboard."""
    return f"{paper}-{claim}"


def beside(link: Link, file: str) -> str:
    """Return the address of a file of the site that is no page, such as "pages/scoreboard.csv"."""
    return link("page").removesuffix("page.html") + file


def people(authors: tuple[str, ...], most: int = 8) -> str:
    """Return the authors' names, shortened after `most`."""
    return ", ".join(authors[:most]) + (" et al." if len(authors) > most else "")


def duration(seconds: float | None) -> str:
    """Return a run time for people: "12 s", "3 min 20 s", "1 h 5 min"."""
    if seconds is None:
        return "–"
    whole = max(1, round(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    numbers = {"h": hours, "min": minutes, "s": 0 if hours else whole % 60}
    return " ".join(f"{number} {unit}" for unit, number in numbers.items() if number)


@cache
def _environment() -> Environment:
    """Return the templates' environment, which escapes what is no HTML."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["text"] = text
    environment.globals |= {
        "anchor": anchor,
        "anchor_of_cell": anchor_of_cell,
        "chapter_title": chapter_title,
        "has_page": lambda chapter: (paths.chapters_dir() / f"{chapter}.py").exists(),
        "html_of_badge": badge,
        "people": people,
        "NOTATION": NOTATION,
        "PARTS": PARTS,
        "SCOREBOARD": SCOREBOARD,
        "VERDICTS": VERDICTS,
    }
    return environment
