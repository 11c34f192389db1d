"""What the search finds: papers by their titles and names, claims by their words.

Sphinx indexes headings and running text. A paper's title stands in the at-a-glance box, a claim in
a table; here they become entries of the index as well, so that a title leads to its chapter first,
a claim to its row on the scoreboard, and a planned paper to the catalogue.
"""

from html import escape
from typing import TYPE_CHECKING

from src.book.evidence import catalogue
from src.book.site.pages.markup import CATALOGUE, SCOREBOARD, anchor

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def names(paper: catalogue.Paper) -> list[str]:
    """Return what a running paper is looked up by: its title, the name before a colon, its id."""
    title = paper.title
    return list(
        dict.fromkeys([title, title.partition(":")[0], paper.id, paper.id.replace("-", " ")])
    )


def add_entries(app: "Sphinx") -> list:
    """Add papers and claims to the search index, before Sphinx writes it; make no page.

    The index is read back when only some pages are rendered: what is there is not added again.
    """
    index = getattr(app.builder, "indexer", None)
    if index is None:
        return []
    for paper in catalogue.papers().values():
        chapter = f"chapters/{paper.chapter}"
        if chapter in index._titles:
            # "main" entries are ranked with the headings, and above them.
            known = set(index._index_entries.get(chapter, ()))
            known |= {(name, "", "main") for name in names(paper)}
            index._index_entries[chapter] = sorted(known)
        if SCOREBOARD in index._titles:
            for name, claim in paper.claims.items():
                _add_title(index, SCOREBOARD, claim.says, anchor(paper.id, name))
    if CATALOGUE in index._titles:
        for paper in catalogue.planned():
            _add_title(index, CATALOGUE, paper.title, None)
    return []


def _add_title(index: object, page: str, words: str, place: str | None) -> None:
    # The search shows an entry as HTML.
    entry = (escape(words, quote=False), place)
    if entry not in index._all_titles[page]:
        index._all_titles[page].append(entry)
