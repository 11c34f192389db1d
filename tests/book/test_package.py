"""The package: import cost, and the wheel in an empty environment."""

import os
import subprocess
import sys
import sysconfig
import textwrap
import venv
import zipfile
from pathlib import Path

import pytest

from src.book.evidence import catalogue
from tests.conftest import REPOSITORY


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
        from src.book.storage import paths
        from src.book import start
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
