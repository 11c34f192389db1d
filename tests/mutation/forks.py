"""Run tests on one mutant after the other, each in a fork of a process that has the libraries.

A script, not a module of the tests: nothing of `src` or `tests` may be imported before the fork,
because a mutant lies in a copy of the tree. It reads a request from its input and prints a line of
JSON for the runs without a mistake, then one for each mutant, in order.
"""

import gc
import importlib
import json
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

OPTIONS = ("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:nbval")
OURS = ("src", "tests", "papers_that_run", "conftest")
MEMORY = 8 * 2**30  # bytes that a mistake may ask for


class Watch:
    """A plugin of pytest: which tests fail, and which functions of a module the files call."""

    def __init__(self, module: Path):
        self.module, self.failed, self.called, self.file = str(module), [], {}, None

    def pytest_runtest_logstart(self, nodeid):
        self.file = nodeid.split("::")[0]

    def trace(self, frame, *_):
        if frame.f_code.co_filename == self.module and self.file:
            name = frame.f_code.co_qualname.split(".<locals>")[0]
            self.called.setdefault(self.file, {})[name] = True

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed.append(report.nodeid)

    pytest_collectreport = pytest_runtest_logreport


def run_pytest(tree: Path, module: str, arguments: list[str], mutated: bool) -> dict:
    """Run pytest in this process, quietly, until something fails if there is a mistake."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    os.chdir(tree)
    os.environ["PYTHONPATH"] = str(tree)
    sys.path.insert(0, str(tree))
    # Two mutants may have the same size and second, which is all that a .pyc is known by.
    sys.dont_write_bytecode = mutated
    watch, options = Watch(tree / module), ["-x"] if mutated else []
    sys.settrace(None if mutated else watch.trace)
    code = pytest.main([*options, *OPTIONS, f"--basetemp={tree}/_temp", *arguments], [watch])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) and not watch.failed:
        watch.failed.append(f"pytest ended with {code}")
    found = {"failed": watch.failed}
    return found if mutated else found | {"called": watch.called, "imported": list(sys.modules)}


def in_a_fork(tree: Path, *given, limit: float = 0) -> dict:
    """Return what `run_pytest` returns in a child that is stopped after `limit` seconds."""
    begin, (reader, writer) = time.monotonic(), os.pipe()
    child = os.fork()
    if not child:
        with suppress(BaseException):
            os.setsid()
            said = json.dumps(run_pytest(tree, *given)) + "\n"
            with open(writer, "w") as answer:
                answer.write(said)
        os._exit(0)
    os.close(writer)
    found = {"failed": ["no answer in time"]}
    try:
        signal.setitimer(signal.ITIMER_REAL, limit)
        with open(reader, "rb") as answer, suppress(TimeoutError):
            found = json.loads(answer.readline() or '{"failed": ["the process died"]}')
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # with whatever it has started
        os.waitpid(child, 0)
    return found | {"seconds": time.monotonic() - begin}


def too_long(*_):
    """End the wait for a child."""
    raise TimeoutError


def without_mistake(tree: Path, module: str, stages: list[list[str]]) -> list[dict]:
    """Run all stages; keep the libraries that they needed for all forks that follow."""
    runs = [in_a_fork(tree, module, stage, False) for stage in stages]
    for name in sorted({name for run in runs for name in run.pop("imported", [])}):
        if name.split(".")[0] not in OURS:
            with suppress(Exception):
                importlib.import_module(name)
    for compiled in (tree / module).parent.glob(f"__pycache__/{Path(module).stem}.*"):
        compiled.unlink()
    gc.freeze()
    return runs


def settle(tree: Path, request: dict, runs: list[dict]) -> None:
    """Give this worker its copy of the tree, and the stages with their limits."""
    global TREE, MODULE, STAGES
    TREE, MODULE = tree.with_name(f"{tree.name}-{os.getpid()}"), request["module"]
    shutil.copytree(tree, TREE)
    STAGES = []
    for stage, run in zip(request["stages"], runs, strict=True):
        broken = [f"--deselect={test}" for test in run["failed"]]
        limit = 3 * run["seconds"] + request["margin"]
        STAGES.append((stage, broken, limit, run.get("called", {})))


def attempt(mutant: tuple[str, str]) -> dict:
    """Return which test notices a mutant of a function, null if none does.

    Files after the first stage that call other functions of the module, but not this one, are
    left out. Single tests are not: what a test finds wrong may have been kept by one before it.
    """
    function, source = mutant
    (TREE / MODULE).write_text(source, encoding="utf-8")
    begin, failed = time.monotonic(), []
    for i, (stage, broken, limit, called) in enumerate(STAGES):
        elsewhere = {f for f, names in called.items() if i and function not in names}
        if any(function in names for _, _, _, c in STAGES for names in c.values()):
            stage = [argument for argument in stage if argument not in elsewhere]
        if stage and not failed:
            failed = in_a_fork(TREE, MODULE, [*stage, *broken], True, limit=limit)["failed"]
    return {"by": failed[0] if failed else None, "seconds": time.monotonic() - begin}


def main() -> None:
    """Answer the request."""
    request = json.load(sys.stdin)
    signal.signal(signal.SIGALRM, too_long)
    for library in request["libraries"]:
        with suppress(ImportError):
            importlib.import_module(library)
    tree = Path(request["tree"])
    runs = without_mistake(tree, request["module"], request["stages"])
    print(json.dumps(runs), flush=True)
    forks = multiprocessing.get_context("fork")
    with forks.Pool(request["jobs"], settle, (tree, request, runs)) as pool:
        for found in pool.imap(attempt, request["mutants"]):
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
