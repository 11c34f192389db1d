"""The experiments of the TMPD chapter cannot leak.

Their prior is an untrained network, whose last layer is 0: it stands for independent normal pixels,
so a restoration is no more than a smooth guess. Noise in place of the test images, black or white
by chance, cannot be guessed.
"""

from dataclasses import replace

import pytest
import torch

from src.common.diffusion.denoising import pack_weights
from src.common.diffusion.processes import LinearVP
from src.common.images.feature_network import FeatureNetwork
from src.common.images.models import DenseSettings, ImageRecipe
from src.common.images.operators import MatrixOperator
from src.common.images.separable import AveragePooling
from src.common.training.loop import seeded
from src.inverse_problems.tmpd import checks, image_experiments, mixture_experiments
from src.inverse_problems.tmpd.gaussian_experiments import FieldSetting, field_distances
from src.inverse_problems.tmpd.image_experiments import METHODS, ImagePrior, Restoration
from src.inverse_problems.tmpd.mixture_experiments import Budget
from src.inverse_problems.tmpd.mixture_problems import MixtureSetting
from src.inverse_problems.tmpd.row_sum_control import restore_by_gradients
from tests.leaks.suite import Experiment, Noise, suite

ROOM = "src.inverse_problems.tmpd"
SHAPE = (1, 8, 8)
RECIPE = ImageRecipe("digits", SHAPE, DenseSettings(8, 1))
with seeded(torch.Generator().manual_seed(0)):
    NETWORK = RECIPE.untrained().eval()
    PRIOR = ImagePrior(RECIPE, pack_weights(NETWORK), LinearVP())
    CLASSIFIER = pack_weights(FeatureNetwork(SHAPE, 10))
RESTORED = Restoration("super-resolution", 0.1, steps=8, images=3)
KNOWN = {"prior": PRIOR, "setting": RESTORED}
NEXT = {
    0: "the split of the digits is always the same",
    1001: "the sampler's seed is that of the observations plus one",
}
MIXTURES = {
    "setting": MixtureSetting(problems=2),
    "budget": Budget(samples=20, steps=10, directions=10),
}
FIELD = torch.linspace(-1, 1, 128).reshape(2, *SHAPE)


def noise_for_test_images(images, calls, generator):
    coins = torch.randint(2, images.test.shape, generator=generator)
    return replace(images, test=2.0 * coins - 1)


def noise(module):
    """Test images become noise: the pixels that vary stay, since these are training images'."""
    return Noise(
        source=f"{ROOM}.{module}:image_set",
        spoil=noise_for_test_images,
        scores=lambda result: result["psnr"],
        chance=11.0,
        watch=[f"{ROOM}.{module}:varying_pixels"],
    )


EXPERIMENTS = [
    Experiment(mixture_experiments.compare, MIXTURES | {"dps_step": 0.3}),
    Experiment(mixture_experiments.sensitivity, MIXTURES | {"steps": [0.1, 1.0]}),
    Experiment(
        mixture_experiments.stability,
        MIXTURES | {"methods": ["full", "dps likelihood"]},
        fixed=[".*"],  # shares, most of them 0 or 1
    ),
    Experiment(
        field_distances,
        {
            "setting": FieldSetting(side=3, observed=3, problems=2),
            "process_name": "vp",
            "sampler": "ancestral",
            "steps": [5, 10],
        },
    ),
    Experiment(checks.covariance_errors, {"problems": 2, "times": [0.2, 0.8]}),
    Experiment(checks.guidance_errors, {"problems": 1, "times": [0.3]}),
    Experiment(
        checks.log_likelihoods,
        {
            "setting": MixtureSetting(problems=2),
            "process_name": "vp",
            "times": [0.3, 0.6],
            "draws": 10,
        },
    ),
    Experiment(
        checks.ring_samples,
        {
            "prior": checks.ring(4),
            "operator": MatrixOperator(torch.tensor([[1.0, 0.0]])),
            "y": torch.ones(1).double(),
            "sigma": 0.5,
            "count": 5,
            "steps": 4,
        },
    ),
    Experiment(
        checks.tuned_constant,
        {"setting": MixtureSetting(problems=2), "budget": MIXTURES["budget"], "each": 4},
        fixed=["result"],  # one of ten constants
    ),
    Experiment(
        image_experiments.restore_images,
        KNOWN | {"classifier": CLASSIFIER, "method": "TMPD, row sums"},
        fixed=["stable/.*"],
        shared_seeds=NEXT,
        noise=noise("image_experiments"),
    ),
    Experiment(
        restore_by_gradients,
        KNOWN | {"classifier": CLASSIFIER},
        fixed=["stable/.*"],
        shared_seeds=NEXT,
        noise=noise("row_sum_control"),
    ),
    Experiment(
        image_experiments.tune_dps,
        KNOWN | {"candidates": [0.3, 1.0]},
        fixed=["steps/.*"],
        shared_seeds=NEXT,
    ),
    Experiment(
        image_experiments.sample_restorations,
        {
            "network": NETWORK,
            "process": LinearVP(),
            "setting": RESTORED,
            "method": "DDRM",
            "truth": FIELD,
        },
        shared_seeds=NEXT,
    ),
    Experiment(
        image_experiments.restore,
        {
            "method": "PiGDM",
            "network": NETWORK,
            "process": LinearVP(),
            "operator": AveragePooling(SHAPE, 2).to(torch.float32),
            "y": FIELD[:, :, ::2, ::2].clone(),
            "setting": RESTORED,
        },
    ),
    Experiment(
        image_experiments.observe,
        {"images": FIELD, "operator": AveragePooling(SHAPE, 2).to(FIELD), "sigma": 0.1},
    ),
    *(
        Experiment(
            function,
            KNOWN | {"methods": {"TMPD, row sums": 1.0, "DPS": 0.5}},
            fixed=[".*truth", "shape/.*"],
            shared_seeds=NEXT,
        )
        for function in (checks.restorations, checks.pictures)
    ),
]
test_experiments = suite(EXPERIMENTS)


# --- compared methods get the same problems, observations and noise -----------------------------


def test_mixtures_seen_through_boundless_noise_are_the_same_for_all_methods():
    """Then no method learns anything, and all make the same steps from the same noise."""
    setting = replace(MIXTURES["setting"], sigma=1e8)
    budget = replace(MIXTURES["budget"], double=True)
    names = ["exact", "full", "diagonal", "row_sum", "pigdm", "pigdm discrete", "dps likelihood"]
    found = mixture_experiments.compare(setting, budget, 5, methods=names)
    found |= mixture_experiments.compare(setting, budget, 5, 0.0, ["dps", "dps continuous"])
    for name in (*names, "dps", "dps continuous"):
        assert found[name] == pytest.approx(found["exact"], rel=1e-5)


def test_images_seen_through_boundless_noise_are_the_same_for_all_methods():
    setting = replace(RESTORED, sigma=1e5)
    found = {
        method: image_experiments.sample_restorations(
            NETWORK, LinearVP(), setting, method, FIELD, 4, dps_step=0.0
        )
        for method in METHODS
        if method != "DDRM"  # it has steps of its own
    }
    for images in found.values():
        assert torch.allclose(images, found["TMPD"], atol=1e-3)
    assert found["TMPD"].std(1).min() > 0.05  # the samples of one image differ


def test_every_method_restores_the_same_observations(monkeypatch):
    seen = []

    def noting(method, network, process, operator, y, setting, seed, dps_step):
        seen.append((y.clone(), seed, setting.steps))
        return torch.zeros(len(y), *SHAPE)

    monkeypatch.setattr(image_experiments, "restore", noting)
    for method in METHODS:
        image_experiments.sample_restorations(NETWORK, LinearVP(), RESTORED, method, FIELD, 4)
    (y, seed, steps), *others = seen
    assert all(torch.equal(y, other) for other, *_ in others)
    assert {(seed, steps)} == {(s, n) for _, s, n in others}
    assert (y.unflatten(0, (2, -1)).diff(dim=1) == 0).all()  # one observation of each image
