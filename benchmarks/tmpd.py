"""Timings of the TMPD chapter, as ratios: `python -m benchmarks.tmpd`.

First, what a sampler's step costs with each guidance, as a ratio to DPS and in network evaluations
(NFE: one forward pass of the same network over the same batch). Second, what pulling all rows of H
back in one vectorised call saves over a Python loop; both share one forward pass. The networks are
those of the chapter, with random weights. The ratios that a claim asks for go to the ledger,
`--print-only` leaves it alone. One thread.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from benchmarks.ratios import Measured, Ratio, column, in_turn, report
from src.common.diffusion.denoising import network_score
from src.common.diffusion.networks import UNet, UNetSettings, parameter_count
from src.common.diffusion.processes import LinearVP, Score
from src.common.diffusion.samplers import ancestral, time_grid
from src.common.images.blur import Blur, gaussian_kernel
from src.common.images.operators import Inpainting, LinearOperator, random_mask
from src.common.images.separable import AveragePooling
from src.inverse_problems.tmpd.guidance import dps, pigdm
from src.inverse_problems.tmpd.image_priors import RECIPES
from src.inverse_problems.tmpd.tweedie import rows_by_loop, rows_by_vmap, tmpd

CHAPTER, PAPER = "inverse_problems/tmpd", "tmpd"
PROCESS, SIGMA = LinearVP(), 0.1
STEPS = 2


def with_weights(network: nn.Module) -> nn.Module:
    """Replace layers that start at zero by random ones, as a trained network has; freeze all."""
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.05, generator=generator)
        parameter.requires_grad_(False)
    return network.eval()


def images(shape: tuple[int, ...], batch: int) -> Tensor:
    return torch.randn(batch, *shape, generator=torch.Generator().manual_seed(1))


def guided_scores(score: Score, operator: LinearOperator, grid: Tensor) -> dict[str, Score]:
    """The plain score and the guided ones, by name."""
    y = operator.A(images(operator.image_shape, 1))
    known = (score, PROCESS, operator, y)
    return {
        "no guidance": score,
        "DPS": dps(*known, 1.0, grid),
        "PiGDM": pigdm(*known, SIGMA, grid=grid),
        "TMPD, row sum": tmpd(*known, SIGMA, "row_sum"),
        "TMPD, full by 10 conjugate gradients": tmpd(*known, SIGMA, "cg"),
        "TMPD, full": tmpd(*known, SIGMA, "full", chunk_size=16),
    }


def cost_of_a_step(batch: int) -> Iterator[Measured]:
    """Ratios to DPS of a whole ancestral step, and each method's cost in network evaluations."""
    shape = RECIPES["mnist"].shape
    network = with_weights(RECIPES["mnist"].untrained())
    score, state = network_score(network, PROCESS), images(shape, batch)
    operator, grid = AveragePooling(shape, 4).to(state), time_grid(STEPS, 0.5, 0.4)
    scores = guided_scores(score, operator, grid)
    generator = torch.Generator().manual_seed(2)

    def sampler(guided: Score):
        return lambda: ancestral(PROCESS, guided, state, grid, generator)

    def evaluation() -> None:
        with torch.no_grad():
            score(state, grid[0])

    rows = in_turn([evaluation, *[sampler(guided) for guided in scores.values()]])
    names = list(scores)
    setting = (
        f"{batch} images of 28 x 28, {operator.observation_shape[-1] ** 2} observations, U-Net of "
        f"{parameter_count(network):,} parameters, threads: 1"
    )
    base = 1 + names.index("DPS")
    for place, name in enumerate(names, start=1):
        evaluations = Ratio(name, [(a / STEPS, b) for a, b in column(rows, place, 0)], setting)
        seconds = sum(row[place] for row in rows) / len(rows) / STEPS / batch
        detail = f"{1e3 * seconds:.2f} ms a step and sample, {evaluations.geometric_mean():.1f} NFE"
        claim = "C6a" if name == "TMPD, row sum" else None
        what = f"a step, {name} / DPS"
        yield claim, "DPS", Ratio(what, column(rows, place, base), f"{detail}; {setting}")


def rows_of_h(network: nn.Module, operator: LinearOperator, batch: int, about: str) -> Ratio:
    """Full TMPD's guided score with the rows in a loop, against all of them at once."""
    score, state = network_score(network, PROCESS), images(operator.image_shape, batch)
    operator = operator.to(state)
    y = operator.A(images(operator.image_shape, 1))
    time = torch.tensor(0.3, dtype=torch.float64)
    loop, once = (
        tmpd(score, PROCESS, operator, y, SIGMA, rows=rows) for rows in (rows_by_loop, rows_by_vmap)
    )
    with torch.no_grad():
        worst = float((loop(state, time) - once(state, time)).abs().max())
        if worst > 1e-4 * float(once(state, time).abs().max()):
            raise AssertionError(f"the two forms differ by {worst}")
        rows = in_turn([lambda: loop(state, time), lambda: once(state, time)])
    size = " x ".join(map(str, operator.image_shape[-2:]))
    return Ratio(
        "rows of H, Python loop / vectorised",
        [(a, b) for a, b in rows],
        f"64 observations, {batch} particles of {size}, {about} of "
        f"{parameter_count(network):,} parameters, threads: 1",
    )


def measurements() -> Iterator[Measured]:
    torch.set_num_threads(1)
    yield from cost_of_a_step(batch=8)
    digits, larger = RECIPES["digits"].shape, RECIPES["mnist"].shape
    dense = with_weights(RECIPES["digits"].untrained())
    convolutional = with_weights(UNet(digits, UNetSettings(16, (1, 2))))
    unet = with_weights(RECIPES["mnist"].untrained())
    blur = Blur(digits, gaussian_kernel(5, 1.0))
    mask = random_mask(larger, 64 / 784, torch.Generator().manual_seed(3))
    # The claim is about one digit. The loop pays for 64 small calls, the vectorised form for memory
    # traffic: what it saves shrinks as the particles of one call, or the images, grow.
    for batch in (1, 4, 16, 64):
        claim = "C6b" if batch == 1 else None
        yield claim, "the same guidance, rows in a loop", rows_of_h(dense, blur, batch, "MLP")
    for batch in (1, 4, 16):
        yield None, "the same guidance", rows_of_h(convolutional, blur, batch, "U-Net")
    for batch in (1, 4):
        yield None, "the same", rows_of_h(unet, Inpainting(larger, mask), batch, "U-Net")


if __name__ == "__main__":
    report(CHAPTER, PAPER, "Timings of the TMPD chapter.", measurements())
