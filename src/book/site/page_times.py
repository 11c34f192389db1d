"""How long each page takes to render: read and written, kept beside the site for `make times`.

Reading is measured from one event of Sphinx to the next. Pages are written one after the other and
Sphinx only tells when one begins: a page's writing ends where the next one's begins. A page that
was not rendered this time keeps its last seconds.
"""

import json
import time
from pathlib import Path

from sphinx.application import Sphinx

from src.book.evidence.ledger import write_atomically
from src.book.storage import paths


def file() -> Path:
    """Return the file that holds {"read": {page: seconds}, "write": {page: seconds}}."""
    return paths.build_dir() / "page_times.json"


def load() -> dict[str, dict[str, float]]:
    """Return the seconds of each page; none for a site that was never rendered."""
    try:
        return json.loads(file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"read": {}, "write": {}}


def setup(app: Sphinx) -> dict:
    """Register the clock."""
    clock = _Clock()
    app.connect("source-read", lambda app, page, source: clock.begin("read", page), priority=0)
    app.connect("doctree-read", lambda app, tree: clock.end(), priority=999)
    app.connect("doctree-resolved", lambda app, tree, page: clock.begin("write", page), priority=0)
    app.connect("build-finished", lambda app, error: clock.keep(), priority=0)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}


class _Clock:
    """Adds up the seconds of one build."""

    def __init__(self) -> None:
        self.seconds: dict[str, dict[str, float]] = {"read": {}, "write": {}}
        self.now: tuple[str, str, float] | None = None

    def begin(self, what: str, page: str) -> None:
        """Begin with a page; what was measured before ends here."""
        self.end()
        self.now = (what, page, time.perf_counter())

    def end(self) -> None:
        """End what is being measured, if anything is."""
        if self.now is not None:
            what, page, began = self.now
            self.seconds[what][page] = round(time.perf_counter() - began, 3)
            self.now = None

    def keep(self) -> None:
        """Write what was measured over what is known."""
        self.end()
        known = load()
        for what, pages in self.seconds.items():
            known.setdefault(what, {}).update(pages)
        write_atomically(file(), json.dumps(known, indent=0, sort_keys=True) + "\n")
