"""Drift: quick runs made afresh, against what is committed; every number that moved, in a table."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as xml

from src.book import gates, ledger, notebooks, paths, references, runner
from src.book.errors import BookError
from src.book.install import without_install_cell

if TYPE_CHECKING:
    from nbformat import NotebookNode

WITHIN, BEYOND = "within", "beyond"
_HEADER = ("chapter", "where", "was", "is", "tolerance", "verdict")


@dataclass(frozen=True)
class Row:
    """One number, or one word, that is not what it was."""

    where: str
    was: str
    now: str
    tolerance: str
    beyond: bool
    says: str


@dataclass
class ChapterDrift:
    """How far a chapter moved.

    Attributes:
        chapter: its name.
        seconds: what its run took.
        problem: why it could not be compared, in a sentence; "" if it was.
        compared: the rows of each claim ("tmpd C1") and of each code cell ("cell 12") that was
            compared; none for what stayed as it was.
    """

    chapter: str
    seconds: float = 0.0
    problem: str = ""
    compared: dict[str, list[Row]] = field(default_factory=dict)

    @property
    def rows(self) -> list[Row]:
        """Everything that moved."""
        return [row for rows in self.compared.values() for row in rows]

    @property
    def beyond(self) -> bool:
        """Whether something moved too far, or could not be compared."""
        return bool(self.problem) or any(row.beyond for row in self.rows)


def measure(chapters: list[str] | None = None, jobs: int | None = None) -> list[ChapterDrift]:
    """Run chapters afresh in `_build/drift` and compare them with what is committed.

    The last good pages in `_build/runs` stay as they are.

    Args:
        chapters: their names; None for all.
        jobs: how many at a time; None for as many as cores and memory allow.

    Raises:
        BookError: for an unknown chapter.
    """
    folder = paths.build_dir() / "drift"
    return [_compare(outcome, folder) for outcome in runner.run(chapters, jobs=jobs, out=folder)]


def table(found: list[ChapterDrift]) -> str:
    """Return every number that moved as a table, and a line that says how many there are."""
    rows = [
        (drift.chapter, row.where, row.was, row.now, row.tolerance, _verdict(row))
        for drift in found
        for row in drift.rows
    ]
    lines = [runner.aligned([_HEADER, *rows])] if rows else []
    lines += [f"{drift.chapter}: {drift.problem}" for drift in found if drift.problem]
    far = sum(row[-1] == BEYOND for row in rows)
    said = f"{len(rows) - far} moved within tolerance, {far} beyond" if rows else "no number moved"
    count = f"{len(found)} chapter{'s' * (len(found) != 1)}"
    return "\n".join([*lines, f"{count}: {said}"])


def junit(found: list[ChapterDrift]) -> str:
    """Return the same as JUnit XML: a suite a chapter, a test case a claim and a code cell."""
    suites = xml.Element("testsuites", name="drift")
    for drift in found:
        cases = [_case(drift.chapter, name, rows) for name, rows in drift.compared.items()]
        if drift.problem:
            case = xml.Element("testcase", classname=drift.chapter, name="run")
            xml.SubElement(case, "error", message=_printable(drift.problem))
            cases.append(case)
        failures = sum(case.find("failure") is not None for case in cases)
        suite = xml.SubElement(
            suites, "testsuite", name=drift.chapter, tests=str(len(cases)), failures=str(failures),
            errors=str(int(bool(drift.problem))), time=f"{drift.seconds:.2f}",
        )  # fmt: skip
        suite.extend(cases)
    xml.indent(suites)
    return xml.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _case(chapter: str, name: str, rows: list[Row]) -> xml.Element:
    case = xml.Element("testcase", classname=chapter, name=name)
    lines = "\n".join(f"{row.says} ({_verdict(row)} tolerance)" for row in rows)
    far = [row for row in rows if row.beyond]
    if far:
        failure = xml.SubElement(case, "failure", message=_printable(far[0].says))
        failure.text = _printable(lines)
    elif rows:
        xml.SubElement(case, "system-out").text = _printable(lines)
    return case


def _compare(outcome: runner.Outcome, folder: Path) -> ChapterDrift:
    result, chapter = outcome.result, outcome.chapter
    drift = ChapterDrift(chapter, result.seconds + result.startup_seconds)
    if outcome.state != "ok":
        drift.problem = f"{result.reason}; see {result.log}" if result.log else result.reason
        return drift
    try:
        page = notebooks.load(folder / f"{chapter}.ipynb")
        committed = without_install_cell(notebooks.load(gates.reference_file(chapter)))
        drift.compared |= _claims(chapter, result.measurements)
        drift.compared |= _cells(chapter, committed, page, result.measurements)
    except BookError as error:
        drift.problem = str(error).removeprefix(f"{chapter}: ")
    return drift


def _claims(chapter: str, measurements: list[dict]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {f"{m['paper']} {m['claim']}": [] for m in measurements}
    for moved in ledger.moved(chapter, measurements):
        name = f"{moved.paper} {moved.claim}"
        limit = "its criterion" if moved.tolerance is None else f"{moved.tolerance:g}"
        if moved.what in ("verdict", "measurement"):
            limit = "none"
        where = f"{name} {moved.what}"
        row = Row(where, _text(moved.was), _text(moved.now), limit, moved.beyond, str(moved))
        found.setdefault(name, []).append(row)
    return found


def _cells(
    chapter: str, committed: "NotebookNode", page: "NotebookNode", measurements: list[dict]
) -> dict[str, list[Row]]:
    compared = (n for n, c in enumerate(committed.cells, start=1) if references.is_compared(c))
    found: dict[str, list[Row]] = {f"cell {number}": [] for number in compared}
    words = gates.measured_words(chapter, measurements)
    for change in references.changes(committed, page, words):
        name, limit = f"cell {change.cell}", f"{references.RELATIVE:.0%}"
        row = Row(name, change.was, change.now, limit, not change.within, change.says)
        found.setdefault(name, []).append(row)
    return found


def _verdict(row: Row) -> str:
    return BEYOND if row.beyond else WITHIN


def _text(value: float | str | None) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _printable(text: str) -> str:
    """Return a text without the control characters that XML cannot hold."""
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)
