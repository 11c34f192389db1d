"""The folded "Cite this chapter" at a chapter's end: BibTeX of its papers and of the book."""

import re
import unicodedata

from src.book.evidence import catalogue
from src.book.evidence.catalogue import Paper
from src.book.site.pages.book import Book
from src.book.site.pages.markup import render

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
_SMALL_WORDS = {"a", "an", "the", "on", "of", "for", "to", "in"}


def citation(chapter: str, book: Book) -> str:
    """Return the fold with the entries, as HTML; "" for a chapter of no paper."""
    papers = catalogue.chapters().get(chapter, [])
    if not papers:
        return ""
    entries = "\n\n".join([*_papers(papers), _book(book)])
    return render("chapter.citation", str, len(papers), entries)


def bibtex_text(text: str) -> str:
    """Return a text as BibTeX reads it: the signs that mean something to TeX are escaped."""
    return "".join(_SPECIAL.get(sign, sign) for sign in text)


def bibtex(key: str, kind: str, fields: dict[str, str | None]) -> str:
    """Return one entry; fields without a value are left out, values are taken as they are."""
    given = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
    return f"@{kind}{{{key},\n{given}\n}}"


def _papers(papers: list[Paper]) -> list[str]:
    """Return an entry a paper, each with a key of its own."""
    keys: dict[str, int] = {}
    entries = []
    for paper in papers:
        key = _key(paper)
        keys[key] = keys.get(key, 0) + 1
        entries.append(_paper(paper, key if keys[key] == 1 else f"{key}-{keys[key]}"))
    return entries


def _paper(paper: Paper, key: str) -> str:
    fields = {
        "title": f"{{{bibtex_text(paper.title)}}}",  # twice in braces: capitals stay
        "author": " and ".join(map(bibtex_text, paper.authors)),
        "year": str(paper.year),
        # The catalogue does not say whether a venue is a journal or a conference.
        "howpublished": bibtex_text(paper.venue) if paper.venue else None,
        "eprint": paper.arxiv,
        "archiveprefix": "arXiv" if paper.arxiv else None,
        "url": f"https://arxiv.org/abs/{paper.arxiv}" if paper.arxiv else None,
    }
    return bibtex(key, "misc", fields)


def _book(book: Book) -> str:
    fields = {
        "title": f"{{{bibtex_text(book.title)}}}",
        "author": f"{{{bibtex_text(book.author)}}}",  # a group, not a first name and a last one
        "year": book.year,
        "note": f"Version {bibtex_text(book.version)}",
        "url": book.repository,
    }
    return bibtex(_plain(book.title), "misc", fields)


def _key(paper: Paper) -> str:
    """Return "perozzi2014deepwalk": the first author, the year, the first word of weight."""
    words = [w for w in re.split(r"[\s\-:,]+", paper.title) if w.lower() not in _SMALL_WORDS]
    return f"{_plain(paper.authors[0].split()[-1])}{paper.year}{_plain(words[0] if words else '')}"


def _plain(text: str) -> str:
    """Return the letters and digits of a text, without accents, in lower case."""
    return re.sub(r"[^a-z0-9]", "", unicodedata.normalize("NFKD", text).casefold())
