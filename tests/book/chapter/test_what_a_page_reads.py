"""Each file that a page reads makes it stale when it changes, and each change of code a kept unit.

What is read is asked of Python itself, which tells of every file that is opened.
"""

import hashlib
import importlib
import json
import sys
from pathlib import Path

import pytest
import torch

from src.book.chapter.context import start
from src.book.chapter.models import weights
from src.book.evidence import claims, ledger
from src.book.execution.results import Result, RunFiles, why_stale
from src.book.notebook import chapters
from src.book.storage import dependencies, events, paths
from src.book.storage.data import fetch
from tests.book.toy_book import ToyBook

NAME = "foundations/probe"
SIZES = {"quick": {}, "cpu": {}, "gpu": {}}
REGISTRY = (
    "digits:\n  description: d\n  licence: l\n  citation: c\n  files:\n"
    "    a.txt: {sha256: '2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6', "
    "bytes: 1, url: null, mirror: a.txt}\n"
)
_watching: list[set[Path]] = []


def _hear(event, arguments):
    if event == "open" and _watching and isinstance(arguments[0], str | Path):
        _watching[-1].add(Path(arguments[0]).resolve())


sys.addaudithook(_hear)  # it can be silenced, not removed


@pytest.fixture
def book(probe_paper, monkeypatch):
    """A book in which the page of one chapter can read everything that a page can read."""
    toys = ToyBook(probe_paper)
    toys.chapter(NAME, "1")
    paper = probe_paper / "data/papers/probe.yml"
    timing = "  C3:\n    says: faster\n    paper: null\n    measure: seconds\n    kind: timing\n"
    timing += '    unit: run\n    expect: {statistic: ratio, op: "<", value: 1}\n'
    paper.write_text(paper.read_text() + timing)
    (probe_paper / "data/datasets.yml").write_text(REGISTRY)
    (probe_paper / "mirror").mkdir()
    (probe_paper / "mirror/a.txt").write_text("c")
    monkeypatch.setenv("BOOK_DATA_MIRROR", str(probe_paper / "mirror"))
    measured = claims.measure("probe", "C1", [1.0, 1.1, 0.9, 1.0, 1.2]).as_json()
    ledger.write(NAME, "cpu", {"measurements": [measured], "recorded": {"small": 1}})
    ledger.write(NAME, "gpu", {"measurements": [measured], "recorded": {"large": 2}})
    ledger.record_timing(NAME, "probe", "C3", [(1.0, 2.0), (1.0, 2.1)] * 3, peer="p", setting="s")
    weights(start(NAME, profile="cpu", seed=0, sizes=SIZES), "net", {"0": {"w": torch.ones(2)}}, {})
    return probe_paper


def page():
    """Do what a page does that reads all it can; return the data sets and weights it told of."""
    with events.hearing() as heard:
        run = start(NAME, profile="quick", seed=0, sizes=SIZES)
        run.measure("probe", "C1", [1.0, 1.1, 0.9, 1.0, 1.2])
        run.measure("probe", "C2", [1e-9])
        run.verdicts(), run.at_scale()
        assert (run.record("small", None).value, run.record("large", None).value) == (1, 2)
        weights(run, "net", {}, {})
        fetch("digits")
    return [
        [{k: e[k] for k in ("name", "sha256")} for e in heard if e["event"] == kind]
        for kind in ("fetch", "model")
    ]


def test_each_file_that_a_page_reads_makes_it_stale(book):
    page()  # what is kept in memory is kept
    _watching.append(set())
    try:
        data, models = page()
    finally:
        opened = _watching.pop()
    read = {file for file in opened if file.is_relative_to(book / "data")}
    read |= {f for f in (book / "data").rglob("*") if f.suffix in (".yml", ".safetensors")}
    assert {f.relative_to(book / "data").parts[0] for f in read} == {
        "datasets.yml", "models", "papers", "results",
    }  # fmt: skip
    assert {paths.results_file(NAME, p) for p in ("cpu", "gpu", "timing")} <= read
    net = (paths.models_dir(NAME) / "net.safetensors").read_bytes()
    assert models == [{"name": "net", "sha256": hashlib.sha256(net).hexdigest()}]
    inputs = dependencies.inputs(NAME, "quick") | {"parameters": dependencies.parameter_text({})}
    told = {"inputs": inputs, "environment": dependencies.environment(), "data": data}
    executed = chapters.find(NAME).notebook
    RunFiles(NAME, "quick").keep(Result(NAME, "quick", "ok", **told), executed, "")
    assert why_stale(NAME, "quick") == ""
    for file in sorted(read):
        before, name = file.read_bytes(), file.relative_to(book).as_posix()
        if file.name == "datasets.yml":
            file.write_bytes(before.replace(b"2e7d", b"0000") + b"\n")
            name = "digits"
        else:
            file.write_bytes(before + b" ")
        assert why_stale(NAME, "quick") == f"{name} changed"
        file.write_bytes(before)
        file.unlink()
        assert f"{name} changed" in why_stale(NAME, "quick")
        file.write_bytes(before)


MODULES = {
    "src.toys_shared.deep": "FACTOR = 2\n",
    "src.toys_shared.helper": (
        "def scaled(x):\n    from src.toys_shared.deep import FACTOR\n    return FACTOR * x\n"
    ),
    "src.toys_shared.work": (
        "from src.toys_shared.helper import scaled\n\n\ndef work(x, scale=1):\n"
        "    return scaled(x) * scale\n\n\ndef other(x, scale=1):\n    return -x\n"
    ),
    "src.toys_shared.bystander": "VALUE = 1\n",
}


@pytest.fixture
def work(probe_paper, monkeypatch):
    """A function that imports the module of a toy book anew; with it, the toy book."""
    toys = ToyBook(probe_paper)
    for name, text in MODULES.items():
        toys.module(name, text)
    import src

    monkeypatch.setattr(src, "__path__", [*src.__path__, str(probe_paper / "src")])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def anew():
        for name in [name for name in sys.modules if name.startswith("src.toys_shared")]:
            del sys.modules[name]
        importlib.invalidate_caches()
        return importlib.import_module("src.toys_shared.work")

    yield toys, anew
    for name in [name for name in sys.modules if name.startswith("src.toys_shared")]:
        del sys.modules[name]


def kept(function, *args, seed=0, profile="cpu", name="u", **kwargs):
    """Whether a unit's result was kept from before."""
    sizes = {"cpu": {}, "quick": {}, "gpu": {}}
    run = start(NAME, profile="cpu", seed=seed, sizes=sizes)
    run.profile = profile
    with events.hearing() as heard:
        result = run.unit(name, function, *args, **kwargs)
    assert result == json.loads(json.dumps(function(*args, **kwargs))), "and it is the right one"
    return next(event["kept"] for event in heard if event["event"] == "unit")


@pytest.mark.parametrize(
    ("module", "old", "new", "stands"),
    [
        ("work", "* scale", "* scale + 1", False),
        ("helper", "FACTOR * x", "FACTOR * x + 1", False),
        ("deep", "2", "3", False),
        ("deep", "2", "2  # a remark", True),
        ("work", "def work(x, scale=1):", 'def work(x, scale=1):\n    """Say what."""', True),
        ("bystander", "1", "2", True),
    ],
)
def test_a_kept_unit_is_refused_when_its_code_changes(work, module, old, new, stands):
    toys, anew = work
    assert [kept(anew().work, 3), kept(anew().work, 3)] == [False, True]
    name = f"src.toys_shared.{module}"
    assert old in MODULES[name]
    toys.module(name, MODULES[name].replace(old, new))
    assert kept(anew().work, 3) == stands
    toys.module(name, MODULES[name])
    assert kept(anew().work, 3), "what was kept of the old code stands again with it"


def test_a_kept_unit_is_one_of_its_function_arguments_seed_and_profile(work):
    _, anew = work
    module = anew()
    assert not kept(module.work, 3)
    for other in (
        dict(function=module.other, args=[3]),
        dict(function=module.work, args=[4]),
        dict(function=module.work, args=[3.5]),
        dict(function=module.work, args=[3], scale=2),
        dict(function=module.work, args=[3], seed=1),
        dict(function=module.work, args=[3], profile="gpu"),
    ):
        function, args = other.pop("function"), other.pop("args")
        assert not kept(function, *args, **other), other
        assert kept(function, *args, **other), other
    assert kept(module.work, 3) and kept(module.work, 3, name="under another name")
