"""The catalogue's page: what stands in a row, and where its script is loaded."""

import json
import re

from src.book.site.pages.catalogue import catalogue
from tests.site.fake_book import write


def test_a_planned_paper_shows_its_idea_and_leads_to_a_title_search(toy):
    idea = "Do the <same> thing once more, but later than all of the others."
    row = {"id": "later", "title": "A later paper", "year": 2021, "chapter": "vision/later"}
    write(toy / "data/papers/planned.jsonl", json.dumps(row | {"idea": idea}) + "\n")
    html = "".join(section.html for section in catalogue(lambda target: f"{target}.html"))
    cell = re.search(r'<th scope="row">(<a href="https://arxiv.org/search/.*?)</th>', html)[1]
    assert 'searchtype=title">A later paper</a>' in cell
    assert cell.count('class="idea"') == 1
    assert cell.endswith(
        '<span class="idea">Do the &lt;same&gt; thing once more, but later than all of the '
        "others.</span>"
    )


def test_the_script_is_loaded_on_the_catalogue_alone(rendered):
    site = rendered / "_build/html"
    users = [f.name for f in site.rglob("*.html") if "catalogue.js" in f.read_text("utf-8")]
    assert users == ["catalogue.html"]
    assert (site / "_static/catalogue.js").exists()
