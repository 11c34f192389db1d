"""Hostile words in the catalogue, the ledger, outputs and errors stay words on every page."""

import csv
import io
import json

import pytest
from bs4 import BeautifulSoup
from nbformat import from_dict

from src.book.acceptance import gates
from src.book.chapter.tables import Table, badge
from src.book.evidence import catalogue
from src.book.execution import results
from src.book.notebook import outputs
from src.book.site import build as site
from src.book.site.htmlcheck import check_html
from src.book.site.pages.scoreboard import as_csv
from src.book.storage import paths
from src.book.storage.errors import BookError
from tests.site.fake_book import CHAPTER, PAPER, write
from tests.site.hostile_book import ATTACK, HARMLESS, HOSTILE, make_hostile_book

NOT_SHOWN = "[An output is not shown here: "


@pytest.fixture(scope="module")
def hostile_site(tmp_path_factory):
    root = make_hostile_book(tmp_path_factory.mktemp("hostile") / "book")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOOK_ROOT", str(root))
        patch.delenv("BOOK_BUILD", raising=False)
        return site.build().folder


def pages(folder):
    for file in sorted(folder.rglob("*.html")):
        yield file.name, BeautifulSoup(file.read_text(encoding="utf-8"), "lxml")


def test_no_page_has_an_element_or_attribute_of_theirs(hostile_site):
    seen = 0
    for name, page in pages(hostile_site):
        seen += "window.ran" in page.text
        for element in page.find_all(True):
            acting = [k for k in element.attrs if k.startswith("on") and "ran" in element[k]]
            assert not acting and "autofocus" not in element.attrs, f"{name}: {element}"
            assert element.get("src") != "x", f"{name}: {element}"
        for script in page.find_all("script"):
            assert "window.ran" not in script.text, f"{name}: {script}"
    assert seen >= 3, "the words themselves are on chapter, scoreboard and catalogue"


def test_hostile_outputs_are_replaced_by_a_word_and_the_others_shown(hostile_site):
    text = (hostile_site / f"chapters/{CHAPTER}.html").read_text(encoding="utf-8")
    page = BeautifulSoup(text, "lxml")
    assert page.text.count(NOT_SHOWN) == len(HOSTILE) + 2  # and the figure with its caption
    assert f"printed {ATTACK}" in page.text and f"plain {ATTACK}" in page.text
    assert page.find("td", string="a good table")
    assert "{{ 7 * 6 }}" in page.text, "no template is filled in"
    assert "root:" not in page.text
    assert page.find("img", alt=lambda words: words and "onerror" in words)
    assert "ValueError: Ha <script>" in page.text
    assert not [a for a in page.find_all("a") if a.get("href", "").startswith("javascript")]


def test_a_search_result_shows_their_words_as_words(hostile_site):
    index = (hostile_site / "searchindex.js").read_text(encoding="utf-8")
    titles = json.loads(index.removeprefix("Search.setIndex(").removesuffix(")"))["alltitles"]
    found = [title for title in titles if "window.ran" in title]
    assert found and not [title for title in found if "<" in title]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_output_fails_the_gate(name):
    cell = {"cell_type": "code", "id": "x", "execution_count": 1, "metadata": {}, "source": "1"}
    made = from_dict({"cells": [{**cell, "outputs": [HOSTILE[name]]}], "metadata": {}})
    [(number, what), *_] = gates.page_problems(made)
    assert number == 1 and "which no page takes; show words" in what
    assert outputs.output_problems(HOSTILE[name])


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_output_passes(name):
    assert outputs.output_problems(HARMLESS[name]) == []


def test_what_the_book_itself_shows_passes():
    table = Table(["a", "b"], [["supported", ATTACK], [None, "<x>"]], "map")
    assert outputs.html_problems(table._repr_html_()) == []
    assert (
        outputs.html_problems('<p>a &lt; b<br>c</p><a href="https://x.org/?a=1&amp;b=2">x</a>')
        == []
    )


@pytest.mark.parametrize(
    ("html", "what"),
    [
        ("<SCRIPT>1</SCRIPT>", "<SCRIPT"),
        ("<script >1</script >", "<script"),
        ("<p/onclick=1>x</p>", "<p"),
        ('<p title="a"onclick="b">x</p>', "<p"),
        ("<!--<p>-->", "<!--"),
        ("<![CDATA[x]]>", "<!"),
        ("a <\n b", "<"),
        ('<p style="background:url(https://x.org)">x</p>', "<p style="),
        ('<p id="search">x</p>', "<p id="),
        ('<a href="&#9;javascript:1">x</a>', '<a href="&#9;'),
        ('<a href="//x.org">x</a>', '<a href="//'),
        ('<p title="a>b&quot; class="x">y</p>', "<p title="),
        ("<svg><style><p></style></svg>", "<svg"),
        ("<table><p>x</p></table>", "<table"),
        ("<p>x", "<p>x"),
        ("x</p>", "</p>"),
        ("<b><i>x</b></i>", "</b>"),
    ],
)
def test_html_that_is_not_plainly_harmless_is_refused(html, what):
    assert any(what in said for said in outputs.html_problems(html)), outputs.html_problems(html)


def test_the_figures_size_is_a_number():
    about = {"book": {"width": '1" onload="x', "height": 2}}
    output = from_dict({"output_type": "display_data", "data": {}, "metadata": about})
    assert outputs.output_problems(output) == ["the size of its figure is no number"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("<script>let a = 1</script>", "the script 'let a = 1'"),
        ("<script>a('http://www.w3.org/x')</script>", "the script \"a('http://www.w3.org/x')\""),
        ('<script src="a.js"></script>', "<script>"),
        ('<p onclick="a()">x</p>', "the attribute onclick"),
        ('<a href=" java\tscript:a()">x</a>', "a link to 'javascript:a()'"),
        ('<iframe src="a.html"></iframe>', "<iframe>"),
        ('<meta http-equiv="refresh" content="0">', "<meta>"),
        ('<form action="a"></form>', "<form>"),
    ],
)
def test_a_page_whose_content_acts_is_not_published(tmp_path, content, what):
    page = "<html><script>kernelName = 'a'</script><article>"
    (tmp_path / "a.js").touch()
    (tmp_path / "index.html").write_text(f"{page}</article></html>")
    assert check_html(tmp_path) == []
    (tmp_path / "index.html").write_text(f"{page}{content}</article></html>")
    assert check_html(tmp_path) == [f"index.html: holds {what} in its content"]


def test_a_spreadsheet_finds_no_formula():
    texts = ["=cmd|'/C calc'!A0", "+1+1", "-1+1", "@SUM(A1)", "\t=1", " =1"]
    numbers = ["-3.5", "+2", "-1.2e-3", "-4 %", 'words = "a"', -0.25, None]
    rows = [{"says": value} for value in [*texts, *numbers]]
    read = [row["says"] for row in csv.DictReader(io.StringIO(as_csv(rows)))]
    assert read == [f"'{t}" for t in texts] + ["" if n is None else str(n) for n in numbers]


def test_a_badge_escapes_what_the_ledger_calls_a_verdict():
    assert "<script" not in badge('"><script>')


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", "two\nlines"),
        ("title", "a\x1b[31m"),
        ("authors", ["a\nb"]),
        ("repository", 'https://a" onclick="b'),
        ("repository", "javascript:a"),
        ("arxiv", "2001.00001\n<b>"),
        ("chapter", "foundations/a; touch x"),
    ],
)
def test_an_entry_with_such_a_field_is_refused(book_root, field, value):
    entry = PAPER.replace("arxiv:", "was_arxiv:") if field == "arxiv" else PAPER
    lines = [x for x in entry.splitlines() if not x.startswith((f"{field}:", "was_"))]
    text = "\n".join([f"{field}: {json.dumps(value)}", *lines]) + "\n"
    write(book_root / "data/papers/toy.yml", text)
    with pytest.raises(BookError, match=f"field {field}"):
        catalogue.papers()


@pytest.mark.parametrize("name", ['a" onclick="b', "a b", "A", "a;touch x"])
def test_an_entry_with_such_a_name_is_refused(book_root, name):
    write(book_root / f"data/papers/{name}.yml", PAPER)
    with pytest.raises(BookError, match="lower-case words joined by hyphens"):
        catalogue.papers()


def test_a_result_from_elsewhere_cannot_say_whose_it_is_nor_hold_what_it_should_not(book_root):
    file = paths.run_file(CHAPTER, "quick", ".json")
    content = {"chapter": "../../x", "profile": "../y", "status": "ok", "cell": 4, "seconds": 1}
    write(file, json.dumps(content))
    found = results.read_result(CHAPTER, "quick")
    assert (found.chapter, found.profile, found.cell) == (CHAPTER, "quick", 4)
    for field, value in {"cell": ATTACK, "seconds": "1", "measurements": {}, "log": 1}.items():
        write(file, json.dumps(content | {field: value}))
        assert results.read_result(CHAPTER, "quick") is None, field
