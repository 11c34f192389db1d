"""The framelet transform against eigendecompositions, dense recursions and its own identities."""

from math import log, pi

import networkx
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from src.common.graphs.graph import Graph, normalised_laplacian, sparse_matrix
from src.gnn.framelets.filter_banks import FILTER_BANKS, chebyshev_coefficients, filter_bank
from src.gnn.framelets.transform import FrameletTransform, exact_operators, exact_response

BANKS = sorted(FILTER_BANKS)
DOUBLE = torch.float64


def karate():
    return Graph.from_networkx(networkx.karate_club_graph())


def grid():
    return Graph.from_networkx(networkx.grid_2d_graph(6, 6))


def sparse_random():
    """Some 50 nodes of which a few have no edges."""
    return Graph.from_networkx(networkx.gnp_random_graph(50, 0.04, seed=3))


GRAPHS = {"karate": karate, "grid": grid, "random": sparse_random}


def laplacian(graph, dtype=DOUBLE):
    return normalised_laplacian(graph, dtype)


def normal(seed, *shape, dtype=DOUBLE):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=DOUBLE).to(dtype)


def matrices(transform):
    """The dense operators (blocks, n, n) of a transform."""
    return transform.analysis(torch.eye(transform.num_nodes, dtype=transform.dtype))


def frame(operators):
    """Synthesis times analysis, sum of W_q^T W_q."""
    return torch.einsum("qji,qjk->ik", operators, operators)


def released_recursion(dense, bank, count, dilation, levels, largest):
    """Every block by the recursion of the paper's code, with dense matrices in NumPy."""
    exponent = log(largest / pi) / log(dilation) + levels - 1
    coefficients = chebyshev_coefficients(filter_bank(bank), count).numpy().copy()
    coefficients[:, 0] *= 2
    low, found = np.eye(len(dense)), {}
    for level in range(1, levels + 1):
        scaled = dilation ** (-exponent + level - 1) / (pi / 2) * dense
        for mask, c in enumerate(coefficients):
            before, now = low, scaled @ low - low
            total = c[0] / 2 * before + c[1] * now
            for k in range(2, count):
                before, now = now, 2 * (scaled @ now) - 2 * now - before
                total = total + c[k] * now
            found[mask, level] = total
        low = found[0, level]
    return found


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("bank", BANKS)
@pytest.mark.parametrize("dilation", [1.5, 2.0, 2.5])
def test_exact_operators_are_a_tight_frame(name, bank, dilation):
    dense = laplacian(GRAPHS[name]()).to_dense()
    for levels in (1, 2, 3, 4):
        operators = exact_operators(dense, bank, levels, dilation)
        assert operators.shape == (1 + (len(filter_bank(bank).high)) * levels, *dense.shape)
        eye = torch.eye(len(dense), dtype=DOUBLE)
        assert (frame(operators) - eye).abs().max() < 1e-12
        torch.testing.assert_close(operators, operators.mT, atol=1e-12, rtol=0.0)
        commutator = operators @ dense - dense @ operators
        assert commutator.abs().max() < 1e-12


@pytest.mark.parametrize("bank", BANKS)
def test_exact_analysis_keeps_the_energy(bank):
    x = normal(0, 34, 5)
    coefficients = exact_operators(laplacian(karate()).to_dense(), bank) @ x
    energy = coefficients.square().sum(dim=(0, 1))
    torch.testing.assert_close(energy, x.square().sum(dim=0), rtol=1e-13, atol=0.0)


def test_exact_operators_act_on_eigenvectors_as_the_masks_say():
    dense = laplacian(grid()).to_dense()
    values, vectors = torch.linalg.eigh(dense)
    operators = exact_operators(dense, "haar", 2, 2.0)
    xi = pi / 2 * values  # the last level; the first has half of it
    low = torch.cos(xi / 4)
    expected = [low * torch.cos(xi / 2), torch.sin(xi / 4), low * torch.sin(xi / 2)]
    for operator, factor in zip(operators, expected, strict=True):
        torch.testing.assert_close(operator @ vectors, vectors * factor)
    torch.testing.assert_close(exact_response(values), torch.stack(expected))


@pytest.mark.parametrize("bank", BANKS)
@pytest.mark.parametrize("count", [2, 3, 4, 7])
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_the_fast_transform_is_the_released_recursion(bank, count, levels):
    matrix = laplacian(sparse_random())
    transform = FrameletTransform(matrix, bank, levels, 1.7, count, 2.2)
    expected = released_recursion(matrix.to_dense().numpy(), bank, count, 1.7, levels, 2.2)
    found = matrices(transform)
    assert transform.num_blocks == len(transform.blocks) == len(found)
    for block, place in zip(found, transform.blocks, strict=True):
        np.testing.assert_allclose(block.numpy(), expected[place], atol=1e-12)


@pytest.mark.parametrize(
    ("count", "error"), [(2, 2.8e-1), (3, 3.3e-2), (4, 3.4e-3), (6, 1.8e-5), (10, 8.3e-11)]
)
def test_distance_to_the_exact_transform_on_the_karate_club(count, error):
    matrix = laplacian(karate())
    difference = matrices(FrameletTransform(matrix, coefficients=count)) - exact_operators(
        matrix.to_dense()
    )
    distance = float(torch.linalg.matrix_norm(difference.flatten(0, 1), ord=2))
    assert distance == pytest.approx(error, rel=0.05)


def test_twelve_coefficients_are_exact():
    for name in GRAPHS:
        matrix = laplacian(GRAPHS[name]())
        found = matrices(FrameletTransform(matrix, coefficients=12))
        difference = found - exact_operators(matrix.to_dense())
        assert torch.linalg.matrix_norm(difference.flatten(0, 1), ord=2) < 1e-12


FRAME_RANGES = [
    ("haar", 2, 0.644, 1.568),
    ("haar", 3, 0.979, 1.050),
    ("haar", 4, 0.994, 1.006),
    ("linear", 2, 0.522, 1.543),
    ("linear", 3, 0.876, 1.306),
    ("linear", 4, 0.971, 1.026),
    ("quadratic", 2, 0.456, 1.448),
    ("quadratic", 3, 0.791, 1.477),
]


@pytest.mark.parametrize(("bank", "count", "lowest", "highest"), FRAME_RANGES)
def test_spectrum_of_synthesis_times_analysis(bank, count, lowest, highest):
    matrix = laplacian(karate())
    transform = FrameletTransform(matrix, bank, coefficients=count)
    fine = torch.linspace(0, 2, 20001, dtype=DOUBLE)
    everywhere = transform.response(fine).square().sum(dim=0)
    assert float(everywhere.min()) == pytest.approx(lowest, abs=6e-4)
    assert float(everywhere.max()) == pytest.approx(highest, abs=6e-4)
    eigenvalues = torch.linalg.eigvalsh(matrix.to_dense())
    predicted = transform.response(eigenvalues).square().sum(dim=0).sort().values
    found = torch.linalg.eigvalsh(frame(matrices(transform)))
    torch.testing.assert_close(found, predicted, atol=1e-12, rtol=0.0)
    assert lowest - 1e-3 < found.min() and found.max() < highest + 1e-3


@pytest.mark.parametrize("bank", BANKS)
def test_renumbering_the_nodes_renumbers_the_coefficients(bank):
    graph = karate()
    order = torch.randperm(34, generator=torch.Generator().manual_seed(1))
    x = normal(2, 34, 3)
    before = FrameletTransform(laplacian(graph), bank, coefficients=3).analysis(x)
    after = FrameletTransform(laplacian(graph.subgraph(order)), bank, coefficients=3)
    torch.testing.assert_close(after.analysis(x[order]), before[:, order])


@pytest.mark.parametrize("count", [2, 3, 4])
def test_blocks_reach_as_far_as_their_degree(count):
    """On a path, blocks of level l see at most l (n - 1) steps away, and exactly zero beyond."""
    graph = Graph.from_networkx(networkx.path_graph(30))
    transform = FrameletTransform(laplacian(graph), "linear", 3, coefficients=count)
    distance = (torch.arange(30)[:, None] - torch.arange(30)).abs()
    for block, (_, level) in zip(matrices(transform), transform.blocks, strict=True):
        assert not block[distance > level * (count - 1)].any()
        assert block[distance == level * (count - 1)].all()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (DOUBLE, 1e-14)])
@pytest.mark.parametrize("bank", BANKS)
def test_synthesis_is_the_adjoint_of_analysis(dtype, tolerance, bank):
    for count in (2, 3, 6):
        matrix = laplacian(grid(), dtype)
        transform = FrameletTransform(matrix, bank, 3, coefficients=count)
        x = normal(4, 36, 2, dtype=dtype)
        c = normal(5, transform.num_blocks, 36, 2, dtype=dtype)
        left, right = (transform.analysis(x) * c).sum(), (x * transform.synthesis(c)).sum()
        assert abs(left - right) <= tolerance * x.norm() * c.norm()


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_both_directions_have_the_gradients_of_the_dense_operators(dtype):
    transform = FrameletTransform(laplacian(karate(), dtype), "linear", coefficients=4)
    operators = matrices(transform)
    x = normal(6, 34, 3, dtype=dtype).requires_grad_()
    c = normal(7, transform.num_blocks, 34, 3, dtype=dtype).requires_grad_()
    weights = normal(8, *c.shape, dtype=dtype)
    (transform.analysis(x) * weights).sum().backward()
    (transform.synthesis(c) * weights[0]).sum().backward()
    torch.testing.assert_close(x.grad, torch.einsum("qij,qid->jd", operators, weights))
    torch.testing.assert_close(c.grad, torch.einsum("qij,jd->qid", operators, weights[0]))


def test_gradients_of_first_and_second_order_by_finite_differences():
    graph = Graph.from_networkx(networkx.cycle_graph(6))
    transform = FrameletTransform(laplacian(graph), coefficients=3)
    x = normal(9, 6, 2).requires_grad_()

    def round_trip(x):
        return transform.synthesis(transform.analysis(x) ** 3)

    assert torch.autograd.gradcheck(round_trip, x)
    assert torch.autograd.gradgradcheck(round_trip, x)


def test_parts_without_a_path_between_them_do_not_mix():
    graph = Graph.from_networkx(
        networkx.disjoint_union(networkx.cycle_graph(5), networkx.star_graph(3))
    )
    operators = matrices(FrameletTransform(laplacian(graph), coefficients=6))
    assert not operators[:, :5, 5:].any() and not operators[:, 5:, :5].any()
    alone = FrameletTransform(laplacian(graph.subgraph(torch.arange(5))), coefficients=6)
    torch.testing.assert_close(operators[:, :5, :5], matrices(alone))


class SparseProducts(TorchDispatchMode):
    """Count the products with a sparse matrix inside a block."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        sparse = [a for a in args if isinstance(a, torch.Tensor) and a.layout == torch.sparse_csr]
        self.count += bool(sparse) and function.overloadpacket.__name__ in ("mm", "addmm")
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(("levels", "count"), [(1, 2), (2, 2), (2, 5), (3, 4)])
def test_all_masks_of_a_level_share_their_products(levels, count):
    transform = FrameletTransform(laplacian(karate()), "quadratic", levels, coefficients=count)
    x = normal(12, 34, 2).requires_grad_()
    for direction, argument in (
        (transform.analysis, x),
        (transform.synthesis, transform.analysis(x).detach().requires_grad_()),
    ):
        with SparseProducts() as forward:
            result = direction(argument)
        with SparseProducts() as backward:
            result.sum().backward()
        assert forward.count == backward.count == levels * (count - 1)


def test_memory_grows_with_the_edges_only():
    """One dense matrix of this path would take 160 GB; the low-pass of a constant is known."""
    nodes = 200_000
    ends = torch.arange(nodes - 1)
    graph = Graph.from_edges(torch.stack([ends, ends + 1]), nodes)
    transform = FrameletTransform(laplacian(graph, torch.float32), levels=2, coefficients=3)
    x = graph.degree.sqrt()[:, None].requires_grad_()  # the eigenvector of the eigenvalue 0
    c = transform.analysis(x)
    expected = transform.response(torch.zeros(1))[:, :, None] * x
    torch.testing.assert_close(c, expected, atol=1e-5, rtol=0.0)
    transform.synthesis(c).sum().backward()
    assert x.grad is not None and x.grad.shape == (nodes, 1)


def test_the_same_answer_twice():
    transform = FrameletTransform(laplacian(karate(), torch.float32), coefficients=4)
    x = normal(10, 34, 7, dtype=torch.float32)
    assert torch.equal(transform.analysis(x), transform.analysis(x))


def test_a_laplacian_without_diagonal_entries_works():
    """A zero Laplacian, nothing stored: every signal is smooth."""
    empty = sparse_matrix(torch.empty(2, 0, dtype=torch.long), torch.empty(0, dtype=DOUBLE), 4, 4)
    transform = FrameletTransform(empty, coefficients=20)
    x = normal(11, 4, 2)
    torch.testing.assert_close(transform.analysis(x), torch.stack([x, 0 * x, 0 * x]))


def test_wrong_matrices_and_signals_are_rejected():
    matrix = laplacian(karate())
    with pytest.raises(ValueError, match="sparse CSR"):
        FrameletTransform(matrix.to_dense())
    with pytest.raises(ValueError, match="at least 2 coefficients"):
        FrameletTransform(matrix, coefficients=1)
    walk = sparse_matrix(torch.tensor([[0, 1], [1, 2]]), torch.tensor([1.0, 0.5]), 3, 3)
    with pytest.raises(ValueError, match="symmetric"):
        FrameletTransform(walk)
    transform = FrameletTransform(matrix)
    for signal in (normal(0, 33, 2), normal(0, 34, 2, dtype=torch.float32)):
        with pytest.raises(ValueError, match=r"takes torch\.float64 of shape"):
            transform.analysis(signal)
    with pytest.raises(ValueError, match=r"of shape \(3, 34, 'd'\)"):
        transform.synthesis(normal(0, 2, 34, 2))
