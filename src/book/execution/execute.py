"""The one executor: runs one chapter headless with papermill and leaves a page and a result.

Everything that runs a chapter comes through `execute`: the pool, the command line, a cluster. A
page is replaced only by a run that went well, in one step; a run that did not go well leaves its
notebook and its traceback beside it.
"""

import logging
import math
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from src.book.execution import kernel
from src.book.execution.results import Result, RunFiles
from src.book.execution.speed import Slowness
from src.book.notebook import chapters, notebooks
from src.book.storage import dependencies, events, locks
from src.book.storage.errors import BookError, choose
from src.book.storage.files import trouble

if TYPE_CHECKING:
    from nbformat import NotebookNode

_START_TIMEOUT_S = 120  # a kernel starts in one second; a machine under load needs longer
_OUTPUT_TIMEOUT_S = 60
_MORE = "make it do less, or allow it more by the environment variable"
_STARTS = re.compile(r"^\w+ = start\(", re.MULTILINE)  # the cell that makes the run context


@dataclass(frozen=True)
class Limits:
    """What a run may use."""

    threads: int  # of the numerical libraries
    budget_s: float  # that a chapter of one paper should take at most; over it is a warning
    limit_s: float  # after which the run is ended
    memory_gib: float  # the resident memory at which the run is ended
    gpus: int = 0  # how many it needs; a cluster's scheduler gives them


PROFILES = {
    # The quick limit leaves room for machines that are slow or busy.
    "quick": Limits(threads=1, budget_s=30, limit_s=240, memory_gib=2),
    "cpu": Limits(threads=2, budget_s=60 * 60, limit_s=4 * 60 * 60, memory_gib=8),
    "gpu": Limits(threads=8, budget_s=60 * 60, limit_s=4 * 60 * 60, memory_gib=64, gpus=1),
}


def execute(
    chapter: str,
    profile: str = "quick",
    given: dict[str, object] | None = None,
    *,
    limits: Limits | None = None,
    out: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Result:
    """Run one chapter; return (and write) how it went.

    Args:
        chapter: such as "foundations/transformer".
        profile: one of the chapter's profiles.
        given: values of other parameters; texts are converted to their types.
        limits: instead of the profile's.
        out: the folder for the files, instead of `_build/runs/<profile>`.
        say: called with a line when it has to wait for another run of the same chapter.

    Raises:
        BookError: before anything is started, for an unknown chapter, profile or parameter, or a
            wrong type.
    """
    found = chapters.find(chapter)
    limits = limits or limits_of(found, profile)
    files = RunFiles(chapter, profile, out)
    with locks.exclusive(files.of(".lock"), lambda who: say(f"{chapter}: waiting for {who}")):
        began = time.monotonic()
        # The checksums come first: what is edited from here on makes the run stale.
        inputs, modules = dependencies.inputs(chapter, profile), dependencies.modules(chapter)
        asked = found.validate({**(given or {}), "profile": profile})
        unusual = {k: v for k, v in asked.items() if k != "profile" and v != found.schema[k]}
        inputs["parameters"] = dependencies.parameter_text(unusual)
        # Weights that such a run trains are not the book's.
        aside = files.of(".models") if unusual else None
        attempt = _Attempt(found, asked, limits)
        told = attempt.run(aside)
        result = Result(
            chapter,
            profile,
            seed=asked.get("seed", found.schema["seed"]),
            parameters=unusual,
            budget_s=limits.budget_s,
            startup_seconds=round(attempt.first_cell - began, 2),
            inputs=inputs,
            environment=dependencies.environment(),
            modules=modules,
            **told,
        )
        return files.keep(result, attempt.executed, attempt.log)


def limits_of(chapter: chapters.Chapter, profile: str) -> Limits:
    """Return a chapter's limits: the profile's, for several papers twice the quick profile's time.

    `BOOK_LIMIT_S` and `BOOK_MEMORY_GIB` take the place of the profile's.

    Raises:
        BookError: listing the valid profiles, or if a variable is not a number above 0.
    """
    limits = PROFILES[choose("profile", profile, list(PROFILES))]
    if profile == "quick" and len(chapter.papers) > 1:
        limits = replace(limits, budget_s=2 * limits.budget_s, limit_s=2 * limits.limit_s)
    return replace(
        limits,
        limit_s=_asked("BOOK_LIMIT_S", limits.limit_s),
        memory_gib=_asked("BOOK_MEMORY_GIB", limits.memory_gib),
    )


def _asked(variable: str, usual: float) -> float:
    """Return the number in an environment variable, or the usual one."""
    text = os.environ.get(variable) or str(usual)
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise BookError(f"{variable} must be a number above 0, not {text!r}")
    return number


def kill_running() -> None:
    """End the kernels that this process runs; for a process that is about to end itself."""
    for guard, folder in list(_running.items()):
        guard.kill()
        shutil.rmtree(folder, ignore_errors=True)


_running: dict[kernel.Guard, Path] = {}


class _Attempt:
    """One execution of a notebook: what came out, and how it ended."""

    def __init__(self, chapter: chapters.Chapter, asked: dict, limits: Limits) -> None:
        self.chapter, self.asked, self.limits = chapter, asked, limits
        self.executed: NotebookNode = chapter.notebook
        self.first_cell = self.last_cell = time.monotonic()
        self.begun = 0  # code cells of the source that were begun
        self.imports: dict[str, float] = {}  # what it took until the run context was there
        self.log = ""
        self.slowness = Slowness()

    def run(self, models: Path | None) -> dict[str, object]:
        """Execute in the chapter's folder, fill `executed` and `log`; return the result's fields.

        `models` is the folder for the weights that it trains, if not the book's.
        """
        guard = kernel.Guard(self.limits.limit_s, self.limits.memory_gib)
        with kernel.private_folder() as private:
            _running[guard] = private
            record = private / "events.jsonl"
            env = kernel.environment(self.limits.threads, private, record)
            if models:
                env["BOOK_MODELS"] = str(models.resolve())
            folder = self.chapter.source.parent
            try:
                self._papermill(guard, kernel.manager_class(guard, private, env, folder))
                ending = self._check_complete()
                guard.end()
            except Exception as error:
                ending = self._ending(error, guard)
                printed = private / "kernel.log"
                said = printed.read_text(errors="replace")[-20_000:] if printed.exists() else ""
                self.log += f"\n\nThe kernel itself printed:\n{said}" if said.strip() else ""
            finally:
                guard.end()
                _running.pop(guard, None)
            told = events.read(record)
            return {
                **ending,
                "seconds": round(self.last_cell - self.first_cell, 2),
                **self.imports,
                "cpu_seconds": round(guard.cpu_seconds, 2),
                "slowness": self.slowness.value,
                "peak_memory_mb": round(max(guard.peak_mb, _largest(told, "peak_mb")), 2),
                "gpu_peak_memory_mb": round(_largest(told, "gpu_peak_mb"), 2),
                "finished": datetime.now(UTC).isoformat(timespec="seconds"),
                **_handed_in(told),
            }

    def _papermill(self, guard: kernel.Guard, manager: type) -> None:
        import papermill

        logging.getLogger("papermill").setLevel(logging.CRITICAL)  # we report what happens

        def keep(notebook: "NotebookNode") -> None:
            self.executed = notebook
            self.first_cell = self.last_cell = time.monotonic()

        def begin(cell: dict, cell_index: int) -> None:
            self.begun += "injected-parameters" not in cell.metadata.get("tags", [])

        def done(cell: dict, **_: object) -> None:
            before, self.last_cell = self.last_cell, time.monotonic()
            self.slowness.sample(self.last_cell - before)
            guard.sample()
            if not self.imports and _STARTS.search(cell.source):
                seconds = round(self.last_cell - self.first_cell, 2)
                cpu = round(guard.cpu_seconds, 2)
                self.imports = {"import_seconds": seconds, "import_cpu_seconds": cpu}

        papermill.execute_notebook(
            self.chapter.notebook,
            None,  # papermill writes nothing: a page is written once, at the end, in one step
            parameters=self.asked,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            start_timeout=_START_TIMEOUT_S,
            iopub_timeout=_OUTPUT_TIMEOUT_S,
            kernel_manager_class=manager,
            shutdown_kernel="immediate",
            on_notebook_start=keep,
            on_cell_execute=begin,
            on_cell_executed=done,
        )

    def _check_complete(self) -> dict[str, object]:
        """Return how a run ended that papermill took for good."""
        ran = notebooks.clean(self.executed)
        # A cell that calls sys.exit() ends the run, and papermill does not mind.
        if notebooks.errors(ran):
            reason = "it calls sys.exit(), which ends the run; let the chapter run to its end"
            return self._failed("raised", reason)
        if missing := notebooks.unexecuted(ran):
            reason = f"not every code cell was executed (is one empty?): cells {missing}"
            return self._failed("raised", reason)
        return {"status": "ok"}

    def _ending(self, error: Exception, guard: kernel.Guard) -> dict[str, object]:
        """Return how a run ended that raised, and write the log."""
        from nbclient.exceptions import DeadKernelError
        from papermill.exceptions import PapermillExecutionError

        self.last_cell = time.monotonic()
        self.log = str(error)
        code = guard.end()
        if isinstance(error, PapermillExecutionError):
            self.log = "\n".join(notebooks.without_colour(line) for line in error.traceback)
        if guard.exceeded == "time":
            limit = f"{self.limits.limit_s:g} s"
            return self._failed("time", f"ended: over its limit of {limit}; {_MORE} BOOK_LIMIT_S")
        if guard.exceeded == "memory":
            limit = f"{self.limits.memory_gib:g} GiB"
            reason = f"ended: over its memory limit of {limit}; {_MORE} BOOK_MEMORY_GIB"
            return self._failed("memory", reason)
        if isinstance(error, PapermillExecutionError):
            if error.ename == "OutOfTime":
                return {"status": "incomplete", "reason": error.evalue, "cell": self._cell()[0]}
            reason = f"{error.ename}: {error.evalue}".strip().split("\n")[0]
            return self._failed("raised", reason)
        if isinstance(error, DeadKernelError):
            return self._failed("died", f"the kernel died: {_death(code)}")
        told = trouble(error) if isinstance(error, OSError) else ""
        reason = told or f"{type(error).__name__}: {error}".split("\n")[0]
        return self._failed("machine", f"the kernel did not start: {reason}")

    def _failed(self, failure: str, reason: str) -> dict[str, object]:
        number, code = self._cell()
        where = f"cell {number}: {code}" if number else "before the first cell"
        self.log = f"{self.chapter.name}, {where}\n{reason}\n\n{self.log}"
        return {"status": "failed", "failure": failure, "reason": reason, "cell": number}

    def _cell(self) -> tuple[int, str]:
        """Return where the run is: the cell's number in the source and its first line."""
        code = [
            (number, cell.source.strip())
            for number, cell in enumerate(self.chapter.notebook.cells, start=1)
            if cell.cell_type == "code" and cell.source.strip()
        ]
        number, text = code[self.begun - 1] if self.begun else (0, "")
        return number, text.split("\n")[0]


def _handed_in(told: list[dict]) -> dict[str, object]:
    """Return what the chapter told by its events."""

    def of(kind: str) -> list[dict]:
        return [{k: v for k, v in e.items() if k != "event"} for e in told if e["event"] == kind]

    starts = of("start")
    measured = {(event["paper"], event["claim"]): event for event in of("measure")}
    return {
        "measurements": list(measured.values()),
        "kept_seconds": round(sum(unit["seconds"] for unit in of("unit") if unit["kept"]), 2),
        "recorded": {event["name"]: event["value"] for event in of("record")},
        "data": [dict(pair) for pair in sorted({tuple(sorted(d.items())) for d in of("fetch")})],
        "models": of("model"),
        "shown": list(dict.fromkeys(event["code"] for event in of("show"))),
        "provenance": starts[-1].get("provenance", {}) if starts else {},
    }


def _largest(told: list[dict], measure: str) -> float:
    """Return the largest value of a measure of memory among the events, or 0."""
    return max((event.get(measure, 0.0) for event in told), default=0.0)


def _death(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit status {code}"
    if -code == signal.SIGKILL:
        return "SIGKILL; often the system was out of memory: run it alone (--jobs 1)"
    return signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
