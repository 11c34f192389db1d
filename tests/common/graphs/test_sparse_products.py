import copy

import pytest
import torch

from src.common.graphs.graph import Graph, sparse_matrix, transition_matrix
from src.common.graphs.sparse_products import SparseFeatures, SparseProduct, dropout, node_features


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_sparse(rows: int, columns: int, seed: int = 0):
    dense = torch.randn(rows, columns, generator=generator(seed), dtype=torch.float64)
    keep = torch.rand(rows, columns, generator=generator(seed + 1)) < 0.2
    dense = dense * keep
    places = torch.nonzero(dense).T
    return dense, sparse_matrix(places, dense[places[0], places[1]], rows, columns)


def test_product_and_gradient_are_those_of_the_dense_matrix():
    dense, sparse = random_sparse(7, 5)
    h = torch.randn(5, 3, generator=generator(4), dtype=torch.float64, requires_grad=True)
    weight = torch.randn(7, 3, generator=generator(5), dtype=torch.float64)
    product = SparseProduct(sparse)
    torch.testing.assert_close(product(h), dense @ h)
    (gradient,) = torch.autograd.grad((product(h) * weight).sum(), h)
    torch.testing.assert_close(gradient, dense.T @ weight)


def test_second_derivatives():
    _, sparse = random_sparse(6, 6)
    h = torch.randn(6, 2, generator=generator(4), dtype=torch.float64, requires_grad=True)
    product = SparseProduct(sparse)
    assert torch.autograd.gradgradcheck(lambda v: product(v).sin(), (h,))


def test_symmetric_matrix_needs_no_copy_and_asymmetric_ones_get_their_transpose():
    path = Graph.from_edges(torch.tensor([[0, 1], [1, 2]]), 3)
    walk = transition_matrix(path)  # not symmetric
    h = torch.ones(3, 1, requires_grad=True)
    (gradient,) = torch.autograd.grad(SparseProduct(walk)(h)[0].sum(), h)
    assert gradient.ravel().tolist() == [0.0, 1.0, 0.0]
    product = SparseProduct(walk, symmetric=True)
    assert product.transpose is product.matrix


def test_product_survives_copies_and_is_no_part_of_the_weights():
    _, sparse = random_sparse(4, 4)
    product = SparseProduct(sparse)
    assert product.state_dict() == {}
    h = torch.ones(4, 1, dtype=torch.float64)
    torch.testing.assert_close(copy.deepcopy(product)(h), product(h))
    single = copy.deepcopy(product).float()
    torch.testing.assert_close(single(h.float()), product(h).float())
    assert product.matrix.dtype == torch.float64


@pytest.mark.parametrize("as_csr", [False, True])
def test_features_times_weights(as_csr):
    dense, sparse = random_sparse(9, 6)
    x = SparseFeatures(sparse if as_csr else dense)
    weight = torch.randn(6, 2, generator=generator(3), dtype=torch.float64, requires_grad=True)
    pull = torch.randn(9, 2, generator=generator(6), dtype=torch.float64)
    torch.testing.assert_close(x @ weight, dense @ weight)
    (gradient,) = torch.autograd.grad((x @ weight * pull).sum(), weight)
    torch.testing.assert_close(gradient, dense.T @ pull)
    torch.testing.assert_close(x.matrix().to_dense(), dense)
    assert x.density == int((dense != 0).sum()) / 54


def test_gradient_of_thinned_features_uses_the_same_entries():
    dense, _ = random_sparse(40, 30)
    thinned = SparseFeatures(dense).dropped(0.5)
    now = thinned.matrix().to_dense()
    lost = (now == 0) & (dense != 0)
    assert 0.3 < int(lost.sum()) / int((dense != 0).sum()) < 0.7
    torch.testing.assert_close(now[~lost], 2 * dense[~lost])
    weight = torch.ones(30, 1, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad((thinned @ weight).sum(), weight)
    torch.testing.assert_close(gradient.ravel(), now.sum(dim=0))


def test_dropout_keeps_the_expectation():
    torch.manual_seed(0)
    x = torch.full((200, 500), 2.0)
    y = dropout(x, 0.3)
    torch.testing.assert_close(y.unique(), torch.tensor([0.0, 2 / 0.7]))
    assert float((y == 0).float().mean()) == pytest.approx(0.3, abs=0.008)  # five sigma: 0.0072
    assert dropout(x, 0.0) is x


def test_node_features_chooses_by_density():
    full, empty = torch.ones(4, 5), torch.zeros(4, 5)
    empty[1, 2] = 1.0
    assert node_features(full) is full
    assert isinstance(node_features(empty), SparseFeatures)
    csr = SparseFeatures(full).matrix()
    assert torch.equal(node_features(csr), full)


def test_clear_errors():
    with pytest.raises(ValueError, match="sparse CSR"):
        SparseProduct(torch.eye(3))
    _, sparse = random_sparse(4, 3)
    with pytest.raises(ValueError, match="cannot be symmetric"):
        SparseProduct(sparse, symmetric=True)
