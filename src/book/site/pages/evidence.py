"""What the ledger says of every claim: the rows behind badges and scoreboard."""

from dataclasses import dataclass

from src.book.evidence import catalogue, ledger
from src.book.evidence.catalogue import Claim, Paper
from src.book.evidence.claims import describe_kept, why_not
from src.book.evidence.statistics import NOT_TESTED
from src.book.storage import dependencies
from src.book.storage.one_look import one_look

STALE, UNKNOWN = "older than the code", "code unknown"


@dataclass(frozen=True)
class Evidence:
    """One claim with its verdict in the largest profile that tested it.

    Attributes:
        measured: the ledger's measurement, as `ledger.latest` returns it; None if never measured.
        code: the checksum of the chapter's code today.
    """

    paper: Paper
    name: str
    claim: Claim
    measured: dict | None
    code: str

    @property
    def verdict(self) -> str:
        """The verdict's word."""
        return self.measured["verdict"] if self.measured else NOT_TESTED

    @property
    def disagreement(self) -> str:
        """The verdicts of the smaller profiles that disagree, in words."""
        said = self.measured["verdicts"] if self.measured else {}
        return ", ".join(f"{p}: {word}" for p, word in said.items() if word != self.verdict)

    @property
    def stale(self) -> bool | None:
        """Whether the chapter's code has changed since it was measured; None if unknown."""
        if self.measured is None:
            return False
        return self.measured["code"] != self.code if self.measured["code"] and self.code else None

    @property
    def numbers(self) -> str:
        """What was measured, in words; for a claim that is not tested, why not."""
        if self.measured:
            return describe_kept(self.measured)
        tested = self.claim.profiles or self.claim.kind == "timing"
        return "not run yet" if tested else why_not(self.claim, "quick")

    @property
    def age(self) -> str:
        """Whether the code is newer than the measurement, or unknown, in words; "" if it stands."""
        return UNKNOWN if self.stale is None else STALE if self.stale else ""


def gather() -> list[Evidence]:
    """Return the evidence for every claim of every paper that runs, in the catalogue's order."""
    with one_look():
        return [e for papers in catalogue.chapters().values() for p in papers for e in of_paper(p)]


def of_paper(paper: Paper) -> list[Evidence]:
    """Return the evidence for each claim of a paper."""
    latest, code = ledger.latest(paper.chapter), dependencies.chapter_code(paper.chapter)
    return [
        Evidence(paper, name, claim, latest.get((paper.id, name)), code)
        for name, claim in paper.claims.items()
    ]
