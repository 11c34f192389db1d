"""SDNE and GAE: their losses against the definitions, and whether they learn a known graph."""

import networkx as nx
import pytest
import torch
from torch_geometric.nn import GAE as TheirGAE
from torch_geometric.nn import GCNConv

from src.common.graphs.graph import Graph, adjacency
from src.common.graphs.networks import GCN
from src.common.training.loop import seeded
from src.common.training.streams import stream
from src.network_embedding.random_walks.graph_autoencoders import (
    SDNE,
    GAESettings,
    SDNESettings,
    gae,
    gae_loss,
    sdne,
    sdne_loss,
)

KARATE = Graph.from_networkx(nx.karate_club_graph())
EMPTY = Graph.from_edges(torch.zeros(2, 0, dtype=torch.long), 4)


def edges_above_the_rest(scores):
    """Return how often an edge's score is above that of a pair without edge."""
    rows = adjacency(KARATE).to_dense()
    off = ~torch.eye(34, dtype=torch.bool)
    linked, apart = scores[rows > 0], scores[(rows == 0) & off]
    return float((linked.unsqueeze(1) > apart).float().mean())


def test_the_loss_of_sdne_is_the_sum_of_its_terms():
    settings = SDNESettings(dimension=3, hidden=(5,), edge_weight=4.0, first_order=0.7)
    with seeded(stream(0, "weights")):
        model = SDNE(34, settings)
    rows = adjacency(KARATE).to_dense()
    batch = torch.tensor([3, 0, 7, 2, 33])
    vectors, logits = (part.detach() for part in model(rows[batch]))
    expected = 0.0
    for i, u in enumerate(batch.tolist()):
        for v in range(34):
            b = 4.0 if rows[u, v] > 0 else 1.0
            expected += float((b * (logits[i, v].sigmoid() - rows[u, v])) ** 2)
        for j, v in enumerate(batch.tolist()):
            expected += 0.7 * float(rows[u, v] * (vectors[i] - vectors[j]).square().sum())
    loss = float(sdne_loss(model, rows, batch, settings).detach())
    assert loss == pytest.approx(expected / 5, rel=1e-5)


def test_sdne_learns_the_rows_and_the_seed_decides():
    settings = SDNESettings(dimension=8, hidden=(32,), steps=200, first_order=0.01)
    result = sdne(KARATE, settings, stream(0, "sdne"))
    assert result.vectors.shape == (34, 8)
    assert edges_above_the_rest(result.scores) > 0.95
    assert torch.equal(sdne(KARATE, settings, stream(0, "sdne")).scores, result.scores)
    assert not torch.equal(sdne(KARATE, settings, stream(1, "sdne")).scores, result.scores)


def test_the_first_order_term_draws_linked_nodes_together():
    def spread(weight):
        settings = SDNESettings(dimension=8, hidden=(32,), steps=100, first_order=weight, batch=20)
        vectors = sdne(KARATE, settings, stream(0, "sdne")).vectors
        distances = torch.cdist(vectors, vectors)
        return float(distances[tuple(KARATE.edge_index)].mean() / distances.mean())

    assert spread(1.0) < spread(0.0)


def test_an_edges_error_weighs_more_when_told_so():
    def rebuilt(weight):
        settings = SDNESettings(dimension=2, hidden=(8,), steps=150, edge_weight=weight)
        return float((sdne(KARATE, settings, stream(0, "sdne")).scores > 0).sum())

    assert rebuilt(10.0) > rebuilt(1.0)


def test_the_encoder_of_gae_is_torch_geometrics():
    with seeded(stream(0, "weights")):
        ours = GCN(KARATE, (34, 6, 4), dropout=0.0)
    first, second = GCNConv(34, 6), GCNConv(6, 4)
    with torch.no_grad():
        for layer, theirs in zip(ours.layers, (first, second), strict=True):
            theirs.lin.weight.copy_(layer.linear.weight.T)
            theirs.bias.copy_(layer.bias)
    x, edges = torch.eye(34), KARATE.edge_index
    assert torch.allclose(ours(x), second(first(x, edges).relu(), edges), atol=1e-5)
    decoder = TheirGAE(torch.nn.Identity()).decoder
    vectors = ours(x)
    assert torch.allclose((vectors @ vectors.T).sigmoid(), decoder.forward_all(vectors), atol=1e-6)


def test_the_loss_of_gae_weighs_edges_and_the_rest_equally():
    vectors = torch.randn(10, 3, generator=stream(0, "vectors"))
    target = (torch.rand(10, 10, generator=stream(1, "target")) < 0.2).float()
    logits = vectors @ vectors.T
    on, off = target > 0, target == 0
    means = -logits[on].sigmoid().log().mean(), -(-logits[off]).sigmoid().log().mean()
    assert float(gae_loss(vectors, target)) == pytest.approx(float(sum(means) / 2), rel=1e-5)


def test_gae_learns_the_edges():
    result = gae(KARATE, GAESettings(dimension=8, steps=150), stream(0, "gae"))
    assert edges_above_the_rest(result.scores) > 0.9
    assert torch.equal(
        gae(KARATE, GAESettings(8, steps=150), stream(0, "gae")).scores, result.scores
    )


def test_graphs_without_edges_are_refused():
    with pytest.raises(ValueError, match="without edges"):
        sdne(EMPTY, SDNESettings(), stream(0, "sdne"))
    with pytest.raises(ValueError, match="without edges"):
        gae(EMPTY, GAESettings(), stream(0, "gae"))


def test_a_target_of_edges_alone_or_of_other_numbers_is_refused():
    vectors = torch.randn(4, 2, generator=stream(0, "vectors"))
    for target in (torch.ones(4, 4), torch.zeros(4, 4), torch.full((4, 4), 0.5)):
        with pytest.raises(ValueError, match=r"need both|zeros and ones"):
            gae_loss(vectors, target)
    with pytest.raises(ValueError, match="undirected"):
        gae(Graph.from_edges(torch.tensor([[0], [1]]), 2, directed=True), GAESettings(), stream(0))
