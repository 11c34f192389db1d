"""The catalogue in a browser: filters by words and by state, and the page without its script."""

PAGE = "pages/catalogue.html"
ROWS = "table.papers tbody tr:visible"


def test_words_and_state_filter_the_papers(shared):
    page = shared(PAGE)
    total = page.locator(ROWS).count()
    said = page.locator(".catalogue-filter output")
    assert said.inner_text() == f"{total} of {total} papers shown"
    page.get_by_label("Search papers").press_sequentially("sharpness-AWARE efficiently")
    assert page.locator(ROWS).count() == 1
    assert said.inner_text() == f"1 of {total} papers shown"
    assert page.locator("section:has(> .table-box):visible").count() == 1
    page.get_by_label("Search papers").press_sequentially(" nothing has this")
    assert said.inner_text() == f"0 of {total} papers shown"
    page.get_by_label("Search papers").fill("")


def test_the_state_filter_keeps_what_runs(shared):
    page = shared(PAGE)
    page.get_by_label("State").select_option("runs")
    rows = page.locator(ROWS)
    assert 0 < rows.count() < 369
    assert page.locator("table.papers tbody tr:visible .planned").count() == 0
    page.get_by_label("State").focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.type("deepwalk: online")
    assert rows.count() == 1


def test_without_javascript_every_paper_is_there(visit):
    page = visit(PAGE, javascript=False)
    assert page.locator(ROWS).count() == 369
    assert page.locator(".catalogue-filter").count() == 0
