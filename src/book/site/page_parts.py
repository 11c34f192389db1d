"""What pages get beside the catalogue: links between chapters, downloads, reports of errors.

`link_chapters` makes a link of every chapter's name that a page writes as code. When a page is
written, it gets the `.py` of its chapter as a download, and at its end a link to report an error.
"""

import re
import shutil
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

from src.book.site.pages.book import build_version, report_address
from src.book.site.pages.markup import render
from src.book.storage import paths

_CHAPTERS = "chapters/"
_NAME = re.compile(r"[a-z0-9_]+/[a-z0-9_]+")


def setup(app: Sphinx) -> dict:
    """Register what is done to pages."""
    app.connect("doctree-read", link_chapters)
    # After the theme (500) has made its buttons.
    app.connect("html-page-context", offer_source, priority=900)
    app.connect("html-page-context", offer_report, priority=900)
    app.connect("build-finished", copy_sources)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}


def link_chapters(app: Sphinx, doctree: nodes.document) -> None:
    """Make a link of each `part/name` in code style that names another chapter of the book.

    Names of chapters that do not exist, and what is a link already, stay as they are.
    """
    here = app.env.docname
    for literal in list(doctree.findall(nodes.literal)):
        page = _CHAPTERS + literal.astext()
        if not _NAME.fullmatch(literal.astext()) or page == here or page not in app.env.found_docs:
            continue
        if _is_link(literal):
            continue
        address = app.builder.get_relative_uri(here, page)
        link = nodes.reference("", "", internal=True, refuri=address)
        literal.replace_self(link)
        link.append(literal)


def offer_source(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    """Put the chapter's `.py` into the theme's menu of downloads."""
    if doctree is None or not _source_of(page).is_file():
        return
    for group in context.get("header_buttons", []):
        if group.get("label") == "download-buttons":
            button = {
                "type": "link",
                "url": context["pathto"](f"_sources/{page}.py", 1),
                "text": ".py",
                "tooltip": "Download the chapter as a Python script",
                "icon": "fas fa-code",
                "label": "download-script-button",
            }
            group["buttons"].insert(1, button)


def offer_report(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    """Put at the page's end what version it is of, and a link that reports an error in it."""
    repository = app.config.html_theme_options.get("repository_url")
    if doctree is None or not repository:
        return
    version = build_version()
    report = report_address(repository, page, version)
    context["body"] += render("chapter.page_end", str, version, report)


def copy_sources(app: Sphinx, error: Exception | None) -> None:
    """Put every chapter's `.py` beside the sources that the theme offers."""
    if error is not None or app.builder.format != "html":
        return
    for page in app.env.found_docs:
        if (source := _source_of(page)).is_file():
            target = Path(app.outdir) / "_sources" / f"{page}.py"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def _source_of(page: str) -> Path:
    """Return where the source of a chapter's page would lie."""
    if not page.startswith(_CHAPTERS):
        return paths.chapters_dir() / "none"
    return paths.chapters_dir() / f"{page.removeprefix(_CHAPTERS)}.py"


def _is_link(node: nodes.Node | None) -> bool:
    """Return whether a node lies in a link, resolved or not."""
    while node is not None:
        if isinstance(node, nodes.reference | pending_xref):
            return True
        node = node.parent
    return False
