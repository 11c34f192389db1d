"""One way to draw: the book's style, and the output that carries a figure to the page."""

import base64
import io
from typing import TYPE_CHECKING

from src.book.errors import BookError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Paul Tol's "bright" scheme, darkened where needed so that lines reach a contrast of 3:1 on white;
# the first four are told apart under every kind of colour blindness. From the fifth on some pairs
# are not, so that lines must differ by marker or line style too (see `alike_lines`).
COLOURS = ["#4477AA", "#CC3311", "#228833", "#AA3377", "#997700", "#007788", "#666666"]

_DPI = 144
_CSS_PIXELS_PER_INCH = 96
_LEAST_ALT = 20

STYLE = {
    # Opaque and light, so that a figure reads the same on a dark page.
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.figsize": (7.0, 3.6),
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "font.size": 10.5,
    "axes.titlesize": 11.5,
    "axes.labelsize": 10.5,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.8,
    "image.cmap": "cividis",
    "svg.hashsalt": "papers-that-run",
}


def use_style() -> None:
    """Set the book's figure style for this process."""
    import matplotlib as mpl
    from cycler import cycler

    mpl.rcParams.update({**STYLE, "axes.prop_cycle": cycler(color=COLOURS)})


def check_words(name: str, caption: str, alt: str) -> None:
    """Check a figure's name, caption and alternative text.

    Raises:
        BookError: saying what is missing and why it is needed.
    """
    if not name or not all(c.isalnum() or c == "-" for c in name) or name != name.lower():
        raise BookError(f"figure name {name!r}: use lower-case words joined by hyphens")
    if not caption.strip():
        raise BookError(f"figure {name}: the caption is empty; say what it shows")
    words = alt.strip()
    if len(words) < _LEAST_ALT or " " not in words or words.endswith((".png", ".svg")):
        raise BookError(
            f"figure {name}: alt {alt!r} is no description; write a sentence of at least "
            f"{_LEAST_ALT} characters for somebody who cannot see the figure"
        )


def display_figure(fig: "Figure", name: str, caption: str, alt: str) -> None:
    """Display a figure with its caption and close it.

    The image output carries name, caption, alt text and size (CSS pixels) in its metadata; the
    staging lifts them onto the page. The caption is a second output, for people who read the
    notebook itself.

    Raises:
        BookError: if name, caption or alt text will not do.
    """
    import matplotlib.pyplot as plt
    from IPython.display import display

    check_words(name, caption, alt)
    buffer = io.BytesIO()
    # Without a Software entry the same figure gives the same bytes.
    fig.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    width, height = (
        round(float(inches) * _CSS_PIXELS_PER_INCH) for inches in fig.get_size_inches()
    )
    plt.close(fig)
    about = {"name": name, "caption": caption, "alt": alt, "width": width, "height": height}
    display(
        {
            "image/png": base64.b64encode(buffer.getvalue()).decode(),
            "text/plain": f"[figure {name}: {alt}]",
        },
        metadata={"image/png": {"width": width, "height": height}, "book": about},
        raw=True,
    )
    display(
        {"text/markdown": f"*{caption}*", "text/plain": caption},
        metadata={"book": {"caption_of": name}},
        raw=True,
    )


def alike_lines(fig: "Figure") -> list[str]:
    """Return the labels of lines that only their colour tells apart from another in their axes.

    Lines without a label are left out: no legend names them.
    """
    found = []
    for axes in fig.axes:
        seen: dict[tuple[str, ...], str] = {}
        for line in axes.get_lines():
            label = str(line.get_label())
            if label.startswith("_"):
                continue
            shape = (str(line.get_linestyle()), str(line.get_marker()))
            if shape in seen and seen[shape] != line.get_color():
                found.append(label)
            seen.setdefault(shape, line.get_color())
    return found
