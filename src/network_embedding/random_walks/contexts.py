"""What skip-gram learns from: pairs of nodes that are near on walks, and negatives."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from src.common.checks import checked, within


@checked
def context_band(length: int, window: int) -> Float[Tensor, "{length} {length}"]:
    """Return 1 where two positions differ and are at most `window` apart, else 0.

    Args:
        length: positions of a walk.
        window: positions on each side that are contexts.

    Examples:
        >>> context_band(4, 1)
        tensor([[0., 1., 0., 0.],
                [1., 0., 1., 0.],
                [0., 1., 0., 1.],
                [0., 0., 1., 0.]])
    """
    place = torch.arange(length)
    apart = (place[:, None] - place).abs()
    return ((apart > 0) & (apart <= window)).float()


@checked
def walk_pairs(
    walks: Int[Tensor, "walks P"], window: int
) -> tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]]:
    """Return all (centre, context) pairs at most `window` apart, in both directions.

    Args:
        walks: (walks, P) nodes, -1 after the end of a walk.
        window: positions on each side that are contexts.

    Returns:
        (pairs,) centres and (pairs,) contexts; empty for walks of one node.

    Raises:
        ValueError: for a window below 1.

    Examples:
        >>> centres, contexts = walk_pairs(torch.tensor([[5, 6, 7]]), window=1)
        >>> list(zip(centres.tolist(), contexts.tolist()))
        [(5, 6), (6, 7), (6, 5), (7, 6)]
    """
    within("window", window, 1)
    centres, contexts = [], []
    for offset in range(1, min(window, walks.shape[1] - 1) + 1):
        early, late = walks[:, :-offset].reshape(-1), walks[:, offset:].reshape(-1)
        real = (early >= 0) & (late >= 0)
        early, late = early[real], late[real]
        centres += [early, late]
        contexts += [late, early]
    if not centres:
        return walks.new_empty(0), walks.new_empty(0)
    return torch.cat(centres), torch.cat(contexts)


@dataclass(frozen=True)
class NegativeSampler:
    """A sampler of contexts with chance ~ frequency^exponent.

    Attributes:
        cumulative: (contexts,) sums of the chances of all contexts up to each, not
            normalised.
        last: the last context that occurs at all.
    """

    cumulative: Float[Tensor, " C"]
    last: int

    @classmethod
    def of(cls, frequency: Int[Tensor, " C"], exponent: float) -> "NegativeSampler":
        """Prepare draws of contexts that occur so often.

        Args:
            frequency: (contexts,) counts, not all 0.
            exponent: of the frequency.

        Returns:
            A sampler that never draws a context of frequency 0.
        """
        chance = torch.where(frequency > 0, frequency.double() ** exponent, 0.0)
        return cls(chance.cumsum(0), int(torch.nonzero(frequency).max()))

    def draw(
        self, shape: tuple[int, int], generator: torch.Generator
    ) -> Int[Tensor, "G M"]:
        """Return independent contexts.

        Args:
            shape: of the result.
            generator: source of the draws.
        """
        uniform = torch.rand(shape, generator=generator, dtype=torch.double)
        value = uniform.mul_(self.cumulative[-1])
        return torch.searchsorted(self.cumulative, value, right=True).clamp_(
            max=self.last
        )


def check_walks(walks: Int[Tensor, "walks P"], num_nodes: int, window: int) -> None:
    """Refuse walks and windows that have no pairs of nodes.

    Args:
        walks: (walks, P) of nodes, -1 after their end.
        num_nodes: nodes are 0 ... num_nodes - 1.
        window: positions on each side that are contexts.

    Raises:
        ValueError: for a window below 1, no walks, walks of one node, or numbers that
            are no nodes.
    """
    if window < 1 or walks.shape[1] < 2:
        raise ValueError(
            "need window >= 1 and walks of two nodes, not "
            f"{window} and {walks.shape[1]}"
        )
    if not len(walks):
        raise ValueError("need at least one walk: the graph has no nodes, or walks=0")
    check_numbers("walks", walks, num_nodes, lowest=-1)
    if bool((walks < 0).all()):
        raise ValueError("every walk has ended before its first node")


def check_numbers(name: str, numbers: Tensor, count: int, lowest: int = 0) -> None:
    """Refuse numbers outside lowest ... count - 1.

    Args:
        name: of the numbers.
        numbers: at least one.
        count: one more than the largest that is allowed.
        lowest: the smallest that is allowed.

    Raises:
        ValueError: for a number out of range.
    """
    low, high = (int(end) for end in numbers.aminmax())
    if not lowest <= low <= high < count:
        raise ValueError(
            f"{name} must hold numbers from {lowest} to {count - 1}, "
            f"not {low} to {high}"
        )
