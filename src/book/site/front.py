"""What Sphinx does for the scoreboard and the front page, beside the directives.

The cell that measures a claim gets an anchor, and the site the scoreboard as CSV and JSON, the
thumbnails of the chapters and itself as a zip; scoreboard and catalogue each get the script that
filters them.
"""

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

from src.book.evidence import catalogue
from src.book.site import archive
from src.book.site.pages import downloads
from src.book.site.pages.cells import anchor_of_cell, cells_of
from src.book.site.pages.gallery import write_thumbnails
from src.book.site.pages.markup import CATALOGUE, SCOREBOARD

_CHAPTERS = "chapters/"
# The pages with a script of their own, which filters and sorts their tables.
_SCRIPTS = {SCOREBOARD: "scoreboard.js", CATALOGUE: "catalogue.js"}


def connect(app: Sphinx) -> None:
    """Hook into the build of a book."""
    app.connect("doctree-read", mark_measuring_cells)
    app.connect("html-page-context", add_script)
    app.connect("build-finished", write_files)
    # Of the whole site, so after everything that is written into it or taken out of it.
    app.connect("build-finished", pack, priority=990)


def claims_of(chapter: str) -> list[tuple[str, str]]:
    """Return (paper, claim) for each claim of a chapter."""
    papers = catalogue.chapters().get(chapter, [])
    return [(paper.id, claim) for paper in papers for claim in paper.claims]


def mark_measuring_cells(app: Sphinx, doctree: nodes.document) -> None:
    """Give the cell that measures a claim an id made of paper and claim.

    A claim that no cell measures or shows has its id on the page itself: no link leads nowhere.
    """
    docname = app.env.docname
    if not docname.startswith(_CHAPTERS):
        return
    cells = [n for n in doctree.findall(nodes.container) if n.get("nb_element") == "cell_code"]
    claims = claims_of(docname.removeprefix(_CHAPTERS))
    found = cells_of([_source(cell) for cell in cells], claims)
    page = next(iter(doctree.findall(nodes.section)), None)
    for key in claims:
        place = cells[found[key]] if key in found else page
        if place is not None:
            place["ids"].append(anchor_of_cell(*key))


def add_script(app: Sphinx, pagename: str, template: str, context: dict, *_: object) -> None:
    """Load a script that one page needs on that page alone.

    Jupyter Book would load whatever lies in `_static` on every page.
    """
    scripts, ours = context.get("script_files", []), _SCRIPTS.values()
    scripts[:] = [s for s in scripts if Path(str(getattr(s, "filename", s))).name not in ours]
    if pagename in _SCRIPTS:
        app.add_js_file(_SCRIPTS[pagename], loading_method="defer")


def write_files(app: Sphinx, error: Exception | None) -> None:
    """Write the downloads and the thumbnails into the rendered site."""
    if error is not None or app.builder.format != "html":
        return
    site = Path(app.outdir)
    rows = downloads.rows()
    (site / "pages").mkdir(exist_ok=True)
    (site / downloads.CSV).write_text(downloads.as_csv(rows), encoding="utf-8")
    (site / downloads.JSON).write_text(downloads.as_json(rows), encoding="utf-8")
    write_thumbnails(site)


def pack(app: Sphinx, error: Exception | None) -> None:
    """Put the whole book beside the front page as one file to download."""
    if error is None and app.builder.format == "html":
        archive.write_zip(Path(app.outdir))


def _source(cell: nodes.container) -> str:
    """Return the code of a cell; "" if the page does not show it."""
    for part in cell:
        if isinstance(part, nodes.container) and part.get("nb_element") == "cell_code_source":
            return part.astext()
    return ""
