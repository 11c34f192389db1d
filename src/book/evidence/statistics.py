"""Intervals and criteria: from raw samples to an estimate with a 95 % interval.

The kinds: `t` for roughly normal means, paired differences and (on logarithms) ratios; `bootstrap`
(studentised) for skewed or bounded metrics; `binomial` (Clopper-Pearson) for
success counts; `exact` for identities, where every sample must satisfy the criterion; `timing` for
paired ratios from the benchmarks (as `t` on logarithms).
"""

import operator
from dataclasses import dataclass

import numpy as np

from src.book.evidence.catalogue import Claim, Expect
from src.book.storage.errors import BookError

CONFIDENCE = 0.95
MINIMUM = {"t": 5, "timing": 5, "bootstrap": 30, "binomial": 5, "exact": 1}
_RESAMPLES = 4999
_HOLDS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
SUPPORTED, NOT_SUPPORTED = "supported", "not supported"
INCONCLUSIVE, NOT_TESTED = "inconclusive", "not tested"
VERDICTS = (SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE, NOT_TESTED)


@dataclass(frozen=True)
class Judgement:
    """An estimate, its 95 % interval [low, high], the number of samples, and the verdict."""

    verdict: str
    n: int
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


def judge(claim: Claim, samples: object) -> Judgement:
    """Judge a claim by its samples.

    Args:
        claim: the claim with its kind, statistic and criterion.
        samples: shape (n,), or (n, 2) rows (a, b) for the statistics "difference" and "ratio".

    Raises:
        BookError: if the samples have the wrong shape or values for the claim's kind.
    """
    values = _reduce(claim, samples)
    n = len(values)
    if claim.kind == "exact":
        worst = float(values.max())
        inside = all(satisfies(claim.expect, float(v), float(v)) is True for v in values)
        return Judgement(SUPPORTED if inside else NOT_SUPPORTED, n, worst, worst, worst)
    mean = float(values.mean())
    estimate = float(np.exp(mean)) if claim.expect.statistic == "ratio" else mean
    if n < MINIMUM[claim.kind]:
        reason = f"{n} samples; a verdict of kind {claim.kind} needs {MINIMUM[claim.kind]}"
        return Judgement(INCONCLUSIVE, n, estimate, None, None, reason)
    if claim.kind in ("t", "bootstrap") and float(np.ptp(values)) == 0.0:
        reason = "all samples are equal, so they say nothing about their spread"
        return Judgement(INCONCLUSIVE, n, estimate, None, None, reason)
    low, high = _interval(claim, values)
    answer = satisfies(claim.expect, low, high)
    word = INCONCLUSIVE if answer is None else SUPPORTED if answer else NOT_SUPPORTED
    return Judgement(word, n, estimate, low, high)


def satisfies(expect: Expect, low: float, high: float) -> bool | None:
    """Return True if all of [low, high] satisfies the criterion, False if none of it, else None."""
    if isinstance(expect.value, tuple):
        least, most = expect.value
        if high < least or low > most:
            return False
        return True if least <= low and high <= most else None
    holds = _HOLDS[expect.op]
    inside = holds(low, expect.value), holds(high, expect.value)
    return True if all(inside) else None if any(inside) else False


def _reduce(claim: Claim, samples: object) -> np.ndarray:
    """Return one value a unit: the sample, a - b, or log(a / b)."""
    values = np.asarray(samples, dtype=np.float64)
    statistic = claim.expect.statistic
    paired = statistic in ("difference", "ratio")
    if values.ndim != (2 if paired else 1) or (paired and values.shape[1] != 2):
        shape = "rows (a, b), shape (n, 2)" if paired else "one value a unit, shape (n,)"
        raise BookError(f"statistic {statistic} takes {shape}; got shape {values.shape}")
    if len(values) == 0:
        raise BookError("no samples were handed in")
    if not np.isfinite(values).all():
        raise BookError(f"{int((~np.isfinite(values)).sum())} samples are not finite numbers")
    if statistic == "proportion" and not np.isin(values, (0.0, 1.0)).all():
        raise BookError("binomial samples must be 0 or 1 (one value a trial)")
    if statistic == "ratio":
        if (values <= 0).any():
            raise BookError("statistic ratio takes positive rows (a, b)")
        return np.log(values[:, 0] / values[:, 1])
    return values[:, 0] - values[:, 1] if statistic == "difference" else values


def _interval(claim: Claim, values: np.ndarray) -> tuple[float, float]:
    from scipy import stats  # half a second, which the command line and the site do without

    if claim.kind == "binomial":
        successes = round(float(values.sum()))
        exact = stats.binomtest(successes, len(values)).proportion_ci(CONFIDENCE, method="exact")
        return float(exact.low), float(exact.high)
    if claim.kind == "bootstrap":
        low, high = _bootstrap(values)
    else:
        error = stats.sem(values)
        low, high = stats.t.interval(CONFIDENCE, len(values) - 1, values.mean(), error)
    if claim.expect.statistic == "ratio":
        low, high = np.exp(low), np.exp(high)
    return float(low), float(high)


def _bootstrap(values: np.ndarray) -> tuple[float, float]:
    """Return the studentised bootstrap interval of the mean.

    Each resample's error is divided by its own standard error, which keeps the interval honest for
    skewed and bounded samples where percentile and BCa intervals (the ones SciPy offers) are too
    short: the simulation in the tests measures it.
    """
    n = len(values)
    # Seeded by a constant: the same samples always give the same verdict.
    chosen = values[np.random.default_rng(0).integers(0, n, (_RESAMPLES, n))]
    spread = chosen.std(axis=1, ddof=1)
    usable = spread > 0
    pivots = (chosen[usable].mean(axis=1) - values.mean()) / (spread[usable] / np.sqrt(n))
    below, above = np.quantile(pivots, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    error = values.std(ddof=1) / np.sqrt(n)
    return float(values.mean() - above * error), float(values.mean() - below * error)
