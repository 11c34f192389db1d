"""The figures of the Transformer's chapter; colours come from the book's style."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from src.foundations.transformer.attention import sinusoidal_positions
from src.foundations.transformer.attention_maps import cross_attention
from src.foundations.transformer.language_pair import Clause, english, translation
from src.foundations.transformer.model import Transformer

MODELS = ("transformer", "recurrent")


def mean_and_half_interval(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over rows (seeds) and half the width of its 95 % t-interval.

    Args:
        rows: one row per seed, at least two.
    """
    return rows.mean(0), stats.t.ppf(0.975, len(rows) - 1) * stats.sem(rows)


def attention_figure(
    network: Transformer, clause: Clause, heads: Mapping[str, int]
) -> Figure:
    """Draw where heads look while each word of a translation is written.

    Args:
        network: a trained Transformer of the small language pair.
        clause: the sentence to translate.
        heads: title -> number of a head, from 0.

    Returns:
        The figure, with one panel per head.
    """
    source, target = english(clause), translation(clause)
    maps = cross_attention(network, [clause])[0, :, : len(target)]
    fig, axes = plt.subplots(1, len(heads), figsize=(7, 4.2), sharey=True)
    for axis, (title, head) in zip(axes, heads.items(), strict=True):
        image = axis.imshow(maps[head], vmin=0, vmax=1, aspect="auto")
        rows = range(len(target))
        axis.plot(
            [w.source for w in target],
            rows,
            "s",
            mfc="none",
            mec="white",
            mew=1.4,
            ms=12,
        )
        for edge, width in (("white", 3.4), ("C1", 1.8)):  # a light rim, for dark cells
            axis.plot(
                [w.controller for w in target],
                rows,
                "o",
                mfc="none",
                mec=edge,
                mew=width,
                ms=7,
            )
        axis.set_xticks(range(len(source)), source, rotation=60)
        axis.set_yticks(rows, [w.text for w in target])
        axis.set(title=f"head {head + 1}: {title}", xlabel="source word")
        axis.grid(False)
    axes[0].set_ylabel("target word being written")
    fig.colorbar(image, ax=axes, label="attention weight", shrink=0.8)
    return fig


def saturation_figure(widths: Sequence[int], norms: Mapping[str, Sequence]) -> Figure:
    """Draw the norm of the softmax's Jacobian against d_k.

    Args:
        widths: the values of d_k.
        norms: label -> one row per width, one number per repetition.

    Returns:
        The figure: means as lines, smallest to largest values as bands.
    """
    fig, axis = plt.subplots(figsize=(6, 3.2))
    for label, rows in norms.items():
        values = np.asarray(rows)
        (line,) = axis.plot(widths, values.mean(1), marker="o", label=label)
        axis.fill_between(
            widths,
            values.min(1),
            values.max(1),
            color=line.get_color(),
            alpha=0.2,
            lw=0,
        )
    axis.set(xscale="log", ylim=(0, None))
    axis.set(
        xlabel="key size $d_k$ (components)", ylabel="norm of the softmax's Jacobian"
    )
    axis.set_xticks(widths, [str(w) for w in widths])
    axis.minorticks_off()
    axis.legend()
    return fig


def positions_figure(width: int) -> Figure:
    """Draw the positional signal, and two positions' dot products with the others.

    Args:
        width: number of components, even.

    Returns:
        The figure, with two panels.
    """
    table = sinusoidal_positions(100, width)
    fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3.2))
    image = left.imshow(table[:60].T, aspect="auto", vmin=-1, vmax=1)
    left.set(xlabel="position p (words)", ylabel="component", title="the signal PE(p)")
    left.grid(False)
    fig.colorbar(image, ax=left)
    for position, line in ((20, "-"), (50, "--")):
        products = table @ table[position]
        right.plot(np.arange(100) - position, products, line, label=f"p = {position}")
    right.set(xlabel="distance q − p (words)", ylabel="PE(p) · PE(q)", xlim=(-20, 40))
    right.set_title("similarity of two positions")
    right.legend()
    return fig


def reversal_figure(
    curves: Mapping[str, Sequence], by_length: Mapping[str, Sequence]
) -> Figure:
    """Draw learning curves (means of 10 batches) and final scores by length.

    Args:
        curves: model -> one row per seed.
        by_length: "model n", with n the length -> one score per seed.

    Returns:
        The figure, with two panels; the right one is empty if `by_length` is.
    """
    fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3.2))
    lengths = sorted({int(key.split()[1]) for key in by_length})
    for model, line in zip(MODELS, ("o-", "s--"), strict=True):
        batches = range(5, 10 * len(curves[model][0]), 10)
        _band(left, batches, np.array(curves[model]), line[1:], model)
        if lengths:
            rows = np.array([by_length[f"{model} {n}"] for n in lengths]).T
            _band(right, lengths, rows, line, model)
    left.set(
        xlabel="training batch",
        ylabel="loss (nats a token)",
        title="12 symbols, trained here",
    )
    left.legend()
    right.set(xlabel="length of the string (symbols)", ylabel="share of right symbols")
    right.set(title="after 300 batches", xticks=lengths, ylim=(0, 1.05))
    return fig


def ablation_figure(panels: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Draw every seed, the mean and its 95 % interval for variants of a model.

    A variant far beyond the others would squeeze them into a corner, so its mean is
    written at the panel's edge.

    Args:
        panels: label of a measure -> variant -> one number per seed.

    Returns:
        The figure, with one panel per measure and one row per variant.
    """
    fig, axes = plt.subplots(
        1, len(panels), figsize=(7, 3.8), sharey=True, squeeze=False
    )
    for axis, (label, rows) in zip(axes[0], panels.items(), strict=True):
        if not rows:  # no larger profile has been run
            continue
        names = list(rows)[::-1]
        edge = min(
            2.5 * np.median(list(rows.values())), 1.05 * np.max(list(rows.values()))
        )
        for place, name in enumerate(names):
            mean, half = mean_and_half_interval(np.asarray(rows[name])[:, None])
            if mean > edge:
                axis.text(edge, place, f"{mean[0]:.2f} →", ha="right", va="center")
                continue
            axis.plot(
                rows[name], np.full(len(rows[name]), place), ".", color="C6", alpha=0.8
            )
            axis.errorbar(
                mean, [place], xerr=half, fmt="D", color="C0", capsize=3, ms=5
            )
        axis.set_yticks(range(len(names)), names)
        axis.set(xlabel=label, xlim=(0, edge))
    return fig


def _band(axis: Axes, x: Sequence, rows: np.ndarray, line: str, label: str) -> None:
    mean, half = mean_and_half_interval(rows)
    (drawn,) = axis.plot(x, mean, line, label=label)
    axis.fill_between(
        x, mean - half, mean + half, color=drawn.get_color(), alpha=0.25, lw=0
    )
