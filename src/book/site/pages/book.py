"""The book itself: its title, version and address, and what a reader does with them."""

import subprocess
from dataclasses import dataclass
from urllib.parse import urlencode

from src.book.notebook.repository import version
from src.book.storage import paths


@dataclass(frozen=True)
class Book:
    """What the configuration and the package say of the book.

    Attributes:
        repository: the address of the repository; "" if there is none.
        version: the version of the book.
    """

    title: str
    author: str
    year: str
    repository: str
    version: str


def build_version() -> str:
    """Return the book's version, with the commit where the book is built in a clone.

    A commit whose files were changed since ends in "-dirty".
    """
    if not (paths.root() / ".git").exists():
        return version()
    command = ["git", "-C", str(paths.root()), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    except (OSError, subprocess.CalledProcessError):  # no git, or no commit yet
        return version()
    return f"{version()}, commit {done.stdout.strip()}"


def report_address(repository: str, page: str, version: str) -> str:
    """Return the address of a new issue about one page, which names the page and its version.

    Args:
        repository: the address of the repository.
        page: the page's name, such as "chapters/gnn/framelets".
        version: as from `build_version`.
    """
    body = (
        f"Page: {page}\nVersion: {version}\n\n"
        "What is wrong, and where on the page?\n\n\nWhat should it say?\n"
    )
    query = urlencode({"title": f"Error on the page {page}", "body": body})
    return f"{repository.rstrip('/')}/issues/new?{query}"
