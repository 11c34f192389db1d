"""Samplers of fractional processes: the ordinary limit, exact variances, convergence, the twin."""

import math
from itertools import pairwise

import pytest
import torch

from src.common.diffusion.gaussian_mixture import GaussianMixture
from src.common.diffusion.processes import LinearVP, SubVP, VarianceExploding
from src.common.statistics.sample_distances import sliced_wasserstein
from src.diffusion.fractional import sampling
from src.diffusion.fractional.names import named_process
from src.diffusion.fractional.process import FractionalProcess
from src.diffusion.fractional.sampling import SAMPLERS, draw, generated_variance, grid_of
from src.diffusion.fractional.schedule_twin import ScheduleTwin
from src.diffusion.fractional.training import Circle

FVP = FractionalProcess(hurst=0.9, count=2)
CIRCLE = Circle().mixture()


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_without_speeds_the_sampler_is_a_reference_loop_bit_for_bit():
    base, process, n = LinearVP(), FractionalProcess(count=0), 30
    score = CIRCLE.score_under(base)
    found = draw(process, score, (50, 2), "sde", n, generator(1), torch.float64)
    draws = generator(1)
    x = base.std(1.0) * torch.randn(50, 2, generator=draws, dtype=torch.float64)
    times = [*torch.linspace(1, 1e-3, n, dtype=torch.float64), torch.tensor(0.0).double()]
    for k in range(n):
        t, size = times[k], (times[k] - times[k + 1]).item()
        beta = 0.1 + 19.9 * t
        g = beta.sqrt()
        x = x - size * (-0.5 * beta * x - g * (g * score(x, t)))
        if k < n - 1:
            noise = torch.randn(50, 2, generator=draws, dtype=torch.float64)
            x = x + size**0.5 * (g * noise)
    assert torch.equal(found, x)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_without_speeds_every_sampler_is_that_of_the_base(sampler):
    for base in (LinearVP(), VarianceExploding()):
        score = CIRCLE.score_under(base)
        pair = [
            draw(p, score, (20, 2), sampler, 13, generator(2), torch.float64)
            for p in (base, FractionalProcess(base, count=0))
        ]
        assert torch.equal(*pair)


def test_grids_evaluate_the_score_as_often_as_they_are_told():
    for sampler in SAMPLERS:
        calls = []

        def score(u, t, calls=calls):
            calls.append(float(t))
            return -u

        draw(FVP, score, (2,), sampler, 21, generator())
        assert len(calls) == 21
        assert min(calls) > 0
    released = grid_of("released sde", 20)
    assert torch.allclose(released.diff(), torch.tensor(-(1 - 1e-3) / 19, dtype=torch.float64))
    with pytest.raises(ValueError, match="odd number of times, not 20"):
        grid_of("heun", 20)
    with pytest.raises(ValueError, match="unknown sampler"):
        grid_of("euler", 20)
    with pytest.raises(ValueError, match="at least 3"):
        grid_of("sde", 2)


@pytest.mark.parametrize("sampler", ["sde", "ode", "bridge", "matched", "released sde"])
@pytest.mark.parametrize("process", [FVP, FractionalProcess(count=0), FractionalProcess(hurst=0.1)])
def test_exact_variance_is_what_sampling_gives(sampler, process):
    data_std, n, count = 0.5, 40, 20_000
    gaussian = GaussianMixture.isotropic(torch.zeros(1, 1).double(), data_std**2)
    score = gaussian.score_under(process)
    drawn = draw(process, score, (count, 1), sampler, n, generator(3), torch.float64)
    exact = generated_variance(process, data_std, sampler, n)
    assert abs(drawn.var() / exact - 1) < 4 * math.sqrt(2 / count)


@pytest.mark.parametrize("name", ["fvp 0.5 0", "fvp 0.9 2", "fvp 0.1 2", "fve 0.9 2"])
def test_matched_bridges_lose_only_what_the_last_step_leaves_out(name):
    """Before it the law is exact; it returns E[x_0 | u], whose variance is known."""
    process, data_std, n = named_process(name), 0.5, 10
    signal = (process.mean(1 / n) * data_std) ** 2
    expected = data_std**2 * signal / (signal + process.std(1 / n) ** 2)
    # Only the start, as if x_0 were 0, is wrong, by mean(1)^2 data_std^2 beside the noise.
    found = generated_variance(process, data_std, "matched", n)
    allowed = 0.01 if process.base == LinearVP() else 0.02
    assert found == pytest.approx(float(expected), rel=allowed)


@pytest.mark.parametrize("data_std", [0.5, 3.0])
def test_matched_bridges_lead_to_a_draw_from_what_x_0_may_still_be(data_std):
    """But never to more spread than pixels of -1 and 1 have."""
    seen = []

    class Noting(LinearVP):
        def bridge(self, state, clean, t, earlier, noise):
            seen.append((state, clean, t))
            return super().bridge(state, clean, t, earlier, noise)

    process, count = Noting(), 20_000
    score = GaussianMixture.isotropic(torch.zeros(1, 1).double(), data_std**2).score_under(process)
    draw(process, score, (count, 1), "matched", 8, generator(2), torch.float64)
    for state, clean, t in seen[:-1]:
        signal, noise = (process.mean(t) * data_std) ** 2, process.std(t) ** 2
        left = float(data_std**2 * noise / (signal + noise))
        added = clean - process.denoised(state, score(state, t), t)
        # Where almost nothing of x_0 is left in u, a batch hardly tells its variance.
        unsure = float(noise / process.mean(t) ** 2) * 4 * math.sqrt(2 / count)
        least, most = (min(max(left + way * unsure, 0.0), 1.0) for way in (-1, 1))
        assert 0.95 * least <= float(added.var()) <= 1.05 * most
        chance = 4 * float(added.std() * state.std()) / count**0.5
        assert abs(float((added * state).mean())) <= chance  # it knows nothing of the state


def test_bridge_needs_few_steps_where_euler_fails():
    distances = {}
    for sampler in ("released sde", "sde", "bridge"):
        score = CIRCLE.score_under(FVP)
        drawn = draw(FVP, score, (1000, 2), sampler, 10, generator(9), torch.float64)
        distances[sampler] = sliced_wasserstein(
            drawn, CIRCLE.sample(1000, generator(4)), generator(1), count=50
        )
    assert distances["bridge"] < 0.15 < 1.0 < distances["sde"]
    assert distances["released sde"] > 1.0


def test_names_stand_for_processes():
    assert named_process("vp") == LinearVP() and named_process("sub-vp") == SubVP()
    assert named_process("fvp 0.9 2") == FVP
    assert named_process("fve 0.7 3 always") == FractionalProcess(
        VarianceExploding(), 0.7, 3, jitter_when="always"
    )
    assert named_process("twin 0.9 2") == ScheduleTwin(FVP)
    for wrong in ("vq", "fvp", "fvp 0.9", "fvq 0.9 2", "fvp 0.9 2 never"):
        with pytest.raises(ValueError):
            named_process(wrong)


@pytest.mark.parametrize("name", ["0.9 1", "0.9 2", "0.7 2", "0.9 3"])
def test_twin_is_an_ordinary_process_with_the_same_observations(name):
    twin, original = named_process(f"twin {name}"), named_process(f"fvp {name}")
    times = torch.linspace(0.05, 1, 20, dtype=torch.float64)
    assert torch.equal(twin.std(times), original.std(times))
    assert torch.equal(twin.mean(times), original.mean(times))
    # Its own equation: d std^2 / dt = 2 f std^2 + g^2.
    h = 1e-4
    slope = (original.std(times.clamp(max=1 - h) + h) ** 2 - original.std(times - h) ** 2) / (
        times.clamp(max=1 - h) + 2 * h - times
    )
    expected = 2 * twin.rate(times) * twin.std(times) ** 2 + twin.diffusion(times) ** 2
    assert torch.allclose(slope[:-1], expected[:-1], rtol=1e-3, atol=1e-6)
    assert twin.diffusion(0.5).shape == ()


def test_twin_of_an_original_never_loses_noise_or_does_not_exist():
    with pytest.raises(ValueError, match="no ordinary process"):
        named_process("twin 0.3 2")


def test_a_twin_needs_no_hidden_numbers_to_generate():
    twin = named_process("twin 0.9 2")
    drawn = draw(
        twin, CIRCLE.score_under(twin), (2000, 2), "bridge", 100, generator(8), torch.float64
    )
    assert sliced_wasserstein(drawn, CIRCLE.sample(2000, generator(4)), generator(1)) < 0.06


@pytest.mark.parametrize(("sampler", "share"), [("sde", 1.0), ("ode", 0.5)])
def test_the_variance_of_an_ordinary_process_is_that_of_a_recursion_by_hand(sampler, share):
    """Euler steps on N(0, s^2): z -> (1 - h (f + share g^2 / total)) z, plus noise of h g^2."""
    base, data_std, variance = LinearVP(), 0.7, 1.0
    grid = grid_of(sampler, 30).tolist()
    for k, (t, earlier) in enumerate(pairwise(grid)):
        f, g = float(base.rate(t)), float(base.diffusion(t))
        total = float(base.mean(t) * data_std) ** 2 + float(base.std(t)) ** 2
        variance = variance if k else float(base.std(1.0)) ** 2
        variance *= (1 - (t - earlier) * (f + share * g**2 / total)) ** 2
        if sampler == "sde" and k < len(grid) - 2:
            variance += (t - earlier) * g**2
    found = generated_variance(FractionalProcess(count=0), data_std, sampler, 30)
    assert found == pytest.approx(variance, rel=1e-10)


def test_steps_draw_noise_in_the_precision_of_the_state():
    like = torch.zeros(50, dtype=torch.float64)
    drawn = sampling._noise(like, torch.Generator().manual_seed(0))
    assert drawn.dtype == torch.float64 and not torch.equal(drawn, drawn.float().double())
