from itertools import pairwise
from statistics import mean

import pytest
import torch

from src.common.diffusion.gaussian_mixture import GaussianMixture
from src.common.diffusion.processes import LinearVP
from src.common.diffusion.samplers import time_grid
from src.common.images.operators import MatrixOperator
from src.inverse_problems.tmpd import mixture_experiments
from src.inverse_problems.tmpd.guidance import dps, dps_continuous
from src.inverse_problems.tmpd.mixture_experiments import (
    ANCESTRAL_ONLY,
    DDRM_ETA,
    METHODS,
    PUBLISHED_STEP,
    SAMPLERS,
    Budget,
    compare,
    draw,
    sensitivity,
    stability,
)
from src.inverse_problems.tmpd.mixture_problems import (
    MixtureSetting,
    draw_problems,
    forward_process,
    unobserved_std,
)
from src.inverse_problems.tmpd.tweedie import tmpd

SETTING = MixtureSetting(problems=4)
BUDGET = Budget(samples=100, steps=60, directions=50)


@pytest.mark.parametrize("process", ["vp", "ve"])
def test_exact_guidance_reaches_the_floor(process):
    setting = MixtureSetting(observations=4, problems=8)
    budget = Budget(process, samples=400, steps=300, directions=100)
    found = compare(setting, budget, 1, methods=["exact"])
    assert mean(found["exact"]) < 1.3 * mean(found["floor"])


def test_every_method_gives_one_number_a_problem_and_again_the_same():
    found = compare(SETTING, BUDGET, 1, 0.1)
    assert set(found) == {"floor", *METHODS}
    assert all(len(values) == 4 and min(values) > 0 for values in found.values())
    assert compare(SETTING, BUDGET, 1, 0.1, ["full"])["full"] == found["full"]
    assert compare(SETTING, BUDGET, 2, 0.1, ["full"])["full"] != found["full"]


def test_with_one_observation_full_and_diagonal_are_one():
    setting = MixtureSetting(observations=1, problems=3)
    budget = Budget(samples=100, steps=60, directions=50, double=True)
    found = compare(setting, budget, 1, methods=["full", "diagonal"])
    assert found["full"] == pytest.approx(found["diagonal"])


def test_with_one_component_size_full_is_nearer_than_its_approximations():
    setting = MixtureSetting(observations=4, sigma=0.01, problems=8)
    found = compare(setting, BUDGET, 1, methods=["exact", "full", "diagonal", "row_sum"])
    assert mean(found["exact"]) < mean(found["full"]) < mean(found["diagonal"])


def test_the_surface_has_a_row_for_each_constant():
    found = sensitivity(SETTING, BUDGET, 1, [0.1, 1.0])
    assert [len(row) for row in found["dps"]] == [4, 4]
    assert found["dps"][1] == compare(SETTING, BUDGET, 1, 1.0, ["dps"])["dps"]


def test_prior_like_samples_are_stable_and_those_that_blow_up_are_not(monkeypatch):
    good = stability(SETTING, BUDGET, 1, methods=["exact", "full"])
    assert good == {"exact": [1.0] * 4, "full": [1.0] * 4}
    found = stability(MixtureSetting(sigma=0.01, problems=4), BUDGET, 1, methods=["dps likelihood"])
    assert mean(found["dps likelihood"]) < 0.5

    def broken(problems, budget, method, generator, dps_step):
        samples = problems.posterior(budget.samples, generator)
        samples[:, 0], samples[:, 1:4] = torch.nan, torch.inf
        samples[:, 4] = 1e3
        return samples

    monkeypatch.setattr(mixture_experiments, "draw", broken)
    assert stability(SETTING, BUDGET, 1, methods=["full"])["full"] == [0.95] * 4


def test_every_method_has_the_steps_and_the_constant_that_it_is_given():
    """A method of `compare` is the sampler run by hand with the guidance of that name."""
    problems = draw_problems(SETTING, torch.Generator().manual_seed(1))
    budget = Budget(samples=5, steps=7, double=True)
    process, grid = LinearVP(0.1, 25.0), time_grid(7)
    guidance = {
        "dps": lambda *known: dps(*known, 0.4, grid),
        "dps published": lambda *known: dps(*known, PUBLISHED_STEP, grid),
        "dps continuous": lambda *known: dps_continuous(*known, 7 * 0.4),
        "full": lambda *known: tmpd(*known, SETTING.sigma),
    }
    for method, guide in guidance.items():
        found = draw(problems, budget, method, torch.Generator().manual_seed(2), 0.4)
        for k in range(4):
            y, h = problems.y[k], problems.matrices[k]
            prior = GaussianMixture.isotropic(problems.means[k], SETTING.variance)
            guided = guide(prior.score_under(process), process, MatrixOperator(h), y)
            generator = torch.Generator().manual_seed(2)
            rows = slice(5 * k, 5 * k + 5)
            state = process.start((20, 4), generator, torch.float64)[rows]
            noise = [torch.randn(20, 4, generator=generator, dtype=torch.float64) for _ in range(6)]
            for i in range(7):
                t, earlier = grid[i], grid[i + 1]
                clean = process.denoised(state, guided(state, t), t)
                fresh = noise[i][rows] if i < 6 else torch.zeros_like(state)
                state = process.bridge(state, clean, t, earlier, fresh)
            assert torch.allclose(found[k], state, rtol=1e-6, atol=1e-8)


def test_coordinates_that_nobody_sees_get_the_spread_of_the_sampler_that_drew_the_others(
    monkeypatch,
):
    setting, budget = MixtureSetting(dim=20, observations=1, problems=2), Budget("ve", 20, 8, 5)
    process, grid, asked = forward_process("ve", 20), time_grid(8), []
    ancestral, ddrm = (unobserved_std(process, grid, 1.0, eta) for eta in (None, DDRM_ETA))
    assert abs(ancestral - ddrm) > 0.03  # one in place of the other would be wrong

    def noting(*given):
        asked.append(unobserved_std(*given))
        return asked[-1]

    monkeypatch.setattr(mixture_experiments, "unobserved_std", noting)
    compare(setting, budget, 3, methods=["full", "ddrm", "exact"])
    assert asked == [ancestral, ddrm, ancestral]


def test_exact_samples_have_the_variance_of_the_prior_where_nobody_sees():
    setting = MixtureSetting(dim=40, observations=1, problems=2, variance=4.0)
    problems = draw_problems(setting, torch.Generator().manual_seed(1))
    samples = mixture_experiments._Ruler(problems, Budget(samples=400, steps=8), 3)._exact[0]
    values = torch.linalg.eigvalsh(torch.cov(samples.T))
    assert values.quantile(0.5).item() == pytest.approx(4.0, rel=0.1)


def test_the_grid_of_constants_is_even_on_a_logarithmic_scale():
    steps = mixture_experiments.STEPS_OF_DPS
    ratios = [late / early for early, late in pairwise(steps)]
    assert steps[0] < 0.1 * PUBLISHED_STEP and max(ratios) / min(ratios) < 1.2


@pytest.mark.parametrize("method", ANCESTRAL_ONLY)
def test_methods_that_shift_ancestral_steps_are_refused_with_other_samplers(method):
    problems = draw_problems(SETTING, torch.Generator().manual_seed(1))
    budget = Budget(samples=2, steps=3, sampler="euler_maruyama")
    with pytest.raises(ValueError, match="ancestral"):
        draw(problems, budget, method, torch.Generator().manual_seed(2))
    drawn = draw(problems, budget, "dps continuous", torch.Generator().manual_seed(2))
    assert drawn.shape == (4, 2, 4)


def test_the_sampler_of_the_budget_is_used():
    problems = draw_problems(SETTING, torch.Generator().manual_seed(1))
    one, two = (
        draw(problems, Budget(samples=2, steps=9, sampler=name), "full",
             torch.Generator().manual_seed(2))
        for name in SAMPLERS
    )  # fmt: skip
    assert not torch.allclose(one, two)


BAD = [{"sampler": "ddim"}, {"process": "vpp"}, {"samples": 0}, {"steps": 0}, {"directions": 0}]


@pytest.mark.parametrize("bad", BAD)
def test_budgets_that_buy_nothing_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        Budget(**bad)


def test_stability_is_judged_against_the_size_of_the_prior(monkeypatch):
    """Samples of the prior of a given size, and the limit of three times their mean square."""
    problems = draw_problems(SETTING, torch.Generator().manual_seed(1))
    usual = problems.means.square().sum(2).mean().item() + SETTING.dim * SETTING.variance
    rest = (SETTING.dim - 4) * SETTING.variance

    def of_size(factor):
        samples = torch.zeros(4, 3, 4, dtype=torch.float64)
        samples[..., 0] = (factor * 3 * usual - rest) ** 0.5
        monkeypatch.setattr(mixture_experiments, "draw", lambda *_: samples)
        monkeypatch.setattr(mixture_experiments, "draw_problems", lambda *_: problems)
        return stability(SETTING, BUDGET, 1, methods=["full"])["full"]

    assert of_size(0.999) == [1.0] * 4 and of_size(1.001) == [0.0] * 4
