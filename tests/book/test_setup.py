"""The set-up by make: a wrong Python is named, a stale environment is renewed."""

import os
import shutil
import stat
import subprocess

import pytest

from tests.conftest import REPOSITORY


@pytest.fixture
def tree(tmp_path):
    """A copy of the files that the set-up reads, with stand-ins for Python and pip."""
    for name in ("Makefile", "requirements.txt", "constraints.txt", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, tmp_path)
    return tmp_path


def script(file, body):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


def make(tree, *arguments):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "PYTHON"))}
    command = ["make", *arguments]
    return subprocess.run(command, cwd=tree, env=clean, capture_output=True, text=True, check=False)


def test_another_python_gives_a_clear_message(tree):
    wrong = script(tree / "wrong", 'test "$1" = -V && echo "Python 3.9.1" || exit 1')
    done = make(tree, "book", f"PYTHON={wrong}")
    assert done.returncode != 0
    assert "made with Python 3.11" in done.stdout
    assert "is Python 3.9.1" in done.stdout
    assert "make book PYTHON=/path/to/python3.11" in done.stdout
    assert not (tree / ".venv").exists()


def test_the_environment_is_made_once_and_again_when_the_pins_change(tree):
    log = tree / "log"
    inner = f'echo "$@" >> {log}'
    # "python -m venv --clear DIR" makes the stand-in for the environment's own interpreter.
    maker = f"mkdir -p .venv/bin; printf \"#!/bin/sh\\n%s\\n\" '{inner}' > .venv/bin/python"
    fake = script(
        tree / "fake", f'test "$2" = venv && {{ {maker}; chmod +x .venv/bin/python; }}; :'
    )
    assert make(tree, "site", f"PYTHON={fake}").returncode == 0
    assert log.read_text().count("-r requirements.txt -c constraints.txt") == 1
    assert make(tree, "site", f"PYTHON={fake}").returncode == 0
    assert log.read_text().count("-r requirements.txt -c constraints.txt") == 1
    assert log.read_text().count("-m src.book site") == 2
    with (tree / "requirements.txt").open("a") as file:
        file.write("# another pin\n")
    assert make(tree, "site", f"PYTHON={fake}").returncode == 0
    assert log.read_text().count("-r requirements.txt -c constraints.txt") == 2


def test_a_failed_installation_is_not_taken_for_a_ready_one(tree):
    maker = 'mkdir -p .venv/bin; printf "#!/bin/sh\\nexit 1\\n" > .venv/bin/python'
    fake = script(
        tree / "fake", f'test "$2" = venv && {{ {maker}; chmod +x .venv/bin/python; }}; :'
    )
    assert make(tree, "site", f"PYTHON={fake}").returncode != 0
    assert not list((tree / ".venv").glob(".ready-*"))
