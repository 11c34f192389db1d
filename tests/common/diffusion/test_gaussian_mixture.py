import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, wasserstein_distance
from torch.utils._python_dispatch import TorchDispatchMode

from src.common.diffusion.gaussian_mixture import GaussianMixture
from src.common.diffusion.processes import LinearVP, SubVP, VarianceExploding
from src.common.diffusion.samplers import ancestral, euler_maruyama, probability_flow, time_grid

noise_levels = st.tuples(st.floats(0.05, 1.0), st.floats(0.05, 2.0))
sizes = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(0, 99))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_mixture(components: int, dim: int, seed: int) -> GaussianMixture:
    draw = generator(seed)
    root = torch.randn(dim, dim, generator=draw, dtype=torch.float64)
    means = 3 * torch.randn(components, dim, generator=draw, dtype=torch.float64)
    weights = torch.rand(components, generator=draw, dtype=torch.float64) + 0.1
    eye = torch.eye(dim, dtype=torch.float64)
    return GaussianMixture(weights, means, root @ root.T / dim + 0.05 * eye)


def points(count: int, dim: int, seed: int = 7) -> torch.Tensor:
    return 2 * torch.randn(count, dim, generator=generator(seed), dtype=torch.float64)


def plane() -> GaussianMixture:
    means = torch.tensor([[2.0, 1.0], [-2.0, 0.0], [0.0, -3.0]])
    return GaussianMixture(
        torch.tensor([0.2, 0.5, 0.3]), means, torch.tensor([[0.5, 0.2], [0.2, 0.4]])
    )


def derivatives(mixture, u, mean, std):
    """Gradient and Hessian of the log-density at one point, by autograd."""

    def log_density(x):
        return mixture.log_density(x[None], mean, std)[0]

    return torch.func.grad(log_density)(u), torch.func.hessian(log_density)(u)


# --- densities and scores -----------------------------------------------------------------------


@settings(max_examples=20)
@given(size=sizes, level=noise_levels)
def test_log_density_is_scipys(size, level):
    mixture, (mean, std) = random_mixture(*size), level
    u = points(4, size[1])
    covariance = mean**2 * mixture.covariance + std**2 * torch.eye(size[1]).double()
    parts = [
        multivariate_normal.logpdf(u.numpy(), mean * mu.numpy(), covariance.numpy())
        for mu in mixture.means
    ]
    joint = np.stack(parts, -1).reshape(4, -1) + np.log(mixture.weights.numpy())
    total = logsumexp(joint, axis=1)
    np.testing.assert_allclose(mixture.log_density(u, mean, std), total, rtol=1e-10, atol=1e-9)
    shares = np.exp(joint - total[:, None])
    np.testing.assert_allclose(mixture.responsibilities(u, mean, std), shares, atol=1e-9)


@settings(max_examples=20)
@given(size=sizes, level=noise_levels)
def test_score_and_moments_are_derivatives_of_the_log_density(size, level):
    mixture, (mean, std) = random_mixture(*size), level
    u = points(3, size[1])
    scores, denoised = mixture.score(u, mean, std), mixture.denoised(u, mean, std)
    covariances = mixture.covariance_given(u, mean, std)
    for k in range(3):
        gradient, hessian = derivatives(mixture, u[k], mean, std)
        torch.testing.assert_close(scores[k], gradient, rtol=1e-9, atol=1e-9)
        tweedie = (u[k] + std**2 * gradient) / mean
        torch.testing.assert_close(denoised[k], tweedie, rtol=1e-8, atol=1e-8)
        second = std**2 / mean**2 * (torch.eye(size[1]) + std**2 * hessian)
        torch.testing.assert_close(covariances[k], second, rtol=1e-7, atol=1e-8)


def test_without_noise_it_is_the_mixture_itself():
    mixture, u = plane(), points(5, 2)
    expected = torch.stack([derivatives(mixture, x, 1.0, 0.0)[0] for x in u])
    torch.testing.assert_close(mixture.score(u), expected)
    torch.testing.assert_close(mixture.denoised(u, 0.5, 0.0), u / 0.5)
    assert mixture.covariance_given(u, 0.5, 0.0).abs().max() < 1e-12


def test_conditional_moments_are_those_of_weighted_samples():
    # Draw clean images from the prior and weigh each by the probability of the noise to u.
    mixture, mean, std, count = plane(), 0.6, 0.7, 400_000
    clean = mixture.sample(count, generator())
    for u in (torch.tensor([0.0, -0.5]).double(), torch.tensor([1.0, 0.2]).double()):
        weights = (-0.5 * ((u - mean * clean) ** 2).sum(1) / std**2).softmax(0)
        expected = weights @ clean
        away = clean - expected
        spread = away.T @ (weights[:, None] * away)
        tolerance = 5 * spread.diagonal().max().sqrt() * (weights**2).sum().sqrt()
        assert (mixture.denoised(u[None], mean, std)[0] - expected).abs().max() < tolerance
        gap = mixture.covariance_given(u[None], mean, std)[0] - spread
        assert gap.abs().max() < 3 * tolerance and tolerance < 0.03


def test_one_noise_level_for_each_image_is_a_loop_over_the_images():
    mixture, u = plane(), points(3, 2)
    mean = torch.tensor([0.9, 0.5, 0.1], dtype=torch.float64)
    std = (1 - mean**2).sqrt()
    for method in ("log_density", "score", "denoised", "covariance_given", "responsibilities"):
        together = getattr(mixture, method)(u, mean, std)
        alone = [getattr(mixture, method)(u[[k]], mean[k], std[k]) for k in range(3)]
        torch.testing.assert_close(together, torch.cat(alone), rtol=1e-12, atol=1e-12)


def test_single_precision_in_and_out_with_double_precision_between():
    mixture, u = GaussianMixture.isotropic(16 * points(5, 40), 1e-4), 16 * points(5, 40).float()
    got = mixture.score(u, 1.0, 1e-3)
    exact = mixture.score(u.double(), 1.0, 1e-3)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got.double(), exact, rtol=1e-6, atol=1e-6 * exact.abs().max())


@settings(max_examples=20)
@given(size=sizes)
def test_isotropic_is_the_same_mixture_with_a_full_covariance(size):
    general = random_mixture(*size)
    round_one = GaussianMixture.isotropic(general.means, 0.3, general.weights)
    # A covariance that is round but for rounding goes through the eigenvectors.
    turned = torch.linalg.qr(points(size[1], size[1], seed=1))[0]
    full = GaussianMixture(general.weights, general.means @ turned, 0.3 * turned.T @ turned + 1e-15)
    u = points(4, size[1])
    torch.testing.assert_close(
        round_one.score(u, 0.7, 0.4) @ turned, full.score(u @ turned, 0.7, 0.4),
        rtol=1e-8, atol=1e-8,
    )  # fmt: skip


def test_zero_covariance_is_a_finite_set_of_images():
    images = points(6, 3)
    mixture, u, std = GaussianMixture.isotropic(images, 0.0), points(4, 3, seed=8), 0.8
    shares = (-0.5 * torch.cdist(u, images) ** 2 / std**2).softmax(1)
    torch.testing.assert_close(mixture.denoised(u, 1.0, std), shares @ images)
    torch.testing.assert_close(mixture.score(u, 1.0, std), (shares @ images - u) / std**2)
    with pytest.raises(ValueError, match="singular"):
        mixture.log_density(u)
    assert set(mixture.sample(50, generator())[:, 0].tolist()) <= set(images[:, 0].tolist())


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([0.5, -0.5], [[1.0, 0.0]] * 2, [[1.0, 0.0], [0.0, 1.0]]), "weights"),
        (([0.5, 0.0], [[1.0, 0.0]] * 2, [[1.0, 0.0], [0.0, 1.0]]), "weights"),
        (([1.0], [[1.0, 0.0]], [[1.0, 0.5], [0.0, 1.0]]), "symmetric"),
        (([1.0], [[1.0, 0.0]], [[1.0, 2.0], [2.0, 1.0]]), "eigenvalue"),
        (([1.0], [[1.0, 0.0]], [[math.nan, 0.0], [0.0, 1.0]]), "symmetric"),
    ],
)
def test_what_is_no_mixture_is_an_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(*(torch.tensor(a) for a in arguments))


def test_samples_have_the_weights_means_and_covariance():
    mixture, count = plane(), 100_000
    samples = mixture.sample(count, generator(4))
    assert samples.dtype == torch.float64
    nearest = torch.cdist(samples, mixture.means).argmin(1)
    frequencies = torch.bincount(nearest) / count
    torch.testing.assert_close(frequencies.double(), mixture.weights, rtol=0, atol=0.01)
    spread = mixture.total_covariance()
    gap = (samples.mean(0) - mixture.expectation()) / spread.diagonal().sqrt()
    assert gap.abs().max() < 4 / count**0.5
    torch.testing.assert_close(samples.T.cov(), spread, rtol=0.02, atol=0.05)
    torch.testing.assert_close(samples, mixture.sample(count, generator(4)))


# --- posteriors and guidance --------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.05, 0.4, 2.0])
def test_posterior_is_bayes_rule_integrated_on_a_grid(sigma):
    mixture = plane()
    matrix, y = torch.tensor([[1.0, -0.5]]), torch.tensor([0.3])
    posterior = mixture.posterior(matrix, y, sigma)
    axis = torch.linspace(-9, 9, 1201, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    log_joint = (
        mixture.log_density(grid) - 0.5 * ((y - grid @ matrix.T.double()) / sigma)[:, 0] ** 2
    )
    log_density = log_joint.log_softmax(0)
    density = log_density.exp()
    mean = density @ grid
    spread = (grid - mean).T @ (density[:, None] * (grid - mean))
    torch.testing.assert_close(posterior.expectation(), mean, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(posterior.total_covariance(), spread, rtol=1e-7, atol=1e-8)
    # The weights: each component's own share of the integral.
    shares = density @ mixture.responsibilities(grid)
    torch.testing.assert_close(posterior.weights, shares, rtol=1e-8, atol=1e-10)
    # And the whole density, at a few points.
    cell = (axis[1] - axis[0]) ** 2
    chosen = torch.randint(len(grid), (20,), generator=generator())
    expected = log_density[chosen] - cell.log()
    torch.testing.assert_close(posterior.log_density(grid[chosen]), expected, rtol=1e-8, atol=1e-7)


@settings(max_examples=20)
@given(size=sizes, rows=st.integers(1, 3), sigma=st.floats(0.05, 2.0))
def test_components_of_the_posterior_in_information_form(size, rows, sigma):
    mixture = random_mixture(*size)
    matrix, y = points(rows, size[1], seed=2), points(1, rows, seed=3)[0]
    posterior = mixture.posterior(matrix, y, sigma)
    precision = torch.linalg.inv(mixture.covariance) + matrix.T @ matrix / sigma**2
    covariance = torch.linalg.inv(precision)
    torch.testing.assert_close(posterior.covariance, covariance, rtol=1e-6, atol=1e-8)
    pull = mixture.means @ torch.linalg.inv(mixture.covariance) + (matrix.T @ y) / sigma**2
    torch.testing.assert_close(posterior.means, pull @ covariance, rtol=1e-6, atol=1e-6)


def test_posterior_without_noise_keeps_the_observation():
    mixture = random_mixture(3, 4, 0)
    matrix, y = points(2, 4, seed=2), torch.tensor([0.5, -1.0], dtype=torch.float64)
    posterior = mixture.posterior(matrix, y, 0.0)
    samples = posterior.sample(100, generator())
    torch.testing.assert_close(samples @ matrix.T, y.expand(100, 2), rtol=0, atol=1e-6)


def test_bad_observations_are_errors():
    mixture = plane()
    with pytest.raises(ValueError, match="sigma"):
        mixture.posterior(torch.eye(2), torch.zeros(2), -1.0)
    with pytest.raises(ValueError, match="variance"):
        mixture.posterior(torch.zeros(1, 2), torch.zeros(1), 0.0)


def log_evidence(mixture, u, mean, std, matrix, y, sigma):
    """log p(y | u) at one u, component by component: each is Gaussian given u."""
    eye = torch.eye(len(u), dtype=u.dtype)
    seen = mean**2 * mixture.covariance + std**2 * eye
    gain = mean * mixture.covariance @ torch.linalg.inv(seen)
    clean = mixture.means + (u - mean * mixture.means) @ gain.T
    left = mixture.covariance - mean * gain @ mixture.covariance
    spread = matrix @ left @ matrix.T + sigma**2 * torch.eye(len(y), dtype=u.dtype)
    law = torch.distributions.MultivariateNormal(clean @ matrix.T, spread, validate_args=False)
    noisy = torch.distributions.MultivariateNormal(mean * mixture.means, seen, validate_args=False)
    shares = (mixture.log_weights + noisy.log_prob(u)).log_softmax(0)
    return (shares + law.log_prob(y)).logsumexp(0)


@pytest.mark.parametrize("process", [LinearVP(), SubVP(), VarianceExploding()], ids=str)
@settings(max_examples=20)
@given(size=sizes, rows=st.integers(1, 2), sigma=st.floats(0.05, 1.0), t=st.floats(0.05, 1.0))
def test_guidance_is_the_gradient_of_the_log_evidence(process, size, rows, sigma, t):
    mixture = random_mixture(*size)
    matrix, y = points(rows, size[1], seed=2), points(1, rows, seed=3)[0]
    time = torch.tensor(t, dtype=torch.float64)
    mean, std = process.mean(t), process.std(t)
    u = mean * points(3, size[1], seed=4) + std * points(3, size[1], seed=5)
    got = mixture.guidance(process, matrix, y, sigma)(u, time)
    posterior = mixture.posterior(matrix, y, sigma)
    difference = posterior.score(u, mean, std) - mixture.score(u, mean, std)
    torch.testing.assert_close(got, difference, rtol=1e-10, atol=1e-12)
    for k in range(3):
        expected = torch.func.grad(lambda x: log_evidence(mixture, x, mean, std, matrix, y, sigma))(
            u[k]
        )
        size_of = max(1.0, mixture.score(u, mean, std).abs().max().item())
        torch.testing.assert_close(got[k], expected, rtol=1e-8, atol=1e-8 * size_of)


def test_a_component_that_y_rules_out_still_counts_where_u_insists_on_it():
    # Its weight, exp(-6e3), is no positive number in double precision.
    mixture = GaussianMixture.isotropic(torch.tensor([[0.0], [60.0]]), 1.0)
    posterior = mixture.posterior(torch.eye(1), torch.zeros(1), 0.5)
    assert posterior.weights[1] == 0
    process, t = LinearVP(), torch.tensor(0.01, dtype=torch.float64)
    u = process.mean(t) * torch.tensor([[59.0]], dtype=torch.float64)
    mean, std = process.mean(t), process.std(t)
    eye, y = torch.eye(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    expected = torch.func.grad(lambda x: log_evidence(mixture, x, mean, std, eye, y, 0.5))(u[0])
    got = mixture.guidance(process, eye, y, 0.5)(u, t)[0]
    torch.testing.assert_close(got, expected, rtol=1e-8, atol=1e-8)


def test_scores_flatten_images():
    mixture, process = random_mixture(3, 4, 0), LinearVP()
    u = points(5, 4).reshape(5, 1, 2, 2)
    matrix, y = points(2, 4, seed=2), torch.zeros(2, dtype=torch.float64)
    t = torch.tensor([0.1, 0.2, 0.4, 0.8, 1.0], dtype=torch.float64)
    for score in (mixture.score_under(process), mixture.guidance(process, matrix, y, 0.1)):
        images, flat = score(u, t), score(u.flatten(1), t)
        assert images.shape == u.shape and score(u.float(), t).dtype == torch.float32
        torch.testing.assert_close(images.flatten(1), flat)


# --- sampling -----------------------------------------------------------------------------------


@pytest.mark.parametrize("process", [LinearVP(), VarianceExploding(0.01, 30.0)], ids=str)
@pytest.mark.parametrize("sampler", [euler_maruyama, ancestral, probability_flow])
@pytest.mark.parametrize("observed", [False, True])
def test_sampling_reproduces_the_mixture_and_its_posterior(process, sampler, observed):
    mixture, count = plane(), 4000
    law = mixture
    if observed:
        law = mixture.posterior(torch.tensor([[1.0, -0.5]]), torch.tensor([0.3]), 0.3)
    state = process.start((count, 2), generator(1), torch.float64)
    arguments = (process, law.score_under(process), state, time_grid(400))
    drawn = () if sampler is probability_flow else (generator(2),)
    samples = sampler(*arguments, *drawn)
    exact, again = law.sample(count, generator(3)), law.sample(count, generator(4))
    for angle in np.linspace(0, math.pi, 5):
        line = torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)
        distance = wasserstein_distance(samples @ line, exact @ line)
        floor = wasserstein_distance(again @ line, exact @ line)
        assert distance < floor + 0.12
    spread = law.total_covariance()
    error = (samples.mean(0) - law.expectation()).abs()
    assert bool((error < 4 * (spread.diagonal() / count).sqrt() + 0.02).all())
    torch.testing.assert_close(samples.T.cov(), spread, rtol=0.12, atol=0.1)


def test_prior_score_plus_guidance_samples_the_posterior():
    mixture, process, count = plane(), LinearVP(), 4000
    matrix, y = torch.tensor([[1.0, -0.5]]), torch.tensor([0.3])
    prior, guide = mixture.score_under(process), mixture.guidance(process, matrix, y, 0.3)
    posterior = mixture.posterior(matrix, y, 0.3).score_under(process)
    results = [
        euler_maruyama(
            process, score, process.start((count, 2), generator(1)), time_grid(100), generator(2)
        )
        for score in (lambda u, t: prior(u, t) + guide(u, t), posterior)
    ]
    torch.testing.assert_close(*results, rtol=1e-3, atol=1e-3)


# --- cost ---------------------------------------------------------------------------------------


class Largest(TorchDispatchMode):
    """Notes the number of elements of the largest tensor made."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.elements = max(self.elements, result.numel())
        return result


def test_a_score_is_a_few_products_of_matrices():
    batch, dim = 2000, 80
    mixture = GaussianMixture.isotropic(8 * points(25, dim), 1.0)
    u = points(batch, dim)
    with Largest() as largest:
        mixture.score(u, 0.5, 0.8)
        mixture.denoised(u, 0.5, 0.8)
        mixture.log_density(u, 0.5, 0.8)
    assert largest.elements == batch * dim  # never batch * components * dim
