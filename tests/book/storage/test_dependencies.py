"""Which chapters depend on which modules, and by what content."""

import subprocess
import sys

from src.book.storage import dependencies, paths


def test_a_chapter_that_python_cannot_read_still_has_inputs(toys):
    toys.chapter("toys/one", "x = (")
    assert dependencies.inputs("toys/one", "quick")["code"]


def test_inputs_change_with_everything_a_run_depends_on(toys, monkeypatch):
    toys.module("src.toys", "x = 1")
    toys.chapter("toys/one", "import src.toys")
    toys.paper("mine", "toys/one")
    toys.paper("other", "toys/two")
    files = {
        "data/papers/mine.yml": "# a remark\n",
        "data/results/cpu/toys/one.json": "{}",
        "data/results/gpu/toys/one.json": "{}",
        "data/results/timing/toys/one.json": "{}",
        "data/models/toys/one/weights.safetensors": "w",
        "data/models/toys/one/weights.json": "{}",
        "data/models/toys/one/deeper/weights.safetensors": "w",
        "src/toys.py": "\ny = 1",
        "chapters/toys/one.py": "\nmore",
    }
    code = {"src/toys.py", "chapters/toys/one.py"}
    before = dependencies.inputs("toys/one", "quick")
    for name, text in files.items():
        file = toys.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text((file.read_text() if file.exists() else "") + text)
        after = dependencies.inputs("toys/one", "quick")
        assert dependencies.changed(before, after) == ["code" if name in code else name]
        before = after
    toys.paper("other", "toys/two")
    (toys.root / "data/results/quick/toys").mkdir(parents=True)
    (toys.root / "data/results/quick/toys/one.json").write_text("{}")
    assert dependencies.inputs("toys/one", "quick") == before
    assert not [f for f in dependencies.inputs("toys/one", "cpu") if f.startswith("data/results")]
    assert dependencies.inputs("toys/one", "quick") == before
    here = dependencies.environment()
    assert here["torch"].startswith("2.") and here["python"].startswith("3.")
    versions = {name: "9" if name == "torch" else here[name] for name in dependencies.LIBRARIES}
    monkeypatch.setattr(dependencies.metadata, "version", versions.get)
    assert dependencies.inputs("toys/one", "quick") == before  # beside the inputs, not in them
    assert dependencies.changed(here, dependencies.environment()) == ["torch"]


def test_a_source_is_found_where_it_stands(toys):
    toys.module("src.toys", "x = 1\n\n\nclass A:\n    def f(self):\n\n        return 2\n")
    toys.chapter("toys/one", "from src.toys import A\n\ndef here():\n    return 1")
    shown = "def f(self):\n\n    return 2"
    assert dependencies.place_of(shown, "toys/one") == ("src/toys.py", 5, 7)
    file, first, last = dependencies.place_of("def here():\n    return 1", "toys/one")
    lines = (toys.root / file).read_text().splitlines()[first - 1 : last]
    assert lines == ["def here():", "    return 1"]
    assert dependencies.place_of(shown.replace("2", "3"), "toys/one") is None
    assert dependencies.place_of("def f(self):", "toys/one") is not None  # any whole lines
    assert dependencies.place_of("def f(sel", "toys/one") is None


def test_times_of_files_play_no_part(toys):
    import os

    toys.chapter("toys/one")
    before = dependencies.inputs("toys/one", "quick")
    os.utime(toys.root / "chapters/toys/one.py", (1, 1))
    assert dependencies.inputs("toys/one", "quick") == before


def test_a_data_set_with_a_new_checksum_is_noticed(toys):
    entry = (
        "digits:\n  description: d\n  licence: l\n  citation: c\n  files:\n"
        "    a.txt: {sha256: 'SUM', bytes: 1, url: null, mirror: a.txt}\n"
    )
    registry = paths.data_dir() / "datasets.yml"
    registry.write_text(entry.replace("SUM", "0" * 64))
    from src.book.storage.data import registry as known

    fetched = [{"name": "digits", "sha256": known()["digits"].sha256}]
    assert dependencies.changed_data(fetched) == []
    registry.write_text(entry.replace("SUM", "1" * 64) + "\n")
    assert dependencies.changed_data(fetched) == ["digits"]
    assert dependencies.changed_data([{"name": "gone", "sha256": "0"}]) == ["gone"]


def test_looking_imports_nothing_heavy():
    code = (
        "import sys\nfrom src.book.storage import dependencies\n"
        "from src.book.execution import results, runner\n"
        "heavy = {'torch', 'papermill', 'nbformat', 'numpy', 'pydantic', 'jupytext', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
