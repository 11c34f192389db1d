"""References: the committed, text-only notebooks, and the comparison of a fresh run with them."""

import copy
import math
import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from src.book.notebook import notebooks
from src.book.storage.errors import BookError

if TYPE_CHECKING:
    from nbformat import NotebookNode

RELATIVE = 5e-2  # how far a printed number may move between machines, relative to its size
NOISE = 1e-6  # numbers below this are rounding errors: only that they are below it counts
_EXEMPT = "timing"  # cells with this tag are not compared
_COMPARED = "nbval-check-output"  # cells with this tag are compared by nbval, exactly

_NUMBER = r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?!\w)"
_TOKEN = re.compile(rf"(?P<number>{_NUMBER})|\w+|[^\w\s]")
_PICTURE = re.compile(r"<img|<svg|data:image", re.IGNORECASE)
_SHOWN_AROUND = 60


def reference(notebook: "NotebookNode") -> "NotebookNode":
    """Return the text-only notebook of a cleaned run: no images, no metadata on outputs.

    Where an output has a richer text form, the plain one, which says the same, goes too; not in
    cells that nbval compares, because it wants every form.

    Raises:
        BookError: if a code cell was not executed, or raised: such a notebook proves nothing.
    """
    if missing := notebooks.unexecuted(notebook):
        raise BookError(f"cells {missing} were not executed; run the chapter again")
    if raised := notebooks.errors(notebook):
        raise BookError(f"cell {raised[0][0]} raised {raised[0][1]}; run the chapter again")
    bare = copy.deepcopy(notebook)
    for cell in bare.cells:
        if cell.cell_type == "code":
            both = _COMPARED in cell.metadata.get("tags", [])
            cell.outputs = [kept for o in cell.outputs if (kept := _text_only(o, both))]
    return bare


@dataclass(frozen=True)
class Change:
    """A place where a run's text is not the reference's."""

    cell: int  # its number, from 1
    was: str  # the number, or the word, there; "" where the text has ended
    now: str
    within: bool  # it is a number that moved within the tolerance
    says: str  # a sentence with the texts around it


def text_differences(
    expected: "NotebookNode", found: "NotebookNode", measured: dict[str, str] | None = None
) -> list[tuple[int, str]]:
    """Return (cell number, what differs) for each cell whose text differs beyond tolerance.

    Arguments as for `changes`; of several differences in a cell it is the first.
    """
    first: dict[int, str] = {}
    for change in changes(expected, found, measured):
        if not change.within:
            first.setdefault(change.cell, change.says)
    return list(first.items())


def changes(
    expected: "NotebookNode", found: "NotebookNode", measured: dict[str, str] | None = None
) -> list[Change]:
    """Compare the text outputs of a reference and a run, numbers by tolerance, HTML as text.

    Args:
        expected: the reference.
        found: a run, with or without images.
        measured: for the reference's words about a measurement the run's; whether such numbers
            have moved too far is decided by their claim's tolerance, not here.

    Returns:
        Every number that differs, and in each cell the first other difference, after which its
        texts cannot be compared. Cells tagged `timing` are exempt.
    """
    collected = []
    cells = zip_longest(expected.cells, reference(found).cells)
    for number, (ours, theirs) in enumerate(cells, start=1):
        if ours is None or theirs is None or ours.source != theirs.source:
            says = "the reference was made from another source"
            return [*collected, Change(number, "", "", False, says)]
        if is_compared(ours):
            before, after = (_texts(cell, measured or {}) for cell in (ours, theirs))
            collected += _changes(number, before, after)
    return collected


def is_compared(cell: "NotebookNode") -> bool:
    """Return whether a cell's output must repeat: it is code, and not tagged `timing`."""
    return cell.cell_type == "code" and _EXEMPT not in cell.metadata.get("tags", [])


def _texts(cell: "NotebookNode", measured: dict[str, str]) -> str:
    """Return a code cell's outputs as one text, HTML without its tags.

    The old and the new words about a measurement read the same in it.
    """
    from bs4 import BeautifulSoup

    found = []
    for output in cell.outputs:
        if output.output_type == "stream":
            found.append(output.text)
        for kind, content in sorted(output.get("data", {}).items()):
            is_html = kind == "text/html"
            found.append(BeautifulSoup(content, "lxml").get_text(" ") if is_html else content)
    text = "\n".join(found)
    # Both are looked for: a larger profile's row, which has not moved, may have the old words.
    for number, pair in enumerate(measured.items()):
        for words in pair:
            text = text.replace(words, f"measurement {number}")
    return text


def _text_only(output: "NotebookNode", keep_plain: bool) -> "NotebookNode | None":
    if "data" in output:
        output["data"] = {
            kind: content
            for kind, content in output.data.items()
            if kind.startswith("text/") and not (kind == "text/html" and _PICTURE.search(content))
        }
        output["metadata"] = {}
        if len(output["data"]) > 1 and not keep_plain:
            output["data"].pop("text/plain", None)
        if not output["data"]:
            return None
    return output


def _changes(cell: int, expected: str, found: str) -> list[Change]:
    """Return the places where two texts differ, up to the first that is not a number."""
    expected, found = expected.replace("\N{MINUS SIGN}", "-"), found.replace("\N{MINUS SIGN}", "-")
    collected = []
    for ours, theirs in zip_longest(_TOKEN.finditer(expected), _TOKEN.finditer(found)):
        was, now = (token.group() if token else "" for token in (ours, theirs))
        if was == now:
            continue
        numbers = all(token and token.group("number") for token in (ours, theirs))
        before, after = _around(expected, ours), _around(found, theirs)
        says = f"the reference says '{before}', this run says '{after}'"
        within = numbers and math.isclose(float(was), float(now), rel_tol=RELATIVE)
        tiny = numbers and abs(float(was)) < NOISE and abs(float(now)) < NOISE
        collected.append(Change(cell, was, now, within or tiny, says))
        if not numbers:
            break
    return collected


def _around(text: str, token: re.Match | None) -> str:
    """Return the words around a token; without one, those at the end."""
    place = token.start() if token else len(text)
    return " ".join(text[max(0, place - _SHOWN_AROUND) : place + _SHOWN_AROUND].split())
