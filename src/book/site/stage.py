"""Staging: lay out in `_build/stage` the pages that the book is rendered from.

A chapter's page is its last executed notebook, else its committed text-only reference, else its
source without outputs. Only files whose content changed are written, so that Sphinx reads only the
pages that changed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from src.book.chapter.source import APART
from src.book.execution.results import read_page, read_result
from src.book.notebook import notebooks, outputs
from src.book.notebook.chapters import Chapter, select
from src.book.notebook.install import without_install_cell
from src.book.notebook.titles import chapter_title
from src.book.storage import dependencies, paths
from src.book.storage.errors import BookError
from src.book.storage.files import keep_only, naming, read_text

if TYPE_CHECKING:
    from nbformat import NotebookNode

# What is copied as it is; everything else on the stage is a chapter.
_COPIED = ("_config.yml", "_toc.yml", "index.md", "pages/**/*.md", "_static/**/*")
_SHOWN = re.compile(r"(?P<begin>`{3,}python\n)(?P<code>.*)(?P<end>\n`{3,})", re.DOTALL)
_RUN, _REFERENCE, _SOURCE, _NOTHING = "run", "reference", "source", ""
_ABOUT = {
    _RUN: "The outputs below come from the last run that succeeded.",
    _REFERENCE: "The outputs below are the committed reference, which has no figures.",
    _SOURCE: "This page has no outputs.",
    _NOTHING: "This page has no content.",
}


@dataclass(frozen=True)
class Staged:
    """What lies on the stage.

    Attributes:
        files: every file with its path relative to the stage.
        sources: for each chapter where its page comes from: "run", "reference" or "source"; "" if
            none of them can be read.
        problems: what cannot be read, in words; the chapters' pages say so too.
    """

    folder: Path
    files: tuple[str, ...]
    sources: dict[str, str]
    problems: tuple[str, ...] = ()


def stage() -> Staged:
    """Lay out the pages of the book; return what lies there.

    A notebook that cannot be read costs no other page: the next best takes its place.

    Raises:
        BookError: if a cell holds more than one figure, or a page or a setting cannot be read.
    """
    folder = paths.build_dir() / "stage"
    contents, made_from, problems = {}, {}, []
    for file in _copied():
        if file.suffix in (".md", ".yml"):
            read_text(file)  # Sphinx would say less of what is wrong
        contents[file.relative_to(paths.root()).as_posix()] = file.read_bytes()
    for chapter in [found.name for found in select()]:
        notebook, source, broken = _best(chapter)
        outputs.without_active(notebook)
        lift_figures(notebook, chapter)
        place_sources(notebook, chapter)
        for notice in _notices(chapter, source, broken):
            # The title is the first heading of the first cell.
            title, newline, rest = notebook.cells[0].source.partition("\n")
            notebook.cells[0].source = f"{title}\n\n{notice}\n{newline}{rest}"
        made_from[chapter] = source
        contents[f"chapters/{chapter}.ipynb"] = notebooks.dumps(notebook).encode()
        problems += [f"{chapter}: {what}" for what in broken]
    _write(folder, contents)
    return Staged(folder, tuple(sorted(contents)), made_from, tuple(problems))


def inputs() -> list[Path]:
    """Return every file that the stage is made from."""
    found = _copied()
    for folder in (paths.chapters_dir(), paths.build_dir() / "runs" / "quick"):
        found += [f for kind in ("py", "ipynb", "json") for f in sorted(folder.glob(f"*/*.{kind}"))]
    return found


def lift_figures(notebook: "NotebookNode", chapter: str) -> None:
    """Move each figure's name, caption, alt text and size to where MyST-NB reads them.

    `run.figure` records them in the output's metadata; MyST-NB wants them in the cell's. The
    caption that follows the figure as an output of its own is dropped: the page has it already.

    Raises:
        BookError: if a cell holds more than one figure.
    """
    for number, cell in enumerate(notebook.cells, start=1):
        figures = [o for o in cell.get("outputs", []) if "name" in _about(o)]
        images = [o for o in figures if "image/png" in o["data"]]
        if len(images) > 1:
            names = ", ".join(_about(o)["name"] for o in images)
            raise BookError(f"{chapter}, cell {number}: one figure a cell, not {names}")
        if images:
            about = _about(images[0])
            cell.metadata["mystnb"] = {
                "figure": {
                    "name": f"{chapter.replace('/', '-').replace('_', '-')}-{about['name']}",
                    "caption": " ".join(about["caption"].split()),
                },
                "image": {
                    "alt": " ".join(about["alt"].split()),
                    "width": f"{about['width']}px",
                    "height": f"{about['height']}px",
                },
            }
            shown = about["name"]
            cell.outputs = [o for o in cell.outputs if _about(o).get("caption_of") != shown]


def place_sources(notebook: "NotebookNode", chapter: str) -> None:
    """Write above each source that `show` shows where it stands today, file and lines."""

    def placed(code: str) -> str:
        place = dependencies.place_of(code, chapter)
        return code if place is None else "# {}, lines {}-{}\n{}".format(*place, code)

    for cell in notebook.cells:
        if "show(" in cell.source:
            for output in cell.get("outputs", []):
                data = output.get("data", {})
                if shown := _SHOWN.fullmatch(data.get("text/markdown", "")):
                    code = APART.join(map(placed, shown["code"].split(APART)))
                    data["text/markdown"] = f"{shown['begin']}{code}{shown['end']}"


def _copied() -> list[Path]:
    return [f for p in _COPIED for f in sorted(paths.root().glob(p)) if f.is_file()]


def _best(chapter: str) -> tuple["NotebookNode", str, list[str]]:
    """Return the first of a chapter's notebooks that can be read, its kind, and what cannot."""
    run = paths.run_file(chapter, "quick")
    reference = Chapter(chapter).pair
    kinds = {
        _RUN: (run.exists(), lambda: read_page(chapter)),
        _REFERENCE: (reference.exists(), lambda: without_install_cell(notebooks.load(reference))),
        _SOURCE: (True, lambda: Chapter(chapter).notebook),
    }
    broken = []
    for kind, (exists, read) in kinds.items():
        try:
            if exists:
                notebook = read()
                if not notebook.cells:
                    raise BookError(f"the {kind} has no cells; restore it, or make book")
                return notebook, kind, broken
        except BookError as error:
            broken.append(str(error))
    title = notebooks.read_source(f"# %% [markdown]\n# # {chapter_title(chapter)}\n")
    return title, _NOTHING, broken


def _notices(chapter: str, source: str, broken: list[str]) -> Iterator[str]:
    """Yield warnings: a file cannot be read, the last run failed, the chapter was never run."""
    if broken:
        told = "\n".join(f"- {_code(' '.join(what.split()))}" for what in broken)
        title = "A file of this chapter cannot be read"
        yield _admonition(title, "warning", f"{told}\n\n{_ABOUT[source]}")
    result = read_result(chapter, "quick")
    if result is not None and result.status != "ok":
        cell = f" in cell {result.cell}" if result.cell else ""
        log = f" The log is {_code(result.log)}." if result.log else ""
        reason = _code((result.reason or "no reason was given").strip().splitlines()[-1])
        words = f"It stopped{cell}: {reason}.{log} {_ABOUT[source]}"
        yield _admonition("The last run of this chapter failed", "warning", words)
    elif source == _SOURCE:
        yield _admonition("This chapter has not been run yet", "note", _ABOUT[_SOURCE])


def _admonition(title: str, kind: str, words: str) -> str:
    return f"```{{admonition}} {title}\n:class: {kind}\n{words}\n```"


def _code(words: str) -> str:
    """Return words as inline code, whatever backticks they contain."""
    longest = max((len(ticks) for ticks in re.findall(r"`+", words)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest else ""
    return f"{fence}{space}{words}{space}{fence}"


def _about(output: dict) -> dict:
    """Return what the book wrote into an output's metadata."""
    return output.get("metadata", {}).get("book", {})


def _write(folder: Path, contents: dict[str, bytes]) -> None:
    """Make the folder hold exactly these files; leave those alone that hold the right bytes."""
    keep_only(folder, set(contents))
    for name, content in contents.items():
        file = folder / name
        if not file.exists() or file.read_bytes() != content:
            with naming(file):
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
