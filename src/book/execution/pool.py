"""Warm interpreters that run chapters side by side; one that dies costs only its own chapter.

Each chapter has a process of its own, forked from a server that has imported papermill already. It
ends, and takes its kernel with it, when it is told to and when the main process is gone, whatever
ended that. Why no ready-made pool: a process that dies breaks all of concurrent.futures' pool, and
all of pebble's if it dies before it has begun a task.
"""

import contextlib
import functools
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import forkserver, util
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from src.book.execution import execute, kernel
from src.book.execution.results import Result, RunFiles
from src.book.storage.errors import BookError
from src.book.storage.files import trouble

_PRELOADED = ["src.book.execution.execute", "papermill", "jupytext", "jupyter_client", "psutil"]
_PATIENCE_S = 5


@dataclass(frozen=True)
class Task:
    """One chapter to be run; `out` is the folder for its files, if not the profile's own."""

    chapter: str
    profile: str
    given: dict[str, object]
    out: Path | None


def run_all(
    tasks: list[Task],
    jobs: int,
    *,
    started: Callable[[Task], None],
    finished: Callable[[Result], None],
) -> None:
    """Run the tasks in order, `jobs` at a time; every task ends in a call of `finished`.

    An exception (KeyboardInterrupt) ends all processes and their kernels at once.
    """
    waiting, running = tasks[::-1], {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                task = waiting.pop()
                started(task)
                answer, process = _start(task)
                running[answer] = task, process
            for answer in wait(running):
                finished(_result(answer, *running.pop(answer)))
    finally:
        for _, process in running.values():
            process.terminate()
        for _, process in running.values():
            process.join(_PATIENCE_S)
            if process.is_alive():
                process.kill()
                process.join()


def _start(task: Task) -> tuple[Connection, BaseProcess]:
    """Start the process of a task; return where its answer comes from, and the process."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    _start_server()
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(task, theirs, dict(os.environ)), daemon=True)
    process.start()
    theirs.close()
    return ours, process


@functools.cache
def _start_server() -> None:
    """Start the fork server with its socket in a folder of ours: its own would outlive a kill."""
    stack = contextlib.ExitStack()
    folder = stack.enter_context(kernel.private_folder())
    # After the fork server's own files in it, which go at priority -100.
    util.Finalize(None, stack.close, exitpriority=-200)
    usual, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        forkserver.ensure_running()
    finally:
        tempfile.tempdir = usual


def _result(answer: Connection, task: Task, process: BaseProcess) -> Result:
    """Return what a process answered, or that it died."""
    with answer, contextlib.suppress(EOFError, ConnectionError):
        return answer.recv()
    process.join(_PATIENCE_S)
    kernel.sweep()  # it left its kernel's folder
    reason = f"the process that ran it died (exit status {process.exitcode}); run it again"
    return _not_started(task, reason, "machine")


def _work(task: Task, answer: Connection, environment: dict[str, str]) -> None:
    """Run a task and answer with its result; the body of its process."""

    def leave(*_: object) -> None:
        execute.kill_running()
        os._exit(128 + signal.SIGTERM)

    def leave_with_parent() -> None:
        multiprocessing.parent_process().join()
        leave()

    # Ctrl-C reaches the whole process group: the main process decides, we wait for its word.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, leave)
    threading.Thread(target=leave_with_parent, daemon=True).start()
    os.environ.clear()
    os.environ.update(environment)
    try:
        result = execute.execute(task.chapter, task.profile, task.given, out=task.out)
    except BookError as error:
        reason = str(error).removeprefix(f"{task.chapter}: ")
        result = _not_started(task, reason, "invalid")
    except Exception as error:  # a fault of the machinery must not cost the other chapters
        told = trouble(error) if isinstance(error, OSError) else ""
        result = _not_started(task, told or f"{type(error).__name__}: {error}", "machine")
    answer.send(result)


def _not_started(task: Task, reason: str, failure: str) -> Result:
    """Keep and return the result of a run that did not come to start a kernel."""
    finished = datetime.now(UTC).isoformat(timespec="seconds")
    told = {"failure": failure, "reason": reason, "finished": finished}
    result = Result(task.chapter, task.profile, "failed", **told)
    return RunFiles(task.chapter, task.profile, task.out).keep(result, None, reason)
