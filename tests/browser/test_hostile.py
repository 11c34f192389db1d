"""In a real browser: no script of the hostile book runs, on no page, not even by hand."""

from urllib.parse import urlencode

import pytest

from src.book.site import build as book_site
from tests.browser.book_pages import typeset
from tests.site.fake_book import CHAPTER
from tests.site.hostile_book import SHORT, make_hostile_book

PAGES = [
    "index.html",
    f"chapters/{CHAPTER}.html",
    "pages/scoreboard.html?sort=paper",
    "pages/catalogue.html",
    "pages/bibliography.html",
    "search.html?" + urlencode({"q": SHORT.strip("<>")}),
]


@pytest.fixture(scope="module")
def base(browser, tmp_path_factory):
    """The address of the rendered hostile book."""
    root = make_hostile_book(tmp_path_factory.mktemp("hostile") / "book")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOOK_ROOT", str(root))
        patch.delenv("BOOK_BUILD", raising=False)
        return book_site.build().folder.as_uri() + "/"


@pytest.mark.parametrize("path", PAGES)
def test_no_script_of_theirs_runs(visit, path):
    page = visit(path)
    typeset(page)
    if path.startswith("search"):
        page.locator("#search-results li").first.wait_for()
    assert "window.ran" in page.locator("main").first.inner_text()
    # What waits for a hand: everything that takes the focus, a click or a mouse over it.
    page.evaluate(
        """() => document.querySelectorAll("article *").forEach((element) => {
          for (const name of ["focus", "mouseover", "click"])
            if (!element.closest("a[href]:not([href^=javascript])"))
              element.dispatchEvent(new MouseEvent(name, {bubbles: true}));
        })"""
    )
    page.wait_for_timeout(200)
    assert page.evaluate("window.ran") is None


def test_formulas_have_no_links(visit):
    page = visit(f"chapters/{CHAPTER}.html")
    typeset(page)
    formulas = page.locator("article mjx-container")
    assert formulas.count() > 2
    assert page.locator("article mjx-container a").count() == 0
    assert page.locator("article mjx-container").filter(has_text="href").count() == 1
