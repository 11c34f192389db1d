"""Staging: which notebook becomes the page, where figures' words go, what a failed run shows."""

import json

import nbformat
import pytest

from src.book.chapter.source import Source
from src.book.notebook import chapters, notebooks
from src.book.site.stage import stage
from src.book.storage import dependencies
from src.book.storage.errors import BookError
from tests.site.fake_book import CHAPTER, SOURCE, figure_outputs, run_result, write


def page(root, chapter=CHAPTER):
    return nbformat.read(root / f"_build/stage/chapters/{chapter}.ipynb", as_version=4)


def test_figure_words_are_lifted_into_the_cell(toy):
    run_result(toy)
    assert stage().sources[CHAPTER] == "run"
    cell = page(toy).cells[-1]
    assert cell.metadata["mystnb"] == {
        "figure": {"name": "foundations-toy-idea", "caption": "Two *and* one."},
        "image": {
            "alt": "A white rectangle that stands for a figure.",
            "width": "672px",
            "height": "346px",
        },
    }
    assert len(cell.outputs) == 1  # the page has the caption already
    assert cell.metadata["tags"] == ["hide-input"]


def test_two_figures_in_a_cell_are_refused(toy):
    run_result(toy, outputs=figure_outputs() + figure_outputs())
    with pytest.raises(BookError, match="foundations/toy, cell 4: one figure a cell"):
        stage()


def test_page_falls_back_to_reference_then_to_source(toy):
    assert stage().sources[CHAPTER] == "source"
    assert "has not been run yet" in page(toy).cells[0].source
    reference = notebooks.read_source(SOURCE)
    reference.cells[-1].outputs = [nbformat.v4.new_output("stream", text="from the reference")]
    write(toy / f"chapters/{CHAPTER}.ipynb", notebooks.dumps(reference))
    assert stage().sources[CHAPTER] == "reference"
    assert page(toy).cells[-1].outputs[0].text == "from the reference"
    assert "not been run" not in page(toy).cells[0].source
    run_result(toy)
    assert stage().sources[CHAPTER] == "run"


def test_new_words_reach_the_page_without_a_new_run(toy):
    code = dependencies.chapter_code(CHAPTER)
    run_result(toy, inputs={"code": code})
    source = toy / f"chapters/{CHAPTER}.py"
    text = source.read_text()
    source.write_text(text.replace("It shows that", "It really shows that"))
    assert stage().sources[CHAPTER] == "run"
    assert "It really shows that" in page(toy).cells[0].source
    assert page(toy).cells[-1].outputs
    # With other code the page stays as it was run.
    source.write_text(text.replace("It shows that", "It never shows that") + "\n# %%\n1 + 1\n")
    stage()
    assert "It shows that" in page(toy).cells[0].source


def test_a_shown_source_says_where_it_stands_today(toy):
    method = toy / "src/foundations/method.py"
    write(method, "def two():\n    return 2\n")
    cells = "\n# %%\nfrom src.foundations.method import two\n\n# %%\nshow(two, two)\n"
    write(toy / f"chapters/{CHAPTER}.py", SOURCE + cells)
    shown = Source(["def two():\n    return 2", "def gone(): ..."])
    reference = chapters.find(CHAPTER).notebook
    data = {"text/markdown": shown._repr_markdown_()}
    reference.cells[-1].outputs = [nbformat.v4.new_output("display_data", data)]
    write(toy / f"chapters/{CHAPTER}.ipynb", notebooks.dumps(reference))

    def text():
        stage()
        return page(toy).cells[-1].outputs[0].data["text/markdown"]

    code = "def two():\n    return 2\n\n\ndef gone(): ...\n```"
    assert text() == f"```python\n# src/foundations/method.py, lines 1-2\n{code}"
    write(method, "x = 1\n\n\ndef two():\n    return 2\n")
    assert text() == f"```python\n# src/foundations/method.py, lines 4-5\n{code}"
    write(method, "def two():\n    return 1 + 1\n")
    assert text() == f"```python\n{code}"


def test_failed_run_is_told_under_the_title_above_the_last_good_outputs(toy):
    log = f"_build/runs/quick/{CHAPTER}.log"
    run_result(toy, status="failed", cell=4, reason="Traceback\nValueError: `x` is 0", log=log)
    stage()
    title, _, rest = page(toy).cells[0].source.partition("\n\n")
    assert title == "# A toy chapter"
    assert rest.startswith("```{admonition} The last run of this chapter failed\n:class: warning")
    assert "in cell 4: `` ValueError: `x` is 0 ``" in rest
    assert f"`{log}`" in rest
    assert "last run that succeeded" in rest
    assert rest.endswith("It shows that two is more than one.")
    assert page(toy).cells[-1].outputs


def test_failed_first_run_has_a_page_without_outputs(toy):
    result = {"chapter": CHAPTER, "profile": "quick", "status": "failed", "reason": "it died"}
    write(toy / f"_build/runs/quick/{CHAPTER}.json", json.dumps(result))
    assert stage().sources[CHAPTER] == "source"
    first = page(toy).cells[0].source
    assert "last run of this chapter failed" in first
    assert "`it died`. This page has no outputs." in first


def test_only_what_changed_is_written(toy):
    run_result(toy)
    folder = stage().folder
    before = {f: f.stat().st_mtime_ns for f in folder.rglob("*") if f.is_file()}
    (toy / "pages/how_we_judge.md").write_text("# Changed\n")
    stage()
    after = {f: f.stat().st_mtime_ns for f in folder.rglob("*") if f.is_file()}
    assert [f.name for f in after if after[f] != before[f]] == ["how_we_judge.md"]


def test_what_is_gone_leaves_the_stage(toy):
    stage()
    (toy / "chapters/gnn/other.py").unlink()
    folder = stage().folder
    assert not (folder / "chapters/gnn").exists()


def test_staged_paths_are_the_committed_paths(toy):
    staged = stage()
    for chapter in staged.sources:
        assert f"chapters/{chapter}.ipynb" in staged.files
        assert (toy / f"chapters/{chapter}.py").exists()
