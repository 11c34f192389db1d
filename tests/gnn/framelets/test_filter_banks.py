"""Masks against their identities, Chebyshev expansions against Bessel functions and NumPy."""

from math import log, pi, sqrt

import numpy as np
import pytest
import torch
from scipy.special import jv

from src.gnn.framelets.filter_banks import (
    FILTER_BANKS,
    block_order,
    chebyshev_coefficients,
    chebyshev_values,
    filter_bank,
    level_scales,
)

XI = torch.linspace(0, pi, 4001, dtype=torch.float64)


@pytest.mark.parametrize("name", FILTER_BANKS)
def test_squares_of_the_masks_add_up_to_one_everywhere(name):
    beyond = torch.linspace(-10, 10, 999, dtype=torch.float64)
    for xi in (XI, beyond):
        total = filter_bank(name).values(xi).square().sum(dim=0)
        assert (total - 1).abs().max() < 1e-15


@pytest.mark.parametrize(("name", "masks"), [("haar", 2), ("linear", 3), ("quadratic", 4)])
def test_low_pass_keeps_constants_and_high_pass_masks_remove_them(name, masks):
    values = filter_bank(name).values(torch.tensor([0.0, pi], dtype=torch.float64))
    assert values.shape == (masks, 2)
    at_zero = torch.tensor([1.0] + [0.0] * (masks - 1), dtype=torch.float64)
    torch.testing.assert_close(values[:, 0], at_zero)
    # at the other end only the last high-pass mask is left
    torch.testing.assert_close(values[:, 1], at_zero.flip(0), atol=1e-15, rtol=0.0)


def test_masks_are_the_papers():
    half = XI / 2
    cos, sin = torch.cos(half), torch.sin(half)
    expected = {
        "haar": [cos, sin],
        "linear": [cos**2, sqrt(2) * sin * cos, sin**2],  # sin(xi) = 2 sin(xi/2) cos(xi/2)
        "quadratic": [cos**3, sqrt(3) * sin * cos**2, sqrt(3) * sin**2 * cos, sin**3],
    }
    for name, masks in expected.items():
        torch.testing.assert_close(filter_bank(name).values(XI), torch.stack(masks))


def test_an_unknown_bank_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="haar, linear, quadratic, not 'Haar'"):
        filter_bank("Haar")


def bessel_coefficients(name, count):
    """Closed forms by the Jacobi-Anger expansion; the first coefficient is not halved."""
    k = np.arange(count)
    cos, sin = np.cos(k * pi / 2), np.sin(k * pi / 2)
    if name == "haar":
        bessel = sqrt(2) * jv(k, pi / 4)
        return np.stack([(cos - sin) * bessel, (cos + sin) * bessel])
    bessel = jv(k, pi / 2)
    constant = (k == 0).astype(float)
    return np.stack([constant - sin * bessel, sqrt(2) * cos * bessel, constant + sin * bessel])


@pytest.mark.parametrize("name", ["haar", "linear"])
def test_coefficients_are_bessel_functions(name):
    found = chebyshev_coefficients(filter_bank(name), 14)
    expected = torch.from_numpy(bessel_coefficients(name, 14))
    expected[:, 0] /= 2
    torch.testing.assert_close(found, expected, atol=1e-14, rtol=0.0)


def test_first_coefficients_of_haar_as_numbers():
    found = chebyshev_coefficients(filter_bank("haar"), 6)
    numbers = [1.2043894 / 2, 0.51362517, 0.10354634, 0.01373203, 0.00135867, 0.00010726]
    expected = torch.tensor([numbers, numbers], dtype=torch.float64)
    torch.testing.assert_close(found.abs(), expected, atol=5e-8, rtol=0.0)


@pytest.mark.parametrize("name", FILTER_BANKS)
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_values_are_those_of_numpy(name, count):
    coefficients = chebyshev_coefficients(filter_bank(name), count)
    t = (2 / pi * XI - 1).numpy()
    expected = np.stack([np.polynomial.chebyshev.chebval(t, row) for row in coefficients.numpy()])
    np.testing.assert_allclose(chebyshev_values(coefficients, XI).numpy(), expected, atol=1e-13)


@pytest.mark.parametrize(
    ("name", "count", "error"),
    [
        ("haar", 2, 1.16e-1),
        ("haar", 3, 1.50e-2),
        ("haar", 4, 1.46e-3),
        ("haar", 6, 7.4e-6),
        ("linear", 2, 3.73e-1),
        ("linear", 3, 7.0e-2),
        ("linear", 6, 4.3e-4),
    ],
)
def test_distance_of_the_expansion_from_the_masks(name, count, error):
    bank = filter_bank(name)
    values = chebyshev_values(chebyshev_coefficients(bank, count), XI)
    assert float((values - bank.values(XI)).abs().max()) == pytest.approx(error, rel=0.02)


@pytest.mark.parametrize("name", FILTER_BANKS)
def test_many_coefficients_are_exact_to_rounding(name):
    bank = filter_bank(name)
    values = chebyshev_values(chebyshev_coefficients(bank, 24), XI)
    torch.testing.assert_close(values, bank.values(XI), atol=1e-14, rtol=0.0)


def test_the_released_expansion_of_haar_is_not_tight_at_zero():
    zero = torch.zeros(1, dtype=torch.float64)
    low, high = chebyshev_values(chebyshev_coefficients(filter_bank("haar"), 2), zero).ravel()
    assert float(low) == pytest.approx(1.116, abs=1e-3)
    assert float(high) == pytest.approx(0.089, abs=1e-3)


@pytest.mark.parametrize("levels", [1, 2, 4])
@pytest.mark.parametrize("dilation", [1.5, 2.0, 2.5])
@pytest.mark.parametrize("largest", [0.7, 2.0, 9.0])
def test_the_last_level_covers_the_whole_interval(levels, dilation, largest):
    scales = level_scales(levels, dilation, largest)
    tops = [scale * largest for scale in scales]
    expected = [pi * dilation ** -(levels - level) for level in range(1, levels + 1)]
    assert tops == pytest.approx(expected, rel=1e-14)
    exponent = log(largest / pi, dilation) + levels - 1  # R of the paper's code
    assert scales[0] == pytest.approx(dilation**-exponent)


def test_blocks_come_low_pass_first_then_mask_by_mask():
    assert block_order(2, 2) == [(0, 2), (1, 1), (1, 2)]
    assert block_order(3, 2) == [(0, 2), (1, 1), (1, 2), (2, 1), (2, 2)]
    assert len(block_order(4, 3)) == 1 + 3 * 3


def test_wrong_numbers_are_rejected():
    for arguments in ((0, 2.0, 2.0), (2, 1.0, 2.0), (2, 2.0, 0.0)):
        with pytest.raises(ValueError, match="must be"):
            level_scales(*arguments)
    with pytest.raises(ValueError, match="at least one coefficient"):
        chebyshev_coefficients(filter_bank("haar"), 0)
