import zipfile
from collections import Counter
from functools import cache

import numpy as np
import pytest
import scipy.io
import torch
from scipy.sparse import csc_matrix
from torch_geometric.io import read_tu_data

from src.book.storage.data import registry
from src.common.graphs import public_sets
from src.common.graphs.exchange import read_edge_list
from src.common.graphs.public_sets import (
    load_graph,
    load_graphs,
    read_mat,
    read_planetoid,
    read_tu,
)


@pytest.fixture
def mirror(data_mirror, tmp_path, monkeypatch):
    monkeypatch.setenv("BOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BOOK_DATA_MIRROR", str(data_mirror))
    return data_mirror


loaded = cache(load_graph)  # several tests look at one graph


def adjacency(graph):
    weight, edges = graph.weights.numpy(), graph.edge_index.numpy()
    return csc_matrix((weight, tuple(edges)), shape=(graph.num_nodes, graph.num_nodes))


# Readers, on files written here


def test_planetoid_arrays_are_read(tmp_path):
    x = np.array([[0, 1, 0], [0, 0, 0], [2, 0, 1], [0, 0, 3]])
    sparse = scipy.sparse.csr_matrix(x)
    np.savez(
        tmp_path / "a.npz",
        edge_index=np.array([[0, 1, 2, 2], [1, 0, 3, 2]]),
        num_nodes=4,
        num_features=3,
        x_data=sparse.data.astype(np.uint8),
        x_indices=sparse.indices.astype(np.uint16),
        x_indptr=sparse.indptr,
        y=np.array([1, 0, 1, 2]),
        train_idx=np.array([3]),
        val_idx=np.array([0, 2]),
        test_idx=np.array([1]),
    )
    graph = read_planetoid(tmp_path / "a.npz")
    assert graph.edge_index.tolist() == [[0, 1, 2, 3], [1, 0, 3, 2]]
    assert graph.x.tolist() == x.tolist() and graph.x.dtype == torch.float
    assert graph.y.tolist() == [1, 0, 1, 2]
    masks = torch.stack([graph.train, graph.val, graph.test])
    assert masks.int().tolist() == [[0, 0, 0, 1], [1, 0, 1, 0], [0, 1, 0, 0]]


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", num_nodes=np.array([{"code": 1}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        read_planetoid(tmp_path / "a.npz")


@pytest.mark.parametrize("weighted", [False, True])
def test_matlab_networks_are_read(tmp_path, weighted):
    network = np.array([[0, 2.5, 0], [2.5, 1, 4], [0, 4, 0]])
    group = np.array([[1.0, 0], [1, 1], [0, 0]])
    file = tmp_path / "a.mat"
    scipy.io.savemat(file, {"network": csc_matrix(network), "group": csc_matrix(group)})
    graph = read_mat(file, weighted=weighted)
    expected = network - np.diag(np.diag(network))
    expected = expected if weighted else np.sign(expected)
    assert np.array_equal(adjacency(graph).toarray(), expected)
    assert (graph.edge_weight is not None) == weighted
    assert graph.y.tolist() == [[True, False], [True, True], [False, False]]


def test_edge_lists_are_numbered_by_name(tmp_path):
    (tmp_path / "a.txt").write_text("# names\n70 20\n20 70\n20\t20\n100 70\n")
    graph = read_edge_list(tmp_path / "a.txt")
    assert graph.num_nodes == 3 and graph.y is None
    assert graph.edge_index.tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]]


def test_labels_follow_the_names_and_may_name_nodes_without_links(tmp_path):
    (tmp_path / "a.txt").write_text("70 20\n100 70\n")
    (tmp_path / "labels.txt").write_text("node label\n100 9\n20 5\n50 7\n70 5\n")
    graph = read_edge_list(tmp_path / "a.txt", tmp_path / "labels.txt", header=1)
    assert graph.y.tolist() == [0, 1, 0, 2]  # of 20, 50, 70, 100
    assert graph.edge_index.tolist() == [[0, 2, 2, 3], [2, 0, 3, 2]]
    (tmp_path / "labels.txt").write_text("node label\n100 9\n70 5\n")
    with pytest.raises(ValueError, match=r"labels\.txt lacks the classes of nodes in a\.txt"):
        read_edge_list(tmp_path / "a.txt", tmp_path / "labels.txt", header=1)


def write_tu(folder, slash="/", **parts):
    file = folder / "TOY.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for part, text in parts.items():
            archive.writestr(f"TOY{slash}TOY_{part}.txt", text)
    return file


# Graph 1 has the nodes 1 to 3, graph 2 the nodes 4 and 5; the edges are mixed.
TOY = {
    "A": "4, 5\n1, 2\n5, 4\n2, 1\n3, 2\n2, 3\n",
    "graph_indicator": "1\n1\n1\n2\n2\n",
    "graph_labels": "1\n-1\n",
}


def test_tu_archives_are_read(tmp_path):
    kinds = "7\n7\n0\n3\n7\n"
    first, second = read_tu(write_tu(tmp_path, slash="//", **TOY, node_labels=kinds))
    assert (first.num_nodes, second.num_nodes) == (3, 2)
    assert first.edge_index.tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]]
    assert second.edge_index.tolist() == [[0, 1], [1, 0]]
    assert (first.y.tolist(), second.y.tolist()) == ([1], [0])  # -1 and 1 become 0 and 1
    assert first.x.tolist() == [[0, 0, 1], [0, 0, 1], [1, 0, 0]]
    assert second.x.tolist() == [[0, 1, 0], [0, 0, 1]]


def test_without_kinds_the_degree_is_the_feature(tmp_path):
    twice = {**TOY, "A": TOY["A"] * 2}  # IMDB lists its edges twice in each direction
    first, second = read_tu(write_tu(tmp_path, **twice))
    assert first.x.tolist() == [[1], [2], [1]] and second.x.tolist() == [[1], [1]]


def test_graphs_without_edges_stay(tmp_path):
    parts = {"A": "1, 2\n2, 1\n", "graph_indicator": "1\n1\n2\n3\n", "graph_labels": "5\n6\n5\n"}
    graphs = read_tu(write_tu(tmp_path, **parts))
    assert [g.num_nodes for g in graphs] == [2, 1, 1]
    assert [g.num_edges for g in graphs] == [2, 0, 0]


@pytest.mark.parametrize("wrong", [{"A": "3, 4\n4, 3\n"}, {"graph_indicator": "1\n2\n1\n2\n2\n"}])
def test_mixed_up_tu_archives_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match=r"TOY\.zip does not list its graphs one after another"):
        read_tu(write_tu(tmp_path, **{**TOY, **wrong}))


# Names, registry, counts


def test_unknown_names_are_refused_with_the_valid_ones():
    with pytest.raises(ValueError, match="unknown graph 'Cora'; valid: cora, citeseer"):
        load_graph("Cora")
    with pytest.raises(ValueError, match="unknown list of graphs 'proteins'; valid: mutag"):
        load_graphs("proteins")


def test_every_name_is_registered_and_documented():
    registered = registry()
    for name, source in public_sets._SINGLE.items():
        assert source.dataset in registered
        words = name.removesuffix(" airports")
        assert words in load_graph.__doc__ and f"{source.links:,}" in load_graph.__doc__
        assert f"{source.nodes:,}" in load_graph.__doc__
    for name, source in public_sets._MANY.items():
        assert f"{source.archive}.zip" in registered[f"tu-{source.archive}"].files
        assert f'"{name}" ({source.graphs:,}' in load_graphs.__doc__


def test_files_with_other_counts_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(public_sets, "fetch", lambda name: tmp_path)
    (tmp_path / "facebook_combined.txt").write_text("0 1\n")
    expected = r"facebook hold the counts \(2, 1, 0, 0\), not \(4039, 88234, 0, 0\)"
    with pytest.raises(ValueError, match=expected):
        load_graph("facebook")
    path = "".join(f"{k} {k + 1}\n" for k in range(4_038))  # the right nodes, but too few links
    (tmp_path / "facebook_combined.txt").write_text(path)
    with pytest.raises(ValueError, match=r"counts \(4039, 4038, 0, 0\)"):
        load_graph("facebook")
    with zipfile.ZipFile(tmp_path / "MUTAG.zip", "w") as archive:
        for part, text in TOY.items():
            archive.writestr(f"MUTAG/MUTAG_{part}.txt", text)
    with pytest.raises(ValueError, match=r"mutag hold the counts \(2, 2, 5, 3, 1\)"):
        load_graphs("mutag")


# The real files, against numbers that others publish


@pytest.mark.parametrize("name", list(public_sets._SINGLE))
def test_every_graph_loads_and_keeps_the_promises_of_its_type(mirror, name):
    graph = loaded(name)
    matrix = adjacency(graph)
    assert abs(matrix - matrix.T).nnz == 0 and not matrix.diagonal().any()
    assert matrix.nnz == graph.num_edges  # no repeats
    assert (graph.edge_weight is not None) == (name == "wikipedia words")
    assert graph.y is None or len(graph.y) == graph.num_nodes
    assert (graph.train is not None) == (name in ("cora", "citeseer", "pubmed"))


@pytest.mark.parametrize(
    ("name", "classes", "homophily"),
    [
        # Class sizes and edge homophily as in Pei et al. (ICLR 2020) and torch-geometric.
        ("cora", [351, 217, 418, 818, 426, 298, 180], 0.81),
        ("citeseer", [264, 590, 668, 701, 596, 508], 0.74),
        ("pubmed", [4_103, 7_739, 7_875], 0.80),
    ],
)
def test_citation_graphs_have_the_public_split(mirror, name, classes, homophily):
    graph = loaded(name)
    assert torch.bincount(graph.y).tolist() == classes
    source, target = graph.edge_index
    same = (graph.y[source] == graph.y[target]).float().mean()
    assert float(same) == pytest.approx(homophily, abs=0.006)
    assert torch.bincount(graph.y[graph.train]).tolist() == [20] * len(classes)
    assert (int(graph.val.sum()), int(graph.test.sum())) == (500, 1_000)
    assert not (graph.train & graph.val | graph.train & graph.test | graph.val & graph.test).any()
    listed = np.loadtxt(mirror / f"planetoid/ind.{name}.test.index", np.int64)
    assert torch.nonzero(graph.test).ravel().tolist() == sorted(listed.tolist())
    empty = graph.x.sum(dim=1) == 0
    assert int(empty.sum()) == (15 if name == "citeseer" else 0)
    assert not (empty & (graph.train | graph.val | graph.test)).any()
    values = torch.unique(graph.x)
    assert values.tolist() == [0, 1] if name != "pubmed" else len(values) > 1_000


@pytest.mark.parametrize(
    ("name", "triangles", "largest"),
    [  # the numbers on the pages of the SNAP collection
        ("facebook", 1_612_010, 4_039),
        ("ca-grqc", 48_260, 4_158),
        ("ca-astroph", 1_351_441, 17_903),
        ("email-eu-core", 105_461, 986),
    ],
)
def test_triangles_and_the_largest_component_are_those_of_snap(mirror, name, triangles, largest):
    matrix = adjacency(loaded(name)).astype(np.int64)
    assert (matrix @ matrix).multiply(matrix).sum() == 6 * triangles
    _, part = scipy.sparse.csgraph.connected_components(matrix)
    assert max(Counter(part.tolist()).values()) == largest


def test_departments_and_airports_keep_their_labels(mirror):
    emails = loaded("email-eu-core")
    assert emails.y[:5].tolist() == [1, 1, 21, 21, 21]
    # The busiest quarter of the airports flies to the most others.
    for name, nodes in (("brazil", 131), ("europe", 399), ("usa", 1_190)):
        graph = loaded(f"{name} airports")
        assert torch.bincount(graph.y).min() >= nodes // 4 - 1
        degree = [float(graph.degree[graph.y == k].mean()) for k in range(4)]
        assert sorted(degree) in (degree, degree[::-1])
    lines = np.loadtxt(mirror / "networks/labels-usa-airports.txt", np.int64, skiprows=1)
    usa = [label for _, label in sorted(lines.tolist())]
    assert loaded("usa airports").y.tolist() == usa


@pytest.mark.parametrize(
    ("name", "memberships", "loops"),
    [("proteins", 6_640, 894), ("wikipedia words", 6_770, 222), ("blogcatalog", 14_476, 0)],
)
def test_networks_with_several_labels(mirror, name, memberships, loops):
    graph = loaded(name)
    assert graph.y.dtype == torch.bool and int(graph.y.sum()) == memberships
    assert bool(graph.y.any(dim=1).all()) and bool(graph.y.any(dim=0).all())
    file = {"proteins": "Homo_sapiens", "wikipedia words": "POS"}.get(name, name)
    raw = scipy.io.loadmat(mirror / f"networks/{file}.mat")["network"]
    diagonal = raw.diagonal()
    assert (diagonal != 0).sum() == loops
    rows = np.asarray(raw.sum(axis=1)).ravel() - diagonal
    assert np.allclose(graph.degree.numpy(), rows, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("mutag", [63, 125]),
        ("ptc-mr", [192, 152]),
        ("proteins-tu", [663, 450]),
        ("nci1", [2_053, 2_057]),
        ("enzymes", [100] * 6),
        ("mutagenicity", [2_401, 1_936]),
        ("imdb-binary", [500, 500]),
    ],
)
def test_graph_lists_load_with_the_published_classes(mirror, name, classes):
    graphs = load_graphs(name)
    assert all(graph.y.shape == (1,) and graph.x.shape[0] == graph.num_nodes for graph in graphs)
    assert torch.bincount(torch.cat([graph.y for graph in graphs])).tolist() == classes
    if name == "imdb-binary":
        assert all(torch.equal(graph.x[:, 0], graph.degree) for graph in graphs)
    else:
        assert all(bool((graph.x.sum(dim=1) == 1).all()) for graph in graphs)


@pytest.mark.parametrize(("name", "archive"), [("mutag", "MUTAG"), ("enzymes", "ENZYMES")])
def test_graph_lists_are_those_of_torch_geometric(mirror, tmp_path, name, archive):
    with zipfile.ZipFile(mirror / f"tu/{archive}.zip") as packed:
        for entry in packed.namelist():
            (tmp_path / entry.rsplit("/", 1)[-1]).write_bytes(packed.read(entry))
    data, slices, sizes = read_tu_data(str(tmp_path), archive)
    kinds = data.x[:, sizes["num_node_attributes"] :]
    for number, graph in enumerate(load_graphs(name)):
        nodes = slice(int(slices["x"][number]), int(slices["x"][number + 1]))
        edges = slice(int(slices["edge_index"][number]), int(slices["edge_index"][number + 1]))
        theirs = data.edge_index[:, edges]
        theirs = theirs - (nodes.start if theirs.numel() and theirs.max() >= graph.num_nodes else 0)
        assert torch.equal(graph.x, kinds[nodes])
        assert int(graph.y) == int(data.y[number])
        assert set(map(tuple, theirs.T.tolist())) == set(map(tuple, graph.edge_index.T.tolist()))
