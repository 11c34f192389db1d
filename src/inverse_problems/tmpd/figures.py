"""The figures of the TMPD chapter; colours come from the book's style."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from scipy import stats
from torch import Tensor

from src.common.diffusion.gaussian_mixture import GaussianMixture
from src.common.diffusion.processes import Process

# One colour and one mark for a method on the whole page.
LOOK = {
    "exact": ("C6", "x"),
    "TMPD": ("C0", "o"),
    "TMPD, row sums": ("C5", "P"),
    "PiGDM": ("C1", "s"),
    "DPS": ("C2", "^"),
    "DPS published": ("C4", "v"),
    "DDRM": ("C3", "D"),
}


def as_numbers(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return numbers as an array in double precision.

    Args:
        values: numbers.

    Raises:
        ValueError: for a text.
    """
    if isinstance(values, str):
        raise ValueError(f"need a sequence of numbers, not the text {values!r}")
    return np.asarray(values, dtype=float)


def mean_and_half_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Return the mean and half the width of its 95 % t-interval.

    Args:
        values: one number per problem, at least two; of one alone the width is NaN.

    Raises:
        ValueError: for no values, values in several rows, or NaN among them.
    """
    rows = as_numbers(values)
    if rows.ndim != 1 or not len(rows) or np.isnan(rows).any():
        raise ValueError(f"need one number per problem, without NaN, not {values}")
    return float(rows.mean()), float(
        stats.t.ppf(0.975, len(rows) - 1) * stats.sem(rows)
    )


def geometric_mean_and_interval(
    values: Sequence[float] | np.ndarray,
) -> tuple[float, float, float]:
    """Return the geometric mean, and how far its interval reaches down and up.

    The interval is a 95 % t-interval of the logarithms, like that of the claims about
    ratios.

    Args:
        values: one positive number per problem, at least two.

    Raises:
        ValueError: for values that are not positive, and as `mean_and_half_interval`.
    """
    rows = as_numbers(values)
    if not (rows > 0).all():
        raise ValueError(f"a geometric mean needs positive numbers, not {values}")
    mean, half = mean_and_half_interval(np.log(rows))
    centre = float(np.exp(mean))
    return (
        centre,
        centre - float(np.exp(mean - half)),
        float(np.exp(mean + half)) - centre,
    )


# --- the ring -------------------------------------------------------------------------


def ring_figure(
    prior: GaussianMixture,
    process: Process,
    noisy: Mapping[float, Tensor],
    observed: float,
    samples: Mapping[str, Tensor],
) -> Figure:
    """Draw p(x_0 | u_t) with the Gaussians of TMPD and PiGDM at some times.

    Samples of the posterior stand below.

    Args:
        prior: in two dimensions.
        process: of the noisy images.
        noisy: time -> one noisy image (1, 2).
        observed: the horizontal coordinate that was observed.
        samples: panel title -> (count, 2); as many panels as there are times.

    Returns:
        The figure, two rows of panels.

    Raises:
        ValueError: if the numbers of times and of panels of samples differ.
    """
    fig, axes = plt.subplots(
        2, len(noisy), figsize=(7, 5.1), sharex=True, sharey=True, squeeze=False
    )
    for axis, (t, u) in zip(axes[0], noisy.items(), strict=True):
        _true_law(axis, prior, process, t, u)
        _assumed_gaussians(axis, prior, process, t, u)
        axis.set_title(f"t = {t:g}")
    background = prior.sample(1500, torch.Generator().manual_seed(0))
    for axis, (title, points) in zip(axes[1], samples.items(), strict=True):
        axis.plot(*background.T, ".", color="#DDDDDD", ms=2)
        colour = LOOK.get(title, LOOK["exact"])[0]
        axis.plot(*points.T, ".", color=colour, ms=3)
        axis.axvline(observed, color="black", lw=1, ls=":")
        axis.set_title(title)
    for axis in axes.flat:
        axis.set(xlim=(-3.4, 3.4), ylim=(-3.4, 3.4), aspect="equal")
        axis.set_xticks((-2, 0, 2))
        axis.set_yticks((-2, 0, 2))
        axis.grid(False)
    axes[0, 0].set_ylabel("what $u_t$ says of $x_0$")
    axes[1, 0].set_ylabel("posterior samples")
    handles = axes[0, 0].get_legend_handles_labels()[0]
    fig.legend(handles=handles, loc="outside lower center", ncol=len(handles))
    return fig


def _true_law(
    axis: Axes, prior: GaussianMixture, process: Process, t: float, u: Tensor
) -> None:
    line = torch.linspace(-3.4, 3.4, 120, dtype=torch.float64)
    clean = torch.cartesian_prod(line, line)
    away = (u - process.mean(t) * clean) / process.std(t)
    density = (prior.log_density(clean) - 0.5 * away.square().sum(1)).softmax(0)
    share = density.reshape(120, 120).T
    axis.imshow(
        (share / share.max()) ** 0.5,
        origin="lower",
        extent=(-3.4, 3.4, -3.4, 3.4),
        cmap="Greys",
    )


def _assumed_gaussians(
    axis: Axes, prior: GaussianMixture, process: Process, t: float, u: Tensor
) -> None:
    m, std = process.mean(t), process.std(t)
    centre = prior.denoised(u, m, std)[0].numpy()
    values, vectors = np.linalg.eigh(prior.covariance_given(u, m, std)[0].numpy())
    angle = np.degrees(np.arctan2(*vectors[::-1, 1]))
    assumed = float(std / (m**2 + std**2).sqrt())
    width, height = 4 * np.sqrt(values[::-1])  # two standard deviations to each side
    for size, turn, name, line in (
        ((width, height), angle, "TMPD", "-"),
        ((4 * assumed, 4 * assumed), 0.0, "PiGDM", "--"),
    ):
        colour = LOOK[name][0]
        axis.add_patch(
            Ellipse(centre, *size, angle=turn, fill=False, ec=colour, lw=2, ls=line)
        )
        axis.plot([], [], line, color=colour, label=f"{name}, two standard deviations")
    axis.plot(
        *(u[0] / m).numpy(), "k+", ms=9, mew=1.6, ls="none", label="$u_t$, rescaled"
    )


# --- Gaussian fields and the line -----------------------------------------------------


def field_figure(
    steps: Sequence[int], distances: Mapping[str, Sequence[Sequence[float]]]
) -> Figure:
    """Draw the squared distance to the posterior against the number of steps.

    Args:
        steps: numbers of steps, ascending.
        distances: name -> (steps, problems); "TMPD" must be among the names. A line is
            the mean over problems, a band their range.

    Returns:
        The figure, with a guide of slope -2.

    Raises:
        KeyError: for a name that is not TMPD, "its diagonal", "its row sums" or PiGDM.
    """
    fig, axis = plt.subplots(figsize=(7, 3.4))
    marks = {"TMPD": "o-", "its diagonal": "P--", "its row sums": "D-.", "PiGDM": "s:"}
    for name, rows in distances.items():
        values = np.asarray(rows)
        (line,) = axis.plot(
            steps, values.mean(1), marks[name], label=name, color=_colour(name)
        )
        axis.fill_between(
            steps,
            values.min(1),
            values.max(1),
            color=line.get_color(),
            alpha=0.15,
            lw=0,
        )
    start = np.mean(distances["TMPD"][0])
    guide = start * (np.asarray(steps) / steps[0]) ** -2.0
    axis.plot(steps, guide, color="black", lw=0.8, label="slope −2")
    axis.set(xscale="log", yscale="log", xlabel="Euler–Maruyama steps")
    axis.set_ylabel("squared 2-Wasserstein\ndistance to the posterior")
    axis.set_xticks(steps, [str(n) for n in steps])
    axis.minorticks_off()
    axis.legend(ncol=2, loc="lower left")
    return fig


def _colour(name: str) -> str:
    known = {"its diagonal": "C3", "its row sums": "C5"}
    return known.get(name) or LOOK[name][0]


def line_figure(errors: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """Draw bound and divergence against the separation of two components.

    Args:
        errors: method -> one `ProjectionError`, as a dictionary, per separation; one
            panel each.

    Returns:
        The figure; values below 1e-6 are drawn there.
    """
    axes = _panels(len(errors), (7, 3.1))
    for axis, (name, rows) in zip(axes, errors.items(), strict=True):
        apart = [row["separation"] for row in rows]
        for key, label, mark in (
            ("bound", "bound", "k^--"),
            ("divergence", "divergence of the samples", "o-"),
            ("non_gaussian", "p(x₀ | u) from a Gaussian", "C6x:"),
        ):
            values = [max(row[key], 1e-6) for row in rows]
            axis.plot(apart, values, mark, label=label)
        axis.set(title=name, yscale="log", xlabel="distance of the components")
    axes[0].set_ylabel("Kullback–Leibler divergence")
    axes[0].legend(loc="lower right")
    return axes[0].figure


# --- mixtures -------------------------------------------------------------------------


def step_figure(
    curves: Mapping[float, Mapping[float, Sequence[float]]],
    levels: Mapping[float, Mapping[str, Sequence[float]]],
) -> Figure:
    """Draw DPS's distance against its constant, one panel per noise level.

    Args:
        curves: sigma -> constant -> one distance per problem.
        levels: sigma -> method without a constant -> one distance per problem; two
            methods.

    Returns:
        The figure, geometric means with 95 % intervals.
    """
    fig, axes = plt.subplots(
        1, len(curves), figsize=(7, 3.1), sharey=True, squeeze=False
    )
    for axis, (sigma, curve) in zip(axes[0], curves.items(), strict=True):
        constants = sorted(curve)
        means, *halves = np.array(
            [geometric_mean_and_interval(curve[c]) for c in constants]
        ).T
        axis.errorbar(constants, means, halves, fmt="C2^-", capsize=3, label="DPS")
        for (name, values), line in zip(
            levels[sigma].items(), ("-", "--"), strict=True
        ):
            colour = LOOK[name][0]
            axis.axhline(
                geometric_mean_and_interval(values)[0],
                color=colour,
                ls=line,
                label=name,
            )
        axis.set(
            xscale="log",
            yscale="log",
            xlabel="constant ζ of DPS",
            title=f"σ = {sigma:g}",
        )
        axis.set_yticks((0.1, 0.3, 1, 3, 10), ("0.1", "0.3", "1", "3", "10"))
        axis.yaxis.set_minor_formatter("")
    axes[0, 0].set_ylabel("distance to the posterior")
    handles = axes[0, 0].get_legend_handles_labels()
    fig.legend(*handles, loc="outside lower center", ncol=4)
    return fig


def comparison_figure(
    panels: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]], columns: int = 2
) -> Figure:
    """Draw geometric means with 95 % intervals.

    Args:
        panels: title -> setting -> method -> one distance per problem; as many panels
            as fill the rows. A method is drawn if every setting of the panel has it.
        columns: panels in a row.

    Returns:
        The figure.

    Raises:
        ValueError: if the panels do not fill the last row.
    """
    rows = -(-len(panels) // columns)
    fig, axes = plt.subplots(
        rows, columns, figsize=(7, 2.6 * rows + 0.5), sharey=True, squeeze=False
    )
    for axis, (title, settings) in zip(axes.flat, panels.items(), strict=True):
        methods = [
            name for name in LOOK if all(name in row for row in settings.values())
        ]
        for k, name in enumerate(methods):
            found = [
                geometric_mean_and_interval(row[name]) for row in settings.values()
            ]
            means, *halves = np.array(found).T
            places = np.arange(len(settings)) + 0.12 * (k - (len(methods) - 1) / 2)
            colour, mark = LOOK[name]
            axis.errorbar(
                places,
                means,
                halves,
                fmt=mark,
                color=colour,
                capsize=2,
                ms=5,
                label=name,
            )
        axis.set_xticks(range(len(settings)), list(settings))
        axis.set(title=title, yscale="log")
    for axis in axes[:, 0]:
        axis.set_ylabel("distance to the posterior")
    fig.legend(
        *axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncol=6
    )
    return fig


def _panels(
    count: int, size: tuple[float | int, float], sharey: bool = True
) -> Sequence[Axes]:
    """Return the panels of a new figure, side by side, also if there is only one."""
    return list(
        plt.subplots(1, count, figsize=size, sharey=sharey, squeeze=False)[1][0]
    )


# --- images ---------------------------------------------------------------------------


def judged_figure(
    tables: Mapping[str, Mapping[str, np.ndarray]], labels: Mapping[str, str]
) -> Figure:
    """Draw one panel per measure and one row per method.

    Each row has a dot for every image and task, their mean and its 95 % interval.

    Args:
        tables: method -> measure -> one number per image and task.
        labels: measure -> label of its axis.

    Returns:
        The figure; coverage has a line at 0.9.
    """
    axes = _panels(len(labels), (7, 3.2))
    names = list(tables)[::-1]
    for axis, (measure, label) in zip(axes, labels.items(), strict=True):
        for place, name in enumerate(names):
            values = np.asarray(tables[name][measure]).ravel()
            mean, half = mean_and_half_interval(values)
            axis.plot(
                values,
                np.full(len(values), place),
                ".",
                color="#999999",
                ms=4,
                alpha=0.7,
            )
            colour, mark = LOOK[name]
            axis.errorbar(
                mean, place, xerr=half, fmt=mark, color=colour, capsize=3, ms=6
            )
        axis.set_yticks(range(len(names)), names)
        axis.set_xlabel(label)
        if measure == "coverage":
            axis.axvline(0.9, color="black", lw=1, ls=":")
    return axes[0].figure


def restoration_figure(
    found: Mapping[str, Mapping[str, Tensor]], samples: int = 3
) -> Figure:
    """Draw one panel per task: truth and observation, then samples, a row per method.

    Args:
        found: task -> "truth" and "observation" (images, channels, side, side) and, for
            each method, (images, samples, channels, side, side), in [-1, 1]; the first
            image is drawn.
        samples: how many of each method.

    Returns:
        The figure.
    """
    axes = _panels(len(found), (7, 3.7), sharey=False)
    for axis, (task, parts) in zip(axes, found.items(), strict=True):
        methods = [name for name in parts if name not in ("truth", "observation")]
        rows = [[parts["truth"][0], parts["observation"][0]]]
        rows += [list(parts[name][0, :samples]) for name in methods]
        _mosaic(axis, rows, ["truth, seen", *methods] if axis is axes[0] else [])
        axis.set_title(task)
    return axes[0].figure


def uncertainty_figure(found: Mapping[str, Tensor], methods: Sequence[str]) -> Figure:
    """Draw for one image each method's mean, its error, and the spread of its samples.

    Args:
        found: as one task of `restoration_figure`; of the first image, one channel is
            drawn.
        methods: which to draw.

    Returns:
        The figure, one row per method.
    """
    fig, axes = plt.subplots(
        len(methods), 5, figsize=(7, 1.5 * len(methods)), squeeze=False
    )
    titles = ("truth", "observation", "mean of 19", "actual error", "claimed spread")
    truth = found["truth"][0]
    for row, name in zip(axes, methods, strict=True):
        samples = found[name][0].clamp(-1, 1)
        error = (samples.mean(0) - truth).abs()
        for axis, picture in zip(
            row, (truth, found["observation"][0], samples.mean(0)), strict=False
        ):
            _image(axis, picture)
        for axis, values in zip(row[3:], (error, samples.std(0)), strict=True):
            shown = axis.imshow(values[0], vmin=0, vmax=1, cmap="magma")
        for axis in row:
            axis.set(xticks=[], yticks=[])
            axis.grid(False)
        row[0].set_ylabel(name)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=10)
    fig.colorbar(shown, ax=axes, shrink=0.8, label="grey values (range 2)")
    return fig


def gallery_figure(kept: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draw one panel per data set: a column per image, a row per method.

    Args:
        kept: data set -> what `unpacked_pictures` returns; if empty, the figure says
            so.

    Returns:
        The figure.
    """
    if not kept:  # no larger profile has been run
        fig, axis = plt.subplots(figsize=(7, 1))
        axis.text(0.5, 0.5, "no larger profile has been run yet", ha="center")
        axis.axis("off")
        return fig
    fig, axes = plt.subplots(1, len(kept), figsize=(7, 4.6), squeeze=False)
    for axis, (data, images) in zip(axes[0], kept.items(), strict=True):
        rows = [[torch.as_tensor(2 * p - 1) for p in images[name]] for name in images]
        _mosaic(axis, rows, list(images) if axis is axes[0, 0] else [])
        axis.set_title(data)
    return fig


def _mosaic(
    axis: Axes, rows: Sequence[Sequence[Tensor]], labels: Sequence[str]
) -> None:
    """Draw images (channels, side, side) in rows and columns, labels to the left."""
    side = rows[0][0].shape[-1]
    step, columns = side + max(1, side // 8), max(map(len, rows))
    sheet = torch.ones(3, step * len(rows), step * columns)
    for i, row in enumerate(rows):
        for k, image in enumerate(row):
            place = sheet[:, i * step : i * step + side, k * step : k * step + side]
            place.copy_(((image + 1) / 2).clamp(0, 1).expand(3, side, side))
    axis.imshow(sheet.movedim(0, -1))
    axis.set_xticks([])
    axis.set_yticks([i * step + side / 2 for i in range(len(labels))], labels)
    axis.tick_params(length=0)
    axis.grid(False)
    for edge in axis.spines.values():
        edge.set_visible(False)


def _image(axis: Axes, image: Tensor) -> None:
    axis.imshow(((image[0] + 1) / 2).clamp(0, 1), cmap="gray", vmin=0, vmax=1)
