"""axe finds nothing where a dialog, a menu or a sidebar lies open over a page, in both themes."""

import pytest

from tests.browser.axe import violations
from tests.browser.book_pages import CHAPTERS

SMALL, CHAPTER = "pages/how_we_judge.html", CHAPTERS[-1]  # a chapter has the menus
OVERLAYS = {  # the page, the widths, what opens, by which button
    "search": (SMALL, (1280, 390), "#pst-search-dialog", ".search-button__button:visible"),
    "launch": (CHAPTER, (1280, 390), ".dropdown-launch-buttons ul", ".dropdown-launch-buttons"),
    "download": (
        CHAPTER,
        (1280, 390),
        ".dropdown-download-buttons ul",
        ".dropdown-download-buttons",
    ),
    "pages": (SMALL, (768, 390), "#pst-primary-sidebar-modal", ".primary-toggle:visible"),
    "contents": (SMALL, (768, 390), "#pst-secondary-sidebar-modal", ".secondary-toggle:visible"),
}


def without_mathematics(page):
    """Leave MathJax out: the overlays have no formulas, and a chapter opens sooner."""
    page.route("**/tex-chtml.js*", lambda route: route.fulfill(body=""))


@pytest.mark.parametrize("base", ["file"], indirect=True)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", OVERLAYS)
def test_axe_finds_nothing_where_something_is_open(visit, name, scheme):
    path, widths, overlay, button = OVERLAYS[name]
    width = widths[scheme == "dark"]
    page = visit(path, width=width, scheme=scheme, before=without_mathematics)
    page.locator(button).first.click()
    page.locator(overlay).wait_for(state="visible")
    box = page.locator(overlay).bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    assert violations(page) == []
