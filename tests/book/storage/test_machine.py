"""What the ledger knows of the machine: memory, GPU, peaks; the GPU here is a stand-in."""

import os
import subprocess
from types import SimpleNamespace

import IPython
import pytest
import torch

from src.book.acceptance.accept import write_ledger
from src.book.chapter.context import Run, start
from src.book.evidence import ledger
from src.book.execution.execute import execute
from src.book.site.pages.run_times import costs
from src.book.storage import events, machine, paths

CHAPTER = "foundations/probe"
GIB = 2**30
TELL = """
import json, os
def tell(**event):
    with open(os.environ["BOOK_RECORD"], "a") as stream:
        stream.write(json.dumps(event) + "\\n")
"""


@pytest.fixture
def gpu(monkeypatch):
    """A GPU that torch believes in; `peak` is the memory that it says was allocated, in bytes."""
    fake = SimpleNamespace(peak=3 * 2**20)
    about = SimpleNamespace(name="Toy GPU", total_memory=80 * GIB)
    for name, value in {
        "is_available": lambda: True,
        "current_device": lambda: 0,
        "get_device_name": lambda *_: "Toy GPU",
        "get_device_properties": lambda _: about,
        "max_memory_allocated": lambda: fake.peak,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(torch.version, "cuda", "12.6")
    real = subprocess.run

    def run(command, **settings):
        if command[0] == "nvidia-smi":
            return SimpleNamespace(stdout="560.35\n560.35\n")
        return real(command, **settings)

    monkeypatch.setattr(subprocess, "run", run)
    return fake


def test_the_memory_of_the_machine_is_in_the_provenance():
    assert 0.1 < ledger.provenance()["memory_gib"] < 100_000


def test_main_libraries_have_their_versions_in_the_provenance():
    libraries = ledger.provenance()["libraries"]
    assert {"torch", "numpy", "scipy", "scikit-learn", "networkx", "matplotlib"} <= set(libraries)


def test_a_gpu_run_tells_device_memory_cuda_and_driver(probe_paper, gpu):
    run = Run(CHAPTER, "gpu", 0, SimpleNamespace(), ("gpu",))
    source = run.provenance()
    assert source["device"] == "Toy GPU"
    about = {"name": "Toy GPU", "memory_gib": 80.0, "cuda": "12.6", "driver": "560.35"}
    assert source["gpu"] == about
    # A processor's run beside an idle GPU is a processor's run.
    beside = Run(CHAPTER, "cpu", 0, SimpleNamespace(), ("cpu",)).provenance()
    assert "gpu" not in beside and beside["device"] != "Toy GPU"


def test_without_the_driver_programme_the_driver_is_unknown(gpu, monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr(subprocess, "run", _no_programme)
    assert machine.gpu()["driver"] is None


def _no_programme(*_, **__):
    raise FileNotFoundError("nvidia-smi")


def test_each_cell_of_a_gpu_run_tells_the_peak(probe_paper, gpu, monkeypatch, tmp_path):
    record = tmp_path / "events.jsonl"
    monkeypatch.setenv("BOOK_RECORD", str(record))
    registered = {}
    shell = SimpleNamespace(events=SimpleNamespace(register=registered.__setitem__))
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    start(CHAPTER, profile="cpu", seed=0, sizes={"cpu": {}})
    assert registered == {}
    try:
        start(CHAPTER, profile="gpu", seed=0, sizes={"gpu": {}})
    finally:
        torch.use_deterministic_algorithms(True)
    registered["post_run_cell"](None)
    gpu.peak *= 2
    registered["post_run_cell"](None)
    told = [e["gpu_peak_mb"] for e in events.read(record) if e["event"] == "memory"]
    assert told == [3, 6]


def test_without_a_gpu_only_the_host_has_a_peak():
    assert set(machine.peaks()) == {"peak_mb"}
    assert 20 < machine.peaks()["peak_mb"] < 100_000


def test_the_ledger_keeps_the_peaks_also_of_units_of_earlier_calls(toys):
    toys.paper("one", CHAPTER)
    name = toys.chapter(
        CHAPTER,
        TELL,
        "tell(event='unit', name='a', seconds=100, kept=True, peak_mb=9000.5, gpu_peak_mb=30)\n"
        "tell(event='unit', name='old', seconds=1, kept=True)\n"
        "tell(event='unit', name='new', seconds=7, kept=False)\n"
        "tell(event='memory', peak_mb=1, gpu_peak_mb=50.25)",
    )
    result = execute(name, "cpu")
    assert (result.peak_memory_mb, result.gpu_peak_memory_mb) == (9000.5, 50.25)
    assert result.kept_seconds == 101, "what this call did is in its own seconds"
    write_ledger(result)
    entry = ledger.read(name, "cpu")
    assert (entry["peak_memory_mb"], entry["gpu_peak_memory_mb"]) == (9000.5, 50.25)
    assert entry["startup_seconds"] == result.startup_seconds > 0
    assert entry["seconds"] >= 101
    # Where the run itself is not at hand, as in a fresh clone, pages read the ledger.
    here = costs(name)
    paths.run_file(name, "cpu", ".json").unlink()
    assert [c.memory for c in costs(name)] == ["9000 MB, GPU 50 MB"] == [c.memory for c in here]
    assert costs(name)[0].seconds == pytest.approx(here[0].seconds)


def test_entries_from_before_the_peaks_were_kept_are_read(probe_paper):
    old = {"seed": 0, "measurements": [], "seconds": 12.0, "provenance": {"device": "Old"}}
    ledger.write(CHAPTER, "cpu", old)
    assert ledger.read(CHAPTER, "cpu")["provenance"] == {"device": "Old"}
    (cost,) = costs(CHAPTER)
    assert (cost.seconds, cost.startup, cost.memory, cost.device) == (12.0, None, "–", "Old")
