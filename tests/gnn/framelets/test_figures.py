import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

from src.gnn.framelets import figures


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_intervals_are_those_of_scipy():
    values = [80.0, 82.0, 81.0, 79.5]
    mean, half = figures.mean_and_half_interval(values)
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high))


def test_a_variant_looks_like_its_model():
    assert figures.look("UFG-R, n = 6") == figures.look("UFG-R") != figures.look("GCN")
    assert figures.look("a readout") not in figures.LOOK.values()


def test_energies_are_stacked_to_their_sum():
    fig = figures.energy_figure({"one": [0.5, 0.25, 0.25], "two": [1.0, 0.4, 0.2]}, ("a", "b", "c"))
    bars = fig.axes[0].patches
    ends = [max(bar.get_x() + bar.get_width() for bar in bars[k::2]) for k in (0, 1)]
    assert ends == pytest.approx([1.0, 1.6])


def test_scores_of_several_data_sets_share_their_rows():
    one = {"MLP": [1.0, 2.0], "GCN": [3.0, 4.0]}
    other = {"MLP": [1.0, 2.0], "GAT": [5.0, 6.0], "GCN": [3.0, 5.0]}
    fig = figures.score_figure({"small": one, "large": other, "none": {}})
    small, large = fig.axes
    assert [t.get_text() for t in small.get_yticklabels()] == ["MLP", "GAT", "GCN"]
    places = {axis: [line.get_ydata()[0] for line in axis.lines if len(line.get_ydata()) == 2]
              for axis in (small, large)}  # fmt: skip
    assert set(places[small]) == {0, 2} and set(places[large]) == {0, 1, 2}


def test_curves_stand_in_rows_of_two():
    curve = {"GCN": {"0": [1.0, 2.0], "1": [0.0, 1.0]}}
    fig = figures.curve_figure({"a": curve, "b": curve, "c": curve}, {"a": "x", "b": "y", "c": "z"})
    assert [axis.get_xlabel() for axis in fig.axes if axis.axison] == ["x", "y", "z"]
    assert fig.axes[0].get_xticklabels()[1].get_text() == "1"


def test_training_curves_stand_above_theta():
    curves = {"UFG-R": {"test": [10.0, 90.0], "theta": [1.0, 0.5]}}
    fig = figures.training_figure({"Cora": curves}, [1.0, 0.4, 0.1])
    above, below = fig.axes
    assert above.lines[0].get_ydata().tolist() == [10.0, 90.0]
    assert [line.get_ydata().tolist() for line in below.lines] == [[1.0, 0.5], [1.0, 0.4]]


def test_figures_without_results_say_so():
    for fig in (
        figures.score_figure({}),
        figures.curve_figure({}, {}),
        figures.training_figure({"Cora": {}}, []),
        figures.trade_figure({"Cora": {}}),
        figures.smoothing_figure([], {}),
    ):
        assert "no larger profile" in fig.axes[0].texts[0].get_text()
