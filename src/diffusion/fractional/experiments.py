"""Experiments with fractional diffusion on points in the plane and on single pixels.

Every function takes and returns numbers, texts, lists and dictionaries of these.
Processes are given by name, see `named_process`; samplers are those of `sampling`.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from src.common.checks import checked, within
from src.common.diffusion.denoising import network_score
from src.common.diffusion.gaussian_mixture import GaussianMixture
from src.common.diffusion.processes import Score
from src.common.statistics.sample_distances import random_directions, sliced_wasserstein
from src.diffusion.fractional.names import named_process
from src.diffusion.fractional.sampling import draw, generated_variance
from src.diffusion.fractional.training import Circle, PlaneRecipe, plane_network

DIRECTIONS = 100


# --- Gaussian data: the error of a sampler without any sampling -----------------------


def variance_errors(
    names: list[str], samplers: list[str], evaluations: list[int], data_std: float = 0.5
) -> list[dict]:
    """Return the exact relative error of the generated variance for Gaussian data.

    Args:
        names: of fractional processes; "fvp 0.5 0" is the ordinary one.
        samplers: of `generated_variance`.
        evaluations: numbers of score evaluations, at least 3.
        data_std: standard deviation of the data.

    Returns:
        One row per process and sampler: "process", "sampler" and "errors", one for each
        of `evaluations`.

    Raises:
        ValueError: for an unknown name, or as `generated_variance`.
    """
    within("data_std", data_std, 0, ends=False)
    rows = []
    for name in names:
        process = named_process(name)
        for sampler in samplers:
            found = [
                generated_variance(process, data_std, sampler, n) for n in evaluations
            ]
            errors = [value / data_std**2 - 1 for value in found]
            rows.append({"process": name, "sampler": sampler, "errors": errors})
    return rows


# --- a circle of Gaussians with the exact score ---------------------------------------


def circle_distance(
    name: str,
    sampler: str,
    evaluations: int,
    seed: int,
    samples: int = 2000,
    circle: Circle | dict = Circle(),  # noqa: B008  (frozen)
) -> float:
    """Return the sliced Wasserstein-1 distance between generated and true samples.

    The score is exact. With equal seeds the true samples and the directions are the
    same for all processes. In runs that blow up, coordinates are cut to at most 1e6 in
    size, so the distance stays finite.

    Args:
        name: of the process.
        sampler: one of `sampling.SAMPLERS`.
        evaluations: of the score, at least 3.
        seed: of all that is drawn.
        samples: how many points to draw.
        circle: the law of the points, or its fields.

    Raises:
        ValueError: for an unknown process or sampler.
    """
    mixture = _circle(circle).mixture()
    process, generator = named_process(name), _generator(seed, 1)
    score = mixture.score_under(process)
    drawn = draw(
        process, score, (samples, 2), sampler, evaluations, generator, torch.float64
    )
    return _distance(drawn, mixture, seed)


def circle_floor(
    seed: int,
    samples: int = 2000,
    circle: Circle | dict = Circle(),  # noqa: B008  (frozen)
) -> float:
    """Return the distance of two independent sets of true samples: the best possible.

    Args:
        seed: of all that is drawn.
        samples: how many points in each set.
        circle: the law of the points, or its fields.
    """
    mixture = _circle(circle).mixture()
    return _distance(mixture.sample(samples, _generator(seed, 2)), mixture, seed)


def circle_table(
    names: list[str],
    samplers: list[str],
    evaluations: list[int],
    seeds: list[int],
    samples: int = 2000,
) -> list[dict]:
    """Return the distances of several processes, samplers and numbers of evaluations.

    Args:
        names: of the processes.
        samplers: of `sampling.SAMPLERS`.
        evaluations: numbers of score evaluations, at least 3.
        seeds: of `circle_distance`.
        samples: how many points to draw.

    Returns:
        Rows "process", "sampler", "evaluations" and "distances", one per seed.

    Raises:
        ValueError: for an unknown process or sampler.
    """
    return [
        {
            "process": name,
            "sampler": sampler,
            "evaluations": n,
            "distances": [
                circle_distance(name, sampler, n, seed, samples) for seed in seeds
            ],
        }
        for name in names
        for sampler in samplers
        for n in evaluations
    ]


# --- rare modes -----------------------------------------------------------------------


@checked
def mode_report(points: Float[Tensor, "n dim"], circle: Circle | dict) -> dict:
    """Return how generated points divide among the modes of a circle.

    Args:
        points: (n, 2); undefined coordinates count as far away.
        circle: the law of the true points, or its fields.

    Raises:
        ValueError: for no points, or points of another dimension.

    Returns:
        "shares": of the points within four standard deviations of each mode's centre;
        "coverage": share of the modes that have at least half of their due;
        "rarest": found over due share of the rarest mode;
        "rare": the same for the rarer half of the modes together;
        "kl": Kullback-Leibler divergence of the found from the due shares, with half a
        point added to each mode so that it is finite;
        "outliers": share of points near no mode.

    Examples:
        >>> circle = Circle(modes=4)
        >>> points = circle.mixture().means[:2]  # two points, on two of the four modes
        >>> report = mode_report(points, circle)
        >>> report["shares"], report["coverage"]
        ([0.5, 0.5, 0.0, 0.0], 0.5)
    """
    circle = _circle(circle)
    mixture = circle.mixture()
    if points.dim() != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(f"need points (n, 2), not {tuple(points.shape)}")
    points = torch.nan_to_num(points.double(), nan=1e6)
    distances = torch.cdist(points, mixture.means)
    nearest = distances.argmin(1)
    near = distances.min(1).values <= 4 * circle.spread
    counts = torch.bincount(nearest[near], minlength=circle.modes).double()
    due, shares = mixture.weights, counts / len(points)
    smoothed = (counts + 0.5) / (counts + 0.5).sum()
    return {
        "shares": shares.tolist(),
        "coverage": float((shares >= 0.5 * due).double().mean()),
        "rarest": float(shares[-1] / due[-1]),
        "rare": float(
            shares[circle.modes // 2 :].sum() / due[circle.modes // 2 :].sum()
        ),
        "kl": float((due * (due / smoothed).log()).sum()),
        "outliers": float(1 - near.double().mean()),
    }


def rare_modes(
    name: str,
    sampler: str,
    evaluations: int,
    seed: int,
    samples: int,
    circle: Circle | dict,
    recipe: PlaneRecipe | dict | None = None,
    weights: str | None = None,
) -> dict:
    """Generate with the exact score, or with a learned one, and report the quality.

    Args:
        name: of the process.
        sampler: one of `sampling.SAMPLERS`.
        evaluations: of the score, at least 3.
        seed: of the noise; the same noise starts all processes with the same number of
            speeds.
        samples: how many points to draw.
        circle: the law of the points, or its fields.
        recipe: what `train_plane` was told; None for its defaults.
        weights: what `train_plane` returned; None for the exact score.

    Returns:
        The entries of `mode_report`, and "distance": sliced Wasserstein-1 to as many
        true points.

    Raises:
        ValueError: for an unknown process or sampler.
        RuntimeError: for weights of another network.
    """
    process, mixture = named_process(name), _circle(circle).mixture()
    score: Score = mixture.score_under(process)
    if weights is not None:
        recipe = PlaneRecipe(**recipe) if isinstance(recipe, dict) else recipe
        score = network_score(plane_network(weights, recipe or PlaneRecipe()), process)
    dtype = torch.float64 if weights is None else torch.float32
    generator = _generator(seed, 3)
    drawn = draw(process, score, (samples, 2), sampler, evaluations, generator, dtype)
    report = mode_report(drawn, circle)
    return {**report, "distance": _distance(drawn, mixture, seed)}


def _distance(drawn: Tensor, mixture: GaussianMixture, seed: int) -> float:
    """Return the sliced Wasserstein-1 distance to true samples fixed by the seed."""
    true = mixture.sample(len(drawn), _generator(seed, 4))
    directions = random_directions(2, DIRECTIONS, _generator(seed, 5))
    drawn = torch.nan_to_num(drawn.double(), nan=1e6).clamp(-1e6, 1e6)
    return float(sliced_wasserstein(drawn, true, directions))


def _circle(circle: Circle | dict) -> Circle:
    return Circle(**circle) if isinstance(circle, dict) else circle


def _generator(seed: int, purpose: int) -> torch.Generator:
    return torch.Generator().manual_seed(1000 * seed + purpose)
