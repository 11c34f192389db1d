"""The pages of the book by their addresses in the site, and the wait for their mathematics."""

import contextlib

from src.book.notebook import chapters
from src.book.storage import paths

CHAPTERS = [f"chapters/{chapter.name}.html" for chapter in chapters.select()]
PAGES = [
    "index.html",
    *(f"pages/{f.stem}.html" for f in sorted((paths.root() / "pages").glob("*.md"))),
    *CHAPTERS,
    "search.html",
    "genindex.html",
]

# Desktop, tablet, phone.
WIDTHS = (1280, 768, 390)

# A page measures its formulas when its width has changed: in the second frame after that.
_DRAWN = """() => new Promise(done => {
  const after = frames => frames ? requestAnimationFrame(() => after(frames - 1)) : done();
  after(4);
})"""

_STOPS = """() => [...document.querySelectorAll("pre")]
  .every(code => code.scrollWidth <= code.clientWidth || code.tabIndex >= 0)"""


def typeset(page) -> None:
    """Wait until MathJax has set the page's formulas, if it has any, and they have their places."""
    page.evaluate("window.MathJax?.startup?.promise")
    page.evaluate(_DRAWN)


def resize(page, width: int) -> None:
    """Give an open page another width, as on another device."""
    if page.viewport_size["width"] != width:
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(_DRAWN)
        # The theme makes code that scrolls a stop for the keyboard a moment after a new width.
        from playwright.sync_api import TimeoutError

        with contextlib.suppress(TimeoutError):  # axe says which it forgot
            page.wait_for_function(_STOPS, timeout=3000)
