"""A chapter's page in the browser: box, citation, report, overflow, and the page on paper."""

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.browser.book_pages import typeset

CHAPTER = "chapters/gnn/framelets"
# Elements that reach beyond the page, unless a box around them scrolls.
_BEYOND = """() => {
  const scrolls = e => e && (/auto|scroll|hidden/.test(getComputedStyle(e).overflowX)
                             || scrolls(e.parentElement));
  return [...document.querySelectorAll(".bd-article *")]
    .filter(e => e.getClientRects().length && !scrolls(e.parentElement)
                 && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .map(e => `${e.tagName} ${e.className}`);
}"""


def lightness(colour):
    """Return the mean of a colour's three channels, 0 to 255, from "rgb(...)"."""
    return sum(float(c) for c in colour[colour.index("(") + 1 : -1].split(",")[:3]) / 3


in_one_place = pytest.mark.parametrize("base", ["file"], indirect=True)


def style(page, selector, name):
    return page.locator(selector).first.evaluate(f"e => getComputedStyle(e).{name}")


def test_the_box_tells_both_times_and_leads_to_the_symbols(visit):
    page = visit(f"{CHAPTER}.html")
    foot = page.locator(".glance-foot")
    assert "min to read" in foot.inner_text()
    assert "The quick run took" in foot.inner_text()
    foot.get_by_role("link").click()
    page.wait_for_url("**/pages/notation.html")
    page.wait_for_selector("mjx-container")
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0


@in_one_place
def test_the_citation_opens_by_keyboard_and_can_be_copied(shared):
    page = shared(f"{CHAPTER}.html")
    entries = page.locator("details.cite pre")
    assert not entries.is_visible()
    page.locator("details.cite summary").focus()
    page.keyboard.press("Enter")
    assert entries.is_visible()
    assert "@misc{" in entries.inner_text()
    assert page.locator("details.cite button.copybtn").count() == 1


@in_one_place
def test_the_report_names_this_page(shared):
    page = shared(f"{CHAPTER}.html")
    link = page.get_by_role("link", name="Report an error on this page")
    query = parse_qs(urlsplit(link.get_attribute("href")).query)
    assert CHAPTER in query["title"][0]
    assert "Version: " in query["body"][0]


@in_one_place
def test_where_next_leads_to_the_named_chapter(visit):
    page = visit(f"{CHAPTER}.html")
    page.locator("#where-next a", has_text="network_embedding/random_walks").click()
    page.wait_for_url("**/chapters/network_embedding/random_walks.html")


@in_one_place
def test_the_script_can_be_downloaded_from_the_menu(shared):
    page = shared(f"{CHAPTER}.html")
    page.get_by_role("button", name="Download this page").click()
    link = page.locator(".dropdown-download-buttons a", has_text=".py")
    assert link.last.is_visible()
    assert page.locator(f'.dropdown-download-buttons a[href$="{CHAPTER}.py"]').count() == 1


@in_one_place
def test_code_that_only_sets_up_is_folded(shared):
    page = shared(f"{CHAPTER}.html")
    imports = page.locator(".cell_input", has_text="from src.book import").first
    assert imports.count() == 1
    assert not imports.is_visible()


@pytest.fixture
def paper(shared):
    """The chapter as a printer sees it, on A4: `paper(scheme)` returns the `Page`."""
    page = shared(f"{CHAPTER}.html", width=672)

    def printed(scheme):
        page.emulate_media(media="print", color_scheme=scheme)
        return page

    yield printed
    page.emulate_media(media="screen", color_scheme="light")


@in_one_place
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_paper_shows_the_article_alone_in_light_colours(paper, scheme):
    page = paper(scheme)
    page.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
    for hidden in (
        ".bd-sidebar-primary",
        ".bd-sidebar-secondary",
        ".bd-header-article",
        ".prev-next-footer",
        "details.cite",
        ".report-error",
        ".headerlink",
        "details.hide > summary",
    ):
        found = page.locator(hidden)
        assert found.count(), f"{hidden} is not on the page any more"
        assert not any(e.is_visible() for e in found.all()), hidden
    assert lightness(style(page, "body", "backgroundColor")) == 255
    for ink in (".bd-article p", ".bd-article h2", "div.highlight pre span", ".bd-article a code"):
        assert lightness(style(page, ink, "color")) < 128, ink
    assert lightness(style(page, ".verdict-supported", "backgroundColor")) > 200


@in_one_place
def test_paper_cuts_nothing_off(paper):
    page = paper("light")
    typeset(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 672
    assert page.evaluate(_BEYOND) == []
    scrolled = "[...document.querySelectorAll('.bd-article pre')]"
    assert page.evaluate(f"{scrolled}.every(e => e.scrollHeight <= e.clientHeight + 2)")
    assert style(page, ".bd-article figure", "breakInside") == "avoid"


@in_one_place
def test_a_chapter_becomes_a_pdf(shared):
    page = shared(f"{CHAPTER}.html")
    typeset(page)
    pdf = page.pdf(format="A4", print_background=True)
    assert pdf.startswith(b"%PDF")
    assert 10 < pdf.count(b"/Type /Page\n") < 60
