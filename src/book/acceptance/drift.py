"""Drift: quick runs made afresh, against what is committed; every number that moved, in a table."""

from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as xml

from src.book.acceptance import gates
from src.book.acceptance.committed import Committed
from src.book.evidence import ledger
from src.book.execution import runner
from src.book.notebook import chapters, notebooks, references
from src.book.notebook.references import RELATIVE
from src.book.storage import paths
from src.book.storage.errors import BookError

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

    @property
    def verdict(self) -> str:
        """On which side of the tolerance it lies."""
        return "beyond" if self.beyond else "within"


@dataclass
class ChapterDrift:
    """How far a chapter moved."""

    chapter: str
    seconds: float = 0.0  # what its run took
    problem: str = ""  # why it could not be compared, in a sentence
    # The rows of each claim ("tmpd C1") and of each code cell ("cell 12") that was compared; none
    # for what stayed as it was.
    compared: dict[str, list[Row]] = field(default_factory=dict)

    @property
    def beyond(self) -> bool:
        """Whether something moved too far, or could not be compared."""
        return bool(self.problem) or any(r.beyond for rows in self.compared.values() for r in rows)


def measure(chapters: list[str] | None = None, jobs: int | None = None) -> list[ChapterDrift]:
    """Run chapters afresh in `_build/drift` and compare them with what is committed.

    The last good pages in `_build/runs` stay as they are.

    Raises:
        BookError: for an unknown chapter.
    """
    folder = paths.build_dir() / "drift"
    return [_compare(outcome, folder) for outcome in runner.run(chapters, jobs=jobs, out=folder)]


def table(found: list[ChapterDrift]) -> str:
    """Return every number that moved as a table, and a line that says how many there are."""
    rows = [
        (drift.chapter, row.where, row.was, row.now, row.tolerance, row.verdict)
        for drift in found
        for rows in drift.compared.values()
        for row in rows
    ]
    lines = [runner.aligned([_HEADER, *rows])] if rows else []
    lines += [f"{drift.chapter}: {drift.problem}" for drift in found if drift.problem]
    far = sum(row[-1] == "beyond" for row in rows)
    said = f"{len(rows) - far} moved within tolerance, {far} beyond" if rows else "no number moved"
    count = f"{len(found)} chapter{'s' * (len(found) != 1)}"
    return "\n".join([*lines, f"{count}: {said}"])


def junit(found: list[ChapterDrift]) -> str:
    """Return the same as JUnit XML: a suite a chapter, a test case a claim and a code cell."""
    suites = xml.Element("testsuites", name="drift")
    for drift in found:
        suite = xml.SubElement(suites, "testsuite", name=drift.chapter, time=f"{drift.seconds:.2f}")
        for name, rows in drift.compared.items():
            case = xml.SubElement(suite, "testcase", classname=drift.chapter, name=name)
            lines = "\n".join(f"{row.says} ({row.verdict} tolerance)" for row in rows)
            if far := [row.says for row in rows if row.beyond]:
                failure = xml.SubElement(case, "failure", message=far[0])
                failure.text = lines
            elif rows:
                xml.SubElement(case, "system-out").text = lines
        if drift.problem:
            case = xml.SubElement(suite, "testcase", classname=drift.chapter, name="run")
            xml.SubElement(case, "error", message=drift.problem)
        for what, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
            suite.set(what, str(len(list(suite.iter(tag)))))
    xml.indent(suites)
    text = xml.tostring(suites, encoding="unicode", xml_declaration=True)
    # XML cannot hold control characters.
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text) + "\n"


def _compare(outcome: runner.Outcome, folder: Path) -> ChapterDrift:
    result, chapter = outcome.result, outcome.chapter
    drift = ChapterDrift(chapter, result.seconds + result.startup_seconds)
    if outcome.state != "ok":
        drift.problem = f"{result.reason}; see {result.log}" if result.log else result.reason
        return drift
    try:
        page = notebooks.load(folder / f"{chapter}.ipynb")
        held = Committed(chapters.find(chapter))
        committed = held.reference
        names = [f"{m['paper']} {m['claim']}" for m in result.measurements]
        cells = enumerate(committed.cells, start=1)
        names += [f"cell {number}" for number, cell in cells if references.is_compared(cell)]
        drift.compared = {name: [] for name in names}
        for moved in ledger.moved(chapter, result.measurements):
            drift.compared.setdefault(f"{moved.paper} {moved.claim}", []).append(_row(moved))
        words, limit = gates.measured_words(held.entry(), result.measurements), f"{RELATIVE:.0%}"
        for change in references.changes(committed, page, words):
            name, far = f"cell {change.cell}", not change.within
            row = Row(name, change.was, change.now, limit, far, change.says)
            drift.compared.setdefault(name, []).append(row)
    except BookError as error:
        drift.problem = str(error).removeprefix(f"{chapter}: ")
    return drift


def _row(moved: ledger.Moved) -> Row:
    limit = "its criterion" if moved.tolerance is None else f"{moved.tolerance:g}"
    if moved.what in ("verdict", "measurement"):
        limit = "none"
    was, now = (f"{v:.6g}" if isinstance(v, float) else str(v) for v in (moved.was, moved.now))
    where = f"{moved.paper} {moved.claim} {moved.what}"
    return Row(where, was, now, limit, moved.beyond, str(moved))
