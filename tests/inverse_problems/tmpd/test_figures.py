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


def drawn(fig):
    """The panels of a figure after it is drawn."""
    fig.canvas.draw()
    panels = list(fig.axes)
    plt.close(fig)
    return panels


def test_every_figure_can_have_a_single_panel():
    prior = GaussianMixture.isotropic(torch.tensor([[1.0, 0.0], [-1.0, 0.5]]).double(), 0.2)
    noisy, points = {0.4: torch.zeros(1, 2).double()}, {"TMPD": torch.zeros(3, 2)}
    assert len(drawn(figures.ring_figure(prior, LinearVP(), noisy, 1.0, points))) == 2
    row = {"separation": 1.0, "bound": 0.2, "divergence": 0.1, "non_gaussian": 0.0}
    assert len(drawn(figures.line_figure({"TMPD": [row]}))) == 1
    settings = {"one": {"TMPD": [1.0, 2.0], "PiGDM": [2.0, 3.0]}}
    (panel,) = drawn(figures.comparison_figure({"VP": settings}, columns=1))
    assert panel.get_title() == "VP" and len(panel.containers) == 2
    curve, levels = {0.1: [1.0, 2.0], 1.0: [2.0, 3.0]}, {"TMPD": [1.0, 2.0], "PiGDM": [2.0, 2.0]}
    assert len(drawn(figures.step_figure({0.1: curve}, {0.1: levels}))) == 1
    table = {"TMPD": {"psnr": np.array([1.0, 2.0])}}
    (panel,) = drawn(figures.judged_figure(table, {"psnr": "decibels"}))
    assert panel.get_xlabel() == "decibels"
    images = torch.zeros(1, 1, 8, 8)
    parts = {"truth": images, "observation": images, "TMPD": torch.zeros(1, 3, 1, 8, 8)}
    assert len(drawn(figures.restoration_figure({"deblurring": parts}))) == 1
    assert len(drawn(figures.uncertainty_figure(parts, ["TMPD"]))) == 5 + 1  # and its scale
    assert len(drawn(figures.gallery_figure({"digits": {"TMPD": np.zeros((1, 1, 8, 8))}}))) == 1


def test_two_panels_have_their_own_titles_and_values():
    rows = [
        {"separation": s, "bound": b, "divergence": 0.5 * b, "non_gaussian": 0.1 * b}
        for s, b in ((1.0, 0.2), (2.0, 0.4))
    ]
    other = [{**row, "bound": 2 * row["bound"]} for row in rows]
    panels = drawn(figures.line_figure({"TMPD": rows, "PiGDM": other}))
    assert [panel.get_title() for panel in panels] == ["TMPD", "PiGDM"]
    shown = [panel.lines[0].get_ydata() for panel in panels]
    assert list(shown[0]) == [0.2, 0.4] and list(shown[1]) == [0.4, 0.8]


@pytest.mark.parametrize("bad", [[], [1.0, float("nan")], [0.0, 1.0], [-1.0, 2.0]])
def test_means_of_what_has_none_are_refused(bad):
    with pytest.raises(ValueError):
        figures.geometric_mean_and_interval(bad)
