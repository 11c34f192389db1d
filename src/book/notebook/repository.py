"""The book's address and version: `_config.yml` holds the one, `pyproject.toml` the other."""

import os
import re
import subprocess
import tomllib
from importlib import metadata

import yaml

from src.book.storage import paths
from src.book.storage.errors import BookError
from src.book.storage.files import read_text, write_atomically

_PACKAGE = "papers-that-run"
_ADDRESS = re.compile(r"https://(?P<host>[\w.-]+)/[\w.-]+/[\w.-]+", re.ASCII)
_HOSTS = ("github", "gitlab", "bitbucket")  # whose pages the theme can link to
_LINE = re.compile(
    r"^(repository:\n(?:[ \t]+.*\n|[ \t]*#.*\n)*?[ \t]+url:[ \t]*)[^\s#]+", re.MULTILINE
)


def address() -> str | None:
    """Return the repository's address, or None for a book without one (an installed wheel)."""
    return _repository().get("url")


def branch() -> str:
    """Return the branch that links point to."""
    return _repository().get("branch", "main")


def version() -> str:
    """Return the book's version: from the clone's `pyproject.toml`, else the installed package."""
    settings = paths.package_root() / "pyproject.toml"
    if settings.is_file():
        return tomllib.loads(read_text(settings))["project"]["version"]
    return metadata.version(_PACKAGE)


def released_as() -> str:
    """Return the git reference that holds this version: its tag, or the branch before a release."""
    return branch() if ".dev" in version() else f"v{version()}"


def unanswered() -> str:
    """Return why `pip` could not install what the notebooks name, in words; "" if it could.

    Asks the repository itself, over the network.
    """
    kind, name = ("heads" if ".dev" in version() else "tags"), released_as()
    wanted = f"refs/{kind}/{name}"
    command = ["git", "ls-remote", "--exit-code", str(address()), wanted]
    # Where there is no such repository a host asks for a password.
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    if done.returncode == 0:
        return ""
    if done.returncode == 2:
        return f"{address()} has no {wanted}, which the install cells name: push it"
    said = done.stderr.strip() or f"git ended with {done.returncode}"
    return f"{address()}, which the install cells name, does not answer: {said}"


def set_address(given: str) -> str:
    """Write the repository's address into `_config.yml`, whose comments stay; return the address.

    Args:
        given: such as "https://github.com/owner/name"; a final "/" or ".git" is dropped.

    Raises:
        BookError: if the address is not of that form, or `_config.yml` has no place for it.
    """
    wanted = given.strip().removesuffix("/").removesuffix(".git")
    matched = _ADDRESS.fullmatch(wanted)
    if matched is None:
        raise BookError(
            f"{given!r} is not the address of a repository; give it as https://host/owner/name, "
            "such as https://github.com/owner/name"
        )
    if not any(name in matched["host"].lower() for name in _HOSTS):
        raise BookError(
            f"the pages cannot link to {matched['host']}: the theme knows repositories on "
            f"hosts named after {', '.join(_HOSTS)}"
        )
    file = paths.root() / "_config.yml"
    before = read_text(file) if file.is_file() else ""
    after, places = _LINE.subn(lambda found: found[1] + wanted, before, count=1)
    if not places:
        raise BookError("_config.yml has no line `url: ...` below `repository:`; write one first")
    write_atomically(file, after)
    return wanted


def _repository() -> dict:
    file = paths.root() / "_config.yml"
    text = read_text(file) if file.is_file() else ""
    return (yaml.safe_load(text) or {}).get("repository") or {}
