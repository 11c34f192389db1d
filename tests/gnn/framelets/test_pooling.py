"""Framelet pooling against dense operators, energies, and graphs pooled one at a time."""

import networkx
import pytest
import torch

from src.common.graphs.graph import Graph, normalised_laplacian, sparse_matrix
from src.gnn.framelets.pooling import framelet_pool
from src.gnn.framelets.transform import FrameletTransform

DOUBLE = torch.float64
KINDS = ["sum", "spectrum"]


def normal(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def transform_of(*graphs, **options):
    """The transform of a batch of networkx graphs, and each node's graph."""
    joined = Graph.from_networkx(networkx.disjoint_union_all(graphs))
    counts = torch.tensor([len(graph) for graph in graphs])
    number = torch.arange(len(graphs)).repeat_interleave(counts)
    return FrameletTransform(normalised_laplacian(joined, DOUBLE), **options), number


def pool(transform, h, number, kind):
    return framelet_pool(transform, h, number, int(number.max()) + 1, kind)


GRAPHS = [
    networkx.karate_club_graph(),
    networkx.path_graph(7),
    networkx.cycle_graph(9),
    networkx.empty_graph(1),
    networkx.star_graph(5),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bank", ["haar", "linear"])
def test_a_batch_is_every_graph_alone(kind, bank):
    transform, number = transform_of(*GRAPHS, bank=bank, coefficients=3)
    h = normal(0, len(number), 4)
    found = pool(transform, h, number, kind)
    assert found.shape == (len(GRAPHS), transform.num_blocks * 4)
    for place, graph in enumerate(GRAPHS):
        alone, zeros = transform_of(graph, bank=bank, coefficients=3)
        expected = pool(alone, h[number == place], zeros, kind)
        torch.testing.assert_close(found[place], expected[0])


@pytest.mark.parametrize("kind", KINDS)
def test_pooling_is_its_definition(kind):
    transform, number = transform_of(GRAPHS[0], coefficients=3)
    h = normal(1, 34, 3)
    operators = transform.analysis(torch.eye(34, dtype=DOUBLE))
    if kind == "sum":
        expected = (operators @ h).sum(dim=1)
    else:  # h^T W_q^2 h, a quadratic form
        expected = torch.einsum("id,qij,qjk,kd->qd", h, operators, operators, h)
    torch.testing.assert_close(pool(transform, h, number, kind)[0], expected.flatten())


def test_spectra_are_positive_and_add_up_to_the_energy():
    transform, number = transform_of(*GRAPHS, coefficients=20)
    h = normal(2, len(number), 5)
    spectra = pool(transform, h, number, "spectrum").unflatten(1, (-1, 5))
    assert (spectra >= 0).all()
    energy = h.new_zeros(len(GRAPHS), 5).index_add(0, number, h.square())
    torch.testing.assert_close(spectra.sum(dim=1), energy, rtol=1e-12, atol=1e-12)


def test_sums_of_details_are_blind_on_regular_graphs():
    h = normal(3, 12, 4)
    transform, number = transform_of(networkx.cycle_graph(12), coefficients=20)
    low, *details = pool(transform, h, number, "sum").unflatten(1, (-1, 4))[0]
    torch.testing.assert_close(low, h.sum(dim=0))
    for block in details:
        torch.testing.assert_close(block, torch.zeros_like(block), atol=1e-12, rtol=0.0)
    # ... but not where the degrees differ
    transform, number = transform_of(networkx.path_graph(12), coefficients=20)
    assert pool(transform, h, number, "sum")[0, 4:].abs().max() > 0.1


def test_sums_of_details_are_blind_with_the_combinatorial_laplacian():
    edges = networkx.laplacian_matrix(networkx.karate_club_graph(), weight=None).tocoo()
    index = torch.stack([torch.from_numpy(edges.row), torch.from_numpy(edges.col)]).long()
    dense = torch.from_numpy(edges.toarray()).to(DOUBLE)
    laplacian = sparse_matrix(index, torch.from_numpy(edges.data).to(DOUBLE), 34, 34)
    largest = float(torch.linalg.eigvalsh(dense).max())
    transform = FrameletTransform(laplacian, coefficients=20, largest_eigenvalue=largest)
    pooled = pool(transform, normal(4, 34, 4), torch.zeros(34, dtype=torch.long), "sum")
    torch.testing.assert_close(pooled[0, 4:], torch.zeros(8, dtype=DOUBLE), atol=1e-11, rtol=0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_numbering_of_the_nodes_does_not_matter(kind):
    graph = Graph.from_networkx(GRAPHS[0])
    order = torch.randperm(34, generator=torch.Generator().manual_seed(5))
    renamed = FrameletTransform(normalised_laplacian(graph.subgraph(order), DOUBLE))
    transform, number = transform_of(GRAPHS[0])
    h = normal(6, 34, 3)
    expected = pool(transform, h, number, kind)
    torch.testing.assert_close(pool(renamed, h[order], number, kind), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_by_finite_differences(kind):
    transform, number = transform_of(*GRAPHS[1:])
    h = normal(7, len(number), 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda h: pool(transform, h, number, kind), h)


def test_another_kind_is_rejected():
    transform, number = transform_of(GRAPHS[1])
    with pytest.raises(Exception, match=r"'sum' or 'spectrum'|Type-check"):
        framelet_pool(transform, normal(8, 7, 2), number, 1, "mean")
