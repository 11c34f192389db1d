"""The work of planning many chapters grows with the chapters' own files and with nothing else."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from src.book.execution import runner
from src.book.execution.results import read_result, why_stale
from src.book.storage import content_keys, dependencies, one_look, paths

CHAPTERS = 40


@pytest.fixture
def many(toys):
    """A book of many chapters that share modules and were all run, as far as their files say."""
    toys.module("src.toys.__init__", "")
    toys.module("src.toys.one", "from src.toys.two import f")
    toys.module("src.toys.two", "def f():\n    from src.book import start")
    names = [f"foundations/toy_{k}" for k in range(CHAPTERS)]
    for k, name in enumerate(names):
        toys.chapter(name, "from src.toys.one import f")
        toys.paper(f"toy_{k}", name)
    for name in names:
        file = paths.run_file(name, "quick", ".json")
        file.parent.mkdir(parents=True, exist_ok=True)
        inputs = dependencies.inputs(name, "quick")
        told = {"chapter": name, "profile": "quick", "status": "ok", "inputs": inputs}
        told |= {"modules": dependencies.modules(name), "environment": dependencies.environment()}
        file.write_text(json.dumps(told))
        file.with_suffix(".ipynb").write_text("{}")
    content_keys._known().clear()
    dependencies._chapter_of.cache_clear()
    return toys, names


@pytest.fixture
def read(monkeypatch):
    """How often each file is read while the test runs."""
    counted: Counter[Path] = Counter()
    for name in ("read_bytes", "read_text"):
        real = getattr(Path, name)

        def reading(self, *arguments, _real=real, **settings):
            counted[self] += 1
            return _real(self, *arguments, **settings)

        monkeypatch.setattr(Path, name, reading)
    return counted


def test_a_plan_reads_what_chapters_share_once_and_starts_no_process(many, read, monkeypatch):
    toys, _ = many
    parsed: Counter[str] = Counter()
    parse = content_keys._parsed
    monkeypatch.setattr(content_keys, "_parsed", lambda t: parsed.update([t]) or parse(t))
    monkeypatch.setattr(subprocess, "Popen", None)
    assert {outcome.state for outcome in runner.run()} == {"up to date"}
    modules = {"from src.toys.two import f", "def f():\n    from src.book import start"}
    assert {parsed[text] for text in modules} == {1}
    shared = {f: n for f, n in read.items() if f.is_relative_to(toys.root / "src")}
    assert len(shared) == 4 and set(shared.values()) == {1}
    assert not any(f.is_relative_to(paths.package_root() / "src") for f in read)
    sources = {f: n for f, n in read.items() if f.is_relative_to(paths.chapters_dir())}
    assert len(sources) == CHAPTERS and set(sources.values()) == {1}
    papers = {f: n for f, n in read.items() if f.suffix == ".yml"}
    assert len(papers) == CHAPTERS and max(papers.values()) <= 2
    assert sum(read.values()) < 8 * CHAPTERS + 20


def test_a_plan_lists_the_catalogue_once(many, monkeypatch):
    _, names = many
    listed = Counter()
    glob = Path.glob
    count = lambda self, pattern: listed.update([self.name]) or glob(self, pattern)  # noqa: E731
    monkeypatch.setattr(Path, "glob", count)
    runner.run(names)
    assert listed["papers"] == 1


def test_a_plan_sees_what_was_edited_since_the_last_one(many):
    toys, names = many
    assert {outcome.state for outcome in runner.run()} == {"up to date"}
    toys.module("src.toys.two", "def f():\n    from src.book import start\n    return start")
    with one_look.one_look():
        assert all("src.toys.two" in why_stale(name, "quick") for name in names)
        toys.chapter(names[0], "2")  # edited under the same look: counts the next time
    assert f"chapters/{names[0]}.py" in why_stale(names[0], "quick")
    assert read_result(names[0], "quick").status == "ok"


def test_outside_a_look_every_question_goes_to_the_disk(many):
    toys, names = many
    before = dependencies.inputs(names[0], "quick")
    with one_look.one_look():
        assert dependencies.papers_of(names[0])
        (toys.root / "data/papers/toy_0.yml").unlink()
        assert dependencies.papers_of(names[0])  # one look
    assert dependencies.papers_of(names[0]) == []
    assert dependencies.inputs(names[0], "quick") != before


@pytest.mark.parametrize("command", ["main(['run'])", "main(['--version'])", "site._content()"])
def test_nothing_heavy_is_loaded_to_find_that_nothing_is_to_be_done(toys, command):
    code = (
        "import sys\nfrom src.book.evidence import claims\n"
        "from src.book.site import build as site\n"
        "from src.book.__main__ import main\n"
        f"try: {command}\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'scipy', 'matplotlib', 'papermill', 'sphinx'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_version_and_the_plan_do_not_load_the_catalogue():
    code = (
        "import sys, src.book.notebook.repository, src.book.execution.runner; "
        "sys.exit('pydantic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
