"""Entry points of `src.common.graphs` and of the framelets."""

import networkx as nx
import torch
from torch import Tensor
from torch_geometric.data import Data

from src.common.graphs.embedding_evaluation import classify, classify_on, f1_scores
from src.common.graphs.exchange import from_data, to_data
from src.common.graphs.generators import stochastic_block_model
from src.common.graphs.graph import Graph, normalised_adjacency, normalised_laplacian
from src.common.graphs.link_prediction import hide_links, link_auc
from src.common.graphs.node_classification import split_nodes
from src.common.graphs.perturbations import noisy_features, rewire
from src.common.graphs.splits import split_at_random, split_per_class
from src.gnn.framelets.convolution import universal_threshold
from src.gnn.framelets.transform import FrameletTransform
from tests.unusual.inputs import Entry, finite, same, usual


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def club() -> Graph:
    """The karate club with its two sides as classes."""
    raw = nx.karate_club_graph()
    y = torch.tensor([int(raw.nodes[v]["club"] == "Officer") for v in raw])
    return Graph.from_networkx(raw).with_parts(y=y)


def _vectors() -> Tensor:
    return torch.randn(34, 4, generator=seeded()) + 2 * club().y[:, None]


def from_edges(edges: Tensor, num_nodes: int, edge_weight: Tensor) -> Graph:
    return Graph.from_edges(edges, num_nodes, edge_weight)


def subgraph(nodes: Tensor) -> Graph:
    return club().subgraph(nodes)


def exchanged(edge_index: Tensor, train_mask: Tensor) -> dict[str, Tensor]:
    data = Data(edge_index=edge_index, train_mask=train_mask, num_nodes=4)
    back = to_data(from_data(data))
    return {name: back[name] for name in ("edge_index", "train_mask")}


def parts(train: Tensor, val: Tensor, test: Tensor) -> list[Tensor]:
    return list(split_nodes(club().with_parts(train=train, val=val, test=test)))


def _mask(first: int, last: int) -> Tensor:
    mask = torch.zeros(34, dtype=torch.bool)
    mask[first:last] = True
    return mask


def micro(vectors: Tensor, y: Tensor, share: float) -> float:
    return classify(vectors, y, share, seeded()).micro


def block_model(sizes: tuple[int, ...], inside: float, between: float) -> Tensor:
    return stochastic_block_model(sizes, inside, between, seeded()).edge_index


def shares(count: int, shares: tuple[float, ...]) -> list[Tensor]:
    return list(vars(split_at_random(count, shares, seeded())).values())


def adjacency_of(graph: Graph) -> Tensor:
    return normalised_adjacency(graph).to_dense()


def laplacian_of(graph: Graph) -> Tensor:
    return normalised_laplacian(graph).to_dense()


def area(graph: Graph, vectors: Tensor, share: float) -> float:
    return link_auc(vectors, hide_links(graph, share, seeded()))


def rewired(graph: Graph, share: float) -> Tensor:
    return rewire(graph, share, seeded()).edge_index


def noisy(x: Tensor, std: float) -> Tensor:
    return noisy_features(x, std, seeded())


def is_matrix(x: object) -> bool:
    return isinstance(x, Tensor) and x.dim() == 2


def framelets(laplacian: Tensor, x: Tensor, levels: int, dilation: float, largest: float) -> Tensor:
    """What synthesis makes of the analysis: the signal itself."""
    sparse = laplacian.to_sparse_csr() if is_matrix(laplacian) else laplacian
    bank = FrameletTransform(sparse, "haar", levels, dilation, 8, largest)
    return bank.synthesis(bank.analysis(x))


def _framelets() -> dict[str, object]:
    laplacian = laplacian_of(club()).double()
    x = torch.randn(34, 2, generator=seeded(), dtype=torch.double)
    return {"laplacian": laplacian, "x": x, "levels": 2, "dilation": 2.0, "largest": 2.0}


def _pairs() -> dict[str, object]:
    return {
        "edges": torch.tensor([[0, 1, 2], [1, 2, 3]]),
        "num_nodes": 4,
        "edge_weight": torch.tensor([1.0, 2.0, 3.0]),
    }


def _data() -> dict[str, object]:
    return {
        "edge_index": torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]),
        "train_mask": torch.tensor([True, False, True, False]),
    }


def same_split(result: Graph, expected: Graph) -> bool:
    return all(same(getattr(result, m), getattr(expected, m)) for m in ("train", "val", "test"))


def _has_largest_eigenvalue_one(result: Tensor, expected: Tensor) -> bool:
    return abs(float(torch.linalg.eigvalsh(result).max()) - 1) < 1e-5


def _as_noisy(result: Tensor, expected: Tensor) -> bool:
    away = (result.double() - _vectors()).std()
    return result.shape == expected.shape and 0.4 < float(away) < 0.6


TABLES = torch.tensor([[True, False], [False, True], [True, False]])
ENTRIES = [
    Entry(
        from_edges,
        _pairs,
    ),
    Entry(
        subgraph,
        lambda: {"nodes": torch.tensor([3, 1, 2])},
        accepts={
            "nodes: empty": lambda r, e: r.num_nodes == 0,
            "nodes: one row": lambda r, e: r.num_nodes == 1 and r.num_edges == 0,
            "nodes: one row less": lambda r, e: same(r, club().subgraph(torch.tensor([3, 1]))),
        },
    ),
    Entry(
        exchanged,
        _data,
        accepts={"train_mask: nothing marked": lambda r, e: not bool(r["train_mask"].any())},
    ),
    Entry(
        parts,
        lambda: {"train": _mask(0, 10), "val": _mask(10, 20), "test": _mask(20, 34)},
    ),
    Entry(
        micro,
        lambda: {"vectors": _vectors(), "y": club().y, "share": 0.5},
        accepts={"y: too large": finite},  # a class of its own
    ),
    Entry(
        classify_on,
        lambda: {
            "train_vectors": _vectors()[:20],
            "train_y": club().y[:20],
            "test_vectors": _vectors()[20:],
            "test_y": club().y[20:],
        },
        # A class that only one node has is a class like others, whatever its number.
        accepts={"train_y: too large": finite, "test_y: too large": finite},
    ),
    Entry(
        f1_scores,
        lambda: {"predicted": TABLES, "truth": TABLES.flip(1)},
        accepts={"predicted: nothing marked": lambda r, e: (r.micro, r.macro) == (0, 0)},
    ),
    Entry(
        block_model,
        lambda: {"sizes": (10, 10), "inside": 0.5, "between": 0.1},
        accepts={
            "sizes: one less": lambda r, e: int(r.max()) < 10,
            "inside: 0": lambda r, e: bool(((r[0] < 10) != (r[1] < 10)).all()),
            "between: 0": lambda r, e: bool(((r[0] < 10) == (r[1] < 10)).all()),
        },
    ),
    Entry(
        split_per_class,
        lambda: {"graph": club(), "per_class": 3, "val": 4, "generator": seeded()},
        # A split looks at the classes, not at the edges.
        accepts={f"graph: {case}": same_split for case in ("no edges", "directed", "weighted")},
    ),
    Entry(shares, lambda: {"count": 10, "shares": (0.6, 0.2, 0.2)}),
    Entry(
        adjacency_of,
        lambda: {"graph": club()},
        accepts={
            "graph: no nodes": lambda r, e: r.shape == (0, 0),
            "graph: no edges": lambda r, e: r.shape == (34, 34) and not bool(r.any()),
            "graph: weighted": _has_largest_eigenvalue_one,
            "graph: without y": usual,
        },
    ),
    Entry(
        laplacian_of,
        lambda: {"graph": club()},
        accepts={
            "graph: no nodes": lambda r, e: r.shape == (0, 0),
            "graph: no edges": lambda r, e: torch.equal(r, torch.eye(34)),
            "graph: weighted": lambda r, e: _has_largest_eigenvalue_one(torch.eye(34) - r, e),
            "graph: without y": usual,
        },
    ),
    Entry(
        area,
        lambda: {"graph": club(), "vectors": _vectors(), "share": 0.3},
        accepts={"graph: weighted": usual, "graph: without y": usual},
    ),
    Entry(
        rewired,
        lambda: {"graph": club(), "share": 0.3},
        accepts={
            "graph: no nodes": lambda r, e: r.shape == (2, 0),
            "graph: no edges": lambda r, e: r.shape == (2, 0),
            "graph: without y": usual,
            "graph: weighted": lambda r, e: r.shape == e.shape,
            "share: 0": lambda r, e: same(r, club().edge_index),
        },
    ),
    Entry(
        noisy,
        lambda: {"x": _vectors(), "std": 0.5},
        accepts={
            "std: 0": lambda r, e: same(r, _vectors()),
            # Other numbers of draws, or draws of another type, are other noise.
            **{f"x: {case}": lambda r, e: len(r) < 34 for case in ("one row", "one row less")},
            **{f"x: {t}": _as_noisy for t in ("float16", "bfloat16", "double")},
        },
    ),
    Entry(framelets, _framelets),
    Entry(
        universal_threshold,
        lambda: {"num_nodes": 10, "sigma": 1.0},
        accepts={"sigma: 0": lambda r, e: r == 0},
    ),
]
