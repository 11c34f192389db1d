import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.common.diffusion.processes import LinearVP, SubVP, VarianceExploding, as_time, per_image

PROCESSES = [
    LinearVP(),
    LinearVP(0.01, 25.0),
    SubVP(),
    VarianceExploding(),
    VarianceExploding(0.01, 348.0),
]
times = st.floats(1e-3, 1.0)
every_process = pytest.mark.parametrize("process", PROCESSES, ids=str)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def grad(function, t: float) -> float:
    """The derivative of a schedule, by autograd."""
    time = torch.tensor(t, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(function(time).sum(), time, allow_unused=True)
    return 0.0 if slope is None else slope.item()


# --- the schedules solve the equations of the process ------------------------------------------


@every_process
@settings(max_examples=30)
@given(t=times)
def test_the_mean_solves_its_equation(process, t):
    if isinstance(process, VarianceExploding):
        assert process.mean(t).item() == 1 and process.rate(t).item() == 0
    else:
        assert grad(process.mean, t) == pytest.approx(
            (process.rate(t) * process.mean(t)).item(), rel=1e-10
        )


@every_process
@settings(max_examples=30)
@given(t=times)
def test_the_variance_solves_its_equation(process, t):
    expected = 2 * process.rate(t) * process.std(t) ** 2 + process.diffusion(t) ** 2
    size = process.diffusion(t).item() ** 2
    slope = grad(lambda s: process.std(s) ** 2, t)
    assert slope == pytest.approx(expected.item(), rel=1e-9, abs=1e-9 * size)


@pytest.mark.parametrize("process", PROCESSES[:2], ids=str)
@settings(max_examples=30)
@given(t=st.floats(0.0, 1.0))
def test_variance_preserving_keeps_variance_one(process, t):
    assert process.mean(t).item() ** 2 + process.std(t).item() ** 2 == pytest.approx(1, abs=1e-14)
    assert process.diffusion(t).item() ** 2 == pytest.approx(-2 * process.rate(t).item())


@settings(max_examples=30)
@given(t=st.floats(0.0, 1.0))
def test_sub_vp_has_the_mean_of_vp_and_the_square_of_its_std(t):
    assert SubVP().mean(t).item() == LinearVP().mean(t).item()
    assert SubVP().std(t).item() == pytest.approx(LinearVP().std(t).item() ** 2, rel=1e-13)


def test_values_at_both_ends():
    linear = LinearVP(0.1, 20.0)
    assert linear.mean(0.0) == 1 and linear.std(0.0) == 0
    assert linear.mean(1.0).item() == pytest.approx(math.exp(-0.25 * 20.1), rel=1e-14)
    assert linear.beta(0.0).item() == 0.1 and linear.beta(1.0).item() == 20.0
    exploding = VarianceExploding(0.01, 50.0)
    assert exploding.std(0.0).item() == pytest.approx(0.01, rel=1e-14)
    assert exploding.std(0.5).item() == pytest.approx(math.sqrt(0.01 * 50), rel=1e-14)
    assert exploding.std(1.0).item() == pytest.approx(50, rel=1e-13)


def test_ddpm_products_converge_at_first_order():
    process = LinearVP()

    def error(steps: int) -> float:
        betas = process.beta(0.5 * torch.arange(1, steps + 1, dtype=torch.float64) / steps)
        product = (1 - 0.5 * betas / steps).log().sum()
        return (product - 2 * process.log_mean(0.5)).abs().item()

    assert error(1000) < 0.02
    for steps in (250, 500, 1000):
        assert error(steps) / error(2 * steps) == pytest.approx(2, abs=0.05)


@every_process
def test_single_precision_is_accurate_at_early_times(process):
    exact = 1e-3
    t = torch.tensor(exact, dtype=torch.float32)
    for schedule in (process.mean, process.std, process.diffusion):
        assert schedule(t).item() == pytest.approx(schedule(exact).item(), rel=2e-7)
    if type(process) is LinearVP:  # the same number, in extended precision
        low, high = np.longdouble(process.beta_min), np.longdouble(process.beta_max)
        s = np.longdouble(exact)
        truth = np.sqrt(-np.expm1(-s * low - s**2 * (high - low) / 2))
        assert process.std(exact).item() == pytest.approx(float(truth), rel=1e-14)
    clean, noise = torch.ones(4, 3), torch.full((4, 3), 2.0)
    noisy = process.noisy(clean, t, noise)
    assert noisy.dtype == torch.float32
    double = process.noisy(clean.double(), exact, noise.double())
    torch.testing.assert_close(noisy.double(), double, rtol=3e-7, atol=0)


@every_process
def test_simulated_forward_paths_have_the_marginals(process):
    paths, steps, clean = 20_000, 1000, 1.5
    draw = generator(3)
    state = process.noisy(
        torch.full((paths, 1), clean, dtype=torch.float64),
        0.0,
        torch.randn(paths, 1, generator=draw, dtype=torch.float64),
    )
    for k in range(steps):
        # The middle of the step, for a smaller error; not up to t = 1, where the cosine's rate is
        # in the hundreds and changes within a step.
        t = (k + 0.5) / steps
        noise = torch.randn(paths, 1, generator=draw, dtype=torch.float64)
        state = state + process.drift(state, t) / steps + process.spread(noise, t) / steps**0.5
        if (k + 1) in (steps // 2, 9 * steps // 10):
            now = (k + 1) / steps
            std = process.std(now).item()
            mean = process.mean(now).item() * clean
            assert abs(state.mean().item() - mean) < 4 * std / paths**0.5 + 2e-3 * mean
            assert abs(state.std().item() / std - 1) < 4 / (2 * paths) ** 0.5 + 6e-3


# --- the bridge ---------------------------------------------------------------------------------


@every_process
@settings(max_examples=30)
@given(t=st.floats(0.05, 1.0), share=st.floats(0.0, 0.95), clean=st.floats(-3.0, 3.0))
def test_bridge_conditions_the_joint_law(process, t, share, clean):
    # Z_s ~ N(m_s x0, v_s) and Z_t given Z_s ~ N(a Z_s, v_t - a^2 v_s), so (Z_s, Z_t) is Gaussian
    # with covariance a v_s; condition it as any textbook does.
    s = share * t
    m_s, m_t, v_s, v_t = (f(x).item() for f, x in _at(process, s, t))
    a, observed = m_t / m_s, 0.7
    mean = m_s * clean + a * v_s / v_t * (observed - m_t * clean)
    variance = v_s - (a * v_s) ** 2 / v_t
    state = torch.full((2, 1), observed, dtype=torch.float64)
    x0 = torch.full_like(state, clean)
    got = process.bridge(state, x0, t, s, torch.zeros_like(state))
    size = max(1, abs(mean))
    torch.testing.assert_close(got, torch.full_like(got, mean), rtol=0, atol=1e-10 * size)
    moved = process.bridge(state, x0, t, s, torch.ones_like(state)) - got
    expected = torch.full_like(moved, max(variance, 0.0))
    torch.testing.assert_close(moved**2, expected, rtol=1e-8, atol=1e-12)


def _at(process, s, t):
    def variance(x):
        return process.std(x) ** 2

    return [(process.mean, s), (process.mean, t), (variance, s), (variance, t)]


@every_process
@settings(max_examples=30)
@given(t=st.floats(0.05, 1.0), share=st.floats(0.0, 0.95))
def test_bridge_hands_the_law_on(process, t, share):
    s = share * t
    of_state, of_clean, std = process.bridge_factors(t, s)
    mean, variance = of_state * process.mean(t) + of_clean, (of_state * process.std(t)) ** 2
    assert mean.item() == pytest.approx(process.mean(s).item(), rel=1e-10)
    assert (variance + std**2).item() == pytest.approx(process.std(s).item() ** 2, abs=1e-12)


@pytest.mark.parametrize("process", PROCESSES[:2], ids=str)
def test_bridge_is_the_step_of_ddpm(process):
    t, s = 0.6, 0.55
    m, v = process.mean(t).item(), process.std(t).item() ** 2
    m_s, v_s = process.mean(s).item(), process.std(s).item() ** 2
    alpha = (m / m_s) ** 2
    expected = (alpha**0.5 * v_s / v, m_s * (1 - alpha) / v, ((1 - alpha) * v_s / v) ** 0.5)
    assert [f.item() for f in process.bridge_factors(t, s)] == pytest.approx(expected, rel=1e-11)


def test_bridge_is_the_step_of_smld():
    process, t, s = VarianceExploding(), 0.6, 0.55
    v, v_s = process.std(t).item() ** 2, process.std(s).item() ** 2
    expected = (v_s / v, 1 - v_s / v, (v_s * (v - v_s) / v) ** 0.5)
    assert [f.item() for f in process.bridge_factors(t, s)] == pytest.approx(expected, rel=1e-12)


# --- shapes and conversions ---------------------------------------------------------------------


def test_per_image_multiplies_each_image_by_its_own_number():
    images = torch.ones(3, 1, 2, 2)
    values = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    shaped = per_image(values, images)
    assert shaped.shape == (3, 1, 1, 1) and shaped.dtype == images.dtype
    assert (shaped * images)[:, 0, 1, 1].tolist() == [1, 2, 3]
    assert per_image(values[0], images).shape == ()
    assert as_time(0.25).dtype == torch.float64 and as_time(torch.ones(2)).shape == (2,)


@every_process
def test_one_time_for_each_image_is_a_loop_over_the_images(process):
    draw = generator()
    t = torch.tensor([0.1, 0.5, 1.0], dtype=torch.float64)
    clean, noise, score = torch.randn(3, 3, 1, 2, 2, generator=draw).double()
    for method in (process.mean, process.std, process.rate, process.diffusion):
        assert method(t).shape == t.shape
    for method, arguments in (
        (lambda x, e, s: process.noisy(x, s, e), (clean, noise)),
        (lambda u, g, s: process.denoised(u, g, s), (clean, score)),
        (lambda z, _, s: process.drift(z, s), (clean, noise)),
        (lambda z, _, s: process.spread(z, s), (clean, noise)),
        (lambda z, _, s: process.gather(z, s), (clean, noise)),
    ):
        together = method(*arguments, t)
        alone = [method(*(a[k : k + 1] for a in arguments), t[k].item()) for k in range(3)]
        torch.testing.assert_close(together, torch.cat(alone), rtol=1e-12, atol=1e-12)


@every_process
def test_the_scalar_process_sees_its_state(process):
    state, other = torch.randn(2, 4, 5, generator=generator())
    assert process.observe(state, 0.3) is state and process.image(state) is state
    assert process.state_score(other, state, 0.3) is other


@every_process
def test_start_is_noise_of_the_last_standard_deviation(process):
    state = process.start((200, 100), generator(), torch.float64)
    std = process.std(1.0).item()
    assert state.dtype == torch.float64 and state.shape == (200, 100)
    assert state.std().item() == pytest.approx(std, rel=4 / (2 * 20_000) ** 0.5)
    assert abs(state.mean().item()) < 4 * std / 20_000**0.5
    assert process.start((2, 3), generator()).dtype == torch.float32


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: LinearVP(0.0, 20.0), "beta_min"),
        (lambda: LinearVP(2.0, 1.0), "beta_max"),
        (lambda: SubVP(-0.1, 20.0), "beta_min"),
        (lambda: VarianceExploding(0.0, 50.0), "sigma_min"),
        (lambda: VarianceExploding(50.0, 0.01), "sigma_max"),
    ],
)
def test_a_schedule_that_adds_no_noise_is_an_error(make, message):
    with pytest.raises(ValueError, match=message):
        make()
