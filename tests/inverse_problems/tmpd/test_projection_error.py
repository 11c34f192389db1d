import pytest
import torch

from src.common.diffusion.gaussian_mixture import GaussianMixture
from src.common.diffusion.samplers import euler_maruyama, time_grid
from src.common.images.operators import MatrixOperator
from src.inverse_problems.tmpd.guidance import exact_guidance
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
