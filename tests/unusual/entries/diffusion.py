"""Entry points of diffusion: processes, samplers, distances of samples, fractional noise."""

from collections.abc import Callable

import torch
from torch import Tensor

from src.common.diffusion.gaussian_mixture import GaussianMixture
from src.common.diffusion.processes import LinearVP, Process, SubVP, VarianceExploding
from src.common.diffusion.samplers import ancestral, euler_maruyama, probability_flow, time_grid
from src.common.statistics.sample_distances import (
    frechet_distance,
    gaussian_wasserstein,
    sliced_wasserstein,
    vendi_score,
)
from src.diffusion.fractional.noise import (
    fbm_covariance,
    fbm_variance,
    optimal_weights,
    ou_speeds,
    sample_fbm,
    simulate_ou,
)
from src.diffusion.fractional.process import FractionalProcess
from src.diffusion.fractional.sampling import draw, grid_of
from tests.unusual.inputs import Entry, finite, same, usual

FVP = FractionalProcess(hurst=0.9, count=2)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _numbers(*shape: int) -> Tensor:
    return torch.randn(shape, generator=seeded())


def _score(u: Tensor, t: Tensor) -> Tensor:
    return -u


def sampled(sampler: Callable) -> Callable:
    def call(state: Tensor, grid: Tensor, score: Callable) -> Tensor:
        rest = () if sampler is probability_flow else (seeded(),)
        return sampler(LinearVP(), score, state, grid, *rest)

    call.__qualname__ = call.__name__ = sampler.__name__
    return call


def law(process: Process) -> Callable:
    def call(t: float) -> list[Tensor]:
        return [process.mean(t), process.std(t), process.rate(t), process.diffusion(t)]

    name = type(process).__name__
    call.__qualname__ = call.__name__ = f"law of {name}"
    return call


def noisy(clean: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    return LinearVP().noisy(clean, t, noise)


def drawn(sampler: str, evaluations: int, score: Callable) -> Tensor:
    return draw(FVP, score, (3, 2), sampler, evaluations, seeded())


def mixture(means: Tensor, covariance: Tensor, weights: Tensor, u: Tensor, std: float) -> Tensor:
    return GaussianMixture(weights, means, covariance).score(u, 0.5, std)


def posterior(matrix: Tensor, y: Tensor, sigma: float) -> list[Tensor]:
    found = GaussianMixture.isotropic(_numbers(3, 2), 0.5).posterior(matrix, y, sigma)
    return [found.means, found.covariance, found.weights]


def distance(a: Tensor, b: Tensor, order: int, count: int) -> Tensor:
    return sliced_wasserstein(a, b, seeded(), order, count)


def motion(times: Tensor, hurst: float, paths: int) -> Tensor:
    return sample_fbm(times, hurst, paths, seeded())


def simulated(speeds: Tensor, times: Tensor, paths: int) -> Tensor:
    return simulate_ou(speeds, times, paths, seeded())


def fractional(hurst: float, count: int, fastest: float, jitter: float) -> Tensor:
    return FractionalProcess(hurst=hurst, count=count, fastest=fastest, jitter=jitter).std(0.5)


def _mixture() -> dict[str, object]:
    return {
        "means": _numbers(3, 2),
        "covariance": torch.tensor([[1.0, 0.3], [0.3, 0.5]]),
        "weights": torch.tensor([0.2, 0.3, 0.5]),
        "u": _numbers(4, 2),
        "std": 0.5,
    }


def _rows(result: Tensor, expected: Tensor) -> bool:
    return same(result, expected[: len(result)], 1e-4)


def _finite(result: Tensor, expected: Tensor) -> bool:
    return bool(result.isfinite().all())


TIMES = torch.tensor([0.25, 0.5, 1.0])
LESS = ("one row", "one row less")
# A grid that ends earlier is a grid; noise of another batch is other noise.
# Any shape of images is one; other numbers of images draw other noise.
SHAPES = (*LESS, "a dimension less", "another dimension", "ten columns")
ANY_IMAGES = {f"state: {case}": _finite for case in SHAPES}
GRID = ANY_IMAGES | {"grid: one row less": finite, "score: without gradients": usual}


ENTRIES = [
    Entry(
        time_grid,
        lambda: {"steps": 4, "first": 1.0, "last": 0.5},
        accepts={"last: 0": lambda r, e: same(r, torch.linspace(1, 0, 5))},
    ),
    *(
        Entry(
            sampled(sampler),
            lambda: {"state": _numbers(3, 2), "grid": time_grid(4), "score": _score},
            accepts=GRID,
        )
        for sampler in (ancestral, euler_maruyama, probability_flow)
    ),
    *(
        Entry(law(process), lambda: {"t": 0.5}, {"t: 0": finite})
        for process in (LinearVP(), SubVP(), VarianceExploding(), FVP)
    ),
    Entry(
        noisy,
        lambda: {"clean": _numbers(3, 2), "t": TIMES, "noise": _numbers(3, 2)},
        accepts={
            "t: a dimension less": lambda r, e: same(r[0], e[0]),  # one time for all
            "t: one row": lambda r, e: same(r[0], e[0]),
        },
    ),
    Entry(
        drawn,
        lambda: {"sampler": "sde", "evaluations": 5, "score": _score},
        accepts={"score: without gradients": usual},
    ),
    Entry(grid_of, lambda: {"sampler": "heun", "evaluations": 5}),
    Entry(
        mixture,
        _mixture,
        accepts={f"u: {c}": _rows for c in LESS} | {"std: 0": finite, "u: empty": _rows},
    ),
    Entry(
        posterior,
        lambda: {"matrix": _numbers(1, 2), "y": torch.ones(1), "sigma": 0.5},
        accepts={"sigma: 0": finite},
    ),
    Entry(
        distance,
        lambda: {"a": _numbers(5, 2), "b": _numbers(5, 2) + 1, "order": 1, "count": 20},
        accepts={f"{s}: {c}": finite for s in "ab" for c in LESS},
    ),
    Entry(
        frechet_distance,
        lambda: {"a": _numbers(5, 2), "b": _numbers(5, 2) + 1},
        accepts={f"{s}: one row less": finite for s in "ab"},
    ),
    Entry(
        gaussian_wasserstein,
        lambda: {
            "mean_a": torch.zeros(2),
            "covariance_a": torch.eye(2),
            "mean_b": torch.ones(2),
            "covariance_b": 2 * torch.eye(2),
        },
    ),
    Entry(
        vendi_score,
        lambda: {"images": torch.eye(3)},
        accepts={
            "images: one row": lambda r, e: same(float(r), 1.0),
            "images: one row less": lambda r, e: same(float(r), 2.0),
            "images: ten columns": lambda r, e: same(float(r), 3.0),
            "images: another dimension": lambda r, e: same(float(r), 1.0),  # of 3 x 3 pixels
        },
    ),
    Entry(
        fbm_variance,
        lambda: {"times": TIMES, "hurst": 0.7},
        accepts={f"times: {c}": _rows for c in LESS},
    ),
    Entry(
        fbm_covariance,
        lambda: {"times": TIMES, "hurst": 0.7},
        accepts={f"times: {c}": lambda r, e: same(r, e[: len(r), : len(r)]) for c in LESS},
    ),
    Entry(
        motion,
        lambda: {"times": TIMES, "hurst": 0.7, "paths": 4},
        accepts={f"times: {c}": lambda r, e: r.shape == (r.shape[0], 4) for c in LESS},
    ),
    Entry(
        ou_speeds,
        lambda: {"count": 3, "largest": 20.0},
        accepts={"count: 0": lambda r, e: r.shape == (0,)},
    ),
    Entry(
        optimal_weights,
        lambda: {"speeds": torch.tensor([0.1, 1.0, 10.0]), "hurst": 0.7, "horizon": 1.0},
        accepts={
            f"speeds: {c}": finite_fewer
            for c in LESS
            for finite_fewer in [lambda r, e: bool(r.isfinite().all())]
        },
    ),
    Entry(
        simulated,
        lambda: {"speeds": torch.tensor([0.1, 1.0]), "times": TIMES, "paths": 4},
        accepts={
            f"{name}: {c}": lambda r, e: bool(r.isfinite().all())
            for name in ("speeds", "times")
            for c in LESS
        },
    ),
    Entry(
        fractional,
        lambda: {"hurst": 0.7, "count": 2, "fastest": 20.0, "jitter": 1e-4},
        accepts={"count: 0": lambda r, e: same(r, LinearVP().std(0.5))},
    ),
]
