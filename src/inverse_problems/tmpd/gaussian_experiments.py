"""Guided samplers on a Gaussian random field, where every step is followed exactly.

If the data are N(0, C), the score is linear and the guided score of every method but
DPS is affine in u. A sampler then maps a Gaussian law to a Gaussian law, and its mean
and covariance can be propagated exactly: what is left of the distance to the posterior
is the method's own error, with no Monte Carlo error on top. For the full form, whose
guidance is exact here, that is the error of the finite steps; for the others the
approximation of H C H^T adds to it.

The field is a Matern field with smoothness 5/2 on a square grid, observed at random
grid points. Everything is computed in the basis of the eigenvectors of C, where score
and J are diagonal.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite

import torch
from jaxtyping import Float
from torch import Tensor

from src.common.checks import checked, whole, within
from src.common.diffusion.processes import LinearVP, Process, VarianceExploding
from src.common.diffusion.samplers import descending, time_grid
from src.common.statistics.sample_distances import gaussian_wasserstein

FIELD_METHODS = ("full", "diagonal", "row_sum", "pigdm", "dps likelihood")
LARGEST = 1e12
"""Distances above this one, and of samplers that overflow, become this one."""

LinearScore = Callable[[Tensor], tuple[Tensor, Tensor]]
"""linear_score(t) -> (gain (problem, d, d), offset (problem, d)).

The score is gain u + offset.
"""


@dataclass(frozen=True)
class FieldSetting:
    """A random field and its observation.

    Attributes:
        side: of the grid, over the square [-5, 5]^2.
        observed: number of grid points that are observed, at most side^2.
        sigma: standard deviation of the observation's noise, above 0.
        problems: number of random sets of points, each with a field of its own.
        nugget: what is added to the diagonal of the covariance.

    Raises:
        ValueError: for numbers out of range.
    """

    side: int = 8
    observed: int = 16
    sigma: float = 0.1
    problems: int = 8
    nugget: float = 1e-4

    def __post_init__(self) -> None:
        """Reject fields that are none, and more observations than points."""
        whole(side=self.side, observed=self.observed, problems=self.problems)
        within("side", self.side, 2)
        within("observed", self.observed, 1, self.side**2)
        within("sigma", self.sigma, 0, ends=False)
        within("problems", self.problems, 1)
        within("nugget", self.nugget, 0)


@checked
def matern_covariance(
    side: int, nugget: float = 1e-4
) -> Float[Tensor, "pixels pixels"]:
    """Return the field's covariance on a grid: Matern 5/2, unit length and variance.

    Args:
        side: of the grid, over the square [-5, 5]^2.
        nugget: added to the diagonal.

    Returns:
        (side^2, side^2), in double precision.

    Raises:
        ValueError: for a side without points, or a nugget below 0.
    """
    within("side", side, 1)
    within("nugget", nugget, 0)
    axis = torch.linspace(-5, 5, side, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis)
    scaled = 5**0.5 * torch.cdist(points, points)
    covariance = (1 + scaled + scaled**2 / 3) * (-scaled).exp()
    return covariance + nugget * torch.eye(len(points), dtype=torch.float64)


@dataclass(frozen=True)
class FieldProblems:
    """Random observations of a field, in the eigenvectors of its covariance.

    Attributes:
        variances: (d,), the eigenvalues.
        vectors: (d, d), the eigenvectors in columns.
        matrices: (problem, q, d), H in the basis.
        y: (problem, q), the observations.
        sigma: standard deviation of their noise.
    """

    variances: Tensor
    vectors: Tensor
    matrices: Tensor
    y: Tensor
    sigma: float

    def posterior(
        self,
    ) -> tuple[Float[Tensor, "problem d"], Float[Tensor, "problem d d"]]:
        """Return mean (problem, d) and covariance (problem, d, d) of the posterior."""
        spread = self.matrices * self.variances
        q = self.matrices.shape[1]
        total = spread @ self.matrices.mT + self.sigma**2 * torch.eye(
            q, dtype=torch.float64
        )
        gain = torch.linalg.solve(total, spread).mT
        mean = (gain @ self.y[..., None])[..., 0]
        return mean, torch.diag(self.variances) - gain @ spread


def draw_field_problems(
    setting: FieldSetting, generator: torch.Generator
) -> FieldProblems:
    """Draw the random problems of a setting.

    Args:
        setting: field and observation.
        generator: source of the points, the fields and the noise.

    Returns:
        The problems, in double precision.
    """
    covariance = matern_covariance(setting.side, setting.nugget)
    variances, vectors = torch.linalg.eigh(covariance)
    d, count = len(variances), setting.problems
    order = torch.rand(count, d, generator=generator).argsort(dim=1)[
        :, : setting.observed
    ]
    matrices = vectors[order]
    normal = torch.randn(count, d, generator=generator, dtype=torch.float64)
    noise = torch.randn(
        count, setting.observed, generator=generator, dtype=torch.float64
    )
    truth = normal * variances.clamp(min=0).sqrt()
    y = torch.einsum("pqd,pd->pq", matrices, truth) + setting.sigma * noise
    return FieldProblems(variances, vectors, matrices, y, setting.sigma)


def linear_score(problems: FieldProblems, process: Process, method: str) -> LinearScore:
    """Return the affine guided score of a method, from the matrices themselves.

    The numbers are those of `tmpd`, `pigdm` and `dps_likelihood` for this prior, which
    a test compares; here they are computed once per step instead of once per sample.

    Args:
        problems: the observed fields.
        process: the forward process.
        method: one of FIELD_METHODS; another name raises ValueError when the score is
            called.
    """
    seen, variances = problems.matrices, problems.variances
    eye = torch.eye(seen.shape[1], dtype=torch.float64)

    def score(t: Tensor) -> tuple[Tensor, Tensor]:
        m, v = process.mean(t).item(), process.std(t).item() ** 2
        total = m**2 * variances + v
        jacobian = m * variances / total
        inner = _inner_matrix(method, seen, v / m * jacobian, v / (v + m**2))
        weights = torch.linalg.solve(
            inner + problems.sigma**2 * eye, jacobian * seen
        ).mT
        gain = -(weights @ seen) * jacobian - torch.diag(1 / total)
        return gain, (weights @ problems.y[..., None])[..., 0]

    return score


def _inner_matrix(
    method: str, seen: Tensor, covariance: Tensor, assumed: float
) -> Tensor:
    """Return what a method takes for H Cov[x_0 | u] H^T, (problem, q, q)."""
    if method == "dps likelihood":
        return torch.zeros_like(seen @ seen.mT)
    if method == "pigdm":
        return assumed * seen @ seen.mT
    full = (seen * covariance) @ seen.mT
    if method == "full":
        return full
    if method == "diagonal":
        return torch.diag_embed(full.diagonal(dim1=1, dim2=2))
    if method == "row_sum":
        return torch.diag_embed(full.sum(2))
    raise ValueError(
        f"method must be one of {', '.join(FIELD_METHODS)}, not {method!r}"
    )


def gaussian_moments(
    process: Process, score: LinearScore, grid: Float[Tensor, " times"], sampler: str
) -> tuple[Float[Tensor, "problem d"], Float[Tensor, "problem d d"]]:
    """Return the exact mean and covariance of a sampler's result, for affine scores.

    A step is u -> A u + c + noise of covariance q I; so the mean becomes A mean + c and
    the covariance A S A^T + q I. The start is that of `Process.start`.

    Args:
        process: one whose state is the noisy image.
        score: the affine scores.
        grid: the sampler's times, descending.
        sampler: "euler_maruyama" or "ancestral", those of
            `src.common.diffusion.samplers`.

    Returns:
        mean (problem, d) and covariance (problem, d, d); infinite or NaN where the
        sampler overflows.

    Raises:
        ValueError: for another sampler, or times that do not descend.
    """
    descending(grid)
    if sampler not in ("euler_maruyama", "ancestral"):
        raise ValueError(
            f"the sampler must be euler_maruyama or ancestral, not {sampler!r}"
        )
    gain, offset = score(grid[0])
    eye = torch.eye(gain.shape[-1], dtype=torch.float64)
    mean = torch.zeros_like(offset)
    covariance = process.std(grid[0]).item() ** 2 * eye.expand_as(gain)
    for k, (t, earlier) in enumerate(pairwise(grid)):
        gain, offset = score(t)
        of_state, of_score, noise = _step(process, t, earlier, sampler)
        step = of_state * eye + of_score * gain
        mean = (step @ mean[..., None])[..., 0] + of_score * offset
        covariance = step @ covariance @ step.mT
        if k < len(grid) - 2:
            covariance = covariance + noise * eye
    return mean, covariance


def _step(
    process: Process, t: Tensor, earlier: Tensor, sampler: str
) -> tuple[float, float, float]:
    """Return a step's factors of state and score, and the variance of its noise."""
    if sampler == "euler_maruyama":
        size, diffusion = (t - earlier).item(), process.diffusion(t).item() ** 2
        return 1 - size * process.rate(t).item(), size * diffusion, size * diffusion
    of_state, of_clean, std = (
        factor.item() for factor in process.bridge_factors(t, earlier)
    )
    of_clean = of_clean / process.mean(t).item()
    return of_state + of_clean, of_clean * process.std(t).item() ** 2, std**2


@checked
def field_distances(
    setting: FieldSetting,
    process_name: str,
    sampler: str,
    steps: list[int] | tuple[int, ...],
    seed: int,
    methods: list[str] | tuple[str, ...] = FIELD_METHODS,
) -> dict[str, list[list[float]]]:
    """Return the squared 2-Wasserstein distances to the posterior.

    Args:
        setting: field and observation.
        process_name: "vp" (beta from 0.01 to 25, the paper's) or "ve" (0.01 to 50).
        sampler: "euler_maruyama" or "ancestral".
        steps: numbers of steps.
        seed: of the random problems.
        methods: some of FIELD_METHODS.

    Returns:
        method -> distances, (steps, problems), at most LARGEST.

    Raises:
        ValueError: for an unknown process, sampler or method.
    """
    problems = draw_field_problems(setting, torch.Generator().manual_seed(seed))
    process = field_process(process_name)
    target = problems.posterior()
    return {
        method: [
            _distances(
                gaussian_moments(
                    process,
                    linear_score(problems, process, method),
                    time_grid(count),
                    sampler,
                ),
                target,
            )
            for count in steps
        ]
        for method in methods
    }


def field_process(name: str) -> Process:
    """Return the process "vp" or "ve" of the field experiments.

    Args:
        name: "vp" (beta from 0.01 to 25) or "ve" (0.01 to 50).

    Raises:
        ValueError: for another name.
    """
    if name == "vp":
        return LinearVP(0.01, 25.0)
    if name == "ve":
        return VarianceExploding(0.01, 50.0)
    raise ValueError(f"the process must be vp or ve, not {name!r}")


def _distances(
    found: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]
) -> list[float]:
    distances = []
    for some in zip(*found, *target, strict=True):
        usable = bool(torch.isfinite(some[1]).all() and some[1].abs().max() < LARGEST)
        value = gaussian_wasserstein(*some).item() if usable else LARGEST
        distances.append(value if isfinite(value) and value < LARGEST else LARGEST)
    return distances
