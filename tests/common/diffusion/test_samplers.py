import math
from functools import partial
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.common.diffusion.processes import LinearVP, SubVP, VarianceExploding
from src.common.diffusion.samplers import ancestral, euler_maruyama, probability_flow, time_grid
from tests.common.diffusion.gaussian_data import DATA, gaussian_score, generator, variance_at

SCALAR = [LinearVP(), SubVP(), VarianceExploding(0.01, 20.0)]
every_process = pytest.mark.parametrize("process", SCALAR, ids=lambda p: type(p).__name__)
DRAWING = [euler_maruyama, ancestral]


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(5), dtype=torch.float64)


# --- the grid -----------------------------------------------------------------------------------


@settings(max_examples=15)
@given(steps=st.integers(1, 50), last=st.floats(0.0, 0.5), first=st.floats(0.6, 1.0))
def test_grid_is_uniform_and_ends_where_it_should(steps, last, first):
    grid = time_grid(steps, first, last)
    assert grid.dtype == torch.float64 and grid.shape == (steps + 1,)
    assert grid[0].item() == first and grid[-1].item() == last
    torch.testing.assert_close(-grid.diff(), torch.full((steps,), (first - last) / steps).double())


def test_grid_with_a_floor_has_one_step_more_below_it():
    grid = time_grid(100, floor=1e-3)
    torch.testing.assert_close(grid[:-1], torch.linspace(1, 1e-3, 100, dtype=torch.float64))
    assert grid[-1] == 0 and len(grid) == 101


@pytest.mark.parametrize(
    "arguments", [(0,), (-1,), (5, 0.0, 1.0), (5, 1.0, 1.0), (1, 1.0, 0.0, 0.5), (5, 1.0, 0.2, 0.1)]
)
def test_grid_that_does_not_descend_is_an_error(arguments):
    with pytest.raises(ValueError, match=r"steps|descend"):
        time_grid(*arguments)


def test_samplers_reject_times_that_do_not_descend():
    process = LinearVP()
    for grid in ([0.0, 1.0], [1.0, 0.5, 0.5], [1.0], [1.0, math.nan, 0.0]):
        grid = torch.tensor(grid, dtype=torch.float64)
        with pytest.raises(ValueError, match="descend"):
            euler_maruyama(process, gaussian_score(process), noise(2, 3), grid, generator())


# --- what all samplers share --------------------------------------------------------------------


@pytest.mark.parametrize("sampler", [*DRAWING, probability_flow], ids=lambda f: f.__name__)
def test_the_score_is_asked_at_every_time_but_the_last(sampler):
    process, asked = LinearVP(), []
    exact = gaussian_score(process)

    def score(u, t):
        assert u.dtype == torch.float64 and t.shape == () and t.dtype == torch.float64
        asked.append(t.item())
        return exact(u, t)

    grid = torch.tensor([1.0, 0.7, 0.1, 0.0], dtype=torch.float64)
    arguments = () if sampler is probability_flow else (generator(),)
    reached = []
    after = partial(lambda t, state: reached.append((t.item(), state)))
    result = sampler(process, score, noise(4, 2), grid, *arguments, after_step=after)
    twice = sampler is probability_flow  # Heun's method
    assert asked == ([1, 0.7, 0.7, 0.1, 0.1] if twice else [1, 0.7, 0.1])
    assert [t for t, _ in reached] == [0.7, 0.1, 0]
    assert torch.equal(reached[-1][1], result)


def test_heun_asks_at_the_last_time_unless_it_is_zero():
    process, asked = LinearVP(), []
    exact = gaussian_score(process)

    def score(u, t):
        asked.append(t.item())
        return exact(u, t)

    probability_flow(process, score, noise(2, 2), time_grid(2, last=0.5))
    assert asked == [1, 0.75, 0.75, 0.5]


@every_process
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sampler", DRAWING, ids=lambda f: f.__name__)
def test_images_keep_shape_and_type_and_depend_on_the_generator_only(sampler, dtype, process):
    def draw(seed):
        source = generator(seed)
        state = process.start((5, 1, 4, 3), source, dtype)
        return sampler(process, gaussian_score(process), state, time_grid(10), source)

    first = draw(0)
    assert first.shape == (5, 1, 4, 3) and first.dtype == dtype and bool(first.isfinite().all())
    assert torch.equal(first, draw(0)) and not torch.equal(first, draw(1))


@pytest.mark.parametrize("sampler", DRAWING, ids=lambda f: f.__name__)
def test_no_gradients_are_kept_but_a_score_may_use_them(sampler):
    process = LinearVP()
    scale = torch.nn.Parameter(torch.tensor(1.0, dtype=torch.float64))

    def energy_score(u, t):
        with torch.enable_grad():
            u = u.detach().requires_grad_()
            energy = -0.5 * (scale * u**2).sum() / variance_at(process, t)
            return torch.autograd.grad(energy, u)[0]

    state = process.start((6, 2), generator(1), torch.float64)
    plain = sampler(process, gaussian_score(process), state, time_grid(5), generator())
    result = sampler(process, energy_score, state, time_grid(5), generator())
    assert not result.requires_grad
    torch.testing.assert_close(result, plain)
    untouched = sampler(process, lambda u, t: -scale * u, state, time_grid(5), generator())
    assert not untouched.requires_grad


def test_bad_settings_are_errors():
    process = LinearVP()
    with pytest.raises(ValueError, match="heun"):
        probability_flow(process, gaussian_score(process), noise(2, 2), time_grid(3), "rk4")


# --- the reverse-time equation ------------------------------------------------------------------


def test_euler_maruyama_is_the_textbook_loop_bit_for_bit():
    process, grid = LinearVP(), time_grid(7)
    state = process.start((3, 2), generator(1))
    score = gaussian_score(process)
    source, x = generator(2), state
    for k in range(7):
        t, size = grid[k], (grid[k] - grid[k + 1]).item()
        rate, g = process.rate(t).float(), process.diffusion(t).float()
        mean = x - size * (rate * x - 1.0 * (g * (g * score(x, t))))
        z = torch.randn(3, 2, generator=source) if k < 6 else torch.zeros(3, 2)
        x = mean + size**0.5 * (g * z)
    assert torch.equal(euler_maruyama(process, score, state, grid, generator(2)), x)


def exact_variance(process, grid) -> float:
    """Variance of Euler-Maruyama's result for Gaussian data: every step multiplies and adds."""
    variance = process.std(1.0).item() ** 2
    for t, earlier in pairwise(grid):
        size, g2 = (t - earlier).item(), process.diffusion(t).item() ** 2
        factor = 1 - size * (process.rate(t).item() + g2 / variance_at(process, t.item()))
        variance = factor**2 * variance + (size * g2 if earlier > 0 else 0)
    return variance


@every_process
def test_euler_maruyama_has_the_variance_that_its_steps_imply(process):
    grid = time_grid(80)
    state = process.start((400, 500), generator(1), torch.float64)
    result = euler_maruyama(process, gaussian_score(process), state, grid, generator(2))
    expected = exact_variance(process, grid)
    assert result.var().item() == pytest.approx(expected, rel=4 * (2 / 200_000) ** 0.5)


@pytest.mark.parametrize("process", [LinearVP(), SubVP()], ids=lambda p: type(p).__name__)
def test_euler_maruyama_converges_to_the_data_at_first_order(process):
    # The start, without x_0, leaves an error that no step repairs: 4e-5 of the variance.
    errors = [abs(exact_variance(process, time_grid(n)) / DATA**2 - 1) for n in (500, 1000, 2000)]
    assert errors[0] < 0.02
    assert all(a / b == pytest.approx(2, abs=0.3) for a, b in pairwise(errors))


# --- the probability flow -----------------------------------------------------------------------


@every_process
@pytest.mark.parametrize("method, order", [("heun", 2), ("euler", 1)])
def test_order_of_the_probability_flow(process, method, order):
    # For Gaussian data the flow multiplies by the ratio of the standard deviations.
    first, last = 0.9, 0.1
    state = noise(3, 2)
    exact = state * (variance_at(process, last) / variance_at(process, first)) ** 0.5
    errors = []
    for steps in (100, 200, 400):
        grid = time_grid(steps, first, last)
        result = probability_flow(process, gaussian_score(process), state, grid, method)
        errors.append((result - exact).abs().max().item())
    assert errors[-1] < (1e-3 if order == 2 else 0.05)
    for coarse, fine in pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.15)


def test_heun_keeps_its_order_down_to_zero():
    process = LinearVP()
    exact = DATA / variance_at(process, 1.0) ** 0.5
    one = torch.ones(1, 1, dtype=torch.float64)
    errors = [
        abs(probability_flow(process, gaussian_score(process), one, time_grid(n)).item() - exact)
        for n in (100, 200, 400)
    ]
    assert errors[-1] < 1e-4
    for coarse, fine in pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(2, abs=0.25)


# --- denoise and draw again ---------------------------------------------------------------------


@every_process
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_ancestral_steps_are_exact_when_the_image_is_known(process, steps):
    clean = 0.8

    def score(u, t):
        return (process.mean(t).item() * clean - u) / process.std(t).item() ** 2

    first, last = 1.0, 0.3
    grid = time_grid(steps, first, last)
    seen = []
    state = process.noisy(torch.full((400, 250), clean).double(), first, noise(400, 250))
    result = ancestral(
        process, score, state, grid, generator(), after_step=lambda t, z: seen.append((t.item(), z))
    )
    for t, reached in seen[:-1]:
        std = process.std(t).item()
        gap = reached.mean().item() - process.mean(t).item() * clean
        assert abs(gap) < 4 * std / 100_000**0.5
        assert reached.std().item() == pytest.approx(std, rel=4 / 200_000**0.5)
    # The last step leaves its noise out, and only that.
    left_out = process.bridge_factors(grid[-2], grid[-1])[2].item()
    expected = (process.std(last).item() ** 2 - left_out**2) ** 0.5
    assert result.std().item() == pytest.approx(expected, rel=4 / 200_000**0.5)


@pytest.mark.parametrize("process", SCALAR[:2], ids=lambda p: type(p).__name__)
def test_ancestral_ends_with_the_denoised_image(process):
    score, seen = gaussian_score(process), []
    state = process.start((4, 3), generator(), torch.float64)
    grid = time_grid(6)
    result = ancestral(
        process, score, state, grid, generator(), after_step=lambda t, z: seen.append(z)
    )
    before = seen[-2]
    expected = process.denoised(before, score(before, grid[-2]), grid[-2])
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-12)


def ancestral_variance(process, grid) -> float:
    """Variance of `ancestral` for Gaussian data: every step multiplies and adds."""
    variance = process.std(1.0).item() ** 2
    for t, earlier in pairwise(grid):
        of_state, of_clean, std = (f.item() for f in process.bridge_factors(t, earlier))
        shrink = process.mean(t).item() * DATA**2 / variance_at(process, t.item())
        variance *= (of_state + of_clean * shrink) ** 2
        variance += 0 if earlier == grid[-1] else std**2
    return variance


@every_process
def test_ancestral_converges_to_the_data(process):
    grid = time_grid(50)
    state = process.start((400, 500), generator(1), torch.float64)
    result = ancestral(process, gaussian_score(process), state, grid, generator(2))
    expected = ancestral_variance(process, grid)
    assert result.var().item() == pytest.approx(expected, rel=4 * (2 / 200_000) ** 0.5)
    # Less the noise at t = 0, which stands for the data's own in a variance-exploding process.
    goal = variance_at(process, 0.0)
    errors = [abs(ancestral_variance(process, time_grid(n)) / goal - 1) for n in (200, 400, 800)]
    assert errors[-1] < 0.02
    for coarse, fine in pairwise(errors):
        assert coarse / fine == pytest.approx(2, abs=0.3)
