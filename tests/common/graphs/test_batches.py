from dataclasses import replace

import pytest
import torch
from torch_geometric.data import Batch, Data

from src.common.graphs.batches import GraphCollection, disjoint_union
from src.common.graphs.generators import stochastic_block_model
from src.common.graphs.graph import (
    Graph,
    normalised_adjacency,
    normalised_laplacian,
    sparse_matrix,
    transition_matrix,
)
from src.common.graphs.networks import gcn_operator
from src.common.graphs.readouts import AttentionReadout, make_readout
from src.common.training.loop import seeded
from src.common.training.streams import stream


def small_graphs(count: int = 6) -> list[Graph]:
    graphs = []
    for number in range(count):
        generator = stream(number, "small")
        drawn = stochastic_block_model((2 + number, 3), 0.6, 0.3, generator)
        graphs.append(replace(drawn, x=torch.randn(5 + number, 4, generator=generator), y=None))
    single = Graph.from_edges(torch.zeros(2, 0, dtype=torch.long), 1, x=torch.ones(1, 4))
    return [*graphs, single]


def collection() -> GraphCollection:
    return GraphCollection(small_graphs(), torch.arange(7) % 3, {"laplacian": normalised_laplacian})


def test_union_is_that_of_torch_geometric():
    graphs = small_graphs()
    peer = Batch.from_data_list(
        [Data(x=g.x, edge_index=g.edge_index, num_nodes=g.num_nodes) for g in graphs]
    )
    union = disjoint_union(graphs)
    assert torch.equal(union.edge_index, peer.edge_index)
    assert torch.equal(union.x, peer.x)
    assert union.num_nodes == peer.num_nodes
    weighted = replace(graphs[0], edge_weight=torch.full((graphs[0].num_edges,), 2.0))
    weights = disjoint_union([weighted, graphs[1]]).edge_weight
    assert weights.tolist() == [2.0] * graphs[0].num_edges + [1.0] * graphs[1].num_edges


@pytest.mark.parametrize("chosen", [[4, 0, 6, 2], [6], [3, 3], [0, 1, 2, 3, 4, 5, 6]])
def test_a_batch_holds_the_operators_of_its_graphs_as_blocks(chosen):
    graphs = small_graphs()
    batch = collection().batch(torch.tensor(chosen))
    parts = [graphs[number] for number in chosen]
    own = torch.block_diag(*[gcn_operator(graph).matrix.to_dense() for graph in parts])
    torch.testing.assert_close(batch.operators["gcn"].matrix.to_dense(), own)
    own = torch.block_diag(*[normalised_laplacian(graph).to_dense() for graph in parts])
    torch.testing.assert_close(batch.operators["laplacian"].matrix.to_dense(), own)
    assert torch.equal(batch.x, torch.cat([graph.x for graph in parts]))
    assert batch.y.tolist() == [number % 3 for number in chosen]
    assert batch.sizes.tolist() == [graph.num_nodes for graph in parts]
    numbers = [i for i, graph in enumerate(parts) for _ in range(graph.num_nodes)]
    assert batch.graph_number.tolist() == numbers
    assert batch.num_graphs == len(chosen)
    h = torch.randn(len(batch.x), 3, generator=stream(1))
    torch.testing.assert_close(batch.operators["gcn"](h), batch.operators["gcn"].matrix @ h)


@pytest.mark.parametrize("name", ["sum", "mean", "max"])
def test_readouts_and_gradients_are_those_of_torch_geometric(name):
    from torch_geometric.nn import global_add_pool, global_max_pool, global_mean_pool

    peer = {"sum": global_add_pool, "mean": global_mean_pool, "max": global_max_pool}[name]
    batch = collection().batch(torch.tensor([5, 6, 1]))
    h = torch.randn(len(batch.x), 3, generator=stream(1), requires_grad=True)
    pull = torch.randn(3, 3, generator=stream(2))
    read, expected = make_readout(name, 3)(h, batch), peer(h, batch.graph_number)
    torch.testing.assert_close(read, expected)
    one, other = (torch.autograd.grad((v * pull).sum(), h)[0] for v in (read, expected))
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("scale", [1.0, 200.0])  # the larger scores overflow unless shifted
def test_attention_readout_is_that_of_torch_geometric(scale):
    from torch_geometric.nn.aggr import AttentionalAggregation

    batch = collection().batch(torch.tensor([5, 6, 1]))
    h = scale * torch.randn(len(batch.x), 3, generator=stream(1))
    h.requires_grad_()
    with seeded(stream(3)):
        readout = AttentionReadout(3)
    peer = AttentionalAggregation(readout.score)
    read, expected = readout(h, batch), peer(h, batch.graph_number)
    torch.testing.assert_close(read, expected, rtol=1e-4, atol=1e-4)
    pull = torch.randn(3, 3, generator=stream(2))
    one, other = (torch.autograd.grad((v * pull).sum(), h)[0] for v in (read, expected))
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_clear_errors():
    graphs, y = small_graphs(), torch.zeros(7, dtype=torch.long)
    with pytest.raises(ValueError, match="one class for each"):
        GraphCollection(graphs, y[:3])
    with pytest.raises(ValueError, match="nodes and features"):
        GraphCollection([replace(graphs[0], x=None)], y[:1])
    with pytest.raises(ValueError, match="walk is not symmetric"):
        GraphCollection(graphs, y, {"walk": transition_matrix})
    with pytest.raises(ValueError, match="sparse CSR"):
        GraphCollection(graphs, y, {"dense": lambda graph: normalised_adjacency(graph).to_dense()})

    def joined(graph: Graph) -> torch.Tensor:
        ends = torch.tensor([[0, graph.num_nodes - 1], [graph.num_nodes - 1, 0]])
        return sparse_matrix(ends, torch.ones(2), graph.num_nodes, graph.num_nodes)

    with pytest.raises(ValueError, match="between different graphs"):
        GraphCollection(graphs, y, {"joined": joined})
    with pytest.raises(ValueError, match="no readout 'median'; there are sum"):
        make_readout("median", 3)
