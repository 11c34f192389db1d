"""The pages of the book by their addresses in the site, and the wait for their mathematics."""

from src.book import notebooks, paths

CHAPTERS = [f"chapters/{chapter}.html" for chapter in notebooks.chapters()]
PAGES = [
    "index.html",
    *(f"pages/{f.stem}.html" for f in sorted((paths.root() / "pages").glob("*.md"))),
    *CHAPTERS,
    "search.html",
    "genindex.html",
]


def typeset(page) -> None:
    """Wait until MathJax has set the page's formulas, if it has any."""
    page.evaluate("window.MathJax?.startup?.promise")
