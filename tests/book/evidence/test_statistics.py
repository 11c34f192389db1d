"""Intervals and verdicts: known answers, and a simulation of how often chance says "supported"."""

import numpy as np
import pytest
from scipy import stats

from src.book.evidence import statistics
from src.book.evidence.catalogue import Claim
from src.book.evidence.statistics import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, judge
from src.book.storage.errors import BookError


def claim(kind="t", statistic="mean", op=">", value=0.0):
    return Claim(
        says="s",
        paper=None,
        measure="m",
        kind=kind,
        unit="seed",
        expect={"statistic": statistic, "op": op, "value": value},
        tolerance=None if kind in ("exact", "timing") else 1.0,
    )


def test_the_t_interval_is_students():
    values = np.array([1.0, 2.0, 3.0, 4.0, 6.0])
    result = judge(claim(), values)
    half = stats.t.ppf(0.975, 4) * values.std(ddof=1) / np.sqrt(5)
    assert (result.low, result.high) == pytest.approx((3.2 - half, 3.2 + half))
    assert result.verdict == SUPPORTED


def test_a_ratio_is_the_geometric_mean():
    rows = np.array([[2.0, 1.0], [8.0, 1.0], [4.0, 1.0], [2.0, 1.0], [8.0, 1.0]])
    result = judge(claim(statistic="ratio", op=">=", value=1.2), rows)
    assert result.estimate == pytest.approx(4.0)
    assert result.low < result.estimate < result.high
    assert judge(claim("timing", "ratio", ">=", 1.2), rows) == result


def test_a_difference_is_paired():
    rows = [(10.0 + k, 9.0 + k + 0.01 * (-1) ** k) for k in range(6)]
    assert judge(claim(statistic="difference"), rows).verdict == SUPPORTED


def test_binomial_is_clopper_pearson():
    result = judge(claim("binomial", "proportion", ">", 0.5), [1] * 20)
    assert result.low == pytest.approx(0.025 ** (1 / 20))
    assert result.verdict == SUPPORTED


@pytest.mark.parametrize(
    ("op", "value", "expected"),
    [
        (">", 0.0, SUPPORTED),
        (">", 9.0, NOT_SUPPORTED),
        (">", 3.2, INCONCLUSIVE),
        ("<", 9.0, SUPPORTED),
        ("<=", 0.0, NOT_SUPPORTED),
        ("within", (0.0, 9.0), SUPPORTED),
        ("within", (7.0, 9.0), NOT_SUPPORTED),
        ("within", (3.0, 9.0), INCONCLUSIVE),
    ],
)
def test_the_whole_interval_decides(op, value, expected):
    assert judge(claim(op=op, value=value), [1.0, 2.0, 3.0, 4.0, 6.0]).verdict == expected


def test_exact_claims_take_the_worst_sample():
    exact = claim("exact", "max", "<=", 1e-6)
    assert judge(exact, [1e-9, 1e-7]).verdict == SUPPORTED
    assert judge(exact, [1e-9, 1e-5]).verdict == NOT_SUPPORTED
    assert judge(exact, [1e-9, 1e-5, 1e-7]).estimate == 1e-5
    at_least = claim("exact", "max", ">=", 1.0)
    assert judge(at_least, [0.0, 2.0]).verdict == NOT_SUPPORTED


def test_too_few_or_equal_samples_are_inconclusive():
    assert judge(claim(), [1.0, 1.1, 1.2, 1.3]).verdict == INCONCLUSIVE
    assert "needs 5" in judge(claim(), [1.0, 1.1, 1.2, 1.3]).reason
    assert judge(claim(), [1.0] * 9).verdict == INCONCLUSIVE
    assert judge(claim("bootstrap"), [1.0] * 30).verdict == INCONCLUSIVE


LEAST = [("t", "mean", 5), ("timing", "ratio", 5), ("bootstrap", "mean", 30)]


@pytest.mark.parametrize(("kind", "statistic", "least"), [*LEAST, ("binomial", "proportion", 5)])
def test_a_verdict_needs_as_many_samples_as_contributing_says(kind, statistic, least):
    rows = {"ratio": [[3.0 + k / 100, 1.0] for k in range(least)], "proportion": [1] * least}
    samples = rows.get(statistic, np.linspace(1, 2, least))
    assert judge(claim(kind, statistic), samples[:-1]).verdict == INCONCLUSIVE
    assert judge(claim(kind, statistic), samples).verdict == SUPPORTED


def test_samples_may_be_truth_values_and_whole_numbers():
    rows = [[True, False]] * 6 + [[True, True]] * 2
    assert judge(claim("t", "difference"), rows).estimate == 0.75
    assert judge(claim("t"), [1, 2, 3, 4, 2**62]).estimate == pytest.approx((10 + 2**62) / 5)


@pytest.mark.parametrize(
    ("kind", "statistic", "samples", "says"),
    [
        ("t", "mean", [[1.0, 2.0]], "one value a unit"),
        ("t", "difference", [1.0, 2.0], r"rows \(a, b\)"),
        ("t", "mean", [], "no samples"),
        ("t", "mean", [1.0, float("nan")], "not finite"),
        ("binomial", "proportion", [0.5], "0 or 1"),
        ("binomial", "proportion", [0.0, 1.0, 0.5, 1.0], "0 or 1"),
        ("t", "ratio", [[1.0, 0.0]], "positive"),
    ],
)
def test_samples_that_do_not_fit_are_refused(kind, statistic, samples, says):
    with pytest.raises(BookError, match=says):
        judge(claim(kind, statistic), samples)


# Each row: samples from a distribution whose true mean is exactly the criterion's edge, so that
# every "supported" is false. The kind is the one that the distribution calls for.
POPULATIONS = {
    "normal, n = 5": ("t", lambda rng: rng.normal(0.0, 1.0, 5), 0.0),
    "normal, n = 10": ("t", lambda rng: rng.normal(3.0, 2.0, 10), 3.0),
    "tied: rounded normal": ("t", lambda rng: np.round(rng.normal(0.0, 1.0, 8), 0), 0.0),
    "skewed: exponential": ("bootstrap", lambda rng: rng.exponential(1.0, 30), 1.0),
    "bounded: Beta(9, 1)": ("bootstrap", lambda rng: rng.beta(9.0, 1.0, 30), 0.9),
    "bounded and tied: tenths": ("bootstrap", lambda rng: rng.binomial(10, 0.95, 30) / 10, 0.95),
    "bounded, few and tied": ("t", lambda rng: (rng.random(5) < 0.97).astype(float), 0.97),
    "successes": ("binomial", lambda rng: (rng.random(40) < 0.9).astype(float), 0.9),
}


@pytest.mark.parametrize("name", POPULATIONS)
@pytest.mark.parametrize("op", [">", "<"])
def test_chance_says_supported_at_most_one_time_in_twenty(name, op):
    kind, draw, mean = POPULATIONS[name]
    rng = np.random.default_rng(20260)
    statistic = "proportion" if kind == "binomial" else "mean"
    rule = claim(kind, statistic, op, mean)
    repeats = 400 if kind == "bootstrap" else 2000
    false = sum(judge(rule, draw(rng)).verdict == SUPPORTED for _ in range(repeats))
    # Three standard errors of a rate of 5 % allow for the simulation's own noise.
    assert false / repeats <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats)


def test_the_bootstrap_of_three_samples_is_known():
    # Of 27 resamples of 0, 0, 1 nine have no spread, twelve hold one 1 (a pivot of 0) and six hold
    # two (a pivot of (2/3 - 1/3) / (1/3) = 1); the standard error of the mean is 1/3.
    assert statistics._bootstrap(np.array([0.0, 0.0, 1.0])) == pytest.approx((0.0, 1 / 3))
    assert statistics._bootstrap(np.array([0.0, 1.0, 1.0])) == pytest.approx((2 / 3, 1.0))


@pytest.mark.parametrize(
    ("kind", "n", "repeats"), [("t", 5, 1500), ("t", 9, 1500), ("bootstrap", 30, 400)]
)
@pytest.mark.parametrize("statistic", ["mean", "difference", "ratio"])
def test_an_interval_misses_the_truth_one_time_in_twenty_and_as_often_on_either_side(
    kind, n, repeats, statistic
):
    rng, rule = np.random.default_rng(7), claim(kind, statistic)
    below = above = 0
    for _ in range(repeats):
        first, second = rng.normal(3.0, 0.5, n), rng.normal(1.0, 0.5, n)
        samples, truth = {
            "mean": (first, 3.0),
            "difference": (np.stack([first, second], axis=1), 2.0),
            "ratio": (np.exp(np.stack([first, second], axis=1)), np.exp(2.0)),
        }[statistic]
        result = judge(rule, samples)
        below, above = below + (result.high < truth), above + (result.low > truth)
    for missed in (below, above):
        assert missed / repeats == pytest.approx(0.025, abs=4 * np.sqrt(0.025 * 0.975 / repeats))


def test_five_samples_miss_the_truth_one_time_in_twenty_and_not_one_in_fourteen():
    """One in fourteen is what a standard error by n, not n - 1, would miss."""
    rng, rule, repeats = np.random.default_rng(8), claim("t"), 8000
    found = (judge(rule, rng.normal(3.0, 0.5, 5)) for _ in range(repeats))
    missed = sum(not result.low <= 3.0 <= result.high for result in found) / repeats
    assert missed == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / repeats))


def test_of_many_normal_samples_the_bootstrap_says_what_student_says():
    values = np.random.default_rng(11).normal(2.0, 3.0, 500)
    ours, students = judge(claim("bootstrap"), values), judge(claim("t"), values)
    width = students.high - students.low
    # 4999 resamples leave an end of the interval an error of two per cent of its width.
    assert (ours.low, ours.high) == pytest.approx((students.low, students.high), abs=0.04 * width)


@pytest.mark.parametrize("kind", ["t", "bootstrap"])
def test_an_interval_moves_and_stretches_with_the_samples(kind):
    values = np.random.default_rng(3).exponential(1.0, 40)
    plain = judge(claim(kind), values)
    for factor, shift in ((3.0, 0.0), (1.0, -5.0), (0.1, 100.0), (-2.0, 1.0)):
        moved = judge(claim(kind), factor * values + shift)
        ends = sorted((factor * plain.low + shift, factor * plain.high + shift))
        assert (moved.low, moved.high) == pytest.approx(ends)
        assert moved.estimate == pytest.approx(factor * plain.estimate + shift)


def test_a_binomial_interval_covers_at_least_ninety_five_times_in_a_hundred():
    # Clopper and Pearson's interval covers by construction, whatever the truth: summed exactly.
    n, rule = 12, claim("binomial", "proportion")
    found = [judge(rule, [1] * k + [0] * (n - k)) for k in range(n + 1)]
    for truth in np.linspace(0.02, 0.98, 49):
        inside = [k for k, r in enumerate(found) if r.low <= truth <= r.high]
        assert stats.binom.pmf(inside, n, truth).sum() >= 0.95


def test_a_bound_belongs_to_what_it_bounds():
    exact = {
        op: judge(claim("exact", "max", op, 1.0), [1.0]).verdict for op in (">", ">=", "<", "<=")
    }
    assert exact == {">": NOT_SUPPORTED, ">=": SUPPORTED, "<": NOT_SUPPORTED, "<=": SUPPORTED}
    [within] = {judge(claim("exact", "max", "within", e), [1.0]).verdict for e in ((1, 2), (0, 1))}
    assert within == SUPPORTED
