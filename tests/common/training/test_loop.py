import math

import pytest
import torch
from torch import nn

from src.common.training.loop import TrainingSettings, seeded, train


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def line_batches(count: int = 10_000):
    """Points of y = 3 x - 1."""
    stream = generator(7)
    for _ in range(count):
        x = torch.randn(32, 1, generator=stream)
        yield x, 3 * x - 1


def squared(model, batch):
    x, y = batch
    return ((model(x) - y) ** 2).mean()


def line(seed: int = 0) -> nn.Module:
    with seeded(generator(seed)):
        return nn.Linear(1, 1)


def test_finds_the_line():
    model = line()
    curve = train(model, squared, line_batches(), TrainingSettings(300, 0.1), generator())
    assert model.weight.item() == pytest.approx(3, abs=0.01)
    assert model.bias.item() == pytest.approx(-1, abs=0.01)
    assert len(curve.losses) == 300
    assert curve.losses[-1] < 1e-3 < curve.losses[0]


def test_first_loss_is_that_of_the_untrained_model():
    model, batch = line(), next(line_batches())
    expected = squared(model, batch).item()
    curve = train(model, squared, iter([batch]), TrainingSettings(1), generator())
    assert curve.losses == [expected]


def test_schedule_multiplies_the_learning_rate():
    # Adam's first step has length lr * multiplier, whatever the gradient.
    for multiplier in (0.0, 0.5, 2.0):
        model = line()
        before = model.weight.item()
        settings = TrainingSettings(1, 0.01, schedule=lambda step, m=multiplier: m)
        train(model, squared, line_batches(), settings, generator())
        assert abs(model.weight.item() - before) == pytest.approx(0.01 * multiplier, abs=1e-6)


def test_schedule_sees_the_steps_from_one():
    seen = []
    settings = TrainingSettings(3, schedule=lambda step: seen.append(step) or 1.0)
    train(line(), squared, line_batches(), settings, generator())
    assert seen == [1, 2, 3]


def test_clipping_bounds_the_gradient():
    norms = []

    def note(step, model):
        norms.append(math.hypot(*(p.grad.norm().item() for p in model.parameters())))

    settings = TrainingSettings(5, clip_norm=0.25)
    train(line(), squared, line_batches(), settings, generator(), after_step=note)
    assert all(norm <= 0.2501 for norm in norms)
    assert max(norms) > 0.24  # the bound was reached: without clipping the gradient is larger


def test_watch_runs_in_evaluation_mode_at_the_stated_steps():
    model = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    modes = []

    def watch(network):
        modes.append((network.training, torch.is_grad_enabled()))
        return 1.5

    curve = train(
        model,
        squared,
        line_batches(),
        TrainingSettings(7),
        generator(),
        watch=watch,
        watch_every=3,
    )
    assert curve.watched == [(3, 1.5), (6, 1.5), (7, 1.5)]
    assert modes == [(False, False)] * 3
    assert not model.training


def test_same_generator_same_training_and_global_stream_untouched():
    def run(seed):
        with seeded(generator(1)):
            model = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        return train(model, squared, line_batches(), TrainingSettings(20), generator(seed)).losses

    state = torch.random.get_rng_state()
    first = run(3)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert run(3) == first
    assert run(4) != first  # dropout draws other numbers


def adam_by_hand(weight, gradients, rate, decay, coupled):
    """Adam and AdamW as in Loshchilov and Hutter (arXiv 1711.05101, algorithms 1 and 2)."""
    first = second = 0.0
    for step, gradient in enumerate(gradients, start=1):
        slope = gradient(weight) + (decay * weight if coupled else 0.0)
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
        move = first / (1 - 0.9**step) / (math.sqrt(second / (1 - 0.999**step)) + 1e-8)
        weight = weight - rate * move - (0.0 if coupled else rate * decay * weight)
    return weight


@pytest.mark.parametrize("coupled", [False, True])
def test_weight_decay_in_the_gradient_or_beside_it(coupled):
    model = nn.Linear(1, 1, bias=False)
    start = model.weight.item()
    settings = TrainingSettings(6, 0.1, weight_decay=0.5, coupled=coupled)
    train(
        model, lambda m, slope: slope * m.weight.sum(), [1.0, 2.0, -1.0] * 2, settings, generator()
    )
    gradients = [lambda w, slope=slope: slope for slope in [1.0, 2.0, -1.0] * 2]
    by_hand = adam_by_hand(start, gradients, 0.1, 0.5, coupled)
    assert model.weight.item() == pytest.approx(by_hand, abs=1e-5)
    other = adam_by_hand(start, gradients, 0.1, 0.5, not coupled)
    assert abs(by_hand - other) > 1e-3  # the two rules differ here


def test_stops_when_told():
    seen = iter([5, 4, 3, 2])
    curve = train(
        line(),
        squared,
        line_batches(),
        TrainingSettings(10),
        generator(),
        watch=lambda model: next(seen),
        watch_every=2,
        stop=lambda value: value <= 3,
    )
    assert curve.watched == [(2, 5), (4, 4), (6, 3)]
    assert len(curve.losses) == 6


def test_smoothed_means_of_windows():
    curve = train(line(), squared, line_batches(), TrainingSettings(5), generator())
    a, b, c, d, e = curve.losses
    assert curve.smoothed(2) == pytest.approx([(a + b) / 2, (c + d) / 2, e])


def test_clear_errors():
    with pytest.raises(ValueError, match="ran out before step 3 of 5"):
        train(line(), squared, line_batches(2), TrainingSettings(5), generator())
    with pytest.raises(ValueError, match="at least 1, not 0"):
        TrainingSettings(0)
    with pytest.raises(ValueError, match="positive"):
        TrainingSettings(1, learning_rate=0.0)
    with pytest.raises(ValueError, match="weight_decay must be at least 0"):
        TrainingSettings(1, weight_decay=-0.1)
    with pytest.raises(FloatingPointError, match="at step 1"):
        train(
            line(),
            lambda model, batch: squared(model, batch) * torch.inf,
            line_batches(),
            TrainingSettings(2),
            generator(),
        )
