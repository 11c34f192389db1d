"""The front page and the scoreboard, as readers meet them."""

import csv
import io
import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.browser import checks

BOARD = "pages/scoreboard.html"


def rows(page):
    """Return paper, claim and verdict of the rows that can be seen, in their order."""
    return page.eval_on_selector_all(
        "table.scoreboard tr[id]",
        """rows => rows.filter(row => row.checkVisibility()).map(row => ({
          id: row.id, verdict: row.querySelector(".verdict").textContent,
          profile: row.cells[row.cells.length - 2].textContent}))""",
    )


def choose(page, label, value):
    page.get_by_label(label, exact=True).select_option(value)


def status(page):
    return page.get_by_role("status").filter(has_text="claims shown").inner_text()


@pytest.fixture
def claims(site):
    return list(csv.DictReader(io.StringIO((site / "pages/scoreboard.csv").read_text("utf-8"))))


def test_without_javascript_the_scoreboard_is_complete(visit, claims):
    page = visit(BOARD, javascript=False)
    seen = page.locator("table.scoreboard tr[id]")
    assert seen.count() == len(claims)
    assert page.locator("form.scoreboard-controls, .sort-button").count() == 0
    found = [seen.nth(k).get_attribute("id") for k in range(len(claims))]
    assert found == [f"{c['paper']}-{c['claim']}" for c in claims]
    assert page.get_by_role("link", name="CSV").is_visible()


@pytest.fixture
def board(shared):
    """The scoreboard with all its claims in the book's order, open for all tests."""
    page = shared(BOARD)
    page.get_by_role("button", name="Show all").click()
    return page


def test_filters(board, claims):
    page = board
    assert status(page) == f"{len(claims)} of {len(claims)} claims shown"
    choose(page, "Verdict", "not supported")
    wanted = [c for c in claims if c["verdict"] == "not supported"]
    assert [r["id"] for r in rows(page)] == [f"{c['paper']}-{c['claim']}" for c in wanted]
    part = wanted[0]["part"]
    choose(page, "Part", part)
    wanted = [c for c in wanted if c["part"] == part]
    assert len(rows(page)) == len(wanted)
    assert status(page) == f"{len(wanted)} of {len(claims)} claims shown"
    assert page.locator("h2", has_text=part).is_visible()
    assert page.locator("section > h2:visible").count() == 1  # parts without a row are hidden
    page.get_by_role("button", name="Show all").click()
    choose(page, "Profile", "timing")
    assert len(rows(page)) == len([c for c in claims if c["profile"] == "timing"])
    page.get_by_role("button", name="Show all").click()
    choose(page, "Paper", claims[0]["title"])
    assert {r["id"].rpartition("-")[0] for r in rows(page)} == {claims[0]["paper"]}


def test_words_are_searched(board, claims):
    page = board
    title = claims[-1]["title"]
    page.get_by_label("Words", exact=True).fill(title.upper())
    wanted = {c["paper"] for c in claims if title in c["title"]}
    assert {r["id"].rpartition("-")[0] for r in rows(page)} == wanted
    page.get_by_label("Words", exact=True).fill("no such words here")
    assert rows(page) == []
    assert status(page).startswith("0 of ")


def test_sorting_by_the_keyboard(board, claims):
    page = board
    order = ["supported", "not supported", "inconclusive", "not tested"]
    page.get_by_role("button", name="Verdict").first.focus()
    page.keyboard.press("Enter")
    found = [order.index(r["verdict"]) for r in rows(page)]
    assert len(found) == len(claims)
    assert found == sorted(found)
    head = page.locator("th[aria-sort]")
    assert head.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Enter")  # the focus has followed into the sorted table
    assert head.get_attribute("aria-sort") == "descending"
    found = [order.index(r["verdict"]) for r in rows(page)]
    assert found == sorted(found, reverse=True)
    page.get_by_label("Sort by", exact=True).select_option("")
    assert [r["id"] for r in rows(page)] == [f"{c['paper']}-{c['claim']}" for c in claims]
    assert head.count() == 0
    assert page.locator(".only-sorted").count() == 0


@pytest.mark.parametrize("base", ["file"], indirect=True)
def test_paper_has_the_headers_and_not_the_controls(board):
    heads = board.locator("table.scoreboard:visible thead").first
    shown = heads.inner_text().replace("\n", " ")
    board.emulate_media(media="print")
    try:
        assert heads.get_by_role("button", name="Verdict").is_visible()
        assert heads.inner_text().replace("\n", " ") == shown
        assert not board.locator("form.scoreboard-controls").is_visible()
        assert checks.width(board) == []
        button = heads.get_by_role("button", name="Verdict")
        # A box of its own would be missing where the header is repeated on the next page.
        assert button.evaluate("e => getComputedStyle(e).display") == "contents"
    finally:
        board.emulate_media(media="screen")


def test_the_choice_is_kept_in_the_address(visit):
    page = visit(BOARD)
    choose(page, "Verdict", "inconclusive")
    choose(page, "Sort by", "profile")
    chosen = rows(page)
    given = parse_qs(urlsplit(page.url).query)
    assert given == {"verdict": ["inconclusive"], "sort": ["profile"]}
    page.reload()
    assert rows(page) == chosen
    assert page.get_by_label("Verdict", exact=True).input_value() == "inconclusive"


def test_a_link_to_a_row_finds_it_behind_a_filter(visit, claims):
    hidden = next(c for c in claims if c["verdict"] != "supported")
    name = f"{hidden['paper']}-{hidden['claim']}"
    page = visit(f"{BOARD}?verdict=supported#{name}")
    assert name in {r["id"] for r in rows(page)}


def test_a_row_leads_to_its_cell(visit, claims):
    page = visit(BOARD)
    claim = next(c for c in claims if c["profile"] in ("quick", "cpu"))
    page.get_by_role("link", name=f"cell of {claim['paper']} {claim['claim']}", exact=True).click()
    anchor = claim["page"].partition("#")[2]
    assert page.url.endswith(claim["page"])
    assert "measure(" in page.locator(f"#{anchor}").inner_text()


def test_downloads(board, base, site, claims):
    page = board
    for name in ("CSV", "JSON"):
        link = page.get_by_role("link", name=name, exact=True)
        file = site / f"pages/scoreboard.{name.lower()}"
        if base.startswith("file:"):  # the browser may show the file instead
            assert link.evaluate("link => link.href") == file.as_uri()
            continue
        with page.expect_download() as download:
            link.click()
        assert download.value.path().read_text("utf-8") == file.read_text("utf-8")
    assert len(json.loads((site / "pages/scoreboard.json").read_text("utf-8"))) == len(claims)


@pytest.mark.parametrize("width", [1280, 390])
def test_front_page_shows_every_chapter(visit, site, width):
    page = visit("index.html", width=width)
    cards = page.locator("ul.gallery > li")
    assert cards.count() == len(list((site / "chapters").glob("*/*.html")))
    for k in range(cards.count()):
        cards.nth(k).scroll_into_view_if_needed()
        image = cards.nth(k).locator("img")
        image.evaluate("image => image.decode()")
        assert image.evaluate("image => image.naturalWidth") == 480
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".way a").count() >= 3


def test_a_card_is_a_link_wherever_it_is_clicked(visit):
    page = visit("index.html")
    card = page.locator("ul.gallery > li").first
    card.locator("img").click(position={"x": 20, "y": 20}, force=True)
    page.wait_for_url(re.compile(r"/chapters/"))
