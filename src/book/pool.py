"""Warm interpreters that run chapters side by side; one that dies costs only its own chapter.

A worker is forked from a server process that has imported papermill already. It ends, and takes its
kernel with it, when it is told to and when the main process is gone, whatever ended that.
"""

import contextlib
import functools
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import util
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from src.book import kernel
from src.book.errors import BookError
from src.book.files import trouble
from src.book.results import Result, failed_before_start

_PRELOADED = ["src.book.execute", "papermill", "jupytext", "jupyter_client", "psutil"]
_PATIENCE_S = 5


@dataclass(frozen=True)
class Task:
    """One chapter to be run; `out` is the folder for its files, if not the profile's own."""

    chapter: str
    profile: str
    given: tuple[tuple[str, object], ...] = ()
    out: Path | None = None


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    task: Task | None = None


def run_all(
    tasks: Iterable[Task],
    jobs: int,
    *,
    started: Callable[[Task], None] = lambda task: None,
    finished: Callable[[Result], None] = lambda result: None,
) -> None:
    """Run the tasks in order on `jobs` workers; every task ends in a call of `finished`.

    Args:
        tasks: what to run, the longest first.
        jobs: how many at a time.
        started: called when a task begins.
        finished: called with each result, whatever it is.

    An exception (KeyboardInterrupt) ends all workers and their kernels at once.
    """
    waiting = list(tasks)[::-1]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    workers: list[_Worker] = []
    try:
        while waiting or any(worker.task for worker in workers):
            while waiting and (worker := _free(context, workers, jobs)):
                worker.task = waiting.pop()
                worker.connection.send(worker.task)
                started(worker.task)
            for worker in _ready(workers):
                result = _answer(worker) or _died(worker)
                worker.task = None
                finished(result)
    finally:
        _dismiss(workers)


def _free(
    context: multiprocessing.context.BaseContext, workers: list[_Worker], jobs: int
) -> _Worker | None:
    """Return a worker without a task, a new one if there may be more, or None."""
    workers[:] = [worker for worker in workers if worker.task or worker.process.is_alive()]
    for worker in workers:
        if not worker.task:
            return worker
    if len(workers) >= jobs:
        return None
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, dict(os.environ)), name="book-worker")
    with _temporary_files_in(_own_folder()):
        process.start()
    theirs.close()
    workers.append(_Worker(process, ours))
    return workers[-1]


@functools.cache
def _own_folder() -> Path:
    """Return this process's private folder, which is removed at its end, or by the next sweep."""
    stack = contextlib.ExitStack()
    folder = stack.enter_context(kernel.private_folder())
    # After the fork server's own files in it, which go at priority -100.
    util.Finalize(None, stack.close, exitpriority=-200)
    return folder


@contextlib.contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Have the fork server's socket in our folder: its own would outlive a process killed."""
    usual, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = usual


def _ready(workers: list[_Worker]) -> list[_Worker]:
    """Wait; return the workers with a task that have answered or died."""
    busy = [worker for worker in workers if worker.task]
    ready = wait([thing for w in busy for thing in (w.connection, w.process.sentinel)])
    return [w for w in busy if w.connection in ready or w.process.sentinel in ready]


def _answer(worker: _Worker) -> Result | None:
    with contextlib.suppress(EOFError, ConnectionError):
        if worker.connection.poll():
            return worker.connection.recv()
    return None


def _died(worker: _Worker) -> Result:
    worker.process.join(_PATIENCE_S)
    kernel.sweep()  # it left its kernel
    reason = f"the process that ran it died (exit status {worker.process.exitcode}); run it again"
    return _not_started(worker.task, reason, "machine")


def _dismiss(workers: list[_Worker]) -> None:
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join(_PATIENCE_S)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.connection.close()


def _serve(connection: Connection, environment: dict[str, str]) -> None:
    """Run tasks until told to stop; the body of a worker process."""
    from src.book import execute

    def leave(*_: object) -> None:
        execute.kill_running()
        os._exit(128 + signal.SIGTERM)

    def leave_with_parent() -> None:
        multiprocessing.parent_process().join()
        leave()

    # Ctrl-C reaches the whole process group: the main process decides, workers wait for its word.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, leave)
    threading.Thread(target=leave_with_parent, daemon=True).start()
    os.environ.clear()
    os.environ.update(environment)
    while True:
        connection.send(_run(connection.recv()))


def _run(task: Task) -> Result:
    from src.book.execute import execute

    try:
        return execute(task.chapter, task.profile, dict(task.given), out=task.out)
    except BookError as error:
        reason = str(error).removeprefix(f"{task.chapter}: ")
        return _not_started(task, reason, "invalid")
    except Exception as error:  # a fault of the machinery must not cost the other chapters
        told = trouble(error) if isinstance(error, OSError) else ""
        return _not_started(task, told or f"{type(error).__name__}: {error}", "machine")


def _not_started(task: Task, reason: str, failure: str) -> Result:
    return failed_before_start(task.chapter, task.profile, reason, failure, task.out)
