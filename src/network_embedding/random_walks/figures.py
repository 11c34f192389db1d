"""Figures that compare the methods of the part."""

from typing import TYPE_CHECKING

import networkx
import numpy as np
from torch import Tensor

from src.common.graphs.graph import Graph

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKS = "osD^vP*X"


def draw_graphs(left: tuple[Graph, Tensor], right: tuple[Graph, Tensor]) -> "Figure":
    """Draw two graphs side by side, coloured by class, with nodes placed by springs.

    Args:
        left: a graph and the community of each node, (nodes,).
        right: a graph and the role of each node, (nodes,).

    Returns:
        A figure of two panels.
    """
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, 2, figsize=(9, 4.2))
    names = ("community", "role")
    for panel, (graph, classes), name in zip(axes, (left, right), names, strict=True):
        places = networkx.spring_layout(graph.to_networkx(), seed=0, iterations=60)
        scatter_nodes(
            panel, graph, np.array([places[v] for v in range(len(places))]), classes
        )
        panel.set_title(f"colour: {name}")
        panel.legend(
            title=name, fontsize=8, title_fontsize=8, loc="upper right", framealpha=0.7
        )
    return fig


def scatter_nodes(
    axes: "Axes", graph: Graph, places: np.ndarray, classes: Tensor
) -> None:
    """Draw a graph's edges as thin lines, its nodes with one mark and colour per class.

    Args:
        axes: where to draw.
        graph: undirected.
        places: (nodes, 2) coordinates of the nodes.
        classes: (nodes,) 0, 1, ...
    """
    from matplotlib.collections import LineCollection

    source, target = graph.edge_index.numpy()
    once = source < target
    lines = np.stack([places[source[once]], places[target[once]]], axis=1)
    axes.add_collection(
        LineCollection(list(lines), colors="0.6", linewidths=0.3, alpha=0.5, zorder=1)
    )
    for number in range(int(classes.max()) + 1):
        x, y = places[(classes == number).numpy()].T
        style = {"marker": MARKS[number % len(MARKS)], "color": f"C{number}"}
        axes.scatter(
            x, y, s=18, label=str(number), zorder=2, edgecolors="none", **style
        )
    axes.set(xticks=[], yticks=[])
    axes.autoscale_view()


def draw_comparison(scores: dict[str, list[dict[str, float]]]) -> "Figure":
    """Draw one line per method from its score for roles to that for communities.

    Marks are means over the seeds, bars their standard deviations.

    Args:
        scores: for each method one dictionary per seed with "communities" and "roles",
            in [0, 1].

    Returns:
        A figure of one panel.
    """
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(figsize=(7, 0.32 * len(scores) + 1.2))
    places = range(len(scores))
    ends = []
    for kind, shift, color, mark in (
        ("communities", -0.12, "C0", "o"),
        ("roles", 0.12, "C1", "s"),
    ):
        values = [np.array([row[kind] for row in rows]) for rows in scores.values()]
        ends.append([v.mean() for v in values])
        axes.errorbar(
            ends[-1],
            [place + shift for place in places],
            xerr=[v.std() for v in values],
            fmt=mark,
            color=color,
            label=kind,
        )
    axes.hlines(places, *ends, color="0.7", lw=1, zorder=0)
    axes.set(yticks=places, yticklabels=list(scores), xlabel="macro-F1")
    axes.invert_yaxis()
    fig.legend(loc="outside lower center", ncols=2)
    return fig
