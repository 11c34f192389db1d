"""Every degradation operator against its own dense matrix, PyTorch's layers and the definitions."""

import doctest
from math import prod

import pytest
import torch
from torch.nn import functional as F

from src.common.images import operators
from src.common.images.blur import Blur, gaussian_kernel
from src.common.images.operators import (
    CUTOFF,
    Inpainting,
    LinearOperator,
    MatrixOperator,
    random_mask,
)
from src.common.images.separable import AveragePooling, Separable


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=generator(seed), dtype=dtype)


def box(shape):
    """A mask that hides a box of 2 x 3 pixels."""
    mask = torch.ones(shape, dtype=torch.bool)
    mask[..., 1:3, 1:4] = False
    return mask


LINEAR = {
    "wide matrix": lambda: MatrixOperator(normal(5, 12), (1, 3, 4)),
    "tall matrix": lambda: MatrixOperator(normal(9, 6)),
    "singular matrix": lambda: MatrixOperator(normal(5, 2) @ normal(2, 7, seed=1)),
    "random projection": lambda: MatrixOperator.random((2, 3, 4), 6, generator()),
    "given spectrum": lambda: MatrixOperator.random(
        (8,), 3, generator(), torch.tensor([0.9, 0.5, 0.1])
    ),
    "box": lambda: Inpainting((2, 4, 6), box((2, 4, 6))),
    "random pixels": lambda: Inpainting((3, 4, 4), random_mask((3, 4, 4), 0.3, generator())),
    "separable": lambda: Separable((2, 4, 5), normal(3, 4), normal(6, 5, seed=1)),
    "average": lambda: AveragePooling((2, 6, 9), 3),
    "average, no channels": lambda: AveragePooling((6, 4), 2),
    "Gaussian blur": lambda: Blur((2, 7, 6), gaussian_kernel(5, 0.8)),
    "uniform blur": lambda: Blur((6, 6), torch.full((3, 3), 1 / 9).double()),
    "lopsided blur": lambda: Blur((1, 5, 8), normal(3, 5)),
}


@pytest.fixture(params=LINEAR)
def operator(request):
    return LINEAR[request.param]()


def images(operator, number=3, seed=0, dtype=torch.float64):
    return normal(number, *operator.image_shape, seed=seed, dtype=dtype)


def observations(operator, number=3, seed=1, dtype=torch.float64):
    return normal(number, *operator.observation_shape, seed=seed, dtype=dtype)


def close(actual, expected, tolerance=1e-11):
    torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance)


def test_dot_product(operator):
    x, y = images(operator), observations(operator)
    there = (operator.A(x).flatten(1) * y.flatten(1)).sum(1)
    back = (x.flatten(1) * operator.A_adjoint(y).flatten(1)).sum(1)
    close(there, back)


def test_matrix_is_the_operator(operator):
    matrix, x, y = operator.matrix(), images(operator), observations(operator)
    assert matrix.shape == (prod(operator.observation_shape), prod(operator.image_shape))
    close(operator.A(x).flatten(1), x.flatten(1) @ matrix.T)
    close(operator.A_adjoint(y).flatten(1), y.flatten(1) @ matrix)


def test_A_dagger_is_the_pseudo_inverse(operator):
    y = observations(operator)
    best = torch.linalg.pinv(operator.matrix(), rtol=CUTOFF)
    close(operator.A_dagger(y).flatten(1), y.flatten(1) @ best.T, 1e-9)
    seen = operator.A(images(operator))
    close(operator.A(operator.A_dagger(seen)), seen, 1e-9)


def test_singular_values(operator):
    values = operator.singular_values()
    expected = torch.linalg.svdvals(operator.matrix())
    close(values.sort(descending=True).values, expected[: len(values)])
    close(expected[len(values) :], torch.zeros(len(expected) - len(values), dtype=torch.float64))


def test_spectral_maps_are_the_decomposition(operator):
    x, y, values = images(operator), observations(operator), operator.singular_values()
    pixels = prod(operator.image_shape)
    coefficients = operator.V_adjoint(x)
    assert coefficients.shape == (3, pixels)
    close(coefficients.norm(dim=1), x.flatten(1).norm(dim=1))  # V is orthogonal
    close(operator.V(coefficients), x)
    seen = operator.U_adjoint(operator.A(x))  # U^T H = diag(s) V^T
    close(seen, coefficients[:, : len(values)] * values)
    units = torch.eye(prod(operator.observation_shape), dtype=torch.float64)
    left = operator.U_adjoint(units.reshape(-1, *operator.observation_shape))
    close(left.T @ left, torch.eye(len(values), dtype=torch.float64))  # U has orthonormal columns
    back = F.pad(operator.U_adjoint(y) * values, (0, pixels - len(values)))
    close(operator.V(back), operator.A_adjoint(y))  # H^T = V diag(s) U^T


def everything(operator, x, y):
    """What all maps give."""
    seen = operator.V_adjoint(x)
    maps = [operator.A(x), operator.A_adjoint(y), operator.A_dagger(y), seen]
    return [*maps, operator.V(seen), operator.U_adjoint(y)]


def test_single_precision_is_double_precision_rounded(operator):
    x, y = images(operator, dtype=torch.float32), observations(operator, dtype=torch.float32)
    exact, values = everything(operator, x.double(), y.double()), operator.singular_values()
    rounded = operator.to(torch.float32)
    assert rounded.dtype == rounded.matrix().dtype == torch.float32
    for found, expected in zip(everything(rounded, x, y), exact, strict=True):
        assert found.dtype == torch.float32
        close(found.double(), expected, 3e-5)
    assert torch.equal(rounded.singular_values(), values)  # in double precision for ever


def test_follows_the_device(operator):
    """The meta device has shapes but no numbers: a constant left on the processor would clash."""
    x, y = images(operator).to("meta"), observations(operator).to("meta")
    moved = operator.to("meta")
    assert moved.device == moved.singular_values().device == torch.device("meta")
    for found in everything(moved, x, y):
        assert found.device == torch.device("meta")


def test_another_type_or_device_is_refused_with_the_way_out(operator):
    x, y = images(operator), observations(operator)
    c = operator.V_adjoint(x)
    maps = {operator.A: x, operator.A_adjoint: y, operator.A_dagger: y}
    maps |= {operator.V_adjoint: x, operator.V: c, operator.U_adjoint: y}
    for call, values in maps.items():
        with pytest.raises(ValueError, match=r"float32 on cpu, but .*float64 on cpu: call"):
            call(values.float())
        with pytest.raises(ValueError, match=r"on meta, but the operator is .* on cpu"):
            call(values.to("meta"))
        assert call(values) is not None
    x = x.float()
    assert operator.to(x).A(x).dtype == torch.float32


def test_gradient_is_the_adjoint(operator):
    x, y = images(operator).requires_grad_(), observations(operator)
    (gradient,) = torch.autograd.grad((operator.A(x) * y).sum(), x)
    close(gradient, operator.A_adjoint(y))


def test_vmap_over_rows(operator):
    """TMPD pulls every row of H back at once, and pushes the results forward again."""
    x, rows = images(operator, 2), normal(4, 2, *operator.observation_shape, seed=3)
    _, pull_back = torch.func.vjp(lambda image: operator.A(image.tanh()), x)
    (pulled,) = torch.func.vmap(pull_back)(rows)
    pushed = torch.func.vmap(operator.A)(pulled)
    for row, one, there in zip(rows, pulled, pushed, strict=True):
        close(one, operator.A_adjoint(row) * (1 - x.tanh() ** 2))
        close(there, operator.A(one))
    spectral = torch.func.vmap(operator.V_adjoint)(pulled)
    close(torch.func.vmap(operator.V)(spectral), pulled)


def test_wrong_shapes_are_refused(operator):
    x, y = images(operator), observations(operator)
    for call, bad in [(operator.A, x), (operator.A_adjoint, y), (operator.A_dagger, y)]:
        with pytest.raises(ValueError, match="must be"):
            call(bad[..., :-1])
        with pytest.raises(ValueError, match="must be"):
            call(bad[0])


def test_average_pooling_is_torchs():
    x = normal(4, 3, 12, 8)
    close(AveragePooling((3, 12, 8), 4).A(x), F.avg_pool2d(x, 4))


@pytest.mark.parametrize("shape", [(3, 7), (5, 5), (1, 3)])
def test_blur_is_circular_convolution(shape):
    x, kernel = normal(2, 3, 8, 9), normal(*shape, seed=5)
    pad = (shape[1] // 2, shape[1] // 2, shape[0] // 2, shape[0] // 2)
    wrapped = F.pad(x, pad, mode="circular").flatten(0, 1)[:, None]
    expected = F.conv2d(wrapped, kernel.flip(0, 1)[None, None]).reshape(x.shape)
    close(Blur((3, 8, 9), kernel).A(x), expected)


def test_inpainting_keeps_what_the_mask_keeps():
    mask = box((3, 4, 5))
    operator, x = Inpainting((3, 4, 5), mask), normal(2, 3, 4, 5)
    assert mask.sum() == 3 * (4 * 5 - 2 * 3)
    close(operator.A(x), torch.stack([image[mask] for image in x]), 0)
    close(operator.A_adjoint(operator.A(x)), x * mask, 0)
    close(Inpainting((3, 4, 5), mask[0]).A(x), operator.A(x), 0)  # one mask for all channels


def test_random_mask_keeps_the_share_in_all_channels():
    mask = random_mask((3, 10, 10), 0.37, generator(1))
    assert mask.sum() == 3 * 37
    assert random_mask((3, 5), 0.65, generator(1)).sum() == 10  # 9.75, rounded
    assert (mask == mask[:1]).all()
    assert not torch.equal(mask, random_mask((3, 10, 10), 0.37, generator(2)))


def test_random_projection_is_uniform():
    """The mean of the projector V V^T over draws is q / d times the identity."""
    draws = [MatrixOperator.random((6,), 2, generator(seed)).matrix() for seed in range(2000)]
    mean = torch.stack([rows.T @ rows for rows in draws]).mean(0)
    close(mean, torch.eye(6, dtype=torch.float64) / 3, 0.03)
    signs = torch.stack(draws).mean(0)  # QR without the signs would leave a bias
    close(signs, torch.zeros(2, 6, dtype=torch.float64), 0.05)


def test_gaussian_kernel():
    kernel = gaussian_kernel(9, 1.3)
    assert kernel.shape == (9, 9) and (kernel >= 0).all()
    close(kernel.sum(), torch.tensor(1.0, dtype=torch.float64))
    ratio = kernel[4, 5] / kernel[4, 4]
    close(ratio.log(), torch.tensor(-0.5 / 1.3**2, dtype=torch.float64))


def test_shift_of_a_blur_by_one_pixel():
    kernel = torch.zeros(3, 3)
    kernel[0, 1] = 1.0  # convolution moves the image by the kernel's place: one row up
    x = normal(1, 1, 5, 5)
    close(Blur((1, 5, 5), kernel).A(x), x.roll(-1, dims=2))


BAD = {
    "does not divide": lambda: AveragePooling((1, 8, 9), 2),
    "does not divide the sides": lambda: AveragePooling((8,), 2),
    "does not fit images": lambda: Inpainting((1, 4, 4), torch.ones(4, 5, dtype=torch.bool)),
    "hides every": lambda: Inpainting((1, 4, 4), torch.zeros(4, 4, dtype=torch.bool)),
    "does not fit": lambda: MatrixOperator(torch.ones(2, 6), (1, 4)),
    "observations, not 7": lambda: MatrixOperator.random((2, 3), 7, generator()),
    "odd sides": lambda: Blur((1, 6, 6), torch.ones(2, 3)),
    "larger than": lambda: Blur((1, 6, 6), gaussian_kernel(7, 1.0)),
    "odd number": lambda: gaussian_kernel(4, 1.0),
    "std must": lambda: gaussian_kernel(3, 0.0),
    "share of kept": lambda: random_mask((1, 4, 4), 0.0, generator()),
    "no entries": lambda: MatrixOperator(torch.ones(2, 0), (1, 0)),
    "at least one pixel": lambda: Inpainting((1, 0), torch.ones(1, 0, dtype=torch.bool)),
    "matrices for images": lambda: Separable((1, 4, 4), torch.ones(2, 4), torch.ones(2, 3)),
}


@pytest.mark.parametrize("message", BAD)
def test_clear_errors(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()


def test_all_linear_operators_are_linear():
    assert all(isinstance(make(), LinearOperator) for make in LINEAR.values())


def test_the_example_runs():
    result = doctest.testmod(operators)
    assert result.attempted and not result.failed


def test_images_of_bytes_and_other_masks_are_refused_or_meant():
    """Whole numbers would be averaged to 0; masks of zeros and ones mean what they say."""
    bright = torch.full((1, 1, 4, 4), 200)
    for make in (lambda: AveragePooling((1, 4, 4), 2), lambda: Blur((1, 4, 4), torch.eye(3))):
        for kind in (torch.uint8, torch.int64):
            with pytest.raises(ValueError, match="floating"):
                make().to(torch.float64)._expect(bright.to(kind), (1, 4, 4), "images")
    assert (AveragePooling((1, 4, 4), 2).A(bright.double()) == 200).all()
    mask, x = box((1, 4, 6)), normal(2, 1, 4, 6)
    for kind in (torch.int64, torch.uint8, torch.float32):
        same = Inpainting((1, 4, 6), mask.to(kind))
        for one, two in zip(
            everything(same, x, same.A(x)),
            everything(Inpainting((1, 4, 6), mask), x, same.A(x)),
            strict=True,
        ):
            assert torch.equal(one, two)
    with pytest.raises(ValueError, match="True where"):
        Inpainting((1, 4, 6), 2 * mask.long())
    with pytest.raises(ValueError, match="floating"):
        MatrixOperator(torch.ones(2, 3).long())


def test_half_precision_averages_but_does_not_blur():
    images = torch.ones(1, 1, 4, 4)
    for kind in (torch.float16, torch.bfloat16):
        assert (AveragePooling((1, 4, 4), 2).to(kind).A(images.to(kind)) == 1).all()
        with pytest.raises(ValueError, match="single or double precision"):
            Blur((1, 4, 4), torch.ones(3, 3) / 9).to(kind).A(images.to(kind))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_constants_that_are_no_numbers_are_refused(bad):
    square = torch.eye(3).index_fill(1, torch.tensor([1]), bad)
    for make in (
        lambda: MatrixOperator(square),
        lambda: Blur((1, 4, 4), square),
        lambda: Separable((1, 3, 3), square, torch.eye(3)),
        lambda: Separable((1, 3, 3), torch.eye(3), square),
    ):
        with pytest.raises(ValueError, match="NaN or infinite"):
            make()
