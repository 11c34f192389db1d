"""Framelet operators, convolutions with their gradients, and pooling, against the UFG programs."""

import torch

from src.common.graphs.graph import Graph, normalised_laplacian
from src.gnn.framelets.convolution import Shrinkage, UFGConv
from src.gnn.framelets.pooling import framelet_pool
from src.gnn.framelets.transform import FrameletTransform
from tests.fidelity.stored import agree, comparisons


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def transform_of(edges, nodes, bank, levels, dilation, coefficients, largest):
    graph = Graph.from_edges(torch.tensor(edges).T, nodes)
    laplacian = normalised_laplacian(graph, torch.float64)
    return FrameletTransform(laplacian, bank, levels, dilation, coefficients, largest)


def operators(**about):
    transform = transform_of(**about)
    return {"operators": transform.analysis(torch.eye(transform.num_nodes, dtype=torch.float64))}


def convolution(activation, x, weight, bias, theta, cotangent, sigma=1.0, **about):
    x = double(x).requires_grad_()
    inputs, outputs = len(weight), len(bias)
    shrinkage = Shrinkage(sigma, "released")
    layer = UFGConv(inputs, outputs, transform_of(**about), activation, shrinkage)
    with torch.no_grad():
        layer.weight.copy_(double(weight))
        layer.bias.copy_(double(bias))
        layer.theta.copy_(double(theta)[..., None])
    out = layer(x)
    (out * double(cotangent)).sum().backward()
    return {
        "forward": out.detach(),
        "of_x": x.grad,
        "of_weight": layer.weight.grad,
        "of_theta": layer.theta.grad[..., 0],
        "of_bias": layer.bias.grad,
    }


def pooling(x, graphs, **about):
    number = torch.tensor(graphs)
    pooled = framelet_pool(transform_of(**about), double(x), number, max(graphs) + 1, "sum")
    return {"pooled": pooled}


METHODS = {"operators": operators, "UFGConv": convolution, "UFGPool": pooling}


@comparisons("gnn", METHODS)
def test_the_authors_programs_give_the_same(method, stored):
    agree(method, stored)
