"""The machinery of the book: run context, claims, ledger, catalogue, execution, rendering."""

from importlib import import_module

# Loaded on first use, so that `import src.book` costs nothing and the command line starts fast.
_LAZY = {
    "start": "src.book.chapter.context",
    "Run": "src.book.chapter.context",
    "show": "src.book.chapter.source",
    "fetch": "src.book.storage.data",
}

__all__ = ["Run", "fetch", "show", "start"]


def __getattr__(name: str) -> object:
    """Import a public name from its module when it is first asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
