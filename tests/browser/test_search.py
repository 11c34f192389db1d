"""The search of the built book, asked in a browser: papers, methods, claims, names of symbols."""

import functools

import pytest

from src.book.evidence import catalogue
from tests.browser.checks import hits, searching

PAPERS = list(catalogue.papers().values())
METHODS = {  # a method's name, and the page that is about it
    "UFG": "chapters/gnn/framelets.html",
    "node2vec": "chapters/network_embedding/random_walks.html",
    "GFDM": "chapters/diffusion/fractional.html",
    "TMPD": "chapters/inverse_problems/tmpd.html",
    "Transformer": "chapters/foundations/transformer.html",
    "matrix calculus": "chapters/foundations/matrix_calculus.html",
}


@pytest.fixture
def search(shared):
    """Search for some text; return the hits' addresses, best first."""
    page = shared("search.html?q=nothing")
    page.wait_for_function("Search.hasIndex()")
    return functools.partial(hits, page)


def test_the_page_lists_hits_that_lead_somewhere(visit):
    paper = PAPERS[0]
    page = visit("index.html")
    page.goto(page.url.replace("index.html", "search.html"))
    page.locator("#search-results").wait_for(state="attached")
    page.locator(".bd-search-container input[name=q]").fill(paper.title)
    page.keyboard.press("Enter")
    hit = page.locator("#search-results li a").first
    hit.wait_for()
    page.wait_for_load_state("networkidle")  # a summary that is fetched would fail by now
    hit.click()
    page.wait_for_url(f"**/chapters/{paper.chapter}.html*")
    assert page.locator("article h1").count() == 1


def test_the_search_field_of_every_page_asks_the_search_page(visit):
    page = visit(f"chapters/{PAPERS[0].chapter}.html")
    page.keyboard.press("Control+k")
    page.locator("#pst-search-dialog input[name=q]").fill("attention")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=attention*")
    page.locator("#search-results li a").first.wait_for()


def test_the_first_hit_of_a_papers_title_is_its_chapter(shared, search):
    wanted = {paper.title: f"chapters/{paper.chapter}.html" for paper in PAPERS}
    assert searching(shared("search.html?q=nothing"), wanted) == []
    assert all(search(title)[0] == page for title, page in wanted.items())  # its beginning


def test_names_of_methods_lead_to_their_chapters(shared, search):
    assert searching(shared("search.html?q=nothing"), METHODS) == []


def test_a_claims_words_lead_to_its_row(search):
    for paper in PAPERS:
        for name, claim in paper.claims.items():
            assert f"pages/scoreboard.html#{paper.id}-{name}" in search(claim.says)[:5]


def test_every_paper_of_the_catalogue_is_found(search):
    lost = [
        paper.title
        for paper in (*PAPERS, *catalogue.planned())
        if not any(hit.startswith("pages/catalogue.html") for hit in search(paper.title))
    ]
    assert lost == []


@pytest.mark.parametrize("name", ["softmax", "jacobian", "laplacian", "perplexity"])
def test_names_of_quantities_lead_to_chapters(search, name):
    assert any(hit.startswith("chapters/") for hit in search(name))


def test_words_that_are_nowhere_have_no_hit(search):
    assert search("xylophonist quagmire") == []
