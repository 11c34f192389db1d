from itertools import pairwise

import pytest
import torch

from src.common.diffusion.gaussian_mixture import GaussianMixture
from src.common.diffusion.samplers import euler_maruyama, time_grid
from src.common.images.operators import MatrixOperator
from src.inverse_problems.tmpd.guidance import exact_guidance, pigdm
from src.inverse_problems.tmpd.projection_error import (
    PROCESS,
    LineSetting,
    projection_error,
    projection_errors,
)
from src.inverse_problems.tmpd.tweedie import tmpd

SETTING = LineSetting(steps=80, points=250)


def test_the_projection_is_exact_on_gaussian_data_and_errs_more_the_less_gaussian_they_are():
    errors = [projection_error(s, SETTING, "tmpd") for s in (0.0, 2.0, 5.0)]
    assert max(errors[0].bound, errors[0].divergence, errors[0].distance) < 1e-10
    for name in ("non_gaussian", "bound", "divergence", "distance"):
        values = [getattr(error, name) for error in errors]
        assert values == sorted(values) and values[1] > 1e-4


@pytest.mark.parametrize("method", ["tmpd", "pigdm"])
def test_the_divergence_stays_below_its_bound(method):
    for error in projection_errors([1.0, 4.0], SETTING, method):
        assert 0 < error["divergence"] < error["bound"]


def test_the_exact_chain_ends_near_the_posterior():
    coarse, fine = (
        projection_error(3.0, LineSetting(steps=steps, points=350), "tmpd").discretisation
        for steps in (40, 120)
    )
    assert fine < 0.45 * coarse < 0.02


def test_the_distance_is_what_samples_show():
    prior = GaussianMixture.isotropic(torch.tensor([[-3.0], [3.0]]).double(), 1.0)
    generator, grid = torch.Generator().manual_seed(1), time_grid(80, last=1 / 80)
    y, state = torch.tensor([0.5]).double(), torch.randn(40_000, 1, generator=generator).double()
    operator = MatrixOperator(torch.ones(1, 1))
    exact = exact_guidance(prior, PROCESS, operator.matrix(), y, 1.0)
    wrong = tmpd(prior.score_under(PROCESS), PROCESS, operator, y, 1.0)
    one, two = (
        euler_maruyama(PROCESS, f, state, grid, torch.Generator().manual_seed(2)).sort(0).values
        for f in (exact, wrong)
    )
    found = projection_error(6.0, SETTING, "tmpd").distance
    assert (one - two).abs().mean().item() == pytest.approx(found, rel=0.1)


def kernel(points, score, t, size):
    """Log probabilities of an Euler-Maruyama step between all points."""
    rate, strength = PROCESS.rate(t), PROCESS.diffusion(t) ** 2
    centres = points - size * (rate * points - strength * score)
    log = -((points[None] - centres[:, None]) ** 2) / (2 * strength * size)
    return log - log.logsumexp(1, keepdim=True)


def distance_from_a_gaussian(prior, points, t):
    """KL(p(x_0 | x_t) | Gaussian with its moments), by integration over a fixed axis of x_0."""
    mean, std, axis = PROCESS.mean(t), PROCESS.std(t), torch.linspace(-16, 16, 3201).double()
    density = prior.log_density(axis[:, None]) - (points[:, None] - mean * axis) ** 2 / (2 * std**2)
    density = density - density.logsumexp(1, keepdim=True)
    share = density.exp()
    centre = (share * axis).sum(1, keepdim=True)
    variance = (share * (axis - centre) ** 2).sum(1, keepdim=True)
    normal = (-0.5 * (axis - centre) ** 2 / variance).log_softmax(1)
    return (share * (density - normal)).sum(1)


@pytest.mark.parametrize(("method", "guide"), [("tmpd", tmpd), ("pigdm", pigdm)])
def test_bound_and_divergence_are_those_of_two_chains_written_out(method, guide):
    """The divergence of the paths by the chain rule, step by step between all pairs of points."""
    setting, apart = LineSetting(y=1.5, steps=60, points=250), 5.0
    prior = GaussianMixture.isotropic(torch.tensor([[-2.5], [2.5]]).double(), 1.0)
    operator, y = MatrixOperator(torch.ones(1, 1)), torch.tensor([1.5]).double()
    exact = exact_guidance(prior, PROCESS, operator.matrix(), y, 1.0)
    guided = guide(prior.score_under(PROCESS), PROCESS, operator, y, 1.0)
    points = torch.linspace(-9.5, 9.5, 250, dtype=torch.float64)
    right = wrong = torch.softmax(-0.5 * points**2, 0)
    bound = reverse = 0.0
    shapes = []
    for k, (t, earlier) in enumerate(pairwise(time_grid(60, last=1 / 60))):
        if k % 3 == 0:
            shapes.append(float(right @ distance_from_a_gaussian(prior, points, t)))
        one, two = (kernel(points, f(points[:, None], t)[:, 0], t, t - earlier)
                    for f in (exact, guided))  # fmt: skip
        bound += float(right @ (one.exp() * (one - two)).sum(1))
        reverse += float(wrong @ (two.exp() * (two - one)).sum(1))
        right, wrong = right @ one.exp(), wrong @ two.exp()
    found = projection_error(apart, setting, method)
    assert found.bound == pytest.approx(bound, rel=1e-9)
    assert abs(reverse / bound - 1) > 0.3  # averaged under the other chain it is another number
    assert found.divergence == pytest.approx(float((right * (right / wrong).log()).sum()), rel=1e-6)
    assert found.non_gaussian == pytest.approx(sum(shapes) / 20, rel=1e-4)
    width = float(points[1] - points[0])
    assert found.distance == pytest.approx(
        float((right.cumsum(0) - wrong.cumsum(0)).abs().sum()) * width, rel=1e-6
    )


def test_lines_that_mean_nothing_are_refused():
    for bad in (
        {"sigma": 0.0},
        {"steps": 1},
        {"points": 1},
        {"y": float("nan")},
    ):
        with pytest.raises(ValueError, match=next(iter(bad))):
            LineSetting(**bad)
    with pytest.raises(ValueError, match="tmpd or pigdm"):
        projection_error(1.0, SETTING, "dps")
    with pytest.raises(ValueError, match="separation"):
        projection_error(-1.0, SETTING, "tmpd")
    with pytest.raises(ValueError, match="more points"):
        projection_error(1.0, LineSetting(steps=200, points=100), "tmpd")
