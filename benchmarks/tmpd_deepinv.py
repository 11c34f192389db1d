"""TMPD, DPS, PiGDM and DDRM beside deepinv's: `python -m benchmarks.tmpd_deepinv`.

Both sides get the same prior (the mixture of 25 Gaussians of the TMPD chapter), the same exact
denoiser, the same random observations and the same noise schedule, so that what differs is the
code. Three tables: the largest relative difference of the guidance, the sliced Wasserstein distance
of samples to exact posterior samples, and seconds a sample. Nothing goes to the ledger.

Needs deepinv, in an environment of its own:

    pip install -r requirements.txt -r requirements-bench.txt -c constraints.txt
"""

import math
import sys
from collections.abc import Callable
from importlib import util
from time import perf_counter
from types import SimpleNamespace
from unittest.mock import patch

import torch
from scipy.stats import t as student_t
from torch import Tensor

from src.common.diffusion.gaussian_mixture import GaussianMixture
from src.common.diffusion.processes import LinearVP
from src.common.diffusion.samplers import ancestral, time_grid
from src.common.images.operators import MatrixOperator
from src.common.statistics.sample_distances import random_directions, sliced_wasserstein
from src.inverse_problems.tmpd.ddrm import ddrm
from src.inverse_problems.tmpd.guidance import dps_continuous, pigdm
from src.inverse_problems.tmpd.tweedie import tmpd


def import_deepinv():
    """Import deepinv, also where torchvision's compiled part does not fit this torch.

    Without it torchvision's import fails at the first of two operators for which it registers
    shapes (`operator torchvision::nms does not exist`). Declaring them is enough; nothing here
    calls them. The library object must outlive the import.
    """
    try:
        import torchvision
    except RuntimeError as error:
        print(f"torchvision's compiled part does not load ({error}); its operators are declared")
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        import_deepinv.library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            import_deepinv.library.define(
                f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            )
        import torchvision  # noqa: F401
    import deepinv

    return deepinv


DIM, OBSERVATIONS, SIGMA = 8, 2, 0.1
PROBLEMS, SAMPLES, STEPS = 10, 500, 200
DPS_WEIGHT = 5.0
PROCESS = LinearVP(0.1, 25.0)
Solve = Callable[[int], Tensor]


class Problem:
    """One random observation, as we and as deepinv describe it."""

    def __init__(self, deepinv, seed: int):
        generator = torch.Generator().manual_seed(seed)
        axis = -8.0 * torch.arange(-2, 3, dtype=torch.float64)
        means = torch.cartesian_prod(axis, axis).repeat(1, DIM // 2)
        self.prior = GaussianMixture.isotropic(means, 1.0)
        values = torch.rand(OBSERVATIONS, generator=generator, dtype=torch.float64)
        self.operator = MatrixOperator.random((DIM,), OBSERVATIONS, generator, values)
        truth = self.prior.sample(1, generator)
        noise = torch.randn(1, OBSERVATIONS, generator=generator, dtype=torch.float64)
        self.y = (self.operator.A(truth) + SIGMA * noise)[0]
        posterior = self.prior.posterior(self.operator.matrix(), self.y, SIGMA)
        self.exact = posterior.sample(SAMPLES, generator)
        self.again = posterior.sample(SAMPLES, generator)
        self.score = self.prior.score_under(PROCESS)
        self.many_y = self.y.expand(SAMPLES, OBSERVATIONS)
        self.physics = physics_of(deepinv, self.operator)
        self.denoiser = denoiser_of(deepinv, self.prior)


def physics_of(deepinv, operator: MatrixOperator):
    """H as deepinv's operator with a decomposition: coefficients are padded to `DIM` numbers."""
    left, values, right = torch.linalg.svd(operator.matrix())
    pad = torch.nn.functional.pad
    hidden = DIM - OBSERVATIONS
    return deepinv.physics.DecomposablePhysics(
        U=lambda c: c[:, :OBSERVATIONS] @ left.T.to(c),
        U_adjoint=lambda y: pad(y @ left.to(y), (0, hidden)),
        V=lambda c: c @ right.to(c),
        V_adjoint=lambda x: x @ right.T.to(x),
        mask=pad(values, (0, hidden))[None],
        img_size=(DIM,),
        noise_model=deepinv.physics.GaussianNoise(SIGMA),
    )


def denoiser_of(deepinv, prior: GaussianMixture):
    """The exact denoiser of images with noise sigma, as deepinv's networks are called."""

    class Exact(deepinv.models.Denoiser):
        def forward(self, x: Tensor, sigma, **_) -> Tensor:
            return prior.denoised(x, 1.0, torch.as_tensor(sigma).double())

    return Exact()


def our_scores(problem: Problem) -> dict[str, Callable]:
    """Our guided scores, by name."""
    p = problem
    known = (p.score, PROCESS, p.operator, p.y)
    return {
        "DPS": dps_continuous(*known, DPS_WEIGHT),
        "PiGDM": pigdm(*known, SIGMA),
        "TMPD / moment matching": tmpd(*known, SIGMA),
    }


def their_diffusions(deepinv, problem: Problem, iterations: int) -> dict[str, object]:
    """deepinv's posterior samplers of the same schedule, by the same names.

    Its data are images in [0, 1] unless told otherwise; ours are not, so clipping and scaling are
    off. Its moment matching is the full TMPD guidance, solved by conjugate gradients.
    """
    sampling = deepinv.sampling
    fidelities = {
        "DPS": sampling.DPSDataFidelity(weight=DPS_WEIGHT),
        "PiGDM": sampling.PiGDMDataFidelity(),
        "TMPD / moment matching": sampling.MomentMatchingDataFidelity(cg_max_iter=iterations),
    }
    grid = time_grid(STEPS)
    return {
        name: sampling.PosteriorDiffusion(
            data_fidelity=fidelity,
            denoiser=problem.denoiser,
            sde=sampling.VariancePreservingDiffusion(beta_min=0.1, beta_max=25.0, alpha=1.0),
            solver=sampling.DDPMSolver(timesteps=grid, rng=torch.Generator()),
            minus_one_one=False,
        )
        for name, fidelity in fidelities.items()
    }


def differences(deepinv, problem: Problem) -> None:
    """Print the largest relative difference of the guidance at noisy images of the prior."""
    generator = torch.Generator().manual_seed(1)
    clean = problem.prior.sample(SAMPLES, generator)
    noise = torch.randn(SAMPLES, DIM, generator=generator, dtype=torch.float64)
    ours = our_scores(problem)
    print("guidance: largest difference, relative to the largest guidance at that time")
    for iterations in (3, 20):
        theirs = their_diffusions(deepinv, problem, iterations)
        for name, diffusion in theirs.items():
            if iterations != 3 and "moment" not in name:
                continue
            worst = 0.0
            for t in torch.tensor([0.02, 0.1, 0.3, 0.6, 0.95], dtype=torch.float64):
                u = PROCESS.noisy(clean, t, noise)
                plain = problem.score(u, t)
                a = ours[name](u, t) - plain
                b = diffusion.score(problem.many_y, problem.physics, u.clone(), t).detach() - plain
                worst = max(worst, float((a - b).abs().max() / a.abs().max()))
            label = f"{name} ({iterations} iterations)" if "moment" in name else name
            print(f"  {label:42s} {worst:.1e}")


def solvers(deepinv, problem: Problem) -> dict[str, tuple[Solve, Solve]]:
    """Samplers by name: ours, and deepinv's; each takes a seed."""
    grid = time_grid(STEPS)
    found = {}
    ours, theirs = our_scores(problem), their_diffusions(deepinv, problem, 3)
    for name, score in ours.items():

        def we(seed: int, score=score) -> Tensor:
            generator = torch.Generator().manual_seed(seed)
            state = PROCESS.start((SAMPLES, DIM), generator, torch.float64)
            return ancestral(PROCESS, score, state, grid, generator)

        def they(seed: int, diffusion=theirs[name]) -> Tensor:
            y = problem.many_y
            return diffusion(y, problem.physics, x_init=(SAMPLES, DIM), seed=seed).detach()

        found[name] = (we, they)
    levels = (PROCESS.std(grid) / PROCESS.mean(grid)).tolist()
    model = deepinv.sampling.DDRM(problem.denoiser, sigmas=levels)

    def our_ddrm(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        state = PROCESS.start((SAMPLES, DIM), generator, torch.float64)
        known = (problem.operator, problem.y, SIGMA, state, grid, generator)
        return ddrm(PROCESS, problem.score, *known)

    def their_ddrm(seed: int) -> Tensor:
        return model(problem.many_y, problem.physics, seed=seed + 1)

    found["DDRM"] = (our_ddrm, their_ddrm)
    if float(problem.operator.singular_values().min()) > SIGMA:
        found["DDRM, control"] = (our_ddrm, with_the_papers_noise(deepinv, their_ddrm))
    return found


def with_the_papers_noise(deepinv, solve: Solve) -> Solve:
    """deepinv's DDRM with the noise of the paper, as a control of what makes it differ.

    Version 0.5.0 departs from the paper (equations 4 and 5) and its released code twice: it divides
    every draw by sqrt(2), which halves its variance, and it takes a direction whose singular value
    is below sigma for unobserved. The control leaves the division out and runs on the problems
    without such a direction; there the two must agree.
    """
    numpy = SimpleNamespace(
        sqrt=lambda value: 1.0 if value == 2.0 else math.sqrt(value),
        random=SimpleNamespace(seed=lambda seed: None),  # it draws with torch only
    )

    def solve_with_its_noise(seed: int) -> Tensor:
        with patch.object(deepinv.sampling.diffusion, "np", numpy):
            return solve(seed)

    return solve_with_its_noise


def paired(values: list[float]) -> str:
    """Mean with the half width of its 95 % interval (t distribution)."""
    sample, count = torch.tensor(values), len(values)
    half = float(student_t.ppf(0.975, count - 1)) * float(sample.std()) / math.sqrt(count)
    return f"{float(sample.mean()):6.3f} +- {half:.3f}"


def main() -> None:
    torch.set_num_threads(1)
    if util.find_spec("deepinv") is None:
        print("the package deepinv is not installed (requirements-bench.txt): not compared")
        return
    deepinv = import_deepinv()
    print(f"deepinv {deepinv.__version__}, torch {torch.__version__}, threads: 1")
    print(f"d_x {DIM}, d_y {OBSERVATIONS}, sigma {SIGMA}; DPS weight {DPS_WEIGHT}")
    print(f"{STEPS} steps, {SAMPLES} samples, {PROBLEMS} problems")
    directions = random_directions(DIM, 2000, torch.Generator().manual_seed(0))
    distances: dict[str, list[list[float]]] = {}
    seconds: dict[str, list[list[float]]] = {}
    floor = []
    for number in range(PROBLEMS):
        problem = Problem(deepinv, number)
        if number == 0:
            differences(deepinv, problem)
        floor.append(float(sliced_wasserstein(problem.again, problem.exact, directions)))
        for name, both in solvers(deepinv, problem).items():
            for which in (0, 1) if number % 2 == 0 else (1, 0):
                start = perf_counter()
                samples = both[which](number)
                took = (perf_counter() - start) / SAMPLES
                distance = float(sliced_wasserstein(samples, problem.exact, directions))
                distances.setdefault(name, [[], []])[which].append(distance)
                seconds.setdefault(name, [[], []])[which].append(took)
    print(f"sliced W1 to the exact posterior (floor {paired(floor)}); milliseconds a sample")
    print(f"  {'':26s} {'ours':>16s} {'deepinv':>16s} {'difference':>16s}   ours  deepinv")
    for name, (a, b) in distances.items():
        change = [x - y for x, y in zip(a, b, strict=True)]
        times = [1e3 * sum(values) / len(values) for values in seconds[name]]
        label = f"{name} ({len(a)} problems)" if len(a) < PROBLEMS else name
        row = f"  {label:26s} {paired(a)} {paired(b)} {paired(change)}"
        print(f"{row}  {times[0]:6.3f} {times[1]:6.3f}")


if __name__ == "__main__":
    main()
