"""Every page from the file system in the dark theme: sound on all screens, axe on a phone."""

import pytest

from tests.browser.book_pages import CHAPTERS, PAGES
from tests.browser.every_page import axe_faults, faults

from_files = pytest.mark.parametrize("base", ["file"], indirect=True)


@from_files
@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_sound(visit, site, path):
    page = visit(path, scheme="dark")
    assert faults(page, path, site) == []
    assert axe_faults(page, "dark", 390) == []


@pytest.mark.parametrize("path", ["index.html", "pages/scoreboard.html", CHAPTERS[0]])
def test_a_page_reads_well_without_scripts(visit, path):
    page = visit(path, javascript=False)
    assert page.locator("article h1").is_visible()
    assert len(page.locator("article").inner_text()) > 500
