"""Small tables for cell outputs: HTML in Jupyter and the book, aligned text elsewhere."""

from collections.abc import Sequence
from html import escape

from src.book.evidence.statistics import VERDICTS

_MISSING = "–"


class Table:
    """A table of texts with a header row.

    Args:
        header: the column names.
        rows: the cells, as texts (None is shown as a dash).
        classes: CSS classes of the HTML table, beside "book-table".
    """

    def __init__(
        self, header: Sequence[str], rows: Sequence[Sequence[object]], classes: str = ""
    ) -> None:
        self.header = [str(h) for h in header]
        self.rows = [[_MISSING if c is None else str(c) for c in row] for row in rows]
        self.classes = f"book-table {classes}".strip()

    def __repr__(self) -> str:
        """Return the table as aligned text."""
        lines = [self.header, *self.rows]
        widths = [max(len(line[k]) for line in lines) for k in range(len(self.header))]
        text = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in lines]
        text.insert(1, "  ".join("-" * w for w in widths))
        return "\n".join(line.rstrip() for line in text)

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{escape(h)}</th>' for h in self.header)
        body = "".join(
            "<tr>" + "".join(f"<td>{cell(c)}</td>" for c in row) + "</tr>" for row in self.rows
        )
        return (
            f'<table class="{self.classes}"><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table>"
        )


def cell(text: str) -> str:
    """Return a cell's HTML; the words of a verdict become a badge."""
    return badge(text) if text in VERDICTS else escape(text)


def badge(verdict: str, label: str | None = None, href: str | None = None) -> str:
    """Return a verdict as an HTML badge, linked if there is an address.

    The word carries the meaning; the colour only helps.
    """
    kind = escape(verdict.replace(" ", "-"))
    words = escape(f"{label} {verdict}" if label else verdict)
    if href is None:
        return f'<span class="verdict verdict-{kind}">{words}</span>'
    return f'<a class="verdict verdict-{kind}" href="{escape(href)}">{words}</a>'
