"""Gates: what the tool stack lets through silently, and the book does not.

Each gate looks at one chapter and returns its problems: where, and what to do about it. They read
what runs have left and run nothing themselves. `check` asks them about what is committed, `accept`
about what it is going to write: what the one accepts, the other does not refuse.
"""

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from src.book.acceptance import sources
from src.book.acceptance.committed import Committed
from src.book.chapter import figures
from src.book.evidence import catalogue, claims, ledger
from src.book.execution.results import read_page, read_result, why_stale
from src.book.notebook import chapters, notebooks, outputs
from src.book.notebook.chapters import Chapter
from src.book.notebook.install import install_problems, is_install_cell
from src.book.notebook.references import text_differences
from src.book.storage import paths
from src.book.storage.data import registry
from src.book.storage.errors import BookError
from src.book.storage.files import foreign_line_end

if TYPE_CHECKING:
    from nbformat import NotebookNode

LARGEST_REFERENCE = 100_000  # bytes, for a chapter of one paper
MORE_A_PAPER = 15_000  # bytes, for each further paper of a topic chapter
_FAR_OVER_BUDGET = 2  # this many times the budget is too slow
_TEXT_FILES = (
    "chapters/*.*", "chapters/*/*.*", "data/*.*", "data/papers/*.*", "data/**/*.json"
)  # fmt: skip
# What differs from run to run or from machine to machine, and so must not be printed.
_UNSTABLE = {
    "a time stamp": re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d"),
    "an object's address": re.compile(r"\bat 0x[0-9a-fA-F]{6,}"),
    "a progress bar": re.compile(r"\d(?:it/s|s/it)\b"),
    "an absolute path": re.compile(r"(?<![\w./])/(?:home|Users|root|tmp|var|usr|opt)/\w"),
}


@dataclass(frozen=True)
class Problem:
    """Something that must be put right before the book is good."""

    chapter: str  # or the catalogue file
    cell: int  # its number in the chapter, from 1; 0 if it concerns no single cell
    what: str  # is wrong, and what to do

    def __str__(self) -> str:
        """Return "chapter, cell N: what"."""
        where = f", cell {self.cell}" if self.cell else ""
        return f"{self.chapter}{where}: {self.what}"


def check(names: list[str] | None = None) -> list[Problem]:
    """Run every gate on the chapters of these names (all if None); return all problems."""
    found = check_book() if names is None else []
    for chapter in chapters.select(names):
        found += check_chapter(Committed(chapter))
    return found


def check_book() -> list[Problem]:
    """Run every gate that looks at more than one chapter."""
    return [problem for gate in BOOK_GATES for problem in gate()]


def check_chapter(committed: Committed) -> list[Problem]:
    """Run every gate on one chapter."""
    found, chapter = [], committed.chapter
    for gate in GATES:
        try:
            found += gate(committed)
        except BookError as error:  # a file that cannot be read
            found.append(_problem(chapter, str(error).removeprefix(f"{chapter.name}: ")))
    return list(dict.fromkeys(found))


def check_source(committed: Committed) -> list[Problem]:
    """The source declares parameters and profiles, orders headings, shows calls, folds imports."""
    chapter = committed.chapter
    found = sources.problems(chapter.notebook)
    if chapter.schema["profile"] != "quick":
        found.append((0, 'the parameters cell must set profile = "quick", for the first click'))
    if "quick" not in chapter.profiles:
        found.append((0, "SIZES has no quick profile"))
    return [_problem(chapter, what, cell) for cell, what in found]


def check_files(committed: Committed) -> list[Problem]:
    """Its text files have the line ends that git gives them, and its ledger can be read."""
    told = map(foreign_line_end, committed.text_files)
    found = [_problem(committed.chapter, what) for what in told if what]
    for profile in (*catalogue.PROFILES, "timing"):
        try:
            committed.entry(profile)
        except BookError as error:
            found.append(_problem(committed.chapter, str(error)))
    return found


def check_pair(committed: Committed) -> list[Problem]:
    """The committed notebook has the install cell, and beside it exactly the source's cells."""
    chapter, reference = committed.chapter, committed.reference
    source = chapter.notebook
    if any(is_install_cell(cell) for cell in source.cells):
        return [_problem(chapter, "the .py holds the install cell of its .ipynb; delete it there")]
    remedy = f"the .py is the source: make accept CHAPTER={chapter.name}"
    differences = notebooks.source_differences(source, reference)
    found = [f"stale pair: {text}; {remedy}" for text in differences]
    found += install_problems(committed.notebook)
    return [_problem(chapter, what) for what in found]


def check_reference(committed: Committed) -> list[Problem]:
    """The committed notebook is executed, free of errors, text only, stable and small."""
    chapter = committed.chapter
    problems, size = reference_problems(committed.reference), committed.size
    most = LARGEST_REFERENCE + max(0, len(chapter.papers) - 1) * MORE_A_PAPER
    if size > most:
        said = f"{size / 1000:.0f} kB, more than {most // 1000} kB"
        problems.append((0, f"the reference has {said}; print less"))
    return [_problem(chapter, what, cell) for cell, what in problems]


def reference_problems(notebook: "NotebookNode") -> list[tuple[int, str]]:
    """Return (cell, what) for everything that a reference must not hold."""
    found = page_problems(notebook)
    for number, output in notebooks.numbered_outputs(notebook):
        data = output.get("data", {})
        found += [(number, f"a reference holds no {k}") for k in data if not k.startswith("text/")]
        if output.get("metadata"):
            found.append((number, "a reference holds no metadata on outputs"))
        text = "\n".join([output.get("text", ""), *map(str, data.values())])
        found += [(number, f"prints {what}; do not print it") for what in _unstable(text)]
    return found


def page_problems(notebook: "NotebookNode") -> list[tuple[int, str]]:
    """Return (cell, what) for errors, cells not executed, warnings, and outputs that could act."""
    found = [(number, f"shows an error: {what}") for number, what in notebooks.errors(notebook)]
    found += [
        (number, "its execution count is missing or out of order: it was not run, or stripped")
        for number in notebooks.unexecuted(notebook)
    ]
    for number, output in notebooks.numbered_outputs(notebook):
        if output.output_type == "stream" and output.name == "stderr":
            said = " ".join(output.text.split())[:100]
            found.append((number, f"prints to stderr ({said}); a page shows no warnings"))
    return found + outputs.problems(notebook)


def check_page(committed: Committed) -> list[Problem]:
    """The last run's notebook is free of errors and all its figures can be read by everybody."""
    notebook = _page(committed.chapter)
    problems = page_problems(notebook) + figure_problems(notebook) if notebook else []
    return [_problem(committed.chapter, what, cell) for cell, what in problems]


def figure_problems(notebook: "NotebookNode") -> list[tuple[int, str]]:
    """Return (cell, what) for images without name, caption or description, and shared names."""
    found, cells = [], {}
    for number, output in notebooks.numbered_outputs(notebook):
        if not any(kind.startswith("image/") for kind in output.get("data", {})):
            continue
        about = output.metadata.get("book", {})
        if not about.get("name"):
            found.append((number, "an image that run.figure did not make; show figures with it"))
            continue
        try:
            figures.check_words(about["name"], about.get("caption", ""), about.get("alt", ""))
        except BookError as error:
            found.append((number, str(error)))
        if about["name"] in cells:
            found.append((number, f"cell {cells[about['name']]} has a figure of the same name"))
        if number in cells.values():
            found.append((number, "more than one figure in a cell; give each its own"))
        cells[about["name"]] = number
    return found


def check_run(committed: Committed) -> list[Problem]:
    """The last quick run went well, is up to date, fetched nothing and took no undue time."""
    chapter = committed.chapter
    if why := why_stale(chapter.name, "quick"):
        return [_problem(chapter, f"{why}; python -m src.book run {chapter.name}")]
    result = read_result(chapter.name, "quick")
    found = []
    if result.data:
        names = ", ".join(data["name"] for data in result.data)
        found.append(f"the quick profile fetches data ({names}); it must need no network")
    if result.scaled_seconds > _FAR_OVER_BUDGET * result.budget_s:
        found.append(
            f"took {result.scaled_seconds:.0f} s on the machine that budgets are stated for, "
            f"{result.seconds:.0f} s on this one; its budget is {result.budget_s:g} s"
        )
    return [_problem(chapter, what) for what in found]


def check_text(committed: Committed) -> list[Problem]:
    """The last run printed what the reference says, numbers within tolerance."""
    chapter = committed.chapter
    page = _page(chapter)
    if page is None or page_problems(page) or why_stale(chapter.name, "quick"):
        return []  # other gates say what is wrong
    measurements = read_result(chapter.name, "quick").measurements
    words = measured_words(committed.entry(), measurements)
    differences = text_differences(committed.reference, page, words)
    remedy = f"if it is meant: make accept CHAPTER={chapter.name}"
    return [_problem(chapter, f"{what}; {remedy}", cell) for cell, what in differences]


def measured_words(entry: dict | None, measurements: list[dict]) -> dict[str, str]:
    """Return an entry's words about each measurement with a tolerance, and a quick run's."""
    fresh = {(m["paper"], m["claim"]): m for m in measurements}
    words = {}
    for before in (entry or {"measurements": []})["measurements"]:
        key = before["paper"], before["claim"]
        if key in fresh and catalogue.claim(*key).tolerance is not None:
            words[claims.describe_kept(before)] = claims.describe_kept(fresh[key])
    return {old: new for old, new in words.items() if old and old != new}


def check_ledger(committed: Committed) -> list[Problem]:
    """Each number lies within its claim's tolerance of the ledger, with the same verdict."""
    chapter = committed.chapter
    if why_stale(chapter.name, "quick"):
        return []  # check_run says so
    result = read_result(chapter.name, "quick")
    told = ledger.compare(chapter.name, result.measurements, committed.entry())
    return [_problem(chapter, what.removeprefix(f"{chapter.name}: ")) for what in told]


def check_names() -> list[Problem]:
    """Every chapter's file has a name that may stand in addresses and commands."""
    return [Problem(repr(name), 0, chapters.MISNAMED) for name in chapters.misnamed()]


def check_catalogue() -> list[Problem]:
    """Every chapter has a paper in the catalogue, and every paper there has its chapter."""
    try:
        with_papers = catalogue.chapters()
        catalogue.planned()
    except BookError as error:
        return [Problem("catalogue", 0, str(error))]
    names = dict.fromkeys(chapter.name for chapter in chapters.select())
    lonely = "no paper in data/papers names this chapter; add its entry"
    found = [Problem(name, 0, lonely) for name in names if name not in with_papers]
    return found + [
        Problem(f"data/papers/{paper.id}.yml", 0, f"there is no chapters/{name}.py")
        for name, papers in with_papers.items()
        for paper in papers
        if name not in names
    ]


def check_data() -> list[Problem]:
    """The registry of data sets can be read; what is of no one chapter has git's line ends too."""
    theirs = {file for one in chapters.select() for file in Committed(one).text_files}
    found = [f for pattern in _TEXT_FILES for f in sorted(paths.root().glob(pattern))]
    told = [foreign_line_end(f) for f in found if f.is_file() and f not in theirs]
    try:
        registry()
    except BookError as error:
        told.append(str(error))
    return [Problem("data", 0, what) for what in told if what]


BOOK_GATES: tuple[Callable[[], list[Problem]], ...] = (check_names, check_catalogue, check_data)
GATES: tuple[Callable[[Committed], list[Problem]], ...] = (
    check_source,
    check_files,
    check_pair,
    check_reference,
    check_run,
    check_page,
    check_text,
    check_ledger,
)


def _page(chapter: Chapter) -> "NotebookNode | None":
    return read_page(chapter.name) if paths.run_file(chapter.name, "quick").exists() else None


def _problem(chapter: Chapter, what: str, cell: int = 0) -> Problem:
    return Problem(chapter.name, cell, what)


def _unstable(text: str) -> list[str]:
    """Return what a text holds that differs between runs or machines."""
    found = [what for what, pattern in _UNSTABLE.items() if pattern.search(text)]
    here = {str(paths.root()), str(Path.home()), tempfile.gettempdir()} - {"/"}
    if any(f"{place}/" in text for place in here):
        found.append("an absolute path")
    return list(dict.fromkeys(found))
