"""axe finds nothing on any page: in the light theme on a screen, in the dark on a phone."""

from importlib.resources import files

import pytest

from tests.browser.book_pages import PAGES, typeset

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

# A page has thousands of coloured words of code and parts of formulas. One of each kind says all
# that axe can find in them, in a sixth of the time.
ONE_OF_A_KIND = """() => {
  const seen = new Set();
  const known = kind => seen.has(kind) || !seen.add(kind);
  for (const word of document.querySelectorAll(".highlight span")) {
    const box = word.closest(".cell_output, .cell_input, .admonition");
    if (known([word.className, word.parentElement.className, box?.className].join("|")))
      word.replaceWith(...word.childNodes);
  }
  for (const code of document.querySelectorAll(".highlight pre")) code.normalize();
  for (const formula of document.querySelectorAll("mjx-container"))
    if (known(`formula ${formula.getAttribute("display")}`)) formula.replaceChildren("x");
}"""

RUN = """tags => axe.run(document, {
  runOnly: {type: "tag", values: tags}, resultTypes: ["violations"], iframes: false, preload: false,
})"""


def violations(page) -> list[str]:
    """Return what axe finds on an open page: rule, place, and what is wrong."""
    typeset(page)
    page.evaluate(ONE_OF_A_KIND)
    page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    return [
        f"{found['id']} at {node['target']}: {node['failureSummary']}\n{node['html'][:200]}"
        for found in page.evaluate(RUN, TAGS)["violations"]
        for node in found["nodes"]
    ]


@pytest.mark.parametrize("base", ["file"], indirect=True)
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing(visit, path, scheme, width):
    page = visit(path, width=width, scheme=scheme)
    assert page.locator("html").get_attribute("data-theme") == scheme
    found = violations(page)
    assert not found, "\n\n".join(found)


@pytest.mark.parametrize("base", ["file"], indirect=True)
def test_axe_sees_a_page_that_is_broken(visit):
    page = visit("index.html")
    page.evaluate("document.querySelector('article').innerHTML += '<img src=\"data:,\">'")
    assert any(found.startswith("image-alt") for found in violations(page))
