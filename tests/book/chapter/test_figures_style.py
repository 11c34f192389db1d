"""The figures' style: series stay apart for colour-blind readers, by shape as well as by colour."""

import re
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from src.book.chapter.context import start
from src.book.chapter.figures import COLOURS, STYLE, use_style
from src.book.chapter.series import MAPS, alike_lines, check_series, strange_colours
from src.book.storage import paths
from src.book.storage.errors import BookError

# Machado, Oliveira and Fernandes (2009), severity 1, for linear RGB.
VISION = {
    "usual": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
_TO_XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]


def linear(rgb):
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(colour, vision):
    """CIE Lab (D65) of a colour as somebody with this vision sees it."""
    seen = np.array(VISION[vision]) @ linear(np.array(to_rgb(colour)))
    xyz = np.array(_TO_XYZ) @ np.clip(seen, 0, 1)
    t = xyz / np.array([0.9505, 1.0, 1.089])
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def least_distance(colours, vision):
    return min(np.linalg.norm(lab(a, vision) - lab(b, vision)) for a, b in combinations(colours, 2))


@pytest.mark.parametrize("vision", VISION)
def test_the_first_four_series_stay_apart_by_colour_alone(vision):
    # 12 in Lab is plain to see for two lines of a legend; just noticeable is about 2.3.
    assert least_distance(COLOURS[:4], vision) > 12


def test_all_series_stay_apart_by_colour_alone():
    assert min(least_distance(COLOURS, vision) for vision in VISION) > 12


def test_the_simulation_brings_red_and_green_together():
    pair = ("#CC0000", "#5A7000")
    assert least_distance(pair, "usual") > 60
    assert least_distance(pair, "deuteranopia") < 30


def contrast(colour, brightness):
    """Contrast of a colour with the figures' ground, both dimmed as the dark theme dims images."""
    ground, mark = (brightness * np.array(to_rgb(c)) for c in (STYLE["axes.facecolor"], colour))
    bright, dark = (float(np.array(_TO_XYZ[1]) @ linear(rgb)) for rgb in (ground, mark))
    return (bright + 0.05) / (dark + 0.05)


def test_every_colour_stands_out_from_the_ground_in_both_themes():
    style = (paths.root() / "_static/book.css").read_text(encoding="utf-8")
    dimmed = {float(share) for share in re.findall(r"filter: brightness\(([\d.]+)\)", style)}
    assert dimmed, "the dark theme shows images otherwise than this test thinks"
    for brightness in {1.0} | dimmed:
        assert min(contrast(colour, brightness) for colour in COLOURS) >= 3


def readable(name, vision):
    """Whether a colour map is read by lightness alone, or, around a light middle, by its sides."""
    shades = np.array([lab(colormaps[name](i)[:3], vision) for i in range(0, 256, 5)])
    steps = np.diff(shades[:, 0])
    if (np.sign(steps) == np.sign(steps[0])).all():
        return True
    left, right = shades[:26], shades[:25:-1]  # from the ends to the middle
    apart = np.linalg.norm(left - right, axis=1)[:22]
    return min(*apart) > 12 and min(*np.diff(left[:, 0]), *np.diff(right[:, 0])) > 0


def test_colour_maps_are_readable_in_every_kind_of_vision():
    assert [(m, v) for m in MAPS for v in VISION if not readable(m, v)] == []
    assert not readable("jet", "usual")
    assert readable("RdYlGn", "usual")
    assert not readable("RdYlGn", "deuteranopia")


@pytest.fixture
def axes():
    use_style()
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_lines_that_at_most_colour_tells_apart_are_named(axes):
    axes.plot([0, 1], "-", color=COLOURS[0], label="one")
    axes.plot([1, 0], "-", color=COLOURS[1], label="two")
    axes.plot([1, 1], color=COLOURS[2], linestyle="--", label="three")
    axes.plot([0, 0], "-", color=COLOURS[3], marker="s", label="four")
    axes.plot([0, 2], "-", color=COLOURS[0], label="one again")
    axes.plot([2, 2], "-", color=COLOURS[0], label="one")
    axes.plot([0, 3], "-", color=COLOURS[4])
    assert alike_lines(axes.figure) == [("one", "two"), ("one", "one again")]


@pytest.mark.parametrize(
    ("draw", "looks"),
    [
        (lambda axes, look, **words: axes.errorbar([0], [1], [1], fmt=look, **words), "os"),
        (lambda axes, look, **words: axes.scatter([0, 1], [1, 0], marker=look, **words), "os"),
        (lambda axes, look, **words: axes.bar([0], [1], hatch=look, **words), "/x"),
    ],
)
def test_error_bars_points_and_bars_count_too(axes, draw, looks):
    draw(axes, looks[0], color="C0", label="one")
    draw(axes, looks[1], color="C1", label="two")
    assert alike_lines(axes.figure) == []
    draw(axes, looks[1], color="C2", label="three")
    assert alike_lines(axes.figure) == [("two", "three")]


def test_the_style_tells_four_lines_apart_and_no_more(axes):
    for number in range(4):
        axes.plot([0, number], label=str(number))
    assert alike_lines(axes.figure) == []
    axes.plot([0, 4], label="4")
    assert alike_lines(axes.figure) == [("0", "4")]


STRANGE = {
    "a line": (lambda axes: axes.plot([0, 1], color="tab:blue"), "#1f77b4"),
    "a marker": (lambda axes: axes.plot([0, 1], "o", color="C0", mec="lime"), "#00ff00"),
    "bars": (lambda axes: axes.bar([0], [1], color="orange"), "#ffa500"),
    "an area": (lambda axes: axes.fill_between([0, 1], [1, 2], color="red"), "#ff0000"),
    "points": (lambda axes: axes.scatter([0, 1], [0, 1], c=["C0", "blue"]), "#0000ff"),
    "a heat map": (lambda axes: axes.imshow([[0, 1]], cmap="jet"), "colour map jet"),
    "graded points": (
        lambda axes: axes.scatter([0, 1], [0, 1], c=[0, 1], cmap="coolwarm"),
        "colour map coolwarm",
    ),
}


@pytest.mark.parametrize("what", STRANGE)
def test_colours_that_are_not_the_books_are_named(axes, what):
    draw, colour = STRANGE[what]
    draw(axes)
    assert strange_colours(axes.figure) == [colour]


def test_the_books_colours_greys_maps_and_pictures_are_no_strangers(axes):
    axes.plot([0, 1], "o-", color="C1", mfc="none", mec="black")
    axes.bar([0], [1], color=COLOURS[6], edgecolor="white", alpha=0.5)
    axes.fill_between([0, 1], [1, 2], alpha=0.2)
    axes.plot([1, 0], color=colormaps["cividis"](0.3))
    axes.imshow([[0, 1]])
    axes.imshow(np.random.default_rng(0).random((2, 2, 3)))
    shown = axes.scatter([0, 1], [0, 1], c=[0, 1], cmap="RdBu_r")
    axes.figure.colorbar(shown)
    axes.contourf([[0, 1], [1, 2]], levels=[0, 1], colors=["#DDDDDD"])
    assert strange_colours(axes.figure) == []


def test_the_message_says_what_to_do(axes):
    axes.plot([0, 1], color="tab:blue")
    with pytest.raises(
        BookError, match=r"figure rise: #1f77b4 is not .* use src\.book\.chapter\.figures\.C"
    ):
        check_series(axes.figure, "rise")


def test_a_run_refuses_a_figure_that_not_everybody_can_read(probe_paper):
    run = start("foundations/probe", profile="quick", seed=0, sizes={"quick": {}})
    figure, axes = plt.subplots()
    axes.plot([0, 1], "-", label="up")
    axes.plot([1, 0], "-", label="down")
    with pytest.raises(BookError, match="figure lines: 'up' and 'down' differ by colour alone"):
        run.figure(figure, "lines", "Two lines.", "One line rises, the other falls.")
    plt.close(figure)
