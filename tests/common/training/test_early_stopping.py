import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from src.common.training.early_stopping import Patience, PlateauSchedule


def test_patience_counts_observations_without_a_new_lowest():
    patience = Patience(3)
    losses = [5.0, 4.0, 4.0, 4.5, 3.9, 4.0, 3.9, 3.95]
    assert [patience.observe(loss) for loss in losses] == [False] * 7 + [True]


def test_plateau_schedule_is_that_of_pytorch():
    losses = (2 + torch.randn(200, generator=torch.Generator().manual_seed(0))).tolist()
    losses[:4] = [9.0, 9.0 * 0.99995, 8.9, 8.9]  # the second is no improvement: below the threshold
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    for patience in (0, 1, 5):
        peer = ReduceLROnPlateau(optimiser, factor=0.7, patience=patience)
        optimiser.param_groups[0]["lr"] = 1.0
        schedule = PlateauSchedule(0.7, patience)
        for step, loss in enumerate(losses[:40], start=1):
            peer.step(loss)
            schedule.observe(loss)
            assert schedule(step) == pytest.approx(optimiser.param_groups[0]["lr"])
        assert schedule(1) < 1


def test_clear_errors():
    with pytest.raises(ValueError, match="at least 1"):
        Patience(0)
    with pytest.raises(ValueError, match="0 < factor < 1"):
        PlateauSchedule(1.0)
