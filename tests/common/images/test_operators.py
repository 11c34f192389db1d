"""Every degradation operator against its own dense matrix, PyTorch's layers and the definitions."""

from math import prod

import pytest
import torch
from torch.nn import functional as F

from src.common.images.blur import Blur, gaussian_kernel, motion_kernel, uniform_kernel
from src.common.images.nonlinear_operators import HighDynamicRange, PhaseRetrieval
from src.common.images.operators import (
    CUTOFF,
    AveragePooling,
    BicubicDownsampling,
    Inpainting,
    LinearOperator,
    MatrixOperator,
    Separable,
    box_mask,
    random_mask,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=generator(seed), dtype=dtype)


LINEAR = {
    "wide matrix": lambda: MatrixOperator(normal(5, 12), (1, 3, 4)),
    "tall matrix": lambda: MatrixOperator(normal(9, 6)),
    "singular matrix": lambda: MatrixOperator(normal(5, 2) @ normal(2, 7, seed=1)),
    "random projection": lambda: MatrixOperator.random((2, 3, 4), 6, generator()),
    "given spectrum": lambda: MatrixOperator.random(
        (8,), 3, generator(), torch.tensor([0.9, 0.5, 0.1])
    ),
    "box": lambda: Inpainting((2, 4, 6), box_mask((2, 4, 6), 1, 2, 2, 3)),
    "random pixels": lambda: Inpainting((3, 4, 4), random_mask((3, 4, 4), 0.3, generator())),
    "separable": lambda: Separable((2, 4, 5), normal(3, 4), normal(6, 5, seed=1)),
    "average": lambda: AveragePooling((2, 6, 9), 3),
    "bicubic": lambda: BicubicDownsampling((2, 8, 12), 4),
    "bicubic, no channels": lambda: BicubicDownsampling((6, 4), 2),
    "Gaussian blur": lambda: Blur((2, 7, 6), gaussian_kernel(5, 0.8)),
    "motion blur": lambda: Blur((1, 9, 10), motion_kernel(9, 5.0, 0.5, generator())),
    "uniform blur": lambda: Blur((6, 6), uniform_kernel(3)),
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
    there = (operator(x).flatten(1) * y.flatten(1)).sum(1)
    back = (x.flatten(1) * operator.adjoint(y).flatten(1)).sum(1)
    close(there, back)


def test_matrix_is_the_operator(operator):
    matrix, x, y = operator.matrix(), images(operator), observations(operator)
    assert matrix.shape == (prod(operator.observation_shape), prod(operator.image_shape))
    close(operator(x).flatten(1), x.flatten(1) @ matrix.T)
    close(operator.adjoint(y).flatten(1), y.flatten(1) @ matrix)


def test_pseudo_inverse(operator):
    y = observations(operator)
    best = torch.linalg.pinv(operator.matrix(), rtol=CUTOFF)
    close(operator.pseudo_inverse(y).flatten(1), y.flatten(1) @ best.T, 1e-9)
    seen = operator(images(operator))
    close(operator(operator.pseudo_inverse(seen)), seen, 1e-9)


def test_singular_values(operator):
    values = operator.singular_values()
    expected = torch.linalg.svdvals(operator.matrix())
    close(values.sort(descending=True).values, expected[: len(values)])
    close(expected[len(values) :], torch.zeros(len(expected) - len(values), dtype=torch.float64))


def test_spectral_maps_are_the_decomposition(operator):
    x, y, values = images(operator), observations(operator), operator.singular_values()
    pixels = prod(operator.image_shape)
    coefficients = operator.image_to_spectral(x)
    assert coefficients.shape == (3, pixels)
    close(coefficients.norm(dim=1), x.flatten(1).norm(dim=1))  # V is orthogonal
    close(operator.image_from_spectral(coefficients), x)
    seen = operator.observation_to_spectral(operator(x))  # U^T H = diag(s) V^T
    close(seen, coefficients[:, : len(values)] * values)
    units = torch.eye(prod(operator.observation_shape), dtype=torch.float64)
    left = operator.observation_to_spectral(units.reshape(-1, *operator.observation_shape))
    close(left.T @ left, torch.eye(len(values), dtype=torch.float64))  # U has orthonormal columns
    back = F.pad(operator.observation_to_spectral(y) * values, (0, pixels - len(values)))
    close(operator.image_from_spectral(back), operator.adjoint(y))  # H^T = V diag(s) U^T


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_the_type(operator, dtype):
    x, y = images(operator, dtype=dtype), observations(operator, dtype=dtype)
    results = [
        operator(x),
        operator.adjoint(y),
        operator.pseudo_inverse(y),
        operator.image_to_spectral(x),
        operator.image_from_spectral(operator.image_to_spectral(x)),
        operator.observation_to_spectral(y),
    ]
    assert {result.dtype for result in results} == {dtype}
    assert operator.singular_values().dtype == operator.matrix().dtype == torch.float64
    close(operator(x), operator(x.double()).to(dtype), 1e-5)


def test_device_of_the_images(operator):
    """The meta device has shapes but no numbers: a constant left on the processor would clash."""
    x, y = images(operator).to("meta"), observations(operator).to("meta")
    assert operator(x).device == operator.adjoint(y).device == torch.device("meta")
    assert operator.pseudo_inverse(y).shape == x.shape


def test_gradient_is_the_adjoint(operator):
    x, y = images(operator).requires_grad_(), observations(operator)
    (gradient,) = torch.autograd.grad((operator(x) * y).sum(), x)
    close(gradient, operator.adjoint(y))
    close(operator.jacobian_adjoint(x.detach(), y), operator.adjoint(y))


def test_vmap_over_rows(operator):
    """TMPD pulls every row of H back at once, and pushes the results forward again."""
    x, rows = images(operator, 2), normal(4, 2, *operator.observation_shape, seed=3)
    _, pull_back = torch.func.vjp(lambda image: operator(image.tanh()), x)
    (pulled,) = torch.func.vmap(pull_back)(rows)
    pushed = torch.func.vmap(operator)(pulled)
    for row, one, there in zip(rows, pulled, pushed, strict=True):
        close(one, operator.adjoint(row) * (1 - x.tanh() ** 2))
        close(there, operator(one))
    spectral = torch.func.vmap(operator.image_to_spectral)(pulled)
    close(torch.func.vmap(operator.image_from_spectral)(spectral), pulled)


def test_wrong_shapes_are_refused(operator):
    x, y = images(operator), observations(operator)
    for call, bad in [(operator, x), (operator.adjoint, y), (operator.pseudo_inverse, y)]:
        with pytest.raises(ValueError, match="must be"):
            call(bad[..., :-1])
        with pytest.raises(ValueError, match="must be"):
            call(bad[0])


def test_average_pooling_is_torchs():
    x = normal(4, 3, 12, 8)
    close(AveragePooling((3, 12, 8), 4)(x), F.avg_pool2d(x, 4))


@pytest.mark.parametrize(("side", "factor"), [(28, 4), (32, 2), (32, 8), (8, 2), (8, 4), (27, 3)])
def test_bicubic_is_torchs(side, factor):
    x, shape = normal(2, 3, side, side), (3, side, side)
    small = F.interpolate(x, scale_factor=1 / factor, mode="bicubic", antialias=True)
    close(BicubicDownsampling(shape, factor)(x), small, 1e-6)  # torch's weights: single precision


@pytest.mark.parametrize("shape", [(3, 7), (5, 5), (1, 3)])
def test_blur_is_circular_convolution(shape):
    x, kernel = normal(2, 3, 8, 9), normal(*shape, seed=5)
    pad = (shape[1] // 2, shape[1] // 2, shape[0] // 2, shape[0] // 2)
    wrapped = F.pad(x, pad, mode="circular").flatten(0, 1)[:, None]
    expected = F.conv2d(wrapped, kernel.flip(0, 1)[None, None]).reshape(x.shape)
    close(Blur((3, 8, 9), kernel)(x), expected)


def test_inpainting_keeps_what_the_mask_keeps():
    mask = box_mask((3, 4, 5), 1, 1, 2, 3)
    operator, x = Inpainting((3, 4, 5), mask), normal(2, 3, 4, 5)
    assert mask.sum() == 3 * (4 * 5 - 2 * 3)
    close(operator(x), torch.stack([image[mask] for image in x]), 0)
    close(operator.adjoint(operator(x)), x * mask, 0)
    close(Inpainting((3, 4, 5), mask[0])(x), operator(x), 0)  # one mask for all channels


def test_random_mask_keeps_the_share_in_all_channels():
    mask = random_mask((3, 10, 10), 0.37, generator(1))
    assert mask.sum() == 3 * 37
    assert (mask == mask[:1]).all()
    assert not torch.equal(mask, random_mask((3, 10, 10), 0.37, generator(2)))


def test_random_projection_is_uniform():
    """The mean of the projector V V^T over draws is q / d times the identity."""
    draws = [MatrixOperator.random((6,), 2, generator(seed)).matrix() for seed in range(2000)]
    mean = torch.stack([rows.T @ rows for rows in draws]).mean(0)
    close(mean, torch.eye(6, dtype=torch.float64) / 3, 0.03)
    signs = torch.stack(draws).mean(0)  # QR without the signs would leave a bias
    close(signs, torch.zeros(2, 6, dtype=torch.float64), 0.05)


def test_kernels():
    for kernel in (
        gaussian_kernel(9, 1.3),
        uniform_kernel(5),
        motion_kernel(21, 15.0, 0.5, generator()),
    ):
        assert kernel.shape[0] == kernel.shape[1]
        assert (kernel >= 0).all()
        close(kernel.sum(), torch.tensor(1.0, dtype=torch.float64))
    ratio = gaussian_kernel(9, 1.3)[4, 5] / gaussian_kernel(9, 1.3)[4, 4]
    close(ratio.log(), torch.tensor(-0.5 / 1.3**2, dtype=torch.float64))


def test_straight_motion_has_its_length():
    """Uniform on a line of length l: variance l^2 / 12 along it, a pixel's own width across."""
    kernel = motion_kernel(33, 24.0, 0.0, generator(3))
    places = torch.cartesian_prod(*2 * [torch.arange(33.0, dtype=torch.float64)]) - 16
    places = places.T.reshape(2, 33, 33)
    mean = (places * kernel).sum((1, 2))
    covariance = torch.einsum("ihw,jhw,hw->ij", places, places, kernel) - mean[:, None] * mean
    across, along = torch.linalg.eigvalsh(covariance)
    close(mean, torch.zeros(2, dtype=torch.float64), 1e-9)
    assert abs(along - 24**2 / 12) < 0.5
    assert across < 0.3
    bent = motion_kernel(33, 24.0, 1.0, generator(3))
    assert not torch.allclose(kernel, bent)


def test_shift_of_a_blur_by_one_pixel():
    kernel = torch.zeros(3, 3)
    kernel[0, 1] = 1.0  # convolution moves the image by the kernel's place: one row up
    x = normal(1, 1, 5, 5)
    close(Blur((1, 5, 5), kernel)(x), x.roll(-1, dims=2))


def test_phase_retrieval_ignores_shifts_and_half_turns():
    operator, x = PhaseRetrieval((1, 6, 5)), normal(2, 1, 6, 5)
    assert operator.observation_shape == (1, 12, 10)
    seen = operator(x)
    close(seen, operator(x.flip(2, 3)))
    close(seen.square().sum((1, 2, 3)), x.square().sum((1, 2, 3)))  # Parseval
    assert not torch.allclose(seen, operator(x.flip(3)))
    moved = F.pad(x[..., 1:], (0, 1))
    inner = F.pad(x[..., 1:], (1, 0))
    close(operator(moved), operator(inner))


def test_high_dynamic_range():
    operator, x = HighDynamicRange((1, 2, 2)), torch.tensor([[[[-0.9, -0.2], [0.3, 0.7]]]])
    close(operator(x), torch.tensor([[[[-1.0, -0.4], [0.6, 1.0]]]]))


@pytest.mark.parametrize("operator", [PhaseRetrieval((1, 4, 4)), HighDynamicRange((1, 4, 4))])
def test_adjoint_of_the_jacobian(operator):
    """<J dx, v> = <dx, J^T v>, the left side by a central difference."""
    x, step, v = images(operator), 1e-6 * images(operator, seed=2), observations(operator)
    moved = (operator(x + step) - operator(x - step)) / 2
    there, back = (moved * v).sum(), (step * operator.jacobian_adjoint(x, v)).sum()
    torch.testing.assert_close(there, back, rtol=1e-5, atol=0)


BAD = {
    "does not divide": lambda: AveragePooling((1, 8, 9), 2),
    "does not divide the sides": lambda: BicubicDownsampling((8,), 2),
    "does not fit images": lambda: Inpainting((1, 4, 4), torch.ones(4, 5, dtype=torch.bool)),
    "hides every": lambda: Inpainting((1, 4, 4), torch.zeros(4, 4, dtype=torch.bool)),
    "does not fit": lambda: MatrixOperator(torch.ones(2, 6), (1, 4)),
    "observations, not 7": lambda: MatrixOperator.random((2, 3), 7, generator()),
    "odd sides": lambda: Blur((1, 6, 6), torch.ones(2, 3)),
    "larger than": lambda: Blur((1, 6, 6), gaussian_kernel(7, 1.0)),
    "std must": lambda: gaussian_kernel(3, 0.0),
    "odd number": lambda: uniform_kernel(4),
    "length <= size": lambda: motion_kernel(9, 8.0, 0.5, generator()),
    "share of kept": lambda: random_mask((1, 4, 4), 0.0, generator()),
    "oversampling": lambda: PhaseRetrieval((1, 4, 4), 0.5),
    "gain": lambda: HighDynamicRange((1, 4, 4), 0.0),
    "at least one pixel": lambda: HighDynamicRange((1, 0, 4)),
    "matrices for images": lambda: Separable((1, 4, 4), torch.ones(2, 4), torch.ones(2, 3)),
}


@pytest.mark.parametrize("message", BAD)
def test_clear_errors(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()


def test_all_linear_operators_are_linear():
    assert all(isinstance(make(), LinearOperator) for make in LINEAR.values())
