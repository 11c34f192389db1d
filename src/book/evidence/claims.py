"""What a chapter measured, judged: the step from raw samples to a line of the verdict table."""

from dataclasses import asdict, dataclass, fields

import numpy as np

from src.book.evidence import catalogue
from src.book.evidence.catalogue import Claim
from src.book.evidence.statistics import CONFIDENCE, NOT_TESTED, Judgement, judge
from src.book.storage.errors import BookError


@dataclass(frozen=True)
class Measurement:
    """One claim with the samples measured for it and the verdict computed from them."""

    paper: str
    claim: str
    samples: tuple
    judgement: Judgement
    statistic: str
    unit: str

    @property
    def verdict(self) -> str:
        """The verdict's word."""
        return self.judgement.verdict

    def __repr__(self) -> str:
        """Return one line: claim, estimate, interval, number of samples, verdict."""
        numbers = describe(self.judgement, self.statistic, self.unit)
        return f"{self.claim}: {numbers + ': ' if numbers else ''}{self.verdict}"

    def as_json(self) -> dict:
        """Return what the ledger keeps."""
        return {
            "paper": self.paper,
            "claim": self.claim,
            "samples": _rounded(self.samples),
            "statistic": self.statistic,
            "unit": self.unit,
            **{name: _rounded(value) for name, value in asdict(self.judgement).items()},
        }


def measure(paper: str, claim: str, samples: object) -> Measurement:
    """Judge one claim by raw samples.

    Args:
        paper: the id of a catalogue entry.
        claim: the name of one of its claims.
        samples: one value a unit, or rows (a, b) for the statistics "difference" and "ratio".

    Raises:
        BookError: if the names are unknown (listing the valid ones) or the samples do not fit.
    """
    entry = catalogue.claim(paper, claim)
    values = _plain(samples)
    try:
        judgement = judge(entry, values)
    except BookError as error:
        raise BookError(f"{paper} {claim}: {error}") from None
    return Measurement(paper, claim, values, judgement, entry.expect.statistic, entry.unit)


def untested(paper: str, claim: str, profile: str) -> Measurement:
    """Return the measurement that says why a profile does not test a claim.

    Raises:
        BookError: if the catalogue says that this profile tests it.
    """
    entry = catalogue.claim(paper, claim)
    if profile in entry.profiles and entry.kind != "timing":
        raise BookError(
            f"{paper} {claim}: no samples, but the catalogue says that the {profile} profile tests "
            "it; hand in samples, or set profiles and not_tested in its entry"
        )
    reason = why_not(entry, profile)
    judgement = Judgement(NOT_TESTED, 0, reason=reason)
    return Measurement(paper, claim, (), judgement, entry.expect.statistic, entry.unit)


def why_not(entry: Claim, profile: str) -> str:
    """Return the reason why a profile does not test a claim."""
    if entry.kind == "timing":
        return "timing is measured by the benchmarks"
    return entry.not_tested or f"the {profile} profile does not test it"


def describe(judgement: Judgement, statistic: str, unit: str) -> str:
    """Return the numbers of a verdict in words: estimate, interval, number of samples."""
    if judgement.estimate is None:
        return ""
    estimate = significant_text(judgement.estimate)
    if judgement.low is None or judgement.high is None:
        return f"{statistic} {estimate}, n = {judgement.n} ({judgement.reason})"
    samples = f"n = {judgement.n} {plural(unit, judgement.n)}"
    if judgement.low == judgement.high:
        return f"{statistic} {estimate}, {samples}"
    low, high = significant_text(judgement.low), significant_text(judgement.high)
    return f"{statistic} {estimate} [{low}, {high}], {samples}"


def describe_kept(measured: dict) -> str:
    """Return the numbers of a measurement that the ledger keeps, in the same words."""
    judgement = Judgement(**{field.name: measured.get(field.name) for field in fields(Judgement)})
    return describe(judgement, measured["statistic"], measured["unit"])


def plural(unit: str, n: int) -> str:
    """Return the unit's name for n of them."""
    if n == 1 or unit.endswith("s"):
        return unit
    if unit.endswith("y") and unit[-2:-1] not in "aeiou":
        return unit[:-1] + "ies"
    return unit + ("es" if unit.endswith(("x", "ch", "sh")) else "s")


def chance_verdicts(tested: int) -> float:
    """Return how many of `tested` interval verdicts would be wrong by chance alone, at most."""
    return tested * (1 - CONFIDENCE) / 2


def _rounded(value: object) -> object:
    """Round a number to eight significant digits; a tuple of them becomes a list."""
    if isinstance(value, tuple):
        return [_rounded(part) for part in value]
    return float(f"{value:.8g}") if isinstance(value, float) else value


def significant_text(value: float) -> str:
    """Return a number with three significant digits, as the pages print it."""
    # Below this, the digits are rounding noise that differs between processors.
    if value != 0 and abs(value) < 1e-6:
        return f"{value:.0e}"
    return f"{value:.3g}"


def _plain(samples: object) -> tuple:
    values = np.asarray(
        samples.detach().cpu() if hasattr(samples, "detach") else samples, dtype=np.float64
    )
    return tuple(tuple(row) if isinstance(row, list) else row for row in values.tolist())
