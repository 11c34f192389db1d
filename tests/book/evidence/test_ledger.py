"""The ledger: atomic, with provenance; drift against it is found."""

import subprocess

import pytest

from src.book.evidence import claims, ledger
from src.book.storage import dependencies, paths
from src.book.storage.errors import BookError

CHAPTER = "foundations/probe"
GOOD = [1.0, 1.1, 0.9, 1.0, 1.2]


def measured(samples=GOOD, errors=(1e-9,)):
    return [
        claims.measure("probe", "C1", samples).as_json(),
        claims.measure("probe", "C2", errors).as_json(),
    ]


def test_no_drift_within_the_tolerance(probe_paper):
    ledger.write(CHAPTER, "quick", {"seed": 0, "measurements": measured()})
    assert ledger.compare(CHAPTER, measured()) == []
    assert ledger.compare(CHAPTER, measured([x + 0.05 for x in GOOD], errors=[5e-8])) == []


def test_drift_is_named(probe_paper):
    ledger.write(CHAPTER, "quick", {"seed": 0, "measurements": measured()})
    moved = ledger.compare(CHAPTER, measured([x + 0.5 for x in GOOD]))
    assert moved[0].startswith("foundations/probe: probe C1: estimate was 1.04, now 1.54")
    (word,) = ledger.compare(CHAPTER, measured(errors=[1e-3]))
    assert word == "foundations/probe: probe C2: the verdict was supported, now not supported"
    (gone,) = ledger.compare(CHAPTER, measured()[:1])
    assert "C2 is in only one of run and ledger" in gone


def test_without_a_committed_entry_the_remedy_is_named(probe_paper):
    assert ledger.compare(CHAPTER, measured()) == [
        "foundations/probe: no committed quick ledger; run make accept CHAPTER=foundations/probe"
    ]


def test_the_quick_entry_repeats_byte_by_byte(probe_paper):
    file = ledger.write(CHAPTER, "quick", {"seed": 0, "measurements": measured()})
    before = file.read_bytes()
    ledger.write(CHAPTER, "quick", {"seed": 0, "measurements": measured()})
    assert file.read_bytes() == before


def test_larger_profiles_have_provenance(probe_paper):
    ledger.write(CHAPTER, "cpu", {"seed": 0, "measurements": measured(), "recorded": {}})
    source = ledger.read(CHAPTER, "cpu")["provenance"]
    assert {"device", "date", "python", "libraries", "commit", "clean", "cores"} <= source.keys()
    latest = ledger.latest(CHAPTER)["probe", "C1"]
    assert latest["profile"] == "cpu"
    assert latest["device"] == source["device"]


def test_a_broken_file_is_named(probe_paper):
    file = paths.results_file(CHAPTER, "cpu")
    file.parent.mkdir(parents=True)
    file.write_text('{"measurements": [')
    with pytest.raises(BookError, match=r"probe.json: not valid JSON .*; restore it, or delete"):
        ledger.read(CHAPTER, "cpu")
    file.write_text("[]")
    with pytest.raises(BookError, match="it must be one object"):
        ledger.read(CHAPTER, "cpu")


def test_a_half_merged_or_marked_file_is_named(probe_paper):
    file = paths.results_file(CHAPTER, "quick")
    file.parent.mkdir(parents=True)
    file.write_text("{\n<<<<<<< HEAD\n")
    with pytest.raises(BookError, match=r"probe.json: .*line 2: a merge is not finished"):
        ledger.read(CHAPTER, "quick")
    file.write_text('\ufeff{"measurements": []}')
    with pytest.raises(BookError, match=r"probe.json: .*starts with a byte order mark"):
        ledger.read(CHAPTER, "quick")


def test_a_failed_write_leaves_the_old_file(probe_paper, monkeypatch):
    file = ledger.write(CHAPTER, "quick", {"seed": 0, "measurements": measured()})
    before = file.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        ledger.write(CHAPTER, "quick", {"seed": 1, "measurements": []})
    assert file.read_bytes() == before
    assert [f.name for f in file.parent.iterdir()] == [file.name]


def test_timing_wants_a_timing_claim(probe_paper):
    with pytest.raises(BookError, match="not a claim of kind timing"):
        ledger.record_timing(CHAPTER, "probe", "C1", [(1.0, 2.0)] * 5, peer="p", setting="s")


def test_an_end_of_an_interval_that_moves_alone_is_drift(probe_paper):
    ledger.write(CHAPTER, "quick", {"seed": 0, "measurements": measured()})
    for end in ("low", "high"):
        moved = measured()
        moved[0][end] += 0.2
        (word,) = ledger.compare(CHAPTER, moved)
        assert f"probe C1: {end} was" in word and "tolerance 0.1" in word
    twice = measured()
    twice[0]["estimate"] += 0.11
    assert ledger.compare(CHAPTER, twice), "a tenth over the tolerance is over it"


def test_what_is_kept_gives_the_verdict_again(probe_paper):
    samples = [x / 7 for x in GOOD]
    kept = claims.measure("probe", "C1", samples).as_json()
    assert kept["samples"] == pytest.approx(samples, rel=1e-7)
    again = claims.measure("probe", "C1", kept["samples"]).as_json()
    assert again["verdict"] == kept["verdict"]
    for number in ("estimate", "low", "high"):
        assert again[number] == pytest.approx(kept[number], rel=1e-6)


def test_of_several_profiles_the_largest_that_tested_a_claim_is_shown(probe_paper):
    none = claims.measure("probe", "C2", [1e-9]).as_json() | {"verdict": "not tested"}
    for number, profile in enumerate(("gpu", "quick", "cpu")):  # in whatever order they were run
        tested = measured([x + number for x in GOOD])[:1]
        ledger.write(CHAPTER, profile, {"measurements": [*tested, none], "code": profile})
    [(key, latest)] = ledger.latest(CHAPTER).items()
    assert key == ("probe", "C1") and latest["profile"] == latest["code"] == "gpu"
    assert latest["estimate"] == pytest.approx(1.04)
    assert latest["verdicts"] == dict.fromkeys(("quick", "cpu", "gpu"), "supported")
    ledger.write(CHAPTER, "gpu", {"measurements": [none]})
    assert ledger.latest(CHAPTER)["probe", "C1"]["profile"] == "cpu"


TIMED = """\
  C{}:
    says: it is faster
    paper: null
    measure: seconds
    kind: timing
    unit: run
    expect: {{statistic: ratio, op: "<", value: 1}}
"""


def test_a_timing_takes_the_place_of_the_old_one_and_of_no_other(probe_paper):
    paper = probe_paper / "data/papers/probe.yml"
    paper.write_text(paper.read_text() + TIMED.format(3) + TIMED.format(4))
    (probe_paper / "chapters/foundations").mkdir()
    (probe_paper / f"chapters/{CHAPTER}.py").write_text("# %%\n1\n")

    def record(claim, seconds):
        rows = [(seconds, 1.0), (seconds * 1.01, 1.0)] * 3
        return ledger.record_timing(CHAPTER, "probe", claim, rows, peer="p", setting="s")

    for claim, seconds in (("C4", 0.25), ("C3", 0.5), ("C3", 0.75)):
        record(claim, seconds)
    kept = ledger.read(CHAPTER, "timing")["measurements"]
    found = [(m["claim"], round(m["estimate"], 2)) for m in kept]
    assert found == [("C3", 0.75), ("C4", 0.25)]
    code = dependencies.chapter_code(CHAPTER)
    assert {m["code"] for m in kept} == {code} and code
    assert all(m["provenance"]["date"] for m in kept)


def test_provenance_says_of_which_commit_and_whether_it_was_changed(probe_paper):
    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", "-C", probe_paper, *who, *arguments], check=True)

    assert ledger.provenance()["commit"] is None
    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--message", "all")
    said = ledger.provenance()
    assert len(said["commit"]) == 40 and said["clean"] is True
    (probe_paper / "data/datasets.yml").write_text("# another\n")
    assert ledger.provenance()["commit"] == said["commit"]
    assert ledger.provenance()["clean"] is False


def test_one_side_of_an_interval_is_wrong_by_chance_one_time_in_forty():
    assert claims.chance_verdicts(40) == pytest.approx(1.0)
