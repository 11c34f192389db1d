"""Distances between samples against closed forms, SciPy, and what they must not depend on."""

import math

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.common.statistics.sample_distances import (
    frechet_distance,
    gaussian_wasserstein,
    random_directions,
    sliced_wasserstein,
    vendi_score,
)

SEEDS = st.integers(0, 2**31 - 1)
COUNTS = st.integers(1, 40)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def covariance(dim, seed=0):
    root = normal(dim, dim + 2, seed=seed)
    return root @ root.T


def sliced(order):
    return lambda a, b: sliced_wasserstein(a, b, generator(7), order=order, count=50)


DISTANCES = {
    "sliced W1": sliced(1),
    "sliced W2": sliced(2),
    "Frechet": frechet_distance,
}
ONE = torch.ones(1, 1, dtype=torch.float64)


def close(actual, expected, tolerance=1e-10):
    actual = torch.as_tensor(actual, dtype=torch.float64)
    expected = torch.as_tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


@given(n=COUNTS, m=COUNTS, seed=SEEDS)
def test_line_is_scipys(n, m, seed):
    a, b = normal(n, 1, seed=seed), 1.5 * normal(m, 1, seed=seed + 1)
    flat = a[:, 0].numpy(), b[:, 0].numpy()
    close(sliced_wasserstein(a, b, ONE), scipy.stats.wasserstein_distance(*flat))


@given(n=st.integers(1, 12), m=st.integers(1, 12), seed=SEEDS)
def test_unequal_sizes_are_weights(n, m, seed):
    """Repeating every point leaves the law alone, and makes the sizes equal."""
    a, b = normal(n, 3, seed=seed), normal(m, 3, seed=seed + 1)
    many_a, many_b = a.repeat(m, 1), b.repeat(n, 1)
    directions = random_directions(3, 20, generator(1))
    for order in (1, 2):
        expected = sliced_wasserstein(many_a, many_b, directions, order)
        close(sliced_wasserstein(a, b, directions, order), expected)


@pytest.mark.parametrize("name", DISTANCES)
@given(seed=SEEDS, n=st.integers(3, 20), m=st.integers(3, 20))
@settings(max_examples=25)
def test_a_distance(name, seed, n, m):
    """Symmetric, zero on the same sample in another order, blind to shifts of both."""
    distance = DISTANCES[name]
    a, b, shift = normal(n, 4, seed=seed), normal(m, 4, seed=seed + 1), normal(4, seed=seed + 2)
    close(distance(a, b), distance(b, a), 1e-7)
    close(distance(a, a.flip(0)), 0.0, 1e-6)
    close(distance(a + shift, b + shift), distance(a, b), 1e-7)
    assert distance(a, b) >= 0
    close(distance(a.float(), b.float()), distance(a, b), 1e-4)


POWERS = [("sliced W1", 1), ("sliced W2", 1), ("Frechet", 2)]


@pytest.mark.parametrize(("name", "power"), POWERS)
@given(scale=st.floats(0.1, 10.0), seed=SEEDS)
@settings(max_examples=20)
def test_grows_with_the_scale(name, power, scale, seed):
    a, b = normal(12, 3, seed=seed), normal(15, 3, seed=seed + 1)
    close(DISTANCES[name](scale * a, scale * b), DISTANCES[name](a, b) * scale**power, 1e-6)


def test_frechet_is_blind_to_rotations():
    turn = torch.linalg.qr(normal(5, 5, seed=9)).Q
    a, b = normal(20, 5), normal(14, 5, seed=1) + 0.3
    close(frechet_distance(a @ turn, b @ turn), frechet_distance(a, b), 1e-9)


def test_rotating_both_and_the_directions():
    turn = torch.linalg.qr(normal(5, 5, seed=9)).Q
    a, b, directions = normal(20, 5), normal(14, 5, seed=1), random_directions(5, 30, generator())
    close(
        sliced_wasserstein(a @ turn, b @ turn, directions @ turn),
        sliced_wasserstein(a, b, directions),
    )


@pytest.mark.parametrize("dim", [1, 2, 8])
def test_shift_of_the_whole_sample(dim):
    """Along a direction, W of a shift is its projection; its mean over the sphere is known."""
    a, length = normal(50, dim), 3.0
    shift = torch.zeros(dim, dtype=torch.float64)
    shift[0] = length
    first = sliced_wasserstein(a, a + shift, generator(1), order=1, count=20_000)
    second = sliced_wasserstein(a, a + shift, generator(1), order=2, count=20_000)
    mean_cosine = math.gamma(dim / 2) / (math.sqrt(math.pi) * math.gamma((dim + 1) / 2))
    close(first, length * mean_cosine, 0.02)
    close(second, length / math.sqrt(dim), 0.02)
    close(frechet_distance(a, a + shift), length**2)


def test_orders_are_different_numbers():
    a, b = normal(40, 3), 2 * normal(40, 3, seed=1)
    directions = random_directions(3, 1200, generator())  # several blocks of directions
    assert sliced_wasserstein(a, b, directions, 1) < sliced_wasserstein(a, b, directions, 2)
    each = [scipy.stats.wasserstein_distance((a @ d).numpy(), (b @ d).numpy()) for d in directions]
    close(sliced_wasserstein(a, b, directions), np.mean(each))


@pytest.mark.parametrize("order", [1, 2])
def test_gradient_of_the_sliced_distance(order):
    """Against a central difference; the values with and without a gradient are the same."""
    a, b, directions = normal(9, 3), normal(6, 3, seed=1), random_directions(3, 20, generator())
    step = 1e-6 * normal(9, 3, seed=2)
    value = sliced_wasserstein(a.clone().requires_grad_(), b, directions, order)
    close(value.detach(), sliced_wasserstein(a, b, directions, order))
    moved = [sliced_wasserstein(a + s * step, b, directions, order) for s in (1, -1)]
    point = a.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(sliced_wasserstein(point, b, directions, order), point)
    close((gradient * step).sum() * 1e6, (moved[0] - moved[1]) / 2 * 1e6, 1e-5)


def test_generator_and_directions_agree():
    a, b = normal(10, 3), normal(10, 3, seed=1)
    given_ones = random_directions(3, 40, generator(5))
    close(given_ones.norm(dim=1), torch.ones(40, dtype=torch.float64))
    close(
        sliced_wasserstein(a, b, generator(5), count=40), sliced_wasserstein(a, b, given_ones), 0.0
    )


def test_samples_of_one_law_are_close():
    """And of two laws they are not: every distance sees a shift by one standard deviation."""
    a, b = normal(2000, 3), normal(1500, 3, seed=1)
    for name, distance in DISTANCES.items():
        same, other = distance(a, b), distance(a, b + 1.0)
        assert same < 0.1, name
        assert other > 5 * same, name


@pytest.mark.parametrize("dim", [1, 2, 6])
def test_gaussian_wasserstein_is_scipys_root(dim):
    a, b, mean_a, mean_b = covariance(dim), covariance(dim, 1), normal(dim), normal(dim, seed=1)
    root = scipy.linalg.sqrtm(a.numpy())
    cross = scipy.linalg.sqrtm(root @ b.numpy() @ root).real
    expected = ((mean_a - mean_b) ** 2).sum() + a.trace() + b.trace() - 2 * np.trace(cross)
    close(gaussian_wasserstein(mean_a, a, mean_b, b), expected, 1e-8)


def test_gaussian_wasserstein_closed_forms():
    mean, shift = normal(4), torch.ones(4, dtype=torch.float64)
    a, b = torch.tensor([1.0, 4, 9, 0]), torch.tensor([4.0, 4, 0, 1])
    commuting = 4 + (a.sqrt() - b.sqrt()).square().sum()  # covariances that commute: std by std
    turn = torch.linalg.qr(normal(4, 4)).Q
    a, b = (turn @ torch.diag(values.double()) @ turn.T for values in (a, b))
    close(gaussian_wasserstein(mean, a, mean + shift, b), commuting, 1e-7)
    close(gaussian_wasserstein(mean, a, mean, a), 0.0, 1e-7)


def test_frechet_uses_unbiased_covariances_and_survives_few_points():
    a, b = normal(9, 3), normal(12, 3, seed=1)
    expected = gaussian_wasserstein(a.mean(0), a.T.cov(), b.mean(0), b.T.cov())
    close(frechet_distance(a, b), expected)
    few, more = normal(4, 30), normal(5, 30, seed=1)  # singular covariances
    assert torch.isfinite(frechet_distance(few, more))
    close(frechet_distance(few, few + 2.0), 4.0 * 30, 1e-6)
    one = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [7.0]])
    close(frechet_distance(*one), 3.0**2 + (3 * math.sqrt(2) - math.sqrt(2)) ** 2)


def test_vendi_score_known_answers():
    same = torch.rand(1, 3, 4, generator=generator()).repeat(7, 1, 1)
    close(vendi_score(same), 1.0, 1e-9)
    close(vendi_score(torch.eye(5).reshape(5, 1, 5)), 5.0)
    two = torch.tensor([[1.0, 0], [1, 0], [1, 0], [0, 1]])
    close(vendi_score(two), math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)))
    cosine = 0.6  # eigenvalues (1 + c) / 2 and (1 - c) / 2
    pair = torch.tensor([[1.0, 0], [cosine, 0.8]], dtype=torch.float64)
    close(vendi_score(pair), math.exp(-0.8 * math.log(0.8) - 0.2 * math.log(0.2)))
    # The example of the vendi-score package: similarities 0.9 within {0, 1}, 0 to a third point.
    root = torch.linalg.cholesky(torch.tensor([[1.0, 0.9, 0], [0.9, 1, 0], [0, 0, 1]]).double())
    close(vendi_score(root), 2.1573, 1e-4)


@given(n=st.integers(1, 9), d=st.integers(1, 9), seed=SEEDS)
def test_vendi_score_is_the_entropy_of_the_kernel(n, d, seed):
    images = normal(n, d, seed=seed)
    unit = (images / images.norm(dim=1, keepdim=True)).numpy()
    values = np.linalg.eigvalsh(unit @ unit.T / n)
    values = values[values > 1e-12]
    close(vendi_score(images), math.exp(-(values * np.log(values)).sum()), 1e-7)
    scaled = images * torch.linspace(0.5, 3, n, dtype=torch.float64)[:, None]
    close(vendi_score(scaled), vendi_score(images), 1e-7)
    assert 1 - 1e-9 <= vendi_score(images) <= min(n, d) + 1e-9


def test_random_directions_are_uniform():
    directions = random_directions(4, 20_000, generator())
    close(directions.mean(0), torch.zeros(4, dtype=torch.float64), 0.02)
    close(directions.T @ directions / 20_000, torch.eye(4, dtype=torch.float64) / 4, 0.01)


BAD = {
    "need samples": lambda: sliced_wasserstein(normal(3, 2), normal(3, 4), generator()),
    "need samples .*0": lambda: frechet_distance(normal(0, 2), normal(3, 2)),
    "order must": lambda: sliced_wasserstein(normal(3, 2), normal(3, 2), generator(), order=3),
    "covariance needs": lambda: frechet_distance(normal(1, 2), normal(3, 2)),
    "no direction": lambda: vendi_score(torch.zeros(2, 3)),
}


@pytest.mark.parametrize("message", BAD)
def test_clear_errors(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()
