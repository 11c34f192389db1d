"""Clusters: the plan, what is collected, and the Snakefile in a dry run and on this machine.

Snakemake has an environment of its own (`make workflow`), or is named by `$BOOK_SNAKEMAKE`.
"""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from src.book.__main__ import main
from src.book.execution import plan
from src.book.execution.execute import PROFILES, execute
from src.book.execution.results import read_result, why_stale
from src.book.notebook.chapters import find
from src.book.site.pages import DIRECTIVES
from src.book.storage import paths
from src.book.storage.errors import BookError
from tests.book.toy_book import HEADER
from tests.conftest import REPOSITORY

# It goes on where it stopped: the first call is out of time, the second is not.
OUT_OF_TIME_ONCE = """
from pathlib import Path
class OutOfTime(Exception):
    pass
seen = Path({folder!r}) / "slow"
if not seen.exists():
    seen.touch()
    raise OutOfTime("the time is spent")
"""
RAISES = """
from pathlib import Path
with (Path({folder!r}) / "raises").open("a") as file:
    file.write("once ")
1 / 0
"""


@pytest.fixture
def snakemake(tmp_path, monkeypatch):
    """Calls Snakemake on the Snakefile and returns what it said and its exit status."""
    own = REPOSITORY / ".venv-workflow/bin/snakemake"
    found = os.environ.get("BOOK_SNAKEMAKE") or (own if own.exists() else shutil.which("snakemake"))
    if not found:
        pytest.skip("no Snakemake: make workflow")

    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("BOOK_BUILD", str(tmp_path / "_build"))

    def call(*options, **given):
        pairs = [f"{k}={v}" for k, v in {"python": sys.executable, **given}.items()]
        command = [found, "--snakefile", REPOSITORY / "workflow/Snakefile", "--directory", tmp_path]
        done = subprocess.run(
            [*command, "--nocolor", *options, "--config", *pairs],
            cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        return done.stdout + done.stderr, done.returncode

    return call


def dry_run(snakemake, profile, folder):
    """The dry run of the real book with one of the files of settings, by rule."""
    said, status = snakemake("--dry-run", "--workflow-profile", folder, profile=profile)
    assert status == 0, said
    return {rule.split(":")[0]: rule for rule in said.split("\nrule ")[1:]}


@pytest.mark.parametrize("profile", PROFILES)
def test_the_plan_asks_for_the_limits_and_room_for_the_runner(toys, profile):
    toys.chapter("toys/one", "1", header=HEADER.replace("cpu", profile))
    limits = PROFILES[profile]
    (run,) = [r for r in plan.plan(profile) if r.chapter == "toys/one"]
    assert run.threads == limits.threads
    # The book's own limit is reached first: its word says which cell it was.
    assert run.resources["mem_mb"] > limits.memory_gib * 1024
    assert run.resources["mem_mb"] < limits.memory_gib * 1024 + 1024
    assert limits.limit_s / 60 < run.resources["runtime"] < limits.limit_s / 60 + 10
    assert run.resources.get("gpu", 0) == (1 if profile == "gpu" else 0)
    assert "gpu" not in run.resources or profile == "gpu"  # Kubernetes would want a maker of it


def test_the_plan_says_what_is_out_of_date_and_who_has_the_profile(toys, capsys):
    toys.chapter("toys/one", "1")
    toys.chapter("toys/two", "1", header=HEADER.replace(', "cpu": {"n": 5}', ""))
    assert main(["plan", "--profile", "quick"]) == 0
    assert [run["why"] for run in json.loads(capsys.readouterr().out)] == ["not run yet"] * 2
    execute("toys/one")
    assert main(["plan", "--profile", "quick"]) == 0
    assert [run["why"] for run in json.loads(capsys.readouterr().out)] == ["", "not run yet"]
    assert [run.chapter for run in plan.plan("cpu")] == ["toys/one"]
    with pytest.raises(BookError, match="no chapter has a gpu profile"):
        plan.plan("gpu")


def test_a_job_that_stops_in_time_asks_for_no_more(toys, monkeypatch):
    toys.chapter("toys/one", "1")
    before, usual = (plan.resources(find("toys/one"), profile) for profile in ("quick", "cpu"))
    monkeypatch.setenv("BOOK_BUDGET_S", "2400")
    # The last unit begins at 40 minutes at the latest, and may take a quarter of an hour.
    assert plan.resources(find("toys/one"), "cpu")[1]["runtime"] == 60
    assert plan.resources(find("toys/one"), "quick") == before
    monkeypatch.setenv("BOOK_BUDGET_S", "1000000")
    assert plan.resources(find("toys/one"), "cpu") == usual, "the limit ends it before"
    monkeypatch.setenv("BOOK_BUDGET_S", "40 min")
    assert plan.resources(find("toys/one"), "quick") == before, "only larger profiles stop in time"
    with pytest.raises(BookError, match="must be a number of seconds, not '40 min'"):
        plan.resources(find("toys/one"), "cpu")


def test_the_page_shows_the_limits_of_the_code():
    (section,) = DIRECTIVES["run-resources"](lambda target: target)
    table = " ".join(re.sub(r"<[^>]+>", " ", section.html).split())
    assert "cpu 2 0 after 4 h, or above 8 GiB 4 h 5 min, 8.5 GiB" in table
    assert "gpu 8 1 after 4 h, or above 64 GiB 4 h 5 min, 64.5 GiB" in table


def test_collecting_tells_of_all_runs_and_writes_the_ledger_of_those_that_stand(toys, capsys):
    for name, cell in (("good", "1"), ("bad", "1 / 0"), ("never", "1"), ("edited", "1")):
        toys.chapter(f"toys/{name}", cell)
        if name != "never":
            execute(f"toys/{name}", "cpu")
    toys.chapter("toys/edited", "2")
    assert main(["collect", "--profile", "cpu"]) == 1
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "ZeroDivisionError" in lines["toys/bad"]
    assert "not run yet" in lines["toys/never"]
    assert "chapters/toys/edited.py changed" in lines["toys/edited"]
    assert paths.results_file("toys/good", "cpu").exists()
    for name in ("bad", "never", "edited"):
        assert not paths.results_file(f"toys/{name}", "cpu").exists()
    assert read_result("toys/never", "cpu") is None  # nothing was run
    assert main(["collect", "--profile", "cpu", "toys/good"]) == 0


def test_collecting_says_that_another_go_is_enough(toys):
    toys.chapter("toys/slow", OUT_OF_TIME_ONCE.format(folder=str(toys.root)))
    execute("toys/slow", "cpu")
    assert main(["collect", "--profile", "cpu"]) == 75
    execute("toys/slow", "cpu")
    assert main(["collect", "--profile", "cpu"]) == 0


@pytest.mark.parametrize(("profile", "system"), [("cpu", "slurm"), ("gpu", "kubernetes")])
def test_the_dry_run_knows_every_chapter_and_its_resources(snakemake, tmp_path, profile, system):
    rules = dry_run(snakemake, profile, REPOSITORY / "workflow" / system)
    planned = plan.plan(profile)
    assert planned
    for run in planned:
        rule = rules[f"{run.chapter.replace('/', '_')}_{profile}"]
        for name, value in run.resources.items():
            assert f"{name}={value}" in rule
        assert ("gpu=1" in rule) == (profile == "gpu")
    assert not list((tmp_path / "_build/workflow").iterdir())


def test_the_workflow_runs_what_is_out_of_date(toys, snakemake, tmp_path):
    toys.chapter("toys/good", "1")
    toys.chapter("toys/raises", RAISES.format(folder=str(tmp_path)))
    toys.chapter("toys/slow", OUT_OF_TIME_ONCE.format(folder=str(tmp_path)))
    local = ("--cores", "2", "--keep-going", "--retries", "1", "--scheduler", "greedy")
    said, status = snakemake(*local, profile="cpu")
    assert status != 0
    # The end says how each of them went; the book takes their results for its own.
    assert "2 ok, 1 failed" in said
    assert "cell 4: ZeroDivisionError" in said
    assert [why_stale(f"toys/{name}", "cpu") for name in ("good", "slow")] == ["", ""]
    assert paths.results_file("toys/good", "cpu").exists()
    # Out of time is another go, a chapter that raises is none.
    assert "75" in said
    assert (tmp_path / "raises").read_text() == "once "
    # Nothing is left but what the book keeps itself, and nothing is run again in vain.
    assert not list((tmp_path / "_build/workflow").iterdir())
    toys.chapter("toys/raises", "1")
    said, status = snakemake(*local, profile="cpu")
    assert status == 0, said
    assert "3 ok" in said
    assert "toys_raises_cpu" in said
    assert "toys_good_cpu" not in said


def test_a_name_that_is_none_is_refused_with_those_that_there_are(toys, snakemake):
    toys.chapter("toys/good", "1")
    said, status = snakemake("--cores", "1", "--dry-run", profile="cpu", chapters="toys/god")
    assert status != 0
    assert "toys/god; valid: toys/good" in said
