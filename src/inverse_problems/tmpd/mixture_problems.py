"""Random linear inverse problems with a mixture of 25 Gaussians as prior, many at once.

The set-up is that of Cardoso et al. (2023, arXiv 2308.07983) as used for TMPD: 25
equally probable components with means (-8 i, -8 j), i, j in {-2, ..., 2}, repeated
dim / 2 times, and covariance variance * I; H = U diag(s) V^T with random U, V and s
uniform on (0, 1); y = H x + sigma noise with x from the prior. Every random (H, y) is
one *problem*; its posterior is a mixture again.

Everything that happens to x under any of the samplers happens in the span of the means
and of the rows of H, at most q + 2 dimensions: orthogonal to it, prior, posterior and
guided score are those of independent Gaussian numbers that nobody observes. So a
problem with 800 dimensions is run in the coordinates of an orthonormal basis of that
span, and the other 800 - q - 2 coordinates of the samples are drawn at the end with the
standard deviation that the sampler gives them (`unobserved_std`). This is exact, not an
approximation, and a test compares the two.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor

from src.common.checks import checked, whole, within
from src.common.diffusion.processes import LinearVP, Process, Score, VarianceExploding
from src.common.images.operators import LinearOperator
from src.inverse_problems.tmpd.tweedie import Moments, TweedieMoments, moments_at


@dataclass(frozen=True)
class MixtureSetting:
    """One cell of the experiment.

    Attributes:
        dim: of x, even and at least observations + 2.
        observations: q, of y.
        sigma: standard deviation of the observation's noise, above 0.
        variance: of a component.
        problems: number of random (H, y).

    Raises:
        ValueError: for a dim that is odd or too small, and numbers out of range.
    """

    dim: int = 8
    observations: int = 2
    sigma: float = 0.1
    variance: float = 1.0
    problems: int = 20

    def __post_init__(self) -> None:
        """Reject dimensions that do not fit."""
        whole(dim=self.dim, observations=self.observations, problems=self.problems)
        within("sigma", self.sigma, 0, ends=False)
        within("variance", self.variance, 0, ends=False)
        within("problems", self.problems, 1)
        within("observations", self.observations, 1)
        if self.dim % 2 or self.dim < self.observations + 2:
            raise ValueError(
                f"dim must be even and at least {self.observations + 2}: {self.dim}"
            )


def component_means(dim: int) -> Float[Tensor, "25 {dim}"]:
    """Return the 25 means, (25, dim).

    Args:
        dim: of x, even.

    Raises:
        ValueError: for an odd dim, or none.
    """
    if dim < 2 or dim % 2:
        raise ValueError(f"dim must be even and at least 2, not {dim}")
    axis = -8.0 * torch.arange(-2, 3, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis).repeat(1, dim // 2)


@checked
def forward_process(name: str, dim: int) -> Process:
    """Return the process "vp" or "ve" for data of `dim` dimensions.

    VP: beta from 0.1 to 25. VE: from 0.01 to the largest distance between two means,
    the rule of Song and Ermon (2020, technique 1).

    Args:
        name: "vp" or "ve".
        dim: of x; VP does not depend on it.

    Raises:
        ValueError: for another name, or a dim below 1.
    """
    within("dim", dim, 1)
    if name == "vp":
        return LinearVP(0.1, 25.0)
    if name == "ve":
        return VarianceExploding(0.01, 32.0 * sqrt(dim))
    raise ValueError(f"the process must be vp or ve, not {name!r}")


@dataclass(frozen=True)
class MixtureProblems:
    """Random problems in the coordinates that matter, r = observations + 2 of them.

    Attributes:
        setting: what they were drawn from.
        basis: (problem, dim, r), orthonormal columns; the first q span the rows of H.
        means: (problem, 25, r), of the components.
        matrices: (problem, q, r), H in these coordinates.
        y: (problem, q), the observations.
        truth: (problem, r), the x behind y.
        weights: (problem, 25), of the components given y.
        centres: (problem, 25, r), means of the components given y.
        variances: (problem, r), of the components given y, along the coordinates.

    Examples:
        >>> generator = torch.Generator().manual_seed(0)
        >>> problems = draw_problems(MixtureSetting(dim=8, problems=3), generator)
        >>> exact = problems.posterior(100, generator)
        >>> exact.shape
        torch.Size([3, 100, 4])
        >>> problems.lifted(0, exact[0], 1.0, generator).shape  # all coordinates of x
        torch.Size([100, 8])
    """

    setting: MixtureSetting
    basis: Tensor
    means: Tensor
    matrices: Tensor
    y: Tensor
    truth: Tensor
    weights: Tensor
    centres: Tensor
    variances: Tensor

    def posterior(
        self, samples: int, generator: torch.Generator
    ) -> Float[Tensor, "problem samples r"]:
        """Draw exact posterior samples.

        Args:
            samples: per problem, at least 1.
            generator: source of the draws.

        Returns:
            (problem, samples, r), in the basis of each problem.
        """
        chosen = torch.multinomial(
            self.weights, samples, replacement=True, generator=generator
        )
        picked = self.centres.gather(
            1, chosen[..., None].expand(-1, -1, self.means.shape[2])
        )
        noise = torch.randn(picked.shape, generator=generator, dtype=torch.float64)
        return picked + self.variances.sqrt()[:, None] * noise

    def lifted(
        self, problem: int, found: Tensor, spread: float, generator: torch.Generator
    ) -> Float[Tensor, "samples dim"]:
        """Return samples of one problem in all `dim` coordinates.

        Args:
            problem: index of the problem.
            found: (samples, r), in the basis of the problem.
            spread: standard deviation of each coordinate orthogonal to the basis.
            generator: draws those coordinates.
        """
        basis = self.basis[problem]
        noise = torch.randn(
            len(found), len(basis), generator=generator, dtype=torch.float64
        )
        return found.double() @ basis.T + spread * (noise - noise @ basis @ basis.T)


def draw_problems(
    setting: MixtureSetting, generator: torch.Generator
) -> MixtureProblems:
    """Draw the random problems of a setting.

    Args:
        setting: sizes, noise and number of problems.
        generator: source of the draws.

    Returns:
        The problems, in double precision.
    """
    dim, q, count = setting.dim, setting.observations, setting.problems
    means = component_means(dim)
    normal = torch.randn(count, q, dim, generator=generator, dtype=torch.float64)
    left, _, right = torch.linalg.svd(normal, full_matrices=False)
    singular = torch.rand(count, q, generator=generator, dtype=torch.float64)
    singular = singular.sort(dim=1, descending=True).values
    chosen = torch.randint(len(means), (count,), generator=generator)
    noise = torch.randn(count, dim, generator=generator, dtype=torch.float64)
    truth = means[chosen] + sqrt(setting.variance) * noise
    plane = torch.eye(2, dtype=torch.float64).repeat(dim // 2, 1).expand(count, dim, 2)
    basis = torch.linalg.qr(torch.cat((right.mT, plane), dim=2)).Q
    # The first q columns are the right singular vectors up to their signs: there H is
    # left * S.
    signed = left * (right @ basis[..., :q]).diagonal(dim1=1, dim2=2)[:, None]
    matrices = torch.nn.functional.pad(signed * singular[:, None], (0, 2))
    truth = torch.einsum("pd,pdr->pr", truth, basis)
    noise = torch.randn(count, q, generator=generator, dtype=torch.float64)
    y = torch.einsum("pqr,pr->pq", matrices, truth) + setting.sigma * noise
    inside = means @ basis
    seen = torch.einsum("pqj,pq->pj", signed, y)
    given = _condition(inside, torch.nn.functional.pad(singular, (0, 2)), seen, setting)
    return MixtureProblems(setting, basis, inside, matrices, y, truth, *given)


def _condition(
    means: Tensor, singular: Tensor, seen: Tensor, setting: MixtureSetting
) -> tuple[Tensor, Tensor, Tensor]:
    """Return weights, means and variances of the components given y, by coordinate.

    Coordinate j < q is observed as seen[j] = singular[j] x[j] + sigma noise, the others
    are not.
    """
    variance, q = setting.variance, setting.observations
    total = singular**2 * variance + setting.sigma**2
    gain = singular * variance / total
    surprise = (
        torch.nn.functional.pad(seen, (0, 2))[:, None] - singular[:, None] * means
    )
    surprise[..., q:] = 0
    logits = -0.5 * (surprise**2 / total[:, None]).sum(2)
    return (
        logits.softmax(1),
        means + gain[:, None] * surprise,
        variance * (1 - gain * singular),
    )


class ProblemOperator(LinearOperator):
    """The H of all problems at once, on batches laid out as (..., problem, sample).

    In the coordinates of `MixtureProblems` the right singular vectors are the unit
    vectors.

    Args:
        problems: whose matrices to apply.
        samples: rows of the batch per problem.
    """

    def __init__(self, problems: MixtureProblems, samples: int) -> None:
        """Keep the matrices; each sample has the q singular values of its problem."""
        count, q, r = problems.matrices.shape
        singular = problems.matrices.norm(dim=1)[:, :q]
        super().__init__((r,), (q,), singular.repeat_interleave(samples, 0))
        self._layout = (count, samples)
        left = problems.matrices[..., :q] / singular[:, None]
        self._keep(_matrices=problems.matrices, _left=left)

    def _A(self, images: Tensor) -> Tensor:
        return self._times(images, self._matrices.mT)

    def _A_adjoint(self, observations: Tensor) -> Tensor:
        return self._times(observations, self._matrices)

    def _V_adjoint(self, images: Tensor) -> Tensor:
        return images

    def _V(self, coefficients: Tensor) -> Tensor:
        return coefficients

    def _U_adjoint(self, observations: Tensor) -> Tensor:
        return self._times(observations, self._left)

    def _times(self, rows: Tensor, right: Tensor) -> Tensor:
        return (rows.unflatten(0, (-1, *self._layout)) @ right).flatten(0, 2)


def prior_moments(
    problems: MixtureProblems, process: Process, samples: int, dtype: torch.dtype
) -> Moments:
    """Return the Tweedie moments of the mixture in closed form.

    With q = mean^2 variance + std^2, w the probabilities of the components given u, and
    S their covariance under w, the score is (mean sum_k w_k mu_k - u) / q and
    J = mean variance / q I + mean std^2 / q^2 S. Differentiating the score gives the
    same, but more slowly; a test compares the two.

    Args:
        problems: whose prior; the basis differs from problem to problem.
        process: the forward process.
        samples: rows of the batch per problem.
        dtype: of the computation.

    Returns:
        moments(u, t) for u (problem * samples, r), the samples of a problem in
        succession, and one time for all.
    """
    means = problems.means.to(dtype)
    squares = 0.5 * means.square().sum(2)[:, None]
    variance, layout = problems.setting.variance, (len(means), samples)

    def moments(u: Tensor, t: Tensor) -> TweedieMoments:
        m, v = process.mean(t).item(), process.std(t).item() ** 2
        q = m**2 * variance + v
        u = u.unflatten(0, layout)
        shares = ((m / q) * (u @ means.mT) - (m**2 / q) * squares).softmax(2)
        expected = shares @ means

        def pull(cotangents: Tensor) -> Tensor:
            c = cotangents.unflatten(-2, layout)
            away = c @ means.mT - (c * expected).sum(-1, keepdim=True)
            between = (shares * away) @ means
            return ((m * variance / q) * c + (m * v / q**2) * between).flatten(-3, -2)

        score = ((m * expected - u) / q).flatten(0, 1)
        mean = ((m * variance * u + v * expected) / q).flatten(0, 1)
        return moments_at(process, t, score, mean, pull)

    return moments


def posterior_score(
    problems: MixtureProblems, process: Process, samples: int, dtype: torch.dtype
) -> Score:
    """Return the exact score of p(u_t | y), in closed form.

    It is the score of the posterior mixture under the process.

    Args:
        problems: whose posteriors.
        process: the forward process.
        samples: rows of the batch per problem.
        dtype: of the computation.

    Returns:
        score(u, t) for u (problem * samples, r), the samples of a problem in
        succession, and one time for all.
    """
    centres = problems.centres.to(dtype)
    logs, layout = problems.weights.log().to(dtype)[:, None], (len(centres), samples)

    def score(u: Tensor, t: Tensor) -> Tensor:
        m, v = process.mean(t).item(), process.std(t).item() ** 2
        q = (m**2 * problems.variances + v).to(dtype)[:, None]
        u = u.unflatten(0, layout)
        squares = 0.5 * m**2 * (centres.square() / q).sum(2)[:, None]
        shares = (logs + (m * u / q) @ centres.mT - squares).softmax(2)
        return ((m * (shares @ centres) - u) / q).flatten(0, 1)

    return score


def unobserved_std(
    process: Process,
    grid: Float[Tensor, " times"],
    variance: float,
    eta: float | None = None,
) -> float:
    """Return the standard deviation that a sampler gives an unobserved coordinate.

    Args:
        process: the forward process.
        grid: the sampler's times, descending.
        variance: of the coordinate, N(0, variance) under the prior.
        eta: None for the ancestral sampler, else that of DDRM.
    """
    found = process.std(grid[0]).item() ** 2
    for k, (t, earlier) in enumerate(pairwise(grid)):
        m, v = process.mean(t).item(), process.std(t).item() ** 2
        after = process.std(earlier).item()
        fresh = (
            process.bridge_factors(t, earlier)[2].item() if eta is None else eta * after
        )
        kept = sqrt(max(after**2 - fresh**2, 0.0))
        clean = m * variance / (m**2 * variance + v)
        factor = process.mean(earlier).item() * clean + kept * (1 - m * clean) / sqrt(v)
        found = factor**2 * found + (fresh**2 if k < len(grid) - 2 else 0.0)
    return sqrt(found)
