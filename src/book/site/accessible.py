"""The Sphinx extension that mends what the theme leaves inaccessible in the written pages.

The theme has no option for these; each repair looks for what the theme writes, and leaves alone
what has been mended.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

# On a narrow screen a sidebar opens as a dialog, which needs a name and a button that closes it.
_CLOSE = (
    '<form method="dialog" class="close-sidebar"><button class="btn btn-sm">Close</button></form>'
)
_REPAIRS = [
    # The sidebar has the book's name and the search beside its list of pages: one landmark for all.
    (
        re.compile(r'<div id="pst-primary-sidebar" (class="[^"]*")>'),
        rf'<div id="pst-primary-sidebar" role="navigation" aria-label="Book" \1>{_CLOSE}',
    ),
    (
        re.compile(r'<div id="pst-secondary-sidebar" (class="[^"]*")>(?!<form)'),
        rf'<div id="pst-secondary-sidebar" \1>{_CLOSE}',
    ),
    (
        re.compile('<dialog id="pst-primary-sidebar-modal">'),
        '<dialog id="pst-primary-sidebar-modal" aria-label="Book">',
    ),
    (
        re.compile('<dialog id="pst-secondary-sidebar-modal">'),
        '<dialog id="pst-secondary-sidebar-modal" aria-label="On this page">',
    ),
    (
        re.compile('<dialog id="pst-search-dialog">'),
        '<dialog id="pst-search-dialog" aria-label="Search">',
    ),
    # A fold is called what it shows, "Show code cell source", not "Toggle hidden content".
    (re.compile('<summary aria-label="Toggle hidden content">'), "<summary>"),
    # A formula that is wider than a phone scrolls, by keyboard too.
    (
        re.compile(r'<div class="((?:amsmath )?math notranslate nohighlight)"(?! tabindex)'),
        r'<div class="\1" tabindex="0"',
    ),
    # The corner of a table that has row and column names is no header of anything.
    (re.compile(r"<th\b[^>]*>(?:\s|<p>\s*</p>)*</th>"), "<td></td>"),
]


def setup(app: Sphinx) -> dict:
    """Register the extension."""
    app.connect("build-finished", mend_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def mend_pages(app: Sphinx, error: Exception | None) -> None:
    """Mend every page that was written."""
    if error is not None or app.builder.format != "html":
        return
    for file in Path(app.outdir).rglob("*.html"):
        written = file.read_text(encoding="utf-8")
        if (mended := mend(written)) != written:
            file.write_text(mended, encoding="utf-8")


def mend(html: str) -> str:
    """Return a page with named landmarks, dialogs and folds, and without empty table headers."""
    for theirs, ours in _REPAIRS:
        html = theirs.sub(ours, html)
    return html
