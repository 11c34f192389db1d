"""Every page opens without a fault: mathematics, headings, names, and the width of the screen."""

import pytest

from tests.browser.book_pages import CHAPTERS, PAGES, typeset

WIDTHS = (1280, 820, 390)

# What a reader would see of formulas that MathJax did not take: words outside of code.
RAW_TEX = r"""() => {
  const page = document.querySelector("article") || document.querySelector("main");
  const article = page.cloneNode(true);
  for (const e of article.querySelectorAll("pre, code, script, mjx-container")) e.remove();
  return article.textContent.match(/\\[()[\]]|\$\$|\\(begin|frac|mathbb|text)\b.{0,30}/g) || [];
}"""

HEADINGS = """() => [...document.querySelectorAll("main :is(h1, h2, h3, h4, h5, h6)")]
  .filter(h => h.checkVisibility()).map(h => [Number(h.tagName[1]), h.textContent.trim()])"""

UNNAMED = """() => {
  const faults = [], say = (what, e) => faults.push(`${what}: ${e.outerHTML.slice(0, 200)}`);
  for (const i of document.images) if (!i.hasAttribute("alt")) say("no alt", i);
  for (const i of document.querySelectorAll("article .cell_output img"))
    if (!i.alt.trim()) say("no alt", i);
  for (const t of document.querySelectorAll("table"))
    if (![...t.querySelectorAll("th")].some(h => h.textContent.trim())) say("no header", t);
  for (const f of document.querySelectorAll("article figure"))
    if (!f.querySelector("figcaption")?.textContent.trim()) say("no caption", f);
  for (const i of document.querySelectorAll("article .cell_output img"))
    if (!i.closest("figure")) say("no figure around", i);
  return faults;
}"""

# Content that reaches beyond the screen, or beyond a box that cuts it off instead of scrolling.
TOO_WIDE = """() => {
  const faults = [], wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) faults.push(`the page is ${wide} wide on a screen of ${innerWidth}`);
  const boxes = "article :is(pre, table, figure, mjx-container[display])";
  for (const e of document.querySelectorAll(boxes)) {
    if (!e.checkVisibility() || e.closest("mjx-assistive-mml")) continue;
    const right = e.getBoundingClientRect().right;
    let box = e.parentElement, how = "visible";
    while (box && (how = getComputedStyle(box).overflowX) === "visible") box = box.parentElement;
    const scrolls = box && ["auto", "scroll"].includes(how) && box !== document.body;
    const limit = box && how !== "visible" ? box.getBoundingClientRect().right : innerWidth;
    if (!scrolls && right > limit + 1) faults.push(`cut off: ${e.outerHTML.slice(0, 150)}`);
  }
  return faults;
}"""


@pytest.mark.parametrize("path", PAGES)
def test_a_page_opens_with_its_mathematics_in_order_and_as_wide_as_the_screen(visit, path):
    page = visit(path)
    assert page.title().strip()
    typeset(page)
    assert page.evaluate(RAW_TEX) == []
    assert page.locator("mjx-merror").count() == 0
    if path in CHAPTERS:
        assert page.locator("article mjx-container").count() > 10
    assert page.evaluate(UNNAMED) == []
    levels = [level for level, words in page.evaluate(HEADINGS)]
    assert levels.count(1) == 1 and levels[0] == 1, levels
    jumps = [k for k in range(1, len(levels)) if levels[k] > levels[k - 1] + 1]
    assert not jumps, [page.evaluate(HEADINGS)[k] for k in jumps]
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(TOO_WIDE) == [], f"at a width of {width}"


@pytest.mark.parametrize("path", ["index.html", "pages/scoreboard.html", CHAPTERS[0]])
def test_a_page_reads_well_without_scripts(visit, path):
    page = visit(path, javascript=False)
    assert page.locator("article h1").is_visible()
    assert len(page.locator("article").inner_text()) > 500
