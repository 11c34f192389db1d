"""Every page from a server, light theme: sound on all screens, axe on a desktop, its weight."""

import gzip

import pytest

from tests.browser import weight
from tests.browser.book_pages import CHAPTERS, PAGES, typeset
from tests.browser.every_page import axe_faults, faults

FIRST_PAINT_MS = 1000
# The shift of a page that reads as steady is below 0.1 (web.dev's "good").
SHIFT = 0.1

SHIFTS = """window.shifts = [];
new PerformanceObserver(list => list.getEntries().forEach(e => window.shifts.push({
  value: e.value,
  what: e.sources.map(s => s.node ? (s.node.id || s.node.className || s.node.nodeName) : "") })))
  .observe({type: "layout-shift", buffered: true})"""

PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
PACKED = (".png", ".woff")


@pytest.mark.parametrize("base", ["http"], indirect=True)
@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_sound_light_and_steady(visit, site, path):
    answers = []

    def record(page):
        page.add_init_script(SHIFTS)
        page.on("response", lambda answer: answers.append(answer))

    page = visit(path, before=record)  # with an empty cache, as at a reader's first visit
    if path in ("index.html", *CHAPTERS):
        first_load_is_light(page, answers)
        first_paint_comes_soon(visit, page, path)
    assert faults(page, path, site) == []
    assert axe_faults(page, "light", 1280) == []


def first_load_is_light(page, answers):
    typeset(page)
    page.wait_for_load_state("networkidle")
    files = {answer.url: answer.body() for answer in answers}
    raw = {name: len(content) for name, content in files.items()}
    packed = {
        name: len(content if name.endswith(PACKED) else gzip.compress(content, 6))
        for name, content in files.items()
    }
    assert sum(raw.values()) <= weight.RAW_LIMIT, raw
    assert sum(packed.values()) <= weight.PACKED_LIMIT, packed
    shifts = page.evaluate("window.shifts")
    assert sum(s["value"] for s in shifts) < SHIFT, shifts


def first_paint_comes_soon(visit, page, path):
    """The best of three openings: other processes delay one of them."""
    times = [page.evaluate(PAINT)]
    while min(times) >= FIRST_PAINT_MS and len(times) < 3:
        times.append(visit(path).evaluate(PAINT))
    assert min(times) < FIRST_PAINT_MS
