import numpy as np
import pytest
import torch
from scipy import stats

from src.common.diffusion.gaussian_mixture import GaussianMixture
from src.common.diffusion.processes import LinearVP
from src.common.images.models import DenseSettings, ImageRecipe
from src.common.images.operators import MatrixOperator
from src.inverse_problems.tmpd import checks
from src.inverse_problems.tmpd.image_experiments import SAMPLES, ImagePrior, Restoration
from src.inverse_problems.tmpd.mixture_experiments import Budget, sensitivity
from src.inverse_problems.tmpd.mixture_problems import MixtureSetting


def test_the_ring_has_the_moments_of_a_ring():
    prior = checks.ring(20, 2.0, 0.2)
    variance = 2.0**2 / 2 + 0.2**2
    assert torch.allclose(prior.expectation(), torch.zeros(2).double(), atol=1e-12)
    assert torch.allclose(prior.total_covariance(), variance * torch.eye(2).double())


def test_every_sampler_finds_a_gaussian_posterior():
    prior = GaussianMixture.isotropic(torch.zeros(1, 2).double(), 1.0)
    operator = MatrixOperator(torch.tensor([[1.0, 0.0]]).double())
    y = torch.tensor([1.0]).double()
    found = checks.ring_samples(prior, operator, y, 0.5, 2000, 300, 0)
    for samples in found.values():  # mean y / (1 + sigma^2), variance sigma^2 / (1 + sigma^2)
        assert samples.mean(0).tolist() == pytest.approx([0.8, 0.0], abs=0.07)
        assert samples.var(0).tolist() == pytest.approx([0.2, 1.0], rel=0.15)


def test_autodiff_gives_the_covariance_and_a_wrong_one_would_be_seen(monkeypatch):
    assert max(checks.covariance_errors(2, [0.2, 0.8], 0)) < 1e-10
    other = GaussianMixture.covariance_given
    monkeypatch.setattr(
        GaussianMixture, "covariance_given", lambda self, *args: 1.001 * other(self, *args)
    )
    assert min(checks.covariance_errors(2, [0.2, 0.8], 0)) > 1e-4


def test_the_guidance_is_exact_for_gaussian_data_and_another_would_be_seen(monkeypatch):
    errors = checks.guidance_errors(2, [0.1, 0.9], 0)
    assert len(errors) == 2 * 2 * 2 and max(errors) < 1e-8
    monkeypatch.setattr(checks, "tmpd", checks.pigdm)
    assert min(checks.guidance_errors(2, [0.1, 0.9], 0)) > 1e-6


def test_log_likelihoods_of_a_single_component_are_those_of_its_entropy(monkeypatch):
    # With all means equal to zero y given u is Gaussian and both methods know its mean; the mean
    # log density is then minus an entropy, whichever method has the right covariance.
    monkeypatch.setattr(
        "src.inverse_problems.tmpd.mixture_problems.component_means",
        lambda dim: torch.zeros(25, dim, dtype=torch.float64),
    )
    setting, t = MixtureSetting(dim=8, observations=2, sigma=0.3, problems=3), 0.3
    rows = np.array(checks.log_likelihoods(setting, "vp", [t], 20_000, 5))
    problems = checks.draw_problems(setting, torch.Generator().manual_seed(5))
    matrices = problems.matrices.numpy()
    process = LinearVP(0.1, 25.0)
    spread = float(process.std(t) ** 2)  # of x_0 given u, as mean^2 + std^2 = 1
    for row, matrix in zip(rows, matrices, strict=True):
        covariance = spread * matrix @ matrix.T + 0.3**2 * np.eye(2)
        entropy = stats.multivariate_normal(cov=covariance).entropy()
        assert row == pytest.approx([-entropy, -entropy], abs=0.03)


def test_between_components_the_wrong_covariance_is_punished():
    rows = checks.log_likelihoods(MixtureSetting(problems=4), "vp", [0.3, 0.5, 0.7], 200, 0)
    assert all(ours > other for ours, other in rows)


def test_the_tuned_constant_is_near_the_best_on_new_problems():
    setting, budget = MixtureSetting(problems=6), Budget(samples=50, steps=100, directions=50)
    best = checks.tuned_constant(setting, budget, 1000)
    rows = sensitivity(setting, budget, 3, [best, best / 30, best * 30])["dps"]
    right, small, large = (sum(row) for row in rows)
    assert right < small and right < large


def test_pictures_survive_being_text():
    recipe = ImageRecipe("digits", (1, 8, 8), DenseSettings(16, 1))
    network = recipe.untrained()
    weights = checks.packed_state(network, network.state_dict())
    setting = Restoration("inpainting", 0.1, steps=3, images=2)
    methods = {"TMPD, row sums": 1.0, "DPS": 0.5}
    prior = ImagePrior(recipe, weights, LinearVP())
    found = checks.restorations(prior, setting, methods, 0)
    assert found["DPS"].shape == (2, SAMPLES, 1, 8, 8)
    kept = checks.unpacked_pictures(checks.pictures(prior, setting, methods, 0))
    assert list(kept) == ["truth", "observation", *methods]
    assert kept["truth"] == pytest.approx((found["truth"].numpy() + 1) / 2, abs=1 / 500)


@pytest.mark.parametrize(("problems", "times"), [(0, [0.5]), (1, []), (1, [0.0]), (1, [500.0])])
def test_checks_of_nothing_are_refused(problems, times):
    """An experiment without problems or times would report that nothing is wrong."""
    for check in (checks.covariance_errors, checks.guidance_errors):
        with pytest.raises(ValueError):
            check(problems, times, 0)
    with pytest.raises(ValueError):
        checks.log_likelihoods(MixtureSetting(problems=1), "vp", times, problems, 0)


@pytest.mark.parametrize("bad", [{"components": 0}, {"radius": -1.0}, {"std": 0.0}])
def test_rings_that_are_none_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        checks.ring(**bad)
