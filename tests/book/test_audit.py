"""`make audit`: a vulnerability fails, silence is never taken for health."""

import json
import subprocess
import sys

import pytest

from tests.book.test_setup import script
from tests.conftest import REPOSITORY

FINE = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}]}
UNKNOWN = {"name": "c", "skip_reason": "Dependency not found"}


@pytest.fixture
def audit(tmp_path, monkeypatch):
    """Run the audit with a stand-in for pip-audit that answers by service; None is no answer."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)

    def run(*options, **answers):
        for service, packages in answers.items():
            if packages is not None:
                answer = json.dumps({"dependencies": packages, "fixes": []})
                (tmp_path / service).write_text(answer)
        body = "while [ $# -gt 0 ]; do case $1 in --vulnerability-service) s=$2;; --output) o=$2;;"
        body += f' esac; shift; done; cp "{tmp_path}/$s" "$o" 2>/dev/null || echo cut off >&2'
        tool = script(tmp_path / "pip-audit", body)
        command = [sys.executable, REPOSITORY / ".ci/audit", "--tool", tool, *options]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def test_a_vulnerability_fails_and_is_named(audit):
    done = audit(pypi=[FINE, BAD])
    assert done.returncode == 1
    assert "b 2: PYSEC-1, fixed in 2.1" in done.stdout
    assert audit(pypi=[FINE]).returncode == 0


def test_the_second_service_is_asked_where_the_first_is_silent(audit):
    for silent in (None, [UNKNOWN]):
        done = audit(pypi=silent, osv=[FINE, BAD])
        assert done.returncode == 1
        assert "osv: 2 packages asked for, 1 known" in done.stdout


@pytest.mark.parametrize("silent", [None, [UNKNOWN, UNKNOWN]])
def test_silence_is_said_loudly_and_fails_where_an_answer_is_required(audit, silent, monkeypatch):
    done = audit(pypi=silent, osv=None)
    assert done.returncode == 0
    assert done.stderr.startswith("NOT CHECKED dependency audit of constraints.txt: pypi ")
    assert "osv cannot be asked (cut off)" in done.stderr
    assert audit("--required", pypi=silent, osv=None).returncode == 2
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert audit(pypi=silent, osv=None).stderr.startswith("::warning::NOT CHECKED")


def test_packages_that_a_service_does_not_know_are_named(audit):
    done = audit(pypi=[FINE, UNKNOWN])
    assert done.returncode == 0
    assert "NOT CHECKED pypi does not know 1 packages: c" in done.stderr


def test_ci_runs_it_and_its_tool_is_pinned():
    assert "make audit" in (REPOSITORY / ".ci/run").read_text().splitlines()
    lines = (REPOSITORY / "requirements-audit.txt").read_text().splitlines()
    assert all("==" in line for line in lines if not line.startswith("#"))
