"""Which chapters depend on which modules, and by what content."""

import subprocess
import sys

from src.book import dependencies, paths


def closure(toys, *lines):
    name = toys.chapter("toys/one", "\n".join(lines))
    return set(dependencies.closure_of_file(toys.root / f"chapters/{name}.py"))


def test_imports_of_every_form_are_followed(toys):
    toys.module("src.toys.__init__", "")
    toys.module("src.toys.a", "def f():\n    from src.toys.b import g\n    return g")
    toys.module("src.toys.b", "from . import c\nfrom .deep.d import h as i\nimport numpy")
    toys.module("src.toys.c", "from ..other import thing")
    toys.module("src.toys.deep.__init__", "")
    toys.module("src.toys.deep.d", "from ..c import x\nimport src.toys.a")  # a cycle
    toys.module("src.other", "")
    toys.module("src.unused", "")
    everything = {"src", "src.toys", "src.other", "src.toys.deep", "src.toys.deep.d"}
    everything |= {f"src.toys.{letter}" for letter in "abc"}
    for line in ("from src.toys.a import f", "import src.toys.a as a", "from src.toys import a"):
        assert closure(toys, line) == everything


def test_a_name_from_a_lazy_table_counts_as_its_module(toys):
    table = '_LAZY = {"f": "src.toys.a", "g": ("b", "g")}\ndef __getattr__(name): ...\n'
    toys.module("src.toys.__init__", table)
    toys.module("src.toys.a", "")
    toys.module("src.toys.b", "")
    assert closure(toys, "from src.toys import f") == {"src", "src.toys", "src.toys.a"}
    assert closure(toys, "from src.toys import g") == {"src", "src.toys", "src.toys.b"}
    # What the table does not name may be anything that the package names.
    assert "src.toys.a" in closure(toys, "from src.toys import other")


def test_the_real_run_context_is_found_behind_its_lazy_name(toys):
    found = closure(toys, "from src.book import start")
    assert {"src.book.context", "src.book.claims", "src.book.statistics"} <= found
    assert not {"src.book.site", "src.book.runner", "src.book.__main__"} & found


def test_a_chapter_that_python_cannot_read_still_has_inputs(toys):
    toys.chapter("toys/one", "x = (")
    assert "chapters/toys/one.py" in dependencies.inputs("toys/one", "quick")


def test_inputs_change_with_everything_a_run_depends_on(toys):
    toys.module("src.toys", "x = 1")
    toys.chapter("toys/one", "import src.toys")
    toys.paper("mine", "toys/one")
    toys.paper("other", "toys/two")
    files = {
        "data/papers/mine.yml": "# a remark\n",
        "data/results/cpu/toys/one.json": "{}",
        "data/models/toys/one/weights.safetensors": "w",
        "constraints.txt": "torch==2\n",
        "src/toys.py": "\n# a remark",
        "chapters/toys/one.py": "\n# more",
    }
    before = dependencies.inputs("toys/one", "quick")
    for name, text in files.items():
        file = toys.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text((file.read_text() if file.exists() else "") + text)
        after = dependencies.inputs("toys/one", "quick")
        assert dependencies.changed(before, after) == [name.replace("src/toys.py", "src.toys")]
        assert dependencies.fingerprint(before) != dependencies.fingerprint(after)
        before = after
    toys.paper("other", "toys/two")
    (toys.root / "data/results/quick/toys").mkdir(parents=True)
    (toys.root / "data/results/quick/toys/one.json").write_text("{}")
    assert dependencies.inputs("toys/one", "quick") == before
    assert "data/results/cpu/toys/one.json" not in dependencies.inputs("toys/one", "cpu")
    assert "src.book.execute" in before


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
    from src.book.data import registry as known

    fetched = [{"name": "digits", "sha256": known()["digits"].sha256}]
    assert dependencies.changed_data(fetched) == []
    registry.write_text(entry.replace("SUM", "1" * 64) + "\n")
    assert dependencies.changed_data(fetched) == ["digits"]
    assert dependencies.changed_data([{"name": "gone", "sha256": "0"}]) == ["gone"]


def test_code_fingerprint_ignores_words_and_the_machinery(toys):
    toys.module("src.toys", "import src.more\nimport src.book.data\ndef f():\n    return 1\n")
    toys.module("src.more", "y = 1")
    before = dependencies.code_fingerprint("src.toys")
    toys.module(
        "src.toys",
        '"""Words."""\nimport src.more  # why\nimport src.book.data\n'
        'def f():\n    """More words."""\n    return (1)\n',
    )
    assert dependencies.code_fingerprint("src.toys") == before
    toys.module("src.more", "y = 2")
    assert dependencies.code_fingerprint("src.toys") != before


def test_looking_imports_nothing_heavy():
    code = (
        "import sys\nfrom src.book import dependencies, results, runner\n"
        "heavy = {'torch', 'papermill', 'nbformat', 'numpy', 'pydantic', 'jupytext', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
