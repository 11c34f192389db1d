"""Figures for the page on fractional diffusion, in the colours of the book's style."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from src.diffusion.fractional.roughness import increment_variances

LABELS = {
    "vp": "VP",
    "ve": "VE",
    "sub-vp": "sub-VP",
    "twin 0.9 2": "twin of (0.9, 2)",
}
SAMPLER_STYLES = {
    "released sde": ("o-", "released, noisy"),
    "sde": ("s--", "noisy, ends at 0"),
    "ode": ("^:", "noise-free"),
    "bridge": ("D-", "bridge"),
    "matched": ("v-.", "matched bridge"),
}


def label(name: str) -> str:
    """Return how a process's name is written in figures: "fvp 0.9 2" is (0.9, 2).

    Args:
        name: of the process, see `named_process`.
    """
    return LABELS.get(name) or "({}, {})".format(*name.split()[1:3])


def mean_and_half_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean over seeds and half the width of its 95 % t-interval.

    Args:
        values: at least two, one per seed.

    Raises:
        ValueError: for fewer, of which nothing can be said.
    """
    if len(values) < 2:
        raise ValueError(f"an interval needs at least two values, not {len(values)}")
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return float(np.mean(values)), float(half)


def idea_figure(
    times: Sequence[float],
    paths: Mapping[str, tuple[Sequence, Sequence]],
    schedule_times: Sequence[float],
    schedules: Mapping[str, tuple[Sequence, Sequence]],
) -> Figure:
    """Draw noise and pixels for several Hurst indices, and their noise schedules.

    Args:
        times: of the paths.
        paths: label -> (driving noise, pixel).
        schedule_times: of the schedules.
        schedules: label -> (std of X, std of X given Y); "VP" is dotted black.

    Returns:
        The figure, paths above and schedules below.
    """
    fig, axes = plt.subplots(2, 2, figsize=(7, 5.2), sharex=True)
    for name, both in paths.items():
        for axis, values in zip(axes[0], both, strict=True):
            axis.plot(times, values, label=name, lw=1.2)
    for name, both in schedules.items():
        for axis, values in zip(axes[1], both, strict=True):
            line = {"color": "black", "ls": ":"} if name == "VP" else {}
            axis.plot(schedule_times, values, label=name, **line)
    titles = [
        "the driving noise",
        "a pixel",
        "noise in the image",
        "noise the network sees",
    ]
    for axis, title in zip(axes.flat, titles, strict=True):
        axis.set_title(title)
    axes[0, 0].set_ylabel("value")
    axes[1, 0].set_ylabel("standard deviation")
    for axis in axes[1]:
        axis.set(xlabel="time t", ylim=(0, 1.12))
    axes[0, 0].legend()
    axes[1, 0].legend(loc="lower right")
    return fig


def approximation_figure(rows: Sequence[Mapping]) -> Figure:
    """Draw the errors of the approximation against K.

    Args:
        rows: of `approximation_errors`.

    Returns:
        The figure, one curve per Hurst index.
    """
    fig, axes = plt.subplots(1, 2, figsize=(7, 3.4), sharex=True, sharey=True)
    hursts = sorted({row["hurst"] for row in rows})
    colours = plt.get_cmap("cividis")(np.linspace(0, 0.92, len(hursts)))
    marks = "ovs^D<p>h"
    for axis, key in zip(axes, ("covariance", "cost"), strict=True):
        for hurst, colour, mark in zip(hursts, colours, marks, strict=False):
            chosen = [row for row in rows if row["hurst"] == hurst]
            counts, values = zip(
                *[(r["count"], max(r[key], 1e-12)) for r in chosen], strict=True
            )
            axis.semilogy(
                counts, values, mark + "-", color=colour, ms=4, lw=1.2, label=f"{hurst}"
            )
        axis.axhline(0.01, color="black", lw=0.8, ls=":")
        axis.set(xlabel="number of processes K", xticks=counts, ylim=(1e-7, 1))
    axes[0].set(ylabel="relative error", title="largest error of the covariance")
    axes[1].set_title("mean squared error of the path")
    axes[1].legend(title="H", fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return fig


def roughness_figure(hursts: Sequence[float], counts: Sequence[int]) -> Figure:
    """Draw the variance of increments against their length, exact and approximated.

    Args:
        hursts: one panel each.
        counts: numbers of speeds of the approximations, at most three.

    Returns:
        The figure; the lags of the coarse scale are shaded.
    """
    lags = np.geomspace(1e-4, 0.5, 40).tolist()
    fig, axes = plt.subplots(1, len(hursts), figsize=(7, 3.2), sharex=True)
    for axis, hurst in zip(axes, hursts, strict=True):
        axis.loglog(lags, increment_variances(hurst, None, lags), "k-", label="exact")
        for count, line in zip(counts, ("--", "-.", ":"), strict=False):
            axis.loglog(
                lags,
                increment_variances(hurst, count, lags),
                line,
                label=f"K = {count}",
            )
        axis.axvspan(1 / 20, 0.5, color="#DDDDDD", alpha=0.5, lw=0)
        axis.set(title=f"H = {hurst}", xlabel="length of the increment")
    axes[0].set_ylabel("variance of the increment")
    axes[-1].legend()
    return fig


def schedules_figure(
    times: Sequence[float], panels: Mapping[str, Mapping[str, Sequence[float]]]
) -> Figure:
    """Draw std of X given Y for families of processes, one panel per family.

    Args:
        times: of the curves.
        panels: title -> label -> values; the label "VP" is dotted black.

    Returns:
        The figure.
    """
    fig, axes = plt.subplots(1, len(panels), figsize=(7, 3.2), sharey=True)
    for axis, (title, curves) in zip(axes, panels.items(), strict=True):
        for name, values in curves.items():
            line = {"color": "black", "ls": ":"} if name == "VP" else {}
            axis.loglog(times, values, label=name, **line)
        axis.set(title=title, xlabel="time t")
        axis.legend(loc="lower right")
    axes[0].set_ylabel("noise the network sees (std)")
    return fig


def sampler_figure(panels: Mapping[str, Sequence[Mapping]], floor: float) -> Figure:
    """Draw distances against network calls.

    Runs that ended farther away than ten are drawn at ten.

    Args:
        panels: title -> rows of `circle_table`.
        floor: the best possible distance, a dotted line.

    Returns:
        The figure, means with the range over seeds.
    """
    fig, axes = plt.subplots(
        1, len(panels), figsize=(7, 3.6), sharey=True, squeeze=False
    )
    for axis, (title, rows) in zip(axes[0], panels.items(), strict=True):
        axis.set(title=title, xlabel="network calls")
        if rows:
            axis.set(xscale="log", yscale="log")
        axis.axhline(floor, color="black", lw=0.8, ls=":")
        for number, (sampler, (line, words)) in enumerate(SAMPLER_STYLES.items()):
            chosen = [row for row in rows if row["sampler"] == sampler]
            if not chosen:
                continue
            values = np.array([row["distances"] for row in chosen]).clip(max=10)
            calls = [row["evaluations"] for row in chosen]
            axis.plot(
                calls,
                values.mean(1),
                line,
                color=f"C{number}",
                ms=4,
                lw=1.3,
                label=words,
            )
            axis.fill_between(
                calls,
                values.min(1),
                values.max(1),
                color=f"C{number}",
                alpha=0.15,
                lw=0,
            )
            axis.set_xticks(calls, [str(n) for n in calls])
        axis.minorticks_off()
    axes[0, 0].set_ylabel("sliced Wasserstein distance")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    if handles:
        fig.legend(handles, labels, loc="outside lower center", ncols=3)
    return fig


def imbalance_figure(
    due: Sequence[float],
    shares: Mapping[str, Sequence[Sequence[float]]],
    distances: Mapping[str, Sequence[float]],
    floor: float,
) -> Figure:
    """Draw found over due frequency of each mode, and total variation per process.

    Args:
        due: frequency of each mode in the data.
        shares: process -> one row of found frequencies per seed.
        distances: process -> one total variation per seed.
        floor: what true points reach, a dotted line.

    Returns:
        The figure, means with 95 % intervals over seeds.
    """
    fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3.6), width_ratios=(3, 2))
    places = np.arange(len(due))
    for k, (name, rows) in enumerate(shares.items()):
        found = np.asarray(rows) / np.asarray(due)
        middle, half = zip(
            *[mean_and_half_interval(column) for column in found.T], strict=True
        )
        shift = 0.22 * (k - (len(shares) - 1) / 2)
        mark = "osD^v"[k]
        left.errorbar(
            places + shift, middle, yerr=half, fmt=mark, ms=4, capsize=2, label=name
        )
    left.axhline(1, color="black", lw=0.8, ls=":")
    left.set_xticks(places, [f"{share:.1g}" for share in due], rotation=45)
    left.set(
        xlabel="frequency of the mode in the data",
        ylabel="frequency in the samples / data",
    )
    left.set_ylim(0, None)
    left.legend(loc="lower left")
    dots(right, distances, floor)
    right.set(xlabel="total variation", xlim=(0, None))
    return fig


def dots(
    axis: Axes, rows: Mapping[str, Sequence[float]], reference: float | None = None
) -> None:
    """Draw every seed, the mean and its 95 % interval, one row per process.

    Args:
        axis: to draw on.
        rows: process -> one value per seed; the first is on top.
        reference: place of a dotted line, if any.
    """
    names = list(rows)[::-1]
    for place, name in enumerate(names):
        values = rows[name]
        axis.plot(values, np.full(len(values), place), ".", color="C6", alpha=0.8)
        mean, half = mean_and_half_interval(values)
        axis.errorbar(
            [mean], [place], xerr=[half], fmt="D", color="C0", capsize=3, ms=5
        )
    if reference is not None:
        axis.axvline(reference, color="black", lw=0.8, ls=":")
    axis.set_yticks(range(len(names)), names)


def quality_figure(
    panels: Mapping[str, Mapping[str, Sequence[float]]], references: Mapping[str, float]
) -> Figure:
    """Draw one panel per measure, with a dotted line at what real images reach.

    Args:
        panels: measure -> process -> one value per seed.
        references: measure -> what real images reach; measures may be missing.

    Returns:
        The figure.
    """
    fig, axes = plt.subplots(1, len(panels), figsize=(7, 3.0), sharey=True)
    for axis, (title, rows) in zip(axes, panels.items(), strict=True):
        dots(axis, rows, references.get(title))
        axis.set_xlabel(title)
    return fig


def gallery_figure(images: Mapping[str, Sequence], columns: int = 10) -> Figure:
    """Draw images, one row per title.

    Without images, which a larger profile has yet to make, it draws one black row that
    says so.

    Args:
        images: title -> (number, channels, height, width) in [0, 1].
        columns: images per row, at most.

    Returns:
        The figure.
    """
    images = images or {"not run yet": np.zeros((columns, 1, 8, 8))}
    fig, axes = plt.subplots(len(images), 1, figsize=(7, 0.68 * len(images)))
    for axis, (title, rows) in zip(np.atleast_1d(axes), images.items(), strict=True):
        values = np.asarray(rows)[:columns]
        strip = np.concatenate([np.pad(v, ((0, 0), (0, 0), (0, 1))) for v in values], 2)
        strip = strip[0] if len(strip) == 1 else strip.transpose(1, 2, 0)
        axis.imshow(strip, cmap="gray", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
        axis.set_ylabel(title, rotation=0, ha="right", va="center")
        axis.spines[:].set_visible(False)
        axis.grid(False)
    return fig
