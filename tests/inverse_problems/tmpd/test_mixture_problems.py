import pytest
import torch

from src.common.diffusion.gaussian_mixture import GaussianMixture
from src.common.diffusion.samplers import ancestral, time_grid
from src.common.images.operators import MatrixOperator
from src.inverse_problems.tmpd.guidance import (
    dps,
    dps_continuous,
    dps_likelihood,
    exact_guidance,
    pigdm,
)
from src.inverse_problems.tmpd.mixture_experiments import guided_score
from src.inverse_problems.tmpd.mixture_problems import (
    MixtureSetting,
    ProblemOperator,
    component_means,
    draw_problems,
    forward_process,
    prior_moments,
    unobserved_std,
)
from src.inverse_problems.tmpd.tweedie import autodiff_moments, tmpd

SETTING = MixtureSetting(dim=10, observations=3, sigma=0.2, variance=0.6, problems=4)
SAMPLES, GRID = 5, time_grid(50)


def a_draw(setting=SETTING):
    return draw_problems(setting, torch.Generator().manual_seed(1))


def prior_of(setting=SETTING):
    return GaussianMixture.isotropic(component_means(setting.dim), setting.variance)


def some_states(process, t):
    """Noisy states of the four problems, in the small coordinates and in all of them."""
    problems = a_draw()
    generator = torch.Generator().manual_seed(2)
    clean = prior_of().sample(4 * SAMPLES, generator)
    noise = torch.randn(clean.shape, generator=generator, dtype=torch.float64)
    full = process.noisy(clean, t, noise).unflatten(0, (4, SAMPLES))
    return problems, full @ problems.basis, full


def full_matrix(problems, k):
    return problems.matrices[k] @ problems.basis[k].T


def test_the_problems_are_those_of_the_paper():
    problems = a_draw()
    means = component_means(10)
    assert means.shape == (25, 10) and means.abs().max() == 16
    assert torch.equal(means[7], torch.tensor([8.0, 0.0] * 5).double())
    for k in range(4):
        # Nothing of the means or of H lies outside of the basis.
        basis, h = problems.basis[k], full_matrix(problems, k)
        assert torch.allclose(basis.T @ basis, torch.eye(5).double(), atol=1e-12)
        assert torch.allclose(means @ basis @ basis.T, means, atol=1e-10)
        singular = torch.linalg.svdvals(h)
        assert ((singular > 0) & (singular < 1)).all()
        assert torch.allclose(singular, problems.matrices[k].norm(dim=0)[:3])
    many = draw_problems(MixtureSetting(problems=4000), torch.Generator().manual_seed(3))
    residual = many.y - torch.einsum("pqr,pr->pq", many.matrices, many.truth)
    assert residual.std().item() == pytest.approx(0.1, rel=0.05)
    # The larger of two uniform numbers is 2/3 in the mean.
    assert many.matrices[..., 0].norm(dim=1).mean().item() == pytest.approx(2 / 3, rel=0.03)


def test_the_operator_of_all_problems_is_each_ones():
    problems = a_draw()
    operator = ProblemOperator(problems, SAMPLES)
    x = torch.randn(2 * 4 * SAMPLES, 5, generator=torch.Generator().manual_seed(1)).double()
    y = operator.A(x)
    blocks = x.unflatten(0, (2, 4, SAMPLES))
    for k in range(4):
        wanted = blocks[:, k] @ problems.matrices[k].T
        assert torch.allclose(y.unflatten(0, (2, 4, SAMPLES))[:, k], wanted)
    w = torch.randn(2 * 4 * SAMPLES, 3, generator=torch.Generator().manual_seed(2)).double()
    assert torch.allclose((y * w).sum(1), (x * operator.A_adjoint(w)).sum(1))
    spectral = operator.U_adjoint(y)
    singular = operator.singular_values().unflatten(0, (4, SAMPLES)).expand(2, -1, -1, -1)
    assert torch.allclose(spectral.unflatten(0, (2, 4, SAMPLES)), singular * blocks[..., :3])


@pytest.mark.parametrize("name", ["vp", "ve"])
@pytest.mark.parametrize("t", [0.02, 0.3, 0.9])
def test_the_closed_form_moments_are_those_of_autodiff(name, t):
    process, t = forward_process(name, 10), torch.tensor(t).double()
    problems, state, full = some_states(process, t)
    closed = prior_moments(problems, process, SAMPLES, torch.float64)
    moments = closed(state.flatten(0, 1), t)
    vector = torch.randn(4 * SAMPLES, 5, generator=torch.Generator().manual_seed(3)).double()
    product = moments.pull(vector).unflatten(0, (4, SAMPLES))
    in_space = (vector.unflatten(0, (4, SAMPLES))) @ problems.basis.mT
    truth = autodiff_moments(prior_of().score_under(process), process)(full.flatten(0, 1), t)
    wanted = truth.pull(in_space.flatten(0, 1)).unflatten(0, (4, SAMPLES))
    size = max(1.0, wanted.abs().max().item())
    assert (product @ problems.basis.mT - wanted).abs().max() < 1e-10 * size
    for small, large in ((moments.score, truth.score), (moments.mean, truth.mean)):
        projected = large.unflatten(0, (4, SAMPLES)) @ problems.basis
        error = (small.unflatten(0, (4, SAMPLES)) - projected).abs().max()
        assert error < 1e-10 * max(1.0, projected.abs().max().item())
    # The same again by differentiating the score of the small problem itself.
    again = autodiff_moments(lambda u, s: closed(u, s).score, process)(state.flatten(0, 1), t)
    assert (again.pull(vector) - moments.pull(vector)).abs().max() < 1e-10 * size


@pytest.mark.parametrize("name", ["vp", "ve"])
@pytest.mark.parametrize(
    "method",
    [
        "exact",
        "full",
        "diagonal",
        "row_sum",
        "pigdm",
        "dps",
        "dps continuous",
        "dps likelihood",
        "pigdm discrete",
    ],
)
def test_the_small_problem_is_the_large_one(name, method):
    process = forward_process(name, 10)
    problems, state, full = some_states(process, GRID[20])
    small = guided_score(problems, process, method, SAMPLES, torch.float64, GRID, 0.5)
    found = small(state.flatten(0, 1), GRID[20]).unflatten(0, (4, SAMPLES))
    prior = prior_of()
    for k in range(4):
        h, y = full_matrix(problems, k), problems.y[k]
        parts = (prior.score_under(process), process, MatrixOperator(h), y)
        wanted = {
            "exact": lambda: exact_guidance(prior, process, h, y, 0.2),  # noqa: B023
            "pigdm": lambda: pigdm(*parts, 0.2),  # noqa: B023
            "pigdm discrete": lambda: pigdm(*parts, 0.2, grid=GRID),  # noqa: B023
            "dps": lambda: dps(*parts, 0.5, GRID),  # noqa: B023
            "dps continuous": lambda: dps_continuous(*parts, 25.0),  # noqa: B023
            "dps likelihood": lambda: dps_likelihood(*parts, 0.2),  # noqa: B023
        }.get(method, lambda: tmpd(*parts, 0.2, method))()(full[k], GRID[20])  # noqa: B023
        size = wanted.abs().max()
        assert (found[k] - wanted @ problems.basis[k]).abs().max() < 1e-8 * size
        # Orthogonal to the basis the guided score is the prior's.
        outside = wanted - wanted @ problems.basis[k] @ problems.basis[k].T
        plain = prior.score_under(process)(full[k], GRID[20])
        plain = plain - plain @ problems.basis[k] @ problems.basis[k].T
        assert (outside - plain).abs().max() < 1e-8 * size


def test_the_posterior_is_the_mixtures():
    problems, prior = a_draw(), prior_of()
    for k in range(4):
        h = full_matrix(problems, k)
        posterior = prior.posterior(h, problems.y[k], 0.2)
        basis = problems.basis[k]
        assert torch.allclose(problems.weights[k], posterior.weights, atol=1e-10)
        assert torch.allclose(problems.centres[k], posterior.means @ basis, atol=1e-9)
        inside = basis.T @ posterior.covariance @ basis
        assert torch.allclose(problems.variances[k].diag_embed(), inside, atol=1e-10)
    samples = problems.posterior(40_000, torch.Generator().manual_seed(4))
    expected = torch.einsum("pk,pkr->pr", problems.weights, problems.centres)
    assert (samples.mean(1) - expected).abs().max() < 0.15


@pytest.mark.parametrize("name", ["vp", "ve"])
def test_lifted_samples_are_those_of_a_sampler_in_all_coordinates(name):
    process, problems = forward_process(name, 10), a_draw()
    generator = torch.Generator().manual_seed(5)
    state = process.start((8000, 10), generator, torch.float64)
    found = ancestral(process, prior_of().score_under(process), state, GRID, generator)
    outside = found - found @ problems.basis[2] @ problems.basis[2].T
    spread = unobserved_std(process, GRID, 0.6)
    assert (outside.square().sum(1).mean() / 5).sqrt().item() == pytest.approx(spread, rel=0.02)
    lifted = problems.lifted(2, found[:, :5], spread, generator)
    assert torch.allclose(lifted @ problems.basis[2], found[:, :5])
    outside = lifted - lifted @ problems.basis[2] @ problems.basis[2].T
    assert (outside.square().sum(1).mean() / 5).sqrt().item() == pytest.approx(spread, rel=0.02)


@pytest.mark.parametrize("name", ["vp", "ve"])
@pytest.mark.parametrize("method", ["full", "diagonal", "row_sum", "pigdm", "dps"])
def test_single_precision_is_enough_down_to_the_last_step(name, method):
    setting = MixtureSetting(dim=8, observations=2, sigma=0.01, problems=4)
    problems, process = a_draw(setting), forward_process(name, 8)
    grid = time_grid(1000)
    prior, generator = prior_of(setting), torch.Generator().manual_seed(6)
    for t in (grid[999], grid[990], grid[500]):
        clean = prior.sample(4 * SAMPLES, generator)
        noise = torch.randn(clean.shape, generator=generator, dtype=torch.float64)
        full = process.noisy(clean, t, noise).unflatten(0, (4, SAMPLES))
        state = (full @ problems.basis).flatten(0, 1)
        single, double = (
            process.denoised(
                state.to(dtype),
                guided_score(problems, process, method, SAMPLES, dtype, grid, 0.5)(
                    state.to(dtype), t
                ),
                t,
            ).double()
            for dtype in (torch.float32, torch.float64)
        )
        assert (single - double).norm() < 1e-3 * double.norm()


def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="even"):
        MixtureSetting(dim=7)
    with pytest.raises(ValueError, match="at least 6"):
        MixtureSetting(dim=4, observations=4)
    with pytest.raises(ValueError, match="vp or ve"):
        forward_process("sub-vp", 8)


BAD = {
    "sigma must": {"sigma": 0.0},
    "variance must": {"variance": -1.0},
    "problems must": {"problems": 0},
    "observations must": {"observations": 0},
    "dim must": {"dim": 9},
    "at least 6": {"dim": 4, "observations": 4},
}


@pytest.mark.parametrize("message", BAD)
def test_settings_without_a_law_are_refused(message):
    with pytest.raises(ValueError, match=message):
        MixtureSetting(**BAD[message])
    with pytest.raises(ValueError, match="even"):
        component_means(7)


def test_posterior_weights_are_numbers_also_with_hardly_any_noise():
    problems = a_draw(MixtureSetting(sigma=1e-6, problems=20))
    assert problems.weights.isfinite().all() and problems.variances.min() >= 0
    assert torch.allclose(problems.weights.sum(1), torch.ones(20).double())
