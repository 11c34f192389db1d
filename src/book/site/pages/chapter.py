"""What a chapter's page gets: the at-a-glance box with its reading time, and how to cite it."""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

from src.book.evidence import catalogue
from src.book.evidence.catalogue import Paper
from src.book.site.pages.evidence import of_paper
from src.book.site.pages.markup import Link, people, render
from src.book.site.pages.run_times import run_time
from src.book.storage import paths

# Words a minute of a text that has to be understood; an ordinary text is read a third faster.
_WORDS_A_MINUTE = 170
_WORDS_A_FORMULA = 15  # a displayed formula takes as long as so many words
_WORDS_A_LINE = 5  # a line of code that is shown
_CELL = re.compile(r"^# %%(.*)$", re.MULTILINE)
_DISPLAYED = re.compile(r"\$\$.*?\$\$", re.DOTALL)
_INLINE = re.compile(r"\$[^$]+\$")
_SOLUTION = re.compile(r"<details>.*?</details>", re.DOTALL)
_FOLDED = re.compile(r'"(hide-input|hide-cell|remove-input|remove-cell)"')

_ESCAPED = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    }
)
_SMALL_WORDS = {"a", "an", "the", "on", "of", "for", "to", "in"}


@dataclass(frozen=True)
class Book:
    """What the configuration and the package say of the book; `repository` is an address."""

    title: str
    author: str
    year: str
    repository: str
    version: str


def at_a_glance(chapter: str, link: Link) -> str:
    """Return the box: papers, what is re-run, verdicts, times; "" for a chapter of no paper."""
    papers = catalogue.chapters().get(chapter, [])
    if not papers:
        return ""
    times = " ".join(filter(None, [reading_time(chapter), run_time(chapter)]))
    shown = [(paper, _facts(paper), of_paper(paper)) for paper in papers]
    return render("chapter.glance", link, shown, times)


def _facts(paper: Paper) -> str:
    """Return authors, venue and year, which many venues name already."""
    dated = re.search(r"\b(19|20)\d\d\b", paper.venue or "")
    facts = [people(paper.authors), paper.venue, "" if dated else str(paper.year)]
    return ", ".join(filter(None, facts))


def reading_time(chapter: str) -> str:
    """Return a sentence such as "About 40 min to read.", or "" for a chapter without a source."""
    file = paths.chapters_dir() / f"{chapter}.py"
    if not file.exists():
        return ""
    minutes = reading_minutes(file.read_text(encoding="utf-8", errors="replace"))
    return f"About {minutes} min to read."


def reading_minutes(source: str) -> int:
    """Return the minutes that a page takes to read, from its source in the percent format.

    The rule: 170 words of prose a minute, since the text is to be understood; a formula in the text
    counts as one word, a displayed one as fifteen, a line of code as five. Solutions and cells that
    are folded count nothing, nor does what a run prints. Under ten minutes the result is exact to
    the minute, then to five; it is never less than one.
    """
    # What precedes the first cell is the header; then each cell's mark is followed by its text.
    _, *pieces = _CELL.split(source)
    words = sum(_words(mark, body) for mark, body in zip(pieces[::2], pieces[1::2], strict=True))
    minutes = words / _WORDS_A_MINUTE
    return max(1, round(minutes)) if minutes < 9.5 else 5 * round(minutes / 5)


def _words(mark: str, body: str) -> int:
    """Return what one cell takes, as words of prose."""
    if "[markdown]" not in mark:
        shown = "" if _FOLDED.search(mark) else body
        return _WORDS_A_LINE * sum(bool(line.strip()) for line in shown.splitlines())
    prose = _SOLUTION.sub("", re.sub(r"^# ?", "", body, flags=re.MULTILINE))
    prose, formulas = _DISPLAYED.subn(" ", prose)
    prose = _INLINE.sub("x", prose)
    return len(re.findall(r"\w[^\s|]*", prose)) + _WORDS_A_FORMULA * formulas


def citation(chapter: str, book: Book) -> str:
    """Return a fold with BibTeX of the papers and the book, as HTML; "" for a chapter of no paper.

    A chapter's entries have keys of their own: the second of a key ends in "-2".
    """
    papers = catalogue.chapters().get(chapter, [])
    if not papers:
        return ""
    keys: Counter[str] = Counter()
    entries = []
    for paper in papers:
        keys[key := _key(paper)] += 1
        entries.append(_paper(paper, key if keys[key] == 1 else f"{key}-{keys[key]}"))
    return render("chapter.citation", str, len(papers), "\n\n".join([*entries, _book(book)]))


def bibtex_text(text: str) -> str:
    """Return a text as BibTeX reads it: the signs that mean something to TeX are escaped."""
    return text.translate(_ESCAPED)


def _bibtex(key: str, fields: dict[str, str | None]) -> str:
    """Return one entry; fields without a value are left out, values are taken as they are."""
    given = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
    return f"@misc{{{key},\n{given}\n}}"


def _paper(paper: Paper, key: str) -> str:
    fields = {
        "title": f"{{{bibtex_text(paper.title)}}}",  # twice in braces: capitals stay
        "author": " and ".join(map(bibtex_text, paper.authors)),
        "year": str(paper.year),
        # The catalogue does not say whether a venue is a journal or a conference.
        "howpublished": bibtex_text(paper.venue or ""),
        "eprint": paper.arxiv,
        "archiveprefix": "arXiv" if paper.arxiv else None,
        "url": f"https://arxiv.org/abs/{paper.arxiv}" if paper.arxiv else None,
    }
    return _bibtex(key, fields)


def _book(book: Book) -> str:
    fields = {
        "title": f"{{{bibtex_text(book.title)}}}",
        "author": f"{{{bibtex_text(book.author)}}}",  # a group, not a first name and a last one
        "year": book.year,
        "note": f"Version {bibtex_text(book.version)}",
        "url": book.repository,
    }
    return _bibtex(_plain(book.title), fields)


def _key(paper: Paper) -> str:
    """Return "perozzi2014deepwalk": the first author, the year, the first word of weight."""
    words = [w for w in re.split(r"[\s\-:,]+", paper.title) if w.lower() not in _SMALL_WORDS]
    return f"{_plain(paper.authors[0].split()[-1])}{paper.year}{_plain(words[0] if words else '')}"


def _plain(text: str) -> str:
    """Return the letters and digits of a text, without accents, in lower case."""
    return re.sub(r"[^a-z0-9]", "", unicodedata.normalize("NFKD", text).casefold())
