"""Makes `import src.gnn` find the book, also where a project has a `src` of its own.

Python imports the first package `src` on its path. Where that is a project's, it stays what it is,
and the book's folder is searched after the project's. A name that both have cannot mean both; then
one of the packages must be renamed, or must not be on the path.
"""

import sys
import warnings
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

HOME = Path(__file__).resolve().parents[1] / "src"
NAMES = frozenset(file.parent.name for file in HOME.glob("*/__init__.py"))


def reach(*names: str) -> None:
    """Make `src.name` the book's, for each of the names.

    Raises:
        ImportError: if a project's own `src` has one of them.
    """
    src = import_module("src")
    behind = _passed_over() if _is_the_books(src) else [str(HOME)]
    # A module `src.py` has no path; with one, Python looks for modules of `src` there.
    path = list(dict.fromkeys([*getattr(src, "__path__", []), *behind]))
    for folder in path:
        if Path(folder).resolve() != HOME:
            _complain(src, folder, [name for name in names if _holds(folder, name)])
    variables = [name for name in names if hasattr(src, name)]
    _complain(src, src.__file__, [v for v in variables if not _is_the_books(getattr(src, v))])
    src.__path__ = path  # every time, and not only once: reloading `src` sets it back


def _complain(src: ModuleType, where: str, taken: list[str]) -> None:
    if not taken:
        return
    said = (
        f"{where} is another `src` than the book's and has names that the book needs: "
        f"{', '.join(taken)}. "
    )
    if not _is_the_books(src):
        raise ImportError(f"{said}Rename it, or work in a folder or an environment without it.")
    # Perhaps nobody imports that folder by the name of `src`, so it is no reason to stop.
    warnings.warn(f"{said}Imports from `src` find the book's.", stacklevel=4)


def _is_the_books(module: object) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).resolve().is_relative_to(HOME)


def _passed_over() -> list[str]:
    """Return the folders `src` without `__init__.py`: Python prefers any package to them."""
    others = [entry for entry in sys.path if Path(entry or ".").resolve() != HOME.parent]
    specs = [PathFinder.find_spec("src", [entry]) for entry in others]
    return [f for s in specs if s and s.origin is None for f in s.submodule_search_locations]


def _holds(folder: str, name: str) -> bool:
    """Whether a folder has a module of this name; a folder without Python code is none."""
    spec = PathFinder.find_spec(f"src.{name}", [folder])
    if spec is None or spec.origin is not None:
        return spec is not None
    return any(any(Path(place).rglob("*.py")) for place in spec.submodule_search_locations)
