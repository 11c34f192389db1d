"""Ratios of costs that are measured side by side: what every benchmark of this folder reports.

Functions that are compared take turns in one process after a warm-up, so that a slower minute of
the machine hits all of them.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import exp, log
from time import perf_counter

from src.book.evidence import catalogue
from src.book.evidence.ledger import record_timing

REPEATS, WARM_UP, LEAST_SECONDS = 9, 2, 0.02
Rows = list[tuple[float, float]]


@dataclass(frozen=True)
class Ratio:
    """One comparison: rows (a, b), one a repetition; the ratio a / b is what counts."""

    what: str
    rows: Rows
    setting: str

    def geometric_mean(self) -> float:
        """The ratio in one number."""
        return exp(sum(log(a / b) for a, b in self.rows) / len(self.rows))

    def spread(self) -> str:
        """Smallest and largest ratio of a repetition."""
        ratios = [a / b for a, b in self.rows]
        return f"{min(ratios):.2f} to {max(ratios):.2f}"


Measured = tuple[str | None, str, Ratio]
"""(claim or None, what b is, ratio); the rows of one claim are judged together."""


def in_turn(
    functions: Sequence[Callable[[], object]], repeats: int = REPEATS
) -> list[tuple[float, ...]]:
    """Seconds of one call of each function, one row a repetition; short calls fill 20 ms.

    Every repetition starts with another function, so that none always runs after the same one.
    """
    calls = [_calls_needed(function) for function in functions]
    rows = []
    for repeat in range(repeats):
        seconds = [0.0] * len(functions)
        for place in range(len(functions)):
            which = (place + repeat) % len(functions)
            start = perf_counter()
            for _ in range(calls[which]):
                functions[which]()
            seconds[which] = (perf_counter() - start) / calls[which]
        rows.append(tuple(seconds))
    return rows


def column(rows: list[tuple[float, ...]], which: int, base: int) -> Rows:
    """Two columns of the rows of `in_turn`."""
    return [(row[which], row[base]) for row in rows]


def report(chapter: str, paper: str, about: str, measurements: Iterable[Measured]) -> None:
    """Print every ratio as it comes; write those of claims to the chapter's timing ledger.

    The command line's `--print-only` leaves the ledger alone.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--print-only", action="store_true", help="do not write to the ledger")
    print_only = parser.parse_args().print_only
    judged: dict[str, list[tuple[str, Ratio]]] = {}
    for claim, peer, ratio in measurements:
        print(f"{ratio.what}: {ratio.geometric_mean():.2f} ({ratio.spread()})  [{ratio.setting}]")
        if claim and not print_only:
            catalogue.claim(paper, claim)
            judged.setdefault(claim, []).append((peer, ratio))
    for claim, parts in judged.items():
        measured = record_timing(
            chapter,
            paper,
            claim,
            [row for _, ratio in parts for row in ratio.rows],
            peer=parts[0][0],
            setting="; ".join(ratio.setting for _, ratio in parts),
        )
        print(f"{claim}: ratio {measured['estimate']:.3g}: {measured['verdict']}")


def _calls_needed(function: Callable[[], object]) -> int:
    for _ in range(WARM_UP):
        start = perf_counter()
        function()
        seconds = perf_counter() - start
    return max(1, round(LEAST_SECONDS / seconds))
