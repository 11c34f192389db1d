"""What the runner itself costs: beside the alternatives, and with many chapters.

The entries are those of `benchmarks/execution.py` and `benchmarks/many_chapters.py` in the timing
ledger; a page without an entry says which command measures it.
"""

from statistics import median

from src.book.evidence import ledger
from src.book.site.pages.markup import Link, Section, paragraphs, table

# What is timed: everything from nothing, nothing changed, one notebook changed.
PHASES = ("cold", "no-op", "changed")
_OURS = ("this book", "this book, with rendering")
_HEADER = ["Everything", "Nothing changed", "One notebook changed"]
_NEVER = "runs all again"
_FAIRNESS = (
    "papermill does not know what has changed: there a person runs the one notebook. jupyter-cache "
    "executes on all cores, Jupyter Book one notebook after the other, in a plain book without "
    "this book's own pages. Neither sees a change in a module that a notebook imports, or limits "
    "a notebook's time and memory as a whole."
)
_NOT_MEASURED = "Not measured yet: `python -m benchmarks.{}`"


def execution(link: Link) -> list[Section]:
    """Return one table for each set of notebooks: seconds of each runner, ratios to ours."""
    entry = ledger.read("execution", "timing")
    if entry is None:
        return [paragraphs(_NOT_MEASURED.format("execution"))]
    sections = [
        table(f"Executing {notebooks}", [notebooks, *_HEADER], _rows(rows), "run-times")
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
    rows = [[what, _s(entry[f"{name}_seconds"])] for what, name in measured.items()]
    for who, (before, after) in entry["memory_mb"].items():
        words = f"{before:.0f} MB, later at most {after:.0f} MB"
        rows.append([f"Memory of a {who} after {early} chapters", words])
    header = [f"{number} tiny chapters", "Measured"]
    return [
        table(f"The runner with {number} chapters", header, rows, "run-times"),
        paragraphs(f"Whole commands, with the interpreter's start; {_where(entry)}."),
    ]


def execution_words(entry: dict) -> str:
    """Return the tables of the execution benchmark as plain text."""
    lines = []
    for notebooks, rows in entry["sets"].items():
        lines += ["", notebooks, *("  ".join(f"{cell:<28}" for cell in c) for c in _rows(rows))]
    return "\n".join(lines)


def _rows(rows: dict[str, dict[str, list[float]]]) -> list[list[str]]:
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
        return _NEVER
    spread = f"{_s(median(seconds))} ({min(seconds):.1f} to {max(seconds):.1f})"
    return spread if is_ours else f"{spread}, {median(seconds) / median(ours):.2g} times"


def _s(seconds: float) -> str:
    return f"{seconds:.1f} s"


def _where(entry: dict) -> str:
    source = entry["provenance"]
    return f"{source['device']}, {source['cores']} cores, {source['date']}"
