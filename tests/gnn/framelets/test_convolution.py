"""Framelet convolutions against dense matrices, and shrinkage against its definition."""

from itertools import pairwise
from math import log, sqrt

import networkx
import pytest
import torch
from scipy.optimize import minimize_scalar

from src.common.graphs.generators import stochastic_block_model, with_class_features
from src.common.graphs.graph import Graph, normalised_laplacian
from src.common.graphs.sparse_products import SparseFeatures
from src.common.training.loop import seeded
from src.gnn.framelets.convolution import (
    Shrinkage,
    UFGConv,
    UFGNetwork,
    block_energies,
    nonzero_share,
    soft_shrinkage,
    universal_threshold,
)
from src.gnn.framelets.transform import FrameletTransform, exact_operators

DOUBLE = torch.float64


def generator(seed):
    return torch.Generator().manual_seed(seed)


def normal(seed, *shape, dtype=DOUBLE):
    return torch.randn(shape, generator=generator(seed), dtype=DOUBLE).to(dtype)


def karate_laplacian(dtype=DOUBLE):
    return normalised_laplacian(Graph.from_networkx(networkx.karate_club_graph()), dtype)


def karate_transform(dtype=DOUBLE, **options):
    return FrameletTransform(karate_laplacian(dtype), **options)


def layer(transform, inputs, outputs, *, seed=0, activation="relu", **shrinkage):
    with seeded(generator(seed)):
        return UFGConv(inputs, outputs, transform, activation, Shrinkage(**shrinkage))


def network(transform, activation="relu", *, seed=0, features=6, **options):
    with seeded(generator(seed)):
        return UFGNetwork(features, 8, 3, transform, activation, **options)


def dense_layer(convolution, operators, x, threshold=None):
    """The paper's formula with dense operators, one block and one node at a time."""
    hidden = x @ convolution.weight
    out = torch.zeros_like(hidden)
    for block, operator in enumerate(operators):
        c = convolution.theta[block] * (operator @ hidden)
        if threshold is not None and block > 0:
            small = c.abs() <= threshold[block - 1]
            moved = c - threshold[block - 1] * c.sign()
            c = torch.where(small, torch.zeros_like(c), moved)
        out = out + operator.T @ c
    return out + convolution.bias


@pytest.mark.parametrize("bank", ["haar", "linear", "quadratic"])
@pytest.mark.parametrize("activation", ["relu", "none"])
def test_a_layer_without_shrinkage_is_the_formula(bank, activation):
    transform = karate_transform(bank=bank, coefficients=4)
    convolution = layer(transform, 5, 4, activation=activation)
    torch.nn.init.normal_(convolution.bias, generator=generator(1))
    x = normal(2, 34, 5)
    expected = dense_layer(convolution, transform.analysis(torch.eye(34, dtype=DOUBLE)), x)
    expected = expected.relu() if activation == "relu" else expected
    torch.testing.assert_close(convolution(x), expected)


@pytest.mark.parametrize("scales", ["released", "per-block"])
def test_a_layer_with_shrinkage_is_the_formula(scales):
    transform = karate_transform(bank="linear", coefficients=4)
    options = {"activation": "shrinkage", "sigma": 0.7, "scales": scales}
    convolution = layer(transform, 5, 4, **options)
    x = normal(3, 34, 5)
    operators = transform.analysis(torch.eye(34, dtype=DOUBLE))
    threshold = [0.7 * sqrt(2 * log(34)) / sqrt(34)] * (len(operators) - 1)
    if scales == "per-block":
        pairs = zip(convolution.theta.detach(), operators, strict=True)
        blocks = [t * (w @ x @ convolution.weight.detach()) for t, w in pairs]
        energies = [float(block.square().sum()) for block in blocks[1:]]
        threshold = [t * e / energies[0] for t, e in zip(threshold, energies, strict=True)]
    expected = dense_layer(convolution, operators, x, threshold)
    torch.testing.assert_close(convolution(x), expected)
    share = nonzero_share(convolution.coefficients(x))
    assert 1 / len(operators) < share < 1


def test_exact_filters_and_unit_weights_leave_a_linear_layer():
    """Without mixing of neighbours: the layer sees nothing of the graph."""
    convolution = layer(karate_transform(coefficients=20), 5, 4, activation="none")
    with torch.no_grad():
        convolution.theta.fill_(1.0)
    x = normal(4, 34, 5)
    torch.testing.assert_close(convolution(x), x @ convolution.weight, atol=1e-12, rtol=0.0)


@pytest.mark.parametrize("z", [-2.5, -0.4, 0.0, 0.3, 0.5, 1.7])
def test_soft_shrinkage_is_a_proximal_map(z):
    threshold = 0.5
    found = float(soft_shrinkage(torch.tensor([z]), threshold))
    best = minimize_scalar(
        lambda u: 0.5 * (u - z) ** 2 + threshold * abs(u), bracket=(-3.0, 3.0), tol=1e-12
    )
    assert found == pytest.approx(best.x, abs=1e-5)


@pytest.mark.parametrize("threshold", [0.0, 0.3, torch.tensor(0.3, dtype=DOUBLE)])
def test_properties_of_soft_shrinkage(threshold):
    z = normal(5, 2000)
    moved = soft_shrinkage(z, threshold)
    torch.testing.assert_close(soft_shrinkage(-z, threshold), -moved)
    slopes = (moved[1:] - moved[:-1]).abs() - (z[1:] - z[:-1]).abs()
    assert float(slopes.max()) <= 1e-15
    assert torch.equal(moved == 0, z.abs() <= threshold)
    torch.testing.assert_close(moved.abs(), (z.abs() - threshold).clamp(min=0))


def test_the_threshold_and_its_scales():
    assert universal_threshold(2708, 1.0) == pytest.approx(0.0764, abs=1e-4)
    assert universal_threshold(34, 1.0) == pytest.approx(0.455, abs=1e-3)
    c = torch.ones(4, 2, 3, dtype=DOUBLE) * torch.tensor([9.0, 2.0, 1.0, 0.5])[:, None, None]
    expected = torch.tensor([1.0, 0.25, 0.0625], dtype=DOUBLE)
    torch.testing.assert_close(block_energies(c), expected)
    assert not block_energies(torch.zeros_like(c)).any()


@pytest.mark.parametrize("scales", ["released", "per-block"])
def test_larger_thresholds_leave_fewer_coefficients_down_to_the_low_pass(scales):
    transform, x = karate_transform(bank="linear"), normal(7, 34, 6)
    shares, low = [], []
    for sigma in (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 1e9):
        options = {"activation": "shrinkage", "sigma": sigma, "scales": scales}
        c = layer(transform, 6, 8, **options).coefficients(x)
        shares.append(nonzero_share(c))
        low.append(c[0])
    assert shares[0] == 1.0 and shares[-1] == pytest.approx(1 / transform.num_blocks)
    assert all(a >= b for a, b in pairwise(shares)) and shares[3] < shares[0]
    assert all(torch.equal(block, low[0]) for block in low)


def test_threshold_zero_shrinks_nothing():
    transform, x = karate_transform(), normal(8, 34, 6)
    shrunk = layer(transform, 6, 8, activation="shrinkage", sigma=0.0)
    torch.testing.assert_close(shrunk(x), layer(transform, 6, 8, activation="none")(x))


def test_removed_details_are_the_limit_of_large_thresholds():
    transform, x = karate_transform(), normal(9, 34, 6)
    removed = layer(transform, 6, 8, activation="shrinkage", keep_details=False)
    dead = layer(transform, 6, 8, activation="shrinkage", sigma=1e9)
    torch.testing.assert_close(removed(x), dead(x))
    assert nonzero_share(removed.coefficients(x)) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "none"},
        {"activation": "relu"},
        {"activation": "shrinkage", "sigma": 0.05},
        {"activation": "shrinkage", "sigma": 0.05, "scales": "per-block"},
    ],
)
def test_gradients_by_finite_differences(options):
    graph = Graph.from_networkx(networkx.path_graph(6))
    transform = FrameletTransform(normalised_laplacian(graph, DOUBLE), coefficients=3)
    convolution = layer(transform, 3, 2, **options)
    parameters = dict(convolution.named_parameters())

    def output(x, *values):
        named = dict(zip(parameters, values, strict=True))
        return torch.func.functional_call(convolution, named, (x,))

    inputs = [normal(10, 6, 3).requires_grad_(), *parameters.values()]
    # away from the kinks, where finite differences say nothing
    with torch.no_grad():
        c = convolution.theta * transform.analysis(inputs[0] @ convolution.weight)
        assert ((c.abs() - convolution.threshold).abs() > 1e-4).all()
    assert torch.autograd.gradcheck(output, inputs)


def test_a_block_below_the_threshold_has_no_gradient():
    convolution = layer(karate_transform(), 6, 4, activation="shrinkage", sigma=1e9)
    convolution(normal(11, 34, 6)).square().sum().backward()
    assert convolution.theta.grad[0].any() and not convolution.theta.grad[1:].any()


@pytest.mark.parametrize("activation", ["relu", "shrinkage"])
def test_sparse_features_give_the_same_outputs_and_gradients(activation):
    transform = karate_transform(torch.float32)
    x = normal(12, 34, 6, dtype=torch.float32).relu()
    dense, sparse = network(transform, activation), network(transform, activation)
    for model, features in ((dense.eval(), x), (sparse.eval(), SparseFeatures(x))):
        model(features).square().sum().backward()
    torch.testing.assert_close(dense(x), sparse(SparseFeatures(x)))
    for a, b in zip(dense.parameters(), sparse.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)
    assert dense.nonzero_shares(x) == sparse.nonzero_shares(SparseFeatures(x))


def test_the_networks_are_two_layers_with_dropout_between():
    transform, x = karate_transform(), normal(13, 34, 6)
    relu, shrinkage = network(transform).eval(), network(transform, "shrinkage").eval()
    assert relu.first.activation == "relu" and relu.second.activation == "none"
    assert shrinkage.first.activation == shrinkage.second.activation == "shrinkage"
    for model in (relu, shrinkage):
        logits = model(x)
        assert logits.shape == (34, 3) and logits.dtype == DOUBLE
        assert (logits < 0).any() and (logits > 0).any()
        torch.testing.assert_close(logits, model.second(model.first(x)))
        model.train()
        model.dropout.p = 0.7
        with seeded(generator(3)):
            dropped = model(x)
        with seeded(generator(3)):
            assert torch.equal(model(x), dropped)
        assert not torch.allclose(dropped, logits)
    assert 1 / 3 < shrinkage.nonzero_shares(x)[0] < relu.nonzero_shares(x)[0] == 1.0


def test_parameters_start_as_released():
    convolution = layer(karate_transform(torch.float32, levels=3), 200, 100)
    assert convolution.theta.shape == (4, 34, 1) and convolution.theta.dtype == torch.float32
    assert 0.9 <= convolution.theta.min() < 0.92 and 1.08 < convolution.theta.max() <= 1.1
    bound = sqrt(6 / 300)
    assert 0.95 * bound < convolution.weight.abs().max() <= bound
    assert not convolution.bias.any()


def test_renumbering_the_nodes_and_theta_renumbers_the_output():
    graph = Graph.from_networkx(networkx.karate_club_graph())
    order = torch.randperm(34, generator=generator(14))
    renamed = FrameletTransform(normalised_laplacian(graph.subgraph(order), DOUBLE))
    before, after = layer(karate_transform(), 5, 4), layer(renamed, 5, 4)
    x = normal(15, 34, 5)
    with torch.no_grad():
        after.theta.copy_(before.theta[:, order])
    torch.testing.assert_close(after(x[order]), before(x)[order])


def test_shrinking_the_details_takes_noise_out_of_a_signal_on_blocks():
    """Mean squared errors of a signal that is constant on blocks, over 10 graphs."""
    errors = {threshold: [] for threshold in (0.0, 0.5, 1.0, 2.0, 1e9)}
    for seed in range(10):
        graph = stochastic_block_model((60, 60, 60), 0.12, 0.02, generator(seed))
        signal = (graph.y.to(DOUBLE) - 1)[:, None]
        noisy = signal + 2 * normal(seed + 100, 180, 1)
        laplacian = normalised_laplacian(graph, DOUBLE).to_dense()
        largest = float(torch.linalg.eigvalsh(laplacian)[-1])
        operators = exact_operators(laplacian, largest_eigenvalue=largest)
        c = operators @ noisy
        for threshold, found in errors.items():
            shrunk = torch.cat([c[:1], soft_shrinkage(c[1:], threshold)])
            found.append(float((operators.mT @ shrunk).sum(dim=0).sub(signal).square().mean()))
    # measured once with another implementation and other graphs; 3 standard errors are 0.1 to 0.4
    for threshold, expected, spread in (
        (0.0, 3.98, 0.45),
        (0.5, 2.48, 0.36),
        (1.0, 1.57, 0.28),
        (2.0, 0.82, 0.18),
        (1e9, 0.62, 0.12),
    ):
        assert sum(errors[threshold]) / 10 == pytest.approx(expected, abs=spread)


@pytest.mark.parametrize(("activation", "sigma"), [("relu", 1.0), ("shrinkage", 0.2)])
def test_a_network_learns_the_blocks_of_a_graph(activation, sigma):
    graph = stochastic_block_model((40, 40, 40), 0.2, 0.02, generator(0))
    graph = with_class_features(graph, 6, 2.0, generator(1))
    transform = FrameletTransform(normalised_laplacian(graph))
    model = network(transform, activation, dropout=0.0, shrinkage=Shrinkage(sigma))
    seen = torch.arange(0, 120, 4)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(graph.x)[seen], graph.y[seen]).backward()
        optimiser.step()
    hidden = torch.ones(120, dtype=torch.bool)
    hidden[seen] = False
    right = model(graph.x).argmax(dim=1) == graph.y
    assert right[seen].float().mean() > 0.95 and right[hidden].float().mean() > 0.7


def test_wrong_options_are_rejected():
    transform = karate_transform()
    for options, message in (
        ({"activation": "tanh"}, "activation must be one of relu"),
        ({"scales": "blocks"}, "scales must be one of released"),
        ({"sigma": -0.1}, "sigma must be at least 0"),
    ):
        with pytest.raises(Exception, match="|".join((message, "Type-check"))):
            layer(transform, 2, 2, **options)
