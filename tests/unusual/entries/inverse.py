"""Entry points of `src.inverse_problems.tmpd` and the operators of `src.common.images`."""

from collections.abc import Callable

import torch
from torch import Tensor

from src.common.diffusion.processes import LinearVP
from src.common.diffusion.samplers import time_grid
from src.common.images.blur import Blur
from src.common.images.operators import (
    Inpainting,
    LinearOperator,
    MatrixOperator,
)
from src.common.images.separable import AveragePooling
from src.inverse_problems.tmpd.ddrm import ddrm
from src.inverse_problems.tmpd.guidance import dps, dps_likelihood, pigdm
from src.inverse_problems.tmpd.linear_solves import conjugate_gradients
from src.inverse_problems.tmpd.tweedie import tmpd
from tests.unusual.inputs import Entry, finite, same, usual

PROCESS = LinearVP()


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _numbers(*shape: int) -> Tensor:
    return torch.randn(shape, generator=seeded())


def _operator() -> MatrixOperator:
    return MatrixOperator(_numbers(2, 4)).to(_numbers(1))


def _apply(operator: LinearOperator, images: Tensor) -> list[Tensor]:
    """What an operator makes of images, and back."""
    seen = operator.to(torch.float32).A(images)
    return [seen, operator.A_adjoint(seen), operator.A_dagger(seen)]


def matrix_operator(matrix: Tensor, images: Tensor) -> list[Tensor]:
    return _apply(MatrixOperator(matrix), images)


def inpainting(mask: Tensor, images: Tensor) -> list[Tensor]:
    return _apply(Inpainting((1, 2, 2), mask), images)


def average_pooling(images: Tensor, factor: int) -> list[Tensor]:
    return _apply(AveragePooling((1, 4, 4), factor), images)


def blur(kernel: Tensor, images: Tensor) -> list[Tensor]:
    return _apply(Blur((1, 4, 4), kernel), images)


def _score(u: Tensor, t: Tensor) -> Tensor:
    return -u - 0.1 * u**3


def guided(method: Callable) -> Callable:
    """The guided score of a method, at the observations and noisy images given."""

    def call(u: Tensor, y: Tensor, sigma: float, t: float, score: Callable) -> Tensor:
        grid = time_grid(4)
        rest = {dps: (0.3, grid)}.get(method, (sigma,))
        found = method(score, PROCESS, _operator(), y, *rest)
        return found(u, torch.tensor(t, dtype=torch.float64))

    call.__qualname__ = call.__name__ = f"guided by {method.__name__}"
    return call


def by_form(form: str, u: Tensor, y: Tensor, iterations: int, floor: float) -> Tensor:
    parts = (_score, PROCESS, _operator(), y, 0.1, form)
    return tmpd(*parts, iterations=iterations, floor=floor)(u, torch.tensor(0.5))


def restored(y: Tensor, sigma: float, grid: Tensor, eta: float, score: Callable) -> Tensor:
    state = PROCESS.start((3, 4), seeded())
    return ddrm(PROCESS, score, _operator(), y, sigma, state, grid, seeded(), eta=eta)


def solved(right: Tensor, iterations: int) -> Tensor:
    matrix = torch.tensor([[2.0, 1.0], [1.0, 3.0]])
    return conjugate_gradients(lambda w: w @ matrix.to(w), right, iterations)


def _guided() -> dict[str, object]:
    return {"u": _numbers(3, 4), "y": _numbers(3, 2), "sigma": 0.1, "t": 0.5, "score": _score}


def _one_for_all(result: Tensor, expected: Tensor) -> bool:
    """One observation for all images is allowed: the first image has its own result."""
    return result.shape == expected.shape and same(result[0], expected[0], 1e-4)


IMAGES = torch.linspace(-1, 1, 32).reshape(2, 1, 4, 4)
FEWER = {
    f"images: {c}": lambda r, e: same(r[0], e[0][:1], 1e-5) for c in ("one row", "one row less")
}
NOTHING = {"images: empty": lambda r, e: all(len(part) == 0 for part in r)}


def _of_the_clean_image(result: Tensor, expected: Tensor) -> bool:
    """At t = 0 the noisy image is the clean one, and its likelihood is known."""
    operator, u, y = _operator(), _numbers(3, 4), _numbers(3, 2)
    gradient = operator.A_adjoint((y - operator.A(u)) / 0.1**2)
    return same(result, _score(u, torch.zeros(())) + gradient, 1e-4)


AT_ONCE = {"t: 0": _of_the_clean_image}
GUIDED = {"y: a dimension less": _one_for_all, "sigma: 0": finite}
KEPT = torch.tensor([[True, False], [True, True]])

ENTRIES = [
    Entry(
        matrix_operator,
        lambda: {"matrix": _numbers(2, 4), "images": _numbers(2, 4)},
        accepts=FEWER
        | NOTHING
        | {
            "matrix: one row less": lambda r, e: same(r[0], e[0][:, :1], 1e-5),
            "matrix: one row": lambda r, e: same(r[0], e[0][:, :1], 1e-5),
        },
    ),
    Entry(
        inpainting,
        lambda: {"mask": KEPT, "images": _numbers(2, 1, 2, 2)},
        accepts=FEWER
        | NOTHING
        | {
            "mask: zeros and ones": usual,
            "mask: floating": usual,
            "mask: another dimension": usual,  # one mask for the one channel
        },
    ),
    Entry(average_pooling, lambda: {"images": IMAGES, "factor": 2}, FEWER | NOTHING),
    Entry(
        blur,
        lambda: {"kernel": torch.full((3, 3), 1 / 9), "images": IMAGES},
        accepts=FEWER | NOTHING | {"kernel: one row": finite},
    ),
    *(
        Entry(guided(method), _guided, GUIDED | extra)
        for method, extra in {
            tmpd: AT_ONCE,
            pigdm: AT_ONCE,
            dps_likelihood: AT_ONCE,
            dps: {f"sigma: {n}": usual for n in (-1, "nan", "inf", "-inf")},
        }.items()
    ),
    *(
        Entry(
            by_form,
            lambda form=form: {
                "form": form,
                "u": _numbers(3, 4),
                "y": _numbers(3, 2),
                "iterations": 2,
                "floor": 0.01,
            },
            accepts={"y: a dimension less": _one_for_all},
        )
        for form in ("full", "diagonal", "row_sum", "cg")
    ),
    Entry(
        restored,
        lambda: {
            "y": _numbers(3, 2),
            "sigma": 0.1,
            "grid": time_grid(4),
            "eta": 0.85,
            "score": _score,
        },
        accepts={
            "y: a dimension less": _one_for_all,
            "sigma: 0": finite,
            "eta: 0": finite,
            "score: without gradients": usual,
            "grid: one row less": finite,  # it ends at an earlier time
        },
    ),
    Entry(
        solved,
        lambda: {"right": _numbers(3, 2), "iterations": 4},
        accepts={
            f"right: {c}": lambda r, e: same(r, e[: len(r)], 1e-4)
            for c in ("one row", "one row less")
        }
        | {"iterations: 0": lambda r, e: not bool(r.any())},
    ),
]
