"""The Sphinx extension of the book: directives, a chapter's box and citation, empty parts.

Everything that is made from `data/` is HTML from `src.book.site.pages`. A page is read again when
that HTML differs from the last time, so that new results reach the pages although no page has
changed.
"""

import hashlib
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective
from sphinx.util.matching import patfilter

from src.book.notebook.repository import version
from src.book.site import front
from src.book.site.pages import DIRECTIVES
from src.book.site.pages.book import Book
from src.book.site.pages.citation import citation
from src.book.site.pages.glance import at_a_glance
from src.book.site.pages.markup import Link, Section

_CHAPTERS = "chapters/"
_SOURCES = (".ipynb", ".md")


def setup(app: Sphinx) -> dict:
    """Register the extension."""
    app.setup_extension("src.book.site.page_parts")
    app.setup_extension("src.book.site.page_times")
    for name in DIRECTIVES:
        app.add_directive(name, FromData)
    app.connect("doctree-read", add_at_a_glance)
    app.connect("doctree-read", leave_mathematics_alone)
    app.connect("env-get-outdated", pages_with_new_data)
    app.connect("env-purge-doc", forget)
    # After sphinx_external_toc (900) has read the table of contents.
    app.connect("config-inited", drop_empty_parts, priority=950)
    app.connect("config-inited", show_version)
    app.connect("build-finished", copy_mathjax)
    app.setup_extension("src.book.site.accessible")
    front.connect(app)
    app.add_node(nodes.image, override=True, html=(visit_image, None))
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}


def show_version(app: Sphinx, config: Config) -> None:
    """Tell Sphinx the book's version, and say it at the foot of every page."""
    config.version = config.release = version()
    footer = config.html_theme_options.get("extra_footer", "")
    config.html_theme_options["extra_footer"] = f"{footer}<p>Version {version()}</p>"


class FromData(SphinxDirective):
    """A directive whose content is made from `data/`: see `src.book.site.pages.DIRECTIVES`."""

    def run(self) -> list[nodes.Node]:
        """Return the sections that the directive stands for."""
        sections = DIRECTIVES[self.name](_link(self.env, self.env.docname))
        _remember(self.env, self.env.docname, self.name, sections)
        return [self._node(section) for section in sections]

    def _node(self, section: Section) -> nodes.Node:
        content = nodes.raw("", section.html, format="html")
        if section.title is None:
            return content
        node = nodes.section("", nodes.title(section.title, section.title), content)
        node["ids"].append(section.anchor)
        return node


def add_at_a_glance(app: Sphinx, doctree: nodes.document) -> None:
    """Put the at-a-glance box under a chapter's title, and at its end how to cite it.

    The notice of a failed run stays above the box.
    """
    docname = app.env.docname
    if not docname.startswith(_CHAPTERS):
        return
    pieces = _render(app.env, docname, _CHAPTERS)
    _remember(app.env, docname, _CHAPTERS, pieces)
    box, cite, *_ = pieces
    title = next(iter(doctree.findall(nodes.title)), None)
    if box.html and title is not None:
        page, place = title.parent, title.parent.index(title) + 1
        while place < len(page) and isinstance(page[place], nodes.admonition):
            place += 1
        page.insert(place, nodes.raw("", box.html, format="html"))
        page.append(nodes.raw("", cite.html, format="html"))


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


def pages_with_new_data(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Return the pages whose content from `data/` differs from what was last rendered."""
    stale = []
    for docname, pieces in _pieces(env).items():
        if docname in removed:
            continue
        if any(_digest(_render(env, docname, kind)) != old for kind, old in pieces.items()):
            stale.append(docname)
    return stale


def forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """Drop what is remembered of a page that is about to be read again."""
    _pieces(env).pop(docname, None)


def drop_empty_parts(app: Sphinx, config: Config) -> None:
    """Take the parts that have no chapter out of the table of contents.

    Sphinx would warn of a pattern that matches nothing, and show an empty heading.
    """
    source = Path(app.srcdir)
    pages = {
        str(file.relative_to(source).with_suffix("").as_posix())
        for file in (source / "chapters").glob("*/*")
        if file.suffix in _SOURCES
    }
    root = config.external_site_map.root
    root.subtrees = [
        tree
        for tree in root.subtrees
        if tree.files() or any(patfilter(pages, pattern) for pattern in tree.globs())
    ]


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Put MathJax and its fonts into the site, so that mathematics needs no network."""
    if error is not None or app.builder.format != "html":
        return
    package = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    # The renderer, its fonts, and the macro packages that it loads when a formula needs them.
    for part in ("tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions"):
        if not (target / part).exists():
            (target / part).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (package / part).is_dir() else shutil.copyfile
            copy(package / part, target / part)


def visit_image(translator: nodes.NodeVisitor, node: nodes.image) -> None:
    """Write an image with its size as attributes.

    Sphinx writes a style, which fixes the height also where the page is narrower than the image;
    from attributes the browser takes the shape, keeps room for it, and scales both sides. An image
    further down the page is loaded when the reader comes near it.
    """
    type(translator).visit_image(translator, node)
    size = re.compile(r'style="width: (\d+)(?:px)?; height: (\d+)(?:px)?;?"')
    translator.body[-1] = size.sub(r'width="\1" height="\2" loading="lazy"', translator.body[-1])


def _link(env: BuildEnvironment, docname: str) -> Link:
    return lambda target: env.app.builder.get_relative_uri(docname, target)


def _render(env: BuildEnvironment, docname: str, kind: str) -> list[Section]:
    link = _link(env, docname)
    if kind == _CHAPTERS:
        chapter = docname.removeprefix(_CHAPTERS)
        return [
            Section(at_a_glance(chapter, link)),
            Section(citation(chapter, _book(env.app.config))),
            # The names of the claims stand for the anchors that the page has for them.
            Section(repr(front.claims_of(chapter))),
        ]
    return DIRECTIVES[kind](link)


def _book(config: Config) -> Book:
    """Return what the configuration says of the book."""
    repository = config.html_theme_options.get("repository_url") or ""
    return Book(config.html_title, config.author, config.copyright, repository, version())


def _remember(env: BuildEnvironment, docname: str, kind: str, sections: list[Section]) -> None:
    _pieces(env).setdefault(docname, {})[kind] = _digest(sections)


def _pieces(env: BuildEnvironment) -> dict[str, dict[str, str]]:
    """Return, for each page, a digest of each piece that was made from `data/`."""
    if not hasattr(env, "pieces_from_data"):
        env.pieces_from_data = {}
    return env.pieces_from_data


def _digest(sections: list[Section]) -> str:
    return hashlib.sha256(repr(sections).encode()).hexdigest()
