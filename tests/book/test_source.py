"""Showing code: the source that runs, with its place."""

import pytest

from src.book import show
from src.book.errors import BookError, choose
from src.book.outputs import words_problems
from src.book.source import Source
from src.book.tables import Table


def test_the_source_is_the_functions_own():
    shown = show(choose)
    [(code, where)] = shown.parts
    assert code.startswith("def choose(")
    assert where.startswith("src/book/errors.py, lines ")
    assert shown._repr_markdown_().startswith("```python\n# src/book/errors.py")


def test_several_sources_are_all_shown():
    text = repr(show(choose, Table))
    assert (
        text.index("def choose(")
        < text.index("\n\n# src/book/tables.py")
        < text.index("class Table")
    )


def test_methods_are_dedented():
    assert "\ndef __repr__(self)" in repr(show(Table.__repr__))


def test_things_without_source_are_refused():
    with pytest.raises(BookError, match="takes a function or class"):
        show(len)
    with pytest.raises(BookError, match="takes a function or class"):
        show(3)
    with pytest.raises(BookError, match="takes at least one"):
        show()


def test_a_table_reads_as_text_and_html():
    table = Table(["a", "b"], [["x<y", None]])
    assert repr(table) == "a    b\n---  -\nx<y  –"
    assert "<td>x&lt;y</td>" in table._repr_html_()


def test_code_that_holds_a_fence_stays_inside_its_own():
    code = 'TEXT = """\n```\n<script>1</script>\n```{raw} html\n````\n"""'
    shown = Source([(code, "src/a.py, lines 1-5")])._repr_markdown_()
    assert shown == f"`````python\n# src/a.py, lines 1-5\n{code}\n`````"
    assert words_problems(shown) == []
    assert words_problems(shown.replace("`````", "````")) != []
