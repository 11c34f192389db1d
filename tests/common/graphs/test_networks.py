from dataclasses import replace

import pytest
import torch
from torch import nn
from torch_geometric.nn import GATConv, GCNConv

from src.common.graphs.generators import stochastic_block_model, with_class_features
from src.common.graphs.graph import Graph
from src.common.graphs.networks import GAT, GCN, MLP, Dropout, FeatureLinear, GATLayer, gcn_operator
from src.common.graphs.sparse_products import SparseFeatures
from src.common.training.loop import seeded
from src.common.training.streams import stream

SIZES = (5, 4, 3)
MODELS = {
    "mlp": lambda graph: MLP(SIZES),
    "gcn": lambda graph: GCN(graph, SIZES),
    "gat": lambda graph: GAT(graph, SIZES, heads=2),
}


def block_graph() -> Graph:
    drawn = stochastic_block_model((8, 9, 7), 0.5, 0.1, stream(3, "blocks"))
    return with_class_features(drawn, 5, 0.5, stream(3, "features"))


def made(name: str, graph: Graph) -> nn.Module:
    with seeded(stream(0, name)):
        model = MODELS[name](graph)
        for parameter in model.parameters():  # biases start at 0, which would hide mistakes
            nn.init.normal_(parameter)
    return model


def test_gcn_agrees_with_torch_geometric():
    graph = block_graph()
    weighted = replace(graph, edge_weight=torch.rand(graph.num_edges, generator=stream(1)) + 0.5)
    source, target = weighted.edge_index
    lower = source > target  # the same weight in both directions
    order = torch.argsort(target[lower] * graph.num_nodes + source[lower])
    weighted.edge_weight[lower] = weighted.edge_weight[~lower][torch.argsort(order)]
    for each in (graph, weighted):
        model = made("gcn", each).eval()
        h = each.x
        for number, layer in enumerate(model.layers):
            peer = GCNConv(*layer.linear.weight.shape)
            peer.lin.weight.data = layer.linear.weight.data.T
            peer.bias.data = layer.bias.data
            h = peer(h if number == 0 else h.relu(), each.edge_index, each.edge_weight)
        torch.testing.assert_close(model(each.x), h, rtol=1e-4, atol=1e-5)


def test_gat_agrees_with_torch_geometric():
    graph = block_graph()
    model = made("gat", graph).eval()
    h = graph.x
    for number, layer in enumerate(model.layers):
        heads, outputs = layer.a_source.shape
        peer = GATConv(layer.linear.weight.shape[0], outputs, heads).eval()
        weights = {"att_src": layer.a_source[None], "att_dst": layer.a_target[None]}
        peer.load_state_dict({**weights, "bias": layer.bias, "lin.weight": layer.linear.weight.T})
        h = peer(h if number == 0 else nn.functional.elu(h), graph.edge_index)
    torch.testing.assert_close(model(graph.x), h, rtol=1e-4, atol=1e-5)


def test_gat_starts_like_torch_geometric():
    with seeded(stream(3)):
        own, later = GATLayer(5, 4, 3, 0.0), torch.rand(4)
    with seeded(stream(3)):
        FeatureLinear(5, 12, bias=False)
        peer = GATConv(5, 4, 3)
        assert torch.equal(torch.rand(4), later)
    assert torch.equal(own.a_source, peer.att_src[0])
    assert torch.equal(own.a_target, peer.att_dst[0])


def test_a_mlp_sees_no_edges_and_is_the_formula():
    graph = block_graph()
    model = made("mlp", graph).eval()
    first, second = model.layers
    hidden = torch.clamp(graph.x @ first.weight + first.bias, min=0)
    torch.testing.assert_close(model(graph.x), hidden @ second.weight + second.bias)


def test_narrow_features_are_propagated_first_with_the_same_result():
    graph = block_graph()
    x = graph.x[:, :2]
    with seeded(stream(0)):
        model = GCN(graph, (2, 6, 3), 0.0)
    first, second = model.layers
    S = model.operator.matrix.to_dense()
    hidden = (S @ x @ first.linear.weight).relu()
    torch.testing.assert_close(model(x), S @ hidden @ second.linear.weight)


@pytest.mark.parametrize("name", MODELS)
def test_renumbering_the_nodes_renumbers_the_logits(name):
    graph = block_graph()
    order = torch.randperm(graph.num_nodes, generator=stream(9))
    moved = graph.subgraph(order)
    one, other = made(name, graph).eval(), made(name, moved).eval()
    torch.testing.assert_close(other(moved.x), one(graph.x)[order], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_sparse_features_give_the_same_logits_and_gradients(name):
    graph = block_graph()
    x = graph.x * (torch.rand(graph.x.shape, generator=stream(2)) < 0.3)
    model = made(name, graph).eval()
    gradients = []
    for features in (x, SparseFeatures(x)):
        logits = model(features)
        gradients.append(torch.autograd.grad(logits.square().sum(), list(model.parameters())))
        torch.testing.assert_close(logits, model(x), rtol=1e-4, atol=1e-5)
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_dropout_acts_in_training_only_and_the_generator_fixes_it(name):
    graph = block_graph()
    model = made(name, graph)
    drawn = []
    for seed in (1, 1, 2):
        with seeded(stream(seed)):
            drawn.append(model(graph.x))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    model.eval()
    assert torch.equal(model(graph.x), model(graph.x))


def test_input_dropout_can_differ():
    model = MLP(SIZES, 0.7, input_dropout=0.0)
    assert [drop.p for drop in model.drops] == [0.0, 0.7]


def test_models_of_one_graph_may_share_the_operator():
    graph = block_graph()
    operator = gcn_operator(graph)
    models = [GCN(operator, SIZES), GCN(operator, SIZES)]
    assert models[0].operator is models[1].operator
    assert not any("operator" in name for name in models[0].state_dict())


def test_a_node_without_edges_keeps_its_own_features():
    graph = Graph.from_edges(torch.tensor([[0], [1]]), 3)
    x = torch.randn(3, 4, generator=stream(0))
    torch.testing.assert_close(gcn_operator(graph)(x)[2], x[2])
    with seeded(stream(1)):
        model = GAT(graph, (4, 2, 2), heads=1).eval()
    assert torch.isfinite(model(x)).all()


def test_clear_errors():
    with pytest.raises(ValueError, match="at least two sizes"):
        MLP((4,))
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        Dropout(1.0)
