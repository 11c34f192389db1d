import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.patches import Ellipse
from scipy import stats

from src.common.diffusion.gaussian_mixture import GaussianMixture
from src.common.diffusion.processes import LinearVP
from src.inverse_problems.tmpd import figures


def test_intervals_are_those_of_scipy():
    values = [1.0, 2.0, 4.0, 9.0]
    mean, half = figures.mean_and_half_interval(values)
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high))
    centre, down, up = figures.geometric_mean_and_interval(values)
    logs = np.log(values)
    low, high = stats.t.interval(0.95, 3, loc=logs.mean(), scale=stats.sem(logs))
    assert centre == pytest.approx(stats.gmean(values))
    assert (centre - down, centre + up) == pytest.approx((np.exp(low), np.exp(high)))


def test_the_ellipse_is_that_of_the_covariance():
    prior = GaussianMixture(torch.ones(1), torch.zeros(1, 2), torch.diag(torch.tensor([4.0, 1.0])))
    process, t = LinearVP(), 0.4
    noisy = {t: torch.tensor([[0.3, -0.2]], dtype=torch.float64)}
    m, v = float(process.mean(t)), float(process.std(t) ** 2)
    fig, axes = plt.subplots()
    figures._assumed_gaussians(axes, prior, process, t, noisy[t])
    ours, other = (patch for patch in axes.patches if isinstance(patch, Ellipse))
    variances = [v * c / (m**2 * c + v) for c in (4.0, 1.0)]
    assert [ours.width, ours.height] == pytest.approx([4 * x**0.5 for x in variances])
    assert ours.angle % 180 == pytest.approx(0, abs=1e-6)
    assert other.width == other.height == pytest.approx(4 * v**0.5)
    plt.close(fig)
    fig = figures.field_figure((10, 100), {"TMPD": [[1.0, 2.0], [0.01, 0.02]]})
    assert len(fig.axes[0].lines) == 2  # the method and the guide
    plt.close(fig)


def test_a_mosaic_puts_every_image_in_its_place():
    fig, axis = plt.subplots()
    images = [[torch.full((1, 8, 8), -1.0), torch.full((1, 8, 8), 1.0)], [torch.zeros(1, 8, 8)]]
    figures._mosaic(axis, images, ["one", "two"])
    sheet = np.asarray(axis.images[0].get_array())
    assert sheet.shape == (18, 18, 3)
    assert sheet[:8, :8].max() == 0 and sheet[:8, 9:17].min() == 1
    assert sheet[9:17, :8] == pytest.approx(0.5) and sheet[9:, 9:].min() == 1
    plt.close(fig)
