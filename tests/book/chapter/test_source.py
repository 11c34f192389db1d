"""Showing code: the source that runs, with its place."""

import pytest

from src.book import show
from src.book.chapter.source import Source
from src.book.chapter.tables import Table
from src.book.notebook.outputs import words_problems
from src.book.storage.errors import BookError, choose


def test_the_source_is_the_functions_own():
    shown = show(choose)
    [code] = shown.parts
    assert code.startswith("def choose(")
    assert shown._repr_markdown_() == f"```python\n{code}\n```"


def test_several_sources_are_all_shown():
    shown = show(choose, Table)
    assert repr(shown).index("def choose(") < repr(shown).index("\n\n\nclass Table")
    assert shown._repr_markdown_() == f"```python\n{shown!r}\n```"


def test_methods_are_dedented():
    assert repr(show(Table.__repr__)).startswith("def __repr__(self)")


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
    shown = Source([code])._repr_markdown_()
    assert shown == f"`````python\n{code}\n`````"
    assert words_problems(shown) == []
    assert words_problems(shown.replace("`````", "````")) != []
