"""Draw derivatives as blocks of cells, so that their shapes can be seen."""

from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GAP = 1.0  # between the blocks of a product, in cells


def draw_blocks(
    axes: "Axes",
    at: tuple[float, float],
    title: str,
    blocks: list[Float[Tensor, "_ _"]],
    signs: str = "",
) -> None:
    """Draw matrices side by side as blocks of unit cells, below a title.

    Args:
        axes: where to draw; its y axis points down.
        at: left and upper end of the blocks, in cells.
        title: text above them.
        blocks: matrices; positive entries are blue and negative ones red, the larger
            the stronger, and exact zeros are white.
        signs: the characters between the blocks, such as "·=" for a product.
    """
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    left, top = at
    axes.text(left, top - 0.4, title, ha="left", va="bottom")
    for number, block in enumerate(blocks):
        # A margin around the middle of the map keeps small entries apart from zeros.
        shades = (
            0.5 + 0.1 * block.sign() + 0.32 * block / block.abs().max().clamp(min=1e-9)
        )
        for i, row in enumerate(block.tolist()):
            for j, entry in enumerate(row):
                colour = (
                    "white" if entry == 0 else colormaps["RdBu"](float(shades[i, j]))
                )
                cell = Rectangle(
                    (left + j, top + i), 1, 1, facecolor=colour, edgecolor="#555555"
                )
                axes.add_patch(cell)
        left += block.shape[1]
        if number < len(signs):
            axes.text(
                left + _GAP / 2, top + 1.5, signs[number], ha="center", va="center"
            )
        left += _GAP
