"""Checks of a figure's series: told apart by more than colour, and drawn in the book's colours."""

from collections.abc import Iterator
from functools import cache

import numpy as np
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection, PathCollection
from matplotlib.colors import to_hex, to_rgba
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D

from src.book.chapter.figures import COLOURS
from src.book.storage.errors import BookError

# Colour maps whose lightness rises evenly in every kind of vision; RdBu is for values around a
# middle, and its two halves stay apart. Each also has a reversed form, NAME_r.
MAPS = ("cividis", "viridis", "magma", "gray", "Greys", "RdBu")


def check_series(fig: Figure, name: str) -> None:
    """Check that a figure's series differ by more than colour, and that its colours are the book's.

    Raises:
        BookError: naming two labels that only colour tells apart, or a colour or colour map that
            is not the book's, and what to do.
    """
    for one, other in alike_lines(fig):
        raise BookError(
            f"figure {name}: {one!r} and {other!r} differ by colour alone; give one of them "
            "another line style (linestyle='--') or marker (marker='s'), or bars a hatch"
        )
    for colour in strange_colours(fig):
        raise BookError(
            f"figure {name}: {colour} is not a colour of the book, which colour-blind readers "
            "tell apart; use src.book.chapter.figures.COLOURS ('C0' to 'C6'), a grey, or one of "
            f"the colour maps {', '.join(MAPS)}"
        )


def alike_lines(fig: Figure) -> list[tuple[str, str]]:
    """Return pairs of labels in the same axes that at most colour tells apart.

    Lines and error bars must differ in line style or marker, scattered points in their marker, bars
    in their hatch. Dashes given by numbers count as "--", whatever the numbers. Series without a
    label are left out: no legend names them.
    """
    found = []
    for axes in fig.axes:
        seen: dict[tuple, str] = {}
        for label, shape in _series(axes):
            if not label.startswith("_") and (first := seen.setdefault(shape, label)) != label:
                found.append((first, label))
    return found


def strange_colours(fig: Figure) -> list[str]:
    """Return the colours and colour maps that are neither of the palette, nor grey, nor of MAPS.

    Looks at lines, markers, bars and other areas, points and images of one channel; not at text.
    """
    found: dict[str, None] = {}
    for axes in fig.axes:
        for artist in (*axes.lines, *axes.patches, *axes.collections, *axes.images):
            found |= dict.fromkeys(_strange(artist))
    return list(found)


def _series(axes: Axes) -> Iterator[tuple[str, tuple]]:
    """Yield (label, what tells it apart besides colour) for each series of an axes."""
    for line in axes.get_lines():
        yield str(line.get_label()), ("line", line.get_linestyle(), str(line.get_marker()))
    for held in axes.containers:
        label = str(held.get_label())
        if isinstance(held, ErrorbarContainer) and held.lines[0] is not None:
            line = held.lines[0]
            yield label, ("line", line.get_linestyle(), str(line.get_marker()))
        elif isinstance(held, BarContainer) and held.patches:
            yield label, ("bar", held.patches[0].get_hatch() or "")
    for points in axes.collections:
        if isinstance(points, PathCollection):
            shape = points.get_paths()[0].vertices if points.get_paths() else []
            yield str(points.get_label()), ("points", bytes(memoryview(shape)))


def _strange(artist: Artist) -> Iterator[str]:
    """Yield the colours (#rrggbb) or the colour map of an artist that are not the book's."""
    if isinstance(artist, Collection | AxesImage) and (values := artist.get_array()) is not None:
        if isinstance(artist, AxesImage) and values.ndim == 3:  # a picture
            return
        colours = artist.get_cmap()(np.arange(256))
        if not all(map(_is_ours, colours)):
            yield f"colour map {artist.get_cmap().name}"
        return
    if isinstance(artist, Line2D):
        colours = [artist.get_color()]
        if artist.get_marker() not in (None, "None", "", " "):
            colours += [artist.get_markerfacecolor(), artist.get_markeredgecolor()]
    else:
        colours = [
            colour
            for given in (artist.get_facecolor(), artist.get_edgecolor())
            for colour in np.unique(np.atleast_2d(given), axis=0)
        ]
    for colour in colours:
        if not _is_ours(colour):
            yield to_hex(colour)


def _is_ours(colour: object) -> bool:
    red, green, blue, alpha = to_rgba(colour)
    return alpha == 0 or red == green == blue or to_hex(colour) in _known()


@cache
def _known() -> frozenset[str]:
    ours = {to_hex(colour) for colour in COLOURS}
    return frozenset(ours | {to_hex(colormaps[m](i)) for m in MAPS for i in range(256)})
