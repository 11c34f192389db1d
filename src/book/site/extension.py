"""The Sphinx extension of the book: its settings, its directives, what the search finds.

Everything that is made from `data/` is HTML from `src.book.site.pages`. A page is read again when
that HTML differs from the last time, so that new results reach the pages although no page has
changed. What else a page gets is in `page_parts`, what the whole site gets in `finish`.
"""

import hashlib
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective
from sphinx.util.matching import patfilter

from src.book.evidence import catalogue
from src.book.notebook.repository import version
from src.book.site import page_parts, times
from src.book.site.finish import finish
from src.book.site.page_parts import CHAPTERS
from src.book.site.pages import DIRECTIVES
from src.book.site.pages.chapter import Book, at_a_glance, citation
from src.book.site.pages.markup import CATALOGUE, SCOREBOARD, Section, anchor

_THEME = Path(__file__).parent / "theme"
_MEMORY = "pieces from data"  # what a page's metadata call the digests of these pieces


def setup(app: Sphinx) -> dict:
    """Register the extension."""
    for name in DIRECTIVES:
        app.add_directive(name, FromData)
    # After sphinx_external_toc (900) has read the table of contents.
    app.connect("config-inited", configure, priority=950)
    app.connect("env-get-outdated", pages_with_new_data)
    app.connect("doctree-read", add_at_a_glance)
    app.connect("doctree-read", page_parts.leave_mathematics_alone)
    app.connect("doctree-read", page_parts.link_chapters)
    app.connect("doctree-read", page_parts.mark_measuring_cells)
    # After the theme (500) has made its buttons.
    app.connect("html-page-context", page_parts.add_to_page, priority=900)
    app.connect("html-collect-pages", add_entries)
    times.measure(app)
    # After everything else has been copied into the site.
    app.connect("build-finished", finish, priority=990)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}


def configure(app: Sphinx, config: Config) -> None:
    """Say the book's version, use its templates, and leave out parts that have no chapter.

    Sphinx would warn of a pattern that matches nothing, and show an empty heading.
    """
    config.version = config.release = version()
    footer = config.html_theme_options.get("extra_footer", "")
    config.html_theme_options["extra_footer"] = f"{footer}<p>Version {version()}</p>"
    config.templates_path.insert(0, str(_THEME))
    # Jupyter Book would load whatever lies in `_static` on every page.
    ours = page_parts.SCRIPTS.values()
    config.html_js_files = [(name, how) for name, how in config.html_js_files if name not in ours]
    source = Path(app.srcdir)
    pages = {
        file.relative_to(source).with_suffix("").as_posix()
        for file in (source / "chapters").glob("*/*")
        if file.suffix in (".ipynb", ".md")
    }
    root = config.external_site_map.root
    root.subtrees = [
        tree
        for tree in root.subtrees
        if tree.files() or any(patfilter(pages, pattern) for pattern in tree.globs())
    ]


class FromData(SphinxDirective):
    """A directive whose content is made from `data/`: see `src.book.site.pages.DIRECTIVES`."""

    def run(self) -> list[nodes.Node]:
        """Return the sections that the directive stands for."""
        found: list[nodes.Node] = []
        for section in _made(self.env, self.env.docname, self.name):
            node = nodes.raw("", section.html, format="html")
            if section.title is not None:
                title = nodes.title(section.title, section.title)
                node = nodes.section("", title, node, ids=[section.anchor])
            found.append(node)
        return found


def add_at_a_glance(app: Sphinx, doctree: nodes.document) -> None:
    """Put the at-a-glance box under a chapter's title, and at its end how to cite it.

    The notice of a failed run stays above the box.
    """
    if not app.env.docname.startswith(CHAPTERS):
        return
    box, cite, *_ = _made(app.env, app.env.docname, CHAPTERS)
    title = next(iter(doctree.findall(nodes.title)), None)
    if box.html and title is not None:
        page, place = title.parent, title.parent.index(title) + 1
        while place < len(page) and isinstance(page[place], nodes.admonition):
            place += 1
        page.insert(place, nodes.raw("", box.html, format="html"))
        page.append(nodes.raw("", cite.html, format="html"))


def pages_with_new_data(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Return the pages whose content from `data/` differs from what was last rendered."""
    pieces = {page: env.metadata[page].get(_MEMORY, {}) for page in env.metadata.keys() - removed}
    return [
        page
        for page, known in pieces.items()
        if any(_digest(_render(env, page, kind)) != digest for kind, digest in known.items())
    ]


def names(paper: catalogue.Paper) -> list[str]:
    """Return what a running paper is looked up by: its title, the name before a colon, its id."""
    title = paper.title
    found = [title, title.partition(":")[0], paper.id, paper.id.replace("-", " ")]
    return list(dict.fromkeys(found))


def add_entries(app: Sphinx) -> list:
    """Add papers and claims to the search index, before Sphinx writes it; make no page.

    Sphinx indexes headings and running text. A paper's title stands in the at-a-glance box, a claim
    in a table; as entries of the index a title leads to its chapter first, a claim to its row on
    the scoreboard, and a planned paper to the catalogue. The index is read back when only some
    pages are rendered: what is there is not added again.
    """
    index = getattr(app.builder, "indexer", None)
    if index is None:
        return []
    titles = [(CATALOGUE, paper.title, None) for paper in catalogue.planned()]
    for paper in catalogue.papers().values():
        chapter = f"chapters/{paper.chapter}"
        if chapter in index._titles:
            # "main" entries are ranked with the headings, and above them.
            known = set(index._index_entries.get(chapter, ()))
            known |= {(name, "", "main") for name in names(paper)}
            index._index_entries[chapter] = sorted(known)
        for name, claim in paper.claims.items():
            titles.append((SCOREBOARD, claim.says, anchor(paper.id, name)))
    for page, words, place in titles:
        # The search shows an entry as HTML.
        entry = (escape(words, quote=False), place)
        if page in index._titles and entry not in index._all_titles[page]:
            index._all_titles[page].append(entry)
    return []


def _made(env: BuildEnvironment, page: str, kind: str) -> list[Section]:
    """Render a piece of a page that is being read, and remember what it was."""
    sections = _render(env, page, kind)
    env.metadata[page].setdefault(_MEMORY, {})[kind] = _digest(sections)
    return sections


def _render(env: BuildEnvironment, page: str, kind: str) -> list[Section]:
    """Return what a directive stands for, or what is made for a chapter."""

    def link(target: str) -> str:
        return env.app.builder.get_relative_uri(page, target)

    if kind != CHAPTERS:
        return DIRECTIVES[kind](link)
    chapter, config = page.removeprefix(CHAPTERS), env.config
    repository = config.html_theme_options.get("repository_url") or ""
    book = Book(config.html_title, config.author, config.copyright, repository, version())
    return [
        Section(at_a_glance(chapter, link)),
        Section(citation(chapter, book)),
        # The names of the claims stand for the anchors that the page has for them.
        Section(repr(page_parts.claims_of(chapter))),
    ]


def _digest(sections: list[Section]) -> str:
    return hashlib.sha256(repr(sections).encode()).hexdigest()
