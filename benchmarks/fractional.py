"""Timings of the chapter on fractional noise, as ratios: `python -m benchmarks.fractional`.

First, what H = 0.9 and K = 2 hidden processes cost beside the variance-preserving process, with the
chapter's networks and batches: a training step and a sampling step. Second, the same for a direct
reading of the formulas, as the paper's released code follows it: covariances by an interpolated
solution of their differential equations at every step, all 1 + K numbers of every pixel drawn,
linear systems solved for every image (training) or pixel (sampling). Third, paths of the driving
noise against exact generators of fractional Brownian motion. The ratios that a claim asks for go to
the ledger, `--print-only` leaves it alone. One thread.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import metadata, util
from itertools import pairwise

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor, nn

from benchmarks.ratios import Measured, Ratio, column, in_turn, report
from src.common.diffusion.denoising import (
    Images,
    network_score,
    noise_prediction_loss,
    predicted_noise,
)
from src.common.diffusion.networks import ScoreMLP, parameter_count
from src.common.diffusion.processes import LinearVP, Process, Time, as_time, per_image
from src.common.diffusion.samplers import euler_maruyama, time_grid
from src.diffusion.fractional.image_training import RECIPES
from src.diffusion.fractional.noise import optimal_weights, ou_speeds, sample_fbm, simulate_ou
from src.diffusion.fractional.process import FractionalProcess
from src.diffusion.fractional.training import PlaneRecipe

CHAPTER, PAPER = "diffusion/fractional", "gfdm"
HURST, COUNT = 0.9, 2
STEPS = 4
Loss = Callable[[nn.Module, Images], Tensor]


class Direct(LinearVP):
    """The fractional process as a direct reading of the formulas computes it; jitter as released.

    Only what the two steps below need: the covariance of (X, Y) at each time of a batch, and the
    linear systems.
    """

    def __init__(self, process: FractionalProcess):
        super().__init__()
        self.speeds, self.weights, self.jitter = process.speeds, process.weights, process.jitter
        first = np.zeros(1 + len(self.speeds))
        self._solution = solve_ivp(self._slope, (0.0, 1.0), first, dense_output=True, rtol=1e-10)

    def _slope(self, t: float, value: np.ndarray) -> np.ndarray:
        f, g = float(self.rate(t)), float(self.beta(t)) ** 0.5
        speeds, weights = self.speeds.numpy(), self.weights.numpy()
        pull, total = weights * speeds, weights.sum()
        hidden = self._hidden(as_time(t)[None])[0].numpy()
        change = 2 * f * value[0] - 2 * g * pull @ value[1:] + (g * total) ** 2
        return np.append(change, (f - speeds) * value[1:] + g * (total - hidden @ pull))

    def _hidden(self, t: Tensor) -> Tensor:
        rate = self.speeds[:, None] + self.speeds
        return -torch.expm1(-rate * t[:, None, None]) / rate

    def moments(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Covariance (batch, 1 + K, 1 + K), that of Y, alpha (batch, K) and std (batch,)."""
        size = 1 + len(self.speeds)
        covariance = torch.empty(len(t), size, size, dtype=torch.float64)
        of_image = torch.from_numpy(self._solution.sol(t.numpy())).T
        covariance[:, 0], covariance[:, :, 0] = of_image, of_image
        covariance[:, 1:, 1:] = self._hidden(t)
        decay = self.jitter * torch.exp(-2 * self.speeds * t[:, None])
        covariance[:, 1:, 1:] += torch.diag_embed(decay)
        of_hidden, cross = covariance[:, 1:, 1:], covariance[:, 1:, 0]
        alpha = torch.linalg.solve(of_hidden, cross)
        return covariance, of_hidden, alpha, (covariance[:, 0, 0] - (alpha * cross).sum(1)).sqrt()


class Schedule(LinearVP):
    """Hands a given standard deviation to `predicted_noise`, which asks for mean and std only."""

    def __init__(self, std: Tensor):
        super().__init__()
        object.__setattr__(self, "_std", std)

    def std(self, t: Time) -> Tensor:
        """The standard deviation given at the start, whatever t."""
        return self._std


def direct_loss(direct: Direct, generator: torch.Generator) -> Loss:
    """The noise-prediction loss with all 1 + K numbers of every pixel drawn."""

    def loss(network: nn.Module, batch: Images) -> Tensor:
        clean = batch.images
        t = 1e-5 + (1 - 1e-5) * torch.rand(len(clean), generator=generator, dtype=torch.float64)
        covariance, _, alpha, std = direct.moments(t)
        law = torch.distributions.MultivariateNormal(
            torch.zeros(covariance.shape[:2]), covariance.float()
        )
        drawn = law.sample(clean.shape[1:]).movedim(-2, 0)  # (batch, *image, 1 + K)
        alpha = alpha.float().reshape(len(clean), *[1] * (clean.dim() - 1), -1)
        left = drawn[..., 0] - (alpha * drawn[..., 1:]).sum(-1)
        observed = per_image(direct.mean(t), clean) * clean + left
        guess = predicted_noise(network, Schedule(std), observed, t, batch.labels)
        return (guess - left / per_image(std, clean)).square().mean()

    return loss


def direct_sampling(
    direct: Direct, network: nn.Module, labels: Tensor | None, state: Tensor, grid: Tensor
) -> Callable[[], Tensor]:
    """Euler-Maruyama steps with a linear system for every pixel; states (batch, ..., 1 + K)."""
    total, pull = float(direct.weights.sum()), (direct.weights * direct.speeds).float()

    def sample() -> Tensor:
        z, noise = state, generator()
        with torch.no_grad():
            for t, earlier in pairwise(grid):
                z = step(z, t, float(t - earlier), None if earlier == grid[-1] else noise)
        return z[..., 0]

    def step(z: Tensor, t: Tensor, size: float, noise: torch.Generator | None) -> Tensor:
        x, y = z[..., 0], z[..., 1:]
        _, of_hidden, alpha, std = direct.moments(t.expand(len(z)))
        each = len(z), *[1] * (x.dim() - 1)
        alpha = alpha.float().reshape(*each, -1)
        observed = x - (alpha * y).sum(-1)
        score = -predicted_noise(network, Schedule(std), observed, t, labels) / per_image(std, x)
        solved = torch.linalg.solve(
            of_hidden.float().reshape(*each, *2 * [y.shape[-1]]), y[..., None]
        )
        of_state = torch.cat([score[..., None], -alpha * score[..., None] - solved[..., 0]], -1)
        f, g = float(direct.rate(t)), float(direct.diffusion(t))
        column = torch.cat([torch.tensor([g * total]), torch.ones(y.shape[-1])])
        drift = torch.cat([(f * x - g * (y @ pull))[..., None], -direct.speeds.float() * y], -1)
        moved = z - size * (drift - column * (of_state @ column)[..., None])
        if noise is None:
            return moved
        return moved + size**0.5 * column * torch.randn(x.shape, generator=noise)[..., None]

    return sample


@dataclass(frozen=True)
class Case:
    """A network of the chapter with a batch of random images in [-1, 1] and classes."""

    about: str
    build: Callable[[], nn.Module]
    batch: Images

    @classmethod
    def of_images(cls, name: str) -> "Case":
        """The chapter's network for an image set, with its batch."""
        recipe = RECIPES[name]
        size, shape = recipe.training.batch, recipe.shape
        labels = torch.randint(10, (size,), generator=generator())
        images = torch.randn(size, *shape, generator=generator()).clamp(-1, 1)
        return cls(f"U-Net for {name}", recipe.untrained, Images(images, labels))

    @classmethod
    def of_points(cls) -> "Case":
        """The chapter's network for points in the plane."""
        recipe = PlaneRecipe()
        points = torch.randn(recipe.batch, 2, generator=generator())
        build = partial(ScoreMLP, (2,), recipe.width, recipe.depth)
        return cls("MLP for points in the plane", build, Images(points))


def training_step(loss: Loss, build: Callable[[], nn.Module], batch: Images) -> Callable[[], None]:
    """One whole update: noise, forward, backward, Adam."""
    torch.manual_seed(0)
    network = build()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)

    def step() -> None:
        optimiser.zero_grad()
        loss(network, batch).backward()
        optimiser.step()

    return step


def costs(case: Case, judged: bool) -> Iterator[Measured]:
    """Training and sampling, with one network."""
    ordinary, fractional = LinearVP(), FractionalProcess(hurst=HURST, count=COUNT)
    released = FractionalProcess(hurst=HURST, count=COUNT, jitter_when="always")
    direct = Direct(fractional)
    losses = [noise_prediction_loss(p, generator()) for p in (ordinary, fractional)]
    losses.append(direct_loss(direct, generator()))
    images, labels = case.batch
    parameters = parameter_count(case.build())
    setting = f"{case.about}, {parameters:,} parameters, batch {len(images)}, threads: 1"
    rows = in_turn([training_step(loss, case.build, case.batch) for loss in losses])
    yield from _two("training step", "C4b" if judged else None, rows, setting)

    torch.manual_seed(0)
    network, grid = case.build().eval(), time_grid(STEPS, 0.5, 0.4)

    def sampler(process: Process) -> Callable[[], Tensor]:
        score = network_score(network, process, labels)
        state = process.start(tuple(images.shape), generator())
        return lambda: euler_maruyama(process, score, state, grid, generator())

    def directly(process: FractionalProcess) -> Callable[[], Tensor]:
        first = process.start(tuple(images.shape), generator()).movedim(0, -1)
        return direct_sampling(Direct(process), network, labels, first, grid)

    ours, theirs = sampler(released)(), directly(released)()
    if not torch.allclose(ours, theirs, atol=1e-4):
        raise AssertionError(f"the ways differ by {float((ours - theirs).abs().max())}")
    rows = in_turn([sampler(ordinary), sampler(fractional), directly(fractional)])
    yield from _two("sampling step", "C4c" if judged else None, rows, setting)


def _two(what: str, claim: str | None, rows: list, setting: str) -> Iterator[Measured]:
    """The ratios of the second and the third column to the first, which is VP's."""
    yield claim, "LinearVP", Ratio(f"{what}, fractional / VP", column(rows, 1, 0), setting)
    yield None, "LinearVP", Ratio(f"{what}, direct reading / VP", column(rows, 2, 0), setting)


def paths(points: int, count: int, hurst: float) -> Iterator[Measured]:
    """Seconds for paths of the driving noise: exact generators against the Markov process.

    The package fbm has no fast method for H = 0.9 at this length, hence another H.
    """
    times = torch.arange(1, points + 1, dtype=torch.float64) / points
    speeds = ou_speeds(3)
    weights = optimal_weights(speeds, hurst)

    def markov() -> Tensor:
        return simulate_ou(speeds, times, count, generator()) @ weights

    def cholesky() -> Tensor:
        return sample_fbm(times, hurst, count, generator())

    functions, names = [markov, cholesky], ["Cholesky, exact, type II"]
    if util.find_spec("fbm"):
        from fbm import FBM

        davies = FBM(n=points, hurst=hurst, length=1, method="daviesharte")
        functions.append(lambda: [davies.fbm() for _ in range(count)])
        names.append(f"fbm {metadata.version('fbm')}, Davies-Harte, type I, one path a call")
    else:
        print("the package fbm is not installed (requirements-bench.txt): not compared")
    rows = in_turn(functions, repeats=5)
    rate = count * len(rows) / sum(row[0] for row in rows)
    setting = f"{count} paths of {points} points, H = {hurst}, K = 3, threads: 1"
    for place, name in enumerate(names, start=1):
        what = f"seconds a path, {name} / Markov ({rate:,.0f} a second)"
        yield None, name, Ratio(what, column(rows, place, 0), setting)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def measurements() -> Iterator[Measured]:
    torch.set_num_threads(1)
    yield from costs(Case.of_images("digits"), judged=True)
    yield from costs(Case.of_images("mnist"), judged=True)
    yield from costs(Case.of_points(), judged=False)
    yield from paths(points=1000, count=200, hurst=0.7)


if __name__ == "__main__":
    report(CHAPTER, PAPER, "Timings of the chapter on fractional noise.", measurements())
