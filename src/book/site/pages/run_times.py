"""What a chapter costs to run, what a run may use, and what the runner itself costs.

The entries of the runner's benchmarks are those of `benchmarks/execution.py` and
`benchmarks/many_chapters.py` in the timing ledger; a page without an entry says which command
measures it.
"""

from dataclasses import dataclass
from statistics import median

from src.book.evidence import catalogue, ledger
from src.book.execution.execute import PROFILES
from src.book.execution.plan import asked_of_a_scheduler
from src.book.execution.results import read_result
from src.book.site.pages.markup import Link, Section, duration, paragraphs, table

_COSTS = ["Chapter", "Profile", "Time", "of which start-up", "Peak memory", "Measured on"]
_LIMITS = ["Profile", "Cores", "GPUs", "A run is ended", "Asked of the cluster"]

# What is timed: everything from nothing, nothing changed, one notebook changed.
PHASES = ("cold", "no-op", "changed")
_OURS = ("this book", "this book, with rendering")
_HEADER = ["Everything", "Nothing changed", "One notebook changed"]
_FAIRNESS = (
    "papermill does not know what has changed: there a person runs the one notebook. jupyter-cache "
    "executes on all cores, Jupyter Book one notebook after the other, in a plain book without "
    "this book's own pages. Neither sees a change in a module that a notebook imports, or limits "
    "a notebook's time and memory as a whole."
)
_NOT_MEASURED = "Not measured yet: `python -m benchmarks.{}`"


@dataclass(frozen=True)
class Cost:
    """The cost of one run of a chapter: all seconds, those of the start-up, peak memory in MB."""

    profile: str
    seconds: float
    startup: float | None
    memory_mb: float | None
    device: str
    gpu_memory_mb: float | None = None

    @property
    def memory(self) -> str:
        """Peak memory in words, of the host and of the GPU where there is one."""
        if not self.memory_mb:
            return "–"
        gpu = f", GPU {self.gpu_memory_mb:.0f} MB" if self.gpu_memory_mb else ""
        return f"{self.memory_mb:.0f} MB{gpu}"


def costs(chapter: str) -> list[Cost]:
    """Return what is known of a chapter's runs: this machine's last ones, else the ledger's."""
    return [c for profile in catalogue.PROFILES if (c := _cost(chapter, profile)) is not None]


def run_time(chapter: str) -> str:
    """Return a sentence on the last quick run, or "" if this machine has not run the chapter."""
    cost = _cost(chapter, "quick")
    if cost is None:
        return ""
    memory = f" and {cost.memory_mb:.0f} MB of memory" if cost.memory_mb else ""
    return f"The quick run took {duration(cost.seconds)} on one processor core{memory}."


def run_times(link: Link) -> list[Section]:
    """Return one table: a row for each chapter and profile that ran."""
    rows = [
        [chapter, c.profile, duration(c.seconds), duration(c.startup), c.memory, c.device]
        for chapter in catalogue.chapters()
        for c in costs(chapter)
    ]
    if not rows:
        return [paragraphs("No run has been measured yet.")]
    return [table("Run times by chapter and profile", _COSTS, rows, "run-times", link)]


def resources(link: Link) -> list[Section]:
    """Return what a run may use in each profile, and what a cluster is asked for, as a table."""
    rows = []
    for profile, limits in PROFILES.items():
        asked = asked_of_a_scheduler(limits)
        ended = f"after {duration(limits.limit_s)}, or above {limits.memory_gib:g} GiB"
        wanted = f"{duration(60 * asked['runtime'])}, {asked['mem_mb'] / 1024:g} GiB"
        rows.append([profile, str(limits.threads), str(limits.gpus), ended, wanted])
    return [table("Resources by profile", _LIMITS, rows, "resources")]


def _cost(chapter: str, profile: str) -> Cost | None:
    result = read_result(chapter, profile)
    if result is not None and result.status == "ok":
        known, kept, unknown = vars(result), result.kept_seconds, "this machine"
    else:  # older entries have no start-up and no peaks
        known, kept, unknown = ledger.read(chapter, profile) or {}, 0, "any CPU"
    if "seconds" not in known:
        return None
    startup = known.get("startup_seconds")
    return Cost(
        profile,
        known["seconds"] + kept + (startup or 0),
        startup,
        known.get("peak_memory_mb"),
        known.get("provenance", {}).get("device", unknown),
        known.get("gpu_peak_memory_mb"),
    )


def execution(link: Link) -> list[Section]:
    """Return one table for each set of notebooks: seconds of each runner, ratios to ours."""
    entry = ledger.read("execution", "timing")
    if entry is None:
        return [paragraphs(_NOT_MEASURED.format("execution"))]
    sections = [
        table(f"Executing {notebooks}", [notebooks, *_HEADER], benchmark_rows(rows), "run-times")
        for notebooks, rows in entry["sets"].items()
    ]
    versions = ", ".join(f"{name} {number}" for name, number in entry["versions"].items())
    found = {len(s) for rows in entry["sets"].values() for p in rows.values() for s in p.values()}
    repeats = " and ".join(str(number) for number in sorted(found, reverse=True))
    about = (
        f"Medians of {repeats} interleaved repetitions (smallest to largest), and how many times "
        f"as long as this book's runner. {versions}; {_where(entry)}."
    )
    return [*sections, paragraphs(about, _FAIRNESS)]


def many_chapters(link: Link) -> list[Section]:
    """Return a table of what the runner costs with many tiny chapters."""
    entry = ledger.read("many_chapters", "timing")
    if entry is None:
        return [paragraphs(_NOT_MEASURED.format("many_chapters"))]
    early, number = entry["early"], entry["chapters"]
    measured = {
        "Planning, nothing run yet": "plan",
        "Planning, a shared module changed": "plan_after_a_change",
        "Nothing to run": "no_op",
        "Nothing to run or to render": "no_op_with_site",
        f"Running all on {entry['jobs']} kernels at a time": "run",
        "Rendering all": "site",
    }
    rows = [[what, f"{entry[f'{name}_seconds']:.1f} s"] for what, name in measured.items()]
    for who, (before, after) in entry["memory_mb"].items():
        words = f"{before:.0f} MB, later at most {after:.0f} MB"
        rows.append([f"Memory of a {who} after {early} chapters", words])
    header = [f"{number} tiny chapters", "Measured"]
    return [
        table(f"The runner with {number} chapters", header, rows, "run-times"),
        paragraphs(f"Whole commands, with the interpreter's start; {_where(entry)}."),
    ]


def benchmark_rows(rows: dict[str, dict[str, list[float]]]) -> list[list[str]]:
    """Return name and cells of each runner; those that render are compared with ours that does."""
    found = []
    for name in sorted(rows, key=lambda name: (_base(name), name not in _OURS)):
        base = rows[_base(name)]
        cells = [_cell(rows[name].get(phase), base[phase], name in _OURS) for phase in PHASES]
        found.append([name, *cells])
    return found


def _base(name: str) -> str:
    return _OURS[1] if name == _OURS[1] or name.startswith("Jupyter Book") else _OURS[0]


def _cell(seconds: list[float] | None, ours: list[float], is_ours: bool) -> str:
    if seconds is None:
        return "runs all again"
    spread = f"{median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f})"
    return spread if is_ours else f"{spread}, {median(seconds) / median(ours):.2g} times"


def _where(entry: dict) -> str:
    source = entry["provenance"]
    return f"{source['device']}, {source['cores']} cores, {source['date']}"
