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
    """Return the mean over rows (seeds) and half the width of its 95 % t-interval."""
    return rows.mean(0), stats.t.ppf(0.975, len(rows) - 1) * stats.sem(rows)


def attention_figure(network: Transformer, clause: Clause, heads: Mapping[str, int]) -> Figure:
    """Draw where heads look while each word of a translation is written, one panel a head.

    `heads` maps what a head is known for to its number, from 0.
    """
    source, target = english(clause), translation(clause)
    maps = cross_attention(network, [clause])[0, :, : len(target)]
    fig, axes = plt.subplots(1, len(heads), figsize=(7, 4.2), sharey=True)
    for axis, (title, head) in zip(axes, heads.items(), strict=True):
        image = axis.imshow(maps[head], vmin=0, vmax=1, aspect="auto")
        rows = range(len(target))
        axis.plot([w.source for w in target], rows, "s", mfc="none", mec="white", mew=1.4, ms=12)
        for edge, width in (("white", 3.4), ("C1", 1.8)):  # a light rim, for dark cells
            axis.plot(
                [w.controller for w in target], rows, "o", mfc="none", mec=edge, mew=width, ms=7
            )
        axis.set_xticks(range(len(source)), source, rotation=60)
        axis.set_yticks(rows, [w.text for w in target])
        axis.set(title=f"head {head + 1}: {title}", xlabel="source word")
        axis.grid(False)
    axes[0].set_ylabel("target word being written")
    fig.colorbar(image, ax=axes, label="attention weight", shrink=0.8)
    return fig


def saturation_figure(widths: Sequence[int], norms: Mapping[str, Sequence]) -> Figure:
    """Draw the norm of the softmax's Jacobian against d_k; `norms[label]` has one row a width."""
    fig, axis = plt.subplots(figsize=(6, 3.2))
    for label, rows in norms.items():
        values = np.asarray(rows)
        (line,) = axis.plot(widths, values.mean(1), marker="o", label=label)
        axis.fill_between(
            widths, values.min(1), values.max(1), color=line.get_color(), alpha=0.2, lw=0
        )
    axis.set(xscale="log", ylim=(0, None))
    axis.set(xlabel="key size $d_k$ (components)", ylabel="norm of the softmax's Jacobian")
    axis.set_xticks(widths, [str(w) for w in widths])
    axis.minorticks_off()
    axis.legend()
    return fig


def positions_figure(width: int) -> Figure:
    """Draw the positional signal, and the dot products of two of its positions with all others."""
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


def reversal_figure(curves: Mapping[str, Sequence], by_length: Mapping[str, Sequence]) -> Figure:
    """Draw learning curves (means of 10 batches) and the final score against the length.

    `curves[model]` has one row a seed; `by_length["model n"]` one score a seed.
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
        xlabel="training batch", ylabel="loss (nats a token)", title="12 symbols, trained here"
    )
    left.legend()
    right.set(xlabel="length of the string (symbols)", ylabel="share of right symbols")
    right.set(title="after 300 batches", xticks=lengths, ylim=(0, 1.05))
    return fig


def ablation_figure(panels: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Draw one row a variant and one panel a measure: every seed, the mean, its 95 % interval.

    `panels[label][variant]` has one number a seed. A variant far beyond the others would squeeze
    them into a corner: its mean is written at the panel's edge.
    """
    fig, axes = plt.subplots(1, len(panels), figsize=(7, 3.8), sharey=True, squeeze=False)
    for axis, (label, rows) in zip(axes[0], panels.items(), strict=True):
        if not rows:  # no larger profile has been run
            continue
        names = list(rows)[::-1]
        edge = min(2.5 * np.median(list(rows.values())), 1.05 * np.max(list(rows.values())))
        for place, name in enumerate(names):
            mean, half = mean_and_half_interval(np.asarray(rows[name])[:, None])
            if mean > edge:
                axis.text(edge, place, f"{mean[0]:.2f} →", ha="right", va="center")
                continue
            axis.plot(rows[name], np.full(len(rows[name]), place), ".", color="C6", alpha=0.8)
            axis.errorbar(mean, [place], xerr=half, fmt="D", color="C0", capsize=3, ms=5)
        axis.set_yticks(range(len(names)), names)
        axis.set(xlabel=label, xlim=(0, edge))
    return fig


def _band(axis: Axes, x: Sequence, rows: np.ndarray, line: str, label: str) -> None:
    mean, half = mean_and_half_interval(rows)
    (drawn,) = axis.plot(x, mean, line, label=label)
    axis.fill_between(x, mean - half, mean + half, color=drawn.get_color(), alpha=0.25, lw=0)
