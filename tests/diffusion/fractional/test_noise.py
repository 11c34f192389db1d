"""Fractional motion and its approximation, against quadrature, closed forms and Monte Carlo."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import gamma

from src.diffusion.fractional.noise import (
    covariance_error,
    fbm_covariance,
    fbm_variance,
    gram_matrix,
    ma_covariance,
    optimal_weights,
    ou_covariance,
    ou_speeds,
    projection,
    relative_cost,
    sample_fbm,
    simulate_ou,
)

HURSTS = (0.1, 0.3, 0.5, 0.7, 0.9)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def numbers(*values):
    return torch.tensor(values, dtype=torch.float64)


def fbm_by_quadrature(s, t, hurst):
    """The stochastic integral's isometry; QUADPACK takes care of the end where (s-u)^a bends."""
    a = hurst - 0.5
    value, _ = quad(lambda u: (t - u) ** a, 0, s, weight="alg", wvar=(0, a), epsabs=1e-13)
    return value / gamma(hurst + 0.5) ** 2


@pytest.mark.parametrize("hurst", HURSTS)
def test_fbm_covariance_equals_quadrature(hurst):
    times = numbers(0.05, 0.3, 0.31, 1.0)
    found = fbm_covariance(times, hurst)
    for i, s in enumerate(times.tolist()):
        for j, t in enumerate(times.tolist()):
            if s < t:
                assert math.isclose(found[i, j], fbm_by_quadrature(s, t, hurst), rel_tol=1e-9)
    assert torch.equal(found, found.T)


def test_fbm_variance_is_that_of_type_two():
    assert math.isclose(fbm_variance(numbers(4.0), 0.5)[0], 4.0)
    expected = 0.5 ** (2 * 0.7) / (1.4 * gamma(1.2) ** 2)
    assert math.isclose(fbm_variance(numbers(0.5), 0.7)[0], expected)
    found = fbm_variance(numbers(0.1, 0.5, 1.0), 0.7)
    assert torch.allclose(found, numbers(0.0337, 0.3211, 0.8473), atol=5e-5)
    with pytest.raises(ValueError, match="Hurst"):
        fbm_variance(numbers(1.0), 1.0)


def test_fbm_at_one_half_is_brownian_motion_and_zero_time_has_no_variance():
    times = numbers(0.0, 0.2, 1.0)
    assert torch.allclose(fbm_covariance(times, 0.5), torch.minimum(times[:, None], times))
    assert (fbm_covariance(times, 0.1)[0] == 0).all()


@pytest.mark.parametrize("hurst", (0.2, 0.8))
def test_fbm_paths_have_the_covariance(hurst):
    times, paths = numbers(0.1, 0.4, 1.0), 40_000
    drawn = sample_fbm(times, hurst, paths, generator())
    exact = fbm_covariance(times, hurst)
    deviation = (drawn @ drawn.T / paths - exact) / torch.sqrt(
        (exact**2 + exact.diagonal()[:, None] * exact.diagonal()) / paths
    )
    assert deviation.abs().max() < 4


def test_speeds_are_geometric_around_one():
    assert torch.allclose(ou_speeds(2), numbers(1 / 20, 20))
    assert torch.allclose(ou_speeds(3), numbers(1 / 20, 1, 20))
    assert ou_speeds(1).tolist() == [1.0] and len(ou_speeds(0)) == 0
    with pytest.raises(ValueError, match="largest must be above 1"):
        ou_speeds(2, 1.0)


@given(
    st.lists(st.floats(0.02, 30), min_size=1, max_size=3),
    st.floats(0.05, 0.95),
    st.floats(0.3, 2.0),
)
def test_system_of_the_weights_equals_quadrature(speeds, hurst, horizon):
    speeds = numbers(*speeds)
    matrix, vector = gram_matrix(speeds, horizon), projection(speeds, hurst, horizon)
    for i, one in enumerate(speeds.tolist()):
        for j, two in enumerate(speeds.tolist()):
            rate = one + two
            value, _ = quad(lambda t, r=rate: -math.expm1(-r * t) / r, 0, horizon, epsabs=1e-13)
            assert abs(matrix[i, j] - value) < 1e-8
        # E[Y_t B^H_t] is an integral over u; exchanging it with that over t leaves one integral.
        value, _ = quad(
            lambda v, g=one: (horizon - v) * math.exp(-g * v) / gamma(hurst + 0.5),
            0, horizon, weight="alg", wvar=(hurst - 0.5, 0), epsabs=1e-13,
        )  # fmt: skip
        assert abs(vector[i] - value) < 1e-8


@pytest.mark.parametrize("count", range(1, 7))
def test_matrix_is_symmetric_positive_definite(count):
    matrix = gram_matrix(ou_speeds(count))
    assert torch.equal(matrix, matrix.T)
    assert torch.linalg.eigvalsh(matrix).min() > 0


def test_projection_at_one_half_is_elementary():
    speeds, horizon = numbers(0.05, 1.0, 20.0), 1.7
    expected = horizon / speeds + torch.expm1(-speeds * horizon) / speeds**2
    # For slow speeds the elementary form cancels.
    assert torch.allclose(projection(speeds, 0.5, horizon), expected, rtol=1e-11)


@given(st.floats(0.05, 0.95), st.integers(1, 4), st.floats(0.02, 50))
def test_cost_is_a_share_and_a_further_speed_never_raises_it(hurst, count, extra):
    speeds = ou_speeds(count)
    if ((speeds / extra).log().abs() < 0.1).any():
        return
    cost = relative_cost(speeds, hurst)
    assert -1e-12 <= cost <= 1
    assert relative_cost(torch.cat([speeds, numbers(extra)]), hurst) <= cost + 1e-10


@given(st.floats(0.05, 0.95), st.integers(1, 5), st.integers(0, 10_000), st.floats(0.5, 2.0))
def test_other_weights_cost_more(hurst, count, seed, horizon):
    speeds = ou_speeds(count)
    weights = optimal_weights(speeds, hurst, horizon)

    def cost(w):  # the integral of E(Bhat_t - B^H_t)^2, up to a constant
        return w @ gram_matrix(speeds, horizon) @ w - 2 * projection(speeds, hurst, horizon) @ w

    direction = torch.randn(count, generator=generator(seed), dtype=torch.float64)
    step = 0.1 * direction / direction.norm()
    gained = float(cost(weights + step) - cost(weights))
    expected = float(step @ gram_matrix(speeds, horizon) @ step)
    assert gained > 0 or expected < 1e-11
    assert math.isclose(gained, expected, rel_tol=1e-3, abs_tol=1e-9)


@pytest.mark.parametrize(
    ("hurst", "expected"),
    [
        (0.1, (0.395, 0.241, 0.240)),
        (0.3, (0.031, 0.011, 0.0085)),
        (0.5, (0.046, 9.2e-5, 1.1e-6)),
        (0.7, (0.153, 0.0124, 1.5e-4)),
        (0.9, (0.272, 0.0479, 7.4e-5)),
    ],
)
def test_costs_equal_those_of_an_independent_program(hurst, expected):
    found = [relative_cost(ou_speeds(k), hurst) for k in (1, 2, 3)]
    assert np.allclose(found, expected, rtol=0.05)


@given(st.floats(0.05, 0.95), st.floats(0.3, 4.0))
def test_weights_scale_with_time(hurst, horizon):
    speeds = ou_speeds(3)
    direct = optimal_weights(speeds, hurst, horizon)
    scaled = horizon ** (hurst - 0.5) * optimal_weights(speeds * horizon, hurst)
    assert torch.allclose(direct, scaled, rtol=1e-8, atol=1e-9)


def test_weights_refuse_what_cannot_be_solved():
    with pytest.raises(ValueError, match="at most 6"):
        optimal_weights(ou_speeds(7), 0.5)
    with pytest.raises(ValueError, match="condition number"):
        optimal_weights(numbers(1.0, 1.0 + 1e-7), 0.5)
    with pytest.raises(ValueError, match="positive"):
        optimal_weights(numbers(0.0), 0.5)
    assert len(optimal_weights(ou_speeds(0), 0.5)) == 0


def test_hidden_covariance_equals_quadrature():
    speeds, times = numbers(0.5, 3.0), numbers(0.2, 0.7)
    found = ou_covariance(times, speeds)
    for i, j, s, t in np.ndindex(2, 2, 2, 2):
        one, two, a, b = float(speeds[i]), float(speeds[j]), float(times[s]), float(times[t])
        value, _ = quad(
            lambda u, p=one, q=two, x=a, y=b: math.exp(-p * (x - u) - q * (y - u)), 0, min(a, b)
        )
        assert math.isclose(found[i, j, s, t], value, rel_tol=1e-12)


def test_covariance_error_vanishes_for_brownian_motion_only():
    assert covariance_error(ou_speeds(5), 0.5) < 1e-5
    assert covariance_error(ou_speeds(5), 0.1) > 0.1
    assert covariance_error(ou_speeds(1), 0.9) > covariance_error(ou_speeds(3), 0.9)


def test_simulated_paths_have_the_covariance():
    speeds, times, paths = ou_speeds(3), numbers(0.001, 0.1, 0.5, 1.0), 40_000
    weights = optimal_weights(speeds, 0.7)
    drawn = simulate_ou(speeds, times, paths, generator(1)) @ weights
    exact = ma_covariance(times, speeds, weights)
    deviation = (drawn @ drawn.T / paths - exact) / torch.sqrt(
        (exact**2 + exact.diagonal()[:, None] * exact.diagonal()) / paths
    )
    assert deviation.abs().max() < 4
    assert torch.allclose(exact.diagonal()[1:], numbers(0.0335, 0.3199, 0.8505), atol=5e-5)


def test_all_speeds_share_one_brownian_motion():
    # With speed 0 the process is B itself; a slow one differs from it by speed * its integral.
    drawn = simulate_ou(numbers(0.0, 1e-6), numbers(0.5, 1.0), 1000, generator(2))
    assert (drawn[..., 0] - drawn[..., 1]).abs().max() < 1e-4
    assert abs(drawn[-1, :, 0].var() - 1) < 4 * math.sqrt(2 / 1000)
    with pytest.raises(ValueError, match="increasing"):
        simulate_ou(numbers(1.0), numbers(0.5, 0.5), 1, generator())
