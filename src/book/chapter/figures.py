"""One way to draw: the book's style, and the output that carries a figure to the page."""

import base64
import io
from typing import TYPE_CHECKING

from src.book.storage.errors import BookError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Blue, red, green, purple, ochre, cyan, grey, after Paul Tol's "bright" scheme. Every pair stays
# apart in usual vision, protanopia, deuteranopia and tritanopia, and each has a contrast of 3:1 on
# the figures' ground in both themes. Lines differ by line style or marker too (see `series`).
COLOURS = ["#3D75AC", "#BB2200", "#228833", "#AA3880", "#AA850D", "#009FBD", "#555555"]

# More styles of dashes are not told apart: from the fifth line on give markers.
_LINE_STYLES = ["-", "--", "-.", ":", "-", "--", "-."]

_DPI = 144
_CSS_DPI = 96
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

    cycle = cycler(color=COLOURS) + cycler(linestyle=_LINE_STYLES)
    mpl.rcParams.update({**STYLE, "axes.prop_cycle": cycle})


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
    width, height = (round(float(inches) * _CSS_DPI) for inches in fig.get_size_inches())
    plt.close(fig)
    about = {"name": name, "caption": caption, "alt": alt, "width": width, "height": height}
    png = base64.b64encode(buffer.getvalue()).decode()
    display(
        {"image/png": png, "text/plain": f"[figure {name}: {alt}]"},
        metadata={"image/png": {"width": width, "height": height}, "book": about},
        raw=True,
    )
    display(
        {"text/markdown": f"*{caption}*", "text/plain": caption},
        metadata={"book": {"caption_of": name}},
        raw=True,
    )
