"""Content keys: what they follow, what counts, and what does not."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

from src.book.storage import content_keys, dependencies, paths
from tests.book.toy_book import HEADER
from tests.conftest import REPOSITORY


def key(toys, *lines):
    name = toys.chapter("toys/one", "\n".join(lines))
    return content_keys.of_file(toys.root / f"chapters/{name}.py").key


def closure(toys, *lines):
    name = toys.chapter("toys/one", "\n".join(lines))
    return set(content_keys.of_file(toys.root / f"chapters/{name}.py").modules)


def module_key(toys, text):
    toys.module("src.toys", text)
    return content_keys.of_module("src.toys").key


def test_imports_of_every_form_are_followed(toys):
    toys.module("src.toys.__init__", "")
    toys.module("src.toys.a", "def f():\n    from src.toys.b import g\n    return g")
    toys.module("src.toys.b", "from . import c\nfrom .deep.d import h as i\nimport numpy")
    toys.module("src.toys.c", "from ..other import thing")
    toys.module("src.toys.deep.__init__", "")
    toys.module("src.toys.deep.d", "from ..c import x\nimport src.toys.a")  # a circle
    toys.module("src.other", "")
    toys.module("src.unused", "")
    everything = {"src", "src.toys", "src.other", "src.toys.deep", "src.toys.deep.d"}
    everything |= {f"src.toys.{letter}" for letter in "abc"}
    for line in ("from src.toys.a import f", "import src.toys.a as a", "from src.toys import a"):
        assert closure(toys, line) == everything


def test_the_closure_is_that_of_an_independent_graph():
    graph = grimp.build_graph("src", cache_dir=None)
    machinery = graph.find_descendants("src.book") | {"src.book"}
    for module in sorted(graph.modules - machinery - {"src"}):
        if content_keys.module_file(module).name == "__init__.py":
            continue
        expected = graph.find_upstream_modules(module) - machinery
        found = set(content_keys.of_module(module).modules)
        packages = {m for m in found if content_keys.module_file(m).name == "__init__.py"}
        # Two modules that name each other's types are in their own closures.
        assert found - packages - {module} == expected - packages, module


def test_the_machinery_is_not_followed(toys):
    assert closure(toys, "from src.book import start", "import src.book.storage.data") == set()


@pytest.mark.parametrize(
    "text",
    [
        "import src.more\ndef f(x):\n    return 1\n'''Of an attribute.'''\n",
        '"""Words."""\nimport src.more  # why\ndef f(x):\n    """More."""\n    return (1)\n',
        "import src.more\n\n\ndef f(\n    x,\n):\n    return 1\n",
    ],
)
def test_words_and_layout_do_not_count(toys, text):
    toys.module("src.more", "y = 1")
    before = module_key(toys, "import src.more\ndef f(x):\n    return 1\n")
    assert module_key(toys, text) == before
    assert module_key(toys, text.replace("1", "2")) != before


def test_the_words_of_an_error_do_not_count_but_its_type_and_condition_do(toys):
    text = "def f(x):\n    if x < 0:\n        raise ValueError(f'{x} is bad')\n    return 'kept'\n"
    before = module_key(toys, text)
    reworded = text.replace("f'{x} is bad'", "'must not be negative'")
    assert module_key(toys, reworded) == before
    changes = [("ValueError", "TypeError"), ("x < 0", "x <= 0"), ("'kept'", "'other'")]
    for was, now in changes:
        assert module_key(toys, text.replace(was, now)) != before


def test_names_and_places_of_modules_do_not_count(toys):
    toys.module("src.toys.__init__", "")
    toys.module("src.toys.old", "def f():\n    return 1\n")
    before = key(toys, "from src.toys import old", "from src.toys.old import f", "old.f() + f()")
    toys.module("src.there.__init__", "")
    toys.module("src.there.new", "def f():\n    return 1\n")
    (toys.root / "src/toys/old.py").unlink()
    lines = ["from src.there.new import f as g", "from src.there import new", "new.f() + g()"]
    assert key(toys, *lines) == before
    assert key(toys, *[*lines[:2], "g() + new.f()"]) != before
    toys.module("src.there.new", "def f():\n    return 2\n")
    assert key(toys, *lines) != before


def test_names_of_the_machinery_count_and_their_places_do_not(toys):
    before = key(toys, "from src.book import show")
    assert key(toys, "from src.book.chapter.source import show") == before
    assert key(toys, "from src.book import start") != before


def test_two_imports_are_not_taken_for_each_other(toys):
    toys.module("src.a", "def f():\n    return 1\ndef g():\n    return 2\n")
    before = key(toys, "from src.a import f, g", "f() - g()")
    assert key(toys, "from src.a import g, f", "f() - g()") == before
    assert key(toys, "from src.a import f as g, g as f", "f() - g()") != before


def test_a_packages_own_code_counts(toys):
    toys.module("src.toys.__init__", "")
    toys.module("src.toys.a", "x = 1")
    before = key(toys, "from src.toys import a")
    toys.module("src.toys.__init__", '"""Words."""\n')
    assert key(toys, "from src.toys import a") == before
    toys.module("src.toys.__init__", "import warnings\nwarnings.simplefilter('error')\n")
    assert key(toys, "from src.toys import a") != before


def test_a_change_in_a_circle_is_seen_from_outside(toys):
    toys.module("src.a", "from src import b\nx = 1")
    toys.module("src.b", "def f():\n    from src import a\n    return a.x")
    before = key(toys, "from src.b import f")
    toys.module("src.a", "from src import b\nx = 2")
    assert key(toys, "from src.b import f") != before


def test_cells_count_by_what_they_run_and_display(toys):
    def of(*cells, words="Words."):
        name = toys.chapter("toys/one", *cells)
        file = toys.root / f"chapters/{name}.py"
        file.write_text(file.read_text().replace("Some words.", words))
        return content_keys.of_file(file).key

    before = of("x = 1", "'shown'")
    assert of("x = 1  # one", '"shown"', words="Other words.") == before
    for other in (["x = 1", "'shown';"], ["x = 1\n'shown'"], ["x = 1", "'other'"], ["x = 1"]):
        assert of(*other) != before
    file, text = toys.root / "chapters/toys/one.py", HEADER + "\n# %%\nx = 1\n"
    keys = []
    for tags in ('# %% tags=["parameters"]\n', "# %%\n"):  # papermill sets them after that cell
        file.write_text(text.replace('# %% tags=["parameters"]\n', tags))
        keys.append(content_keys.of_file(file).key)
    assert keys[0] != keys[1]
    assert of("%matplotlib inline") != of("%matplotlib agg")


def test_files_that_python_cannot_read_have_keys(toys):
    assert key(toys, "x = (") != key(toys, "y = (")
    with pytest.raises(ModuleNotFoundError, match="no module"):
        content_keys.of_module("src.absent")
    assert key(toys, "from src.absent import f") != key(toys, "from src.absent import g")


def test_a_test_file_has_a_key_that_follows_its_helpers(toys):
    (toys.root / "tests").mkdir()
    toys.module("src.toys", "x = 1")
    toys.module("tests.helpers", "from src.toys import x")
    toys.module("tests.test_one", "from tests.helpers import x\n\ndef test_x():\n    assert x")
    file = toys.root / "tests/test_one.py"
    before = content_keys.of_file(file)
    assert set(before.modules) == {"src", "src.toys", "tests.helpers"}
    toys.module("src.toys", "x = 2")
    assert content_keys.of_file(file).key != before.key


def test_what_was_read_is_kept_between_processes(toys):
    name = toys.chapter("toys/one", "x = 1")
    code = (
        "from src.book.storage import content_keys, paths\n"
        f"print(content_keys.of_file(paths.chapters_dir() / '{name}.py').key)\n"
    )
    first, second = (_python(sys.executable, code) for _ in range(2))
    assert first == second
    kept = paths.build_dir() / "content_keys.json"
    assert kept.exists()
    content = json.loads(kept.read_text())
    another = code.replace("\nprint", "\ncontent_keys._way_of_reading = lambda: b''\nprint")
    assert _python(sys.executable, another) == first  # read again, as another version would
    assert len(json.loads(kept.read_text())) > len(content)
    kept.write_text("{")  # a damaged file costs time only
    assert _python(sys.executable, code) == first
    counted = "parse = content_keys.ast.parse\ncontent_keys.ast.parse = lambda t: 1 / 0\n"
    assert _python(sys.executable, code.replace("\nprint", f"\n{counted}print")) == first


def _python(interpreter, code):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [interpreter, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    return done.stdout


def _interpreters():
    """The other Pythons of this machine that the package supports."""
    homes = [Path.home() / ".pyenv/versions", Path("/opt/pyenv/versions")]
    found = {}
    for minor in ("3.12", "3.13"):
        for home in homes:
            for python in sorted(home.glob(f"{minor}*/bin/python")):
                found[minor] = str(python)
        found.setdefault(minor, shutil.which(f"python{minor}"))
    return found


@pytest.mark.parametrize("minor", ["3.12", "3.13"])
def test_keys_are_the_same_on_every_supported_python(minor, tmp_path, monkeypatch):
    other = _interpreters()[minor]
    if other is None:
        pytest.skip(f"no Python {minor} on this machine")
    monkeypatch.setenv("BOOK_BUILD", str(tmp_path))  # nothing is kept there
    code = (
        "from src.book.storage import content_keys, paths\n"
        "files = sorted(paths.chapters_dir().glob('*/*.py'))\n"
        "print([content_keys.of_file(file).key for file in files])\n"
    )
    found = _python(other, code)
    assert found.count("'") >= 2 * len(list((REPOSITORY / "chapters").glob("*/*.py")))
    monkeypatch.setenv("BOOK_BUILD", str(tmp_path / "ours"))
    assert _python(sys.executable, code) == found


# What makes pages stale, on a copy of the real book.


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the book's code, pages and data."""
    for folder in ("src", "chapters", "data"):
        shutil.copytree(
            REPOSITORY / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copyfile(REPOSITORY / "constraints.txt", tmp_path / "constraints.txt")
    monkeypatch.setenv("BOOK_ROOT", str(tmp_path))
    monkeypatch.setenv("BOOK_BUILD", str(tmp_path / "_build"))
    return tmp_path


def pages():
    folder = paths.chapters_dir()
    found = [f.relative_to(folder).with_suffix("").as_posix() for f in folder.glob("*/*.py")]
    return {name: dependencies.inputs(name, "quick") for name in sorted(found)}


def stale(before):
    after = pages()
    return {name for name in before if before[name] != after[name]}


def readers(module):
    """The pages that reach a module, found by reading alone, without content keys."""
    graph = grimp.build_graph("src", cache_dir=None)
    reached = {module, *graph.find_downstream_modules(module)}
    found = set()
    for name in pages():
        tree = ast.parse((paths.chapters_dir() / f"{name}.py").read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                inner = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
                found |= {name} if inner & reached else set()
    return found


def _rename(root, old, new):
    """Move a package and rewrite every mention of it, as a person with an editor would."""
    shutil.move(root / old.replace(".", "/"), root / new.replace(".", "/"))
    for file in [*root.glob("src/**/*.py"), *root.glob("chapters/**/*.py")]:
        text = file.read_text()
        parent, name = old.rpartition(".")[::2]
        moved = text.replace(f"{old}.", f"{new}.").replace(f"from {old} ", f"from {new} ")
        moved = moved.replace(f"from {parent} import {name}\n", f"import {new} as {name}\n")
        if moved != text:
            file.write_text(moved)


def test_moving_every_module_of_a_part_makes_no_page_stale(copied):
    before = pages()
    assert len(before) >= 6
    _rename(copied, "src.gnn", "src.networks_of_graphs")
    assert stale(before) == set()


def test_rewording_the_machinery_makes_no_page_stale(copied):
    before = pages()
    file = next((copied / "src/book").rglob("errors.py"))
    text = file.read_text()
    file.write_text(text.replace("unknown", "not known"))
    assert file.read_text() != text
    for file in (copied / "src/book").rglob("*.py"):
        file.write_text(file.read_text() + "\nADDED = 1\n")
    assert stale(before) == set()


def test_a_new_patch_version_of_python_makes_no_page_stale(copied, monkeypatch):
    before, environment = pages(), dependencies.environment()
    monkeypatch.setattr(dependencies.platform, "python_version_tuple", lambda: ("3", "11", "99"))
    assert stale(before) == set()
    assert dependencies.environment() == {**environment, "python": "3.11"}
    monkeypatch.setattr(dependencies.platform, "python_version_tuple", lambda: ("3", "12", "0"))
    assert stale(before) == set()
    assert dependencies.environment()["python"] == "3.12"  # beside the key


@pytest.mark.parametrize("module", ["src.gnn.framelets.transform", "src.common.training.streams"])
def test_changing_one_method_makes_exactly_its_readers_stale(copied, module):
    before = pages()
    file = content_keys.module_file(module)
    assert file.is_relative_to(copied)
    file.write_text(file.read_text() + "\nADDED = 1\n")
    assert stale(before) == readers(module) and readers(module)


def test_a_new_execution_version_makes_every_page_stale(copied, monkeypatch):
    before = pages()
    monkeypatch.setattr(dependencies, "EXECUTION_VERSION", dependencies.EXECUTION_VERSION + 1)
    assert stale(before) == set(before)


def test_a_mark_of_the_encoding_and_the_kind_of_line_ends_change_no_key(toys):
    text = 'x = """a\nb"""  # a remark\n\n\ndef f():\n    return x\n'
    toys.module("src.toys", text)
    toys.chapter("toys/one", "import src.toys\nsrc.toys.f()")
    keys = []
    for content in (
        text.encode(),
        b"\xef\xbb\xbf" + text.encode(),
        text.encode().replace(b"\n", b"\r\n"),
    ):
        (toys.root / "src/toys.py").write_bytes(content)
        keys.append(content_keys.of_file(toys.root / "chapters/toys/one.py").key)
    assert len(set(keys)) == 1
