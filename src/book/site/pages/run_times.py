"""What a chapter costs to run: seconds, start-up and memory in each profile."""

from dataclasses import dataclass

from src.book.evidence import catalogue, ledger
from src.book.execution.results import read_result
from src.book.site.pages.markup import Link, Section, chapter_link, duration, row, table, text

_HEADER = ["Chapter", "Profile", "Time", "of which start-up", "Peak memory", "Measured on"]


@dataclass(frozen=True)
class Cost:
    """The cost of one run of a chapter: all seconds, those of the start-up, peak memory."""

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
    for cost in costs(chapter):
        if cost.profile == "quick":
            memory = f" and {cost.memory_mb:.0f} MB of memory" if cost.memory_mb else ""
            return f"The quick run took {duration(cost.seconds)} on one processor core{memory}."
    return ""


def run_times(link: Link) -> list[Section]:
    """Return one table: a row for each chapter and profile that ran."""
    rows = [
        row(
            [
                chapter_link(chapter, link),
                text(cost.profile),
                duration(cost.seconds),
                duration(cost.startup),
                cost.memory,
                text(cost.device),
            ]
        )
        for chapter in catalogue.chapters()
        for cost in costs(chapter)
    ]
    if not rows:
        return [Section("<p>No run has been measured yet.</p>\n")]
    return [Section(table("Run times by chapter and profile", _HEADER, "".join(rows), "run-times"))]


def _cost(chapter: str, profile: str) -> Cost | None:
    result = read_result(chapter, profile)
    if result is not None and result.status == "ok":
        seconds = result.seconds + result.kept_seconds + result.startup_seconds
        device = result.provenance.get("device", "this machine")
        return Cost(
            profile,
            seconds,
            result.startup_seconds,
            result.peak_memory_mb,
            device,
            result.gpu_peak_memory_mb,
        )
    entry = ledger.read(chapter, profile) or {}
    if "seconds" not in entry:
        return None
    device = entry.get("provenance", {}).get("device", "any CPU")
    startup = entry.get("startup_seconds")  # absent from older entries, as the peaks are
    return Cost(
        profile,
        entry["seconds"] + (startup or 0),
        startup,
        entry.get("peak_memory_mb"),
        device,
        entry.get("gpu_peak_memory_mb"),
    )
