"""Showing code: the source that runs, with its place."""

import pytest

from src.book import show
from src.book.errors import BookError, choose
from src.book.tables import Table


def test_the_source_is_the_functions_own():
    shown = show(choose)
    assert shown.code.startswith("def choose(")
    assert shown.where.startswith("src/book/errors.py, lines ")
    assert shown._repr_markdown_().startswith("```python\n# src/book/errors.py")


def test_methods_are_dedented():
    assert show(Table.__repr__).code.startswith("def __repr__(self)")


def test_things_without_source_are_refused():
    with pytest.raises(BookError, match="takes a function or class"):
        show(len)
    with pytest.raises(BookError, match="takes a function or class"):
        show(3)


def test_a_table_reads_as_text_and_html():
    table = Table(["a", "b"], [["x<y", None]])
    assert repr(table) == "a    b\n---  -\nx<y  –"
    assert "<td>x&lt;y</td>" in table._repr_html_()
