"""What axe finds on an open page, in the time of a test."""

from importlib.resources import files

from tests.browser.book_pages import typeset

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

# A page has thousands of coloured words of code and parts of formulas. One of each kind says all
# that axe can find in them, in a sixth of the time.
_ONE_OF_A_KIND = """() => {
  const seen = new Set();
  const known = kind => seen.has(kind) || !seen.add(kind);
  for (const code of document.querySelectorAll(".highlight pre")) {
    const box = code.closest(".cell_output, .cell_input, .admonition")?.className;
    const short = code.cloneNode(true);
    for (const word of short.querySelectorAll("span"))
      if (known([word.className, word.parentElement.className, box].join("|")))
        word.replaceWith(...word.childNodes);
    short.normalize();
    code.replaceWith(short);
  }
  for (const formula of document.querySelectorAll("mjx-container"))
    if (known(["formula", formula.getAttribute("display"), formula.className].join("|")))
      formula.replaceChildren("x");
}"""

# Contrast takes most of axe's time. It depends on the ink, the size and weight of the letters, and
# all the grounds below them: where these are alike, three elements speak for the others (three, as
# axe gives up on one that something may cover; no single letters, which it gives up on as well).
_INKS = """() => {
  const grounds = new Map([[null, ""]]), inks = new Map();
  const ground = e => {
    if (!grounds.has(e)) {
      const s = getComputedStyle(e);
      const own = [s.backgroundColor, s.backgroundImage, s.opacity, s.filter, s.position].join(" ");
      const below = ground(e.parentElement);
      grounds.set(e, own === "rgba(0, 0, 0, 0) none 1 none static" ? below : `${below}/${own}`);
    }
    return grounds.get(e);
  };
  for (const e of document.body.querySelectorAll("*")) {
    const words = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()[1]);
    if (!(words || e.matches("input, select, textarea")) || !e.checkVisibility()) continue;
    const s = getComputedStyle(e);
    const ink = [s.color, s.fontSize, s.fontWeight, s.textShadow, ground(e)].join("|");
    if (!inks.has(ink)) inks.set(ink, []);
    if (inks.get(ink).length < 3) inks.get(ink).push(e);
  }
  return [...inks.values()].flat();
}"""

_RUN = f"""async tags => {{
  const found = [], how = {{resultTypes: ["violations"], iframes: false, preload: false}};
  const all = {{...how, runOnly: {{type: "tag", values: tags}}}};
  all.rules = {{"color-contrast": {{enabled: false}}}};
  found.push(...(await axe.run(document, all)).violations);
  const contrast = {{...how, runOnly: ["color-contrast"]}};
  found.push(...(await axe.run(({_INKS})(), contrast)).violations);
  return found;
}}"""


def violations(page) -> list[str]:
    """Return what axe finds on an open page: rule, place, and what is wrong.

    The page is not to be used afterwards: most of its code and formulas are gone.
    """
    typeset(page)
    page.evaluate(_ONE_OF_A_KIND)
    page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    return [
        f"{found['id']} at {node['target']}: {node['failureSummary']}\n{node['html'][:200]}"
        for found in page.evaluate(_RUN, TAGS)
        for node in found["nodes"]
    ]
