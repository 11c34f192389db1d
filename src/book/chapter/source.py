"""Show the code that runs: the real source of a function or class, highlighted.

Where it stands, file and lines, is looked up when the page is rendered, so that a move of the
source changes no output.
"""

import inspect
import re
import textwrap
from dataclasses import dataclass

from src.book.storage import events
from src.book.storage.errors import BookError

APART = "\n\n\n"  # between two sources; within one there are no two blank lines


@dataclass(repr=False)
class Source:
    """The source of some objects; Jupyter and the book highlight it, a terminal prints it."""

    parts: list[str]

    def __repr__(self) -> str:
        """Return the sources, one after the other."""
        return APART.join(self.parts)

    def _repr_markdown_(self) -> str:
        longest = max((len(ticks) for ticks in re.findall("`+", repr(self))), default=0)
        fence = "`" * max(3, longest + 1)  # whatever the code holds, it stays inside
        return f"{fence}python\n{self!r}\n{fence}"


def show(*things: object) -> Source:
    """Return the source of functions, methods or classes for display as a cell's output.

    Raises:
        BookError: if there is none to show, or one has no Python source (a built-in, an instance,
            a notebook's lambda).
    """
    if not things:
        raise BookError("show takes at least one function or class from src/")
    parts = []
    for thing in things:
        try:
            code = textwrap.dedent(inspect.getsource(inspect.unwrap(thing))).rstrip()
        except (TypeError, OSError):
            raise BookError(f"show takes a function or class from src/, not {thing!r}") from None
        events.emit("show", code=code)
        parts.append(code)
    return Source(parts)
