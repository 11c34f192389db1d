from statistics import mean

import pytest
import torch

from src.inverse_problems.tmpd import mixture_experiments
from src.inverse_problems.tmpd.mixture_experiments import (
    METHODS,
    Budget,
    compare,
    sensitivity,
    stability,
)
from src.inverse_problems.tmpd.mixture_problems import MixtureSetting

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
