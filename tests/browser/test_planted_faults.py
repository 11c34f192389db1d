"""The checks can fail: each is shown a page of the book with the fault that it is for.

The page is the built one, changed on its way to the browser. It comes without MathJax, which the
faults do not need, so that it opens quickly.
"""

import re
from dataclasses import dataclass

import pytest

from tests.browser import checks
from tests.browser.axe import violations
from tests.browser.book_pages import CHAPTERS

CHAPTER = CHAPTERS[0]
PAGE = "pages/run_times.html"
SEARCH = "search.html?q=nothing"
_MATHJAX = re.compile(r"<script[^>]*mathjax[^>]*></script>")
_PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
_WIDE = "<tr>" + "<th>heading</th>" * 40 + "</tr>"
# A formula as MathJax leaves it, in a line that the book's script does not look at.
_FORMULA = """<p style="overflow: hidden; width: 20rem; white-space: nowrap">
  <mjx-math style="display: inline-block; width: 60rem">x</mjx-math></p>"""


@dataclass
class Fault:
    """A fault: the text of the page that is replaced, by what; the check; a word of its report."""

    old: str
    new: str
    check: str
    says: str
    page: str = PAGE
    file: str | None = None  # where the text is, if not on the page
    width: int = 1280


def beside(new: str, check: str, says: str, **how) -> Fault:
    """Return a fault that is added to the page, at the end of its article."""
    return Fault("</article>", new + "</article>", check, says, **how)


FAULTS = {
    "external request": beside(
        '<img alt="a" src="https://example.org/a.png">', "watch", "external request"
    ),
    "external script": beside("<script>fetch('https://x.org/')</script>", "watch", "external"),
    "console error": beside("<script>console.error('planted')</script>", "watch", "console error"),
    "script error": beside("<script>planted()</script>", "watch", "script error"),
    "missing file": beside('<img alt="a" src="gone.png">', "watch", "gone.png (404)"),
    "formula as text": beside(r"<p>\(x^2\)</p>", "mathematics", "not typeset"),
    "formula with an error": beside(
        '<mjx-merror data-mjx-error="planted"></mjx-merror>', "mathematics", "planted"
    ),
    "no alternative text": beside(f'<img src="{_PIXEL}">', "names", "no alt"),
    "no alternative text, for axe": beside(f'<img src="{_PIXEL}">', "axe", "image-alt"),
    "table without headers": beside("<table><tr><td>1</td></tr></table>", "names", "no header"),
    "figure without a caption": beside("<figure>x</figure>", "names", "no caption"),
    "level left out": beside("<h6>planted</h6>", "headings", "planted"),
    "two titles": beside("<h1>planted</h1>", "headings", "levels of headings"),
    "pale words": beside('<p style="color: #aaa; background: #fff">pale</p>', "axe", "contrast"),
    "wide table": beside(f"<table>{_WIDE}</table>", "width", "the page is", width=390),
    "wide table cut off": beside(
        f'<div style="overflow: hidden"><table>{_WIDE}</table></div>', "width", "<table", width=390
    ),
    "formula cut off": beside(_FORMULA, "width", "<mjx-math", width=390),
    "Colab elsewhere": Fault(
        "colab.research.google.com", "example.org", "launching", "Colab", page=CHAPTER
    ),
    "Binder elsewhere": Fault("mybinder.org", "x.org", "launching", "Binder", page=CHAPTER),
    "repository elsewhere": Fault("//github.com/", "//x.org/", "launching", "repo", page=CHAPTER),
    "no notebook": Fault(".ipynb", ".nb", "launching", "to download", page=CHAPTER),
    "no copy buttons": Fault("copybutton.js", "doctools.js", "copying", "0 buttons", page=CHAPTER),
    "no fold": Fault("<details", "<div", "folding", "no code is folded", page=CHAPTER),
    "fold that is open": Fault("<details", "<details open", "folding", "is open", page=CHAPTER),
    "search finds nothing": Fault(
        "_performSearch: (", "_performSearch: () => [], was: (", "searching", "finds nothing",
        page=SEARCH, file="_static/searchtools.js",
    ),
}  # fmt: skip


def reports(page, watch, fault: Fault, site) -> list[str]:
    """Return what the fault's check reports of the open page."""
    if fault.check == "watch":
        page.wait_for_load_state("networkidle")
        return watch.told()
    if fault.check == "axe":
        return violations(page)
    more = {
        "launching": (fault.page, site),
        "searching": ({"Transformer": "chapters/foundations/transformer.html"},),
    }
    return getattr(checks, fault.check)(page, *more.get(fault.check, ()))


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_reported(opened, served, site, name):
    fault = FAULTS[name]
    changed = fault.file or fault.page.partition("?")[0]
    text = (site / changed).read_text(encoding="utf-8")
    assert fault.old in text, "the page has changed: plant the fault elsewhere"
    body = _MATHJAX.sub("", text.replace(fault.old, fault.new))

    def plant(page):
        page.route(f"**/{changed}*", lambda route: route.fulfill(body=body, content_type=kind))

    kind = "text/javascript" if changed.endswith(".js") else "text/html"
    page, watch = opened(served, fault.page, width=fault.width, before=plant)
    found = reports(page, watch, fault, site)
    page.context.close()
    assert any(fault.says in report for report in found), found
