"""The scoreboard: links to the measuring cells, rows as data, and measurements that have aged."""

import csv
import io
import json
import re

import pytest

from src.book.acceptance import accept
from src.book.evidence import catalogue, ledger
from src.book.execution.results import Result
from src.book.notebook import chapters
from src.book.site import build as site
from src.book.site.pages.cells import cells_of
from src.book.site.pages.evidence import STALE, UNKNOWN, gather
from src.book.site.pages.scoreboard import COLUMNS, rows, scoreboard
from src.book.storage import dependencies
from tests.site.fake_book import CHAPTER, PAPER, SOURCE, measured, write

CELLS = [
    "%matplotlib inline",
    'def judge(claim, samples):\n    run.measure("a", claim, samples)',
    'run.measure("a", "C1", x)',
    'for claim in ("C2", "C3"):\n    print(run.measure(paper, claim, x))',
    'for k in "ab":\n    run.measure("b", f"C1{k}", x)',
    'judge("C4", x)',
    'print("C5")',
    'run.verdicts("b")',
    "run.verdicts()",
]
FOUND = {
    ("a", "C1"): 2,
    ("a", "C2"): 3,
    ("b", "C2"): 3,
    ("a", "C3"): 3,
    ("b", "C1a"): 4,
    ("b", "C1b"): 4,
    ("a", "C4"): 5,
    ("b", "C4"): 7,  # not by judge(), which measures the other paper
    ("a", "C5"): 8,
}


def board():
    return "".join(s.html for s in scoreboard(lambda target: f"{target}.html"))


def test_the_measuring_cell_is_found():
    assert cells_of(CELLS, FOUND) == FOUND
    assert cells_of(CELLS[:2], [("a", "C9")]) == {}


@pytest.mark.parametrize("chapter", sorted(catalogue.chapters()))
def test_every_measured_claim_of_the_book_has_its_cell(chapter):
    code = [c.source for c in chapters.find(chapter).notebook.cells if c.cell_type == "code"]
    latest = ledger.latest(chapter)
    found = cells_of(code, latest)
    for key, measurement in latest.items():
        only_shown = ".verdicts(" in code[found[key]]
        assert only_shown == (measurement["profile"] == "timing"), key


def test_rows_lead_to_their_cells(toy):
    html = board()
    assert '<a href="chapters/foundations/toy.html#measured-toy-C1">cell<' in html
    assert "measured-toy-C3" not in html  # nobody measured it


def test_cells_and_page_have_the_anchors(rendered):
    page = (rendered / f"_build/html/chapters/{CHAPTER}.html").read_text()
    cell = re.search(r'<div class="cell[^>]*id="measured-toy-C1"[^>]*>(.*?)</div>', page, re.S)
    assert "tag_hide-input" in cell[0]
    assert page.count('id="measured-toy-C2"') == 1  # measured nowhere: on the page itself
    other = (rendered / "_build/html/chapters/gnn/other.html").read_text()
    assert "measured-" not in other


def test_the_script_is_loaded_on_the_scoreboard_alone(rendered):
    pages = (rendered / "_build/html").rglob("*.html")
    loading = {p.stem: p.read_text().count('src="../_static/scoreboard.js') for p in pages}
    assert {name for name, count in loading.items() if count} == {"scoreboard"}
    assert loading["scoreboard"] == 1
    index = (rendered / "_build/html/index.html").read_text()
    assert "scoreboard.js" not in index


def test_downloads_are_the_rows_of_the_table(rendered):
    folder = rendered / "_build/html/pages"
    rows = list(csv.DictReader(io.StringIO((folder / "scoreboard.csv").read_text())))
    page = (folder / "scoreboard.html").read_text()
    table = dict(re.findall(r'<tr id="([^"]+)">(.*?)</tr>', page, re.S))
    assert [f"{r['paper']}-{r['claim']}" for r in rows] == list(table)
    for row in rows:
        html = table[f"{row['paper']}-{row['claim']}"]
        assert f">{row['verdict']}</span>" in html
        assert f"<td>{row['profile'] or '–'}</td>" in html
        assert row["device"] in html
        assert (row["page"].split("/")[-1] in html) == bool(row["profile"])
    assert rows[0]["says"] == "two is more than one"
    assert (rows[0]["estimate"], rows[0]["low"], rows[0]["high"]) == ("1.0", "0.9", "1.1")
    assert rows[2]["estimate"] == ""
    for name in ("scoreboard.csv", "scoreboard.json"):
        assert f'href="../pages/{name}" download' in page


def test_json_and_csv_hold_the_same(rendered):
    folder = rendered / "_build/html/pages"
    rows = list(csv.DictReader(io.StringIO((folder / "scoreboard.csv").read_text())))
    told = json.loads((folder / "scoreboard.json").read_text())
    as_text = [{k: "" if v is None else str(v) for k, v in row.items()} for row in told]
    assert as_text == rows


def test_columns_are_stable():
    assert ",".join(COLUMNS) == (
        "part,paper,title,year,chapter,claim,says,paper_reports,measure,criterion,verdict,profile,"
        "statistic,estimate,low,high,n,unit,device,date,older_than_code,other_profiles,page"
    )


@pytest.fixture
def with_method(toy):
    """The toy book, whose chapter uses a method, measured with the code as it is."""
    method = toy / "src/foundations/method.py"
    write(method, "def two():\n    return 2\n")
    source = toy / f"chapters/{CHAPTER}.py"
    write(source, SOURCE + "\n# %%\nfrom src.foundations.method import two\n")
    code = dependencies.chapter_code(CHAPTER)
    entry = {"measurements": [measured("C1", "supported", 1.0, 0.9, 1.1)], "code": code}
    write(toy / f"data/results/cpu/{CHAPTER}.json", json.dumps(entry))
    return toy


def ages():
    return {e.name: e.stale for e in gather()}


def test_a_measurement_older_than_its_code_is_marked(with_method):
    assert ages() == {"C1": False, "C2": None, "C3": False}  # C2's entry knows no code
    assert board().count(f'<span class="stale">{STALE}</span>') == 1  # what it means
    assert board().count(f'<span class="stale">{UNKNOWN}</span>') == 2  # the row, too
    write(with_method / "src/foundations/method.py", "def two():\n    return 1 + 1\n")
    assert ages() == {"C1": True, "C2": None, "C3": False}
    assert board().count(f'<span class="stale">{STALE}</span>') == 2
    assert [r["older_than_code"] for r in rows()] == [True, None, False]


def test_the_chapter_is_code_too_but_words_are_not(with_method):
    source = with_method / f"chapters/{CHAPTER}.py"
    text = source.read_text()
    source.write_text(text.replace("It shows that", "It really shows that"))
    write(
        with_method / "src/foundations/method.py",
        '"""Words."""\n\n\ndef two():\n    return 2  # 2\n',
    )
    assert ages()["C1"] is False
    source.write_text(text.replace("draw()", "draw(2)"))
    assert ages()["C1"]


def test_new_code_reaches_the_rendered_scoreboard(with_method):
    page = with_method / "_build/html/pages/scoreboard.html"
    site.build()
    assert page.read_text().count(STALE) == 1  # what it means
    write(with_method / "src/foundations/method.py", "def two():\n    return 1 + 1\n")
    assert site.build().rendered
    assert page.read_text().count(STALE) == 2


def test_the_ledger_is_told_the_code(with_method):
    inputs = dependencies.inputs(CHAPTER, "quick")
    result = Result(CHAPTER, "quick", "ok", inputs=inputs)
    accept.write_ledger(result)
    assert ledger.read(CHAPTER, "quick")["code"] == dependencies.chapter_code(CHAPTER)
    # Edited while it ran: which code was measured is not known.
    write(with_method / "src/foundations/method.py", "def two():\n    return 1 + 1\n")
    accept.write_ledger(result)
    assert "code" not in ledger.read(CHAPTER, "quick")


def test_each_benchmark_is_told_its_code(with_method):
    before, mark, claim = PAPER.partition("says: two is a billion")
    claim = claim.replace("kind: t\n", "kind: timing\n").replace("tolerance: 0.05\n", "")
    entry = before + mark + claim.replace("mean", "ratio").replace("1e9}", "1.0}")
    write(with_method / "data/papers/toy.yml", entry)
    ledger.record_timing(
        CHAPTER, "toy", "C3", [(2.0, 1.0), (2.1, 1.0), (1.9, 1.0)] * 2, peer="one", setting="none"
    )
    assert ages()["C3"] is False
    write(with_method / "src/foundations/method.py", "def two():\n    return 1 + 1\n")
    assert ages()["C3"] is True
