"""The experiments of the fractional-diffusion chapter on points in the plane and on single pixels.

Every function takes and returns numbers, texts, lists and dictionaries of these. Processes are
told by name, see `named_process`; samplers are those of `sampling`.
"""

import torch
from torch import Tensor

from src.common.diffusion.denoising import network_score
from src.common.diffusion.gaussian_mixture import GaussianMixture
from src.common.diffusion.processes import Score
from src.common.statistics.sample_distances import random_directions, sliced_wasserstein
from src.diffusion.fractional.names import named_process
from src.diffusion.fractional.sampling import draw, generated_variance
from src.diffusion.fractional.training import Circle, PlaneRecipe, plane_network

DIRECTIONS = 100


# --- Gaussian data: the error of a sampler without any sampling -------------------------------


def variance_errors(
    names: list[str], samplers: list[str], evaluations: list[int], data_std: float = 0.5
) -> list[dict]:
    """Return how far the generated variance is from the data's, relative to it, exactly.

    One row a process and sampler: "process", "sampler", "errors" (one for each of `evaluations`).
    Names must be of fractional processes; "fvp 0.5 0" is the ordinary one.
    """
    rows = []
    for name in names:
        process = named_process(name)
        for sampler in samplers:
            found = [generated_variance(process, data_std, sampler, n) for n in evaluations]
            errors = [value / data_std**2 - 1 for value in found]
            rows.append({"process": name, "sampler": sampler, "errors": errors})
    return rows


# --- a circle of Gaussians with the exact score -----------------------------------------------


def circle_distance(
    name: str,
    sampler: str,
    evaluations: int,
    seed: int,
    samples: int = 2000,
    circle: Circle | dict = Circle(),  # noqa: B008  (frozen)
) -> float:
    """Return the sliced Wasserstein-1 distance between generated and true samples, exact score.

    With equal seeds the true samples and the directions are the same for all processes. Runs that
    blow up to infinity or beyond give the largest finite number that was reached, at most 1e6.
    """
    mixture = _circle(circle).mixture()
    process, generator = named_process(name), _generator(seed, 1)
    score = mixture.score_under(process)
    drawn = draw(process, score, (samples, 2), sampler, evaluations, generator, torch.float64)
    return _distance(drawn, mixture, seed)


def circle_floor(seed: int, samples: int = 2000, circle: Circle | dict = Circle()) -> float:  # noqa: B008
    """Return the distance of two independent sets of true samples: the best that is possible."""
    mixture = _circle(circle).mixture()
    return _distance(mixture.sample(samples, _generator(seed, 2)), mixture, seed)


def circle_table(
    names: list[str],
    samplers: list[str],
    evaluations: list[int],
    seeds: list[int],
    samples: int = 2000,
) -> list[dict]:
    """Return rows "process", "sampler", "evaluations", "distances" (one a seed)."""
    return [
        {
            "process": name,
            "sampler": sampler,
            "evaluations": n,
            "distances": [circle_distance(name, sampler, n, seed, samples) for seed in seeds],
        }
        for name in names
        for sampler in samplers
        for n in evaluations
    ]


# --- rare modes ---------------------------------------------------------------------------------


def mode_report(points: Tensor, circle: Circle | dict) -> dict:
    """Return how generated points (n, 2) share themselves out among the modes of a circle.

    "shares": of the points within four standard deviations of each mode's centre; "coverage":
    share of the modes that have at least half of their due; "rarest": found over due share of the
    rarest mode, "rare": of the rarer half of the modes together; "kl": Kullback-Leibler divergence
    of the found from the due shares, with half a point added to each mode so that it is finite;
    "outliers": share of points near no mode.
    """
    circle = _circle(circle)
    mixture = circle.mixture()
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
        "rare": float(shares[circle.modes // 2 :].sum() / due[circle.modes // 2 :].sum()),
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
    """Generate with the exact score, or with a learned one, and report quality and diversity.

    Args:
        name, sampler, evaluations: process and sampler.
        seed: of the noise; the same noise starts all processes with the same number of speeds.
        samples: how many points to draw.
        circle: the law of the points.
        recipe, weights: what `train_plane` was told and returned; None for the exact score.

    Returns:
        What `mode_report` says, "distance" (sliced Wasserstein-1) to as many true points.
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
    """Return the sliced Wasserstein-1 distance to true samples that depend on the seed only."""
    true = mixture.sample(len(drawn), _generator(seed, 4))
    directions = random_directions(2, DIRECTIONS, _generator(seed, 5))
    drawn = torch.nan_to_num(drawn.double(), nan=1e6).clamp(-1e6, 1e6)
    return float(sliced_wasserstein(drawn, true, directions))


def _circle(circle: Circle | dict) -> Circle:
    return Circle(**circle) if isinstance(circle, dict) else circle


def _generator(seed: int, purpose: int) -> torch.Generator:
    return torch.Generator().manual_seed(1000 * seed + purpose)
