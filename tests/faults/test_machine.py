"""Full and read-only disks, killed processes: nothing half-written is taken for a result."""

import contextlib
import os
import signal
import tempfile

import pytest

from src.book.execution import kernel, pool
from src.book.execution.results import read_result
from src.book.notebook import notebooks
from src.book.storage import locks, paths
from tests.book.command_line import REPOSITORY, alive, book, hidden, sleeper, start_book, wait_for

KERNEL_ENDS_S = 30  # it looks for its parent every second


def page(chapter):
    return paths.run_file(chapter, "quick").read_bytes()


def ok(ended, words):
    status, said = ended
    assert status == 0 and words in said, said


def test_a_full_disk_costs_only_what_does_not_fit(toys, temporary, small_disk):
    cause, setting = small_disk(toys.root / "_build")
    toys.chapter("toys/big", "1")
    toys.chapter("toys/small", "1")
    ok(book("run", **setting), "2 ok")
    before = page("toys/big")
    toys.chapter("toys/big", "print('x' * 3_000_000)")
    toys.chapter("toys/small", "2")
    status, said = book("run", **setting)
    assert status == 1 and "1 ok, 1 failed" in said, said
    assert f"_build/runs/quick/toys/big.ipynb: {cause}; free some space" in said
    assert page("toys/big") == before, "the last good page stays"
    assert hidden(toys.root) == [] == list(temporary.iterdir())
    toys.chapter("toys/big", "2")
    ok(book("run", **setting), "1 ok, 1 up to date")


def test_a_folder_in_the_making_is_not_taken_for_one_that_was_left(temporary, monkeypatch):
    @contextlib.contextmanager
    def slow(file):
        file.touch()
        kernel.sweep()  # another process begins a run meanwhile
        assert file.exists()
        with locks.exclusive(file) as lock:
            yield lock

    monkeypatch.setattr(kernel, "exclusive", slow)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with kernel.private_folder() as folder:
        kernel.sweep()
        assert folder.is_dir() and folder.parent == temporary
    assert list(temporary.iterdir()) == []


def test_a_disk_with_no_room_at_all_is_told(toys, small_disk):
    if small_disk(toys.root / "_build")[1]:
        pytest.skip("a disk without room: this needs root and the right to mount")
    toys.chapter("toys/one", "1")
    filler = toys.root / "_build/filler"
    with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))
    for command, expected in ((["run"], 1), (["run-one", "toys/one"], 6), (["site"], 6)):
        status, said = book(*command)
        assert status == expected and "No space left on device; free some space" in said, said
    filler.unlink()
    ok(book("run"), "1 ok")


def test_a_read_only_tree_says_what_to_set(toys, read_only, tmp_path_factory):
    toys.chapter("foundations/one", "1")
    toys.paper("one", "foundations/one")
    template = REPOSITORY / "chapters/TEMPLATE.py"
    (toys.root / "chapters/TEMPLATE.py").write_text(template.read_text())
    cause = read_only(toys.root)
    for command in (["run"], ["run-one", "foundations/one"], ["book"]):
        status, said = book(*command)
        assert status == 6 and f"error: _build: {cause}; make it writable" in said, said
        assert "set BOOK_BUILD" in said
    elsewhere = {"BOOK_BUILD": str(tmp_path_factory.mktemp("elsewhere"))}
    ok(book("run", **elsewhere), "1 ok")
    for command, file in (
        (["accept"], "chapters/foundations/one.ipynb"),
        (["new", "gnn", "two", "three"], "chapters/gnn/two.py"),
        (["results"], "data/results/cpu/foundations/one.json"),
    ):
        status, said = book(*command, **elsewhere)
        assert status == 6 and f"error: {file}: {cause}; make it writable" in said, said
        assert "use a copy of the repository that is" in said and "BOOK_BUILD" not in said, said


@pytest.mark.parametrize("step", [1, 3], ids=["within a file", "between page and result"])
def test_a_run_killed_while_it_writes_is_run_again(toys, step):
    toys.chapter("toys/one", "print('seed', seed)")
    ok(book("run"), "1 ok")
    before = page("toys/one")
    # Files and their folders are made safe in turn: the page, its folder, the result, its folder.
    fault = (
        "import itertools, os, signal\nstep, sync = itertools.count(1), os.fsync\n"
        f"os.fsync = lambda f: os.kill(os.getpid(), 9) if next(step) == {step} else sync(f)"
    )
    assert book("run-one", "toys/one", "--seed", "7", planted=fault)[0] == -signal.SIGKILL
    assert (page("toys/one") == before) == (step == 1)
    assert len(hidden(toys.root)) == 1
    ok(book("run", "--force") if step == 1 else book("run"), "1 ok")
    assert (
        "seed 0\n" in notebooks.load(paths.run_file("toys/one", "quick")).cells[-1].outputs[0].text
    )
    assert read_result("toys/one", "quick").seed == 0
    assert hidden(toys.root) == [], "the half-written file is gone"
    ok(book("run"), "1 up to date")


@pytest.mark.parametrize("spoiled", [".ipynb", ".json"])
def test_a_damaged_page_or_result_is_made_again(toys, spoiled):
    toys.chapter("toys/one", "1")
    ok(book("run"), "1 ok")
    file = paths.run_file("toys/one", "quick", spoiled)
    whole = page("toys/one")
    file.write_bytes(file.read_bytes()[:100])
    ok(book("run"), "1 ok")
    assert page("toys/one") == whole


def test_a_worker_that_is_killed_leaves_no_kernel(toys, temporary):
    pid = toys.root / "pid"
    toys.chapter("toys/good", "1")
    toys.chapter(
        "toys/orphan",
        f"import os, pathlib, signal\npathlib.Path({str(pid)!r}).write_text(str(os.getpid()))\n"
        "os.kill(os.getppid(), signal.SIGKILL)\nimport time\ntime.sleep(600)",
    )
    status, said = book("run")
    assert status == 1 and "1 ok, 1 failed" in said, said
    assert "the process that ran it died (exit status -9); run it again" in said
    wait_for(lambda: not alive(pid), KERNEL_ENDS_S)
    assert list(temporary.iterdir()) == []


def test_what_a_killed_run_left_is_removed_by_the_next(toys, temporary):
    (toys.root / "slow").write_text("")
    pid = sleeper(toys, "toys/slow")
    process = start_book("run")
    wait_for(pid.exists)
    # Main process, fork server and workers at once: nobody is left to tidy up.
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert list(temporary.iterdir()) != []
    wait_for(lambda: not alive(pid), KERNEL_ENDS_S)
    (toys.root / "slow").unlink()
    ok(book("run"), "1 ok")
    assert list(temporary.iterdir()) == []


def test_a_private_folder_that_is_held_is_not_swept(toys, temporary, monkeypatch):
    from src.book.execution import kernel

    monkeypatch.setattr(kernel.tempfile, "tempdir", str(temporary))
    with kernel.private_folder() as folder:
        # As if its holder were a process of another machine: its number says nothing here.
        other = folder.rename(folder.with_name("book-999999999-x"))
        kernel.sweep()
        assert other.exists()
        other.rename(folder)
    assert list(temporary.iterdir()) == []


class Deadly:
    """Ends the process that receives it."""

    def __reduce__(self):
        return os._exit, (3,)


def test_a_process_that_dies_before_it_begins_costs_only_its_chapter(toys):
    tasks = [
        pool.Task(toys.chapter(f"toys/{name}", "1"), "quick", given, None)
        for name, given in (("dead", {"seed": Deadly()}), ("good", {}), ("fine", {}))
    ]
    begun, done = [], []
    pool.run_all(tasks, 1, started=begun.append, finished=done.append)
    assert begun == tasks
    assert [(r.chapter, r.status) for r in done] == [
        ("toys/dead", "failed"),
        ("toys/good", "ok"),
        ("toys/fine", "ok"),
    ]
    assert done[0].failure == "machine"
    assert "died (exit status 3)" in done[0].reason
