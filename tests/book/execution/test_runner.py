"""Many chapters: what runs, what does not, and what is left when something breaks."""

import json
import os
import signal
import tempfile
from pathlib import Path

import psutil
import pytest

from src.book.__main__ import main
from src.book.execution import pool, runner
from src.book.execution.results import Result, read_result
from src.book.notebook import notebooks
from src.book.storage import dependencies, paths
from src.book.storage.errors import BookError
from tests.book.command_line import PATIENCE_S, alive, sleeper, start_book, wait_for


def states(outcomes):
    return {outcome.chapter: outcome.state for outcome in outcomes}


def write_result(chapter, **row):
    """Leave the files of a run that never was."""
    file = paths.run_file(chapter, "quick", ".json")
    file.parent.mkdir(parents=True, exist_ok=True)
    told = {"chapter": chapter, "profile": "quick", "status": "ok", **row}
    told["environment"] = dependencies.environment()
    file.write_text(json.dumps(told))
    file.with_suffix(".ipynb").write_text("{}")


@pytest.fixture
def slow(toys):
    """A book whose chapter b sleeps until the file `slow` is removed; a and c are fast."""
    (toys.root / "slow").write_text("")
    toys.chapter("toys/a", "1")
    pid = sleeper(toys, "toys/b")
    toys.chapter("toys/c", "1")
    return toys, pid


def test_failures_are_isolated_and_a_second_run_does_only_what_is_left(toys, capsys):
    toys.chapter("toys/good", "1")
    toys.chapter("toys/fine", "2")
    toys.chapter("toys/raises", "raise ValueError('no good')")
    toys.chapter("toys/broken", "x = (", header="# %%\n1\n")  # no parameters cell
    # The kernel kills the interpreter that runs it, as a system out of memory might.
    toys.chapter("toys/deadly", "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)")
    outcomes = runner.run(jobs=2)
    assert states(outcomes) == {
        "toys/broken": "failed",
        "toys/deadly": "failed",
        "toys/fine": "ok",
        "toys/good": "ok",
        "toys/raises": "failed",
    }
    assert runner.exit_status(outcomes) == 1
    found = {o.chapter: o.result for o in outcomes}
    assert found["toys/raises"].reason == "ValueError: no good"
    assert found["toys/broken"].failure == "invalid"
    assert "0 cells are tagged parameters" in found["toys/broken"].reason
    assert found["toys/deadly"].failure == "machine" and "died" in found["toys/deadly"].reason
    said = runner.table(outcomes, 3.0)
    assert "2 ok" in said and "3 failed in 3.0 s" in said
    assert "_build/runs/quick/toys/raises.log" in said
    assert "[5/5]" in capsys.readouterr().out

    toys.chapter("toys/raises", "raise ValueError('still no good')")
    toys.chapter("toys/broken", "1")
    toys.chapter("toys/deadly", "1")
    again = states(runner.run(jobs=2))
    assert again == {
        "toys/broken": "ok",
        "toys/deadly": "ok",
        "toys/fine": "up to date",
        "toys/good": "up to date",
        "toys/raises": "failed",
    }


def test_editing_a_module_reruns_only_what_imports_it(toys):
    toys.module("src.deep", "x = 1")
    toys.module("src.middle", "def f():\n    from src.deep import x\n    return x")
    toys.module("src.other", "x = 1")
    toys.chapter("toys/direct", "import src.deep")
    toys.chapter("toys/transitive", "from src.middle import f\nprint(f())")
    toys.chapter("toys/unrelated", "import src.other")
    assert set(states(runner.run(jobs=2)).values()) == {"ok"}
    assert set(states(runner.run()).values()) == {"up to date"}
    toys.module("src.deep", "x = 2")
    lines = []
    assert states(runner.run(report=lines.append)) == {
        "toys/direct": "ok",
        "toys/transitive": "ok",
        "toys/unrelated": "up to date",
    }
    assert "running toys/direct (src.deep changed)" in lines
    page = notebooks.load(paths.run_file("toys/transitive", "quick"))
    assert page.cells[-1].outputs[0].text == "2\n"


def test_the_longest_goes_first_and_force_runs_everything(toys, monkeypatch):
    def pretend(tasks, jobs, *, started, finished):
        for task in tasks:
            started(task)
            finished(Result(task.chapter, task.profile, "ok"))

    monkeypatch.setattr(pool, "run_all", pretend)
    for name, seconds in (("a", 1), ("b", 3), ("c", 2)):
        write_result(toys.chapter(f"toys/{name}", "1"), status="failed", seconds=seconds)
    toys.chapter("toys/new", "1")
    lines = []
    runner.run(jobs=1, report=lines.append)
    assert [line.split()[1] for line in lines if line.startswith("running")] == [
        "toys/new", "toys/b", "toys/c", "toys/a",
    ]  # fmt: skip
    lines.clear()
    write_result("toys/a", inputs=dependencies.inputs("toys/a", "quick"))
    assert states(runner.run(["toys/a"], report=lines.append)) == {"toys/a": "up to date"}
    assert states(runner.run(["toys/a"], force=True, report=lines.append)) == {"toys/a": "ok"}
    assert lines[0] == "running toys/a (asked for)"


def test_a_run_over_its_budget_says_so(toys):
    from dataclasses import replace

    toys.chapter("toys/a", "1")
    [outcome] = runner.run()
    late = replace(outcome.result, seconds=99.0, cpu_seconds=90.0)
    assert "over its budget of 30 s" in runner.table([replace(outcome, result=late)], 1.0)
    busy = replace(outcome.result, seconds=99.0, cpu_seconds=9.0)  # the machine was busy
    assert "over" not in runner.table([replace(outcome, result=busy)], 1.0)


def test_an_interrupted_run_leaves_no_orphan_and_resumes(slow, monkeypatch):
    toys, pid = slow
    monkeypatch.setenv("TMPDIR", temporary := tempfile.mkdtemp(prefix="f-", dir="/tmp"))
    process = start_book("run", "--jobs", "2")
    wait_for(lambda: pid.exists() and all(read_result(f"toys/{c}", "quick") for c in "ac"))
    os.killpg(process.pid, signal.SIGINT)  # Ctrl-C reaches the whole group
    said = process.communicate(timeout=PATIENCE_S)[0]
    assert process.returncode == 130 and "run it again to go on" in said, said
    assert "Traceback" not in said
    wait_for(lambda: not alive(pid))
    os.rmdir(temporary)  # nothing is left in it
    (toys.root / "slow").unlink()
    assert states(runner.run()) == {
        "toys/a": "up to date",
        "toys/b": "ok",
        "toys/c": "up to date",
    }


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_a_run_that_is_killed(slow, how):
    _, pid = slow
    process = start_book("run", "--jobs", "2")
    wait_for(pid.exists)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(how)
    process.communicate(timeout=PATIENCE_S)
    wait_for(lambda: not alive(pid))
    _, left = psutil.wait_procs(family, timeout=20)
    assert not [p for p in left if p.status() != psutil.STATUS_ZOMBIE]


def test_two_runs_at_once_do_the_work_once(slow):
    toys, pid = slow
    first = start_book("run", "--jobs", "2")
    wait_for(pid.exists)
    second = start_book("run", "--jobs", "2")
    wait_for(lambda: "waiting" in (second.stdout.readline() or "waiting"))
    (toys.root / "slow").unlink()
    said = [process.communicate(timeout=PATIENCE_S)[0] for process in (first, second)]
    assert first.returncode == second.returncode == 0, said
    assert "3 ok" in said[0] and "3 up to date" in said[1]


def test_the_command_line_says_how_it_went(toys, capfd):
    toys.chapter("toys/good", "print(seed)")
    toys.chapter("toys/bad", "raise ValueError('no good')")
    toys.chapter("toys/dead", "import os\nos._exit(3)")
    for arguments, status, said in (
        (["run", "toys/good"], 0, "1 ok"),
        (["run", "toys/good"], 0, "1 up to date"),
        (["run", "toys/good", "toys/bad"], 1, "ValueError: no good; see _build/"),
        (["run", "toys/nothing"], 2, "valid: toys/bad, toys/dead, toys/good"),
        (["run", "--profile", "huge"], 2, "unknown profile 'huge'; valid: quick, cpu, gpu"),
        (["run-one", "toys/good", "--seed", "7"], 0, "toys/good: ok"),
        (["run-one", "toys/bad"], 1, "toys/bad: failed: cell 4: ValueError: no good"),
        (["run-one", "toys/dead"], 5, "the kernel died: exit status 3"),
        (["run-one", "toys/good", "--seed", "1.5"], 2, "seed must be a whole number"),
        (["run-one", "toys/good", "-p", "sed", "1"], 2, "valid: profile, seed, scale"),
        (["run-one", "toys/good", "--profile", "gpu"], 2, "valid: quick, cpu"),
        (["results", "--profile", "gpu"], 2, "no chapter has a gpu profile"),
        (["results", "--profile", "quick"], 2, "adopted by accept"),
        (["nothing"], 2, "unknown command 'nothing'; valid: run, run-one, accept"),
        (["run", "--jobs", "0"], 2, "Invalid value for '--jobs'"),
        (["run", "--slowly"], 2, "No such option '--slowly'"),
        (["--help"], 0, "130  interrupted"),
        (["run-one", "--help"], 0, "BOOK_LIMIT_S      seconds after which"),
    ):
        found = main(arguments)
        printed = "".join(capfd.readouterr())
        assert found == status and said in printed, (arguments, found, printed)
        assert "Traceback (most recent call last)" not in printed


def test_the_book_is_built_although_a_chapter_failed(toys, monkeypatch, capsys):
    from src.book.site import build as site

    def build(clean):
        return site.Built(paths.build_dir() / "html", 3, True, (), 1.0)

    toys.chapter("toys/bad", "raise ValueError('no good')")
    monkeypatch.setattr(site, "build", build)
    assert main(["book"]) == 1
    assert "_build/html/index.html: 3 pages, rendered in 1.0 s" in capsys.readouterr().out
    toys.chapter("toys/bad", "1")
    assert main(["book"]) == 0

    def fail(clean):
        raise BookError("a page is broken")

    monkeypatch.setattr(site, "build", fail)
    assert main(["book"]) == 1
    assert "error: a page is broken" in capsys.readouterr().err


def test_a_look_at_a_fresh_book_reads_each_file_once(toys, monkeypatch):
    for number in range(20):
        toys.module(f"src.m{number}", f"import src.m{number + 1}\n" + "x = [1, 2, 3]\n" * 300)
    for number in range(20):
        name = toys.chapter(f"toys/c{number}", f"import src.m{number}")
        write_result(name, inputs=dependencies.inputs(name, "quick"))
    read, plain = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda file: read.append(file) or plain(file))
    assert set(states(runner.run()).values()) == {"up to date"}
    modules = [file for file in read if file.is_relative_to(toys.root / "src")]
    assert len(modules) == len(set(modules)) >= 20
    pages = [file for file in read if file.is_relative_to(toys.root / "chapters")]
    assert len(pages) == len(set(pages)) == 20
