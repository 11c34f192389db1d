"""The search index of the toy book: papers and claims are entries, and words stay apart."""

import json
import re

from src.book.evidence import catalogue
from src.book.site import build as site
from src.book.site.extension import names
from src.book.site.pages import DIRECTIVES
from src.book.site.pages.chapter import at_a_glance
from tests.site.fake_book import CHAPTER, run_result

# Where a block or a line ends and a word follows without a blank.
JOINED = re.compile(r"(?:</(?:p|li|th|td|dt|dd|div|caption|h[1-6])>|<br>)(?:<[^>]*>)*[^\s<]")


def index(root):
    text = (root / "_build/html/searchindex.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))


def pages_of(found, entries):
    return [found["docnames"][entry[0]] for entry in entries]


def test_words_of_two_cells_stay_apart(toy):
    """Sphinx indexes raw HTML without its tags: `<td>one</td><td>two</td>` would be "onetwo"."""
    run_result(toy)
    pieces = [section.html for make in DIRECTIVES.values() for section in make(str)]
    html = "".join([*pieces, at_a_glance(CHAPTER, str)])
    assert html.count("</td>") > 30
    assert not JOINED.findall(html)
    assert JOINED.findall("<td>one</td><td>two</td><p>a<br><b>b</b></p>\n<td>c</td></tr> d")


def test_a_paper_is_looked_up_by_title_name_and_id():
    paper = catalogue.Paper.model_construct(title="DeepWalk: Online Learning", id="deep-walk")
    assert names(paper) == ["DeepWalk: Online Learning", "DeepWalk", "deep-walk", "deep walk"]


def test_papers_and_claims_are_entries(rendered):
    found = index(rendered)
    paper = catalogue.papers()["toy"]
    (entry,) = found["indexentries"][paper.title.lower()]
    assert pages_of(found, [entry]) == [f"chapters/{CHAPTER}"]
    assert entry[2]  # ranked with the headings
    for name, claim in paper.claims.items():
        entries = found["alltitles"][claim.says]
        places = zip(pages_of(found, entries), (place for _, place in entries), strict=True)
        assert ("pages/scoreboard", f"toy-{name}") in places
    assert pages_of(found, found["alltitles"]["A later paper"]) == ["pages/catalogue"]


def test_entries_stay_single_when_some_pages_are_rendered_again(rendered):
    site.build()  # another test may have left it behind
    before = index(rendered)
    page = rendered / "pages/how_we_judge.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(text + "\nOne more word: quokka.\n", encoding="utf-8")
    try:
        assert site.build().rendered
        after = index(rendered)
        assert "quokka" in after["terms"]
        assert after["alltitles"] == before["alltitles"]
        assert after["indexentries"] == before["indexentries"]
    finally:
        page.write_text(text, encoding="utf-8")
        site.build()
