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


def test_importing_src_loads_nothing_but_itself():
    code = (
        "import sys\nbefore = set(sys.modules)\nimport src, src.book\n"
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=REPOSITORY)
    assert set(loaded.split()) <= {"src", "importlib", "warnings"}


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


def install_into(environment, wheel):
    """Make an environment with this one's libraries and with a wheel; return its Python."""
    venv.create(environment, with_pip=False)
    python = environment / "bin/python"
    command = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps"]
    subprocess.run([*command, "--no-index", wheel], check=True)
    # The libraries come from this environment; a path line in a .pth file brings them without
    # processing this environment's own .pth files, so the editable package stays out.
    (site_of(python) / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def site_of(python):
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(subprocess.check_output([python, "-c", code], text=True).strip())


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The Python of an environment with the package."""
    return install_into(tmp_path_factory.mktemp("installed") / "env", wheel)


@pytest.fixture(scope="module")
def editable(tmp_path_factory):
    """The Python of an environment with this tree as an editable package, as `make` installs it."""
    folder = tmp_path_factory.mktemp("editable")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel:editable", "-d", folder]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return install_into(folder / "env", wheel)


def started(command, folder):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("BOOK_", "PYTHON"))}
    return subprocess.run(
        command, cwd=folder, env=clean, capture_output=True, text=True, check=False
    )


def test_the_wheel_ships_the_data_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "src/book/shipped/data/datasets.yml" in names
    folders = {n.split("/")[0] for n in names if ".dist-info" not in n}
    assert folders == {"src", "papers_that_run"}
    for paper in catalogue.papers():
        assert f"src/book/shipped/data/papers/{paper}.yml" in names


def test_the_wheel_starts_a_chapter_in_an_empty_environment(installed):
    code = textwrap.dedent("""
        import src
        from src.book.storage import paths
        from src.book import start
        assert "env" in src.__file__, src.__file__
        for chapter in ("foundations/matrix_calculus", "foundations/transformer"):
            run = start(chapter, profile="quick", seed=0, sizes={"quick": {"n": 1}})
            print(run, paths.data_dir())
    """)
    done = started([installed, "-c", code], "/")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("profile quick, seed 0, on cpu") == 2
    assert str(site_of(installed)) in done.stdout


@pytest.mark.parametrize("kind", ["installed", "editable"])
def test_beside_a_package_src_of_somebody_else_the_second_name_works(kind, request, foreign):
    python = request.getfixturevalue(kind)
    code = textwrap.dedent("""
        from papers_that_run.common.graphs.graph import Graph
        import papers_that_run, src
        assert src.mine and Graph.__module__ == "src.common.graphs.graph"
        print(papers_that_run.__file__)
    """)
    done = started([python, "-c", code], foreign)
    assert done.returncode == 0, done.stderr
    home = site_of(python) if kind == "installed" else REPOSITORY
    assert done.stdout.strip() == str(home / "papers_that_run/__init__.py")


@pytest.mark.parametrize("kind", ["installed", "editable"])
def test_the_command_line_runs_from_any_folder(kind, request, foreign):
    script = request.getfixturevalue(kind).with_name("papers-that-run")
    said = started([script, "--version"], foreign)
    assert said.stdout.startswith("Papers That Run "), said.stderr
    wrong = started([script, "run", "gnn/nothing"], foreign)
    assert wrong.returncode == 2 and "unknown chapter 'gnn/nothing'" in wrong.stderr


@pytest.fixture
def foreign(tmp_path):
    """A folder that has a package `src` of its own."""
    (tmp_path / "foreign/src").mkdir(parents=True)
    (tmp_path / "foreign/src/__init__.py").write_text("mine = True\n")
    return tmp_path / "foreign"
