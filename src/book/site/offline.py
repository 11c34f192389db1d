"""The Sphinx extension that makes the site light and keeps it to itself.

The theme and its extensions bring files that the book has no use for, and scripts that would load
others from elsewhere; none of them is left in the site. See also `src/book/site/theme/layout.html`.
"""

import shutil
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

from src.book.site.icons import keep_used_icons
from src.book.site.searchable import add_entries

_THEME = Path(__file__).parent / "theme"
# Below `_static`: source maps, the icons' fonts and script (see src.book.site.icons), translations,
# the runner of cells from another server, and the packages of MathJax that are a bundle of the
# others.
_UNUSED = (
    "**/*.map",
    "vendor",
    "scripts/fontawesome.js*",
    "locales",
    "sphinx-thebe.*",
    "*webpack-macros.html",
    "mathjax/input/tex/extensions/all-packages.js",
)


def setup(app: Sphinx) -> dict:
    """Register the extension."""
    app.connect("config-inited", use_own_templates)
    # After sphinx_thebe has put its settings there.
    app.connect("doctree-resolved", drop_thebe_settings, priority=900)
    app.connect("html-page-context", drop_scripts, priority=900)
    app.connect("html-collect-pages", add_entries)
    # After everything has been copied into the site.
    app.connect("build-finished", drop_files, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def use_own_templates(app: Sphinx, config: Config) -> None:
    """Let the book's templates go before the theme's."""
    config.templates_path.insert(0, str(_THEME))


def drop_thebe_settings(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Take the settings of thebe, which the site does not have, out of a page."""
    for node in list(doctree.findall(nodes.raw)):
        if "text/x-thebe-config" in node.astext():
            node.parent.remove(node)


def drop_scripts(app: Sphinx, page: str, template: str, context: dict, *_: object) -> None:
    """Take thebe, which loads from another server, out of a page, and what stands there twice."""
    for kind in ("script_files", "css_files"):
        files = {_told(file): file for file in context[kind]}
        context[kind] = [file for told, file in files.items() if "thebe" not in told]


def drop_files(app: Sphinx, error: Exception | None) -> None:
    """Leave of icons and static files what the pages use."""
    if error is not None or app.builder.name != "html":
        return
    keep_used_icons(Path(app.outdir))
    for pattern in _UNUSED:
        for found in sorted((Path(app.outdir) / "_static").glob(pattern)):
            shutil.rmtree(found) if found.is_dir() else found.unlink()


def _told(file: object) -> str:
    """Return what identifies a script or style sheet: its address or, without one, its text."""
    return f"{file.filename or ''} {file.attributes.get('body', '')}"
