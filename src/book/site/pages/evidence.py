"""What the ledger says of every claim: the rows behind badges and scoreboard."""

from dataclasses import dataclass

from src.book.evidence import catalogue, ledger
from src.book.evidence.catalogue import Claim, Paper
from src.book.evidence.claims import describe_kept, why_not
from src.book.evidence.statistics import NOT_TESTED
from src.book.storage import dependencies
from src.book.storage.one_look import one_look

NOT_RUN = "not run yet"
STALE, UNKNOWN = "older than the code", "code unknown"


@dataclass(frozen=True)
class Evidence:
    """One claim with its verdict in the largest profile that tested it.

    Attributes:
        measured: the ledger's measurement with profile, device and date; None if never measured.
        verdict: the verdict's word.
        others: the verdicts of the smaller profiles that disagree, by profile.
        stale: whether the chapter's code has changed since the claim was measured; None if that
            is not known.
    """

    paper: Paper
    name: str
    claim: Claim
    measured: dict | None
    verdict: str
    others: dict[str, str]
    stale: bool | None = False

    @property
    def numbers(self) -> str:
        """What was measured, in words; for a claim that is not tested, why not."""
        if self.measured is None:
            if self.claim.profiles or self.claim.kind == "timing":
                return NOT_RUN
            return why_not(self.claim, "quick")
        return describe_kept(self.measured)

    @property
    def age(self) -> str:
        """Whether the code is newer than the measurement, or unknown, in words; "" if it stands."""
        return UNKNOWN if self.stale is None else STALE if self.stale else ""

    @property
    def criterion(self) -> str:
        """What the claim's measure must be, with the signs of mathematics."""
        return str(self.claim.expect).replace("<=", "≤").replace(">=", "≥")

    @property
    def disagreement(self) -> str:
        """The verdicts of the smaller profiles that disagree, in words."""
        return ", ".join(f"{profile}: {word}" for profile, word in self.others.items())


def gather() -> list[Evidence]:
    """Return the evidence for every claim of every paper that runs, in the catalogue's order."""
    with one_look():
        return [e for papers in catalogue.chapters().values() for p in papers for e in of_paper(p)]


def of_paper(paper: Paper) -> list[Evidence]:
    """Return the evidence for each claim of a paper."""
    latest = ledger.latest(paper.chapter)
    verdicts = _verdicts(paper)
    with one_look():
        return [
            _weigh(paper, name, claim, latest.get((paper.id, name)), verdicts.get(name, {}))
            for name, claim in paper.claims.items()
        ]


def _weigh(
    paper: Paper, name: str, claim: Claim, measured: dict | None, verdicts: dict[str, str]
) -> Evidence:
    verdict = measured["verdict"] if measured else NOT_TESTED
    others = {profile: word for profile, word in verdicts.items() if word != verdict}
    stale = _older_than_code(measured["code"], paper.chapter) if measured else False
    return Evidence(paper, name, claim, measured, verdict, others, stale)


def _older_than_code(code: str, chapter: str) -> bool | None:
    """Return whether a measurement's code is not the chapter's of today; None if unknown."""
    now = dependencies.chapter_code(chapter)
    return now != code if code and now else None


def _verdicts(paper: Paper) -> dict[str, dict[str, str]]:
    """Return, for each claim of a paper, the verdict of every profile that tested it."""
    found: dict[str, dict[str, str]] = {}
    for profile in catalogue.PROFILES:
        entry = ledger.read(paper.chapter, profile) or {"measurements": []}
        for measured in entry["measurements"]:
            if measured["paper"] == paper.id and measured["verdict"] != NOT_TESTED:
                found.setdefault(measured["claim"], {})[profile] = measured["verdict"]
    return found
