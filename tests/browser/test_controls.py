"""What a reader works with: theme switch, sidebars, copy buttons, folded code."""

import pytest

from tests.browser import checks
from tests.browser.book_pages import CHAPTERS

PHONE = 390
CHAPTER = CHAPTERS[0]
PAGE = "pages/how_we_judge.html"  # the same controls as a chapter, and opens in a fifth of the time
in_one_place = pytest.mark.parametrize("base", ["file"], indirect=True)
THEME = "document.documentElement.dataset.theme"


def test_the_theme_switch_changes_the_page_and_is_kept(visit):
    page = visit(PAGE, scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(THEME) == "light"
    light = page.evaluate(ground)
    button = page.locator(".theme-switch-button:visible").first
    for _ in range(3):
        button.click()
        if page.evaluate(THEME) == "dark":
            break
    page.wait_for_function(f"{THEME} === 'dark'")
    assert page.evaluate(ground) != light
    page.wait_for_timeout(500)  # Chromium hands on what a page stores a moment later
    page.reload()
    assert page.evaluate(THEME) == "dark"
    page.locator("a.navbar-brand").first.click()
    page.wait_for_url("**/index.html")
    assert page.evaluate(THEME) == "dark"


@in_one_place
@pytest.mark.parametrize("side", ["primary", "secondary"])
def test_a_sidebar_opens_and_closes_on_a_phone(visit, side):
    page = visit(PAGE, width=PHONE)
    button = page.locator(f"button.{side}-toggle:visible")
    dialog = page.locator(f"#pst-{side}-sidebar-modal")
    entry = page.locator(f"#pst-{side}-sidebar-modal nav a").first
    assert not dialog.is_visible()

    button.click()
    entry.wait_for(state="visible")
    dialog.get_by_role("button", name="Close").click()
    dialog.wait_for(state="hidden")

    page.evaluate("document.activeElement.blur()")
    button.focus()
    page.keyboard.press("Enter")
    entry.wait_for(state="visible")
    page.keyboard.press("Tab")
    assert page.evaluate(f"document.activeElement.closest('#pst-{side}-sidebar-modal') !== null")
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert button.evaluate("button => button === document.activeElement")
    page.keyboard.press("Enter")  # and so it opens again
    entry.wait_for(state="visible")


@in_one_place
def test_the_search_gives_the_focus_back_to_its_button(shared):
    page = shared(PAGE, width=PHONE)
    button, dialog = page.locator(".search-button:visible"), page.locator("#pst-search-dialog")
    button.focus()
    page.keyboard.press("Enter")
    dialog.wait_for(state="visible")
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert button.evaluate("button => button === document.activeElement")


@in_one_place
def test_a_link_in_the_sidebar_of_a_phone_leads_to_its_page(visit):
    page = visit(PAGE, width=PHONE)
    page.locator("button.primary-toggle:visible").click()
    page.locator("#pst-primary-sidebar-modal a", has_text="Scoreboard").click()
    page.wait_for_url("**/pages/scoreboard.html")


@in_one_place
def test_the_skip_link_leads_into_the_page(visit):
    page = visit(PAGE)
    page.keyboard.press("Tab")
    skip = page.locator(":focus")
    assert skip.inner_text().strip() == "Skip to main content"
    page.wait_for_function(  # seen, once it has the focus and has slid in
        """() => { const {x, y, height} = document.activeElement.getBoundingClientRect();
                   return x >= 0 && y >= 0 && height > 10; }""",
        timeout=15_000,
    )
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_every_cell_of_code_can_be_copied(shared):
    page = shared(CHAPTER)
    page.locator("button.copybtn").first.wait_for(state="attached")
    assert checks.copying(page) == []
    # The clipboard may be read by pasting, from wherever the page was opened.
    cell = page.locator(".cell_input:visible", has=page.locator("button.copybtn")).first
    cell.hover()
    cell.locator("button.copybtn").click()
    page.evaluate(
        "document.body.insertAdjacentHTML('afterbegin', '<textarea id=paste></textarea>')"
    )
    page.locator("#paste").focus()
    page.keyboard.press("Control+V")
    pasted = page.locator("#paste").input_value()
    assert pasted.strip() == cell.locator("pre").inner_text().strip() != ""


@in_one_place
def test_folded_code_opens_with_mouse_and_keyboard(shared):
    page = shared(CHAPTER)
    assert checks.folding(page) == []
    fold = page.locator("details:has(pre)").first
    code, summary = fold.locator("pre").first, fold.locator("summary")
    assert not code.is_visible()
    summary.click()
    code.wait_for(state="visible")
    summary.click()
    code.wait_for(state="hidden")
