"""The toy book, rendered: warnings, pages, what is rendered again, and what a fault costs."""

import json
import os
import re
import subprocess
import sys

import nbformat
import pytest

from src.book.notebook import notebooks, repository
from src.book.site import build as site
from src.book.storage.errors import BookError
from tests.site.fake_book import CHAPTER, SOURCE, measured, run_result, write


def html(root, page):
    return (root / f"_build/html/{page}.html").read_text(encoding="utf-8")


def words(text):
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def test_there_are_no_warnings_and_nothing_is_rendered_twice(rendered, monkeypatch):
    assert "WARNING" not in (rendered / "_build/site.log").read_text()
    for work in ("stage", "_render", "_publish"):
        monkeypatch.setattr(site, work, None)  # whoever calls it fails
    again = site.build()
    assert (again.rendered, again.pages) == (False, 11)


def test_only_parts_with_chapters_appear(rendered):
    captions = re.findall(r'<span class="caption-text">(.*?)</span>', html(rendered, "index"))
    assert captions == ["The evidence", "Using the book", "Foundations", "Graph neural networks"]


def test_chapter_page(rendered):
    page = html(rendered, f"chapters/{CHAPTER}")
    assert (
        page.index("<h1>") < page.index('<aside class="glance"') < page.index("more than one.</p>")
    )
    image = re.search(r"<img[^>]*_images[^>]*>", page)[0]
    assert 'alt="A white rectangle that stands for a figure."' in image
    assert 'width="672" height="346"' in image
    assert '<figure class="align-default" id="foundations-toy-idea">' in page
    assert words(re.search(r"<figcaption>.*?</figcaption>", page, re.S)[0]).startswith(
        "Two and one."
    )
    assert "../../_static/mathjax/tex-chtml.js" in page
    assert re.search(r'id="equation-toy-softmax".*?\(1\)', page, re.S)
    assert r"\[\begin{bmatrix}1\\2\end{bmatrix} \tag{2}\]" in page  # and not inside a "split"


def test_launch_buttons_open_the_committed_notebook(rendered):
    page = html(rendered, f"chapters/{CHAPTER}")
    owner_and_name = repository.address().split("/", 3)[3]
    path = f"{owner_and_name}/blob/main/chapters/{CHAPTER}.ipynb"
    assert f"https://colab.research.google.com/github/{path}" in page
    assert f"/gh/{owner_and_name}/main?urlpath=tree/chapters/{CHAPTER}.ipynb" in page


def test_every_page_says_the_version_at_its_foot(rendered):
    for page in ("index", "pages/scoreboard", f"chapters/{CHAPTER}"):
        assert f"<p>Version {repository.version()}</p>" in html(rendered, page)


def test_mathematics_is_served_from_the_site(rendered):
    folder = rendered / "_build/html/_static/mathjax"
    assert (folder / "tex-chtml.js").exists()
    assert list(folder.glob("output/chtml/fonts/woff-v2/*.woff"))
    assert sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) < 3e6


def test_directives_reach_the_pages(rendered):
    board = html(rendered, "pages/scoreboard")
    assert 'id="toy-C1"' in board
    assert '<section id="foundations">' in board
    assert "A later paper" in html(rendered, "pages/catalogue")
    assert "410 MB" in html(rendered, "pages/run_times")
    assert "Two is more than one" in html(rendered, "pages/bibliography")


def test_new_results_reach_the_pages_that_show_them_and_no_others(rendered):
    pages = rendered / "_build/site/_build/html"
    before = {f: f.stat().st_mtime_ns for f in pages.rglob("*.html")}
    ledger = rendered / f"data/results/quick/{CHAPTER}.json"
    kept = ledger.read_text()
    ledger.write_text(json.dumps({"measurements": [measured("C1", "inconclusive", 0.125, -1, 1)]}))
    try:
        assert site.build().rendered
        assert "0.125 [-1, 1]" in html(rendered, "pages/scoreboard")
        assert "1 inconclusive" in html(rendered, f"chapters/{CHAPTER}")
        written = {f.stem for f, told in before.items() if f.stat().st_mtime_ns != told}
        assert {"scoreboard", "toy", "index", "catalogue"} <= written
        assert not {"how_we_judge", "run_times", "other"} & written
    finally:
        ledger.write_text(kept)


def test_new_results_that_no_page_shows_leave_the_site_as_it_is(rendered):
    site.build()  # another test may have left it behind
    folder = rendered / "_build/html"
    before = {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()}
    beside = rendered / "data/results/quick/foundations/of_no_chapter.json"
    beside.write_text("{}\n")
    try:
        assert site.build().rendered
        assert {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()} == before
    finally:
        beside.unlink()


def test_a_page_with_a_traceback_fails_and_the_last_good_site_stays(rendered):
    error = nbformat.v4.new_output(
        "error", ename="ValueError", evalue="boom", traceback=["Traceback ...", "ValueError: boom"]
    )
    good = html(rendered, f"chapters/{CHAPTER}")
    run_result(rendered, outputs=[error])
    try:
        with pytest.raises(BookError, match=r"toy\.html: shows an error output"):
            site.build()
        assert html(rendered, f"chapters/{CHAPTER}") == good
        # It fails again until it is put right: nothing says that the pages are up to date.
        assert not (rendered / "_build/site/stamp.json").exists()
    finally:
        run_result(rendered)


def test_a_broken_reference_fails_and_is_named(rendered):
    page = rendered / "pages/how_we_judge.md"
    kept = page.read_text()
    page.write_text(kept + "\n[nowhere](nowhere.md)\n")
    try:
        for _ in range(2):  # Sphinx alone would be content the second time
            with pytest.raises(BookError, match=r"how_we_judge\.md.*nowhere\.md"):
                site.build()
    finally:
        page.write_text(kept)


def test_a_bad_catalogue_entry_is_told_with_file_line_and_field(toy):
    entry = toy / "data/papers/toy.yml"
    entry.write_text(entry.read_text().replace("year: 2020", "year: soon"))
    with pytest.raises(BookError, match=r"data/papers/toy\.yml, line 3, field year"):
        site.build()


def test_a_failed_chapter_says_so_on_its_page(rendered):
    run_result(rendered, status="failed", reason="ValueError: boom", cell=4, log="toy.log")
    try:
        site.build()
        page = html(rendered, f"chapters/{CHAPTER}")
        assert page.index("The last run of this chapter failed") < page.index('class="glance"')
        assert "ValueError: boom" in words(page)
        assert "_images/" in page  # the last good outputs are still there
    finally:
        run_result(rendered)


def test_plain_jupyter_book_builds_the_references(toy):
    text = SOURCE.replace("[the other chapter](../gnn/other.ipynb)", "nothing")  # not committed
    write(toy / f"chapters/{CHAPTER}.ipynb", notebooks.dumps(notebooks.read_source(text)))
    command = "from jupyter_book.cli.main import main; main()"
    arguments = ["build", str(toy), "-W", "-n", "--keep-going"]
    done = subprocess.run(
        [sys.executable, "-c", command, *arguments],
        env={**os.environ, "PYTHONPATH": str(notebooks.paths.package_root())},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    page = html(toy, f"chapters/{CHAPTER}")
    assert '<aside class="glance"' in page
    assert "Graph neural networks" not in html(toy, "index")
