"""Where things lie: one place finds the book's files, never through the working directory.

In a clone everything is under the repository's root. In an installed wheel the catalogue, the
ledger, the data registry and the small models ship inside the package, and runs are kept in the
user's cache folder.
"""

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_SHIPPED = _PACKAGE / "shipped"


def root() -> Path:
    """Return the folder that holds `data/`: `$BOOK_ROOT`, the clone, or the installed package."""
    if chosen := os.environ.get("BOOK_ROOT"):
        return Path(chosen).resolve()
    return _SHIPPED if _SHIPPED.is_dir() else _PACKAGE.parents[1]


def package_root() -> Path:
    """Return the folder that holds the package `src`."""
    return _PACKAGE.parents[1]


def data_dir() -> Path:
    """Return the folder of the catalogue, ledger, registry and models."""
    return root() / "data"


def papers_dir() -> Path:
    """Return the folder of the catalogue entries."""
    return data_dir() / "papers"


def paper_files() -> list[Path]:
    """Return the catalogue entries' files, sorted; not those that an editor hides beside them."""
    found = papers_dir().glob("*.yml")
    return sorted(f for f in found if f.is_file() and not f.name.startswith("."))


def chapters_dir() -> Path:
    """Return the folder of the chapters' sources (absent from an installed wheel)."""
    return root() / "chapters"


def results_file(chapter: str, profile: str, seed: int | None = None) -> Path:
    """Return the committed ledger file of a chapter in a profile (or in "timing").

    Args:
        chapter, profile: which.
        seed: of a run with another seed than the chapter's own; its file lies beside.
    """
    name = chapter if seed is None else f"{chapter}.seed-{seed}"
    return data_dir() / "results" / profile / f"{name}.json"


def models_dir(chapter: str) -> Path:
    """Return the folder of the small weights that a chapter's larger runs produced."""
    return data_dir() / "models" / chapter


def new_models_dir(chapter: str) -> Path:
    """Return the folder for the weights that this run produces: below `$BOOK_MODELS`, or the above.

    A run with unusual parameters must not replace the weights that the quick pages load.
    """
    aside = os.environ.get("BOOK_MODELS")
    return Path(aside).resolve() / chapter if aside else models_dir(chapter)


def cache_dir() -> Path:
    """Return the folder for downloads: `$BOOK_CACHE` or the user's cache."""
    if chosen := os.environ.get("BOOK_CACHE"):
        return Path(chosen).resolve()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "papers-that-run"


def build_dir() -> Path:
    """Return the folder for everything a run or a build makes: `$BOOK_BUILD` or `_build`."""
    if chosen := os.environ.get("BOOK_BUILD"):
        return Path(chosen).resolve()
    return cache_dir() / "build" if root() == _SHIPPED else root() / "_build"


def run_file(chapter: str, profile: str, suffix: str = ".ipynb") -> Path:
    """Return where a run of a chapter leaves its notebook (or `.json`, `.log`, ...)."""
    return build_dir() / "runs" / profile / f"{chapter}{suffix}"


def short(file: Path) -> str:
    """Return a file's path as a person at the repository's root would type it."""
    home = root()
    return file.relative_to(home).as_posix() if file.is_relative_to(home) else str(file)
