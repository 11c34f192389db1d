"""The tables and boxes made from `data/`, without Sphinx; the table of contents; the colours."""

import json
import re
from itertools import pairwise

import pytest
import yaml

from src.book.chapter.tables import badge
from src.book.evidence.catalogue import PARTS
from src.book.site.pages import DIRECTIVES
from src.book.site.pages.chapter import at_a_glance
from src.book.site.pages.markup import duration, text
from tests.site.fake_book import CHAPTER, HERE, measured, run_result, write


def render(name, prefix=""):
    sections = DIRECTIVES[name](lambda target: f"{prefix}{target}.html")
    return "\n".join(f"<h2 id={s.anchor}>{s.title}</h2>{s.html}" for s in sections)


def words(html):
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def rows(html):
    return {m[1]: words(m[2]) for m in re.finditer(r'<tr id="([^"]+)">(.*?)</tr>', html, re.S)}


def test_scoreboard_has_a_row_for_every_claim(toy):
    found = rows(render("scoreboard"))
    assert found == {
        "toy-C1": "C1 two is more than one 2 &gt; 1 mean 1 [0.9, 1.1], n = 5 seeds "
        "two minus one, one value a seed; supported if difference &gt; 0 supported quick any CPU "
        "cell of toy C1 code unknown",
        "toy-C2": "C2 one is more than two – mean -1 [-1.1, -0.9], n = 5 seeds "
        "one minus two, one value a seed; supported if mean &gt; 0 not supported quick any CPU "
        "cell of toy C2 code unknown",
        "toy-C3": "C3 two is a billion 1e9 nobody has a billion not tested – –",
    }


def test_scoreboard_shows_the_largest_profile_and_says_where_profiles_disagree(toy):
    entry = {
        "measurements": [measured("C1", "inconclusive", 0.5, -0.1, 1.1)],
        "provenance": {"device": "A big machine", "date": "2026-01-02"},
    }
    write(toy / f"data/results/cpu/{CHAPTER}.json", json.dumps(entry))
    row = rows(render("scoreboard"))["toy-C1"]
    assert "mean 0.5 [-0.1, 1.1]" in row
    assert row.endswith(
        "inconclusive profiles disagree (quick: supported) cpu A big machine 2026-01-02 "
        "cell of toy C1 code unknown"
    )


def test_scoreboard_says_what_chance_alone_would_do(toy):
    assert "2 claims were judged, 2 of them by a 95&nbsp;% interval" in render("scoreboard")
    assert "about 0.05 of these 2 supported" in render("scoreboard")


def test_scoreboard_figure_speaks(toy):
    html = render("scoreboard-summary", "../")
    assert 'aria-label="1 supported, 1 not supported, 1 not tested"' in html
    assert '<a class="bar-name" href="../pages/scoreboard.html#foundations">' in html
    assert "1 of 2 papers run so far, with 3 claims" in words(html)


@pytest.mark.parametrize("name", DIRECTIVES)
def test_an_empty_book_says_so(toy, name):
    (toy / "data/papers/toy.yml").unlink()
    (toy / "data/papers/planned.jsonl").unlink()
    assert words(render(name))


def test_catalogue_lists_what_runs_and_what_is_planned(toy):
    html = render("catalogue")
    assert '<a href="chapters/foundations/toy.html">Two is more than one</a>' in html
    assert "1 supported 1 not supported 1 not tested" in words(html)
    assert "search/?query=%22A+later+paper%22" in html
    assert re.search(r"<h2 id=vision>Vision</h2>.*A later paper.*2021.*Later.*planned", html, re.S)
    assert "<h2 id=gnn>" not in html


def test_bibliography_names_authors_identifier_and_chapter(toy):
    found = words(render("bibliography-of-papers"))
    assert "A. Author, B. Writer (2020). Two is more than one" in found
    assert "arXiv:2001.00001" in found
    assert "Chapter: A toy chapter" in found


def test_run_times_come_from_the_last_run(toy):
    assert "No run has been measured yet" in render("run-times")
    run_result(toy)
    assert "A toy chapter quick 15 s 2 s 410 MB this machine" in words(render("run-times"))


def test_box_names_paper_experiment_verdicts_and_time(toy):
    run_result(toy)
    found = words(at_a_glance(CHAPTER, lambda target: f"../../{target}.html"))
    assert found == (
        "Two is more than one A. Author, B. Writer, 2020 · arXiv:2001.00001 "
        "Re-run here: the comparison of two with one, for five seeds "
        "1 supported C1 1 not supported C2 1 not tested C3 "
        "About 1 min to read. "
        "The quick run took 15 s on one processor core and 410 MB of memory. Symbols of the book ."
    )
    assert at_a_glance("gnn/other", str) == ""


def test_text_is_escaped():
    assert text("a < `b`") == "a &lt; <code>b</code>"
    assert badge("not supported", "<3") == (
        '<span class="verdict verdict-not-supported">&lt;3 not supported</span>'
    )


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (59.4, "59 s"), (60, "1 min"), (200, "3 min 20 s"), (3900, "1 h 5 min")],
)
def test_durations(seconds, said):
    assert duration(seconds) == said


def test_table_of_contents_lists_every_part_by_a_pattern():
    toc = yaml.safe_load((HERE / "_toc.yml").read_text())
    evidence, using, *parts = toc["parts"]
    assert [p["caption"] for p in parts] == list(PARTS.values())
    assert [p["chapters"] for p in parts] == [[{"glob": f"chapters/{part}/*"}] for part in PARTS]
    listed = {entry["file"] for entry in evidence["chapters"] + using["chapters"]}
    assert listed == {f"pages/{f.stem}" for f in (HERE / "pages").glob("*.md")}


def test_the_repository_stands_in_one_place():
    address = yaml.safe_load((HERE / "_config.yml").read_text())["repository"]["url"]
    files = [HERE / "index.md", *(HERE / "pages").glob("*"), *(HERE / "src/book").rglob("*.py")]
    assert [f.name for f in files if address in f.read_text(encoding="utf-8")] == []


def luminance(colour):
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_badges_are_readable_in_both_themes():
    style = (HERE / "_static/book.css").read_text()
    colours = re.findall(r"--([a-z-]+)-(?:back|ink): (#[0-9a-f]{6})", style)
    pairs = [(a, b) for a, b in pairwise(colours) if a[0] == b[0]]
    assert len(pairs) == 8  # four verdicts, two themes
    for (verdict, back), (_, ink) in pairs:
        light, dark = sorted((luminance(back), luminance(ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, verdict
