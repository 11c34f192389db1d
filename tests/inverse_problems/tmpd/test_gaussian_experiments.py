import math
from statistics import mean

import pytest
import torch

from src.common.diffusion.gaussian_mixture import GaussianMixture
from src.common.diffusion.samplers import ancestral, euler_maruyama, time_grid
from src.common.images.operators import MatrixOperator
from src.inverse_problems.tmpd.gaussian_experiments import (
    FIELD_METHODS,
    LARGEST,
    FieldSetting,
    draw_field_problems,
    field_distances,
    field_process,
    gaussian_moments,
    linear_score,
    matern_covariance,
)
from src.inverse_problems.tmpd.guidance import dps_likelihood, pigdm
from src.inverse_problems.tmpd.tweedie import tmpd

SMALL = FieldSetting(side=4, observed=5, sigma=0.2, problems=2)


def library_score(problem, process, method, problems):
    """The same guidance by the methods' own code, in the basis of the eigenvectors."""
    prior = GaussianMixture(torch.ones(1), torch.zeros(1, 16), torch.diag(problems.variances))
    parts = (prior.score_under(process), process, MatrixOperator(problems.matrices[problem]))
    parts = (*parts, problems.y[problem], problems.sigma)
    if method == "pigdm":
        return pigdm(*parts)
    if method == "dps likelihood":
        return dps_likelihood(*parts)
    return tmpd(*parts, method)


def a_draw(setting=SMALL):
    return draw_field_problems(setting, torch.Generator().manual_seed(1))


def test_the_covariance_is_materns():
    covariance = matern_covariance(3, nugget=0.0)
    distance = math.sqrt(5) * 5.0
    assert covariance[0, 0] == pytest.approx(1.0)
    wanted = (1 + distance + distance**2 / 3) * math.exp(-distance)
    assert covariance[0, 1].item() == pytest.approx(wanted)
    assert torch.linalg.eigvalsh(matern_covariance(8)).min() > 0


@pytest.mark.parametrize("name", ["vp", "ve"])
@pytest.mark.parametrize("method", FIELD_METHODS)
def test_the_affine_scores_are_those_of_the_methods(name, method):
    problems, process = a_draw(), field_process(name)
    points = torch.cat([torch.zeros(1, 16), torch.eye(16)]).double()
    for t in (torch.tensor(0.02).double(), torch.tensor(0.6).double()):
        gain, offset = linear_score(problems, process, method)(t)
        for k in range(2):
            values = library_score(k, process, method, problems)(points, t)
            size = values.abs().max()
            assert (offset[k] - values[0]).abs().max() < 1e-9 * size
            assert (gain[k] - (values[1:] - values[0]).T).abs().max() < 1e-9 * size


@pytest.mark.parametrize("sampler", [euler_maruyama, ancestral])
def test_the_moments_are_those_of_the_samplers(sampler):
    problems, process, grid = a_draw(), field_process("vp"), time_grid(25)
    average, covariance = gaussian_moments(
        process, linear_score(problems, process, "diagonal"), grid, sampler.__name__
    )
    generator = torch.Generator().manual_seed(2)
    state = process.start((30_000, 16), generator, torch.float64)
    score = library_score(1, process, "diagonal", problems)
    found = sampler(process, score, state, grid, generator)
    assert (found.mean(0) - average[1]).abs().max() < 0.03
    assert ((found.T.cov() - covariance[1]).norm() / covariance[1].norm()).item() < 0.04


def test_the_posterior_is_the_textbooks():
    problems = a_draw()
    average, covariance = problems.posterior()
    for k in range(2):
        h = problems.matrices[k]
        precision = torch.diag(1 / problems.variances) + h.T @ h / 0.2**2
        assert torch.allclose(covariance[k], torch.linalg.inv(precision), atol=1e-10)
        wanted = torch.linalg.solve(precision, h.T @ problems.y[k]) / 0.2**2
        assert torch.allclose(average[k], wanted, atol=1e-8)


def test_the_full_form_converges_and_the_others_stop_short():
    setting = FieldSetting(side=6, observed=12, problems=2)
    steps = (100, 200, 400, 800)
    found = field_distances(setting, "vp", "euler_maruyama", steps, seed=1)
    full = [mean(row) for row in found["full"]]
    slope = math.log(full[-1] / full[0]) / math.log(steps[-1] / steps[0])
    assert -2.3 < slope < -1.7
    for method in ("diagonal", "row_sum", "pigdm"):
        assert mean(found[method][-1]) > 20 * full[-1]
        assert mean(found[method][-1]) > 0.5 * mean(found[method][1])


def test_overflow_is_reported_as_the_largest_number():
    setting = FieldSetting(side=4, observed=5, sigma=0.001, problems=2)
    found = field_distances(setting, "vp", "ancestral", (30,), 1, ("dps likelihood",))
    assert found["dps likelihood"] == [[LARGEST, LARGEST]]


def test_unknown_names_are_refused():
    problems = a_draw()
    with pytest.raises(ValueError, match="vp or ve"):
        field_process("vpp")
    score = linear_score(problems, field_process("vp"), "cg")
    with pytest.raises(ValueError, match="full, diagonal"):
        score(torch.tensor(0.5).double())
    with pytest.raises(ValueError, match="ancestral"):
        gaussian_moments(field_process("vp"), score, time_grid(2), "ddim")


BAD = {
    "side must": {"side": 1},
    "observed must": {"side": 3, "observed": 10},
    "sigma must": {"sigma": 0.0},
    "problems must": {"problems": 0},
    "nugget must": {"nugget": -1.0},
}


@pytest.mark.parametrize("message", BAD)
def test_fields_that_cannot_be_are_refused(message):
    with pytest.raises(ValueError, match=message):
        FieldSetting(**BAD[message])


def test_times_must_descend():
    problems, process = a_draw(), field_process("vp")
    score = linear_score(problems, process, "full")
    with pytest.raises(ValueError, match="descend"):
        gaussian_moments(process, score, time_grid(5).flip(0), "ancestral")
