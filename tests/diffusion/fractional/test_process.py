"""The fractional process against differential equations, conditioning, autograd, Monte Carlo."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from src.common.diffusion.processes import LinearVP, SubVP, VarianceExploding
from src.diffusion.fractional.covariance import covariance_by_equations
from src.diffusion.fractional.process import FractionalProcess
from src.diffusion.fractional.steps import Dynamics, RootTable, advance

VP, VE = LinearVP(), VarianceExploding()
TIMES = (0.001, 0.01, 0.1, 0.5, 1.0)
CASES = [
    FractionalProcess(base, hurst, count)
    for base in (VP, VE)
    for hurst, count in ((0.9, 1), (0.9, 2), (0.7, 2), (0.1, 2), (0.9, 3), (0.3, 5))
]
ALWAYS = [FractionalProcess(base, 0.9, 2, jitter_when="always") for base in (VP, VE)]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def without_jitter(process, times):
    """Cov(Z_t) by the paper's differential equations, for the process's own weights."""
    speeds, weights = process.speeds.numpy(), process.weights.numpy()
    return covariance_by_equations(process.base, speeds, weights, np.array(times), rtol=1e-12)


def name(process):
    base = "VP" if process.base == VP else "VE"
    return f"{base}-{process.hurst}-{process.count}-{process.jitter_when}"


@pytest.mark.parametrize("process", CASES, ids=name)
def test_covariance_equals_the_differential_equations(process):
    nearly = FractionalProcess(process.base, process.hurst, process.count, jitter=1e-13)
    for t, exact in zip(TIMES, without_jitter(nearly, TIMES), strict=True):
        scale = np.sqrt(np.outer(exact.diagonal(), exact.diagonal()))
        assert (abs(nearly.covariance(t).numpy() - exact) / scale).max() < 2e-10


def test_usual_tolerances_make_the_conditional_variance_negative():
    speeds, weights = CASES[1].speeds.numpy(), CASES[1].weights.numpy()
    solved = covariance_by_equations(
        VP, speeds, weights, np.linspace(0.01, 1, 100), method="RK45", rtol=1e-3, atol=1e-6
    )
    conditional = [1 / np.linalg.inv(c)[0, 0] for c in solved]
    assert min(conditional) < 0


@pytest.mark.parametrize("process", CASES + ALWAYS, ids=name)
def test_noise_of_the_image_is_normalised(process):
    target = 1.0 if process.base == VP else 50.0**2
    assert math.isclose(process.covariance(1.0)[0, 0], target, rel_tol=1e-6)


def test_normalised_weights_equal_those_of_an_independent_program():
    expected = {
        (0.9, 1): (1.0662,),
        (0.9, 2): (1.2201, -1.4594),
        (0.9, 3): (2.978, -2.319, -0.464),
        (0.7, 2): (1.2152, -0.9416),
        (0.3, 2): (0.624, 0.882),
        (0.1, 2): (0.290, 1.411),
    }
    for (hurst, count), weights in expected.items():
        found = FractionalProcess(hurst=hurst, count=count).weights
        assert np.allclose(found, weights, rtol=2e-3)


def test_with_one_speed_the_hurst_index_cancels():
    one, two = (FractionalProcess(hurst=h, count=1) for h in (0.1, 0.9))
    assert torch.allclose(one.weights, two.weights, rtol=1e-12)
    assert torch.allclose(one.covariance(0.3), two.covariance(0.3), rtol=1e-12)


@pytest.mark.parametrize("process", CASES + ALWAYS, ids=name)
@settings(max_examples=15)
@given(t=st.floats(1e-4, 1.0))
def test_covariance_is_positive_and_schur_complement_right(process, t):
    covariance = process.covariance(t)
    hidden = covariance[1:, 1:]
    std, full = float(process.std(t)), math.sqrt(covariance[0, 0])
    assert 0 < std <= full * (1 + 1e-12)
    assert torch.linalg.eigvalsh(covariance).min() > -1e-14 * covariance.diagonal().max()
    # 1 / (Sigma^-1)_00 and the ratio of determinants lose digits with the condition number.
    scale = covariance.diagonal().sqrt()
    lost = 1e-14 * torch.linalg.cond(covariance / scale / scale[:, None]).item() + 1e-12
    ratio = (torch.linalg.slogdet(covariance)[1] - torch.linalg.slogdet(hidden)[1]).exp()
    assert math.isclose(1 / torch.linalg.inv(covariance)[0, 0], std**2, rel_tol=10 * lost)
    assert math.isclose(ratio, std**2, rel_tol=10 * lost)


@pytest.mark.parametrize("process", CASES + ALWAYS, ids=name)
def test_table_of_std_agrees_with_exact_values(process):
    times = torch.rand(200, generator=generator(), dtype=torch.float64) ** 4
    exact = torch.stack([process.std(t) for t in times])
    assert torch.allclose(process.std(times), exact, rtol=1e-6)
    assert torch.allclose(process.std(torch.zeros(1).double())[0], process.std(0.0), atol=1e-12)


@pytest.mark.parametrize("process", ALWAYS, ids=name)
def test_the_papers_jitter_is_added_to_the_diagonal(process):
    bare = without_jitter(process, (0.05, 0.4))
    for t, exact in zip((0.05, 0.4), bare, strict=True):
        exact[1:, 1:] += np.diag(1e-4 * np.exp(-2 * process.speeds.numpy() * t))
        assert np.allclose(process.covariance(t), exact, rtol=1e-9)
    with pytest.raises(ValueError, match="no exact steps"):
        process.bridge_factors(0.5, 0.4)


def test_jitter_at_the_start_is_passed_on_by_the_dynamics():
    process = FractionalProcess(hurst=0.9, count=2, jitter=0.5)
    phi = transition(process, 0.0, 0.3)
    bare = without_jitter(process, (0.3,))[0]
    expected = bare + phi @ np.diag([0.0, 0.5, 0.5]) @ phi.T
    assert np.allclose(process.covariance(0.3), expected, rtol=1e-8)


def transition(process, early, late):
    """Phi(late, early) from the process's own drift, by a solver of differential equations."""
    size = 1 + process.count

    def slope(t, flat):
        return process.drift(torch.from_numpy(flat.reshape(size, size)), t).numpy().ravel()

    solved = solve_ivp(slope, (early, late), np.eye(size).ravel(), rtol=1e-11, atol=1e-13)
    return solved.y[:, -1].reshape(size, size)


def test_permuting_speeds_and_weights_permutes_the_hidden_numbers():
    speeds, weights, order = (0.05, 1.0, 20.0), (0.7, -0.2, 1.1), [2, 0, 1]
    roots = [
        RootTable(
            Dynamics(VP, tuple(speeds[i] for i in o), tuple(weights[i] for i in o)),
            np.zeros((4, 4)),
        ).root(0.37)
        for o in ([0, 1, 2], order)
    ]
    plain, permuted = (root @ root.T for root in roots)
    index = [0, *(1 + i for i in order)]
    assert np.allclose(permuted, plain[np.ix_(index, index)], rtol=1e-9)


def test_table_is_exact_between_its_times():
    table = FractionalProcess()._table
    step = table.dynamics.step(0.61, 0.2)
    direct = advance(table.root(0.2), step)
    through = table.root(0.61)
    assert np.allclose(direct @ direct.T, through @ through.T, rtol=1e-10)
    with pytest.raises(ValueError, match="0 <= t <= 1"):
        table.root(1.1)


# --- the state ----------------------------------------------------------------------------------


@pytest.mark.parametrize("process", CASES + ALWAYS, ids=name)
def test_assembled_score_is_that_of_the_gaussian_given_the_image(process):
    t, clean = 0.4, normal(1, 3, seed=1)
    state = process.start((1, 3), generator(2), torch.float64)
    centred = state.clone()
    centred[0] -= process.mean(t) * clean
    observed = process.observe(state, t)
    score = -(observed - process.mean(t) * clean) / process.std(t) ** 2
    found = process.state_score(score, state, t)
    expected = -torch.linalg.solve(process.covariance(t), centred.flatten(1)).reshape(state.shape)
    assert torch.allclose(found, expected, rtol=1e-6, atol=1e-6 * float(expected.abs().max()))


@pytest.mark.parametrize("process", [CASES[1], CASES[4], CASES[7], ALWAYS[0]], ids=name)
def test_assembled_score_is_autograd_of_the_density_of_a_mixture(process):
    t, spread = 0.3, 0.2
    means, weights = normal(3, 2, seed=3), torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    covariance = process.covariance(t).clone()
    covariance[0, 0] += (process.mean(t) * spread) ** 2
    shift = torch.zeros(3, 2, 1 + process.count, dtype=torch.float64)
    shift[..., 0] = process.mean(t) * means
    joint = torch.distributions.MultivariateNormal(shift, covariance)

    def log_density(state):  # (1 + K, batch, 2 pixels): pixels are independent given the mode
        each = joint.log_prob(state.permute(1, 2, 0)[:, None]).sum(-1)
        return (weights.log() + each).logsumexp(-1)

    root = torch.linalg.cholesky(covariance)
    state = torch.einsum("ij,jbp->ibp", root, normal(1 + process.count, 5, 2, seed=4))
    state = state.requires_grad_()
    (expected,) = torch.autograd.grad(log_density(state).sum(), state)
    std = (process.std(t) ** 2 + (process.mean(t) * spread) ** 2).sqrt()
    state = state.detach()
    observed = process.observe(state, t).requires_grad_()
    distances = ((observed[:, None] - process.mean(t) * means) ** 2).sum(-1) / (2 * std**2)
    (score,) = torch.autograd.grad((weights.log() - distances).logsumexp(-1).sum(), observed)
    found = process.state_score(score, state, t)
    assert (found - expected).abs().max() < 1e-8 * max(1, float(expected.abs().max()))


@pytest.mark.parametrize("process", CASES[1:5], ids=name)
def test_noise_of_the_observation_is_independent_of_the_hidden_numbers(process):
    count, t, clean = 40_000, 0.6, 0.8
    state = torch.tensordot(
        torch.linalg.cholesky(process.covariance(t)), normal(1 + process.count, count), dims=1
    )
    state[0] += process.mean(t) * clean
    noise = process.observe(state, t) - process.mean(t) * clean
    for hidden in state[1:]:
        assert abs(torch.corrcoef(torch.stack([noise, hidden]))[0, 1]) < 4 / math.sqrt(count)
    direct = process.noisy(torch.full((count,), clean).double(), t, normal(count, seed=9))
    for moment in (1, 2):
        one, two = (v**moment for v in (noise + process.mean(t) * clean, direct))
        assert abs(one.mean() - two.mean()) < 4 * math.sqrt((one.var() + two.var()) / count)


def test_the_forward_equation_leads_to_the_covariance():
    process, paths, steps = FractionalProcess(hurst=0.9, count=2), 20_000, 1000
    state = torch.zeros(3, paths, dtype=torch.float64)
    state[1:] = process.jitter**0.5 * normal(2, paths, seed=7)
    draws = generator(5)
    for k in range(steps):
        noise = torch.randn(paths, generator=draws, dtype=torch.float64)
        t = (k + 0.5) / steps
        state = state + process.drift(state, t) / steps + process.spread(noise, t) / steps**0.5
    found, exact = state @ state.T / paths, process.covariance(1.0)
    scale = torch.sqrt(exact**2 + exact.diagonal()[:, None] * exact.diagonal())
    # 4 standard errors and an allowance for Euler's error, about 20 / steps relative for speed 20.
    assert ((found - exact).abs() / scale).max() < 4 / math.sqrt(paths) + 0.02


@pytest.mark.parametrize("process", [CASES[2], CASES[8]], ids=name)
def test_noise_enters_along_one_direction_a_pixel(process):
    t, size = 0.7, 1 + process.count
    column = process.spread(torch.ones(1, dtype=torch.float64), t)
    score = normal(size, 4, 3)
    full = torch.einsum("ij,jbp->ibp", column @ column.T, score)
    assert torch.allclose(process.spread(process.gather(score, t), t), full, rtol=1e-12)
    total = process.base.diffusion(t) * process.weights.sum()
    assert torch.allclose(column[0, 0], total) and (column[1:] == 1).all()


@pytest.mark.parametrize("process", [CASES[1], CASES[3], CASES[4], CASES[7]], ids=name)
@pytest.mark.parametrize(("t", "earlier"), [(1.0, 0.6), (0.5, 0.499), (0.05, 0.0), (1.0, 0.0)])
def test_bridge_is_gaussian_conditioning(process, t, earlier):
    of_state, of_clean, root = process.bridge_factors(t, earlier)
    phi, before = transition(process, earlier, t), process.covariance(earlier).numpy()
    after = process.covariance(t).numpy()
    cross = before @ phi.T
    gain = np.linalg.solve(after, cross.T).T
    scale = np.sqrt(before.diagonal()) + 1e-12
    weighted = (of_state.numpy() - gain) * np.sqrt(after.diagonal()) / scale[:, None]
    assert abs(weighted).max() < 1e-5
    left = (root @ root.T).numpy() - (before - gain @ cross.T)
    assert abs(left / scale / scale[:, None]).max() < 1e-5
    expected = -gain[:, 0] * float(process.mean(t))
    expected[0] += float(process.mean(earlier))
    assert np.allclose(of_clean, expected, rtol=1e-5, atol=1e-5 * scale.max())


def test_two_bridges_make_one():
    process = FractionalProcess(hurst=0.7, count=3)
    far, near, whole = ((0.9, 0.5), (0.5, 0.1), (0.9, 0.1))
    (a, b, c), (d, e, f), (g, h, i) = (process.bridge_factors(*pair) for pair in (far, near, whole))
    assert torch.allclose(d @ a, g, rtol=1e-6, atol=1e-9)
    assert torch.allclose(d @ b + e, h, rtol=1e-6, atol=1e-9)
    assert torch.allclose(d @ c @ c.T @ d.T + f @ f.T, i @ i.T, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("process", [CASES[1], CASES[4]], ids=name)
def test_bridges_of_a_known_image_end_at_it(process):
    clean, noise = normal(4, 2), normal(1 + process.count, 4, 2, seed=1)
    state = process.start((4, 2), generator(3), torch.float64)
    for t, earlier in ((1.0, 0.4), (0.4, 0.01), (0.01, 0.0)):
        state = process.bridge(state, clean, t, earlier, noise)
    assert torch.allclose(process.image(state), clean, atol=1e-10)


def test_states_keep_single_precision_and_take_one_time_an_image():
    process = FractionalProcess(hurst=0.9, count=2)
    state = process.start((3, 1, 2, 2), generator())
    assert state.shape == (3, 3, 1, 2, 2) and state.dtype == torch.float32
    times = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    score = process.observe(state, times)
    for method in (
        lambda s, u, t: process.state_score(u, s, t),
        lambda s, u, t: process.drift(s, t),
        lambda s, u, t: process.spread(u, t),
        lambda s, u, t: process.gather(s, t)[None],
        lambda s, u, t: process.observe(s, t)[None],
    ):
        together = method(state, score, times)
        assert together.dtype == torch.float32
        for i, t in enumerate(times):
            alone = method(state[:, i : i + 1], score[i : i + 1], t)
            assert torch.allclose(together[:, i : i + 1], alone, rtol=1e-5, atol=1e-6)


def test_start_is_drawn_jointly():
    process = FractionalProcess(hurst=0.9, count=2)
    state = process.start((50_000,), generator(4), torch.float64)
    exact = process.covariance(1.0)
    deviation = state @ state.T / 50_000 - exact
    scale = torch.sqrt((exact**2 + exact.diagonal()[:, None] * exact.diagonal()) / 50_000)
    assert (deviation / scale).abs().max() < 4


@pytest.mark.parametrize("base", [VP, VE], ids=["VP", "VE"])
def test_without_speeds_it_is_the_ordinary_process(base):
    process = FractionalProcess(base, count=0)
    t = torch.rand(20, generator=generator(), dtype=torch.float64)
    for method in ("mean", "std", "rate", "diffusion"):
        assert torch.equal(getattr(process, method)(t), getattr(base, method)(t))
    state, noise = normal(1, 4, 2), normal(4, 2, seed=1)
    assert torch.equal(process.start((4, 2), generator(2))[0], base.start((4, 2), generator(2)))
    assert torch.equal(process.observe(state, 0.5), state[0])
    assert torch.equal(process.state_score(noise, state, 0.5)[0], noise)
    assert torch.equal(process.drift(state, 0.5)[0], base.drift(state[0], 0.5))
    assert torch.equal(process.spread(noise, 0.5)[0], base.spread(noise, 0.5))
    assert torch.equal(process.gather(state, 0.5), base.gather(state[0], 0.5))
    both = (p.bridge(s, noise, 0.5, 0.4, s) for p, s in ((process, state), (base, state[0])))
    assert torch.equal(next(both)[0], next(both))


def test_settings_without_meaning_are_refused():
    for wrong in (
        {"base": SubVP()},
        {"jitter": 0.0},
        {"jitter_when": "never"},
        {"hurst": 1.0},
        {"count": 7},
    ):
        with pytest.raises(ValueError):
            FractionalProcess(**wrong)


@pytest.mark.parametrize("count", [0, 2])
@pytest.mark.parametrize("method", ["observe", "drift", "state_score", "bridge"])
def test_states_without_their_parts_are_refused(count, method):
    """With K = 0 a second part would be dropped in silence."""
    process, images = FractionalProcess(count=count), torch.zeros(5, 2, dtype=torch.float64)
    good = process.start((5, 2), torch.Generator().manual_seed(0), torch.float64)

    def call(state):
        rest = {
            "observe": (state, 0.5),
            "drift": (state, 0.5),
            "state_score": (images, state, 0.5),
            "bridge": (state, images, 0.5, 0.4, torch.zeros_like(state)),
        }
        return getattr(process, method)(*rest[method])

    call(good)
    with pytest.raises(ValueError, match=f"1 \\+ K = {1 + count} parts"):
        call(torch.cat([good, good[:1]]))
