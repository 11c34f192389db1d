"""What a run may use in each profile, and what a cluster is asked for."""

from src.book.execution.execute import PROFILES
from src.book.execution.plan import asked_of_a_scheduler
from src.book.site.pages.markup import Link, Section, duration, row, table, text

_HEADER = ["Profile", "Cores", "GPUs", "A run is ended", "Asked of the cluster"]


def resources(link: Link) -> list[Section]:
    """Return one table: a row for each profile."""
    rows = "".join(_row(profile) for profile in PROFILES)
    return [Section(table("Resources by profile", _HEADER, rows, "resources"))]


def _row(profile: str) -> str:
    limits = PROFILES[profile]
    asked = asked_of_a_scheduler(limits)
    return row(
        [
            text(profile),
            str(limits.threads),
            str(limits.gpus),
            f"after {duration(limits.limit_s)}, or above {limits.memory_gib:g} GiB",
            f"{duration(60 * asked['runtime'])}, {asked['mem_mb'] / 1024:g} GiB",
        ]
    )
