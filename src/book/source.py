"""Show the code that runs: the real source of a function or class, highlighted."""

import inspect
import re
import textwrap
from pathlib import Path

from src.book import paths
from src.book.errors import BookError


class Source:
    """The source of some objects; Jupyter and the book highlight it, a terminal prints it.

    Args:
        parts: for each object its code, and its place.
    """

    def __init__(self, parts: list[tuple[str, str]]) -> None:
        self.parts = parts

    def __repr__(self) -> str:
        """Return each source with its place above it."""
        return "\n\n".join(f"# {where}\n{code}" for code, where in self.parts)

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
    return Source([_source_of(thing) for thing in things])


def _source_of(thing: object) -> tuple[str, str]:
    try:
        lines, first = inspect.getsourcelines(inspect.unwrap(thing))
        file = Path(inspect.getsourcefile(inspect.unwrap(thing)))
    except (TypeError, OSError):
        raise BookError(f"show takes a function or class from src/, not {thing!r}") from None
    package = paths.package_root()
    place = file.relative_to(package).as_posix() if file.is_relative_to(package) else file.name
    last = first + len(lines) - 1
    return textwrap.dedent("".join(lines)).rstrip(), f"{place}, lines {first}-{last}"
