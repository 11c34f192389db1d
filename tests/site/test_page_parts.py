"""Reading time, citation, links between chapters, downloads and the report of an error."""

import re
import subprocess
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from src.book.evidence.catalogue import papers
from src.book.notebook.repository import version
from src.book.site.page_parts import build_version, report_address
from src.book.site.pages.chapter import (
    Book,
    bibtex_text,
    citation,
    reading_minutes,
    reading_time,
)
from tests.site.fake_book import CHAPTER, HERE, make_book, run_result, write

BOOK = Book("Papers That Run", "The authors", "2026", "https://example.org/book", "0.1.0")
REPOSITORY = yaml.safe_load((HERE / "_config.yml").read_text())["repository"]["url"]


def html(root, page):
    return (root / f"_build/html/{page}.html").read_text(encoding="utf-8")


def entries(page):
    return unescape(re.search(r'<details class="cite">.*?<pre[^>]*>(.*?)</pre>', page, re.S)[1])


def fields(entry):
    return dict(re.findall(r"^  (\w+) = \{(.*)\},?$", entry, re.M))


def prose(words, mark="[markdown]"):
    return f"# %% {mark}\n# {'word ' * words}\n"


def test_reading_time_counts_words_formulas_and_shown_code():
    assert reading_minutes(prose(10)) == 1
    assert reading_minutes(prose(170 * 6)) == 6
    assert reading_minutes(prose(170 * 22)) == 20
    half = prose(170 * 2)
    assert reading_minutes(half + "# %%\n" + "x = 1\n" * 34 * 3) == 5
    assert reading_minutes(half + "# %% [markdown]\n" + "# $$ a\n# + b c d $$\n" * 34) == 5
    assert reading_minutes(half + "# %% [markdown]\n# " + "$a + b + c$ " * 170) == 3


def test_reading_time_leaves_out_what_is_folded():
    solution = (
        f"# %% [markdown]\n# <details><summary>S</summary>\n# {'word ' * 999}\n# </details>\n"
    )
    folded = '# %% tags=["hide-input"]\n' + "x = 1\n" * 999
    assert reading_minutes(prose(170 * 3) + solution + folded) == 3


def test_reading_time_needs_a_source(toy):
    assert reading_time(CHAPTER) == "About 1 min to read."
    assert reading_time("gnn/missing") == ""


def test_citation_has_the_paper_and_the_book(toy):
    paper, book = entries(citation(CHAPTER, BOOK)).strip().split("\n\n")
    assert paper.startswith("@misc{author2020two,\n")
    assert fields(paper) == {
        "title": "{Two is more than one}",
        "author": "A. Author and B. Writer",
        "year": "2020",
        "eprint": "2001.00001",
        "archiveprefix": "arXiv",
        "url": "https://arxiv.org/abs/2001.00001",
    }
    assert book.startswith("@misc{papersthatrun,\n")
    assert fields(book) == {
        "title": "{Papers That Run}",
        "author": "{The authors}",
        "year": "2026",
        "note": "Version 0.1.0",
        "url": "https://example.org/book",
    }
    assert citation("gnn/other", BOOK) == ""


def test_citation_escapes_what_tex_and_html_read_and_keeps_keys_apart(toy):
    entry = toy / "data/papers/toy.yml"
    text = entry.read_text().replace("Two is more than one", "A <b>50% & more_{x} ~ \\ $#^</b>")
    text = text.replace("A. Author", "Ž. Pržulj").replace("year: 2020", "year: 2020\nvenue: A & B")
    write(entry, text)
    write(toy / "data/papers/second.yml", text)
    html = citation(CHAPTER, BOOK)
    assert "<b>" not in html
    first, second, _ = entries(html).strip().split("\n\n")
    assert fields(first)["title"] == (
        r"{A <b>50\% \& more\_\{x\} \textasciitilde{} \textbackslash{} \$\#\textasciicircum{}</b>}"
    )
    assert fields(first)["author"] == "Ž. Pržulj and B. Writer"
    assert fields(first)["howpublished"] == r"A \& B"
    assert first.startswith("@misc{przulj2020b50,")
    assert second.startswith("@misc{przulj2020b50-2,")


def test_every_paper_of_the_book_has_balanced_entries():
    for paper in papers().values():
        found = entries(citation(paper.chapter, BOOK))
        assert found.count("{") == found.count("}")
        assert bibtex_text(paper.title) in found


def test_a_report_names_page_and_version():
    address = report_address("https://example.org/a/b/", "chapters/x & y", "1.0, commit abc")
    parts = urlsplit(address)
    assert address.startswith("https://example.org/a/b/issues/new?")
    assert " " not in address
    query = parse_qs(parts.query)
    assert query["title"] == ["Error on the page chapters/x & y"]
    assert query["body"][0].startswith("Page: chapters/x & y\nVersion: 1.0, commit abc\n")


def test_the_version_names_the_commit_in_a_clone_only(toy):
    assert build_version() == version()
    git = ["git", "-C", str(toy), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    assert build_version() == version()  # no commit yet
    subprocess.run([*git, "add", "index.md"], check=True)
    subprocess.run([*git, "commit", "-qm", "First"], check=True)
    assert re.fullmatch(rf"{re.escape(version())}, commit [0-9a-f]{{7,}}", build_version())
    write(toy / "index.md", "# Changed\n")
    assert build_version().endswith("-dirty")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A rendered toy book whose pages name chapters."""
    from src.book.site import build as site

    root = make_book(tmp_path_factory.mktemp("parts") / "book")
    page = "# %% [markdown]\n# # Another chapter\n#\n# See `foundations/toy`, `gnn/other`,\n"
    page += (
        "# `gnn/missing`, `foundations/toy.py` and [`foundations/toy`](../foundations/toy.ipynb).\n"
    )
    write(root / "chapters/gnn/other.py", page)
    run_result(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOOK_ROOT", str(root))
        patch.delenv("BOOK_BUILD", raising=False)
        assert site.build().rendered
    return root


def test_names_of_chapters_become_links(parts):
    page = html(parts, "chapters/gnn/other")
    line = re.search(r"<p>See .*?</p>", page, re.S)[0]
    targets = re.findall(r'<a [^>]*href="([^"]+)"', line)
    assert targets == ["../foundations/toy.html"] * 2
    assert line.startswith(
        '<p>See <a class="reference internal" href="../foundations/toy.html"><code'
    )
    assert line.count("<code") == 5  # its own page, one that is missing and a file stay plain code


def test_the_script_is_served_as_a_download(parts):
    page = html(parts, f"chapters/{CHAPTER}")
    source = f"_sources/chapters/{CHAPTER}.py"
    assert f'href="../../{source}"' in page
    served = (parts / "_build/html" / source).read_bytes()
    assert served == (parts / f"chapters/{CHAPTER}.py").read_bytes()
    assert '.py"' not in html(parts, "pages/how_we_judge")


def test_every_page_ends_with_a_report(parts):
    for page in ("index", "pages/scoreboard", "pages/notation", f"chapters/{CHAPTER}"):
        addresses = re.findall(r'class="report-error" href="([^"]+)"', html(parts, page))
        assert addresses == [report_address(REPOSITORY, page, version()).replace("&", "&amp;")]


def test_a_chapter_ends_with_its_citation(parts):
    page = html(parts, f"chapters/{CHAPTER}")
    found = entries(page)
    assert "author2020two" in found
    assert f"Version {version()}" in found
    assert f"url = {{{REPOSITORY}}}" in found
    assert page.index('<details class="cite">') < page.index('class="page-end"')
    assert 'class="cite"' not in html(parts, "chapters/gnn/other")


def test_previous_and_next_follow_the_table_of_contents(parts):
    seen, page = [], "index"
    while page and page not in seen:
        seen.append(page)
        found = re.search(r'class="right-next"\s+href="([^"]+)"', html(parts, page))
        following = (parts / "_build/html" / page).parent / found[1] if found else None
        here = (parts / "_build/html").resolve()
        page = following.resolve().relative_to(here).with_suffix("").as_posix() if found else None
    evidence, using, *_ = yaml.safe_load((HERE / "_toc.yml").read_text())["parts"]
    assert seen == [
        "index",
        *(e["file"] for e in evidence["chapters"] + using["chapters"]),
        f"chapters/{CHAPTER}",
        "chapters/gnn/other",
    ]


def test_notation_names_chapters_that_exist():
    names = re.findall(r"`([a-z_]+/[a-z_]+)`", (HERE / "pages/notation.md").read_text())
    assert names
    assert set(names) <= {
        f.relative_to(HERE / "chapters").with_suffix("").as_posix()
        for f in (HERE / "chapters").glob("*/*.py")
    }
