"""With more and more evaluations every sampler of a fractional process draws from the data."""

import pytest
import torch

from src.common.statistics.sample_distances import random_directions, sliced_wasserstein
from src.diffusion.fractional.names import named_process
from src.diffusion.fractional.process import FractionalProcess
from src.diffusion.fractional.sampling import draw, generated_variance
from src.diffusion.fractional.training import Circle

FVP = FractionalProcess(hurst=0.9, count=2)
CIRCLE = Circle().mixture()


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("name", "sampler"),
    [
        ("fvp 0.5 0", "sde"),
        ("fvp 0.9 2", "sde"),
        ("fvp 0.9 2", "bridge"),
    ],
)
def test_variance_error_halves_when_steps_double(name, sampler):
    process = named_process(name)
    errors = [generated_variance(process, 0.5, sampler, n) / 0.25 - 1 for n in (500, 1000)]
    assert abs(errors[1]) < 0.01
    assert 1.7 < errors[0] / errors[1] < 2.6


def test_noise_free_and_noisy_samplers_agree_in_the_limit():
    count, directions = 500, random_directions(2, 100, generator(6))
    true, other = CIRCLE.sample(count, generator(4)), CIRCLE.sample(count, generator(5))
    floor = sliced_wasserstein(true, other, directions)
    for sampler in ("sde", "ode"):
        score = CIRCLE.score_under(FVP)
        drawn = draw(FVP, score, (count, 2), sampler, 1000, generator(8), torch.float64)
        assert sliced_wasserstein(drawn, true, directions) < 1.5 * floor + 0.01
