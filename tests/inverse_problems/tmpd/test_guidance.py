import pytest
import torch

from src.common.diffusion.gaussian_mixture import GaussianMixture
from src.common.diffusion.processes import LinearVP, VarianceExploding, as_time
from src.common.diffusion.samplers import ancestral, euler_maruyama, time_grid
from src.common.images.operators import Inpainting, MatrixOperator
from src.common.statistics.sample_distances import sliced_wasserstein
from src.inverse_problems.tmpd.guidance import (
    clipped,
    dps,
    dps_continuous,
    dps_likelihood,
    exact_guidance,
    pigdm,
)
from src.inverse_problems.tmpd.tweedie import tmpd

VP, VE = LinearVP(0.1, 25.0), VarianceExploding(0.01, 50.0)
DIM, SIGMA = 4, 0.2
GRID = time_grid(40)


def eye(size):
    return torch.eye(size, dtype=torch.float64)


def normal(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def a_mixture(components=3, variance=0.6):
    return GaussianMixture.isotropic(2 * normal(0, components, DIM), variance)


def an_observation(count=5, rows=2):
    return MatrixOperator(normal(1, rows, DIM)), normal(2, count, rows)


def methods(score, process, operator, y):
    return {
        "dps": dps(score, process, operator, y, 0.3, GRID),
        "dps continuous": dps_continuous(score, process, operator, y, 12.0),
        "dps likelihood": dps_likelihood(score, process, operator, y, SIGMA),
        "pigdm": pigdm(score, process, operator, y, SIGMA),
        "pigdm discrete": pigdm(score, process, operator, y, SIGMA, grid=GRID),
        "tmpd": tmpd(score, process, operator, y, SIGMA),
    }


def gradient_of_norm(prior, process, operator, y, u, t):
    """Autograd of |y - H x_hat|, one image at a time."""
    rows = []
    for one, seen in zip(u, y, strict=True):
        one = one[None].clone().requires_grad_()
        clean = prior.denoised(one, process.mean(t), process.std(t))
        with torch.enable_grad():
            norm = (seen - operator.A(clean)[0]).norm()
        rows.append(torch.autograd.grad(norm, one)[0][0])
    return torch.stack(rows)


@pytest.mark.parametrize("process", [VP, VE])
def test_dps_is_its_algorithm_in_an_ancestral_sampler(process):
    prior, (operator, y) = a_mixture(), an_observation()
    state = process.start((5, DIM), torch.Generator().manual_seed(3), torch.float64)
    guided = dps(prior.score_under(process), process, operator, y, 0.3, GRID)
    found = ancestral(process, guided, state, GRID, torch.Generator().manual_seed(4))
    generator = torch.Generator().manual_seed(4)
    for k in range(len(GRID) - 1):
        t, earlier = GRID[k], GRID[k + 1]
        with torch.enable_grad():
            gradient = gradient_of_norm(prior, process, operator, y, state, t)
        clean = prior.denoised(state, process.mean(t), process.std(t))
        last = k == len(GRID) - 2
        noise = torch.randn(state.shape, generator=generator, dtype=state.dtype) if not last else 0
        noise = noise * torch.ones_like(state)
        state = process.bridge(state, clean, t, earlier, noise) - 0.3 * gradient
    assert (found - state).abs().max() < 1e-8 * state.abs().max()


def test_dps_takes_one_constant_for_each_image():
    prior, (operator, y) = a_mixture(), an_observation()
    u, score = normal(5, 5, DIM), prior.score_under(VP)
    steps = torch.tensor([0.0, 0.1, 1.0, 0.1, 3.0])
    both = dps(score, VP, operator, y, steps, GRID)(u, GRID[3])
    for i, step in enumerate(steps.tolist()):
        alone = dps(score, VP, operator, y[i], step, GRID)(u[i : i + 1], GRID[3])
        assert torch.allclose(both[i], alone[0])


def test_continuous_dps_and_the_likelihood_form_are_their_gradients():
    prior, (operator, y), t = a_mixture(), an_observation(), as_time(0.4)
    u, score = normal(5, 5, DIM), prior.score_under(VP)
    gradient = gradient_of_norm(prior, VP, operator, y, u, t)
    found = dps_continuous(score, VP, operator, y, 50.0)(u, t) - score(u, t)
    assert torch.allclose(found, -50.0 * gradient)
    norms = (y - operator.A(prior.denoised(u, VP.mean(t), VP.std(t)))).norm(dim=1, keepdim=True)
    found = dps_likelihood(score, VP, operator, y, SIGMA)(u, t) - score(u, t)
    assert torch.allclose(found, -norms * gradient / SIGMA**2)


@pytest.mark.parametrize(("process", "variance"), [(VP, 1.0), (VE, 1.0), (VP, 3.0)])
def test_pigdm_is_its_formula(process, variance):
    prior, (operator, y), t = a_mixture(), an_observation(), as_time(0.4)
    u, score, h = normal(5, 5, DIM), prior.score_under(process), operator.matrix()
    m, v = process.mean(t), process.std(t) ** 2
    assumed = v * variance / (v + m**2 * variance)
    if variance == 1.0:
        assert assumed == pytest.approx(v.item() if process is VP else (v / (1 + v)).item())
    weights = torch.linalg.solve(
        assumed * h @ h.T + SIGMA**2 * eye(2), (y - prior.denoised(u, m, v**0.5) @ h.T).T
    ).T
    jacobian = m / v * prior.covariance_given(u, m, v**0.5)
    truth = torch.einsum("bij,bj->bi", jacobian, weights @ h)
    guided = pigdm(score, process, operator, y, SIGMA, prior_variance=variance)
    assert torch.allclose(guided(u, t) - score(u, t), truth)


def test_discrete_pigdm_adds_its_guidance_to_an_unconditional_step():
    prior, (operator, y), t = a_mixture(), an_observation(), GRID[7]
    u, score = normal(5, 5, DIM), prior.score_under(VP)
    plain = pigdm(score, VP, operator, y, SIGMA)(u, t) - score(u, t)
    guided = pigdm(score, VP, operator, y, SIGMA, grid=GRID)(u, t)
    step = [
        VP.bridge(u, VP.denoised(u, s, t), t, GRID[8], torch.zeros_like(u))
        for s in (score(u, t), guided)
    ]
    assert torch.allclose(step[1] - step[0], VP.mean(t) * VP.std(t) ** 2 * plain)


def test_pigdm_leaves_unobserved_directions_alone_without_noise():
    prior = a_mixture()
    h = normal(1, 2, DIM)
    h = torch.cat([h, h[:1] + h[1:]])  # of rank 2
    u, score = normal(5, 5, DIM), prior.score_under(VP)
    x = normal(6, 5, DIM)
    guided = pigdm(score, VP, MatrixOperator(h), x @ h.T, 0.0)(u, as_time(0.4))
    assert guided.isfinite().all()
    same = pigdm(score, VP, MatrixOperator(h[:2]), x @ h[:2].T, 0.0)(u, as_time(0.4))
    assert torch.allclose(guided, same, rtol=1e-5)


@pytest.mark.parametrize("process", [VP, VE])
def test_on_one_component_exact_tmpd_and_pigdm_coincide(process):
    prior = GaussianMixture.isotropic(normal(0, 1, DIM), 1.0)
    operator, y = an_observation(1)
    score, u, t = prior.score_under(process), normal(5, 6, DIM), as_time(0.5)
    exact = exact_guidance(prior, process, operator.matrix(), y[0], SIGMA)(u, t)
    for method in (tmpd, pigdm):
        assert torch.allclose(method(score, process, operator, y[0], SIGMA)(u, t), exact)


def test_exact_guidance_is_the_gradient_of_the_likelihood():
    prior, (operator, y), t = a_mixture(), an_observation(1), as_time(0.4)
    u, h = normal(5, 6, DIM).requires_grad_(), operator.matrix()
    m, v = VP.mean(t), VP.std(t) ** 2
    q = m**2 * 0.6 + v
    centres = (v * prior.means + (m * 0.6 * u)[:, None]) / q
    inner = 0.6 * v / q * h @ h.T + SIGMA**2 * eye(2)
    given = torch.distributions.MultivariateNormal(centres @ h.T, inner).log_prob(y[0])
    shares = prior.responsibilities(u, m, v**0.5).log()
    (truth,) = torch.autograd.grad((given + shares).logsumexp(1).sum(), u)
    u = u.detach()
    found = exact_guidance(prior, VP, h, y[0], SIGMA)(u, t) - prior.score_under(VP)(u, t)
    assert torch.allclose(found, truth)


@pytest.mark.parametrize("name", ["dps", "dps continuous", "dps likelihood", "pigdm", "tmpd"])
def test_images_of_a_batch_do_not_meet(name):
    prior, (operator, y) = a_mixture(), an_observation()
    guided = methods(prior.score_under(VP), VP, operator, y)[name]
    u = normal(5, 5, DIM)
    other = u.clone()
    other[1:] += 1.0
    one, two = guided(u, GRID[10])[0], guided(other, GRID[10])[0]
    assert (one - two).abs().max() <= 1e-12 * one.abs().max()


@pytest.mark.parametrize("process", [VP, VE])
def test_without_guidance_the_steps_are_the_unconditional_ones_bit_for_bit(process):
    prior, (operator, y) = a_mixture(), an_observation()
    score = prior.score_under(process)
    blind = MatrixOperator(torch.zeros(2, DIM, dtype=torch.float64))
    silent = (
        dps(score, process, operator, y, 0.0, GRID),
        tmpd(score, process, blind, y, SIGMA),
        pigdm(score, process, blind, y, SIGMA),
    )
    state = process.start((5, DIM), torch.Generator().manual_seed(3), torch.float64)

    def run(guided):
        return ancestral(process, guided, state, GRID, torch.Generator().manual_seed(4))

    assert all(torch.equal(run(guided), run(score)) for guided in silent)


@pytest.mark.parametrize("process", [VP, VE])
@pytest.mark.parametrize("sampler", [ancestral, euler_maruyama])
def test_without_an_observation_the_samplers_draw_from_the_prior(process, sampler):
    prior, generator = a_mixture(), torch.Generator().manual_seed(6)
    state = process.start((4000, DIM), generator, torch.float64)
    found = sampler(process, prior.score_under(process), state, time_grid(300), generator)
    assert (found.mean(0) - prior.expectation()).abs().max() < 0.1
    truth = prior.total_covariance()
    assert ((found.T.cov() - truth).norm() / truth.norm()).item() < 0.06


def test_exact_guidance_draws_from_the_posterior():
    prior, (operator, y) = a_mixture(), an_observation(1)
    generator = torch.Generator().manual_seed(7)
    posterior = prior.posterior(operator.matrix(), y[0], SIGMA)
    score = exact_guidance(prior, VP, operator.matrix(), y[0], SIGMA)
    state = VP.start((4000, DIM), generator, torch.float64)
    found = ancestral(VP, score, state, time_grid(400), generator)
    truth, again = (posterior.sample(4000, generator) for _ in range(2))
    directions = torch.Generator().manual_seed(8)
    floor = sliced_wasserstein(again, truth, directions, count=200)
    assert sliced_wasserstein(found, truth, directions, count=200) < 2 * floor
    unguided = ancestral(VP, prior.score_under(VP), state, time_grid(100), generator)
    assert sliced_wasserstein(unguided, truth, directions, count=200) > 10 * floor


def test_settings_that_mean_nothing_are_refused():
    prior, (operator, y) = a_mixture(), an_observation()
    score, u = prior.score_under(VP), normal(5, 5, DIM)
    with pytest.raises(ValueError, match="sigma"):
        dps_likelihood(score, VP, operator, y, 0.0)
    with pytest.raises(ValueError, match="prior_variance"):
        pigdm(score, VP, operator, y, 0.1, prior_variance=0.0)
    with pytest.raises(ValueError, match="no step"):
        dps(score, VP, Inpainting((DIM,), torch.ones(DIM, dtype=torch.bool)), u, 0.1, GRID)(
            u, as_time(1e-9)
        )


@pytest.mark.parametrize("name", ["dps", "dps continuous", "dps likelihood", "pigdm", "tmpd"])
def test_observations_of_another_shape_and_scores_without_gradient_are_refused(name):
    prior, (operator, y) = a_mixture(), an_observation()
    score, u = prior.score_under(VP), normal(5, 5, DIM)
    for bad in (y[:, :1], y[:1], y[:3], y[0, :1], y.float()):
        with pytest.raises(ValueError, match="y "):
            methods(score, VP, operator, bad)[name](u, GRID[10])
    for hidden in (torch.no_grad()(score), lambda u, t: score(u, t).detach()):
        with pytest.raises(ValueError, match="no_grad"):
            methods(hidden, VP, operator, y)[name](u, GRID[10])
    with pytest.raises(ValueError, match="shape of the noisy images"):
        methods(lambda u, t: score(u, t)[:1], VP, operator, y)[name](u, GRID[10])


def test_a_time_that_is_not_the_samplers_is_refused():
    prior, (operator, y) = a_mixture(), an_observation()
    parts, other = (prior.score_under(VP), VP, operator, y), time_grid(41)[5]
    for guided in (dps(*parts, 0.3, GRID), pigdm(*parts, SIGMA, grid=GRID)):
        with pytest.raises(ValueError, match="not in the guidance's grid"):
            guided(normal(5, 5, DIM), other)


@pytest.mark.parametrize("bad", [-0.1, float("inf"), float("nan"), torch.tensor([1.0, -1.0])])
def test_constants_that_would_push_away_from_the_observation_are_refused(bad):
    prior, (operator, y) = a_mixture(), an_observation(2)
    parts = (prior.score_under(VP), VP, operator, y)
    with pytest.raises(ValueError, match="step"):
        dps(*parts, bad, GRID)
    with pytest.raises(ValueError, match="strength"):
        dps_continuous(*parts, bad)


@pytest.mark.parametrize("process", [VP, VE])
def test_with_clipping_a_step_of_dps_is_that_of_the_released_program(process):
    """x_hat cut to [-1, 1], in the guidance and in the step; the gradient flows through the cut."""
    prior, (operator, y), k = a_mixture(), an_observation(), 30
    t, earlier, u = GRID[k], GRID[k + 1], normal(5, 5, DIM)
    mean, std = process.mean(t), process.std(t)
    x = u.clone().requires_grad_()
    clean = prior.denoised(x, mean, std).clamp(-1, 1)
    assert 0 < (clean.abs() == 1).double().mean() < 1  # some are cut, some are not
    norms = (y - operator.A(clean)).norm(dim=1)
    (gradient,) = torch.autograd.grad(norms.sum(), x)
    zeros = torch.zeros_like(u)
    wanted = process.bridge(u, clean.detach(), t, earlier, zeros) - 0.3 * gradient
    score = clipped(prior.score_under(process), process)
    guided = dps(score, process, operator, y, 0.3, GRID)
    found = process.bridge(u, process.denoised(u, guided(u, t), t), t, earlier, zeros)
    assert torch.allclose(found, wanted)


def test_clipping_changes_nothing_within_the_limit_and_needs_noise():
    prior, u = a_mixture(), normal(5, 5, DIM)
    score = prior.score_under(VP)
    wide = clipped(score, VP, 1e3)
    assert torch.allclose(wide(u, GRID[10]), score(u, GRID[10]))
    with pytest.raises(ValueError, match="no noise"):
        wide(u, as_time(0.0))
    with pytest.raises(ValueError, match="limit"):
        clipped(score, VP, 0.0)
