"""Figures for the framelets chapter, in the colours of the book's style."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from scipy import stats

# One colour and one mark per model on the whole page.
LOOK = {
    "MLP": ("C6", "v"),
    "GCN": ("C1", "s"),
    "GAT": ("C4", "D"),
    "UFG-R": ("C0", "o"),
    "UFG-S": ("C2", "^"),
}
_LINES = ("-", "--", "-.", ":")


def mean_and_half_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Return the mean over seeds and half the width of its 95 % t-interval.

    Args:
        values: at least two, one per seed.
    """
    rows = np.asarray(values, dtype=float)
    return float(rows.mean()), float(
        stats.t.ppf(0.975, len(rows) - 1) * stats.sem(rows)
    )


def look(name: str) -> tuple[str, str]:
    """Return the colour and the mark of a model.

    Args:
        name: of a model; a variant ("UFG-R, n = 6") looks like its model.
    """
    return LOOK.get(name) or LOOK.get(name.split(",")[0], ("C5", "P"))


# --- signals on a graph ---------------------------------------------------------------


def graph_figure(
    places: np.ndarray,
    edges: np.ndarray,
    signals: Mapping[str, np.ndarray],
    *,
    columns: int = 4,
    label: str = "value at the node",
) -> Figure:
    """Draw signals on one graph, one panel each, in a colour scale symmetric about 0.

    Args:
        places: (nodes, 2) where the nodes stand.
        edges: (2, edges) pairs of nodes.
        signals: panel title -> (nodes,) values.
        columns: panels per row.
        label: of the colour bar.

    Returns:
        The figure.
    """
    rows = -(-len(signals) // columns)
    fig, axes = plt.subplots(
        rows, columns, figsize=(7, 2.2 * rows + 0.6), squeeze=False
    )
    top = max(float(np.abs(values).max()) for values in signals.values())
    for axis in axes.flat:
        axis.axis("off")
    for axis, (title, values) in zip(axes.flat, signals.items(), strict=False):
        lines = LineCollection(
            places[edges.T], colors="#BBBBBB", linewidths=0.5, zorder=1
        )
        axis.add_collection(lines)
        shown = axis.scatter(
            *places.T, c=values, cmap="RdBu_r", vmin=-top, vmax=top, s=34, lw=0.5,
            ec="black", zorder=2,
        )  # fmt: skip
        axis.set_title(title, fontsize=10)
    fig.colorbar(shown, ax=axes, location="bottom", shrink=0.5, aspect=40, label=label)
    return fig


# --- filters --------------------------------------------------------------------------


def filter_figure(
    frequency: np.ndarray, banks: Mapping[str, Mapping[str, np.ndarray]]
) -> Figure:
    """Draw the filters of each bank over [0, pi], with the sum of their squares.

    Args:
        frequency: (points,) in [0, pi].
        banks: bank -> filter's name -> (points,).

    Returns:
        The figure, one panel per bank.
    """
    fig, axes = plt.subplots(1, len(banks), figsize=(7, 2.9), sharey=True)
    for axis, (name, filters) in zip(axes, banks.items(), strict=True):
        for (label, values), line in zip(filters.items(), _LINES, strict=False):
            axis.plot(frequency, values, line, label=label)
        total = sum(values**2 for values in filters.values())
        axis.plot(
            frequency,
            total,
            "k-",
            lw=1,
            marker="|",
            markevery=0.1,
            label="sum of squares",
        )
        axis.set(title=name, xlabel="ξ")
        axis.set_xticks((0, np.pi / 2, np.pi), ("0", "π/2", "π"))
    fig.legend(
        *axes[-1].get_legend_handles_labels(), loc="outside lower center", ncol=5
    )
    return fig


def response_figure(
    frequency: np.ndarray,
    blocks: Mapping[str, np.ndarray],
    gains: Mapping[str, np.ndarray],
) -> Figure:
    """Draw the exact response of each block, and the gains of some whole transforms.

    Args:
        frequency: (points,) eigenvalues in [0, 2].
        blocks: block -> (points,) response.
        gains: label -> (points,) sum of the squared responses: what synthesis after
            analysis does.

    Returns:
        The figure, responses on the left and gains on the right.
    """
    fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3.2))
    for (name, values), line in zip(blocks.items(), _LINES, strict=False):
        left.plot(frequency, values, line, label=name)
    left.set(xlabel="frequency λ", ylabel="response", title="exact filters, two levels")
    left.legend()
    marks = ("", "", "", "", "o", "s")
    for (name, values), line, mark in zip(
        gains.items(), _LINES * 2, marks, strict=False
    ):
        right.plot(
            frequency, values, ls=line, marker=mark, markevery=0.12, ms=4, label=name
        )
    right.set(xlabel="frequency λ", ylabel="gain", title="synthesis after analysis")
    right.legend()
    return fig


def energy_figure(
    shares: Mapping[str, Sequence[float]], blocks: Sequence[str]
) -> Figure:
    """Draw how the energy of each signal divides among the blocks.

    Args:
        shares: signal -> share of its energy in each block, in [0, 1].
        blocks: names of the blocks, in the order of the shares.

    Returns:
        The figure, one stacked bar per signal.
    """
    fig, axis = plt.subplots(figsize=(7, 0.45 * len(shares) + 1.2))
    table = np.array(list(shares.values()))
    left = np.zeros(len(table))
    hatches = ("", "//", "..", "xx")
    for k, name in enumerate(blocks):
        bars = axis.barh(list(shares), table[:, k], left=left, height=0.6, label=name)
        for bar in bars:
            bar.set(hatch=hatches[k % len(hatches)], edgecolor="white")
        left += table[:, k]
    axis.axvline(1.0, color="black", lw=1, ls=":")
    axis.set(xlabel="share of the signal's energy")
    axis.invert_yaxis()
    axis.grid(False)
    fig.legend(loc="outside lower center", ncol=len(blocks))
    return fig


# --- accuracies -----------------------------------------------------------------------


def score_figure(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    label: str = "test accuracy (%)",
) -> Figure:
    """Draw every seed (grey), the mean and its 95 % interval, one row per model.

    Args:
        panels: panel -> model -> one value per seed; empty panels are left out.
        label: of the horizontal axes.

    Returns:
        The figure.
    """
    kept = {title: models for title, models in panels.items() if models}
    if not kept:
        return _nothing_yet()
    widest = max(kept.values(), key=len)
    rows = list(
        dict.fromkeys([*widest, *(name for models in kept.values() for name in models)])
    )
    fig, axes = plt.subplots(
        1, len(kept), figsize=(7, 0.33 * len(rows) + 1.1), squeeze=False, sharey=True
    )
    for axis, (title, models) in zip(axes[0], kept.items(), strict=True):
        for name, values in models.items():
            place = rows.index(name)
            axis.plot(
                values,
                np.full(len(values), place),
                ".",
                color="#999999",
                ms=4,
                alpha=0.7,
            )
            mean, half = mean_and_half_interval(values)
            colour, mark = look(name)
            axis.errorbar(
                mean, place, xerr=half, fmt=mark, color=colour, capsize=3, ms=6
            )
        axis.set(title=title, xlabel=label)
    axes[0, 0].set_yticks(range(len(rows)), rows)
    axes[0, 0].invert_yaxis()
    return fig


def curve_figure(
    panels: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]],
    labels: Mapping[str, str],
    label: str = "test accuracy (%)",
) -> Figure:
    """Draw means with 95 % intervals against a setting.

    Args:
        panels: panel -> model -> setting -> one value per seed; the settings are drawn
            at equal distances, in their order.
        labels: panel -> label of its horizontal axis.
        label: of the vertical axis.

    Returns:
        The figure.
    """
    kept = {title: models for title, models in panels.items() if models}
    if not kept:
        return _nothing_yet()
    rows = -(-len(kept) // 2)
    fig, axes = plt.subplots(rows, 2, figsize=(7, 2.6 * rows + 0.5), squeeze=False)
    for axis in axes.flat[len(kept) :]:
        axis.axis("off")
    for axis, (title, models) in zip(axes.flat, kept.items(), strict=False):
        for (name, curve), line in zip(models.items(), _LINES * 3, strict=False):
            found = [mean_and_half_interval(values) for values in curve.values()]
            colour, mark = look(name)
            axis.errorbar(
                range(len(curve)), *np.array(found).T, fmt=mark, ls=line, color=colour,
                capsize=3, label=name,
            )  # fmt: skip
        axis.set_xticks(range(len(curve)), [str(x) for x in curve])
        axis.set(title=title, xlabel=labels[title])
    for axis in axes[:, 0]:
        axis.set_ylabel(label)
    handles = axes[0, 0].get_legend_handles_labels()
    fig.legend(*handles, loc="outside lower center", ncol=min(4, len(handles[1])))
    return fig


def training_figure(
    panels: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]],
    expected: Sequence[float],
) -> Figure:
    """Draw accuracy (above) and the mean size of theta (below) by epoch.

    Args:
        panels: panel -> variant -> {"test": ..., "theta": ...}, one value per epoch
            each.
        expected: theta of a coefficient without gradient, one value per epoch.

    Returns:
        The figure, one column per panel.
    """
    kept = {title: variants for title, variants in panels.items() if variants}
    if not kept:
        return _nothing_yet()
    fig, axes = plt.subplots(
        2, len(kept), figsize=(7, 4.6), squeeze=False, sharex="col"
    )
    for (above, below), (title, variants) in zip(axes.T, kept.items(), strict=True):
        for (name, curves), line in zip(variants.items(), _LINES, strict=False):
            epochs = range(1, len(curves["test"]) + 1)
            above.plot(epochs, curves["test"], line, label=name)
            below.plot(epochs, curves["theta"], line, label=name)
        below.plot(
            epochs, expected[: len(epochs)], "k:", lw=1.2, label="θ without gradient"
        )
        above.set(title=title, ylim=(0, 100))
        below.set(xlabel="epoch", ylim=(0, None))
    axes[0, 0].set_ylabel("test accuracy (%)")
    axes[1, 0].set_ylabel("mean size of θ")
    fig.legend(
        *axes[1, 0].get_legend_handles_labels(), loc="outside lower center", ncol=3
    )
    return fig


def denoising_figure(
    thresholds: Sequence[float],
    errors: Mapping[str, np.ndarray],
    levels: Mapping[str, Mapping[str, float]],
) -> Figure:
    """Draw the mean squared error after shrinkage against the threshold.

    Args:
        thresholds: (thresholds,).
        errors: panel -> (thresholds, graphs).
        levels: panel -> name -> a horizontal line.

    Returns:
        The figure, one panel per signal.
    """
    fig, axes = plt.subplots(
        1, len(errors), figsize=(7, 3.1), sharey=True, squeeze=False
    )
    for axis, (title, values) in zip(axes[0], errors.items(), strict=True):
        means, halves = np.array([mean_and_half_interval(row) for row in values]).T
        axis.errorbar(
            thresholds, means, halves, fmt="C2^-", capsize=3, label="soft shrinkage"
        )
        for (name, value), line in zip(
            levels[title].items(), (":", "--"), strict=False
        ):
            axis.axhline(value, color="black", lw=1.2, ls=line, label=name)
        axis.set(title=title, xlabel="threshold τ", ylim=(0, None))
    axes[0, 0].set_ylabel("mean squared error")
    fig.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncol=3
    )
    return fig


def smoothing_figure(
    found: Sequence[tuple[str, int, float, Sequence[float]]],
    levels: Mapping[str, float],
) -> Figure:
    """Draw accuracy against the smoothing of a transform.

    Args:
        found: rows (bank, n, smoothing, accuracies), where the smoothing is the largest
            gain over the smallest, at least 1.
        levels: name -> a horizontal line.

    Returns:
        The figure.
    """
    if not found:
        return _nothing_yet()
    fig, axis = plt.subplots(figsize=(7, 3.4))
    marks = {"haar": ("C0o", -4), "linear": ("C1s", 5), "quadratic": ("C2^", -12)}
    drawn = set()
    for bank, n, ratio, values in found:
        mean, half = mean_and_half_interval(values)
        label = None if bank in drawn else f"{bank} bank"
        drawn.add(bank)
        mark, shift = marks[bank]
        axis.errorbar(ratio, mean, half, fmt=mark, capsize=3, label=label)
        axis.annotate(
            f"{n}", (ratio, mean), xytext=(6, shift), textcoords="offset points"
        )
    for (name, value), line in zip(levels.items(), (":", "--"), strict=False):
        axis.axhline(value, color="black", lw=1.2, ls=line, label=name)
    axis.set(xlabel="smoothing: largest over smallest gain", ylabel="test accuracy (%)")
    axis.legend(loc="center right")
    return fig


def trade_figure(
    panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]],
) -> Figure:
    """Draw accuracy (above) and the share of coefficients kept (below) by threshold.

    Args:
        panels: panel -> threshold -> (shares in [0, 1], accuracies), one number per
            seed each.

    Returns:
        The figure, one column per panel.
    """
    kept = {title: rows for title, rows in panels.items() if rows}
    if not kept:
        return _nothing_yet()
    fig, axes = plt.subplots(
        2, len(kept), figsize=(7, 4.2), squeeze=False, sharex="col"
    )
    for (above, below), (title, rows) in zip(axes.T, kept.items(), strict=True):
        found = np.array(
            [mean_and_half_interval(values) for _, values in rows.values()]
        )
        above.errorbar(range(len(rows)), *found.T, fmt="C2^", capsize=3)
        below.bar(
            range(len(rows)),
            [100 * np.mean(shares) for shares, _ in rows.values()],
            0.6,
        )
        below.axhline(50, color="black", lw=1, ls=":")
        below.set_xticks(range(len(rows)), list(rows))
        above.set(title=title)
        below.set(xlabel="threshold σ₀", ylim=(0, 100))
    axes[0, 0].set_ylabel("test accuracy (%)")
    axes[1, 0].set_ylabel("coefficients\nkept (%)")
    return fig


def _nothing_yet() -> Figure:
    """Return an empty figure for results that no profile has computed."""
    fig, axis = plt.subplots(figsize=(7, 1))
    axis.text(0.5, 0.5, "no larger profile has been run yet", ha="center")
    axis.axis("off")
    return fig
