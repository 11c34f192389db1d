"""The samplers do not know what the state of a process holds: here it holds a hidden number."""

import pytest
import torch

from src.common.diffusion.samplers import ancestral, euler_maruyama, probability_flow, time_grid
from tests.common.diffusion.gaussian_data import DATA, gaussian_score, generator
from tests.common.diffusion.hidden_process import ColouredNoise


def test_the_process_with_hidden_numbers_has_the_marginals_it_claims():
    process, paths, steps = ColouredNoise(), 20_000, 400
    draw = generator(3)
    hidden = torch.randn(paths, 1, generator=draw, dtype=torch.float64) / 6**0.5
    state = torch.stack((torch.full((paths, 1), 1.5, dtype=torch.float64), hidden))
    for k in range(steps):
        xi = torch.randn(paths, 1, generator=draw, dtype=torch.float64)
        t = k / steps
        state = state + process.drift(state, t) / steps + process.spread(xi, t) / steps**0.5
    measured = state[..., 0].cov()
    torch.testing.assert_close(measured, process.covariance(1.0), rtol=0.05, atol=0.01)
    observed = process.observe(state, 1.0)
    assert observed.std().item() == pytest.approx(process.std(1.0).item(), rel=0.04)
    both = torch.stack((observed[:, 0], state[1, :, 0]))
    assert abs(both.corrcoef()[0, 1].item()) < 4 / paths**0.5


@pytest.mark.parametrize("sampler", [ancestral, euler_maruyama])
def test_samplers_carry_hidden_numbers(sampler):
    process = ColouredNoise()

    def error(steps):
        state = process.start((10_000, 1, 2, 2), generator(1), torch.float64)
        assert state.shape == (2, 10_000, 1, 2, 2)
        result = sampler(process, gaussian_score(process), state, time_grid(steps), generator(2))
        assert result.shape == (10_000, 1, 2, 2)
        assert abs(result.mean().item()) < 4 * DATA / 40_000**0.5
        return abs(result.std().item() / DATA - 1)

    # First order, as for a process without hidden numbers.
    late, noise = error(400), 4 / 80_000**0.5
    assert late < 0.03 and late < 0.4 * error(100) + noise


def test_the_probability_flow_with_hidden_numbers_has_the_exact_variance():
    # The flow is linear: its matrix, read off the unit vectors, gives the variance without noise.
    process = ColouredNoise()
    unit = torch.eye(2, dtype=torch.float64).unsqueeze(-1)  # (state, batch, pixels)
    start = process.covariance(1.0)
    start[0, 0] += process.mean(1.0).item() ** 2 * DATA**2
    errors = []
    for steps in (100, 200, 400):
        row = probability_flow(process, gaussian_score(process), unit, time_grid(steps))[:, 0]
        errors.append(abs((row @ start @ row).item() / DATA**2 - 1))
    assert errors[-1] < 2e-3
    assert errors[0] / errors[1] > 3 and errors[1] / errors[2] > 3
