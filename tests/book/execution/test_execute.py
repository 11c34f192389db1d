"""One chapter executed: what it leaves when it goes well, and for each way of going wrong."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from src.book.execution import execute as executor
from src.book.execution import kernel
from src.book.execution import results as kept
from src.book.execution.execute import PROFILES, execute
from src.book.execution.results import read_result, why_stale
from src.book.notebook import chapters, notebooks
from src.book.storage import dependencies, paths
from src.book.storage.errors import BookError

QUICK = PROFILES["quick"]
TELL = "import json, os\ndef tell(**event):\n    with open(os.environ['BOOK_RECORD'], 'a') as f:\n"
TELL += "        f.write(json.dumps(event) + '\\n')"


def files(chapter, suffix):
    return paths.run_file(chapter, "quick", suffix)


def assert_nothing_left_running():
    """No kernel of this process is alive and no private folder is left."""
    children = psutil.Process().children(recursive=True)
    assert not [c for c in children if "ipykernel_launcher" in " ".join(c.cmdline())]


def test_a_run_leaves_a_page_and_a_result(toys):
    name = toys.chapter(
        "toys/one",
        "import os, sys, threading\nprint(seed, scale, os.path.basename(os.getcwd()))",
        "print(os.environ['OMP_NUM_THREADS'], os.environ['PYTHONHASHSEED'])",
        TELL,
        "tell(event='start', provenance={'device': 'before it was started again'})\n"
        "tell(event='start', provenance={'device': 'toy'})\n"
        "tell(event='measure', paper='p', claim='C1', verdict='supported')\n"
        "tell(event='measure', paper='p', claim='C1', verdict='inconclusive')\n"
        "tell(event='record', name='curve', value=[1, 2])\n"
        "tell(event='fetch', name='digits', sha256='0')",
    )
    result = execute(name, given={"scale": "2.5"})
    assert (result.status, result.failure, result.reason, result.log) == ("ok", "", "", "")
    assert result.seed == 0 and result.parameters == {"scale": 2.5}
    assert result.measurements == [{"paper": "p", "claim": "C1", "verdict": "inconclusive"}]
    assert result.recorded == {"curve": [1, 2]}
    assert result.data == [{"name": "digits", "sha256": "0"}]
    assert result.provenance == {"device": "toy"}
    assert result.peak_memory_mb > 20 and result.startup_seconds > 0 < result.cpu_seconds
    assert read_result(name, "quick") == result
    page = notebooks.load(files(name, ".ipynb"))
    assert "0 2.5 toys\n" in page.cells[3].outputs[0].text
    assert page.cells[4].outputs[0].text == "1 0\n"
    assert [c.source for c in page.cells] == [c.source for c in chapters.find(name).notebook.cells]
    assert notebooks.unexecuted(page) == []
    assert not files(name, ".log").exists()
    assert_nothing_left_running()


def test_two_runs_leave_the_same_bytes(toys):
    name = toys.chapter(
        "toys/one",
        "import time\nfor i in range(3):\n    print(i, flush=True)\n    time.sleep(0.3)",
        "{'a', 'b', 'c', 'd'}",
        "from IPython.display import HTML\nHTML('<b>x</b>')",
    )
    runs = []
    for _ in range(2):
        assert execute(name).status == "ok"
        runs.append(files(name, ".ipynb").read_bytes())
    assert runs[0] == runs[1]


def test_a_cell_that_raises(toys):
    name = toys.chapter("toys/one", "x = 1")
    execute(name)
    good = files(name, ".ipynb").read_bytes()
    toys.chapter("toys/one", "x = 1", "def f():\n    raise ValueError('no good')\nf()", "x = 2")
    result = execute(name)
    assert (result.status, result.failure, result.exit_status) == ("failed", "raised", 1)
    assert (result.reason, result.cell) == ("ValueError: no good", 5)
    log = files(name, ".log").read_text()
    assert "cell 5" in log and "raise ValueError" in log and "\x1b" not in log
    assert result.log == "_build/runs/quick/toys/one.log"
    assert files(name, ".ipynb").read_bytes() == good, "the last good page stays"
    aside = notebooks.load(files(name, ".failed.ipynb"))
    assert notebooks.errors(aside) == [(5, "ValueError: no good")]
    assert aside.cells[0].source.startswith("# A title"), "papermill's banner is gone"
    assert why_stale(name, "quick") == "the last run failed"
    toys.chapter("toys/one", "x = 1")
    assert execute(name).status == "ok"
    assert not files(name, ".log").exists() and not files(name, ".failed.ipynb").exists()


@pytest.mark.parametrize("leaves", ["sys.exit()", "sys.exit(0)", "raise SystemExit"])
@pytest.mark.parametrize("after", [[], ["x = 2"]], ids=["last cell", "in the middle"])
def test_a_cell_that_leaves_early_is_no_success(toys, leaves, after):
    name = toys.chapter("toys/one", f"import sys\n{leaves}", *after)
    result = execute(name)
    assert (result.status, result.failure, result.cell) == ("failed", "raised", 4)
    assert result.reason.startswith("it calls sys.exit(), which ends the run; let the chapter run")
    assert not files(name, ".ipynb").exists()


def test_a_chapter_that_hangs_ends_at_the_limit_of_the_whole_chapter(toys, monkeypatch):
    hangs = toys.root / "hangs"
    touch = f"import pathlib\npathlib.Path({str(hangs)!r}).touch()"
    name = toys.chapter("toys/one", "import time", touch, "time.sleep(600)")
    looks = [0]

    def clock():
        """Stand still until the chapter hangs, then be a quarter of a second later at each look."""
        looks[0] += hangs.exists()
        return looks[0] / 4

    monkeypatch.setattr(kernel, "time", SimpleNamespace(monotonic=clock))
    result = execute(name, limits=replace(QUICK, limit_s=5))
    assert looks == [21], "it is ended at the first look after the limit"
    assert (result.status, result.failure, result.exit_status) == ("failed", "time", 3)
    assert "over its limit of 5 s" in result.reason
    assert result.cell == 6
    log = files(name, ".log").read_text()
    assert "KeyboardInterrupt" in log and "----> 1 time.sleep(600)" in log, "it says where it hung"
    assert_nothing_left_running()


def test_a_chapter_that_cannot_be_interrupted_ends_all_the_same(toys):
    name = toys.chapter(
        "toys/one",
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(600)",
    )
    assert execute(name, limits=replace(QUICK, limit_s=2)).failure == "time"
    assert_nothing_left_running()


def test_a_kernel_that_is_killed_is_noticed(toys):
    name = toys.chapter("toys/one", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    result = execute(name)  # not noticed, it would be ended at the limit, as one that hangs
    assert (result.status, result.failure, result.exit_status) == ("failed", "died", 5)
    assert "the kernel died: SIGKILL" in result.reason and result.cell == 4
    assert not files(name, ".ipynb").exists()


def test_what_a_dying_kernel_says_is_in_the_log(toys):
    name = toys.chapter("toys/one", "import os\nos.write(2, b'last words')\nos.abort()")
    result = execute(name)
    assert "SIGABRT" in result.reason
    assert "last words" in files(name, ".log").read_text()


def test_a_chapter_that_takes_too_much_memory(toys):
    name = toys.chapter("toys/one", "x = bytearray(300 * 2**20)\nimport time\ntime.sleep(30)")
    result = execute(name, limits=replace(QUICK, memory_gib=0.2))
    assert (result.status, result.failure, result.exit_status) == ("failed", "memory", 4)
    assert "over its memory limit of 0.2 GiB" in result.reason
    assert result.peak_memory_mb > 200


def test_children_of_a_kernel_count_and_end_with_it(toys, tmp_path):
    name = toys.chapter(
        "toys/one",
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', "
        "'import time; x = bytearray(150 * 2**20); time.sleep(60)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\ntime.sleep(1.5)",
    )
    result = execute(name)
    assert result.status == "ok" and result.peak_memory_mb > 180
    pid = int((tmp_path / "pid").read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_out_of_time_is_incomplete_and_not_a_failure(toys):
    name = toys.chapter("toys/one", "class OutOfTime(Exception): ...\nraise OutOfTime('again')")
    result = execute(name)
    assert (result.status, result.failure, result.reason) == ("incomplete", "", "again")
    assert result.exit_status == 75


def test_wrong_input_starts_no_kernel(toys):
    name = toys.chapter("toys/one")
    for profile, given in (
        ("quick", {"sed": 1}),
        ("quick", {"seed": "1.5"}),
        ("quick", {"scale": "big"}),
        ("gpu", {}),
        ("huge", {}),
    ):
        with pytest.raises(BookError, match=r"valid|must be"):
            execute(name, profile, given)
    with pytest.raises(BookError, match="unknown chapter 'toys/none'; valid: toys/one"):
        execute("toys/none")
    assert read_result(name, "quick") is None


def test_other_parameters_do_not_pass_for_the_books_own_run(toys):
    name = toys.chapter("toys/one")
    execute(name, given={"seed": 0})
    assert why_stale(name, "quick") == ""
    execute(name, given={"seed": 1})
    assert why_stale(name, "quick") == "parameters changed"


def test_files_go_where_they_are_asked_to(toys, tmp_path):
    name = toys.chapter("toys/one", "raise ValueError")
    execute(name, out=tmp_path / "elsewhere")
    made = sorted(f.name for f in (tmp_path / "elsewhere/toys").iterdir())
    assert made == ["one.failed.ipynb", "one.json", "one.lock", "one.log"]
    assert read_result(name, "quick") is None


def test_a_full_disk_costs_only_the_new_page(toys, monkeypatch):
    name = toys.chapter("toys/one", "1")
    execute(name)
    good = files(name, ".ipynb").read_bytes()
    write = kept.write_atomically

    def full(file, text):
        if file.suffix == ".ipynb":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
        write(file, text)

    monkeypatch.setattr(kept, "write_atomically", full)
    toys.chapter("toys/one", "2")
    result = execute(name)
    assert (result.status, result.failure, result.exit_status) == ("failed", "machine", 6)
    assert "No space left on device" in result.reason and "one.ipynb" in result.reason
    assert files(name, ".ipynb").read_bytes() == good
    assert json.loads(files(name, ".json").read_text())["status"] == "failed"


def test_a_chapter_of_several_papers_may_take_twice_as_long(toys):
    name = toys.chapter("foundations/one")
    toys.paper("a", name)
    assert executor.limits_of(chapters.find(name), "quick") == QUICK
    toys.paper("b", name)
    twice = replace(QUICK, budget_s=2 * QUICK.budget_s, limit_s=2 * QUICK.limit_s)
    assert executor.limits_of(chapters.find(name), "quick") == twice
    assert executor.limits_of(chapters.find(name), "cpu") == PROFILES["cpu"]


def test_a_long_temporary_folder_does_not_break_the_sockets(toys, tmp_path, monkeypatch):
    import tempfile

    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    assert execute(toys.chapter("toys/one", "1")).status == "ok"
    assert list(deep.iterdir()) == []


def test_the_chapter_imports_this_trees_modules(toys):
    toys.module("src.toys", "where = __file__")
    name = toys.chapter(
        "toys/one", "import src.toys, src.book.storage.errors\nprint(src.toys.where)"
    )
    assert execute(name).status == "ok"
    page = notebooks.load(files(name, ".ipynb"))
    assert Path(page.cells[-1].outputs[0].text.strip()) == toys.root / "src/toys.py"


def test_a_page_whose_shown_source_changed_is_run_again(toys):
    text = "def f():\n    # Shown with its comments.\n    return 1\n"
    toys.module("src.toys", text)
    name = toys.chapter("toys/one", "from src.book import show\nfrom src.toys import f", "show(f)")
    result = execute(name)
    assert result.shown == [text.strip()] and why_stale(name, "quick") == ""
    toys.module("src.toys", "# A comment that no page shows.\n\n\n" + text)
    assert why_stale(name, "quick") == ""
    toys.module("src.toys", text.replace("comments", "remarks"))
    assert why_stale(name, "quick") == "a source that it shows changed"


def test_a_run_stands_only_in_its_own_environment(toys, monkeypatch):
    name = toys.chapter("toys/one", "1")
    execute(name)
    assert why_stale(name, "quick") == ""
    another = {**dependencies.environment(), "torch": "9"}
    monkeypatch.setattr(dependencies, "environment", lambda: another)
    assert why_stale(name, "quick") == "torch changed"
