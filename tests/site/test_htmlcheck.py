"""The checks of rendered pages: each fault, planted in a good page, is found and named."""

import pytest

from src.book.site.htmlcheck import check_html

GOOD = """<!doctype html><html><head><title>A page</title>
<link rel="stylesheet" href="_static/book.css"><link rel="canonical" href="https://example.org/">
<script src="_static/book.js"></script><style>p { color: red }</style></head>
<body><img src="_static/logo.svg"><nav><a href="other.html#there">other</a></nav>
<article class="bd-article"><h1 id="top">A page</h1>
<a href="https://example.org/">elsewhere</a> <a href="#top">up</a> <a href="mailto:a@b.c">mail</a>
<a href="_static/book.css">file</a>
<img alt="A line that falls from left to right." src="_images/a.png" width="672" height="346"/>
PLANT
</article></body></html>
"""

FAULTS = {
    '<a href="missing.html">x</a>': "link to 'missing.html', which does not exist",
    '<a href="../../etc/passwd">x</a>': "does not exist",
    '<a href="#nowhere">x</a>': "the page has no such anchor",
    '<a href="other.html#nowhere">x</a>': "link to 'other.html#nowhere': the page has no such",
    '<img src="a.png" width="1" height="1">': "alt text '' does not describe",
    '<img src="a.png" alt="A picture" width="1" height="1">': "'A picture' does not describe",
    '<img src="a.png" alt="_images/a long name 1.png" width="1" height="1">': "not describe",
    '<img src="a.png" alt="A line that falls to the right.">': "no width and height",
    '<script src="https://cdn.example/x.js"></script>': "loads https://cdn.example/x.js",
    '<script src="//cdn.example/x.js"></script>': "loads //cdn.example/x.js",
    '<link rel="stylesheet" href="https://cdn.example/x.css">': "loads https://cdn.example/x.css",
    '<script src="gone.js"></script>': "loads gone.js, which is not there",
    "<script>fetch('https://cdn.example/x.json')</script>": "a script knows https://cdn.example/x",
    '<iframe src="https://video.example/1"></iframe>': "loads https://video.example/1",
    '<video><source srcset="a.png 1x, https://cdn.example/b.png 2x"></video>': "cdn.example/b.png",
    '<p style="background: url(https://cdn.example/b.png)">x</p>': "loads https://cdn.example/b",
    "<style>@import 'https://fonts.example/f.css';</style>": "loads https://fonts.example/f.css",
    '<div class="output traceback highlight">boom</div>': "shows an error output",
    "<pre>Traceback (most recent call last):\n</pre>": "shows an error output",
}


@pytest.fixture
def site(tmp_path):
    def plant(fault=""):
        for name in ("_static/book.css", "_static/book.js", "_static/logo.svg", "_images/a.png"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("")
        (tmp_path / "other.html").write_text('<article><p id="there">x</p></article>')
        (tmp_path / "index.html").write_text(GOOD.replace("PLANT", fault))
        return tmp_path

    return plant


def test_a_good_page_has_no_problem(site):
    assert check_html(site()) == []


def test_a_script_file_that_knows_another_server_is_named(site):
    folder = site('<script type="application/json">["https://example.org"]</script>')
    (folder / "_static/book.js").write_text(
        'document.createElementNS("http://www.w3.org/2000/svg"); load("//cdn.example/thebe.js");'
    )
    assert check_html(folder) == [
        "_static/book.js: a script knows //cdn.example/thebe.js, on another server"
    ]


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_found(site, fault):
    problems = check_html(site(fault))
    assert len(problems) == 1, problems
    assert problems[0].startswith("index.html: ")
    assert FAULTS[fault] in problems[0]


def test_style_sheets_are_checked(site):
    folder = site()
    (folder / "_static/book.css").write_text("@font-face { src: url('https://fonts.example/a') }")
    assert check_html(folder) == [
        "_static/book.css: loads https://fonts.example/a from another server"
    ]


def test_an_empty_site_is_a_problem(tmp_path):
    assert check_html(tmp_path) == [f"{tmp_path}: there is no page"]
