"""Walks, LINE, FastRP, HOPE, NetMF, MUSAE and the classifier against the released programs.

Three numbers document where ours departs from a program: on a directed graph node2vec's program
asks for an edge from x back to t, the paper for one from t to x; the AE of MUSAE's program leaves
out the pairs that begin in the last steps of a walk; and DeepWalk's program fits its classifier to
vectors as they are, ours to standardised columns.
"""

import torch

from src.common.graphs.embedding_evaluation import classify_on
from src.common.graphs.graph import Graph
from src.network_embedding.random_walks.factorisation.fastrp import (
    FastRPSettings,
    combine,
    projected_powers,
)
from src.network_embedding.random_walks.factorisation.hope import hope, katz
from src.network_embedding.random_walks.factorisation.pointwise_factorisation import (
    ppmi,
    walk_cooccurrence,
)
from src.network_embedding.random_walks.hierarchical_softmax import huffman_turns
from src.network_embedding.random_walks.line import AliasTable, apply_block
from src.network_embedding.random_walks.musae import AttributeLists, attribute_pairs
from src.network_embedding.random_walks.walks import ENDED, second_order_walks, uniform_walks
from tests.fidelity.stored import agree, comparisons, difference

WALKS = 300_000  # of one step, and a sixth as many of forty


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def graph_of(edges, nodes, directed=False):
    ends = torch.tensor([edge[:2] for edge in edges], dtype=torch.long).T
    weight = double([edge[2] for edge in edges])
    return Graph.from_edges(ends, nodes, weight, directed=directed)


def shares(nodes, *places):
    """How often the last of several nodes follows the others."""
    counts = torch.zeros((nodes,) * len(places), dtype=torch.float64)
    counts.index_put_(places, torch.ones((), dtype=torch.float64), accumulate=True)
    return counts / counts.sum(-1, keepdim=True)


def node2vec(edges, nodes, directed, p, q, states):
    """Shares of drawn steps: the chances themselves are nowhere computed."""
    graph, generator = graph_of(edges, nodes, directed), torch.Generator().manual_seed(0)
    starts = torch.arange(nodes).repeat(WALKS // nodes)
    short = second_order_walks(graph, starts, 1, p, q, generator)
    long = second_order_walks(graph, starts[::6], 40, p, q, generator)
    t, v, x = (long[:, k : k + 39].flatten() for k in range(3))
    before, at = torch.tensor(states).T
    return {"first": shares(nodes, *short.T), "second": shares(nodes, t, v, x)[before, at]}


def walks_that_end(edges, nodes, steps, starts):
    graph, starts = graph_of(edges, nodes, directed=True), torch.tensor(starts)
    walks = uniform_walks(graph, starts, steps, torch.Generator())
    inside = walks != ENDED
    return {"walks": walks[inside], "lengths": inside.sum(1)}


def alias_table(weights):
    table = AliasTable.of(double(weights))
    chances = table.keep.clone().index_add_(0, table.other, 1 - table.keep)
    return {"chances": chances / len(weights)}


def huffman(frequency):
    return {"lengths": huffman_turns(torch.tensor(frequency)).abs().sum(1)}


def line_edge(order, source, ends, rate, vectors, contexts=None):
    vectors = double(vectors)
    contexts = vectors if order == 1 else double(contexts)
    apply_block(vectors, contexts, torch.tensor([source]), torch.tensor([ends]), rate)
    return {"vectors": vectors} if order == 1 else {"vectors": vectors, "contexts": contexts}


def fastrp(edges, nodes, projection, weights, beta, normalise_rows):
    powers = projected_powers(graph_of(edges, nodes), double(projection), len(weights), beta)
    settings = FastRPSettings(
        len(projection[0]), tuple(weights), beta, normalise_rows, standardise=True
    )
    return {"last_power": powers[-1], "vectors": combine(powers, settings)}


def katz_and_hope(edges, nodes, directed, decay, dimension):
    graph = graph_of(edges, nodes, directed)
    matrix, (source, target) = katz(graph, decay), hope(graph, dimension, decay)
    lengths = source.norm(dim=0)
    assert torch.allclose(lengths, target.norm(dim=0))
    product = source @ target.T
    return {
        "row_sums": matrix.sum(1),
        "katz": matrix,
        "rank_two": product,
        "lengths": lengths,
    }


def netmf(edges, nodes, window):
    return {"matrix": ppmi(walk_cooccurrence(graph_of(edges, nodes), window))}


def pairs_at(walks, table, distance):
    lists = AttributeLists(torch.tensor(table))
    return attribute_pairs(torch.tensor(walks), lists, distance, None, torch.Generator())


def musae_pairs(walks, table, distance):
    pairs = pairs_at(walks, table, distance)
    both = zip(pairs.nodes.tolist(), pairs.attributes.tolist(), strict=True)
    return {"pairs": sorted(both)}


def ae_pairs(walks, table, distances):
    each = [pairs_at(walks, table, distance) for distance in range(1, distances + 1)]
    return {"pooled": sum(len(pairs.nodes) for pairs in each)}


def classifier(vectors, labels, train):
    vectors, labels = double(vectors), torch.tensor(labels).bool()
    scores = classify_on(vectors[:train], labels[:train], vectors[train:], labels[train:])
    return {"ours": [scores.micro, scores.macro]}


METHODS = {
    "node2vec": node2vec,
    "node2vec, directed": node2vec,
    "walks that end": walks_that_end,
    "alias table": alias_table,
    "Huffman tree": huffman,
    "LINE edge": line_edge,
    "FastRP": fastrp,
    "Katz and HOPE": katz_and_hope,
    "NetMF": netmf,
    "MUSAE pairs": musae_pairs,
    "AE pairs": ae_pairs,
    "classifier": classifier,
}
OURS = {"node2vec, directed": "second", "AE pairs": "pooled", "classifier": "ours"}


@comparisons("network_embedding", METHODS)
def test_the_released_programs_give_the_same(method, stored):
    agree(method, stored, "released")
    outputs = stored["outputs"]
    if "released" in outputs:
        ours = outputs[OURS[stored["what"].split(":")[0]]]
        assert difference(ours, outputs["released"]) > 0.05, "ours is said to be different"
