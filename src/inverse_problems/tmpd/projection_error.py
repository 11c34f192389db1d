"""How far the Gaussian projection leads a sampler astray, on a line, without sampling.

The prior is an even mixture of two unit Gaussians, `separation` apart, and y = x +
sigma noise. At separation 0 the law of x_0 given x_t is Gaussian and the projection
exact; the further apart the components, the less Gaussian it is. On a grid of points
the law of an Euler-Maruyama chain can be propagated as a vector, so every number below
is free of Monte Carlo error.

For two such chains with the same start and noise but different guidance, A and B, the
chain rule for the Kullback-Leibler divergence of their paths reads

    KL(paths of A | paths of B)
        = 1/2 sum_k g(t_k)^2 size_k E_A |guidance_A - guidance_B|^2,

and the divergence of the laws of their last points is at most that. With A the exact
guidance this is a bound on the error of the projection that can be checked; it vanishes
where p(x_0 | x_t) is Gaussian. (It is a standard argument, not the theorem of the
paper, whose constants we cannot see.)
"""

from dataclasses import asdict, dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from src.common.diffusion.gaussian_mixture import GaussianMixture
from src.common.diffusion.processes import LinearVP
from src.common.diffusion.samplers import time_grid
from src.common.images.operators import MatrixOperator
from src.inverse_problems.tmpd.guidance import pigdm
from src.inverse_problems.tmpd.tweedie import tmpd

# Noise enters fast enough everywhere for the grid of points to resolve it.
PROCESS = LinearVP(1.0, 20.0)
TINY = 1e-300


@dataclass(frozen=True)
class LineSetting:
    """The problem on the line, and how finely it is computed.

    Attributes:
        y: the observation.
        sigma: standard deviation of its noise, above 0.
        steps: of the chains.
        points: on which laws are represented, at least 2.
    """

    y: float = 0.5
    sigma: float = 1.0
    steps: int = 200
    points: int = 400


@dataclass(frozen=True)
class ProjectionError:
    """What one separation gives.

    Attributes:
        separation: distance of the two components.
        non_gaussian: KL divergence of p(x_0 | x_t) from the Gaussian with its moments,
            averaged over the exact chain and about 20 of its times.
        bound: the divergence of the paths, exact guidance from the method's.
        divergence: that of the laws of the last points; at most `bound`.
        distance: 1-Wasserstein distance of these laws.
        discretisation: 1-Wasserstein distance of the exact chain's law from the
            posterior, noisy as the chain's last time leaves it: what the finite steps
            alone cost.
    """

    separation: float
    non_gaussian: float
    bound: float
    divergence: float
    distance: float
    discretisation: float


def projection_errors(
    separations: list[float] | tuple[float, ...],
    setting: LineSetting,
    method: str = "tmpd",
) -> list[dict[str, float]]:
    """Return a `ProjectionError`, as a dictionary, for each separation.

    Args:
        separations: distances of the two components, at least 0.
        setting: the problem on the line.
        method: "tmpd" or "pigdm".
    """
    return [asdict(projection_error(float(s), setting, method)) for s in separations]


def projection_error(
    separation: float, setting: LineSetting, method: str
) -> ProjectionError:
    """Return the error of a method's guidance for one separation.

    Args:
        separation: distance of the two components, at least 0.
        setting: the problem on the line.
        method: "tmpd" or "pigdm".

    Raises:
        ValueError: for another method.
    """
    means = torch.tensor([[-0.5], [0.5]], dtype=torch.float64) * separation
    prior = GaussianMixture.isotropic(means, 1.0)
    reach = 0.5 * separation + 7.0
    points = torch.linspace(-reach, reach, setting.points, dtype=torch.float64)
    operator, y = (
        MatrixOperator(torch.ones(1, 1)),
        torch.tensor([setting.y], dtype=torch.float64),
    )
    guides = {"tmpd": tmpd, "pigdm": pigdm}
    if method not in guides:
        raise ValueError(f"method must be tmpd or pigdm, not {method!r}")
    guide = guides[method]
    guided = guide(prior.score_under(PROCESS), PROCESS, operator, y, setting.sigma)
    posterior = prior.posterior(operator.matrix(), y, setting.sigma)
    # The last time is not 0: the chains keep their noise to the end, so all laws have
    # densities.
    grid = time_grid(setting.steps, last=1.0 / setting.steps)
    law = other = torch.softmax(-0.5 * points**2, 0)
    bound, shapes, every = 0.0, [], max(1, setting.steps // 20)
    for k, (t, earlier) in enumerate(pairwise(grid)):
        size, strength = (t - earlier).item(), PROCESS.diffusion(t).item() ** 2
        right = posterior.score_under(PROCESS)(points[:, None], t)[:, 0]
        wrong = guided(points[:, None], t)[:, 0]
        bound += 0.5 * size * strength * float(law @ (right - wrong) ** 2)
        if k % every == 0:
            shapes.append(float(law @ _non_gaussianity(prior, points, t)))
        law = law @ _transition(points, right, t, size)
        other = other @ _transition(points, wrong, t, size)
    mean, std = PROCESS.mean(grid[-1]), PROCESS.std(grid[-1])
    true = posterior.log_density(points[:, None], mean, std).softmax(0)
    width = float(points[1] - points[0])
    distances = [float((law - q).cumsum(0).abs().sum()) * width for q in (other, true)]
    divergence = float((law * ((law + TINY) / (other + TINY)).log()).sum())
    return ProjectionError(
        separation, sum(shapes) / len(shapes), bound, divergence, *distances
    )


def _transition(
    points: Float[Tensor, " points"],
    score: Float[Tensor, " points"],
    t: Tensor,
    size: float,
) -> Float[Tensor, "points points"]:
    """Return the probabilities of an Euler-Maruyama step between all points."""
    rate, strength = PROCESS.rate(t).item(), PROCESS.diffusion(t).item() ** 2
    centres = points - size * rate * points + size * strength * score
    away = (points[None] - centres[:, None]) ** 2
    return (-away / (2 * size * strength)).softmax(1)


def _non_gaussianity(
    prior: GaussianMixture, points: Float[Tensor, " points"], t: Tensor
) -> Float[Tensor, " points"]:
    """Return KL(p(x_0 | x_t) | Gaussian with its moments) for x_t at every point.

    Entropy of the Gaussian minus that of p(x_0 | x_t), by summation over standardised
    x_0.
    """
    mean, std = PROCESS.mean(t), PROCESS.std(t)
    centre = prior.denoised(points[:, None], mean, std)
    spread = prior.covariance_given(points[:, None], mean, std)[:, 0].sqrt()
    axis = torch.linspace(-8.0, 8.0, 161, dtype=torch.float64)
    clean = centre + spread * axis
    log_prior = prior.log_density(clean.reshape(-1, 1)).reshape(clean.shape)
    logits = log_prior - (points[:, None] - mean * clean) ** 2 / (2 * std**2)
    share = logits.log_softmax(1)
    normal = (-0.5 * axis**2).log_softmax(0)
    return (share.exp() * (share - normal)).sum(1).clamp(min=0)
