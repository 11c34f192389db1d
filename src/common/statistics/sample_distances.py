"""How far apart two samples are, and how varied one is.

All distances take samples a (n, d) and b (m, d), compute in double precision and return
a number of shape (). None of them needs tuning, and none is a distance to "the" law:
two samples of the same law have a small positive distance, the floor that a method can
reach.
"""

from math import prod

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from src.common.checks import checked, finite, within

Sample = Float[Tensor, "_number _dim"]  # each sample has its own number
Number = Float[Tensor, ""]
_BLOCK = 512  # directions held at a time
_UNIT = (
    1e-3  # how far a length may be from 1, and a covariance from symmetry, relatively
)


@checked
def random_directions(
    dim: int, count: int, generator: torch.Generator
) -> Float[Tensor, "count dim"]:
    """Draw unit vectors uniformly.

    Args:
        dim: of the space.
        count: number of vectors.
        generator: source of the draws; the vectors are on its device.

    Returns:
        The vectors, one per row, in double precision.

    Raises:
        ValueError: for numbers below 1.
    """
    within("dim", dim, 1)
    within("count", count, 1)
    normal = torch.randn(
        count, dim, dtype=torch.float64, generator=generator, device=generator.device
    )
    return normal / normal.norm(dim=1, keepdim=True)


@checked
def sliced_wasserstein(
    a: Sample,
    b: Sample,
    directions: Float[Tensor, "count dim"] | torch.Generator,
    order: int = 1,
    count: int = 1000,
) -> Number:
    """Return the sliced Wasserstein distance of two samples.

    It is exact along every direction. In one dimension the optimal transport matches
    quantiles, so sorting is all it takes; samples of unequal size share their mass out
    between neighbours. The directions are averaged like this:

        order 1:  mean over directions of W_1          (the number of TMPD's tables)
        order 2:  sqrt(mean over directions of W_2^2)  (the usual sliced W_2)

    The second is never the smaller.

    Args:
        a: (n, d).
        b: (m, d).
        directions: unit vectors (count, d), or a generator to draw `count` of them
            with. Give the same directions to all methods that are compared.
        order: 1 or 2.
        count: how many directions to draw from a generator; ignored for given ones.

    Raises:
        ValueError: for another order, directions that are no unit vectors, or samples
            that are empty or of different dimension.

    Examples:
        >>> a = torch.tensor([[0.0], [1.0]])
        >>> sliced_wasserstein(a, a + 2.0, directions=torch.ones(1, 1))
        tensor(2., dtype=torch.float64)
    """
    _check_pair(a, b)
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2, not {order}")
    if isinstance(directions, torch.Generator):
        directions = random_directions(a.shape[1], count, directions)
    a, b, directions = a.double(), b.double(), directions.to(a.device, torch.float64)
    if not bool(((directions.norm(dim=1) - 1).abs() < _UNIT).all()):
        raise ValueError(
            "directions must be unit vectors: divide each by its length, or give a "
            "generator"
        )
    powers = [
        _transport(some @ a.T, some @ b.T, order) for some in directions.split(_BLOCK)
    ]
    return torch.cat(powers).mean() ** (1 / order)


def _transport(
    a: Float[Tensor, "count n"], b: Float[Tensor, "count m"], order: int
) -> Float[Tensor, " count"]:
    """Return W_order^order of the samples in each row."""
    a, b = _sorted(a), _sorted(b)
    n, m = a.shape[1], b.shape[1]
    if n == m:
        return ((a - b).abs() ** order).mean(1)
    # Quantiles step at i / n and j / m. In units of 1 / (n m) these are whole numbers,
    # so nothing is rounded.
    steps = torch.cat(
        [torch.arange(n, device=a.device) * m, torch.arange(m, device=a.device) * n]
    )
    starts = steps.unique()
    lengths = starts.diff(append=starts.new_tensor([n * m])).double() / (n * m)
    return (a[:, starts // m] - b[:, starts // n]).abs() ** order @ lengths


def _sorted(values: Float[Tensor, "count n"]) -> Float[Tensor, "count n"]:
    """Sort every row; NumPy is ten times as fast, but has no gradients and no GPU."""
    if values.device.type == "cpu" and not values.requires_grad:
        return torch.from_numpy(np.sort(values.numpy(), axis=1))
    return values.sort(dim=1).values


@checked
def frechet_distance(a: Sample, b: Sample) -> Number:
    """Return the Frechet distance of two samples, through their means and covariances.

    |mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)), A and B the samples' covariances.
    Of features of images, this is what the Frechet inception distance computes with the
    features of one particular network (Heusel et al. 2017); numbers of different
    feature networks, or of different sample sizes, cannot be compared. Covariances are
    those with n - 1, as there.

    Args:
        a: (n, d), n at least 2.
        b: (m, d), m at least 2.

    Raises:
        ValueError: for samples of fewer than 2 points or of different dimension.

    Examples:
        >>> a = torch.tensor([[0.0], [2.0]])
        >>> frechet_distance(a, a + 3.0).round()
        tensor(9., dtype=torch.float64)
    """
    _check_pair(a, b)
    if min(len(a), len(b)) < 2:
        raise ValueError("a covariance needs at least 2 points on each side")
    return gaussian_wasserstein(*_moments(a), *_moments(b))


@checked
def gaussian_wasserstein(
    mean_a: Float[Tensor, " dim"],
    covariance_a: Float[Tensor, "dim dim"],
    mean_b: Float[Tensor, " dim"],
    covariance_b: Float[Tensor, "dim dim"],
) -> Number:
    """Return the squared 2-Wasserstein distance of two Gaussian laws.

    |mean_a - mean_b|^2 + tr(A + B - 2 (A^(1/2) B A^(1/2))^(1/2)). The last trace is the
    sum of the singular values of A^(1/2) B^(1/2), which needs no root of a product and
    loses no digits when a covariance is singular; eigenvalues below 0 by rounding count
    as 0.

    Args:
        mean_a: of the first law.
        covariance_a: A, symmetric and positive semidefinite.
        mean_b: of the second law.
        covariance_b: B, symmetric and positive semidefinite.

    Raises:
        ValueError: for parts that do not fit or are not finite, or matrices that are
            not symmetric and positive semidefinite.
    """
    for name, part in (("covariance_a", covariance_a), ("covariance_b", covariance_b)):
        finite(name, part)
        _check_covariance(name, part)
    a, b = covariance_a.double(), covariance_b.double()
    overlap = torch.linalg.svdvals(_root(a).T @ _root(b)).sum()
    shift = (mean_a.double() - mean_b.double()).square().sum()
    return (shift + a.trace() + b.trace() - 2 * overlap).clamp(min=0)


@checked
def vendi_score(images: Float[Tensor, "number ..."]) -> Number:
    """Return the effective number of different images (Friedman and Dieng 2023).

    It lies between 1 and n: exp(-sum_i l_i log l_i), l_i the eigenvalues of K / n, K
    the cosines between the images' pixels. The cosine depends on what 0 means: use
    pixels in [0, 1], as the pixel Vendi score does.

    Args:
        images: n of them, in any shape.

    Raises:
        ValueError: for an image of zeros only, which has no direction, no images, or
            numbers that are not finite.

    Examples:
        >>> vendi_score(torch.eye(3)).round(), vendi_score(torch.ones(3, 3)).round()
        (tensor(3., dtype=torch.float64), tensor(1., dtype=torch.float64))
    """
    if images.dim() < 2 or not images.numel():
        raise ValueError(f"need images (number, ...), not {tuple(images.shape)}")
    finite("images", images)
    flat = images.flatten(1).double()
    norms = flat.norm(dim=1, keepdim=True)
    if (norms == 0).any():
        raise ValueError("an image of zeros has no direction")
    flat = flat / norms
    # flat flat^T and flat^T flat have the same eigenvalues except zeros: take the
    # smaller matrix.
    gram = flat @ flat.T if len(flat) <= prod(flat.shape[1:]) else flat.T @ flat
    values = torch.linalg.eigvalsh(gram / len(flat)).clamp(min=0)
    return torch.special.entr(values).sum().exp()


def _moments(sample: Sample) -> tuple[Float[Tensor, " dim"], Float[Tensor, "dim dim"]]:
    sample = sample.double()
    return sample.mean(0), sample.T.cov().reshape(2 * sample.shape[1:])


def _check_covariance(name: str, matrix: Float[Tensor, "dim dim"]) -> None:
    """Refuse what is no covariance, up to rounding."""
    matrix = matrix.detach().double()
    size = _UNIT * matrix.abs().amax()
    if bool((matrix - matrix.T).abs().amax() > size):
        raise ValueError(f"{name} must be symmetric")
    if (least := torch.linalg.eigvalsh(matrix)[0].item()) < -size:
        raise ValueError(f"{name} has the negative eigenvalue {least:.3g}")


def _root(covariance: Float[Tensor, "dim dim"]) -> Float[Tensor, "dim dim"]:
    """Return R with R R^T = covariance."""
    values, vectors = torch.linalg.eigh(0.5 * (covariance + covariance.T))
    return vectors * values.clamp(min=0).sqrt()


def _check_pair(a: Tensor, b: Tensor) -> None:
    if (
        a.dim() != 2
        or b.dim() != 2
        or a.shape[1] != b.shape[1]
        or 0 in (len(a), len(b))
    ):
        raise ValueError(
            f"need samples (n, d) and (m, d), not {(*a.shape,)} and {(*b.shape,)}"
        )
