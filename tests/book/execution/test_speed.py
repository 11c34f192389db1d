"""Budgets are stated for one machine; a slower or busier one is measured."""

import pytest

from src.book.execution import speed
from src.book.execution.results import Result
from src.book.execution.speed import REFERENCE_S, Slowness


def test_long_cells_count_more(monkeypatch):
    slowness = Slowness()
    assert slowness.value == 1.0
    for seconds, times in ((0.0, 1), (10.0, 2), (30.0, 4)):
        monkeypatch.setattr(speed, "_work", lambda times=times: times * REFERENCE_S)
        slowness.sample(seconds)
    assert slowness.value == pytest.approx((10 * 2 + 30 * 4) / 40, rel=0.01)


def test_the_work_takes_processor_time_of_the_order_of_the_reference():
    found = Slowness()
    found.sample(1.0)
    assert 0.1 < found.value < 100  # another machine, but no other unit


def test_a_page_is_over_its_budget_on_the_machine_that_budgets_are_stated_for():
    took = {"seconds": 50.0, "startup_seconds": 1.0, "cpu_seconds": 48.0, "budget_s": 30.0}
    assert Result("a/b", "quick", "ok", **took).over_budget
    assert not Result("a/b", "quick", "ok", **took, slowness=1.7).over_budget
    assert Result("a/b", "quick", "ok", **took | {"cpu_seconds": 60.0}, slowness=1.6).over_budget
