"""What pages weigh: the files that are counted, the limits, and the pages of the real book."""

import gzip
import random

import pytest

from tests.browser import weight
from tests.browser.weight import first_load, overweight

PAGE = """<html><head><link rel="stylesheet" href="_static/a.css?v=1">
<link rel="preload" as="script" href="_static/a.js"><link rel="index" href="other.html">
<script src="_static/a.js"></script><script>let a = 1;</script></head><body>
<img src="eager.png"><img src="data:image/png;base64,AAAA">
<img src="first.png" loading="lazy"><img src="second.png" loading="lazy"></body></html>"""


@pytest.fixture
def small(tmp_path):
    (tmp_path / "_static").mkdir()
    (tmp_path / "index.html").write_text(PAGE)
    css = '@import "b.css"; p { src: url("f.woff"), url(data:font/woff;base64,AA), url(#a) }'
    (tmp_path / "_static/a.css").write_text(css)
    (tmp_path / "_static/b.css").write_text("p { background: url(../eager.png) }")
    (tmp_path / "_static/a.js").write_text("let b = 2;" * 100)
    for name in ("_static/f.woff", "eager.png", "first.png", "second.png"):
        (tmp_path / name).write_bytes(b"0" * 1000)
    return tmp_path


def test_each_requested_file_counts_once(small):
    found = first_load(small / "index.html")
    names = {file.relative_to(small).as_posix() for file in found}
    static = {"_static/a.css", "_static/b.css", "_static/a.js", "_static/f.woff"}
    assert names == static | {"index.html", "eager.png", "first.png"}


def test_text_is_packed_and_images_are_not(small):
    sizes = {file.name: size for file, size in first_load(small / "index.html").items()}
    script = (small / "_static/a.js").read_bytes()
    assert (sizes["a.js"].raw, sizes["a.js"].packed) == (1000, len(gzip.compress(script, 6)))
    assert sizes["eager.png"].packed == 1000


def test_mathjax_counts_with_its_fonts(small):
    (small / "tex-chtml.js").write_text("")
    folder = small / "output/chtml/fonts/woff-v2"
    folder.mkdir(parents=True)
    for name in weight._MATHJAX_FONTS:
        (folder / f"MathJax_{name}.woff").write_bytes(b"0" * 10)
    (small / "math.html").write_text('<script defer src="tex-chtml.js"></script>')
    assert len(first_load(small / "math.html")) == 2 + len(weight._MATHJAX_FONTS)


def test_a_missing_file_is_named(small):
    (small / "eager.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"eager\.png is not there"):
        first_load(small / "index.html")


def test_a_heavy_page_is_named_with_its_heaviest_file(small):
    assert overweight(small) == []
    (small / "_static/a.js").write_bytes(random.Random(0).randbytes(1_300_000))
    (problem,) = overweight(small)
    assert problem.startswith("index.html: 130")
    assert "the heaviest, packed (raw): a.js 1300 (1300), " in problem
    (small / "_static/a.js").write_text("0" * 3_000_001)  # light when packed
    assert "3003 kB raw (limit 3000)" in overweight(small)[0]


def test_the_toy_book_ships_nothing_that_no_page_uses(rendered):
    static = rendered / "_build/html/_static"
    names = {file.name for file in static.rglob("*")}
    assert not names & {"fontawesome.js", "vendor", "locales", "sphinx-thebe.js", "all-packages.js"}
    assert not [name for name in names if name.endswith((".map", ".ttf"))]
    assert "thebe" not in (rendered / "_build/html/index.html").read_text(encoding="utf-8")


def test_every_page_of_the_book_is_light(real_site):
    assert overweight(real_site) == []
