import numpy as np
import pytest

from src.inverse_problems.tmpd import tables


def test_words_follow_the_interval_of_the_ratio():
    row = {"TMPD": [1.0, 1.0, 1.0, 1.0], "PiGDM": [2.0, 2.2, 1.8, 2.1]}
    assert tables.closer("a", row).endswith("PiGDM / TMPD 2.02, TMPD is closer")
    assert "PiGDM is closer" in tables.closer("a", {"TMPD": row["PiGDM"], "PiGDM": row["TMPD"]})
    assert "undecided" in tables.closer("a", {**row, "PiGDM": [2.0, 0.5, 0.6, 1.5]})


def test_tasks_are_joined_and_noise_levels_averaged():
    found = [[{"psnr": [1.0, 2.0]}, {"psnr": [3.0, 4.0]}], [{"psnr": [5.0, 6.0]}] * 2]
    assert tables.joined(found)["psnr"].tolist() == [2.0, 3.0, 5.0, 6.0]


def test_means_are_over_problems_and_numbers_of_observations():
    grid = {
        ("vp", 8, 1, 0.1): {"TMPD": [1.0, 2.0]},
        ("vp", 8, 2, 0.1): {"TMPD": [3.0, 6.0]},
        ("ve", 8, 1, 0.1): {"TMPD": [7.0, 7.0]},
        ("vp", 80, 1, 0.1): {"TMPD": [9.0, 9.0]},
    }
    means = tables.pooled_means(grid)
    assert means["VP, d = 8, σ = 0.1"] == {"TMPD": pytest.approx(3.0)}
    assert len(means) == 3 and np.isclose(means["VE, d = 8, σ = 0.1"]["TMPD"], 7.0)
    assert tables.lines(means, ["TMPD", "DPS"])[0][1:] == ["9", None]
    assert tables.lines(None, ["TMPD"]) == []


@pytest.mark.parametrize(
    "row",
    [
        {"TMPD": [1.0, 2.0], "PiGDM": [1.0]},
        {"TMPD": [1.0], "PiGDM": [2.0]},
        {"TMPD": [1.0, 2.0], "PiGDM": [1.0, float("nan")]},
        {"TMPD": [1.0, 0.0], "PiGDM": [1.0, 2.0]},
    ],
)
def test_words_about_other_problems_or_no_numbers_are_refused(row):
    with pytest.raises(ValueError):
        tables.closer("a", row)


def test_joining_nothing_or_other_images_is_refused():
    with pytest.raises(ValueError, match="no tasks"):
        tables.joined([])
    with pytest.raises(ValueError, match="need equal"):
        tables.joined([[{"psnr": [1.0, 2.0]}, {"psnr": [1.0]}]])
