"""The book's code under a name of its own: `papers_that_run.gnn` is `src.gnn`, the same module.

The chapters import the package as `src`, a name that many projects use for themselves. Importing
this package makes `src` work beside a project's own (see `papers_that_run.source`), and loads
nothing else.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, spec_from_loader
from types import CodeType, ModuleType

from papers_that_run.source import NAMES, reach


class Alias(MetaPathFinder, Loader):
    """Imports `papers_that_run.x` by importing `src.x`: one module under two names."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to import a module of the book; None for every other module.

        Raises:
            ImportError: if another package `src` has a module in its place.
        """
        package, _, inner = name.partition(".")
        top, *deeper = inner.split(".")
        if package != __name__ or top not in NAMES:
            return None
        if not deeper:
            reach(top)
        if (real := find_spec(f"src.{inner}")) is None:
            return None  # Python's own message names papers_that_run.x
        is_package = real.submodule_search_locations is not None
        return spec_from_loader(name, self, origin=real.origin, is_package=is_package)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module that the book knows as `src.x`."""
        module = import_module(_name_in_src(spec.name))
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own spec back: the import has replaced it, and `reload` needs it."""
        module.__spec__ = module.__spec__.loader_state

    def get_code(self, name: str) -> CodeType | None:
        """Return a module's code, which `python -m papers_that_run.book` asks for."""
        real = find_spec(_name_in_src(name))
        return real.loader.get_code(real.name)


def _name_in_src(name: str) -> str:
    return f"src.{name.partition('.')[2]}"


# The finder comes first: a project's `src`, which `reach` imports, may itself import the book.
if not any(type(finder).__module__ == __name__ for finder in sys.meta_path):
    sys.meta_path.insert(0, Alias())
reach("book", "common")  # every part imports these two
