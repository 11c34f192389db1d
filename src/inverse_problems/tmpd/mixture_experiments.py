"""Experiments on mixture priors: distance to the posterior, DPS's constant, stability.

Each function is one unit of the chapter's run: plain numbers in, plain numbers out. All
methods of a unit get the same problems, the same number of steps and the ancestral
sampler, which is DPS's (except DDRM, which has a sampler of its own). The distance is
the sliced Wasserstein-1 distance of the samples to as many exact posterior samples, one
number per problem; `floor` is that between two sets of exact samples.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from src.common.checks import checked, whole, within
from src.common.diffusion.processes import Process, Score
from src.common.diffusion.samplers import ancestral, euler_maruyama, time_grid
from src.common.statistics.sample_distances import random_directions, sliced_wasserstein
from src.inverse_problems.tmpd.ddrm import ddrm
from src.inverse_problems.tmpd.guidance import (
    dps,
    dps_continuous,
    dps_likelihood,
    pigdm,
)
from src.inverse_problems.tmpd.mixture_problems import (
    MixtureProblems,
    MixtureSetting,
    ProblemOperator,
    draw_problems,
    forward_process,
    posterior_score,
    prior_moments,
    unobserved_std,
)
from src.inverse_problems.tmpd.tweedie import tmpd

PUBLISHED_STEP = 1.0
"""DPS's default constant, for images in [-1, 1] and 1000 steps."""

STEPS_OF_DPS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
"""The grid on which DPS's constant is tuned."""

LARGEST = 1e6
"""Distances above this one, and of samples that are not finite, become this one."""

# Also known: "pigdm discrete", "dps likelihood", "dps continuous" (strength: steps *
# dps_step).
METHODS = (
    "exact",
    "full",
    "diagonal",
    "row_sum",
    "pigdm",
    "dps",
    "dps published",
    "ddrm",
)
DDRM_ETA = 0.85


SAMPLERS = ("ancestral", "euler_maruyama")
ANCESTRAL_ONLY = ("dps", "dps published", "pigdm discrete")


@dataclass(frozen=True)
class Budget:
    """How much is computed.

    Attributes:
        process: "vp" or "ve".
        samples: per problem.
        steps: of the sampler.
        directions: of the sliced distance.
        sampler: "ancestral" or "euler_maruyama" (not for DPS, which is defined by its
            step; DDRM has a sampler of its own).
        double: compute in double precision.

    Raises:
        ValueError: for another process or sampler, or numbers below 1.
    """

    process: str = "vp"
    samples: int = 500
    steps: int = 1000
    directions: int = 500
    sampler: str = "ancestral"
    double: bool = False

    def __post_init__(self) -> None:
        """Reject names that nothing has."""
        if self.process not in ("vp", "ve") or self.sampler not in SAMPLERS:
            raise ValueError(
                f"process must be vp or ve and sampler one of {', '.join(SAMPLERS)}, "
                f"not {self.process!r} and {self.sampler!r}"
            )
        for name in ("samples", "steps", "directions"):
            whole(**{name: getattr(self, name)})
            within(name, getattr(self, name), 1)


@checked
def compare(
    setting: MixtureSetting,
    budget: Budget,
    seed: int,
    dps_step: float = PUBLISHED_STEP,
    methods: tuple[str, ...] | list[str] = METHODS,
) -> dict[str, list[float]]:
    """Return each method's distance to the posterior.

    Args:
        setting: what the problems are like.
        budget: how much is computed.
        seed: of the problems and of the samplers.
        dps_step: DPS's constant, tuned on other problems.
        methods: some of METHODS, or of the methods named above it.

    Returns:
        method -> one distance per problem; and "floor".

    Raises:
        ValueError: from `draw`, for an unknown method or process.
    """
    problems = draw_problems(setting, _generator(seed, "problems", setting))
    ruler = _Ruler(problems, budget, seed)
    found = {"floor": ruler.floor()}
    for method in methods:
        # The same noise for all methods: their differences are paired.
        samples = draw(
            problems, budget, method, _generator(seed, "sampler", setting), dps_step
        )
        eta = DDRM_ETA if method == "ddrm" else None
        found[method] = ruler.distances(samples, eta)
    return found


@checked
def sensitivity(
    setting: MixtureSetting,
    budget: Budget,
    seed: int,
    steps: list[float] | tuple[float, ...],
) -> dict[str, list[list[float]]]:
    """Return DPS's distances for each constant.

    Args:
        setting: what the problems are like.
        budget: how much is computed.
        seed: of the problems and of the samplers.
        steps: the constants.

    Returns:
        "dps": distances, (constants, problems); "floor": one row, (1, problems).

    Raises:
        ValueError: from `draw`, for constants below 0 or another sampler than the
            ancestral one.
    """
    problems = draw_problems(setting, _generator(seed, "problems", setting))
    ruler = _Ruler(problems, budget, seed)
    rows = []
    for step in steps:
        generator = _generator(seed, "sampler", setting)
        rows.append(ruler.distances(draw(problems, budget, "dps", generator, step)))
    return {"dps": rows, "floor": [ruler.floor()]}


@checked
def stability(
    setting: MixtureSetting,
    budget: Budget,
    seed: int,
    dps_step: float = PUBLISHED_STEP,
    methods: tuple[str, ...] | list[str] = METHODS,
) -> dict[str, list[float]]:
    """Return the share of each method's samples that are stable.

    A sample is stable if its coordinates are finite numbers and its squared distance to
    the mean of the prior is at most 3 times the mean of this square over the prior's
    samples. (The farthest components are at 2 times; the definition was written before
    any result was seen.) The share says whether a sampler blows up, not whether it is
    right.

    Args:
        setting: what the problems are like.
        budget: how much is computed.
        seed: of the problems and of the samplers.
        dps_step: DPS's constant.
        methods: some of METHODS.

    Returns:
        method -> one share in [0, 1] per problem.

    Raises:
        ValueError: from `draw`, for an unknown method or process.
    """
    problems = draw_problems(setting, _generator(seed, "problems", setting))
    rest = (setting.dim - problems.means.shape[2]) * setting.variance
    usual = problems.means.square().sum(2).mean() + setting.dim * setting.variance
    found = {}
    for method in methods:
        samples = draw(
            problems, budget, method, _generator(seed, "sampler", setting), dps_step
        )
        sizes = samples.double().square().sum(2) + rest
        # A comparison with NaN is false, so samples that are no numbers are not stable.
        found[method] = (sizes <= 3 * usual).double().mean(1).tolist()
    return found


def draw(
    problems: MixtureProblems,
    budget: Budget,
    method: str,
    generator: torch.Generator,
    dps_step: float = PUBLISHED_STEP,
) -> Tensor:
    """Return a method's samples in the problems' coordinates, (problem, samples, r).

    Args:
        problems: the random problems.
        budget: how much is computed.
        method: one of METHODS, or of the methods named above it.
        generator: source of the start and of the noise.
        dps_step: DPS's constant; the other methods do not use it.

    Raises:
        ValueError: for an unknown method or process, or DPS with another sampler than
            the ancestral one.
    """
    dtype = torch.float64 if budget.double else torch.float32
    if method in ANCESTRAL_ONLY and budget.sampler != "ancestral":
        raise ValueError(
            f"{method} is a shift of ancestral steps: use the ancestral sampler"
        )
    process = forward_process(budget.process, problems.setting.dim)
    count, _, r = problems.means.shape
    grid = _grid(budget)
    state = process.start((count * budget.samples, r), generator, dtype)
    if method == "ddrm":
        score, operator, y = _pieces(problems, process, budget.samples, dtype)
        sigma = problems.setting.sigma
        drawn = ddrm(
            process, score, operator, y, sigma, state, grid, generator, eta=DDRM_ETA
        )
    else:
        score = guided_score(
            problems, process, method, budget.samples, dtype, grid, dps_step
        )
        sampler = ancestral if budget.sampler == "ancestral" else euler_maruyama
        drawn = sampler(process, score, state, grid, generator)
    return drawn.unflatten(0, (count, budget.samples))


def guided_score(
    problems: MixtureProblems,
    process: Process,
    method: str,
    samples: int,
    dtype: torch.dtype,
    grid: Tensor,
    dps_step: float = PUBLISHED_STEP,
) -> Score:
    """Return a method's score for the samples of all problems at once.

    Args:
        problems: the random problems.
        process: the forward process.
        method: one of METHODS but "ddrm", or of the methods named above it.
        samples: rows of the batch per problem.
        dtype: of the computation.
        grid: the sampler's times.
        dps_step: DPS's constant; the other methods do not use it.

    Returns:
        score(u, t) for u (problem * samples, r).

    Raises:
        ValueError: for an unknown method, from `tmpd`, whose forms are the last names
            tried.
    """
    if method == "exact":
        return posterior_score(problems, process, samples, dtype)
    score, operator, y = _pieces(problems, process, samples, dtype)
    moments = prior_moments(problems, process, samples, dtype)
    parts, sigma = (score, process, operator, y), problems.setting.sigma
    if method == "dps":
        return dps(*parts, dps_step, grid, moments=moments)
    if method == "dps published":
        return dps(*parts, PUBLISHED_STEP, grid, moments=moments)
    if method == "dps continuous":
        return dps_continuous(*parts, (len(grid) - 1) * dps_step, moments=moments)
    if method == "dps likelihood":
        return dps_likelihood(*parts, sigma, moments=moments)
    if method == "pigdm":
        return pigdm(*parts, sigma, moments=moments)
    if method == "pigdm discrete":
        return pigdm(*parts, sigma, grid=grid, moments=moments)
    return tmpd(*parts, sigma, method, moments=moments, rows=_all_rows)


def _pieces(
    problems: MixtureProblems, process: Process, samples: int, dtype: torch.dtype
) -> tuple[Score, ProblemOperator, Tensor]:
    moments = prior_moments(problems, process, samples, dtype)
    y = problems.y.repeat_interleave(samples, 0).to(dtype)

    def score(u: Tensor, t: Tensor) -> Tensor:
        return moments(u, t).score

    return score, ProblemOperator(problems, samples).to(dtype), y


def _all_rows(
    pull: Callable[[Tensor], Tensor], cotangents: Tensor, chunk_size: int | None = None
) -> Tensor:
    """Pull all rows back at once: the closed form takes any number of them."""
    return pull(cotangents)


def _grid(budget: Budget) -> Tensor:
    return time_grid(budget.steps)


class _Ruler:
    """Measures samples of all problems against exact ones, in the same directions."""

    def __init__(self, problems: MixtureProblems, budget: Budget, seed: int) -> None:
        self._problems, self._budget, self._seed = problems, budget, seed
        self._generator = _generator(seed, "ruler", problems.setting)
        dim = problems.setting.dim
        self._directions = random_directions(dim, budget.directions, self._generator)
        spread = problems.setting.variance**0.5
        self._exact, again = (
            self._lifted(
                problems.posterior(budget.samples, self._generator),
                spread,
                self._generator,
            )
            for _ in range(2)
        )
        self._floor = self._against_exact(again)

    def floor(self) -> list[float]:
        """Return the distances of a second set of exact samples."""
        return self._floor

    def distances(self, samples: Tensor, eta: float | None = None) -> list[float]:
        """Return the distances of a sampler's samples (problem, samples, r)."""
        setting, budget = self._problems.setting, self._budget
        process = forward_process(budget.process, setting.dim)
        spread = unobserved_std(process, _grid(budget), setting.variance, eta)
        # The same generator for all methods: their differences are paired.
        generator = _generator(self._seed, "unobserved", setting)
        return self._against_exact(self._lifted(samples, spread, generator))

    def _lifted(
        self, samples: Tensor, spread: float, generator: torch.Generator
    ) -> list[Tensor]:
        lift = self._problems.lifted
        return [lift(p, some, spread, generator) for p, some in enumerate(samples)]

    def _against_exact(self, samples: list[Tensor]) -> list[float]:
        pairs = zip(samples, self._exact, strict=True)
        distances = [
            sliced_wasserstein(a, b, self._directions).item() for a, b in pairs
        ]
        return [value if value < LARGEST else LARGEST for value in distances]


def _generator(seed: int, purpose: str, setting: MixtureSetting) -> torch.Generator:
    """Return a stream for one purpose.

    The problems of a seed differ from setting to setting.
    """
    about = [seed, purpose, setting.dim, setting.observations]
    digest = hashlib.sha256(json.dumps(about).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
