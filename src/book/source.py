"""Show the code that runs: the real source of a function or class, highlighted."""

import inspect
import textwrap
from pathlib import Path

from src.book import paths
from src.book.errors import BookError


class Source:
    """The source of an object; Jupyter and the book highlight it, a terminal prints it."""

    def __init__(self, code: str, where: str) -> None:
        self.code, self.where = code, where

    def __repr__(self) -> str:
        """Return the source with its place."""
        return f"# {self.where}\n{self.code}"

    def _repr_markdown_(self) -> str:
        return f"```python\n{self!r}\n```"


def show(thing: object) -> Source:
    """Return the source of a function, method or class for display as a cell's output.

    Raises:
        BookError: if the thing has no Python source (a built-in, an instance, a notebook's lambda).
    """
    try:
        lines, first = inspect.getsourcelines(inspect.unwrap(thing))
        file = Path(inspect.getsourcefile(inspect.unwrap(thing)))
    except (TypeError, OSError):
        raise BookError(f"show takes a function or class from src/, not {thing!r}") from None
    package = paths.package_root()
    place = file.relative_to(package).as_posix() if file.is_relative_to(package) else file.name
    last = first + len(lines) - 1
    return Source(textwrap.dedent("".join(lines)).rstrip(), f"{place}, lines {first}-{last}")
