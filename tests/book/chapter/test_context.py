"""The run context: parameters, streams, measurements, units, figures, tables."""

import dataclasses
import json

import matplotlib.pyplot as plt
import pytest
import torch

from src.book.chapter import context
from src.book.chapter.context import OutOfTime, start
from src.book.evidence import claims, ledger
from src.book.storage import content_keys, data, events, paths
from src.book.storage.errors import BookError
from tests.conftest import PAPER

SIZES = {"quick": {"n": 3}, "cpu": {"n": 9}}


@pytest.fixture
def run(probe_paper):
    return start("foundations/probe", profile="quick", seed=0, sizes=SIZES)


@pytest.fixture
def record(tmp_path, monkeypatch):
    file = tmp_path / "events.jsonl"
    monkeypatch.setenv("BOOK_RECORD", str(file))
    return file


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"chapter": "foundations/nope"}, "unknown chapter 'foundations/nope'; valid: foundations"),
        ({"profile": "slow"}, "unknown profile of foundations/probe 'slow'; valid: quick, cpu"),
        ({"seed": "1"}, "seed must be a whole number"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"seed": True}, "seed must be a whole number"),
        ({"seed": -1}, "at least 0"),
        ({"sizes": {"tiny": {}}}, "unknown profile in sizes 'tiny'; valid: quick, cpu, gpu"),
    ],
)
def test_wrong_parameters_list_the_valid_ones(probe_paper, changes, says):
    good = {"chapter": "foundations/probe", "profile": "quick", "seed": 0, "sizes": SIZES}
    arguments = {**good, **changes}
    with pytest.raises(BookError, match=says):
        start(arguments.pop("chapter"), **arguments)


def test_sizes_device_and_threads_follow_the_profile(run):
    assert run.sizes.n == 3
    assert run.device == torch.device("cpu")
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()
    assert "foundations/probe, profile quick, seed 0" in repr(run)


def test_measure_judges_and_tells_the_executor(run, record):
    measured = run.measure("probe", "C1", torch.tensor([1.0, 1.1, 0.9, 1.0, 1.2]))
    assert repr(measured) == "C1: mean 1.04 [0.898, 1.18], n = 5 seeds: supported"
    (event,) = events.read(record)
    assert event["event"] == "measure"
    assert (event["paper"], event["claim"], event["verdict"]) == ("probe", "C1", "supported")
    assert event["samples"] == pytest.approx([1.0, 1.1, 0.9, 1.0, 1.2])


@pytest.mark.parametrize(
    ("paper", "claim", "samples", "says"),
    [
        ("nope", "C1", [1.0] * 5, "unknown paper of foundations/probe 'nope'; valid: probe"),
        ("probe", "C7", [1.0] * 5, "unknown claim of probe 'C7'; valid: C1, C2"),
        ("probe", "C1", [], "the catalogue says that the quick profile tests it"),
        ("probe", "C1", [float("inf")], "not finite"),
    ],
)
def test_wrong_measurements_are_refused(run, paper, claim, samples, says):
    with pytest.raises(BookError, match=says):
        run.measure(paper, claim, samples)


def test_verdicts_want_every_claim(run, capsys):
    run.measure("probe", "C1", [1.0, 1.1, 0.9, 1.0, 1.2])
    with pytest.raises(BookError, match=r"probe C2 was not measured: call run.measure"):
        run.verdicts()
    run.measure("probe", "C2", [1e-9, 2e-3])
    table = run.verdicts()
    assert table.header == ["Claim", "It says", "The paper reports", "We measured", "Verdict"]
    assert [row[-1] for row in table.rows] == ["supported", "not supported"]
    assert 'class="verdict verdict-not-supported"' in table._repr_html_()
    run.verdict_words()
    assert capsys.readouterr().out == "C1 supported\nC2 not supported\n"


def test_the_verdicts_of_one_paper_of_a_topic_chapter(book_root, capsys):
    for name in ("probe", "second"):
        (book_root / f"data/papers/{name}.yml").write_text(PAPER)
    run = start("foundations/probe", profile="quick", seed=0, sizes=SIZES)
    run.measure("second", "C1", [1.0, 1.1, 0.9, 1.0, 1.2])
    run.measure("second", "C2", [1e-9])
    table = run.verdicts("second")  # the other paper's section may come later
    assert table.header[0] == "Claim"
    assert [row[-1] for row in table.rows] == ["supported", "supported"]
    with pytest.raises(BookError, match="unknown paper of foundations/probe 'third'"):
        run.verdicts("third")
    with pytest.raises(BookError, match="probe C1 was not measured"):
        run.verdicts()


def test_a_claim_outside_the_profile_says_why(book_root, capsys):
    limited = "    tolerance: 0.1\n    profiles: [cpu]\n    not_tested: needs an hour\n"
    (book_root / "data/papers/probe.yml").write_text(PAPER.replace("    tolerance: 0.1\n", limited))
    run = start("foundations/probe", profile="quick", seed=0, sizes=SIZES)
    run.measure("probe", "C2", [0.0])
    assert run.verdicts().rows[0][-2:] == ["needs an hour", "not tested"]
    at_scale = claims.measure("probe", "C1", [1.0, 1.1, 0.9, 1.0, 1.2]).as_json()
    ledger.write("foundations/probe", "cpu", {"measurements": [at_scale]})
    said = "needs an hour (the cpu profile says: supported; see At scale)"
    assert run.verdicts().rows[0][-2:] == [said, "not tested"]


def test_a_verdict_that_a_larger_profile_does_not_share_says_so(run):
    run.measure("probe", "C1", [1.0, 1.1, 0.9, 1.0, 1.2])
    run.measure("probe", "C2", [1e-9])
    alike = claims.measure("probe", "C1", [1.0, 1.1, 0.9, 1.1, 1.2]).as_json()
    other = claims.measure("probe", "C2", [1.0]).as_json()
    ledger.write("foundations/probe", "cpu", {"measurements": [alike, other]})
    first, second = run.verdicts().rows
    assert "cpu" not in first[-2]
    assert second[-2].endswith(" (the cpu profile says: not supported; see At scale)")
    assert [first[-1], second[-1]] == ["supported", "supported"]


def test_record_falls_back_to_the_larger_profile(run, record):
    assert run.record("curve", [1, 2]) == context.Recorded([1, 2], "")
    assert run.record("table", None).value is None
    ledger.write("foundations/probe", "cpu", {"measurements": [], "recorded": {"table": {"a": 1}}})
    found = run.record("table", None)
    assert found.value == {"a": 1}
    assert found.source.startswith("measured in the cpu profile on ")


def test_units_resume_in_the_larger_profiles(probe_paper, record, monkeypatch):
    calls = []

    def work(x, scale=1):
        calls.append(x)
        return {"value": torch.tensor([x * scale])}

    work.__module__ = "src.book.storage.errors"  # any module of src
    run = start("foundations/probe", profile="cpu", seed=0, sizes=SIZES)
    assert run.unit("u", work, 2, scale=3) == {"value": [6]}
    assert run.unit("u", work, 2, scale=3) == {"value": [6]}
    assert calls == [2]
    run.unit("u", work, 2, scale=4)
    start("foundations/probe", profile="cpu", seed=1, sizes=SIZES).unit("u", work, 2, scale=3)
    assert calls == [2, 2, 2]
    units = [event for event in events.read(record) if event["event"] == "unit"]
    assert [unit["kept"] for unit in units] == [False, True, False, False]
    assert units[0]["seconds"] == units[1]["seconds"]
    assert units[0]["peak_mb"] == units[1]["peak_mb"] > 20
    monkeypatch.setenv("BOOK_BUDGET_S", "0")
    assert run.unit("u", work, 2, scale=3) == {"value": [6]}
    with pytest.raises(OutOfTime, match="run again to go on"):
        run.unit("another", work, 5)
    assert len(list((paths.build_dir() / "units/cpu").glob("*.json"))) == 3


def test_a_unit_is_kept_while_its_data_and_code_are_the_same(probe_paper, record, monkeypatch):
    registry = probe_paper / "data/datasets.yml"
    entry = (
        "digits:\n  description: d\n  licence: l\n  citation: c\n  files:\n"
        "    a.txt: {sha256: 'SUM', bytes: 1, url: null, mirror: a.txt}\n"
    )
    registry.write_text(entry.replace("SUM", "0" * 64))
    calls = []

    def work():
        calls.append(1)
        events.emit("fetch", name="digits", sha256=data.registry()["digits"].sha256)
        return len(calls)

    work.__module__ = "src.common.training.streams"
    run = start("foundations/probe", profile="cpu", seed=0, sizes=SIZES)
    assert [run.unit("u", work), run.unit("under another name", work)] == [1, 1]
    told = [event["sha256"] for event in events.read(record) if event["event"] == "fetch"]
    assert len(told) == 2 and len(set(told)) == 1  # a kept unit tells what it was made from
    registry.write_text(entry.replace("SUM", "1" * 64) + "\n")
    assert run.unit("u", work) == 2
    key = content_keys.of_module("src.common.training.streams")
    changed = dataclasses.replace(key, key="another")
    monkeypatch.setattr(content_keys, "of_module", lambda module: changed)
    assert run.unit("u", work) == 3


def test_units_are_plain(run, probe_paper):
    cpu = start("foundations/probe", profile="cpu", seed=0, sizes=SIZES)
    with pytest.raises(BookError, match="must live in src/"):
        cpu.unit("u", lambda: 1)
    with pytest.raises(BookError, match="its result cannot be kept"):
        run.unit("u", lambda: object())


@pytest.mark.parametrize(
    ("name", "caption", "alt", "says"),
    [
        ("Two Words", "c", "A line that rises to the right.", "lower-case words"),
        ("a", " ", "A line that rises to the right.", "caption is empty"),
        ("a", "c", "figure.png", "no description"),
        ("a", "c", "", "no description"),
    ],
)
def test_a_figure_needs_words(run, name, caption, alt, says):
    fig, _ = plt.subplots()
    with pytest.raises(BookError, match=says):
        run.figure(fig, name, caption, alt)
    plt.close(fig)


def test_a_figure_carries_its_words_and_is_closed(run, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **more: shown.append((data, more)))
    for _ in range(2):
        fig, axes = plt.subplots(figsize=(5, 3))
        axes.plot([0, 1])
        run.figure(
            fig, "line", "A line.", "A straight line from the lower left to the upper right."
        )
    assert plt.get_fignums() == []
    (image, about), (caption, _), (again, _), _ = shown
    assert image["image/png"] == again["image/png"]
    assert about["metadata"]["book"]["width"] == 480
    assert caption["text/plain"] == "A line."


def test_at_scale_says_what_was_not_run(run):
    # The chapter of this test has no gpu profile, so nothing is said of it.
    assert [row[2] for row in run.at_scale().rows] == ["the cpu profile has not been run yet"]
    measured = run.measure("probe", "C1", [1.0, 1.1, 0.9, 1.0, 1.2]).as_json()
    ledger.write("foundations/probe", "cpu", {"measurements": [measured]})
    (row,) = run.at_scale().rows
    assert row[:2] == ["C1", "cpu"]
    assert row[3] == "supported"


def test_the_record_is_one_json_object_a_line(run, record):
    run.record("a", {"b": [1.5]})
    assert json.loads(record.read_text()) == {"event": "record", "name": "a", "value": {"b": [1.5]}}


def test_what_is_not_reproducible_is_an_error_and_not_a_warning(run):
    assert torch.get_deterministic_debug_mode() == 2
    with pytest.raises(RuntimeError, match="deterministic"):
        torch.zeros(4).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))
    torch.set_num_threads(2)
    start("foundations/probe", profile="quick", seed=0, sizes=SIZES)
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("empty", [None, [], {}])
def test_an_empty_record_is_none(run, empty):
    for profile, value in (("cpu", 1), ("gpu", 2)):
        ledger.write("foundations/probe", profile, {"measurements": [], "recorded": {"v": value}})
    found = run.record("v", empty)
    assert found.value == 2 and "in the gpu profile on" in found.source
    assert run.record("v", 0).value == 0, "a value of zero is one"


def test_the_quick_profile_keeps_no_units(run):
    calls = []

    def work():
        calls.append(1)
        return len(calls)

    work.__module__ = "src.book.storage.errors"
    assert [run.unit("u", work), run.unit("u", work)] == [1, 2]
    assert not (paths.build_dir() / "units").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_json_has_no_words_for_are_refused(run, value):
    with pytest.raises(BookError, match="cannot be kept"):
        run.record("v", [value])


def test_at_scale_shows_what_was_tested_there_and_no_more(run):
    tested = run.measure("probe", "C1", [1.0, 1.1, 0.9, 1.0, 1.2]).as_json()
    untested = {**claims.measure("probe", "C2", [1e-9]).as_json(), "verdict": "not tested"}
    ledger.write("foundations/probe", "cpu", {"measurements": [tested, untested]})
    assert [row[0] for row in run.at_scale().rows] == ["C1"]


def test_a_timing_claim_shows_the_benchmarks_verdict(book_root):
    timing = "  C3:\n    says: faster\n    paper: null\n    measure: s\n    kind: timing\n"
    timing += '    unit: run\n    expect: {statistic: ratio, op: "<", value: 1}\n'
    (book_root / "data/papers/probe.yml").write_text(PAPER + timing)
    run = start("foundations/probe", profile="quick", seed=0, sizes=SIZES)
    run.measure("probe", "C1", [1.0, 1.1, 0.9, 1.0, 1.2])
    run.measure("probe", "C2", [1e-9])
    assert run.verdicts().rows[2][-2:] == ["timing is measured by the benchmarks", "not tested"]
    rows = [(1.0, 2.0), (1.0, 2.1)] * 3
    ledger.record_timing("foundations/probe", "probe", "C3", rows, peer="p", setting="s")
    words, verdict = run.verdicts().rows[2][-2:]
    assert verdict == "supported" and "(benchmark)" in words and words.startswith("ratio 0.488")
