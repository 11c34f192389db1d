"""The gates: a good book passes, and each planted fault is found."""

import base64
import contextlib
import hashlib
import json

import pytest
from nbformat import from_dict

from src.book.__main__ import main
from src.book.acceptance import gates
from src.book.acceptance.accept import accept, write_ledger
from src.book.acceptance.committed import Committed
from src.book.evidence import ledger
from src.book.evidence.claims import describe_kept
from src.book.execution import runner
from src.book.execution.results import read_result
from src.book.notebook import chapters
from src.book.storage import paths
from src.book.storage.errors import BookError
from tests.book.toy_book import ToyBook

MEASURE = """
import json, os
def tell(**event):
    with open(os.environ["BOOK_RECORD"], "a") as stream:
        stream.write(json.dumps(event) + "\\n")
value = 0.5
about = {"paper": "one", "claim": "C1", "verdict": "supported", "n": 5, "unit": "seed"}
tell(event="measure", estimate=value, low=value - 0.1, high=value + 0.1,
     samples=[value] * 5, statistic="mean", **about)
"""
FIGURE = """
from IPython.display import display
about = {"name": "curve", "caption": "A curve."}
about["alt"] = "A curve that rises from left to right."
data = {"image/png": "aGk=", "text/plain": "[figure]"}
display(data, metadata={"book": about}, raw=True)
"""
NAME = "foundations/one"


@pytest.fixture(scope="module")
def accepted(tmp_path_factory):
    """The files of a small book that has been run and accepted: run once, copied for each test."""
    root = tmp_path_factory.mktemp("accepted")
    for folder in ("data/papers", "data/results", "chapters", "src"):
        (root / folder).mkdir(parents=True)
    (root / "data/datasets.yml").write_text("{}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOOK_ROOT", str(root))
        patch.delenv("BOOK_BUILD", raising=False)
        toys = ToyBook(root)
        toys.chapter(NAME, MEASURE, FIGURE, "print('mean', 0.31)")
        toys.paper("one", NAME)
        assert runner.exit_status(runner.run()) == 0
        assert [f.name for f in accept()] == ["one.ipynb", "one.json"]
    return root


@pytest.fixture
def good(accepted, toys):
    """A book that passes every gate."""
    import shutil

    shutil.copytree(accepted, toys.root, dirs_exist_ok=True)
    return toys


def edit(file, change):
    """Change the content of a JSON file."""
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def reference():
    return chapters.find(NAME).pair


def page():
    return paths.run_file(NAME, "quick")


def problems():
    return [str(problem) for problem in gates.check()]


def assert_only(*parts):
    """Exactly one problem, which holds these words."""
    [found] = problems()
    assert all(part in found for part in parts), found


def test_a_good_book_passes(good, capsys):
    assert problems() == []
    assert main(["check"]) == 0
    assert "all gates passed" in capsys.readouterr().out
    committed = reference().read_text()
    assert '"image/png": "' not in committed and "[figure]" in committed
    assert '"image/png": "' in page().read_text()
    assert accept() == [], "accepting twice changes nothing"


def test_an_error_in_a_reference_or_page(good, capsys):
    def plant(content):
        content["cells"][-1]["outputs"] = [
            {"output_type": "error", "ename": "E", "evalue": "no", "traceback": []}
        ]

    edit(reference(), plant)
    found = problems()
    assert f"{NAME}, cell 6: shows an error: E: no" in found
    assert main(["check"]) == 1
    assert "E: no" in capsys.readouterr().out
    edit(page(), plant)
    assert [str(p) for p in gates.check_page(Committed(chapters.find(NAME)))] == [
        f"{NAME}, cell 6: shows an error: E: no"
    ]


def test_a_stripped_reference(good):
    edit(reference(), lambda content: content["cells"][-1].update(execution_count=None, outputs=[]))
    found = problems()
    assert any("cell 6: its execution count is missing" in problem for problem in found)


def test_a_stale_pair(good):
    file = good.root / f"chapters/{NAME}.py"
    file.write_text(file.read_text().replace("Some words.", "Other words."))
    found = problems()
    assert any("stale pair: cell 1: source" in p and "make accept" in p for p in found)
    assert not any("python -m src.book run" in p for p in found)  # words need no new run
    assert [f.suffix for f in accept()] == [".ipynb"]
    assert problems() == []


def test_a_run_of_other_code(good):
    file = good.root / f"chapters/{NAME}.py"
    file.write_text(file.read_text() + "\n# %%\n1 + 1\n")
    assert any(f"chapters/{NAME}.py changed; python -m src.book run" in p for p in problems())
    with pytest.raises(BookError, match=f"{NAME}.py changed; first: python -m src.book run"):
        accept()


def test_a_claim_that_drifts_and_a_verdict_that_changes(good):
    entry = paths.results_file(NAME, "quick")
    edit(entry, lambda content: content["measurements"][0].update(estimate=0.8))
    assert_only("one C1: estimate was 0.8, now 0.5; tolerance 0.1")
    edit(
        entry,
        lambda content: content["measurements"][0].update(estimate=0.5, verdict="not supported"),
    )
    assert_only("one C1: the verdict was not supported, now supported")


def test_a_text_that_changes_beyond_tolerance(good):
    def say(text):
        return lambda content: content["cells"][-1]["outputs"][0].update(text=[text])

    edit(reference(), say("mean 0.312\n"))
    assert problems() == []
    edit(reference(), say("mean 0.42\n"))
    assert_only("cell 6: the reference says 'mean 0.42", "this run says 'mean 0.31", "make accept")


def test_a_reference_that_is_no_notebook(good):
    reference().write_text("<<<<<<< HEAD")
    assert_only("one.ipynb is not a notebook")
    reference().unlink()
    assert_only("no reference yet: make accept CHAPTER=foundations/one")


def test_a_failed_or_missing_run(good):
    edit(paths.run_file(NAME, "quick", ".json"), lambda content: content.update(status="failed"))
    assert_only("the last run failed; python -m src.book run foundations/one")
    with pytest.raises(BookError, match="the last run failed; first"):
        accept()
    paths.run_file(NAME, "quick", ".json").unlink()
    assert_only("not run yet")


def test_a_quick_run_that_fetches_or_takes_far_too_long(good):
    result = paths.run_file(NAME, "quick", ".json")
    edit(result, lambda content: content.update(seconds=130.0, cpu_seconds=125.0, slowness=2.0))
    took = "took 62 s on the machine that budgets are stated for, 130 s on this one"
    assert_only(f"{took}; its budget is 30 s")
    (good.root / "data/datasets.yml").write_text(
        "digits:\n  description: d\n  licence: l\n  citation: c\n  files:\n"
        f"    a: {{sha256: '{'0' * 64}', bytes: 1, url: null, mirror: a}}\n"
    )
    from src.book.storage.data import registry

    data = [{"name": "digits", "sha256": registry()["digits"].sha256}]
    edit(result, lambda content: content.update(seconds=1.0, data=data))
    assert_only("the quick profile fetches data (digits)")


def test_catalogue_and_chapters_must_match(good):
    good.paper("two", "foundations/two")
    assert_only("data/papers/two.yml: there is no chapters/foundations/two.py")
    (good.root / "data/papers/two.yml").unlink()
    good.chapter("foundations/three")
    assert any("foundations/three: no paper in data/papers names" in p for p in problems())
    (good.root / "data/papers/one.yml").write_text("title: [\n")
    assert any("one.yml, line 2: not valid YAML" in p for p in problems())


def test_a_source_without_parameters_or_with_bad_headings(good):
    file = good.root / f"chapters/{NAME}.py"
    text = file.read_text()
    file.write_text(text.replace("parameters", "parameter"))
    assert any("0 cells are tagged parameters" in p for p in problems())
    file.write_text(text.replace('"quick"', '"cpu"'))
    found = problems()
    assert any('must set profile = "quick"' in p for p in found)
    assert any("SIZES has no quick profile" in p for p in found)
    file.write_text(text + "\n# %% [markdown]\n# # Second\n#\n# #### Deep\n")
    found = problems()
    assert any("2 found" in p for p in found)
    assert any("cell 7: a heading of level 4 follows one of 1" in p for p in found)
    file.write_text(text + "\n# %% [markdown]\n# ## Fine\n#\n# ```\n# # code\n# ```\n")
    assert not any("heading" in p or "title" in p for p in problems())


def made(*outputs):
    cell = {
        "cell_type": "code", "id": "x", "execution_count": 1, "metadata": {}, "source": "1",
        "outputs": list(outputs),
    }  # fmt: skip
    return from_dict({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("done 2026-08-17 14:03:11", "a time stamp"),
        ("<Thing at 0x7f3a12c0>", "an object's address"),
        ("read /home/ada/x.txt", "an absolute path"),
        ("100%|####| 5/5 [00:01, 3.10it/s]", "a progress bar"),
    ],
)
def test_what_differs_between_machines_is_not_printed(text, what):
    output = {"output_type": "stream", "name": "stdout", "text": text}
    assert gates.reference_problems(made(output)) == [(1, f"prints {what}; do not print it")]


def test_what_may_be_printed():
    text = "shape 3/4, 2026-08-17, a/b/c, 1e-3 at 0.5, https://example.org/home/x\n"
    output = {"output_type": "stream", "name": "stdout", "text": text}
    assert gates.reference_problems(made(output)) == []


def test_references_hold_no_images_metadata_or_warnings():
    image = {"output_type": "display_data", "metadata": {}, "data": {"image/png": "aGk="}}
    assert "image/png" in gates.reference_problems(made(image))[0][1]
    marked = {"output_type": "display_data", "metadata": {"a": 1}, "data": {"text/plain": "x"}}
    assert "metadata" in gates.reference_problems(made(marked))[0][1]
    warning = {"output_type": "stream", "name": "stderr", "text": "Warning: old"}
    assert "stderr (Warning: old)" in gates.page_problems(made(warning))[0][1]


def image(**about):
    data = {"image/png": base64.b64encode(b"x").decode()}
    return {"output_type": "display_data", "metadata": {"book": about}, "data": data}


GOOD = {"name": "a", "caption": "A caption.", "alt": "A line that rises from left to right."}


@pytest.mark.parametrize(
    ("figures", "what"),
    [
        ([image()], "that run.figure did not make"),
        ([image(**{**GOOD, "alt": "a figure"})], "is no description"),
        ([image(**{**GOOD, "alt": "attention_maps_of_the_model.png"})], "is no description"),
        ([image(**{**GOOD, "caption": " "})], "the caption is empty"),
        ([image(**GOOD), image(**{**GOOD, "name": "b"})], "more than one figure in a cell"),
        ([image(**GOOD), image(**GOOD)], "a figure of the same name"),
    ],
)
def test_figures_that_not_everybody_can_read(figures, what):
    assert any(what in said for _, said in gates.figure_problems(made(*figures)))
    assert gates.figure_problems(made(image(**GOOD))) == []


def test_what_a_cell_calls_but_does_not_show(good):
    file = good.root / f"chapters/{NAME}.py"
    file.write_text(f"{file.read_text()}\n# %%\nrun.verdicts()\nrun.at_scale()\n")
    assert any("cell 7: run.verdicts(...) is not shown" in p for p in problems())
    assert not any("run.at_scale" in p for p in problems())


def test_a_cell_that_only_imports_is_folded(good):
    file = good.root / f"chapters/{NAME}.py"
    cell = "import json\nimport math\njson.dumps(math.pi)\n"
    file.write_text(f'{file.read_text()}\n# %%\n{cell}\n# %% tags=["hide-input"]\n{cell}')
    found = [p for p in problems() if "it only imports" in p]
    assert len(found) == 1
    assert 'cell 7: it only imports: fold it with tags=["hide-input"]' in found[0]


def test_code_that_a_page_would_cut_off_is_found(good):
    file = good.root / f"chapters/{NAME}.py"
    file.write_text(f"{file.read_text()}\n# %%\nx = {'1' * 84}\n\n# %%\nx = {'1' * 85}\n")
    found = [p for p in problems() if "columns" in p]
    assert found == [f"{NAME}, cell 8: a line of code has 89 columns; a page shows 88"]


def test_a_topic_chapter_may_hold_more_but_not_any_amount(good, monkeypatch):
    text = {"output_type": "stream", "name": "stdout", "text": ["x" * 101_000]}
    edit(reference(), lambda content: content["cells"][-1].update(outputs=[text]))
    assert gates.check_reference(Committed(chapters.find(NAME)))
    monkeypatch.setattr(chapters.dependencies, "papers_of", lambda _: ["one", "another"])
    assert gates.check_reference(Committed(chapters.find(NAME))) == []
    monkeypatch.setattr(gates, "MORE_A_PAPER", 1_000)
    [problem] = gates.check_reference(Committed(chapters.find(NAME)))
    assert "more than 101 kB; print less" in problem.what


def spoil_source(old, new):
    def spoil(book):
        file = book.root / f"chapters/{NAME}.py"
        text = file.read_text()
        assert old in text
        file.write_bytes(text.replace(old, new).encode())

    return spoil


def spoil_result(**fields):
    return lambda book: edit(
        paths.run_file(NAME, "quick", ".json"), lambda content: content.update(fields)
    )


# What makes a run that went well no reference: how it is planted, and what is said of it.
UNACCEPTABLE = {
    "too much": (spoil_source("print('mean'", "print('x' * 100_001)\nprint('mean'"), "print less"),
    "an address": (spoil_source("print('mean'", "print(object(), 'mean'"), "an object's address"),
    "a wide line": (spoil_source("print('mean'", f"# {'-' * 87}\nprint('mean'"), "89 columns"),
    "two titles": (spoil_source("# Some words.", "# # Some words"), "2 found"),
    "no figure": (spoil_source("A curve that rises from left to right.", "A"), "is no description"),
    "a byte order mark": (spoil_source("# ---", "\ufeff# ---"), "a byte order mark; save it"),
    "line ends": (spoil_source("Some words.\n", "Some words.\r\n"), "it ends in CR LF; save"),
    "a claim that is gone": (
        lambda book: (book.root / "data/papers/one.yml").write_bytes(
            (book.root / "data/papers/one.yml").read_bytes().replace(b"C1:", b"C2:")
        ),
        "unknown claim of one 'C1'",
    ),
    "time": (
        spoil_result(seconds=70.0, cpu_seconds=65.0, slowness=1.0),
        "70 s on this one; its budget is 30 s",
    ),
    "no paper": (lambda book: book.chapter("foundations/two", "1"), "no paper in data/papers"),
    "no chapter": (lambda book: book.paper("two", "foundations/two"), "there is no chapters/"),
    "a name": (lambda book: book.chapter("foundations/Big", "1"), "is no chapter and is not run"),
    "a damaged ledger": (
        lambda book: write(paths.results_file(NAME, "gpu"), "{"), "delete it and make it again",
    ),
}  # fmt: skip


def write(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.mark.parametrize("fault", UNACCEPTABLE)
def test_what_check_would_refuse_afterwards_is_not_accepted(good, monkeypatch, fault):
    spoil, says = UNACCEPTABLE[fault]
    spoil(good)
    runner.run()
    before = {f: f.read_bytes() for f in (reference(), paths.results_file(NAME, "quick"))}
    with pytest.raises(BookError, match="nothing was accepted:\n") as refused:
        accept()
    assert says in str(refused.value), refused.value
    assert {f: f.read_bytes() for f in before} == before
    with monkeypatch.context() as patch, contextlib.suppress(BookError):
        patch.setattr(gates, "check_chapter", lambda _: [])
        patch.setattr(gates, "check_book", list)
        accept()
    assert any(says in problem for problem in problems()), "check would have said it"


def test_accept_asks_every_gate(good, monkeypatch):
    for gates_of, asked in (("GATES", [NAME]), ("BOOK_GATES", None)):
        for number, gate in enumerate(getattr(gates, gates_of)):
            said = gates.Problem("here", 0, f"planted in {gate.__name__}")
            planted = list(getattr(gates, gates_of))
            planted[number] = lambda *_, said=said: [said]
            with monkeypatch.context() as patch:
                patch.setattr(gates, gates_of, tuple(planted))
                with pytest.raises(BookError, match=said.what):
                    accept(asked)


def test_what_accept_replaces_anyway_does_not_stop_it(good):
    entry = paths.results_file(NAME, "quick")
    before = {file: file.read_bytes() for file in (reference(), entry)}
    for spoiled in (b"<<<<<<< HEAD\n", b"\xef\xbb\xbf{}", b"{", b"{\r\n}\r\n"):
        for file in before:
            file.write_bytes(spoiled)
        assert problems()
        assert {f.name for f in accept()} == {f.name for f in before}
        assert {f: f.read_bytes() for f in before} == before


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"", b"<<<<<<< HEAD\n"])
def test_a_byte_order_mark_or_line_end_is_told_once_wherever_it_stands(good, mark):
    files = [
        f"chapters/{NAME}.py", f"chapters/{NAME}.ipynb", "data/papers/one.yml", "data/datasets.yml",
        f"data/results/quick/{NAME}.json", f"data/results/cpu/{NAME}.json",
        "data/papers/planned.jsonl",
    ]  # fmt: skip
    write(good.root / files[5], '{\n"measurements": []}\n')
    write(good.root / files[6], "")
    says = "starts with a byte order mark; save it as UTF-8 without it"
    says = says if mark else "it ends in CR LF; save with LF alone: sed -i"
    says = "a merge is not finished" if mark.startswith(b"<") else says
    for name in files:
        file = good.root / name
        content = file.read_bytes() or b"\n"
        file.write_bytes(mark + content if mark else content.replace(b"\n", b"\r\n"))
        told = [problem for problem in problems() if says in problem]
        assert told and all(name in problem for problem in told), (name, problems())
        assert len(told) == 1, told
        file.write_bytes(content)


def test_larger_results_go_to_the_ledger_with_their_seed(good, capsys):
    assert main(["results", "--profile", "cpu", NAME]) == 0
    entry = ledger.read(NAME, "cpu")
    assert entry["seed"] == 0 and entry["measurements"][0]["estimate"] == 0.5
    assert {"date", "device", "python"} <= entry["provenance"].keys()
    assert "wrote data/results/cpu/foundations/one.json" in capsys.readouterr().out
    # The quick page shows them, so it must be run again.
    assert any("data/results/cpu/foundations/one.json changed" in p for p in problems())
    assert write_ledger(read_result(NAME, "cpu")) == paths.results_file(NAME, "cpu")


def test_a_measured_number_in_a_text_may_move_as_far_as_its_claim_allows(good):
    entry = paths.results_file(NAME, "quick")
    kept = json.loads(entry.read_text())["measurements"][0]

    def move(by):
        moved = {k: kept[k] + by for k in ("estimate", "low", "high")}
        edit(entry, lambda content: content["measurements"][0].update(moved))
        words = describe_kept({**kept, **moved})
        page = paths.run_file(NAME, "quick")
        edit(page, lambda content: say(content, f"C1: {describe_kept(kept)}\n"))
        digest = hashlib.sha256(page.read_bytes()).hexdigest()  # as if the run had written it
        edit(page.with_suffix(".json"), lambda content: content.update(page=digest))
        edit(reference(), lambda content: say(content, f"C1: {words}\n"))

    def say(content, text):
        content["cells"][-1]["outputs"][0].update(text=[text])

    move(0.09)  # 18 % of the number: too much for a text, within the claim's tolerance of 0.1
    assert problems() == []
    move(0.2)
    assert all("tolerance 0.1" in problem for problem in problems())
    assert problems()
