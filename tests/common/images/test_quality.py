"""PSNR and SSIM against scikit-image's numbers, SciPy's filters and hand calculation."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import correlate

from src.common.images.quality import psnr, ssim

# side, seed, std, window, and what scikit-image 0.26.0 gives for `waves(side, seed)` as
# structural_similarity(..., data_range=2, gaussian_weights=True, sigma=std,
# use_sample_covariance=False) and peak_signal_noise_ratio(..., data_range=2).
REFERENCE = [
    (28, 0, 1.5, 11, 0.7343542513331099, 22.996771798329227),
    (32, 1, 1.5, 11, 0.7948033261593843, 24.269001130357253),
    (8, 2, 0.8, 7, 0.9338412966917125, 24.673076830086398),
]


def waves(side, seed):
    row, column = np.mgrid[0:side, 0:side] / side
    true = np.sin(5 * row + 3 * column + seed) * np.cos(4 * row * column)
    restored = 0.8 * true + 0.1 * np.cos(23 * row - 17 * column) - 0.05
    return torch.from_numpy(restored)[None, None], torch.from_numpy(true)[None, None]


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("side", "seed", "std", "window", "similarity", "decibels"), REFERENCE)
def test_scikit_image_gives_the_same(side, seed, std, window, similarity, decibels):
    restored, true = waves(side, seed)
    assert float(ssim(restored, true, 2.0, window=window, std=std)) == pytest.approx(
        similarity, 1e-9
    )
    assert float(psnr(restored, true, 2.0)) == pytest.approx(decibels, 1e-9)
    single = ssim(restored.float(), true.float(), 2.0, window=window, std=std)
    assert float(single) == pytest.approx(similarity, 1e-4)


@given(st.integers(5, 14), st.integers(5, 14), st.sampled_from([3, 5]), st.floats(0.5, 4.0))
@settings(max_examples=30)
def test_ssim_is_the_paper_s_formula(height, width, window, data_range):
    x, y = noise(height, width), noise(height, width, seed=1)
    line = np.exp(-0.5 * ((np.arange(window) - window // 2) / 1.5) ** 2)
    weights = np.outer(line, line) / np.outer(line, line).sum()
    edge = window // 2

    def mean(values):
        return correlate(values, weights)[edge : height - edge, edge : width - edge]

    a, b = x.numpy(), y.numpy()
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    covariance = mean(a * b) - mean(a) * mean(b)
    variances = mean(a * a) - mean(a) ** 2 + mean(b * b) - mean(b) ** 2
    expected = (2 * mean(a) * mean(b) + c1) * (2 * covariance + c2)
    expected = expected / ((mean(a) ** 2 + mean(b) ** 2 + c1) * (variances + c2))
    ours = ssim(x[None, None], y[None, None], data_range, window)
    assert float(ours) == pytest.approx(expected.mean(), abs=1e-10)


def test_ssim_of_equal_and_opposite_images():
    x = noise(3, 2, 16, 12)
    torch.testing.assert_close(ssim(x, x, 2.0), torch.ones(3, dtype=torch.float64))
    centred = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).double().repeat(6, 6)[None, None]
    assert -1 <= float(ssim(centred, -centred, 2.0)) < -0.9


def test_one_number_an_image_and_the_mean_over_channels():
    x, y = noise(4, 3, 12, 12), noise(4, 3, 12, 12, seed=1)
    each = ssim(x.reshape(12, 1, 12, 12), y.reshape(12, 1, 12, 12), 2.0)
    torch.testing.assert_close(ssim(x, y, 2.0), each.reshape(4, 3).mean(1))
    torch.testing.assert_close(each[5:6], ssim(x[1:2, 2:3], y[1:2, 2:3], 2.0))
    torch.testing.assert_close(psnr(x, y, 2.0)[2], psnr(x[2:3], y[2:3], 2.0)[0])
    assert psnr(x, y, 2.0).shape == ssim(x, y, 2.0).shape == (4,)


def test_psnr_by_hand():
    true = torch.zeros(2, 1, 2, 2)
    restored = true + torch.tensor([0.1, 0.2]).reshape(2, 1, 1, 1)
    expected = torch.tensor([20 * math.log10(2 / 0.1), 20 * math.log10(2 / 0.2)])
    torch.testing.assert_close(psnr(restored, true, 2.0), expected)
    torch.testing.assert_close(psnr(restored, true, 1.0), expected - 20 * math.log10(2))
    assert torch.isinf(psnr(true, true, 2.0)).all()


def test_scaling_image_and_range_together_changes_nothing():
    x, y = waves(20, 3)
    for measure in (psnr, ssim):
        torch.testing.assert_close(measure(x, y, 2.0), measure(127.5 * x, 127.5 * y, 255.0))


@given(st.floats(0.01, 1.0), st.floats(1.1, 5.0))
@settings(max_examples=20)
def test_more_noise_is_worse(level, factor):
    true, error = waves(16, 0)[1], noise(1, 1, 16, 16)
    for measure in (psnr, ssim):
        less, more = (measure(true + k * level * error, true, 2.0) for k in (1, factor))
        assert less > more


@pytest.mark.parametrize("window", [4, 9, 0])
def test_window_must_be_odd_and_fit(window):
    with pytest.raises(ValueError, match="window"):
        ssim(noise(1, 1, 8, 8), noise(1, 1, 8, 8), 2.0, window=window)
