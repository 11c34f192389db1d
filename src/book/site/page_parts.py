"""What Sphinx does to a page: links and anchors, downloads, mathematics, the report of an error."""

import subprocess
from urllib.parse import urlencode

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

from src.book.evidence import catalogue
from src.book.notebook.repository import version
from src.book.site.finish import source_of
from src.book.site.pages.cells import anchor_of_cell, cells_of
from src.book.site.pages.markup import CATALOGUE, SCOREBOARD, render
from src.book.storage import paths

CHAPTERS = "chapters/"
# The pages with a script of their own, which filters and sorts their tables.
SCRIPTS = {SCOREBOARD: "scoreboard.js", CATALOGUE: "catalogue.js"}


def claims_of(chapter: str) -> list[tuple[str, str]]:
    """Return (paper, claim) for each claim of a chapter."""
    papers = catalogue.chapters().get(chapter, [])
    return [(paper.id, claim) for paper in papers for claim in paper.claims]


def mark_measuring_cells(app: Sphinx, doctree: nodes.document) -> None:
    """Give the cell that measures a claim an id made of paper and claim.

    A claim that no cell measures or shows has its id on the page itself: no link leads nowhere.
    """
    docname = app.env.docname
    if not docname.startswith(CHAPTERS):
        return
    containers = list(doctree.findall(nodes.container))
    cells = [node for node in containers if node.get("nb_element") == "cell_code"]
    shown = [node for node in containers if node.get("nb_element") == "cell_code_source"]
    # A cell whose source the page does not show has none.
    sources = {node.parent: node.astext() for node in shown}
    claims = claims_of(docname.removeprefix(CHAPTERS))
    found = cells_of([sources.get(cell, "") for cell in cells], claims)
    page = next(iter(doctree.findall(nodes.section)), None)
    for key in claims:
        place = cells[found[key]] if key in found else page
        if place is not None:
            place["ids"].append(anchor_of_cell(*key))


def link_chapters(app: Sphinx, doctree: nodes.document) -> None:
    """Make a link of each `part/name` in code style that names another chapter of the book.

    Names of chapters that do not exist, and what is a link already, stay as they are.
    """
    here = app.env.docname
    links = doctree.findall(lambda node: isinstance(node, nodes.reference | pending_xref))
    linked = {literal for link in links for literal in link.findall(nodes.literal)}
    for literal in list(doctree.findall(nodes.literal)):
        page = CHAPTERS + literal.astext()
        if page in app.env.found_docs and page != here and literal not in linked:
            address = app.builder.get_relative_uri(here, page)
            link = nodes.reference("", "", internal=True, refuri=address)
            literal.replace_self(link)
            link.append(literal)


def leave_mathematics_alone(app: Sphinx, doctree: nodes.document) -> None:
    """Hand formulas to MathJax as the notebook has them, as Jupyter does.

    Sphinx puts a formula with line breaks (a matrix has some) into a "split" environment, which
    forbids the "tag" by which a formula is numbered on the page and in the notebook alike. Formulas
    with a label keep Sphinx's way, which numbers them.
    """
    for node in doctree.findall(nodes.math_block):
        if not node["nowrap"] and not node.get("label"):
            node["nowrap"] = True
            node[:] = [nodes.Text(rf"\[{node.astext()}\]")]


def add_to_page(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    """Give a page its script, its source as a download, and at its end its version and a report."""
    if page in SCRIPTS:
        app.add_js_file(SCRIPTS[page], loading_method="defer")
    if doctree is None:
        return
    if source_of(page).is_file():
        _offer_source(page, context)
    if repository := app.config.html_theme_options.get("repository_url"):
        version = build_version()
        report = report_address(repository, page, version)
        context["body"] += render("chapter.page_end", str, version, report)


def _offer_source(page: str, context: dict) -> None:
    """Put the chapter's `.py` into the theme's menu of downloads."""
    button = {
        "type": "link",
        "url": context["pathto"](f"_sources/{page}.py", 1),
        "text": ".py",
        "tooltip": "Download the chapter as a Python script",
        "icon": "fas fa-code",
        "label": "download-script-button",
    }
    for group in context["header_buttons"]:
        if group.get("label") == "download-buttons":
            group["buttons"].insert(1, button)


def build_version() -> str:
    """Return the book's version, with the commit where the book is built in a clone.

    A commit whose files were changed since ends in "-dirty".
    """
    if not (paths.root() / ".git").exists():
        return version()
    command = ["git", "-C", str(paths.root()), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    except (OSError, subprocess.CalledProcessError):  # no git, or no commit yet
        return version()
    return f"{version()}, commit {done.stdout.strip()}"


def report_address(repository: str, page: str, version: str) -> str:
    """Return the address of a new issue about one page, which names the page and its version.

    Args:
        repository: the address of the repository.
        page: the page's name, such as "chapters/gnn/framelets".
        version: as from `build_version`.
    """
    body = (
        f"Page: {page}\nVersion: {version}\n\n"
        "What is wrong, and where on the page?\n\n\nWhat should it say?\n"
    )
    query = urlencode({"title": f"Error on the page {page}", "body": body})
    return f"{repository.rstrip('/')}/issues/new?{query}"
