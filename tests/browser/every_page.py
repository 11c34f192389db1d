"""What holds for every page, checked on one opening of it: see `checks` and `axe`."""

from tests.browser import checks
from tests.browser.axe import violations
from tests.browser.book_pages import CHAPTERS, WIDTHS, resize, typeset


def faults(page, path: str, site) -> list[str]:
    """Return what is wrong with an open page on desktop, tablet and phone; it ends as a phone."""
    typeset(page)
    found = checks.mathematics(page) + checks.names(page) + checks.headings(page)
    if not page.title().strip():
        found.append("no title")
    if path in CHAPTERS:
        found += checks.launching(page, path, site) + checks.copying(page)
        if page.locator("article mjx-container").count() <= 10:
            found.append("hardly any formula")
    for width in WIDTHS:
        resize(page, width)
        found += [f"{fault} (at a width of {width})" for fault in checks.width(page)]
    return found


def axe_faults(page, scheme: str, width: int) -> list[str]:
    """Return what axe finds on an open page in a theme and at a width; the page is spent then."""
    resize(page, width)
    theme = page.locator("html").get_attribute("data-theme")
    return violations(page) if theme == scheme else [f"the theme is {theme}, not {scheme}"]
