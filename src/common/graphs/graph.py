"""Graphs as the book's chapters pass them around: one typed structure, sparse matrices.

A `Graph` holds what torch-geometric's `Data` holds, with the promises that most methods
need: the edges of an undirected graph stand in both directions, sorted, without loops
and without repeats.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from src.common.checks import boolean_mask

if TYPE_CHECKING:
    import networkx

MASKS = ("train", "val", "test")


@dataclass(frozen=True)
class Graph:
    """A graph with optional weights, features, labels and split.

    Make it with `Graph.from_edges`, which keeps the promises below.

    Attributes:
        edge_index: (2, edges) sources and targets, sorted by source, then by target; no
            loops, no repeats; an undirected graph has every edge in both directions.
        num_nodes: nodes are 0 ... num_nodes - 1; some may have no edges.
        edge_weight: (edges,) positive weights, or None for all 1.
        x: (nodes, features), or None.
        y: (nodes,) classes, or (nodes, labels) of booleans for several labels per node,
            or None.
        train: (nodes,) booleans, the training part of a split, or None.
        val: (nodes,) booleans, its validation part, or None.
        test: (nodes,) booleans, its test part, or None.
        names: (nodes,) names of the nodes where they have some, or None.

    Examples:
        >>> path = Graph.from_edges(torch.tensor([[0, 1], [1, 2]]), num_nodes=3)
        >>> path.edge_index
        tensor([[0, 1, 1, 2],
                [1, 0, 2, 1]])
        >>> path.degree
        tensor([1., 2., 1.])
    """

    edge_index: Int[Tensor, "2 edges"]
    num_nodes: int
    edge_weight: Float[Tensor, " edges"] | None = None
    x: Tensor | None = None
    y: Tensor | None = None
    train: Tensor | None = None
    val: Tensor | None = None
    test: Tensor | None = None
    names: tuple | None = None

    def __post_init__(self) -> None:
        """Reject parts that do not belong to these nodes.

        Raises:
            ValueError: for weights, features, classes, masks or names in another number
                than the edges or nodes, and masks that are not boolean.
        """
        _check_edges(self.edge_index, self.edge_weight, self.num_nodes)
        _check_rows("x", self.x, self.num_nodes)
        if self.y is None or tuple(self.y.shape) != (1,):  # the class of a whole graph
            _check_rows("y", self.y, self.num_nodes)
        if self.names is not None and len(self.names) != self.num_nodes:
            raise ValueError(f"{len(self.names)} names for {self.num_nodes} nodes")
        for name in MASKS:
            if (mask := getattr(self, name)) is not None:
                boolean_mask(name, mask, (self.num_nodes,))

    @classmethod
    def from_edges(
        cls,
        edges: Int[Tensor, "2 pairs"],
        num_nodes: int,
        edge_weight: Float[Tensor, " pairs"] | None = None,
        *,
        directed: bool = False,
        x: Tensor | None = None,
        y: Tensor | None = None,
    ) -> "Graph":
        """Return the graph of these pairs; loops are dropped, repeats merged.

        Args:
            edges: (2, pairs) in any order, in one direction or both.
            num_nodes: at least one more than the largest node.
            edge_weight: positive; of the repeats of an edge the largest weight is kept.
            directed: keep directions apart instead of adding the opposite ones.
            x: features of the nodes.
            y: classes or labels of the nodes.

        Raises:
            ValueError: for edges of another form, a node outside 0 ... num_nodes - 1,
                or a weight that is not positive and finite.
        """
        _check_edges(edges, edge_weight, num_nodes)
        if edges.numel() and not 0 <= int(edges.min()) <= int(edges.max()) < num_nodes:
            raise ValueError(
                f"edges name nodes outside 0 ... {num_nodes - 1}: raise num_nodes, or "
                "number the nodes from 0"
            )
        if edge_weight is not None and not _positive(edge_weight):
            raise ValueError("edge weights must be positive and finite")
        source, target = edges.long()
        keep = source != target
        source, target = source[keep], target[keep]
        weight = None if edge_weight is None else edge_weight[keep]
        if not directed:
            source, target = torch.cat([source, target]), torch.cat([target, source])
            weight = None if weight is None else torch.cat([weight, weight])
        keys, place = torch.unique(source * num_nodes + target, return_inverse=True)
        if weight is not None:
            weight = weight.new_zeros(len(keys)).scatter_reduce_(
                0, place, weight, "amax"
            )
        index = torch.stack([keys // max(num_nodes, 1), keys % max(num_nodes, 1)])
        return cls(index, num_nodes, weight, x, y)

    @classmethod
    def from_networkx(
        cls, graph: "networkx.Graph", weight: str | None = None
    ) -> "Graph":
        """Return a networkx graph; its nodes are numbered in its own order.

        Their names are kept unless they are those numbers.

        Args:
            graph: directed or not; parallel edges are merged.
            weight: the edge attribute that holds the weights; None ignores weights.

        Raises:
            ValueError: for a weight that is not positive.
        """
        number = {node: i for i, node in enumerate(graph)}
        pairs = [(number[a], number[b]) for a, b in graph.edges()]
        edges = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T
        weights = None
        if weight is not None:
            values = [
                float(value) for _, _, value in graph.edges(data=weight, default=1.0)
            ]
            weights = torch.tensor(values, dtype=torch.float)
        made = cls.from_edges(edges, len(number), weights, directed=graph.is_directed())
        numbered = all(node == i for node, i in number.items())
        return made if numbered else made.with_parts(names=tuple(number))

    def to_networkx(self) -> "networkx.Graph":
        """Return the networkx graph, weights in the attribute `weight`.

        It is a DiGraph if an edge lacks its opposite; nodes have their names.
        """
        import networkx

        names = range(self.num_nodes) if self.names is None else self.names
        graph = networkx.Graph() if self.is_undirected else networkx.DiGraph()
        graph.add_nodes_from(names)
        ends = ([names[v] for v in side] for side in self.edge_index.tolist())
        graph.add_weighted_edges_from(zip(*ends, self.weights.tolist(), strict=True))
        return graph

    @property
    def num_edges(self) -> int:
        """The number of stored directions: twice the edges of an undirected graph."""
        return self.edge_index.shape[1]

    @cached_property
    def is_undirected(self) -> bool:
        """Whether every edge has its opposite, of the same weight."""
        source, target = self.edge_index
        forward = source * self.num_nodes + target
        backward = target * self.num_nodes + source
        order = backward.argsort()
        if not torch.equal(forward.sort().values, backward[order]):
            return False
        weights = self.weights
        return torch.equal(weights[forward.argsort()], weights[order])

    def both_ways(self) -> "Graph":
        """Return the undirected graph: every edge gets its opposite."""
        made = Graph.from_edges(self.edge_index, self.num_nodes, self.edge_weight)
        parts = {name: getattr(self, name) for name in ("x", "y", "names", *MASKS)}
        return replace(made, **parts)

    def with_parts(self, **parts: Tensor | tuple | None) -> "Graph":
        """Return the graph with other features, classes, masks or names.

        Args:
            parts: any of x, y, train, val, test and names; None leaves one as it is.

        Raises:
            ValueError: for another number of rows than nodes, or masks of another form.
        """
        given = {name: part for name, part in parts.items() if part is not None}
        if "names" in given:
            given["names"] = tuple(given["names"])
        return replace(self, **given)

    @property
    def weights(self) -> Float[Tensor, " edges"]:
        """The edge weights, 1 where the graph has none."""
        return (
            torch.ones(self.num_edges) if self.edge_weight is None else self.edge_weight
        )

    @cached_property
    def indptr(self) -> Int[Tensor, " nodes_and_one"]:
        """Where a node's edges begin: v has indptr[v] up to indptr[v + 1]."""
        counts = torch.bincount(self.edge_index[0], minlength=self.num_nodes)
        return torch.cat([counts.new_zeros(1), counts.cumsum(0)])

    @cached_property
    def degree(self) -> Float[Tensor, " nodes"]:
        """The sum of the weights of each node's edges."""
        zeros = self.weights.new_zeros(self.num_nodes)
        return zeros.index_add_(0, self.edge_index[0], self.weights)

    def subgraph(self, nodes: Int[Tensor, " kept"]) -> "Graph":
        """Return the graph that these nodes induce, renumbered in the given order.

        Args:
            nodes: different nodes, in the order that they will have; or booleans, one
                per node.

        Raises:
            ValueError: for a node that does not exist or comes twice, or a mask of
                another length.
        """
        nodes = self._chosen(torch.as_tensor(nodes))
        number = torch.full((self.num_nodes,), -1)
        number[nodes] = torch.arange(len(nodes))
        renamed = number[self.edge_index]
        keep = (renamed >= 0).all(dim=0)
        weight = None if self.edge_weight is None else self.edge_weight[keep]
        parts = {name: getattr(self, name) for name in ("x", "y", *MASKS)}
        kept = {
            name: None if part is None else part[nodes] for name, part in parts.items()
        }
        if self.names is not None:
            kept["names"] = tuple(self.names[v] for v in nodes.tolist())
        made = Graph.from_edges(renamed[:, keep], len(nodes), weight, directed=True)
        return replace(made, **kept)

    def _chosen(self, nodes: Tensor) -> Int[Tensor, " kept"]:
        """Return different nodes as numbers."""
        if nodes.dtype == torch.bool:
            boolean_mask("nodes", nodes, (self.num_nodes,))
            return torch.nonzero(nodes).ravel()
        inside = (nodes >= 0) & (nodes < self.num_nodes)
        if nodes.dim() != 1 or nodes.is_floating_point() or not bool(inside.all()):
            raise ValueError(
                f"nodes must be whole numbers 0 ... {self.num_nodes - 1} in one row, "
                "or booleans, one per node"
            )
        if len(nodes.unique()) < len(nodes):
            raise ValueError("nodes come twice: give each once, as by nodes.unique()")
        return nodes

    def with_edges(self, keep: Tensor) -> "Graph":
        """Return the graph with only the stored edges for which `keep` is true.

        Args:
            keep: (edges,) booleans; for an undirected graph the same in both
                directions.
        """
        weight = None if self.edge_weight is None else self.edge_weight[keep]
        return replace(self, edge_index=self.edge_index[:, keep], edge_weight=weight)


def _check_edges(edges: Tensor, weight: Tensor | None, nodes: int) -> None:
    """Refuse edges and weights of another form."""
    if not isinstance(edges, Tensor):
        raise ValueError(
            f"edges must be a tensor (2, edges), not {type(edges).__name__}: use "
            "torch.as_tensor(pairs).T for a list of pairs"
        )
    if edges.dim() != 2 or len(edges) != 2:
        raise ValueError(
            f"edges must be (2, edges), sources over targets, not {tuple(edges.shape)}"
            ": transpose a list of pairs with .T"
        )
    if edges.is_floating_point() or edges.dtype == torch.bool:
        raise ValueError(f"edges must be whole numbers, not {edges.dtype}: use .long()")
    if nodes < 0:
        raise ValueError(f"num_nodes must be at least 0, not {nodes}")
    if weight is None:
        return
    if not isinstance(weight, Tensor) or not weight.is_floating_point():
        raise ValueError(
            "edge_weight must be a tensor of floating numbers: use "
            "torch.as_tensor(weights).float()"
        )
    if weight.shape != edges.shape[1:]:
        raise ValueError(
            f"edge_weight must have one number per edge, {edges.shape[1]}, not "
            f"{tuple(weight.shape)}"
        )


def _check_rows(name: str, part: Tensor | None, nodes: int) -> None:
    """Refuse what is no tensor with a row per node."""
    if part is None:
        return
    if not isinstance(part, Tensor):
        raise ValueError(
            f"{name} must be a tensor, not {type(part).__name__}: use torch.as_tensor"
        )
    if not part.dim() or len(part) != nodes:
        raise ValueError(
            f"{name} must have one row per node, {nodes}, not {tuple(part.shape)}"
        )


def _positive(weights: Tensor) -> bool:
    return bool(((weights > 0) & weights.isfinite()).all())


def expect_undirected(graph: Graph, *, edges: bool = False) -> None:
    """Refuse a directed graph, for methods that know no directions.

    Args:
        graph: to look at.
        edges: whether it must also have at least one edge.

    Raises:
        ValueError: for a directed graph, or one without edges.
    """
    if not graph.is_undirected:
        raise ValueError(
            "this method needs an undirected graph: graph.both_ways() adds the "
            "opposite edges"
        )
    if edges and not graph.num_edges:
        raise ValueError("a graph without edges gives this method nothing to learn")


def sparse_matrix(
    edge_index: Int[Tensor, "2 entries"],
    values: Float[Tensor, " entries"],
    rows: int,
    columns: int,
) -> Tensor:
    """Return the sparse CSR matrix with these entries; repeats are added up.

    On a processor CSR is several times as fast as torch's COO format. `matrix @ dense`
    has a gradient for the dense factor.

    Args:
        edge_index: row and column of each entry.
        values: of the entries.
        rows: height of the matrix.
        columns: width of the matrix.

    Raises:
        RuntimeError: for an entry outside the matrix.
    """
    keys = edge_index[0] * columns + edge_index[1]
    if not values.requires_grad and bool((keys[1:] > keys[:-1]).all()):
        # In order and without repeats, as a graph's edges are: there is nothing to
        # sort, which is most of the cost.
        starts = torch.bincount(edge_index[0], minlength=rows).cumsum(0)
        starts = torch.cat([starts.new_zeros(1), starts])
        parts = (starts, edge_index[1], values, (rows, columns))
        return _csr(lambda: torch.sparse_csr_tensor(*parts, check_invariants=True))
    matrix = torch.sparse_coo_tensor(
        edge_index, values, (rows, columns), check_invariants=True
    )
    return _csr(lambda: matrix.coalesce().to_sparse_csr())


def _csr(make: Callable[[], Tensor]) -> Tensor:
    with warnings.catch_warnings():  # torch calls CSR a beta, once per process
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
        return make()


def adjacency(graph: Graph, dtype: torch.dtype = torch.float) -> Tensor:
    """Return the adjacency matrix A as sparse CSR.

    Args:
        graph: A[u, v] is the weight of its edge from u to v, 0 without one.
        dtype: of the entries.
    """
    nodes = graph.num_nodes
    return sparse_matrix(graph.edge_index, graph.weights.to(dtype), nodes, nodes)


def transition_matrix(graph: Graph, dtype: torch.dtype = torch.float) -> Tensor:
    """Return D^-1 A, the steps of the random walk, as sparse CSR.

    A step's probability is in proportion to the edge's weight; nodes without edges have
    zero rows.

    Args:
        graph: directed or not; D holds the degrees of the sources.
        dtype: of the entries.
    """
    nodes, source, weights = (
        graph.num_nodes,
        graph.edge_index[0],
        graph.weights.to(dtype),
    )
    degree = weights.new_zeros(nodes).index_add_(0, source, weights)
    return sparse_matrix(graph.edge_index, weights / degree[source], nodes, nodes)


def normalised_adjacency(
    graph: Graph, *, self_loops: bool = False, dtype: torch.dtype = torch.float
) -> Tensor:
    """Return D^-1/2 A D^-1/2 as sparse CSR; nodes without edges have zero rows.

    Args:
        graph: undirected.
        self_loops: add the identity to A first (Kipf and Welling's renormalisation).
        dtype: of the entries.

    Examples:
        >>> pair = Graph.from_edges(torch.tensor([[0], [1]]), num_nodes=2)
        >>> normalised_adjacency(pair, self_loops=True).to_dense()
        tensor([[0.5000, 0.5000],
                [0.5000, 0.5000]])
    """
    expect_undirected(graph)
    nodes, index, weights = graph.num_nodes, graph.edge_index, graph.weights.to(dtype)
    if self_loops:
        loops = torch.arange(nodes).expand(2, nodes)
        index = torch.cat([index, loops], dim=1)
        weights = torch.cat([weights, weights.new_ones(nodes)])
    degree = weights.new_zeros(nodes).index_add_(0, index[0], weights)
    scale = torch.where(degree > 0, degree, 1.0).rsqrt()
    return sparse_matrix(
        index, scale[index[0]] * weights * scale[index[1]], nodes, nodes
    )


def normalised_laplacian(graph: Graph, dtype: torch.dtype = torch.float) -> Tensor:
    """Return I - D^-1/2 A D^-1/2 as sparse CSR; its eigenvalues lie in [0, 2].

    A node without edges keeps the 1 on the diagonal, as in torch-geometric.

    Args:
        graph: undirected.
        dtype: of the entries.
    """
    expect_undirected(graph)
    nodes, index = graph.num_nodes, graph.edge_index
    weights = graph.weights.to(dtype)
    degree = weights.new_zeros(nodes).index_add_(0, index[0], weights)
    scale = torch.where(degree > 0, degree, 1.0).rsqrt()
    values = -scale[index[0]] * weights * scale[index[1]]
    loops = torch.arange(nodes).expand(2, nodes)
    index = torch.cat([index, loops], dim=1)
    return sparse_matrix(
        index, torch.cat([values, values.new_ones(nodes)]), nodes, nodes
    )
