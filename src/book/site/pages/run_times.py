"""What a chapter costs to run: seconds, start-up and memory, and what a run may use."""

from dataclasses import dataclass

from src.book.evidence import catalogue, ledger
from src.book.execution.execute import PROFILES
from src.book.execution.plan import asked_of_a_scheduler
from src.book.execution.results import read_result
from src.book.site.pages.markup import Link, Section, duration, paragraphs, table

_COSTS = ["Chapter", "Profile", "Time", "of which start-up", "Peak memory", "Measured on"]
_LIMITS = ["Profile", "Cores", "GPUs", "A run is ended", "Asked of the cluster"]


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
