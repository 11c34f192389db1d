"""The ledger: atomic, with provenance; drift against it is found."""

import pytest

from src.book.evidence import claims, ledger
from src.book.storage import paths
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
