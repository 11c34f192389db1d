import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from src.common.diffusion.gaussian_mixture import GaussianMixture
from src.common.diffusion.processes import LinearVP, VarianceExploding, as_time
from src.common.images.operators import Inpainting, MatrixOperator
from src.common.images.separable import AveragePooling
from src.inverse_problems.tmpd.guidance import pigdm
from src.inverse_problems.tmpd.linear_solves import conjugate_gradients, positive_definite
from src.inverse_problems.tmpd.tweedie import (
    FORMS,
    autodiff_moments,
    conditional_mean,
    rows_by_loop,
    tmpd,
)

VP, VE = LinearVP(0.1, 25.0), VarianceExploding(0.01, 50.0)
DIM = 5


def eye(size):
    return torch.eye(size, dtype=torch.float64)


def normal(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def a_mixture(seed=0, variance=0.7, components=4):
    return GaussianMixture.isotropic(3 * normal(seed, components, DIM), variance)


def noisy(prior, process, t, seed=1, count=7):
    clean = prior.sample(count, torch.Generator().manual_seed(seed))
    return process.noisy(clean, t, normal(seed + 100, count, DIM))


def a_case(process, t=0.3, rows=3, sigma=0.2, seed=0, variance=0.7):
    """A mixture, a random operator, one observation an image, and noisy images."""
    prior, operator = a_mixture(seed, variance), MatrixOperator(normal(seed + 7, rows, DIM))
    u = noisy(prior, process, t, seed)
    y = operator.A(prior.sample(len(u), torch.Generator().manual_seed(seed + 9)))
    return prior, operator, y + sigma * normal(seed + 3, len(u), rows), u, as_time(t)


def relative(found, wanted):
    return ((found - wanted).norm() / wanted.norm()).item()


@pytest.mark.parametrize("process", [VP, VE])
@pytest.mark.parametrize("t", [0.01, 0.2, 0.9])
def test_the_derivative_of_tweedies_mean_is_the_covariance(process, t):
    prior, t = a_mixture(), as_time(t)
    u = noisy(prior, process, t)
    moments = autodiff_moments(prior.score_under(process), process)(u, t)
    basis = eye(DIM)
    covariance = torch.stack([moments.covariance(e.expand_as(u)) for e in basis], dim=2)
    mean, std = process.mean(t), process.std(t)
    truth = prior.covariance_given(u, mean, std)
    assert (covariance - truth).abs().max() < 1e-10
    assert (moments.mean - prior.denoised(u, mean, std)).abs().max() < 1e-10
    assert (covariance - covariance.mT).abs().max() < 1e-10
    assert torch.linalg.eigvalsh(covariance).min() > 0


def test_with_unit_components_the_derivative_is_at_least_the_mean():
    prior, t = a_mixture(variance=1.0), as_time(0.4)
    u = noisy(prior, VP, t)
    moments = autodiff_moments(prior.score_under(VP), VP)(u, t)
    basis = eye(DIM)
    jacobian = torch.stack([moments.pull(e.expand_as(u)) for e in basis], dim=2)
    assert torch.linalg.eigvalsh(jacobian).min() >= VP.mean(t) - 1e-12


def test_the_moments_are_those_of_weighted_prior_samples():
    prior, t = a_mixture(components=3), as_time(0.5)
    u = noisy(prior, VP, t, count=1)
    clean = prior.sample(400_000, torch.Generator().manual_seed(5))
    mean, std = VP.mean(t), VP.std(t)
    weights = (-((u - mean * clean) ** 2).sum(1) / (2 * std**2)).softmax(0)
    average = weights @ clean
    truth = (clean - average).T @ (weights[:, None] * (clean - average))
    moments = autodiff_moments(prior.score_under(VP), VP)(u, t)
    rows = [moments.covariance(e[None]) for e in eye(DIM)]
    assert relative(torch.cat(rows), truth) < 0.03
    assert relative(moments.mean[0], average) < 0.03


@pytest.mark.parametrize("process", [VP, VE])
@pytest.mark.parametrize("t", [0.05, 0.5])
def test_the_guidance_is_the_kalman_update(process, t):
    prior, operator, y, u, t = a_case(process, t)
    score, h = prior.score_under(process), operator.matrix()
    mean, std = process.mean(t), process.std(t)
    clean, covariance = prior.denoised(u, mean, std), prior.covariance_given(u, mean, std)
    inner = h @ covariance @ h.T + 0.2**2 * eye(3)
    gain = torch.linalg.solve(inner, h @ covariance).mT
    update = torch.einsum("bdq,bq->bd", gain, y - clean @ h.T)
    guided = tmpd(score, process, operator, y, 0.2)
    assert relative(conditional_mean(process, guided, u, t) - clean, update) < 1e-8
    assert relative(std**2 / mean * (guided(u, t) - score(u, t)), update) < 1e-8


@given(
    seed=st.integers(0, 1000),
    sigma=st.floats(0.01, 3.0),
    t=st.floats(0.02, 0.98),
    exploding=st.booleans(),
    rows=st.integers(1, 4),
)
@settings(max_examples=25)
def test_on_gaussian_data_the_guidance_is_exact(seed, sigma, t, exploding, rows):
    process, t = VE if exploding else VP, as_time(t)
    root = normal(seed, DIM, DIM)
    covariance = root @ root.T + 0.1 * eye(DIM)
    prior = GaussianMixture(torch.ones(1), normal(seed + 1, 1, DIM), covariance)
    h, y = normal(seed + 2, rows, DIM), normal(seed + 3, rows)
    u = noisy(prior, process, t, seed, count=3).requires_grad_()
    # The joint law of (u, y) is Gaussian: condition it, without Tweedie's formula.
    mean, std, centre = process.mean(t), process.std(t), prior.means[0]
    of_u = mean**2 * covariance + std**2 * eye(DIM)
    both = mean * h @ covariance
    gain = torch.linalg.solve(of_u, both.T).T
    left = h @ covariance @ h.T + sigma**2 * eye(rows) - gain @ both.T
    expected = h @ centre + (u - mean * centre) @ gain.T
    law = torch.distributions.MultivariateNormal(expected, 0.5 * (left + left.T))
    (truth,) = torch.autograd.grad(law.log_prob(y).sum(), u)
    score = prior.score_under(process)
    guided = tmpd(score, process, MatrixOperator(h), y, sigma)
    found = guided(u.detach(), t) - score(u.detach(), t)
    assert (found - truth).abs().max() < 1e-8 * truth.abs().max() + 1e-9 * score(u, t).abs().max()


@pytest.mark.parametrize("process", [VP, VE])
@pytest.mark.parametrize("t", [0.01, 0.3, 1.0])
def test_on_standard_normal_data_it_is_pigdm(process, t):
    prior = GaussianMixture.isotropic(torch.zeros(1, DIM), 1.0)
    operator, t, y = MatrixOperator(normal(4, 3, DIM)), as_time(t), normal(5, 3)
    u, score = noisy(prior, process, t), prior.score_under(process)
    one, two = (f(score, process, operator, y, 0.3)(u, t) for f in (tmpd, pigdm))
    assert relative(one, two) < 1e-10


@pytest.mark.parametrize("process", [VP, VE])
def test_with_one_observation_full_and_diagonal_are_one(process):
    prior, operator, y, u, t = a_case(process, rows=1)
    full, diagonal = (
        tmpd(prior.score_under(process), process, operator, y, 0.2, form)(u, t)
        for form in ("full", "diagonal")
    )
    assert relative(diagonal, full) < 1e-12


def test_where_the_matrix_is_diagonal_three_forms_are_one():
    covariance = torch.diag(torch.tensor([0.2, 1.0, 3.0, 0.5, 2.0]))
    prior = GaussianMixture(torch.ones(1), torch.zeros(1, DIM), covariance)
    mask = torch.tensor([True, False, True, True, False])
    t, u = as_time(0.3), noisy(prior, VP, 0.3)
    full, diagonal, row_sum = (
        tmpd(prior.score_under(VP), VP, Inpainting((DIM,), mask), normal(1, 3), 0.2, form)(u, t)
        for form in ("full", "diagonal", "row_sum")
    )
    assert relative(diagonal, full) < 1e-12
    assert relative(row_sum, full) < 1e-12


def test_the_forms_use_the_matrix_its_diagonal_and_its_row_sums():
    prior, operator, y, u, t = a_case(VP)
    score, h = prior.score_under(VP), operator.matrix()
    mean, std = VP.mean(t), VP.std(t)
    covariance = prior.covariance_given(u, mean, std)
    residual = y - prior.denoised(u, mean, std) @ h.T
    full = h @ covariance @ h.T
    sums = full.sum(2)
    assert not torch.allclose(sums, full.diagonal(dim1=1, dim2=2))
    assert (sums < 0).any()  # these are raised to the floor
    floor = 1e-2 * std**2 / (mean**2 + std**2) * torch.linalg.matrix_norm(h, ord=2) ** 2
    sums = torch.where(sums > 0, sums, floor)
    inner = {"diagonal": full.diagonal(dim1=1, dim2=2).diag_embed(), "row_sum": sums.diag_embed()}
    for form, matrix in inner.items():
        weights = torch.linalg.solve(matrix + 0.2**2 * eye(3), residual)
        truth = torch.einsum("bdq,bq->bd", covariance @ h.T * mean / std**2, weights)
        found = tmpd(score, VP, operator, y, 0.2, form)(u, t) - score(u, t)
        assert relative(found, truth) < 1e-9


@pytest.mark.parametrize("process", [VP, VE])
def test_conjugate_gradients_and_the_loop_give_the_full_form(process):
    prior, operator, y, u, t = a_case(process, rows=4)
    parts = (prior.score_under(process), process, operator, y, 0.2)
    full = tmpd(*parts)(u, t)
    assert relative(tmpd(*parts, "cg", iterations=12)(u, t), full) < 1e-6
    assert relative(tmpd(*parts, rows=rows_by_loop)(u, t), full) < 1e-12
    assert relative(tmpd(*parts, chunk_size=2)(u, t), full) < 1e-12
    assert relative(tmpd(*parts, "cg", iterations=1)(u, t), full) > 1e-4


def test_guidance_fades_with_the_noise_of_the_observation():
    prior, operator, y, u, t = a_case(VP)
    score = prior.score_under(VP)
    for form in FORMS:
        small, large = (
            (tmpd(score, VP, operator, y, sigma, form)(u, t) - score(u, t)).norm()
            for sigma in (1e4, 1e5)
        )
        assert small / large == pytest.approx(100, rel=1e-3)


@pytest.mark.parametrize("form", FORMS)
def test_without_noise_the_conditional_mean_is_the_observation(form):
    prior = GaussianMixture.isotropic(normal(3, 1, DIM), 0.8)
    operator, t = Inpainting((DIM,), torch.ones(DIM, dtype=torch.bool)), as_time(0.4)
    y, u = normal(8, 7, DIM), noisy(prior, VP, 0.4)
    guided = tmpd(prior.score_under(VP), VP, operator, y, 0.0, form)
    assert (conditional_mean(VP, guided, u, t) - y).abs().max() < 1e-9


def test_the_full_form_does_not_mind_rotated_observations_but_the_diagonal_does():
    prior, operator, y, u, t = a_case(VP)
    turn = torch.linalg.qr(normal(11, 3, 3)).Q
    turned = MatrixOperator(turn @ operator.matrix())
    score = prior.score_under(VP)

    def change(form):
        before = tmpd(score, VP, operator, y, 0.2, form)(u, t)
        return relative(tmpd(score, VP, turned, y @ turn.T, 0.2, form)(u, t), before)

    assert change("full") < 1e-10
    assert change("cg") < 1e-6
    assert change("diagonal") > 1e-2
    assert change("row_sum") > 1e-2


@pytest.mark.parametrize("form", FORMS)
def test_units_of_the_observation_do_not_matter(form):
    prior, operator, y, u, t = a_case(VP)
    score, scaled = prior.score_under(VP), MatrixOperator(7.0 * operator.matrix())
    before = tmpd(score, VP, operator, y, 0.2, form)(u, t)
    assert relative(tmpd(score, VP, scaled, 7.0 * y, 1.4, form)(u, t), before) < 1e-9


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_pulled_back_from_hidden_pixels(form):
    prior, t = a_mixture(), as_time(0.3)
    mask = torch.tensor([True, False, True, True, False])
    true_moments, pulled = autodiff_moments(prior.score_under(VP), VP), []

    def watched(u, t):
        found = true_moments(u, t)
        return type(found)(
            found.score,
            found.mean,
            found.ratio,
            lambda c: pulled.append(c) or found.pull(c),
            found.spread,
        )

    operator, score = Inpainting((DIM,), mask), prior.score_under(VP)
    u = noisy(prior, VP, t)
    tmpd(score, VP, operator, normal(1, 3), 0.2, form, moments=watched, rows=rows_by_loop)(u, t)
    assert pulled and all((c[:, ~mask] == 0).all() for c in pulled)
    assert all((c[:, mask] != 0).any() for c in pulled)


@pytest.mark.parametrize("form", FORMS)
def test_an_image_that_has_overflowed_does_not_stop_the_others(form):
    prior, operator, y, u, t = a_case(VP)
    parts = (prior.score_under(VP), VP, operator, y, 0.2, form)
    broken = u.clone()
    broken[0] = torch.nan
    found = tmpd(*parts)(broken, t)
    assert found[0].isnan().all()
    assert torch.allclose(found[1:], tmpd(*parts)(u, t)[1:])


@pytest.mark.parametrize("form", FORMS)
def test_images_of_a_batch_do_not_meet(form):
    prior, operator, y, u, t = a_case(VP)
    score, other = prior.score_under(VP), u.clone()
    other[1:] += 1.0
    one, two = (tmpd(score, VP, operator, y, 0.2, form)(v, t)[0] for v in (u, other))
    assert (one - two).abs().max() < 1e-12 * one.abs().max()


def test_one_observation_may_serve_all_images():
    prior, operator, y, u, t = a_case(VP)
    parts = (prior.score_under(VP), VP, operator)
    one, two = (tmpd(*parts, v, 0.2)(u, t) for v in (y[0], y[:1].expand(len(u), -1)))
    assert torch.equal(one, two)


class Denoiser(nn.Module):
    """A convolutional score that is no gradient, so that J is not symmetric."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, u, t):
        return -u + self.second(torch.tanh(self.first(u)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sigma", [0.0, 0.1])
def test_with_a_network_every_form_stays_finite_and_uses_the_transpose(form, sigma):
    generator = torch.Generator().manual_seed(0)
    network = Denoiser()
    with torch.no_grad():
        for p in network.parameters():
            p.copy_(torch.randn(p.shape, generator=generator))
    operator = AveragePooling((1, 8, 8), 4).to(torch.float32)
    u = torch.randn(3, 1, 8, 8, generator=generator)
    y = torch.randn(3, 1, 2, 2, generator=generator)
    with torch.no_grad():  # as in a sampler
        guided = tmpd(network, VP, operator, y, sigma, form)(u, as_time(0.5))
    assert guided.shape == u.shape and guided.isfinite().all() and not guided.requires_grad
    moments = autodiff_moments(network, VP)(u, as_time(0.5))
    basis = torch.eye(64).reshape(64, 1, 1, 8, 8).expand(-1, 3, -1, -1, -1)
    jacobian = torch.stack([moments.pull(e) for e in basis]).flatten(2)
    guidance = (guided - moments.score).flatten(1)
    seen = torch.einsum("ij,jbk->bik", operator.matrix(), jacobian)
    solution = torch.linalg.lstsq(seen.mT, guidance[..., None]).solution
    assert relative((seen.mT @ solution)[..., 0], guidance) < 1e-3


def test_matrices_are_repaired_only_where_they_need_it():
    turn = torch.linalg.qr(normal(0, 3, 3)).Q
    values = torch.tensor([[1.0, 2.0, 3.0], [-0.5, 0.001, 2.0]], dtype=torch.float64)
    matrices = turn @ values.diag_embed() @ turn.T
    matrices = 0.5 * (matrices + matrices.mT)
    found = positive_definite(matrices, torch.full((2,), 0.1, dtype=torch.float64))
    assert torch.equal(found[0], matrices[0])
    wanted = turn @ torch.diag(torch.tensor([0.1, 0.1, 2.0], dtype=torch.float64)) @ turn.T
    assert torch.allclose(found[1], wanted)


def test_conjugate_gradients_solve_each_row_and_stop_at_negative_curvature():
    root = normal(1, 2, 6, 6)
    matrices = root @ root.mT + eye(6)
    matrices[1] = -matrices[1]
    right = normal(2, 2, 6)
    found = conjugate_gradients(lambda w: torch.einsum("bij,bj->bi", matrices, w), right, 30)
    assert torch.allclose(found[0], torch.linalg.solve(matrices[0], right[0]), rtol=1e-5)
    assert (found[1] == 0).all()
    assert (conjugate_gradients(lambda w: w, torch.zeros(2, 6), 5) == 0).all()


def test_settings_that_mean_nothing_are_refused():
    prior, operator, y, _, _ = a_case(VP)
    score = prior.score_under(VP)
    with pytest.raises(ValueError, match="full, diagonal"):
        tmpd(score, VP, operator, y, 0.1, "exact")
    with pytest.raises(ValueError, match="sigma"):
        tmpd(score, VP, operator, y, -0.1)
    with pytest.raises(ValueError, match="floor"):
        tmpd(score, VP, operator, y, 0.1, floor=0.0)
    whole = torch.ones(2, 1, dtype=torch.long)
    with pytest.raises(ValueError, match="u must be floating"):
        autodiff_moments(score, VP)(whole, torch.tensor(0.5, dtype=torch.float64))


def test_the_sums_of_beta_come_close_to_the_mean():
    def error(steps):
        t = torch.arange(1, steps + 1, dtype=torch.float64) / steps
        discrete = (1 - VP.beta(t) / steps).cumprod(0)
        exact = VP.mean(t) ** 2
        assert (exact + VP.std(t) ** 2 - 1).abs().max() < 1e-14
        return (discrete - exact).abs().max()

    assert error(1000) / error(4000) == pytest.approx(4, rel=0.05)


def a_network():
    """A network with random weights, noisy images and observations of squares."""
    generator, network = torch.Generator().manual_seed(0), Denoiser()
    with torch.no_grad():
        for p in network.parameters():
            p.copy_(3 * torch.randn(p.shape, generator=generator))
    operator = AveragePooling((1, 8, 8), 4)
    u = torch.randn(3, 1, 8, 8, generator=generator).double()
    y = torch.randn(3, 1, 2, 2, generator=generator).double()
    return network.double(), operator, u, y


def of_network(network, operator, u, y, t):
    """J^T H^T (images, pixels, q), H C H^T (images, q, q) and residual, by a dense Jacobian."""

    def clean(x):
        return VP.denoised(x[None], network(x[None], t), t)[0]

    jacobians = torch.stack([torch.func.jacrev(clean)(x).reshape(64, 64) for x in u])
    pulled = jacobians.mT @ operator.matrix().T
    covariance = VP.std(t) ** 2 / VP.mean(t) * operator.matrix() @ pulled
    residual = y - operator.A(torch.stack([clean(x) for x in u]))
    return pulled.detach(), covariance.detach(), residual.flatten(1).detach()


@pytest.mark.parametrize("form", ["full", "diagonal", "row_sum"])
def test_the_matrix_of_a_network_is_mended_or_taken_as_it_is_released(form):
    network, operator, u, y = a_network()
    t, sigma = as_time(0.5), 0.3
    pulled, covariance, residual = of_network(network, operator, u, y, t)
    symmetric = 0.5 * (covariance + covariance.mT)
    assert relative(covariance, symmetric) > 0.1  # far from symmetric, and indefinite
    assert (torch.linalg.eigvalsh(symmetric) <= 0).any()
    floor = 1e-2 * (VP.std(t) ** 2 / (VP.mean(t) ** 2 + VP.std(t) ** 2)) / 4**2
    released = {
        "full": covariance,
        "diagonal": covariance.diagonal(dim1=1, dim2=2).diag_embed(),
        "row_sum": covariance.sum(2).diag_embed(),
    }[form]
    if form == "full":
        mended = positive_definite(symmetric, floor.expand(3))
    else:
        values = released.diagonal(dim1=1, dim2=2)
        mended = torch.where(values > 0, values, floor).diag_embed()
    for inner, choice in ((mended, False), (released, True)):
        weights = torch.linalg.solve(inner + sigma**2 * eye(4), residual)
        guided = tmpd(network, VP, operator, y, sigma, form, as_released=choice)
        found = (guided(u, t) - network(u, t)).detach().flatten(1)
        assert relative(found, torch.einsum("bdq,bq->bd", pulled, weights)) < 1e-9


@pytest.mark.parametrize("form", ["full", "diagonal", "row_sum"])
def test_for_an_exact_score_there_is_nothing_to_mend(form):
    prior = GaussianMixture.isotropic(normal(3, 3, DIM), 0.8)
    operator, t, y = Inpainting((DIM,), torch.arange(DIM) < 1), as_time(0.4), normal(8, 7, 1)
    parts = (prior.score_under(VP), VP, operator, y, 0.1, form)
    one, two = (tmpd(*parts, as_released=a)(noisy(prior, VP, 0.4), t) for a in (False, True))
    assert relative(one, two) < 1e-10


def test_more_iterations_never_leave_a_larger_residual_on_an_indefinite_matrix():
    # The spectrum of a digits network: some eigenvalues large, most near 0 or below, and not
    # symmetric.
    turn = torch.linalg.qr(normal(3, 20, 20)).Q
    values = torch.cat([torch.linspace(-0.1, 0.1, 10), torch.linspace(2, 4, 10)]).double()
    skew = normal(4, 20, 20)
    matrix = turn @ torch.diag(values) @ turn.T + 0.03 * (skew - skew.T)
    right = normal(5, 6, 20)

    def left_over(iterations):
        found = conjugate_gradients(lambda w: w @ matrix.T, right, iterations)
        return (found @ matrix.T - right).norm(dim=1)

    sizes = torch.stack([left_over(k) for k in (0, 1, 2, 3, 5, 10, 40, 200)])
    assert torch.allclose(sizes[0], right.norm(dim=1))
    assert (sizes.diff(dim=0) < 1e-9).all()
    assert sizes[-1].mean() < 0.95 * sizes[0].mean()


def test_a_row_stops_for_good_where_there_is_no_curvature_whatever_the_others_do():
    """If it went on as long as the others do, rounding would carry it to 1e33."""
    diagonal = torch.tensor([2.75, 0.0, 1.5, 0.5], dtype=torch.float64)
    right = torch.tensor([[0.0, 6.0, 0.0, -5.0], [1.0, 0.0, 3.0, 4.0]], dtype=torch.float64)
    both = conjugate_gradients(lambda w: w * diagonal, right, 8)
    alone = conjugate_gradients(lambda w: w * diagonal, right[:1], 8)
    assert torch.allclose(both[:1], alone) and alone.norm() < 20
    assert torch.allclose(both[1], torch.tensor([1 / 2.75, 0.0, 2.0, 8.0]).double())


def test_three_iterations_are_the_default_and_a_nan_is_no_number_to_be_hidden():
    network, operator, u, y = a_network()
    parts, t = (network, VP, operator), as_time(0.5)
    three = tmpd(*parts, y, 0.1, "cg", iterations=3)(u, t)
    assert torch.equal(tmpd(*parts, y, 0.1, "cg")(u, t), three)
    y[1, 0, 0, 0] = torch.nan
    for form in FORMS:
        found = tmpd(*parts, y, 0.1, form)(u, t).flatten(1)
        assert found[1].isnan().any() and found[[0, 2]].isfinite().all()


HIDDEN = {
    "without gradients": lambda network: torch.no_grad()(network),
    "detached": lambda network: lambda u, t: network(u, t).detach(),
    "of a detached image": lambda network: lambda u, t: network(u.detach(), t),
}


@pytest.mark.parametrize("how", HIDDEN)
@pytest.mark.parametrize("form", FORMS)
def test_a_score_whose_derivative_is_hidden_is_refused(how, form):
    network, operator, u, y = a_network()
    guided = tmpd(HIDDEN[how](network), VP, operator, y, 0.1, form)
    with pytest.raises(ValueError, match="no_grad"):
        guided(u, as_time(0.5))


@pytest.mark.parametrize("form", FORMS)
def test_observations_of_another_shape_or_type_are_refused(form):
    network, operator, u, y = a_network()
    for bad in (y[..., :1], y[:, :, :1], y[:2], y[:1], y.float(), y.long()):
        with pytest.raises(ValueError, match="y "):
            tmpd(network, VP, operator, bad, 0.1, form)(u, as_time(0.5))
    with pytest.raises(ValueError, match=r"images are .*float32"):
        tmpd(network.float(), VP, operator, y, 0.1, form)(u.float(), as_time(0.5))


def test_half_precision_is_refused_by_the_form_that_solves_equations():
    network, operator, u, y = a_network()
    half = torch.bfloat16
    parts = (network.to(half), VP, operator.to(half), y.to(half), 0.1)
    with pytest.raises(ValueError, match="single precision"):
        tmpd(*parts)(u.to(half), as_time(0.5))
    assert tmpd(*parts, "row_sum")(u.to(half), as_time(0.5)).isfinite().all()
