"""The package: import rules, import cost, and the wheel in an empty environment."""

import ast
import os
import subprocess
import sys
import sysconfig
import textwrap
import venv
import zipfile
from pathlib import Path

import pytest

from src.book import catalogue
from tests.conftest import REPOSITORY


def test_the_import_contracts_hold():
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_part_that_imports_another_breaks_the_contract(tmp_path):
    # A planted fault: the contracts must see a part that did not exist when they were written.
    files = {
        "src/__init__.py": "",
        "src/common/__init__.py": "",
        "src/book/__init__.py": "",
        "src/book/data.py": "",
        "src/gnn/__init__.py": "",
        "src/gnn/a.py": "import src.common\nimport src.book.data\n",
        "src/vision/__init__.py": "",
        "src/vision/b.py": "import src.gnn.a\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    settings = (REPOSITORY / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(settings[settings.index("[tool.importlinter]") :])
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    run = {"cwd": tmp_path, "capture_output": True, "text": True, "check": False}
    broken = subprocess.run(command, **run)
    assert broken.returncode != 0
    assert "src.vision.b -> src.gnn.a" in broken.stdout
    (tmp_path / "src/vision/b.py").write_text("import src.common\n")
    assert subprocess.run(command, **run).returncode == 0


def imported(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {n for n in names if n.split(".")[0] == "src"}


def test_chapters_import_the_book_the_shared_blocks_and_their_own_part():
    for file in sorted((REPOSITORY / "chapters").glob("*/*.py")):
        allowed = {"book", "common", file.parent.name}
        others = {n for n in imported(file) if n.split(".")[1] not in allowed}
        assert not others, f"{file.name} imports {sorted(others)}"


def seconds(statement: str) -> float:
    code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    return min(
        float(subprocess.check_output([sys.executable, "-c", code], text=True, cwd=REPOSITORY))
        for _ in range(5)
    )


def test_importing_src_costs_nothing_and_loads_nothing_heavy():
    assert seconds("import src, src.book") < 0.05
    code = "import sys, src, src.book; print([m for m in ('torch', 'numpy') if m in sys.modules])"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=REPOSITORY)
    assert loaded.strip() == "[]"


def test_constraints_hold_no_local_versions():
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert all("==" in line and "+" not in line and "@" not in line for line in pinned)
    direct = (REPOSITORY / "requirements.txt").read_text().splitlines()
    for line in direct:
        if line and not line.startswith("#"):
            assert line.lower() in {p.lower().replace("_", "-") for p in pinned}, line


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", folder, REPOSITORY], check=True)
    (file,) = folder.glob("*.whl")
    return file


def test_the_wheel_ships_the_data_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "src/book/shipped/data/datasets.yml" in names
    assert {n.split("/")[0] for n in names if ".dist-info" not in n} == {"src"}
    for paper in catalogue.papers():
        assert f"src/book/shipped/data/papers/{paper}.yml" in names


def test_the_wheel_starts_a_chapter_in_an_empty_environment(wheel, tmp_path):
    environment = tmp_path / "env"
    venv.create(environment, with_pip=False)
    python = environment / "bin/python"
    command = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps"]
    subprocess.run([*command, "--no-index", wheel], check=True)
    site = Path(
        subprocess.check_output(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
        ).strip()
    )
    # The libraries come from this environment; a path line in a .pth file brings them without
    # processing this environment's own .pth files, so the editable package stays out.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    code = textwrap.dedent("""
        import src
        from src.book import paths, start
        assert "env" in src.__file__, src.__file__
        for chapter in ("foundations/matrix_calculus", "foundations/transformer"):
            run = start(chapter, profile="quick", seed=0, sizes={"quick": {"n": 1}})
            print(run, paths.data_dir())
    """)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("BOOK_", "PYTHON"))}
    done = subprocess.run(
        [python, "-c", code], cwd="/", env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("profile quick, seed 0, on cpu") == 2
    assert str(site) in done.stdout
