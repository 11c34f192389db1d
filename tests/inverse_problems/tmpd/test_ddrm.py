import math

import pytest
import torch

from src.common.diffusion.gaussian_mixture import GaussianMixture
from src.common.diffusion.processes import LinearVP, VarianceExploding
from src.common.diffusion.samplers import time_grid
from src.common.images.operators import Inpainting, MatrixOperator
from src.diffusion.fractional.process import FractionalProcess
from src.inverse_problems.tmpd.ddrm import ddrm
from src.inverse_problems.tmpd.mixture_problems import unobserved_std

VP, VE = LinearVP(0.1, 25.0), VarianceExploding(0.01, 50.0)


def normal(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def number_by_number(process, prior, singular, y, sigma, state, grid, generator, eta, eta_b):
    """DDRM for H = diag(singular), (q, d), written out for one number at a time."""
    x = state.clone() / process.mean(grid[0])
    level = (process.std(grid[0]) / process.mean(grid[0])).item()
    for i in range(x.shape[1]):
        s = singular[i] if i < len(singular) else 0.0
        if s > 0 and level >= sigma / s:
            x[:, i] = y[i] / s + math.sqrt(level**2 - (sigma / s) ** 2) * x[:, i] / level
    for k in range(len(grid) - 1):
        t, earlier = grid[k], grid[k + 1]
        level = (process.std(t) / process.mean(t)).item()
        after = (process.std(earlier) / process.mean(earlier)).item()
        clean = prior.denoised(process.mean(t) * x, process.mean(t), process.std(t))
        z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        z = torch.zeros_like(z) if k == len(grid) - 2 else z
        new = torch.empty_like(x)
        for i in range(x.shape[1]):
            s = singular[i] if i < len(singular) else 0.0
            kept = math.sqrt(1 - eta**2)
            if s == 0:
                away = (x[:, i] - clean[:, i]) / level
                new[:, i] = clean[:, i] + kept * after * away + eta * after * z[:, i]
            elif after < sigma / s:
                away = (y[i] / s - clean[:, i]) / (sigma / s)
                new[:, i] = clean[:, i] + kept * after * away + eta * after * z[:, i]
            else:
                spread = math.sqrt(after**2 - (eta_b * sigma / s) ** 2)
                new[:, i] = (1 - eta_b) * clean[:, i] + eta_b * y[i] / s + spread * z[:, i]
        x = new
    return process.mean(grid[-1]) * x


@pytest.mark.parametrize("process", [VP, VE])
@pytest.mark.parametrize("eta_seen", [1.0, 0.6])
def test_it_is_the_paper_written_out(process, eta_seen):
    prior = GaussianMixture.isotropic(2 * normal(0, 3, 5), 0.5)
    singular, sigma = [2.0, 0.5, 0.03], 0.3
    h = torch.zeros(3, 5, dtype=torch.float64)
    h[range(3), range(3)] = torch.tensor(singular, dtype=torch.float64)
    y, grid = normal(1, 3), torch.tensor([1.0, 0.8, 0.55, 0.3, 0.1, 0.02, 0.0]).double()
    state = process.start((4, 5), torch.Generator().manual_seed(2), torch.float64)
    wanted = number_by_number(
        process, prior, singular, y, sigma, state, grid,
        torch.Generator().manual_seed(3), 0.85, eta_seen,
    )  # fmt: skip
    operator = MatrixOperator(h)
    found = ddrm(
        process, prior.score_under(process), operator, y, sigma, state, grid,
        torch.Generator().manual_seed(3), eta_seen=eta_seen,
    )  # fmt: skip
    assert torch.allclose(found, wanted, rtol=1e-8)


def test_without_noise_it_restores_what_is_seen():
    prior = GaussianMixture.isotropic(2 * normal(0, 3, 6), 0.5)
    mask = torch.tensor([True, False, True, True, False, False])
    y, generator = normal(1, 50, 3), torch.Generator().manual_seed(4)
    state = VP.start((50, 6), generator, torch.float64)
    operator = Inpainting((6,), mask)
    found = ddrm(VP, prior.score_under(VP), operator, y, 0.0, state, time_grid(50), generator)
    assert torch.allclose(operator.A(found), y)
    assert found[:, ~mask].std() > 0.5


@pytest.mark.parametrize("process", [VP, VE])
def test_unseen_coordinates_get_the_spread_that_is_claimed(process):
    prior = GaussianMixture.isotropic(torch.zeros(1, 2), 0.7)
    operator = Inpainting((2,), torch.tensor([True, False]))
    generator, grid = torch.Generator().manual_seed(5), time_grid(60)
    state = process.start((40_000, 2), generator, torch.float64)
    y = torch.tensor([0.3], dtype=torch.float64)
    found = ddrm(process, prior.score_under(process), operator, y, 0.1, state, grid, generator)
    wanted = unobserved_std(process, grid, 0.7, eta=0.85)
    assert found[:, 1].std().item() == pytest.approx(wanted, rel=0.015)
    assert abs(found[:, 1].mean()) < 0.02


def test_on_many_steps_of_a_standard_normal_prior_it_is_near_the_posterior_mean():
    prior = GaussianMixture.isotropic(torch.zeros(1, 1), 1.0)
    operator, generator = MatrixOperator(torch.ones(1, 1)), torch.Generator().manual_seed(6)
    state = VP.start((5000, 1), generator, torch.float64)
    y = torch.tensor([1.0], dtype=torch.float64)
    found = ddrm(VP, prior.score_under(VP), operator, y, 0.1, state, time_grid(200), generator)
    assert found.mean().item() == pytest.approx(1 / 1.01, abs=0.05)


def a_call(**changed):
    generator = torch.Generator().manual_seed(5)
    given = {
        "process": VP,
        "score": lambda u, t: -u,
        "operator": MatrixOperator(normal(0, 2, 3)),
        "y": normal(1, 4, 2),
        "sigma": 0.1,
        "state": VP.start((4, 3), generator, torch.float64),
        "grid": time_grid(5),
        "generator": generator,
    }
    return ddrm(**(given | changed))


BAD = {
    "descend": {"grid": time_grid(5).flip(0)},
    "sigma must": {"sigma": -0.1},
    "eta must": {"eta": 2.0},
    "eta_seen must": {"eta_seen": -0.5},
    "y must be": {"y": normal(1, 4, 1)},
    "y holds 1": {"y": normal(1, 1, 2)},
    "state is the noisy image": {
        "process": FractionalProcess(hurst=0.7, count=2),
        "state": torch.zeros(4, 3, 3, dtype=torch.float64),
    },
    "shape of the noisy images": {"score": lambda u, t: -u[:1]},
}


@pytest.mark.parametrize("message", BAD)
def test_what_ddrm_cannot_do_is_refused(message):
    with pytest.raises(ValueError, match=message):
        a_call(**BAD[message])
    assert a_call().isfinite().all()


def test_times_in_single_precision_are_those_in_double():
    assert torch.allclose(a_call(), a_call(grid=time_grid(5).float()), atol=1e-5)
