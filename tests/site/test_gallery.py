"""The front page: its gallery of chapters, and the numbers above it."""

import re

from PIL import Image

from src.book.site.htmlcheck import images_shown
from src.book.site.pages.gallery import WIDTH, gallery
from src.book.site.pages.markup import beside
from src.book.site.stage import stage
from tests.site.fake_book import CHAPTER, HERE, figure_outputs, run_result


def cards():
    html = "".join(s.html for s in gallery(lambda target: f"{target}.html"))
    return re.findall(r"<li>(.*?)</li>", html, re.S)


def words(html):
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_each_chapter_has_a_card(toy):
    run_result(toy)
    stage()
    first, second = cards()
    assert words(first) == (
        "Foundations A toy chapter Two is compared with one. "
        "1 supported 1 not supported 1 not tested"
    )
    assert '<a href="chapters/foundations/toy.html">' in first
    assert words(second) == "Graph neural networks Another chapter"
    assert "<img" not in second


def test_the_thumbnail_is_described_and_has_a_size(toy):
    run_result(toy, outputs=figure_outputs(alt='A <white> rectangle, "as it is".'))
    stage()
    image = re.search(r"<img[^>]*>", cards()[0])[0]
    assert 'src="_static/thumbnails/foundations-toy.png"' in image
    assert f'width="{WIDTH}" height="247"' in image  # 672 x 346 in the chapter
    assert 'loading="lazy"' in image
    assert 'alt="A &lt;white&gt; rectangle, &#34;as it is&#34;."' in image


def test_thumbnails_are_small_and_only_those_of_chapters_with_a_figure(rendered):
    folder = rendered / "_build/html/_static/thumbnails"
    assert [f.name for f in folder.iterdir()] == ["foundations-toy.png"]
    with Image.open(folder / "foundations-toy.png") as image:
        assert image.size == (WIDTH, 247)
        assert image.mode == "P"
    assert (folder / "foundations-toy.png").resolve() in images_shown(rendered / "_build/html")


def test_addresses_of_files_follow_the_page():
    assert beside(lambda target: f"../../{target}.html", "a/b.csv") == "../../a/b.csv"


def test_the_front_page_says_what_it_is_in_three_sentences_and_has_three_ways_in(rendered):
    opening = (HERE / "index.md").read_text().split("```")[0].partition("\n")[2]
    assert len(re.findall(r"\.(?=\s)", opening)) == 3
    page = (rendered / "_build/html/index.html").read_text()
    ways = re.findall(r'<div class="way docutils container">(.*?)</div>', page, re.S)
    assert [words(way).split()[0] for way in ways] == ["Read", "Run", "Check"]
    assert all("<a " in way for way in ways)
    numbers = re.findall(r"<li[^>]*><strong>(\d+)</strong> ([a-z ]+)</li>", page)
    assert " ".join(map(" ".join, numbers)) == (
        "1 supported 1 not supported 0 inconclusive 1 not tested"
    )
    assert f"chapters/{CHAPTER}.html" in page
