"""Entry points of the experiments of `src.inverse_problems.tmpd`: settings, units, summaries."""

import torch
from torch import Tensor

from src.common.diffusion.processes import LinearVP
from src.common.diffusion.samplers import time_grid
from src.common.images.feature_network import FeatureNetwork
from src.common.images.separable import AveragePooling
from src.common.training.loop import seeded as under_seed
from src.inverse_problems.tmpd.checks import covariance_errors, guidance_errors, ring
from src.inverse_problems.tmpd.figures import geometric_mean_and_interval, mean_and_half_interval
from src.inverse_problems.tmpd.gaussian_experiments import (
    FieldSetting,
    field_distances,
    matern_covariance,
)
from src.inverse_problems.tmpd.guidance import clipped
from src.inverse_problems.tmpd.image_experiments import Restoration, degradation, judge, observe
from src.inverse_problems.tmpd.mixture_experiments import Budget, compare
from src.inverse_problems.tmpd.mixture_problems import (
    MixtureSetting,
    component_means,
    forward_process,
)
from src.inverse_problems.tmpd.projection_error import LineSetting, projection_error
from src.inverse_problems.tmpd.tables import closer
from tests.unusual.inputs import Entry, finite, same

SHAPE = (1, 8, 8)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


with under_seed(seeded()):
    NETWORK = FeatureNetwork(SHAPE, 3, 4, 6).eval()


def _numbers(*shape: int) -> Tensor:
    return torch.randn(shape, generator=seeded())


def cut(u: Tensor, t: float, limit: float) -> Tensor:
    return clipped(lambda u, t: -0.1 * u, LinearVP(), limit)(u, torch.tensor(t).double())


def judged(samples: Tensor, truth: Tensor, varying: Tensor) -> dict[str, list[float]]:
    return judge(samples, truth, NETWORK, varying)


def observed(images: Tensor, sigma: float, task: str) -> Tensor:
    operator = AveragePooling(SHAPE, 2).to(torch.float32)
    operator = degradation(task, SHAPE).to(torch.float32) if task != "pooling" else operator
    return observe(images, operator, sigma, 0)


def restoration(task: str, sigma: float, steps: int, images: int, first: int) -> object:
    return Restoration(task, sigma, steps, images, first)


def mixtures(
    dim: int,
    observations: int,
    sigma: float,
    variance: float,
    problems: int,
    samples: int,
    steps: int,
    process: str,
    dps_step: float,
) -> dict[str, list[float]]:
    setting = MixtureSetting(dim, observations, sigma, variance, problems)
    budget = Budget(process, samples, steps, directions=5)
    return compare(setting, budget, 0, dps_step, ["full", "dps"])


def fields(
    side: int, observed: int, sigma: float, nugget: float, process: str, steps: int
) -> dict[str, list[list[float]]]:
    setting = FieldSetting(side, observed, sigma, 1, nugget)
    return field_distances(setting, process, "ancestral", [steps], 0, ["full", "pigdm"])


def line(separation: float, y: float, sigma: float, steps: int, points: int, method: str) -> object:
    return projection_error(separation, LineSetting(y, sigma, steps, points), method)


def named_process(name: str, dim: int) -> Tensor:
    return forward_process(name, dim).std(time_grid(3))


def winner(ours: list[float], other: list[float]) -> str:
    return closer("a", {"TMPD": ours, "PiGDM": other})


ENTRIES = [
    Entry(
        cut,
        lambda: {"u": _numbers(3, 4), "t": 0.5, "limit": 1.0},
        accepts={
            "u: another dimension": lambda r, e: same(r[0], e),
            "u: a dimension less": lambda r, e: same(r, e[0]),
            "u: one row": lambda r, e: same(r, e[:1]),
            "u: one row less": lambda r, e: same(r, e[:-1]),
            "u: ten columns": lambda r, e: same(r[..., 0], e),
            "u: infinite": lambda r, e: not bool(r.isfinite().all()),
        },
    ),
    Entry(
        judged,
        lambda: {
            "samples": 0.5 * _numbers(2, 3, *SHAPE),
            "truth": _numbers(2, *SHAPE).clamp(-1, 1),
            "varying": torch.arange(64).reshape(SHAPE) % 2 == 0,
        },
        accepts={
            "samples: NaN": lambda r, e: r["stable"][0] < 1 and r["stable"][1] == 1,
            "samples: infinite": lambda r, e: r["stable"][0] < 1 and r["stable"][1] == 1,
        },
    ),
    Entry(
        observed,
        lambda: {"images": _numbers(2, *SHAPE), "sigma": 0.1, "task": "super-resolution"},
        accepts={
            "sigma: 0": lambda r, e: bool((r - e).abs().max() < 0.6),
            "images: one row": lambda r, e: same(r, e[:1], 1e-5),
            "images: one row less": lambda r, e: same(r, e[:1], 1e-5),
        },
    ),
    Entry(
        restoration,
        lambda: {"task": "inpainting", "sigma": 0.1, "steps": 5, "images": 2, "first": 1},
        accepts={
            "sigma: 0": lambda r, e: r.sigma == 0,
            "first: 0": lambda r, e: r.first == 0,
        },
    ),
    Entry(
        mixtures,
        lambda: {
            "dim": 8,
            "observations": 2,
            "sigma": 0.1,
            "variance": 1.0,
            "problems": 2,
            "samples": 5,
            "steps": 4,
            "process": "vp",
            "dps_step": 0.5,
        },
        accepts={"dps_step: 0": finite},
    ),
    Entry(
        fields,
        lambda: {
            "side": 3,
            "observed": 3,
            "sigma": 0.1,
            "nugget": 1e-4,
            "process": "vp",
            "steps": 4,
        },
        accepts={"nugget: 0": finite},
    ),
    Entry(
        line,
        lambda: {
            "separation": 1.0,
            "y": 0.5,
            "sigma": 1.0,
            "steps": 5,
            "points": 60,
            "method": "tmpd",
        },
        accepts={
            "separation: 0": lambda r, e: max(r.bound, r.divergence, r.distance) < 1e-10,
            "y: 0": finite,
            "y: -1": finite,
        },
    ),
    Entry(ring, lambda: {"components": 4, "radius": 2.0, "std": 0.2}, {"radius: 0": finite}),
    Entry(matern_covariance, lambda: {"side": 3, "nugget": 1e-4}, {"nugget: 0": finite}),
    Entry(component_means, lambda: {"dim": 4}),
    Entry(
        named_process,
        lambda: {"name": "ve", "dim": 4},
    ),
    Entry(
        covariance_errors,
        lambda: {"problems": 1, "times": [0.2, 0.8], "seed": 3},
        accepts={"times: one less": finite, "seed: 0": finite, "seed: -1": finite},
    ),
    Entry(
        guidance_errors,
        lambda: {"problems": 1, "times": [0.2], "seed": 3},
        accepts={"seed: 0": finite, "seed: -1": finite},
    ),
    Entry(
        mean_and_half_interval, lambda: {"values": [1.0, 2.0, 4.0]}, {"values: one less": finite}
    ),
    Entry(
        geometric_mean_and_interval,
        lambda: {"values": [1.0, 2.0, 4.0]},
        accepts={"values: one less": finite},
    ),
    Entry(winner, lambda: {"ours": [1.0, 2.0, 1.5], "other": [2.0, 3.0, 2.0]}),
]
