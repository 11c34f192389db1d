"""The experiments of the fractional-diffusion chapter cannot leak.

Little is held out here. Test images appear in two places, the accuracy of the classifier that
judges and one of the two Frechet distances; true points in the plane, in the distances to them.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache, wraps

import numpy as np
import pytest
import torch

from src.common.diffusion.denoising import DenoiserSettings, pack_weights
from src.common.diffusion.gaussian_mixture import GaussianMixture
from src.common.diffusion.networks import ScoreMLP
from src.common.diffusion.processes import Process
from src.common.images import models
from src.common.images.feature_network import ClassifierSettings, FeatureNetwork
from src.common.images.models import DenseSettings, ImageRecipe, train_image_classifier
from src.common.images.sets import digits
from src.common.training.loop import seeded
from src.diffusion.fractional import (
    experiments,
    image_training,
    images,
    roughness,
    training,
)
from src.diffusion.fractional.figures import SAMPLER_STYLES
from src.diffusion.fractional.image_training import train_images
from src.diffusion.fractional.names import named_process
from src.diffusion.fractional.training import Circle, PlaneRecipe, train_plane
from tests.leaks.suite import Experiment, Noise, leaves, suite
from tests.leaks.tape import fingerprint

ROOM = "src.diffusion.fractional"
MODELS = "src.common.images.models"
HALVING = Circle(ratio=2.0)
PLANE = PlaneRecipe(points=256, width=8, depth=1, steps=3, batch=32)
DIGITS = ImageRecipe(
    "digits",
    (1, 8, 8),
    DenseSettings(64, 1),
    DenoiserSettings(steps=300, batch=64, learning_rate=4e-3),
    classes=10,
)
FEW_STEPS = replace(DIGITS, training=DenoiserSettings(steps=3, batch=16))
JUDGE = ClassifierSettings(steps=60)
COMPARED = ("vp", "ve", "fvp 0.9 2", "fvp 0.1 2", "fvp 0.9 3")
SPLIT = {0: "the split of the digits is always the same"}
with seeded(torch.Generator().manual_seed(0)):
    GUESS = pack_weights(ScoreMLP((2,), PLANE.width, PLANE.depth))


@cache
def trained() -> dict[str, str]:
    """Weights of a network that draws digits and of the classifier that judges them."""
    return {
        "weights": train_images("fvp 0.9 2", DIGITS, 5)["weights"],
        "classifier": train_image_classifier("digits", JUDGE, 5)["weights"],
    }


@pytest.fixture(scope="module", autouse=True)
def trained_before() -> None:
    """Train before anything is recorded, so that a tape holds only what the line says."""
    trained()


def with_weights(function: Callable, *names: str) -> Callable:
    """The function, given weights that were trained before; images count as a whole."""

    @wraps(function)
    def given(**arguments):
        result = function(**arguments, **{name: trained()[name] for name in names})
        if isinstance(result, dict):  # single pixels are black for every seed
            result["shown"] = torch.tensor(result["shown"])
        return result

    return given


def noise_for_test_images(found, calls, generator):
    return replace(found, test=2 * torch.rand(found.test.shape, generator=generator) - 1)


def shuffled_test_labels(found, calls, generator):
    order = torch.randperm(len(found.test_labels), generator=generator)
    return replace(found, test_labels=found.test_labels[order])


def all_but(*keys: str) -> Callable:
    return lambda result: leaves({k: v for k, v in result.items() if k not in keys})


MODES = {"evaluations": 10, "samples": 300, "circle": HALVING}
FEW = ["coverage", "rarest", "outliers", r"shares/[4-7]"]  # of 300 points, a handful
EXPERIMENTS = [
    Experiment(
        experiments.circle_distance,
        {"name": "fvp 0.9 2", "sampler": "bridge", "evaluations": 5, "samples": 100},
    ),
    Experiment(experiments.circle_floor, {"samples": 100}),
    Experiment(
        experiments.circle_table,
        {
            "names": ["vp", "fvp 0.9 2"],
            "samplers": ["sde", "matched"],
            "evaluations": [4],
            "samples": 100,
        },
        seed="seeds",
        fixed=[r"\d+/(process|sampler|evaluations)"],
    ),
    Experiment(
        experiments.rare_modes,
        MODES | {"name": "fvp 0.9 2", "sampler": "bridge"},
        fixed=FEW,
    ),
    Experiment(
        experiments.rare_modes,
        MODES | {"name": "twin 0.9 2", "sampler": "sde", "recipe": PLANE, "weights": GUESS},
        fixed=FEW[:2],
    ),
    Experiment(
        train_plane,
        {"name": "fvp 0.9 2", "circle": HALVING, "recipe": PLANE},
        fixed=["parameters"],
        sizes=lambda: {
            name: train_plane(name, HALVING, PLANE, 0)["parameters"] for name in COMPARED
        },
    ),
    Experiment(
        train_images,
        {"name": "fvp 0.9 2", "recipe": FEW_STEPS},
        fixed=["parameters"],
        shared_seeds=SPLIT,
        noise=Noise(  # the test images reach no training
            source=f"{MODELS}:image_set",
            spoil=noise_for_test_images,
            scores=lambda result: [],
            chance=0.0,
            chosen=lambda result: result,
        ),
        sizes=lambda: {name: train_images(name, FEW_STEPS, 0)["parameters"] for name in COMPARED},
    ),
    Experiment(  # it gives the features and the classes of all that is said about images
        train_image_classifier,
        {"data": "digits", "settings": JUDGE},
        shared_seeds=SPLIT,
        noise=Noise(
            source=f"{MODELS}:image_set",
            spoil=shuffled_test_labels,
            scores=lambda result: [result["accuracy"]],
            chance=0.2,
            chosen=all_but("accuracy"),
        ),
    ),
    Experiment(
        with_weights(images.draw_images, "weights"),
        {
            "recipe": DIGITS,
            "name": "fvp 0.9 2",
            "labels": torch.arange(10),
            "evaluations": 5,
            "sampler": "sde",
        },
    ),
    Experiment(
        with_weights(images.judge_images, "weights", "classifier"),
        {
            "recipe": DIGITS,
            "name": "fvp 0.9 2",
            "samples": 200,
            "evaluations": 10,
            "sampler": "bridge",
        },
        fixed=["finite"],
        shared_seeds=SPLIT,
        noise=Noise(
            source=f"{ROOM}.images:image_set",
            spoil=noise_for_test_images,
            scores=lambda result: [-result["frechet"]],
            chance=-150.0,  # 380 lie between the true test images and the noise
            chosen=all_but("frechet"),
            watch=[f"{ROOM}.images:draw_images"],
        ),
    ),
    *(
        Experiment(roughness.measured_roughness, {"hurst": 0.9, "count": count, "paths": 100})
        for count in (None, 3)
    ),
]
test_experiments = suite(EXPERIMENTS)


# --- compared processes get the same data, noise and numbers of trials --------------------------


@pytest.fixture
def noise(monkeypatch) -> list[torch.Tensor]:
    """All normal numbers that are drawn with `torch.randn`, in their order."""
    drawn, randn = [], torch.randn

    def noting(*args, **kwargs):
        drawn.append(randn(*args, **kwargs))
        return drawn[-1].clone()

    monkeypatch.setattr(torch, "randn", noting)
    return drawn


def same(one: list, other: list) -> bool:
    return len(one) == len(other) > 0 and all(map(torch.equal, one, other))


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("sampler", ["sde", "bridge", "released ode"])
def test_processes_with_as_many_speeds_get_the_same_noise_and_as_many_draws(noise, sampler, count):
    found, lists = [], []
    for name in (f"fvp 0.9 {count}", f"fvp 0.1 {count}", f"fve 0.6 {count}"):
        noise.clear()
        found.append(experiments.rare_modes(name, sampler, 6, 4, 30, HALVING)["distance"])
        lists.append(list(noise))
    assert same(lists[0], lists[1]) and same(lists[0], lists[2])
    # One K with its scaling leaves nothing of H; otherwise the processes differ.
    assert (found[0] == pytest.approx(found[1], rel=1e-3)) is (count == 1)


@pytest.mark.parametrize("points", [400, 1000, 4000])  # the page's
def test_processes_with_one_base_start_from_the_same_noise_in_the_image(points):
    starts = []
    for name in ("vp", "twin 0.9 2", "fvp 0.9 2", "fvp 0.1 2", "fvp 0.9 3"):
        process, generator = named_process(name), torch.Generator().manual_seed(3)
        image = process.image(process.start((points, 2), generator, torch.float64))
        starts.append(image / image.std())
    for start in starts[1:]:
        torch.testing.assert_close(start, starts[0])


def test_estimates_of_roughness_rest_on_the_same_pushes(noise):
    lists = []
    for hurst in (0.9, 0.1):
        noise.clear()
        roughness.measured_roughness(hurst, 3, 7, 50)
        lists.append(list(noise))
    assert same(*lists)


def test_every_method_of_the_table_gets_as_many_evaluations_and_the_same_true_points(monkeypatch):
    draw, distance, seen, judged = experiments.draw, experiments.sliced_wasserstein, [], []

    def counting(process, score, shape, sampler, evaluations, generator, dtype):
        calls = []

        def counted(u, t):
            calls.append(tuple(u.shape))
            return score(u, t)

        seed = generator.initial_seed()
        drawn = draw(process, counted, shape, sampler, evaluations, generator, dtype)
        seen.append((evaluations, seed, shape, Counter(calls)))
        return drawn

    def noting(a, b, directions):
        judged.append(fingerprint(tuple(a.shape), b, directions))
        return distance(a, b, directions)

    monkeypatch.setattr(experiments, "draw", counting)
    monkeypatch.setattr(experiments, "sliced_wasserstein", noting)
    names, samplers = ["vp", "fvp 0.9 2"], list(SAMPLER_STYLES)  # the page's
    rows = experiments.circle_table(names, samplers, [5, 9], [3, 4], 40)
    assert [row["evaluations"] for row in rows] == [5, 9] * len(names) * len(samplers)
    for evaluations, _, shape, calls in seen:
        assert calls == {shape: evaluations} and shape == (40, 2)
    assert len(seen) == 2 * len(rows) and len({seed for _, seed, *_ in seen}) == 2
    assert judged == judged[:2] * len(rows) and judged[0] != judged[1]


class Shown(Process):
    """A process that notes what a training asks it to make noisy."""

    def __init__(self, original: Process, tape: list[str]) -> None:
        self.original, self.tape = original, tape

    def mean(self, t):
        return self.original.mean(t)

    def std(self, t):
        return self.original.std(t)

    def rate(self, t):
        return self.original.rate(t)

    def diffusion(self, t):
        return self.original.diffusion(t)

    def noisy(self, images, t, noise):
        self.tape.append(fingerprint(images, t, noise))
        return self.original.noisy(images, t, noise)


@pytest.mark.parametrize("kind", ["plane", "images"])
def test_trainings_share_weights_points_order_times_and_noise(monkeypatch, kind):
    """The networks of all processes start alike and see the same; only the process differs."""
    tape: list[str] = []
    plane = kind == "plane"
    trainer, namer = (training, training) if plane else (models, image_training)
    train, name_of = trainer.train_denoiser, namer.named_process

    def noting(network, process, data, settings, generator):
        tape.append(fingerprint(network.state_dict(), *data, settings))
        tape.append(fingerprint(generator.get_state()))
        return train(network, process, data, settings, generator)

    monkeypatch.setattr(trainer, "train_denoiser", noting)
    monkeypatch.setattr(namer, "named_process", lambda name: Shown(name_of(name), tape))
    tapes, found = [], []
    for name in COMPARED:
        tape.clear()
        arguments = (name, HALVING, PLANE, 9) if plane else (name, FEW_STEPS, 9)
        found.append((train_plane if plane else train_images)(*arguments)["weights"])
        tapes.append(list(tape))
    assert all(other == tapes[0] for other in tapes) and len(tapes[0]) == 2 + 3
    assert len(set(found)) == len(COMPARED)


def test_every_image_model_is_asked_for_the_same_images_as_often(monkeypatch):
    draw, seen = images.draw, []

    def noting(process, score, shape, sampler, evaluations, generator):
        calls = []

        def counted(u, t):
            calls.append(len(u))
            return score(u, t)

        seed = generator.initial_seed()
        drawn = draw(process, counted, shape, sampler, evaluations, generator)
        seen.append((shape, sampler, evaluations, seed, Counter(calls)))
        return drawn

    monkeypatch.setattr(images, "draw", noting)
    classifier = trained()["classifier"]
    untrained = pack_weights(DIGITS.untrained())
    for name in COMPARED:
        images.judge_images(DIGITS, untrained, name, classifier, 2, 20, 6)
    assert seen == seen[:1] * len(COMPARED)
    assert seen[0] == ((20, 1, 8, 8), "sde", 6, 20_000, Counter({20: 6}))


# --- true points that judge are no points that were learned from --------------------------------


@pytest.fixture
def sampled(monkeypatch) -> list[int]:
    """The seeds of all generators that true points are drawn with."""
    seeds, sample = [], GaussianMixture.sample

    def noting(self, count, generator):
        seeds.append(generator.initial_seed())
        return sample(self, count, generator)

    monkeypatch.setattr(GaussianMixture, "sample", noting)
    return seeds


def test_no_network_learned_from_the_points_that_judge_it(sampled):
    page = range(10)  # the page's seeds, whose networks are compared with each other
    for seed in page:
        train_plane("vp", HALVING, PLANE, seed)
    learned = set(sampled)
    sampled.clear()
    for seed in page:
        experiments.rare_modes("vp", "ode", 3, seed, 10, HALVING, PLANE, GUESS)
        experiments.circle_floor(seed, 10)
    assert len(learned) == 10 and len(set(sampled)) == 20
    assert not learned & set(sampled)


@pytest.mark.parametrize("weights", [None, GUESS])
def test_noise_for_the_true_points_changes_the_distance_alone(monkeypatch, weights):
    arguments = ("fvp 0.9 2", "bridge", 20, 3, 300, HALVING, PLANE, weights)
    true = experiments.rare_modes(*arguments)

    def anything(self, count, generator):
        return 10 * torch.randn(count, 2, generator=generator, dtype=torch.float64)

    monkeypatch.setattr(GaussianMixture, "sample", anything)
    spoilt = experiments.rare_modes(*arguments)
    assert all_but("distance")(true) == all_but("distance")(spoilt)
    assert true["distance"] < 1 < 4 < spoilt["distance"]


# --- what published numbers are divided by ------------------------------------------------------


def test_measures_of_images_are_computed_again():
    """Frechet distance to all test images, Vendi score of all cosines, and the shares."""
    weights, classifier = trained()["weights"], trained()["classifier"]
    arguments = (6, "bridge")
    found = images.judge_images(DIGITS, weights, "fvp 0.9 2", classifier, 3, 90, *arguments)
    data = digits()
    labels = data.train_labels[:90]
    drawn = images.draw_images(DIGITS, weights, "fvp 0.9 2", labels, 3, *arguments)
    drawn = drawn.clamp(-1, 1)
    judge = images.restored(FeatureNetwork((1, 8, 8), 10), classifier)

    def moments(some):
        features = judge.features(some).double().numpy()
        centred = features - features.mean(0)
        return features.mean(0), centred.T @ centred / (len(features) - 1)

    mean, covariance = moments(drawn)
    for key, others in (("frechet", data.test), ("frechet_train", data.train)):
        other_mean, other = moments(others)
        # The trace of a root is the sum of the roots of the eigenvalues.
        roots = np.linalg.eigvals(covariance @ other).real.clip(min=0) ** 0.5
        distance = ((mean - other_mean) ** 2).sum() + np.trace(covariance + other)
        distance -= 2 * roots.sum()
        assert found[key] == pytest.approx(distance, rel=1e-3)
    pixels = np.maximum((drawn.flatten(1).double().numpy() + 1) / 2, 1e-3)
    pixels /= np.linalg.norm(pixels, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(pixels @ pixels.T / 90)
    values = values[values > 1e-12]
    assert found["vendi"] == pytest.approx(np.exp(-(values * np.log(values)).sum()), rel=1e-5)
    asked = judge(drawn).argmax(1) == labels
    assert found["agreement"] == pytest.approx(asked.double().mean().item())
    differences = (drawn[:, None] - data.train[None]).square().mean((2, 3, 4)).sqrt()
    assert found["nearest"] == pytest.approx(differences.min(1).values.mean().item(), rel=1e-4)
