"""Chapters as notebooks: reading, cleaning, pairs, parameters, references."""

import json

import pytest
from nbformat import from_dict

from src.book.notebook import chapters, notebooks, references
from src.book.storage.errors import BookError


def notebook(*outputs, source="1", tags=()):
    """A notebook of one executed code cell with the given outputs."""
    cell = {
        "cell_type": "code",
        "id": "x",
        "execution_count": 1,
        "metadata": {"tags": list(tags)},
        "source": source,
        "outputs": list(outputs),
    }
    return from_dict({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def stream(text, name="stdout"):
    return {"output_type": "stream", "name": name, "text": text}


def display(**data):
    data = {key.replace("_", "/"): value for key, value in data.items()}
    return {"output_type": "display_data", "metadata": {"book": {}}, "data": data}


def test_reading_is_deterministic_and_ids_come_from_the_source(toys):
    name = toys.chapter("toys/one", "x = 1", "x = 1", "x = 2")
    first, second = chapters.find(name).notebook, chapters.find(name).notebook
    assert notebooks.dumps(first) == notebooks.dumps(second)
    ids = [cell.id for cell in first.cells]
    assert len(set(ids)) == len(ids)
    assert ids[-2] == f"{ids[-3]}-2"
    assert first.metadata.kernelspec.name == "python3"
    assert "jupytext_version" not in json.dumps(first.metadata)
    assert notebooks.dumps(first).endswith("}\n")


def test_chapters_are_listed_and_unknown_ones_name_the_valid(toys):
    toys.chapter("toys/two")
    toys.chapter("toys/one")
    (toys.root / "chapters/TEMPLATE.py").write_text("")
    assert [c.name for c in chapters.select()] == ["toys/one", "toys/two"]
    with pytest.raises(BookError, match=r"unknown chapter 'toys/on'; valid: toys/one, toys/two"):
        chapters.find("toys/on")


def test_a_faulty_header_says_so(toys):
    name = toys.chapter(
        "toys/one", header="# ---\n# jupyter:\n#   kernelspec:\n#     name: p\n# ---\n"
    )
    with pytest.raises(BookError, match=r"header with chapters/TEMPLATE\.py"):
        chapters.find(name).notebook


def test_a_file_that_is_no_notebook_says_so(tmp_path):
    file = tmp_path / "a.ipynb"
    for text in ("not JSON", "[]", '{"cells": 3, "nbformat": 4}'):
        file.write_text(text)
        with pytest.raises(BookError, match=r"a\.ipynb is not a notebook"):
            notebooks.load(file)
    with pytest.raises(BookError, match="is missing"):
        notebooks.load(tmp_path / "b.ipynb")


def test_what_is_written_is_read_back(toys, tmp_path):
    made = chapters.find(toys.chapter("toys/one", "print(1)\nprint(2)")).notebook
    (tmp_path / "a.ipynb").write_text(notebooks.dumps(made))
    assert notebooks.load(tmp_path / "a.ipynb") == made


def test_cleaning_drops_what_differs_from_run_to_run():
    raw = notebook(stream("a"), stream("b"), stream("c", "stderr"), stream("d"))
    raw.cells[0].metadata.papermill = {"duration": 1}
    raw.cells[0].metadata.execution = {"x": 1}
    raw.cells[0].execution_count = 3
    raw.metadata = from_dict({"papermill": {}, "widgets": {}, "language_info": {"version": "3"}})
    for tag in ("injected-parameters", "papermill-error-cell-tag"):
        added = notebook(source="y", tags=[tag]).cells[0]
        raw.cells.insert(0, added)
    clean = notebooks.clean(raw)
    assert [cell.source for cell in clean.cells] == ["1"]
    assert clean.cells[0].metadata == {}  # an empty list of tags goes too
    assert clean.cells[0].execution_count == 1
    assert [(o.name, o.text) for o in clean.cells[0].outputs] == [
        ("stdout", "ab"), ("stderr", "c"), ("stdout", "d"),
    ]  # fmt: skip
    assert set(clean.metadata) == {"jupytext", "kernelspec"}
    assert notebooks.dumps(notebooks.clean(clean)) == notebooks.dumps(clean)


def test_a_pair_is_compared_by_content(toys):
    name = toys.chapter("toys/one", "x = 1")
    source = chapters.find(name).notebook
    assert notebooks.source_differences(source, chapters.find(name).notebook) == []
    for field, value in (("source", "x = 2"), ("metadata", {"tags": ["a"]}), ("id", "other")):
        pair = chapters.find(name).notebook
        pair.cells[-1][field] = value
        assert field in notebooks.source_differences(source, pair)[0]
    pair = chapters.find(name).notebook
    pair.cells.pop()
    assert "cells in the .py" in notebooks.source_differences(source, pair)[-1]


HEAD = '# %% [markdown]\n# # T\n\n# %% tags=["parameters"]\n'
SIZES = '\n# %%\nSIZES = {"quick": {"n": (1, 2)}, "cpu": {}}\n'


@pytest.fixture
def read(toys):
    """Make a chapter "toys/c" of the text of its parameters cell, or of a whole source."""

    def make(cell="", source=None):
        toys.chapter("toys/c", header=HEAD + cell + SIZES if source is None else source)
        return chapters.find("toys/c")

    return make


def test_parameters_are_checked_and_converted(read):
    made = read('profile = "quick"\nseed = 0\nrate: float = 0.1\nfast = True\nsteps = [1]')
    assert made.profiles == ["quick", "cpu"]
    given = {"seed": "3", "rate": "2", "fast": "false", "steps": "[4]", "profile": "cpu"}
    checked = made.validate(given)
    assert checked == {"seed": 3, "rate": 2.0, "fast": False, "steps": [4], "profile": "cpu"}
    assert type(checked["rate"]) is float


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sed": 1}, "unknown parameter of toys/c 'sed'; valid: profile, seed, fast"),
        ({"seed": "1.5"}, "seed must be a whole number, not '1.5'"),
        ({"seed": True}, "seed must be a whole number, not True"),
        ({"fast": "maybe"}, "fast must be true or false"),
        ({"profile": "huge"}, "unknown profile of toys/c 'huge'; valid: quick, cpu"),
    ],
)
def test_wrong_parameters_name_the_valid(read, given, message):
    made = read('profile = "quick"\nseed = 0\nfast = False')
    with pytest.raises(BookError, match=message):
        made.validate(given)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ('profile = "quick"\nseed = 0\nwarm = seed // 10', "not `warm = seed // 10`"),
        ('profile = "quick"\nseed = 0\nimport os', "not `import os`"),
        ('profile = "quick"', "must set seed to a whole number"),
        ('profile = "quick"\nseed = (', "syntax error"),
    ],
)
def test_a_faulty_parameters_cell_says_so(read, cell, message):
    with pytest.raises(BookError, match=message.replace("(", r"\(")):
        read(cell).schema


def test_missing_parameters_and_sizes_say_so(read):
    with pytest.raises(BookError, match="0 cells are tagged parameters"):
        read(source="# %%\nx = 1\n").schema
    with pytest.raises(BookError, match="no literal dictionary SIZES"):
        read(source="# %%\nSIZES = make()\n").profiles


def test_a_reference_holds_text_only():
    made = notebook(
        stream("hi"),
        display(image_png="aGk=", text_plain="[figure]"),
        display(image_png="aGk="),
        display(text_html="<img src='data:image/png;base64,aGk='>", text_plain="picture"),
        display(**{"application/json": {}, "text_html": "<b>3</b>"}),
    )
    kept = references.reference(made).cells[0].outputs
    assert [o.get("text") or dict(o.data) for o in kept] == [
        "hi", {"text/plain": "[figure]"}, {"text/plain": "picture"}, {"text/html": "<b>3</b>"},
    ]  # fmt: skip
    assert all(o.get("metadata", {}) == {} for o in kept)


def test_a_reference_says_things_once_except_to_nbval():
    output = display(text_html="<b>3</b>", text_plain="3")
    [kept] = references.reference(notebook(output)).cells[0].outputs
    assert kept.data == {"text/html": "<b>3</b>"}
    marked = notebook(output, tags=["nbval-check-output"])
    assert len(references.reference(marked).cells[0].outputs[0].data) == 2


def test_a_reference_must_have_run():
    stripped = notebook()
    stripped.cells[0].execution_count = None
    with pytest.raises(BookError, match=r"cells \[1\] were not executed"):
        references.reference(stripped)
    raised = notebook({"output_type": "error", "ename": "E", "evalue": "no", "traceback": []})
    with pytest.raises(BookError, match="cell 1 raised E: no"):
        references.reference(raised)


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("loss 0.31 after 5", "loss 0.32 after 5", True),
        ("loss 0.31", "loss 0.41", False),
        ("C20 supported", "C21 supported", False),
        ("C1 supported", "C1 not supported", False),
        ("1.2e-17", "-3e-12", True),
        ("1e-17", "1e-3", False),
        ("a   1.0\nb", "a 1.0 b", True),
        ("[0.12, 0.50]", "[0.12,0.51]", True),
        ("-0.5", "\N{MINUS SIGN}0.5", True),
        ("0.5", "-0.5", False),
        ("x", "x y", False),
        ("nan", "0.3", False),
    ],
)
def test_texts_agree_up_to_the_tolerance_of_their_numbers(before, after, same):
    for pair in ((before, after), (after, before)):
        differences = references.text_differences(*(notebook(stream(text)) for text in pair))
        assert (differences == []) is same


def test_a_difference_is_shown_with_both_texts_and_html_is_text():
    before = notebook(display(text_html="<p style='a'>mean <b>0.31</b></p><style>q</style>"))
    after = notebook(display(text_html="<div>mean 0.32</div>"))
    assert references.text_differences(before, after) == []
    after.cells[0].outputs[0].data["text/html"] = "<div>mean 0.52</div>"
    [(cell, what)] = references.text_differences(before, after)
    assert cell == 1 and "'mean 0.31'" in what and "'mean 0.52'" in what
    before.cells[0].metadata.tags = ["timing"]
    assert references.text_differences(before, after) == []
    after.cells[0].source = "2"
    assert "another source" in references.text_differences(before, after)[0][1]
