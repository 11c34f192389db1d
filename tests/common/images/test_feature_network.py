import numpy as np
import pytest
import torch
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_pre_hook

from src.common.diffusion.denoising import Images
from src.common.images.feature_network import (
    ClassifierSettings,
    FeatureNetwork,
    accuracy,
    class_probabilities,
    features,
    train_classifier,
)
from src.common.images.sets import digits


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def trained():
    data = digits()
    return train_classifier(
        Images(data.train, data.train_labels), 10, ClassifierSettings(), stream()
    )


def test_digits_are_recognised(trained):
    network, curve = trained
    data = digits()
    assert accuracy(network, data.test, data.test_labels) > 0.95
    assert np.mean(curve.losses[-50:]) < 0.1 < np.mean(curve.losses[:5])
    assert not network.training


def test_features_are_what_the_last_layer_sees(trained):
    network, _ = trained
    images = digits().test
    found = features(network, images)
    assert found.shape == (297, 64) and found.min() >= 0 and not found.requires_grad
    weight, bias = (x.detach().double().numpy() for x in network.classes.parameters())
    logits = found.double().numpy() @ weight.T + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert class_probabilities(network, images).numpy() == pytest.approx(expected, abs=1e-5)


def test_features_tell_classes_apart_and_are_not_constant(trained):
    network, _ = trained
    data = digits()
    found = features(network, data.test)
    centres = torch.stack([found[data.test_labels == k].mean(dim=0) for k in range(10)])
    nearest = torch.cdist(found, centres).argmin(dim=1)
    assert float((nearest == data.test_labels).double().mean()) > 0.9


def test_more_images_than_one_pass_holds(trained):
    network, _ = trained
    images = digits().train
    torch.testing.assert_close(
        features(network, images)[1_200:], features(network, images[1_200:]), atol=1e-5, rtol=1e-4
    )


def test_training_depends_on_the_generator_alone():
    data = digits()
    some = Images(data.train[:200], data.train_labels[:200])
    settings = ClassifierSettings(steps=4, batch=50)
    results = []
    for seed in (1, 1, 2):
        torch.rand(2)
        network, curve = train_classifier(some, 10, settings, stream(seed), 8, 16)
        results.append((curve.losses, features(network, data.test)))
    assert results[0][0] == results[1][0] and torch.equal(results[0][1], results[1][1])
    assert results[0][0] != results[2][0]


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (2, 7, 5)])
def test_all_image_sizes(shape):
    network = FeatureNetwork(shape, 4, channels=4, width=6)
    images = torch.randn((3, *shape), generator=stream())
    assert features(network, images).shape == (3, 6)
    probabilities = class_probabilities(network, images)
    assert probabilities.sum(dim=1).tolist() == pytest.approx([1, 1, 1])


def test_labels_are_needed():
    with pytest.raises(ValueError, match="labels"):
        train_classifier(Images(torch.zeros(5, 1, 8, 8)), 2, ClassifierSettings(), stream())


def test_the_learning_rate_falls_linearly():
    settings = ClassifierSettings(steps=4)
    assert [settings.multiplier(s) for s in range(1, 5)] == [1.0, 0.75, 0.5, 0.25]


def test_labels_and_images_that_do_not_fit_are_refused(trained):
    network, _ = trained
    images, labels = digits().test[:6], digits().test_labels[:6]
    broken = images.clone()
    broken[2, 0, 3, 3] = torch.nan
    bad = [
        (images, labels[:1]),  # it would be broadcast
        (images, labels + 10),
        (images, labels - 10),
        (images[:0], labels[:0]),
        (broken, labels),
        (images.long(), labels),
        (images.double(), labels),
        (images[:, 0], labels),
        (images[:, :, 1:], labels),
    ]
    for given in bad:
        with pytest.raises(ValueError):
            accuracy(network, *given)
    with pytest.raises(ValueError, match="label"):
        train_classifier(Images(images, labels), 3, ClassifierSettings(steps=1, batch=2), stream())


def test_accuracy_counts_the_images_in_their_own_class(trained):
    network, _ = trained
    images = digits().test[:40]
    found = class_probabilities(network, images).argmax(1)
    other = torch.where(torch.arange(40) < 10, (found + 1) % 10, found)
    assert accuracy(network, images, found) == 1.0
    assert accuracy(network, images, other) == 0.75


@pytest.mark.parametrize("bad", [{"steps": 0}, {"batch": 0}, {"learning_rate": 0.0}])
def test_settings_that_train_nothing_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        ClassifierSettings(**bad)


@pytest.mark.parametrize("shape", [(1, 3, 8), (8, 8), (0, 8, 8)])
def test_networks_for_no_images_are_refused(shape):
    with pytest.raises(ValueError, match="4 x 4"):
        FeatureNetwork(shape, 10)


def test_every_setting_reaches_the_optimiser():
    data, rates, sizes = digits(), [], []

    def note_rate(optimiser, *_):
        rates.append(optimiser.param_groups[0]["lr"])

    def note_batch(module, given):
        if isinstance(module, FeatureNetwork):
            sizes.append(len(given[0]))

    hooks = [
        register_optimizer_step_pre_hook(note_rate),
        register_module_forward_pre_hook(note_batch),
    ]
    settings = ClassifierSettings(steps=4, batch=30, learning_rate=0.02)
    train_classifier(Images(data.train, data.train_labels), 10, settings, stream(), 4, 6)
    for hook in hooks:
        hook.remove()
    assert rates == pytest.approx([0.02, 0.015, 0.01, 0.005]) and sizes == [30] * 4
