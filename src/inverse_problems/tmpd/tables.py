"""How the TMPD chapter sums up what its units return: words, joined measures, rows."""

from collections.abc import Mapping, Sequence

import numpy as np

from src.common.checks import same_length
from src.inverse_problems.tmpd.figures import as_numbers, mean_and_half_interval

Row = Mapping[str, Sequence[float]]
"""Method -> one number per problem."""


def closer(label: str, row: Row) -> str:
    """Return which of TMPD and PiGDM is closer to the posterior, or "undecided".

    Judged by the 95 % t-interval of the mean logarithm of the paired ratio PiGDM /
    TMPD.

    Args:
        label: of the setting; begins the line.
        row: positive distances to the posterior; "PiGDM" and "TMPD" are read, at least
            two problems each.

    Raises:
        ValueError: for fewer problems, other problems for one of them, or distances
            that are not positive.
    """
    ours, other = (as_numbers(row[name]) for name in ("TMPD", "PiGDM"))
    same_length(TMPD=ours.tolist(), PiGDM=other.tolist())
    if len(ours) < 2 or not ((ours > 0) & (other > 0)).all():
        raise ValueError(f"need positive distances of two problems or more, not {row}")
    mean, half = mean_and_half_interval(np.log(other) - np.log(ours))
    side = (
        "TMPD is closer"
        if mean > half
        else "PiGDM is closer"
        if mean < -half
        else "undecided"
    )
    return f"{label:13} PiGDM / TMPD {np.exp(mean):.2f}, {side}"


def joined(found: Sequence[Sequence[Row]]) -> dict[str, np.ndarray]:
    """Join several tasks, averaged over the noise levels.

    Args:
        found: for each task and each noise level, measure -> one number per image.

    Returns:
        measure -> one number per image and task, (tasks * images,).

    Raises:
        ValueError: for no tasks, or noise levels of one task with other images.
    """
    if not found or not all(found):
        raise ValueError("there are no tasks, or a task without noise levels")
    for task, measure in ((task, m) for task in found for m in found[0][0]):
        sizes = sorted({len(row[measure]) for row in task})
        if len(sizes) > 1:
            raise ValueError(f"{measure}: noise levels have {sizes} images; need equal")
    return {
        measure: np.concatenate(
            [np.mean([row[measure] for row in task], axis=0) for task in found]
        )
        for measure in found[0][0]
    }


def pooled_means(grid: Mapping[tuple, Row]) -> dict[str, dict[str, float]]:
    """Return each method's mean over problems and numbers of observations.

    Args:
        grid: (process, dim, observations, sigma) -> method -> one number per problem.

    Returns:
        One row per setting (process, dim, sigma), under its label: method -> mean.
    """
    means = {}
    for p, dim, s in sorted({(p, dim, s) for p, dim, _, s in grid}, reverse=True):
        cells = [
            row
            for (*key, _, sigma), row in grid.items()
            if [*key, sigma] == [p, dim, s]
        ]
        means[f"{p.upper()}, d = {dim}, σ = {s:g}"] = {
            name: float(np.mean([row[name] for row in cells])) for name in cells[0]
        }
    return means


def lines(
    kept: Mapping[str, Mapping[str, float]] | None, columns: Sequence[str]
) -> list[list[str | None]]:
    """Return the rows of a table of numbers with three significant digits.

    Args:
        kept: label -> column -> number; None makes a table without rows.
        columns: which to show, in this order.

    Returns:
        Rows [label, *numbers]; a missing number is None.
    """
    return [
        [label, *(f"{row[name]:.3g}" if name in row else None for name in columns)]
        for label, row in (kept or {}).items()
    ]
