"""The real book, rendered from the last runs: what must hold for every chapter's page."""

import re
from itertools import pairwise

import pytest
from lxml import html

from src.book.evidence import catalogue
from src.book.notebook import chapters
from src.book.site.htmlcheck import check_html

CHAPTERS = [c.name for c in chapters.select()]


def heading_levels(page):
    """The levels of the headings inside a page's article."""
    inside = html.document_fromstring(page.encode()).xpath("//article//*")
    return [int(e.tag[1]) for e in inside if re.fullmatch(r"h[1-6]", e.tag)]


def test_no_page_has_a_fault(real_site):
    assert check_html(real_site) == []


def test_every_claim_is_on_the_scoreboard(real_site):
    board = (real_site / "pages/scoreboard.html").read_text(encoding="utf-8")
    for paper in catalogue.papers().values():
        for claim in paper.claims:
            assert f'id="{paper.id}-{claim}"' in board


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_page(real_site, chapter):
    page = (real_site / f"chapters/{chapter}.html").read_text(encoding="utf-8")
    levels = heading_levels(page)
    assert levels.count(1) == 1
    assert levels[0] == 1
    steps = [b - a for a, b in pairwise(levels)]
    assert max(steps, default=0) <= 1, f"a heading is skipped: {levels}"
    assert '<aside class="glance"' in page
    assert f"blob/main/chapters/{chapter}.ipynb" in page


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_is_in_the_sidebar_and_the_search_index(real_site, chapter):
    assert f'href="chapters/{chapter}.html"' in (real_site / "index.html").read_text()
    assert f'"chapters/{chapter}"' in (real_site / "searchindex.js").read_text()
