"""Training on points in the plane: one denoiser for one process, kept as text.

Two trainings with the same seed have the same initial weights, see the same points in
the same order and draw the same times and noise; only the process differs.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from src.common.checks import within
from src.common.diffusion.denoising import (
    DenoiserSettings,
    Images,
    load_packed,
    pack_weights,
    train_denoiser,
)
from src.common.diffusion.gaussian_mixture import GaussianMixture
from src.common.diffusion.networks import ScoreMLP, parameter_count
from src.common.training.loop import seeded
from src.diffusion.fractional.names import named_process


@dataclass(frozen=True)
class Circle:
    """Gaussians on a circle around the origin of the plane.

    Attributes:
        modes: number of Gaussians, at equal angles.
        radius: of the circle of their centres.
        spread: standard deviation of each.
        ratio: weight of each over that of the next; 1 for equal weights.

    Examples:
        >>> mixture = Circle(modes=4, ratio=2.0).mixture()
        >>> mixture.sample(10, torch.Generator().manual_seed(0)).shape
        torch.Size([10, 2])
    """

    modes: int = 8
    radius: float = 1.3
    spread: float = 0.1
    ratio: float = 1.0

    def __post_init__(self) -> None:
        """Reject what is no circle of Gaussians.

        Raises:
            ValueError: for no modes, or numbers that are not positive.
        """
        if not isinstance(self.modes, int) or self.modes < 1:
            raise ValueError(f"modes must be whole and positive, not {self.modes!r}")
        for name in ("radius", "spread", "ratio"):
            within(name, getattr(self, name), 0, ends=False)

    def mixture(self) -> GaussianMixture:
        """Return the law of the points."""
        angles = (
            2 * math.pi * torch.arange(self.modes, dtype=torch.float64) / self.modes
        )
        means = self.radius * torch.stack([angles.cos(), angles.sin()], 1)
        weights = self.ratio ** -torch.arange(self.modes, dtype=torch.float64)
        return GaussianMixture.isotropic(means, self.spread**2, weights)


@dataclass(frozen=True)
class PlaneRecipe:
    """How a denoiser for points in the plane is made; every field is a JSON value.

    Attributes:
        points: number of training points.
        width: units per layer of the network.
        depth: of the `ScoreMLP`.
        steps: number of updates.
        batch: points per update.
        learning_rate: the largest one of Adam.
        average: decay of the moving average of the weights.
    """

    points: int = 20_000
    width: int = 64
    depth: int = 2
    steps: int = 2000
    batch: int = 256
    learning_rate: float = 2e-3
    average: float = 0.995


def train_plane(name: str, circle: Circle, recipe: PlaneRecipe, seed: int) -> dict:
    """Train a denoiser of points on a circle of Gaussians.

    Args:
        name: of the process, see `named_process`.
        circle: the law of the points.
        recipe: network and training.
        seed: of the points, the initial weights and the training.

    Returns:
        "weights" (text, half precision), "losses" (means of 100 steps) and "parameters"
        (their number).

    Raises:
        ValueError: for an unknown process, or fewer points than a batch has.
    """
    data, initial, training = (
        torch.Generator().manual_seed(3 * seed + i) for i in range(3)
    )
    points = circle.mixture().sample(recipe.points, data).float()
    with seeded(initial):
        network = ScoreMLP((2,), recipe.width, recipe.depth)
    settings = DenoiserSettings(
        recipe.steps,
        recipe.batch,
        recipe.learning_rate,
        average=recipe.average,
        warm_up=0.3,
    )
    curve = train_denoiser(
        network, named_process(name), Images(points), settings, training
    )
    return {
        "weights": pack_weights(network),
        "losses": curve.smoothed(100),
        "parameters": parameter_count(network),
    }


def plane_network(weights: str | dict[str, Tensor], recipe: PlaneRecipe) -> ScoreMLP:
    """Return the network that `train_plane` left behind, in evaluation mode.

    Args:
        weights: packed text or a state dictionary.
        recipe: that of the training.

    Raises:
        RuntimeError: for weights of another network.
    """
    network = ScoreMLP((2,), recipe.width, recipe.depth)
    if isinstance(weights, str):
        load_packed(network, weights)
    else:
        network.load_state_dict(weights)
    return network.eval()
