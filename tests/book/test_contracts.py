"""Who may import whom: the contracts hold, and each of them sees a fault that is planted for it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import src.book
from tests.conftest import REPOSITORY

PARTS = "parts, shared blocks and machinery are independent"
ROOMS = "the rooms of a part are independent"
FLOORS = "the machinery has floors, each of which imports only what is below it"

# A small tree in which every import that the contracts allow is used once.
SOUND = {
    "src/common/graphs/graph.py": "import src.book.storage.data\n",
    "src/gnn/shared/layers.py": "import src.common.graphs.graph\n",
    "src/gnn/framelets/method.py": (
        "import src.book.storage.data\nimport src.common\nimport src.gnn.shared\n"
        "from src.gnn.shared import layers\n"
    ),
    "src/gnn/framelets/inner/figures.py": "from src.gnn.framelets import method\n",
    "src/gnn/other/method.py": "from src.common.graphs import graph\n",
    "src/vision/blur/method.py": "",
    "src/book/__main__.py": "import src.book.site.build\nimport src.book.storage.paths\n",
    "src/book/site/build.py": "import src.book.execution.run\nimport src.book.chapter.context\n",
    "src/book/acceptance/gates.py": "import src.book.execution.run\n",
    "src/book/authoring/new.py": "import src.book.evidence.claims\n",
    "src/book/execution/run.py": "import src.book.notebook.pairs\n",
    "src/book/chapter/context.py": "import src.book.evidence.claims\n",
    "src/book/evidence/claims.py": "import src.book.storage.paths\n",
    "src/book/notebook/pairs.py": "import src.book.storage.paths\n",
    "src/book/storage/paths.py": "",
    "src/book/storage/data.py": "from src.book.storage import paths\n",
}


def lint(folder):
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def tree(tmp_path):
    """A tree with a package `src` of its own and the contracts of this repository."""
    for name, text in SOUND.items():
        write(tmp_path, name, text)
    settings = (REPOSITORY / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(settings[settings.index("[tool.importlinter]") :])
    return tmp_path


def write(root, name, text):
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    for folder in file.relative_to(root).parents[:-1]:
        (root / folder / "__init__.py").touch()


def test_the_import_contracts_hold():
    done = lint(REPOSITORY)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_sound_tree_keeps_them(tree):
    done = lint(tree)
    assert done.returncode == 0, done.stdout + done.stderr
    for contract in (PARTS, ROOMS, FLOORS):
        assert f"{contract} KEPT" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("contract", "file", "imports"),
    [
        (PARTS, "src/vision/blur/method.py", "src.gnn.framelets.method"),
        (PARTS, "src/common/graphs/graph.py", "src.gnn.framelets.method"),
        (PARTS, "src/book/evidence/claims.py", "src.gnn.framelets.method"),
        (PARTS, "src/gnn/framelets/method.py", "src.book.storage.paths"),
        (ROOMS, "src/gnn/framelets/method.py", "src.gnn.other.method"),
        (ROOMS, "src/gnn/shared/layers.py", "src.gnn.other.method"),
        (ROOMS, "src/gnn/framelets/inner/figures.py", "src.gnn.stray"),
        (FLOORS, "src/book/storage/paths.py", "src.book.evidence.claims"),
        (FLOORS, "src/book/evidence/claims.py", "src.book.notebook.pairs"),
        (FLOORS, "src/book/chapter/context.py", "src.book.execution.run"),
        (FLOORS, "src/book/execution/run.py", "src.book.acceptance.gates"),
        (FLOORS, "src/book/site/build.py", "src.book.acceptance.gates"),
    ],
)
def test_a_planted_import_breaks_its_contract(tree, contract, file, imports):
    write(tree, "src/gnn/stray.py", "")
    (tree / file).write_text(f"{SOUND[file]}import {imports}\n")
    broken = lint(tree)
    assert broken.returncode != 0
    assert f"{contract} BROKEN" in " ".join(broken.stdout.split())
    importer = file.removesuffix(".py").replace("/", ".")
    assert f"{importer} -> {imports}" in broken.stdout


def test_a_module_of_the_machinery_without_a_floor_is_named(tree):
    write(tree, "src/book/stray.py", "")
    broken = lint(tree)
    assert broken.returncode != 0
    assert f"{FLOORS} BROKEN" in " ".join(broken.stdout.split())
    assert "stray" in broken.stdout


def imported(text):
    """Return (module, name) for what a file imports of the book; name "" for a whole module."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found += [(module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
    return [pair for pair in found if pair[0].split(".")[0] in ("", "src", "papers_that_run")]


def foreign(text, part):
    """Return what a chapter of a part imports but may not.

    Chapters are no package, so no contract of import-linter reaches them. They may import the
    public names of `src.book`, what `src.book.chapter` offers, data sets, the shared blocks, and
    their part.
    """
    homes = ("src.book.chapter", "src.book.storage.data", "src.common", f"src.{part}")
    return [
        f"{module}.{name}".rstrip(".")
        for module, name in imported(text)
        if name.startswith("_")
        or not (
            (module == "src.book" and name in src.book.__all__)
            or any(f"{module}.{name}.".startswith(f"{home}.") for home in homes)
        )
    ]


def test_chapters_import_public_names_shared_blocks_and_their_own_part():
    found = {
        file.relative_to(REPOSITORY).as_posix(): what
        for file in sorted((REPOSITORY / "chapters").glob("*/**/*.py"))
        if (what := foreign(file.read_text(), file.relative_to(REPOSITORY / "chapters").parts[0]))
    }
    assert found == {}


def test_the_book_itself_imports_by_the_name_of_src():
    # Neither the contracts nor the keys of what is kept know the second name.
    found = [
        file.relative_to(REPOSITORY).as_posix()
        for file in sorted((REPOSITORY / "src").rglob("*.py"))
        if any(module.startswith("papers_that_run") for module, _ in imported(file.read_text()))
    ]
    assert found == []


def test_methods_import_no_private_names_of_other_modules():
    found = [
        (file.relative_to(REPOSITORY).as_posix(), f"{module}.{name}")
        for file in sorted((REPOSITORY / "src").rglob("*.py"))
        if "book" not in file.relative_to(REPOSITORY).parts
        for module, name in imported(file.read_text())
        if name.startswith("_")
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "from src.book.execution import kernel",
        "from src.book.storage import paths",
        "from src.book import paths",
        "import src.book.evidence.claims",
        "import src",
        "from src.vision.blur import method",
        "from src.gnnn import method",
        "from src.gnn.framelets.transform import _cascade",
        "from ..gnn import method",
        "from papers_that_run.gnn.framelets import transform",
        "def f():\n    from src.book.site import build",
    ],
)
def test_each_import_that_a_chapter_may_not_make_would_be_found(line):
    assert len(foreign(line, "gnn")) == 1


def test_what_a_chapter_may_import_is_not_found():
    fine = (
        "import torch\nfrom src.book import fetch, show, start\n"
        "from src.book.chapter import tables\n"
        "from src.book.chapter.tables import Table\nfrom src.book.storage.data import fetch\n"
        "from src.common.graphs import graph\nfrom src.gnn import framelets\n"
        "from src.gnn.framelets.transform import FrameletTransform\n"
    )
    assert foreign(fine, "gnn") == []
