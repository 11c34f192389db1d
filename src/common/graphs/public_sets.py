"""Public graphs by name: citations, proteins, words, airports, friends, molecules.

Every file comes through the book's data registry, which verifies it; what a graph holds
is checked against the published counts. Repeated links between two nodes are merged,
loops are dropped.
"""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.io
import torch
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix
from torch import Tensor

from src.book.storage.data import fetch
from src.common.graphs.exchange import read_edge_list
from src.common.graphs.graph import Graph


@dataclass(frozen=True)
class _Single:
    """One graph: its data set, the reader of its folder, and what it must hold."""

    dataset: str
    read: Callable[[Path], Graph]
    nodes: int
    links: int
    features: int = 0
    labels: int = 0


@dataclass(frozen=True)
class _Many:
    """A list of graphs: its name in the TU collection, and what it must hold."""

    archive: str
    graphs: int
    classes: int
    nodes: int
    links: int
    features: int


def load_graph(name: str) -> Graph:
    """Return a public graph, undirected and without loops.

    | name | nodes, links | what a node has |
    |---|---|---|
    | cora | 2,708, 5,278 | 1,433 words as 0 or 1; one of 7 classes; public split |
    | citeseer | 3,327, 4,552 | 3,703 words as 0 or 1; one of 6 classes; public split |
    | pubmed | 19,717, 44,324 | 500 TF-IDF weights; one of 3 classes; public split |
    | proteins | 3,890, 37,845 | some of 50 labels |
    | wikipedia words | 4,777, 92,295 weighted | some of 40 labels |
    | blogcatalog | 10,312, 333,983 | some of 39 labels |
    | usa airports | 1,190, 13,599 | one of 4 classes |
    | europe airports | 399, 5,993 | one of 4 classes |
    | brazil airports | 131, 1,003 | one of 4 classes |
    | email-eu-core | 1,005, 16,064 | one of 42 classes |
    | facebook | 4,039, 88,234 | nothing |
    | ca-grqc | 5,242, 14,484 | nothing |
    | ca-astroph | 18,772, 198,050 | nothing |

    The nodes are in the order of the file. Features are as published, dense, not
    normalised. Several labels are booleans (nodes, labels), classes are numbers. 15
    nodes of CiteSeer have no features and no known class: they carry the class 0, as in
    most experiments, and are in no part of the split. 30 proteins, 48 papers of
    CiteSeer and some people of three more graphs have no links.

    Args:
        name: one of the table's first column.

    Raises:
        ValueError: for another name, or files that do not hold these counts.
        BookError: if the files cannot be downloaded.
    """
    if name not in _SINGLE:
        raise ValueError(f"unknown graph {name!r}; valid: {', '.join(_SINGLE)}")
    source = _SINGLE[name]
    graph = source.read(fetch(source.dataset))
    features = 0 if graph.x is None else graph.x.shape[1]
    found = (graph.num_nodes, graph.num_edges // 2, features, _number_of_labels(graph))
    _check(name, found, (source.nodes, source.links, source.features, source.labels))
    return graph


def load_graphs(name: str) -> list[Graph]:
    """Return the graphs of a set for graph classification, in the order of its files.

    "mutag" (188 graphs), "ptc-mr" (344), "proteins-tu" (1,113), "nci1" (4,110),
    "enzymes" (600), "mutagenicity" (4,337), "imdb-binary" (1,000). A graph's `y` holds
    its class, (1,), counted from 0 in the order of the file's labels. A node's features
    are its kind as a one-hot vector; without kinds ("imdb-binary") its degree, (nodes,
    1). Attributes and kinds of edges are left out.

    Args:
        name: one of those above.

    Raises:
        ValueError: for another name, or files that do not hold the published counts.
        BookError: if the files cannot be downloaded.
    """
    if name not in _MANY:
        raise ValueError(f"unknown list of graphs {name!r}; valid: {', '.join(_MANY)}")
    source = _MANY[name]
    graphs = read_tu(fetch(f"tu-{source.archive}") / f"{source.archive}.zip")
    classes = len({int(graph.y) for graph in graphs})
    nodes = sum(graph.num_nodes for graph in graphs)
    links = sum(graph.num_edges for graph in graphs) // 2
    found = (len(graphs), classes, nodes, links, graphs[0].x.shape[1])
    wanted = (
        source.graphs,
        source.classes,
        source.nodes,
        source.links,
        source.features,
    )
    _check(name, found, wanted)
    return graphs


def read_planetoid(file: Path) -> Graph:
    """Return a citation graph with its public split.

    The split is that of Yang, Cohen and Salakhutdinov (ICML 2016).

    Args:
        file: `.npz` with the graph, its features, classes and three lists of nodes.
    """
    with np.load(file, allow_pickle=False) as raw:
        nodes = int(raw["num_nodes"])
        parts = (raw["x_data"].astype(np.float32), raw["x_indices"], raw["x_indptr"])
        x = torch.from_numpy(
            csr_matrix(parts, shape=(nodes, int(raw["num_features"]))).toarray()
        )
        y = torch.from_numpy(raw["y"])
        graph = Graph.from_edges(torch.from_numpy(raw["edge_index"]), nodes, x=x, y=y)
        masks = {}
        for part in ("train", "val", "test"):
            masks[part] = torch.zeros(nodes, dtype=torch.bool)
            masks[part][torch.from_numpy(raw[f"{part}_idx"])] = True
    return replace(graph, **masks)


def read_mat(file: Path, *, weighted: bool = False) -> Graph:
    """Return the network of a MATLAB file, with several labels per node.

    Args:
        file: with the matrices `network` (nodes, nodes) and `group` (nodes, labels).
        weighted: keep the values of `network` as edge weights.

    Raises:
        ValueError: if a weight is not positive.
    """
    raw = scipy.io.loadmat(file, variable_names=["network", "group"])
    network, labels = raw["network"].tocoo(), raw["group"].toarray() > 0
    edges = torch.from_numpy(np.stack([network.row, network.col])).long()
    weight = torch.from_numpy(network.data).float() if weighted else None
    return Graph.from_edges(edges, network.shape[0], weight, y=torch.from_numpy(labels))


def read_tu(file: Path) -> list[Graph]:
    """Return the graphs in a zip archive of the TU text format, as in `load_graphs`.

    Args:
        file: named like the set inside it, for instance `MUTAG.zip`.

    Raises:
        ValueError: if an edge joins two graphs, or the nodes are not listed graph by
            graph.
    """
    with zipfile.ZipFile(
        file
    ) as archive:  # read in place: no member is written to disk
        member = {entry.rsplit("/", 1)[-1]: entry for entry in archive.namelist()}

        def read(part: str) -> Tensor:
            text = archive.read(member[f"{file.stem}_{part}.txt"])
            return torch.from_numpy(
                np.loadtxt(io.BytesIO(text), np.int64, delimiter=",")
            )

        edges, owner = read("A").T - 1, read("graph_indicator") - 1
        classes = torch.unique(read("graph_labels"), return_inverse=True)[1]
        kinds = (
            read("node_labels") if f"{file.stem}_node_labels.txt" in member else None
        )
    graph_of_edge = owner[edges[0]]
    if bool((owner.diff() < 0).any()) or not torch.equal(
        graph_of_edge, owner[edges[1]]
    ):
        raise ValueError(f"{file.name} does not list its graphs one after another")
    sizes = torch.bincount(owner, minlength=len(classes))
    order = graph_of_edge.argsort(stable=True)
    counts = torch.bincount(graph_of_edge, minlength=len(classes))
    pieces = edges[:, order].split(counts.tolist(), dim=1)
    features = (
        _one_hot(kinds).split(sizes.tolist())
        if kinds is not None
        else [None] * len(sizes)
    )
    graphs, first = [], 0
    for number, (piece, x) in enumerate(zip(pieces, features, strict=True)):
        graph = Graph.from_edges(
            piece - first, int(sizes[number]), y=classes[number : number + 1]
        )
        graphs.append(replace(graph, x=graph.degree.unsqueeze(1) if x is None else x))
        first += int(sizes[number])
    return graphs


def _one_hot(kinds: Int[Tensor, " nodes"]) -> Float[Tensor, "nodes kinds"]:
    """Return one column for each kind that occurs."""
    return torch.nn.functional.one_hot(
        torch.unique(kinds, return_inverse=True)[1]
    ).float()


def _number_of_labels(graph: Graph) -> int:
    if graph.y is None:
        return 0
    return int(graph.y.max()) + 1 if graph.y.dim() == 1 else graph.y.shape[1]


def _check(name: str, found: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if found != wanted:
        raise ValueError(
            f"the files of {name} hold the counts {found}, not {wanted} as published"
        )


def _planetoid(name: str) -> Callable[[Path], Graph]:
    return lambda folder: read_planetoid(folder / f"{name}.npz")


def _edge_list(name: str) -> Callable[[Path], Graph]:
    return lambda folder: read_edge_list(folder / f"{name}.txt")


def _airports(country: str) -> Callable[[Path], Graph]:
    lines, labels = f"{country}-airports.edgelist", f"labels-{country}-airports.txt"
    return lambda folder: read_edge_list(folder / lines, folder / labels, header=1)


def _emails(folder: Path) -> Graph:
    labels = folder / "email-Eu-core-department-labels.txt"
    return read_edge_list(folder / "email-Eu-core.txt", labels)


def _words(folder: Path) -> Graph:
    return read_mat(folder / "POS.mat", weighted=True)


_SINGLE: dict[str, _Single] = {
    "cora": _Single("planetoid-cora", _planetoid("cora"), 2_708, 5_278, 1_433, 7),
    "citeseer": _Single(
        "planetoid-citeseer", _planetoid("citeseer"), 3_327, 4_552, 3_703, 6
    ),
    "pubmed": _Single("planetoid-pubmed", _planetoid("pubmed"), 19_717, 44_324, 500, 3),
    "proteins": _Single(
        "ppi-homo-sapiens",
        lambda f: read_mat(f / "Homo_sapiens.mat"),
        3_890,
        37_845,
        labels=50,
    ),
    "wikipedia words": _Single("wikipedia-pos", _words, 4_777, 92_295, labels=40),
    "blogcatalog": _Single(
        "blogcatalog",
        lambda f: read_mat(f / "blogcatalog.mat"),
        10_312,
        333_983,
        labels=39,
    ),
    "usa airports": _Single("usa-airports", _airports("usa"), 1_190, 13_599, labels=4),
    "europe airports": _Single(
        "europe-airports", _airports("europe"), 399, 5_993, labels=4
    ),
    "brazil airports": _Single(
        "brazil-airports", _airports("brazil"), 131, 1_003, labels=4
    ),
    "email-eu-core": _Single("email-Eu-core", _emails, 1_005, 16_064, labels=42),
    "facebook": _Single("ego-facebook", _edge_list("facebook_combined"), 4_039, 88_234),
    "ca-grqc": _Single("ca-GrQc", _edge_list("ca-GrQc"), 5_242, 14_484),
    "ca-astroph": _Single("ca-AstroPh", _edge_list("ca-AstroPh"), 18_772, 198_050),
}

_MANY: dict[str, _Many] = {
    "mutag": _Many("MUTAG", 188, 2, 3_371, 3_721, 7),
    "ptc-mr": _Many("PTC_MR", 344, 2, 4_915, 5_054, 18),
    "proteins-tu": _Many("PROTEINS", 1_113, 2, 43_471, 81_044, 3),
    "nci1": _Many("NCI1", 4_110, 2, 122_747, 132_753, 37),
    "enzymes": _Many("ENZYMES", 600, 6, 19_580, 37_282, 3),
    "mutagenicity": _Many("Mutagenicity", 4_337, 2, 131_488, 133_447, 14),
    "imdb-binary": _Many("IMDB-BINARY", 1_000, 2, 19_773, 96_531, 1),
}
