"""What a chapter loads, and the room of its figures. Its weight: see `test_pages_served`."""

import pytest

from tests.browser import weight
from tests.browser.book_pages import CHAPTERS, typeset


@pytest.fixture
def load(browser, served):
    """Open a page at its first visit, with an empty cache; return it and the sizes of its files."""
    contexts = []

    def open_page(path, width=1280):
        context = browser.new_context(viewport={"width": width, "height": 900})
        contexts.append(context)
        page, answers = context.new_page(), []
        page.on("response", lambda answer: answers.append(answer))
        page.goto(served + path)
        typeset(page)
        page.wait_for_load_state("networkidle")
        return page, {a.url.removeprefix(served): a.body() for a in answers}

    yield open_page
    for context in contexts:
        context.close()


def test_figures_keep_their_room_before_they_load(load):
    page, _ = load(CHAPTERS[0], width=390)
    before = page.evaluate("document.documentElement.scrollHeight")
    figures = page.locator("article figure img")
    assert figures.count() > 0
    for figure in figures.all():
        figure.scroll_into_view_if_needed()
        figure.evaluate("image => image.decode()")
    after = page.evaluate("document.documentElement.scrollHeight")
    assert abs(after - before) <= figures.count()  # a pixel each, for sizes that were rounded


def test_the_weight_that_is_computed_is_what_a_browser_loads(load, site):
    _, files = load(CHAPTERS[0])
    computed = {f.name for f in weight.first_load(site / CHAPTERS[0])}
    loaded = {name.partition("?")[0].rpartition("/")[2] for name in files}
    missed = {name for name in loaded - computed if not name.endswith((".png", ".woff"))}
    assert not missed
