import copy
import itertools
import json
import math

import pytest
import torch
from torch import nn

from src.common.diffusion.denoising import (
    DATA_STD,
    DenoiserSettings,
    Images,
    MovingAverage,
    image_batches,
    load_packed,
    network_score,
    noise_prediction_loss,
    pack_weights,
    predicted_noise,
    train_denoiser,
    unpack_weights,
)
from src.common.diffusion.networks import ScoreMLP, UNet, UNetSettings
from src.common.diffusion.processes import LinearVP, Process, SubVP, VarianceExploding
from src.common.training.loop import seeded

PROCESSES = [LinearVP(), SubVP(), VarianceExploding()]


class Nothing(nn.Module):
    """A network that adds nothing to the linear guess, and remembers what it was shown."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, u, noise_level, labels=None):
        self.seen = (u, noise_level, labels)
        return 0 * u + self.unused


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def build(seed=0, **kwargs):
    with seeded(stream(seed)):
        return ScoreMLP((2,), width=32, depth=2, **kwargs)


def blobs(count=400, seed=3):
    """Two round classes in the plane."""
    g = stream(seed)
    labels = torch.randint(0, 2, (count,), generator=g)
    centres = torch.tensor([[0.6, 0.0], [-0.6, 0.2]])
    return Images(centres[labels] + 0.1 * torch.randn(count, 2, generator=g), labels)


def points():
    return Images(blobs().images)


@pytest.mark.parametrize("process", PROCESSES)
def test_without_a_network_the_score_is_exact_for_uncorrelated_gaussian_data(process):
    u = torch.randn(4, 3, 2, 2, generator=stream())
    for t in (1e-3, 0.3, 1.0):
        mean, std = float(process.mean(t)), float(process.std(t))
        truth = -u / (mean**2 * DATA_STD**2 + std**2)
        score = network_score(Nothing(), process)(u, torch.tensor(t, dtype=torch.float64))
        torch.testing.assert_close(score, truth, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("process", PROCESSES)
def test_the_network_sees_inputs_of_size_one_and_the_log_of_the_noise_to_signal_ratio(process):
    network, t = Nothing(), torch.tensor([1e-4, 0.1, 0.9], dtype=torch.float64)
    clean = DATA_STD * torch.randn(3, 20_000, generator=stream())
    u = process.noisy(clean, t, torch.randn(3, 20_000, generator=stream(1)))
    predicted_noise(network, process, u, t, torch.tensor(2))
    scaled, level, labels = network.seen
    torch.testing.assert_close(scaled.std(dim=1), torch.ones(3), rtol=0.03, atol=0)
    ratio = [float(process.std(x) / process.mean(x)) for x in t]
    assert level.tolist() == pytest.approx([math.log(r) / 4 for r in ratio], rel=1e-5)
    assert labels.tolist() == [2]  # one class for all is embedded once, as is one time
    predicted_noise(network, process, u, t[1], torch.tensor([2, 0, 1]))
    _, level, labels = network.seen
    assert level.tolist() == pytest.approx([math.log(ratio[1]) / 4], rel=1e-5)
    assert labels.tolist() == [2, 0, 1]


def test_an_error_of_the_network_moves_the_denoised_image_by_at_most_data_std():
    class One(Nothing):
        def forward(self, u, noise_level, labels=None):
            return torch.ones_like(u)

    u = torch.randn(2, 5, generator=stream()).double()
    for process in PROCESSES:
        for t in (1e-3, 0.5, 1.0):
            t = torch.tensor(t, dtype=torch.float64)
            images = [
                process.denoised(u, network_score(n, process)(u, t), t) for n in (One(), Nothing())
            ]
            assert float((images[0] - images[1]).detach().abs().max()) <= DATA_STD * (1 + 1e-9)


@pytest.mark.parametrize("process", PROCESSES)
def test_the_loss_of_the_linear_guess_is_the_irreducible_one_for_gaussian_data(process):
    clean = DATA_STD * torch.randn(20_000, 4, generator=stream(1))
    with torch.no_grad():
        loss = noise_prediction_loss(process, stream(2))(Nothing(), Images(clean))
    t = torch.linspace(1e-5, 1, 20_001, dtype=torch.float64)
    signal = (process.mean(t) * DATA_STD) ** 2
    truth = (signal / (signal + process.std(t) ** 2)).mean()  # Var[noise | u], over all times
    assert float(loss) == pytest.approx(float(truth), rel=0.05)


def test_times_start_at_the_first_time_and_end_at_one(monkeypatch):
    found = []
    monkeypatch.setattr(LinearVP, "noisy", watched(found))
    noise_prediction_loss(LinearVP(), stream(), 0.25)(Nothing(), Images(torch.zeros(5_000, 1)))
    ((_, t, _),) = found
    assert t.dtype == torch.float64
    assert 0.25 < t.min() < 0.252 and 0.998 < t.max() < 1
    assert float(t.mean()) == pytest.approx(0.625, abs=0.01)


def test_the_learnt_score_of_a_gaussian_is_close_to_the_closed_form():
    # Correlated data, off centre: nothing that the linear guess knows.
    process, centre = LinearVP(), torch.tensor([0.5, -0.3])
    root = torch.tensor([[0.5, 0.0], [0.4, 0.15]])
    data = Images(centre + torch.randn(4_000, 2, generator=stream(1)) @ root.T)
    network, untrained = build(), build()
    settings = DenoiserSettings(steps=400, batch=128, learning_rate=8e-3, average=0.98)
    curve = train_denoiser(network, process, data, settings, stream(2))
    assert len(curve.losses) == 400
    covariance = torch.cov(data.images.T, correction=0).double()
    errors, before = [], []
    for t in (0.1, 0.3, 0.6):
        t = torch.tensor(t, dtype=torch.float64)
        u = process.noisy(data.images[:500], t, torch.randn(500, 2, generator=stream(4)))
        spread = process.mean(t) ** 2 * covariance + process.std(t) ** 2 * torch.eye(2)
        offset = u.double() - process.mean(t) * data.images.double().mean(dim=0)
        truth = -torch.linalg.solve(spread, offset.T).T
        for found, model in ((errors, network), (before, untrained)):
            score = network_score(model, process)(u, t).detach()
            found.append(float((score - truth).norm() / truth.norm()))
    assert max(errors) < 0.1
    assert all(b > 1.5 * e for b, e in zip(before, errors, strict=True))


def test_labels_tell_the_network_which_class_to_draw():
    data = blobs()
    network = build(number_of_classes=2)
    settings = DenoiserSettings(steps=300, batch=128, learning_rate=5e-3, average=0.98)
    train_denoiser(network, LinearVP(), data, settings, stream())
    t = torch.tensor(0.5, dtype=torch.float64)
    u = torch.zeros(1, 2)
    for k, x in ((0, 0.6), (1, -0.6)):  # in so much noise little but the class is known
        score = network_score(network, LinearVP(), torch.tensor(k))(u, t).detach()
        assert float(LinearVP().denoised(u, score, t)[0, 0]) == pytest.approx(x, abs=0.15)


def test_a_unet_learns_more_than_the_linear_guess():
    images = torch.zeros(64, 1, 8, 8)
    images[:, :, 2:6, 2:6] = torch.sign(torch.randn(64, 1, 1, 1, generator=stream(1)))
    with seeded(stream()):
        network = UNet((1, 8, 8), UNetSettings(8, (1, 2)))
    settings = DenoiserSettings(steps=120, batch=32, learning_rate=8e-3, average=0.9)
    train_denoiser(network, LinearVP(), Images(images), settings, stream())
    with torch.no_grad():
        losses = [
            float(noise_prediction_loss(LinearVP(), stream(9))(model, Images(images)))
            for model in (network, Nothing())
        ]
    assert losses[0] < 0.6 * losses[1], losses


def test_trainings_with_equal_generators_are_equal_to_the_bit():
    results = []
    for _ in range(2):
        network = build()
        torch.rand(3)  # the global random numbers do not matter
        curve = train_denoiser(
            network, LinearVP(), points(), DenoiserSettings(steps=5, batch=32), stream(8)
        )
        results.append((curve.losses, network.state_dict()))
    assert results[0][0] == results[1][0]
    for name, value in results[0][1].items():
        assert torch.equal(value, results[1][1][name]), name


def watched(found):
    def noisy(self, clean, t, noise):
        found.append((clean, t, noise))
        return Process.noisy(self, clean, t, noise)

    return noisy


def test_different_processes_see_the_same_images_and_noise_in_the_same_order(monkeypatch):
    seen = {}
    data = Images(torch.arange(90.0).reshape(90, 1))
    for process in (LinearVP(), VarianceExploding()):
        seen[process] = found = []
        monkeypatch.setattr(type(process), "noisy", watched(found))
        with seeded(stream()):
            network = ScoreMLP((1,), width=8, depth=1)
        train_denoiser(network, process, data, DenoiserSettings(steps=7, batch=20), stream(6))
    first, second = seen.values()
    assert len(first) == len(second) == 7
    for a, b in zip(first, second, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    epoch = torch.cat([clean for clean, _, _ in first[:4]]).flatten().tolist()
    assert len(set(epoch)) == 80 and epoch != sorted(epoch)
    del found[:]  # another generator, another order
    train_denoiser(network, process, data, DenoiserSettings(steps=4, batch=20), stream(7))
    assert torch.cat([clean for clean, _, _ in found]).flatten().tolist() != epoch


def test_batches_are_epochs_with_their_labels():
    data = Images(torch.arange(10.0)[:, None], torch.arange(10))
    batches = image_batches(data, 4, stream())
    drawn = [next(batches) for _ in range(200)]
    assert all(torch.equal(b.images[:, 0].long(), b.labels) for b in drawn)
    for a, b in zip(drawn[::2], drawn[1::2], strict=True):
        assert len({*a.labels.tolist(), *b.labels.tolist()}) == 8
    counts = torch.bincount(torch.cat([b.labels for b in drawn]), minlength=10)
    assert counts.min() > 60  # 80 expected: what an epoch leaves out changes
    with pytest.raises(ValueError, match="between 1 and all 10"):
        next(image_batches(data, 11, stream()))


def test_the_moving_average_by_hand():
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 50.0)
    average = MovingAverage(network, 0.25)
    expected = 50.0
    for n in range(1, 6):
        nn.init.constant_(network.weight, float(n * n))
        average.update(n, network)
        decay = min(0.25, (1 + n) / (10 + n))  # 2/11, then 3/12 and more: the limit holds
        expected = decay * expected + (1 - decay) * n * n
    average.copy_to(network)
    assert network.weight.item() == pytest.approx(expected, rel=1e-6)
    assert expected != pytest.approx(25.0, rel=0.05)


def test_training_leaves_the_average_in_the_network():
    networks = []
    for decay in (0.0, 0.9):
        networks.append(build())
        train_denoiser(
            networks[-1],
            LinearVP(),
            points(),
            DenoiserSettings(steps=30, batch=32, average=decay, schedule="constant"),
            stream(8),
        )
    last, averaged = (n.last.weight for n in networks)
    start = build().last.weight
    assert 0 < (averaged - start).norm() < (last - start).norm()
    assert not networks[0].training


def test_learning_rate_schedules():
    settings = DenoiserSettings(steps=100, warm_up=0.3)
    factors = [settings.multiplier(s) for s in range(1, 101)]
    assert factors[:3] == pytest.approx([1 / 31, 2 / 31, 3 / 31])
    assert factors[30] == max(factors) == 1.0
    assert all(a > b > 0 for a, b in itertools.pairwise(factors[30:]))
    assert factors[65] == pytest.approx(0.5)  # half way down
    flat = DenoiserSettings(steps=10, warm_up=0.0, schedule="constant")
    assert {flat.multiplier(s) for s in range(1, 11)} == {1.0}


def test_settings_reject_what_makes_no_sense_and_are_json():
    for wrong in ({"schedule": "linear"}, {"warm_up": 1.0}, {"average": 1.0}, {"first_time": -1.0}):
        with pytest.raises(ValueError):
            DenoiserSettings(steps=1, **wrong)
    settings = DenoiserSettings(steps=3)
    assert DenoiserSettings(**json.loads(json.dumps(vars(settings)))) == settings


def test_packed_weights_come_back_in_half_precision_whatever_their_layout():
    settings = UNetSettings(8, (1, 2))
    with seeded(stream()):
        network = UNet((1, 8, 8), settings).to(memory_format=torch.channels_last)
    for parameter in network.parameters():
        nn.init.normal_(parameter, generator=stream(1))
    text = json.loads(json.dumps(pack_weights(network)))
    other = UNet((1, 8, 8), settings).train()
    load_packed(other, text)
    assert not other.training
    for name, value in network.state_dict().items():
        assert torch.equal(other.state_dict()[name], value.half().float()), name
    assert list(unpack_weights(text)) == sorted(network.state_dict())
    with pytest.raises(RuntimeError):
        load_packed(UNet((1, 8, 8), UNetSettings(16, (1, 2))), text)


def test_training_does_not_touch_the_images():
    data = blobs()
    kept = copy.deepcopy(data)
    train_denoiser(build(), LinearVP(), data._replace(labels=None), DenoiserSettings(3), stream())
    assert torch.equal(data.images, kept.images)
