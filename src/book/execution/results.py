"""How a run went: its result, and the files in which it is kept."""

import contextlib
import hashlib
import json
from dataclasses import Field, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_origin

from src.book.notebook import chapters, notebooks
from src.book.storage import dependencies, paths
from src.book.storage.files import trouble, write_atomically

if TYPE_CHECKING:
    from nbformat import NotebookNode

# How a run can fail, and the exit status of `run-one` for it.
EXIT_STATUS = {"": 0, "raised": 1, "invalid": 2, "time": 3, "memory": 4, "died": 5, "machine": 6}
INCOMPLETE_STATUS = 75  # the system's "temporary failure": run it again


@dataclass(frozen=True)
class Result:
    """How a run went; `_build/runs/<profile>/<chapter>.json` holds the same."""

    chapter: str
    profile: str
    status: str  # "ok", "failed" or "incomplete" (out of time; running again goes on)
    seed: int = 0  # that every random stream came from
    failure: str = ""  # one of the keys of `EXIT_STATUS`; "" for ok and incomplete
    reason: str = ""  # one sentence; "" for ok
    cell: int = 0  # the number of the cell where it stopped; 0 for ok
    log: str = ""  # the file that holds the traceback, relative to the repository; "" for ok
    seconds: float = 0.0  # from the first cell's start to the last one's end
    kept_seconds: float = 0.0  # what the units took that earlier calls had finished
    startup_seconds: float = 0.0  # before the first cell: reading the chapter, starting its kernel
    import_seconds: float = 0.0  # of `seconds`, those until the run context is there
    import_cpu_seconds: float = 0.0  # processor time of the kernel until then, with its own start
    cpu_seconds: float = 0.0  # processor time of the kernel and its children
    budget_s: float = 0.0  # the seconds that it should take on the machine of `speed`
    slowness: float = 1.0  # of this machine during the run, relative to that one
    # Largest resident memory of the kernel and its children, MiB, also in the earlier calls that
    # finished units of it; and the most that torch allocated on the GPU, 0 without one.
    peak_memory_mb: float = 0.0
    gpu_peak_memory_mb: float = 0.0
    finished: str = ""  # when, in UTC
    parameters: dict = field(default_factory=dict)  # those that differ from the chapter's own
    page: str = ""  # the checksum of the notebook that it wrote; "" if it did not go well
    inputs: dict[str, str] = field(default_factory=dict)  # what it depends on, by content
    # The versions of Python and of the libraries that outputs come from.
    environment: dict[str, str] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)  # the checksum of each file of code
    shown: list[str] = field(default_factory=list)  # the sources that the page shows
    # What the chapter handed in.
    measurements: list[dict] = field(default_factory=list)
    recorded: dict = field(default_factory=dict)
    data: list[dict] = field(default_factory=list)
    models: list[dict] = field(default_factory=list)
    provenance: dict = field(default_factory=dict)

    @property
    def exit_status(self) -> int:
        """The exit status that says how the run went."""
        return INCOMPLETE_STATUS if self.status == "incomplete" else EXIT_STATUS[self.failure]

    @property
    def says(self) -> str:
        """Where and why it stopped, and where to read more; "" for ok."""
        where = f"cell {self.cell}: " if self.cell else ""
        return f"{where}{self.reason}" + (f"; see {self.log}" if self.log else "")

    @property
    def over_budget(self) -> bool:
        """Whether it took too long for the machine that budgets are stated for."""
        return self.scaled_seconds > self.budget_s

    @property
    def scaled_seconds(self) -> float:
        """What it took, by the clock or by processor time (a busy machine is slow), on that one."""
        return min(self.seconds + self.startup_seconds, self.cpu_seconds) / self.slowness


@dataclass(frozen=True)
class RunFiles:
    """The files that a run leaves, in `_build/runs/<profile>` or in a folder `out`."""

    chapter: str
    profile: str
    out: Path | None = None

    def of(self, suffix: str) -> Path:
        """Return one of them: ".ipynb", ".json", ".log", ".failed.ipynb" or ".lock"."""
        if self.out is None:
            return paths.run_file(self.chapter, self.profile, suffix)
        return Path(self.out) / f"{self.chapter}{suffix}"

    def keep(self, result: Result, executed: "NotebookNode | None", log: str) -> Result:
        """Write page and result, or failed notebook, log and result; return the result as written.

        A full disk turns the run into a failed one that says so; the last good page stays.
        """
        try:
            return self._write(result, executed, log)
        except OSError as error:
            reason = f"cannot write the run's files: {trouble(error) or error}"
            reason = "; ".join(filter(None, [result.reason, reason]))
            failed = replace(result, status="failed", failure="machine", reason=reason)
            with contextlib.suppress(OSError):  # the caller still gets the result
                self._write_result(failed)
            return failed

    def _write(self, result: Result, executed: "NotebookNode | None", text: str) -> Result:
        log, aside = self.of(".log"), self.of(".failed.ipynb")
        if result.status == "ok":
            page = notebooks.dumps(notebooks.clean(executed)).encode()
            result = replace(result, page=hashlib.sha256(page).hexdigest())
            write_atomically(self.of(".ipynb"), page)
            log.unlink(missing_ok=True)
            aside.unlink(missing_ok=True)
        else:
            result = replace(result, log=paths.short(log))
            write_atomically(log, text + "\n")
            if executed is not None:
                write_atomically(aside, notebooks.dumps(notebooks.clean(executed)))
        self._write_result(result)
        return result

    def _write_result(self, result: Result) -> None:
        write_atomically(self.of(".json"), json.dumps(asdict(result), indent=1) + "\n")


def read_result(chapter: str, profile: str) -> Result | None:
    """Return how the last run of a chapter went, or None if there is none (or it is unreadable)."""
    try:
        content = json.loads(paths.run_file(chapter, profile, ".json").read_text(encoding="utf-8"))
        # Whose result it is, its place says; the file may come from another machine.
        content |= {"chapter": chapter, "profile": profile}
        return Result(**{f.name: _checked(content, f) for f in fields(Result) if f.name in content})
    except (OSError, ValueError, TypeError):
        return None


def _checked(content: dict, field: Field) -> object:
    """Return a field's value; TypeError if it is not of the kind that `Result` says."""
    value, kind = content[field.name], get_origin(field.type) or field.type
    if not isinstance(value, int | float if kind is float else kind):
        raise TypeError(f"{field.name} is {value!r}")
    return value


def why_stale(chapter: str, profile: str) -> str:
    """Return why a chapter must be run (again), or "" if its last run stands."""
    result = read_result(chapter, profile)
    if result is None:
        return "not run yet"
    if result.status != "ok":
        return f"the last run {'failed' if result.status == 'failed' else 'is incomplete'}"
    page = paths.run_file(chapter, profile)
    if not page.exists():
        return "its notebook is gone"
    # A run that was ended between its two files, a damaged disk, an edit by hand.
    if result.page and hashlib.sha256(page.read_bytes()).hexdigest() != result.page:
        return "its notebook is not the one that the run wrote"
    changed = _changed(result)
    more = f" and {len(changed) - 2} more" if len(changed) > 2 else ""
    return f"{', '.join(changed[:2])}{more} changed" if changed else ""


def read_page(chapter: str, profile: str = "quick") -> "NotebookNode":
    """Return the notebook of a chapter's last run, with the words that its source has today.

    Text, comments and the places of modules can change without a new run; where the code has
    changed, the notebook stays as it was run.

    Raises:
        BookError: if there is no such notebook, or it cannot be read.
    """
    executed = notebooks.load(paths.run_file(chapter, profile))
    result = read_result(chapter, profile)
    code = result.inputs.get("code") if result else None
    if code and code == dependencies.chapter_code(chapter):
        return notebooks.with_outputs(chapters.find(chapter).notebook, executed)
    return executed


def _changed(result: Result) -> list[str]:
    """Return the names of what a run depended on and is not the same any more."""
    found = dependencies.changed(result.inputs, dependencies.inputs(result.chapter, result.profile))
    if "code" in found:
        modules = dependencies.changed(result.modules, dependencies.modules(result.chapter))
        found = [*(modules if result.modules else ["code"]), *(n for n in found if n != "code")]
    found += dependencies.changed(result.environment, dependencies.environment())
    found += dependencies.changed_data(result.data)
    if any(dependencies.place_of(code, result.chapter) is None for code in result.shown):
        found.append("a source that it shows")
    return found
