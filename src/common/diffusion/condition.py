"""What denoising networks are told beside the image: the noise level and the class."""

import math
from numbers import Integral

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

RECORDED = 5
"""Noise levels of its process that a network keeps (`src.common.diffusion.weights`)."""
_FREQUENCIES = 16
_FASTEST = 30.0  # radians for each unit of the noise level, which spans about -3 to 1.5


class Condition(nn.Module):
    """The embedding of a noise level and a class that steers a network's blocks.

    Attributes:
        trained_levels: a record of the process that the network was trained for (see
            `src.common.diffusion.weights`), infinite without training.
    """

    def __init__(self, size: int, number_of_classes: int) -> None:
        """Build the embedding.

        Args:
            size: length of the vector.
            number_of_classes: 0 for a network that sees no labels.
        """
        super().__init__()
        # Not persistent: the frequencies are constants that weights leave out.
        self.register_buffer(
            "frequencies",
            torch.logspace(0, math.log10(_FASTEST), _FREQUENCIES),
            persistent=False,
        )
        self.register_buffer("trained_levels", torch.full((RECORDED,), math.inf))
        self.register_load_state_dict_pre_hook(_without_record)
        self.level = nn.Sequential(
            nn.Linear(2 * _FREQUENCIES, size), nn.SiLU(), nn.Linear(size, size)
        )
        self.label = (
            nn.Embedding(number_of_classes, size) if number_of_classes > 0 else None
        )

    def forward(
        self,
        noise_level: Float[Tensor, " #batch"],
        labels: Int[Tensor, " #batch"] | None,
    ) -> Float[Tensor, "#batch size"]:
        """Return the sum of both embeddings, after a nonlinearity.

        Args:
            noise_level: how noisy each image is, or (1,) for all.
            labels: classes of the images, or (1,) for all; None exactly where there are
                no classes.

        Raises:
            ValueError: if labels are missing, unknown (on a GPU they are not looked at,
                because the processor would wait for them), or given to a network
                without classes.
        """
        if (labels is None) != (self.label is None):
            raise ValueError(
                "this network needs labels"
                if labels is None
                else "this network takes no labels"
            )
        if self.label is not None and labels.device.type == "cpu":
            classes = self.label.num_embeddings
            if bool(((labels < 0) | (labels >= classes)).any()):
                raise ValueError(f"labels must be classes 0 to {classes - 1}")
        angles = noise_level[:, None] * self.frequencies.to(noise_level.dtype)
        embedding = self.level(torch.cat([angles.sin(), angles.cos()], dim=1))
        if self.label is not None:
            embedding = embedding + self.label(labels)
        return F.silu(embedding)


def _without_record(
    condition: Condition, state: dict[str, Tensor], prefix: str, *_: object
) -> None:
    """Let weights be loaded that were kept before records were."""
    empty = torch.full_like(condition.trained_levels, math.inf)
    state.setdefault(f"{prefix}trained_levels", empty)


def check_sizes(low: int, *sides: int, **named: int) -> None:
    """Refuse sizes of a network that cannot be built.

    Args:
        low: smallest number allowed.
        sides: of an image.
        named: other sizes by their names.

    Raises:
        ValueError: for numbers that are not whole, or below the bound.
    """
    for name, size in [*(("a side or number", side) for side in sides), *named.items()]:
        if not isinstance(size, Integral) or size < low:
            raise ValueError(f"{name} must be whole and at least {low}, not {size!r}")
