"""Checks of an open page. Each returns what it finds wrong, in words: an empty list is a pass.

`test_planted_faults` shows each of them a page with the fault that it is for.
"""

from urllib.parse import urlsplit

import yaml

from src.book.storage import paths

# What a reader would see of formulas that MathJax did not take: words outside of code.
_RAW_TEX = r"""() => {
  const page = document.querySelector("article") || document.querySelector("main");
  const article = page.cloneNode(true);
  for (const e of article.querySelectorAll("pre, code, script, mjx-container")) e.remove();
  return article.textContent.match(/\\[()[\]]|\$\$|\\(begin|frac|mathbb|text)\b.{0,30}/g) || [];
}"""

_HEADINGS = """() => [...document.querySelectorAll("main :is(h1, h2, h3, h4, h5, h6)")]
  .filter(h => h.checkVisibility()).map(h => [Number(h.tagName[1]), h.textContent.trim()])"""

_UNNAMED = """() => {
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

# Content that reaches beyond the screen, or beyond a box that cuts it off. A box that scrolls shows
# all that lies to the right of its beginning; it must then have its own place on the screen.
_CUT_OFF = """() => {
  const faults = [], wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) faults.push(`the page is ${wide} wide on a screen of ${innerWidth}`);
  const screen = {left: 0, right: document.documentElement.clientWidth};
  const cut = element => {
    let seen = element.getBoundingClientRect();
    for (let box = element.parentElement; box && box !== document.body; box = box.parentElement) {
      const how = getComputedStyle(box).overflowX;
      if (how === "visible") continue;
      const edges = box.getBoundingClientRect(), scrolls = ["auto", "scroll"].includes(how);
      if (seen.left + box.scrollLeft < edges.left - 1) return true;
      if (!scrolls && seen.right > edges.right + 1) return true;
      if (scrolls) seen = edges;
    }
    return seen.left < screen.left - 1 || seen.right > screen.right + 1;
  };
  const boxes = "article :is(pre, table, figure, img, svg, mjx-math)";
  const own = "article :is(p, h1, h2, h3, h4, h5, li, dt, dd, td, th, div, section, form, summary)";
  for (const e of document.querySelectorAll(`${boxes}, ${own}`)) {
    if (!e.checkVisibility() || e.closest("mjx-assistive-mml")) continue;
    if (!e.getClientRects().length || e.matches(".visually-hidden, .visually-hidden *")) continue;
    if (cut(e)) faults.push(`cut off: ${e.outerHTML.slice(0, 150)}`);
  }
  return faults;
}"""


def mathematics(page) -> list[str]:
    """Formulas that were not typeset, or not without an error."""
    faults = [f"not typeset: {found}" for found in page.evaluate(_RAW_TEX)]
    errors = page.locator("mjx-merror, [data-mjx-error]").all()
    return faults + [f"error in a formula: {e.get_attribute('data-mjx-error')}" for e in errors]


def headings(page) -> list[str]:
    """Headings out of order: not one of the first level at the top, or a level left out."""
    found = page.evaluate(_HEADINGS)
    levels = [level for level, words in found]
    faults = [] if levels.count(1) == 1 == levels[0] else [f"levels of headings: {levels}"]
    jumps = (k for k in range(1, len(levels)) if levels[k] > levels[k - 1] + 1)
    return faults + [f"level left out before {found[k][1]!r}" for k in jumps]


def names(page) -> list[str]:
    """Images without an alternative text, tables without headers, figures without captions."""
    return page.evaluate(_UNNAMED)


def width(page) -> list[str]:
    """What does not fit the screen: cut off, or wider than the page without a box that scrolls."""
    return page.evaluate(_CUT_OFF)


def copying(page) -> list[str]:
    """Cells of code without a button that copies them."""
    cells, buttons = page.locator(".cell_input .highlight pre"), ".cell_input button.copybtn"
    if cells.count() == page.locator(buttons).count() > 0:
        return []
    return [f"{cells.count()} cells of code, {page.locator(buttons).count()} buttons to copy them"]


def folding(page) -> list[str]:
    """Code that only sets up and is not folded, or a fold that the keyboard does not open."""
    fold = page.locator("details.hide:has(.cell_input pre)").first
    if not fold.count():
        return ["no code is folded"]
    code, summary = fold.locator("pre").first, fold.locator("summary")
    faults = ["a fold is open from the start"] if code.is_visible() else []
    faults += [] if "Show" in summary.inner_text() else ["a fold does not say that it shows code"]
    for shown in (True, False):
        summary.press("Enter")
        if code.is_visible() != shown:
            faults.append(f"a fold does not {'open' if shown else 'close'} by the keyboard")
    return faults


def launching(page, path: str, site) -> list[str]:
    """Links of a chapter to Colab, Binder, repository and notebook that lead elsewhere."""
    config = yaml.safe_load((paths.root() / "_config.yml").read_text(encoding="utf-8"))
    repository, launch = config["repository"], config["launch_buttons"]
    name, branch = urlsplit(repository["url"]).path.strip("/"), repository["branch"]
    notebook = path.replace(".html", ".ipynb")
    links = page.eval_on_selector_all("a[href]", "links => links.map(a => a.href)")
    faults = []

    if f"{launch['colab_url']}/github/{name}/blob/{branch}/{notebook}" not in links:
        faults.append(f"no link to {notebook} in Colab")
    binder = [link for link in links if link.startswith(launch["binderhub_url"])]
    start = f"{launch['binderhub_url']}/v2/gh/{name}/{branch}?"
    if not binder or not all(a.startswith(start) and a.endswith(notebook) for a in binder):
        faults.append(f"no link to {notebook} on Binder: {binder}")
    if not any(link.startswith(repository["url"]) for link in links):
        faults.append("no link to the repository")

    home = page.url.removesuffix(path)
    downloads = [a for a in links if a.startswith(home) and a.endswith(".ipynb")]
    lost = [a for a in downloads if not (site / a.removeprefix(home)).is_file()]
    if not downloads or lost:
        faults.append(f"no notebook to download: {lost}")
    return faults


def hits(page, words: str) -> list[str]:
    """Return what the search page finds for some words: addresses in the site, best first."""
    # As a query does, without the pauses between two lines of its list.
    return page.evaluate(
        """words => Search._performSearch(...Search._parseQuery(words)).reverse()
             .map(([page, , place]) => page + DOCUMENTATION_OPTIONS.LINK_SUFFIX + place)""",
        words,
    )


def searching(page, wanted: dict[str, str]) -> list[str]:
    """Words whose first hit is not the page wanted for them (`{words: address}`)."""
    first = {words: next(iter(hits(page, words)), "nothing") for words in wanted}
    return [
        f"{words!r} finds {found}, not {wanted[words]}"
        for words, found in first.items()
        if found.partition("#")[0] != wanted[words]
    ]
