"""Many small graphs as one: a collection whose batches are block-diagonal graphs.

A batch of graphs is one graph without edges between its parts. The sparse operators of
a whole collection are computed once; a batch takes its rows out of them, without a loop
over graphs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from src.common.graphs.graph import Graph, normalised_adjacency, sparse_matrix
from src.common.graphs.sparse_products import SparseProduct

GCN_OPERATOR = "gcn"


@dataclass(frozen=True)
class GraphBatch:
    """Several graphs as one, with consecutive node numbers.

    Attributes:
        x: (nodes, features).
        starts: (graphs + 1,) graph g has the nodes starts[g] up to starts[g + 1].
        graph_number: (nodes,) the graph of each node.
        y: (graphs,) classes.
        operators: block-diagonal symmetric matrices by name; "gcn" is Kipf and
            Welling's.
        pool: the product with the (graphs, nodes) matrix of ones: sums over each
            graph's nodes.
    """

    x: Float[Tensor, "nodes features"]
    starts: Int[Tensor, " graphs_and_one"]
    graph_number: Int[Tensor, " nodes"]
    y: Int[Tensor, " graphs"]
    operators: dict[str, SparseProduct]
    pool: SparseProduct

    @property
    def num_graphs(self) -> int:
        """The number of graphs."""
        return len(self.y)

    @property
    def sizes(self) -> Int[Tensor, " graphs"]:
        """The number of nodes of each graph."""
        return self.starts.diff()


class GraphCollection:
    """Graphs with classes, ready for batches.

    Examples:
        >>> pair = Graph.from_edges(torch.tensor([[0], [1]]), 2, x=torch.ones(2, 1))
        >>> graphs = GraphCollection([pair, pair, pair], y=torch.tensor([0, 1, 0]))
        >>> batch = graphs.batch(torch.tensor([2, 1]))
        >>> batch.starts, batch.y
        (tensor([0, 2, 4]), tensor([0, 1]))
    """

    def __init__(
        self,
        graphs: Sequence[Graph],
        y: Int[Tensor, " graphs"],
        operators: Mapping[str, Callable[[Graph], Tensor]] | None = None,
    ) -> None:
        """Join the graphs and compute their operators.

        Args:
            graphs: undirected, with features of one width; at least one node each.
            y: class of each graph.
            operators: further operators by name: functions from the disjoint union of
                the graphs to a symmetric sparse CSR matrix without entries between
                them, for instance `{"laplacian": normalised_laplacian}`. "gcn" is
                always there.

        Raises:
            ValueError: for graphs without nodes or features, labels that do not match,
                or an operator that is not symmetric or joins graphs.
        """
        if not graphs or len(graphs) != len(y):
            raise ValueError(
                f"need one class for each of {len(graphs)} graphs, not {len(y)}"
            )
        if any(graph.x is None or graph.num_nodes < 1 for graph in graphs):
            raise ValueError("every graph needs nodes and features")
        self.y = y
        self.sizes = torch.tensor([graph.num_nodes for graph in graphs])
        self.starts = torch.cat([self.sizes.new_zeros(1), self.sizes.cumsum(0)])
        union = disjoint_union(graphs)
        self.x = union.x
        made = {GCN_OPERATOR: normalised_adjacency(union, self_loops=True)}
        made.update({name: make(union) for name, make in (operators or {}).items()})
        owner = torch.repeat_interleave(torch.arange(len(graphs)), self.sizes)
        for name, matrix in made.items():
            _check_operator(name, matrix, owner)
        self.operators = made

    def __len__(self) -> int:
        """Return the number of graphs."""
        return len(self.y)

    def batch(self, chosen: Int[Tensor, " graphs"]) -> GraphBatch:
        """Return these graphs as a batch, in the given order.

        Args:
            chosen: numbers of the graphs, at least one.
        """
        first, sizes = self.starts[chosen], self.sizes[chosen]
        starts = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
        nodes = _ranges(first, sizes)
        numbers = torch.repeat_interleave(torch.arange(len(chosen)), sizes)
        last, shift = first + sizes, first - starts[:-1]
        operators = {}
        for name, matrix in self.operators.items():
            rows, columns, values = (
                matrix.crow_indices(),
                matrix.col_indices(),
                matrix.values(),
            )
            begin = rows[first]
            counts = rows[last] - begin
            entries = _ranges(begin, counts)
            moved = columns[entries] - torch.repeat_interleave(shift, counts)
            filled = torch.cat(
                [rows.new_zeros(1), (rows[nodes + 1] - rows[nodes]).cumsum(0)]
            )
            block = _csr(filled, moved, values[entries], len(nodes))
            operators[name] = SparseProduct(block, symmetric=True)
        ones = torch.ones(len(nodes), dtype=self.x.dtype)
        pool = SparseProduct(_csr(starts, torch.arange(len(nodes)), ones, len(nodes)))
        return GraphBatch(
            self.x[nodes], starts, numbers, self.y[chosen], operators, pool
        )


def disjoint_union(graphs: Sequence[Graph]) -> Graph:
    """Return all graphs as one, with shifted node numbers.

    Features are joined where all graphs have them; weights where any graph has them,
    with 1 for the others. Classes and splits are left out.

    Args:
        graphs: at least one.
    """
    edges, total = [], 0
    for graph in graphs:
        edges.append(graph.edge_index + total)
        total += graph.num_nodes
    weighted = any(graph.edge_weight is not None for graph in graphs)
    weights = torch.cat([graph.weights for graph in graphs]) if weighted else None
    featured = all(graph.x is not None for graph in graphs)
    x = torch.cat([graph.x for graph in graphs]) if featured else None
    return Graph(torch.cat(edges, dim=1), total, weights, x=x)


def _ranges(
    starts: Int[Tensor, " n"], lengths: Int[Tensor, " n"]
) -> Int[Tensor, " total"]:
    """Return start, start + 1, ..., start + length - 1 for every start, as one."""
    before = lengths.cumsum(0) - lengths
    total = int(lengths.sum())
    return torch.repeat_interleave(starts - before, lengths) + torch.arange(total)


def _csr(rows: Tensor, columns: Tensor, values: Tensor, width: int) -> Tensor:
    """Return the CSR matrix of a structure that is known to be valid."""
    shape = (len(rows) - 1, width)
    return torch.sparse_csr_tensor(rows, columns, values, shape, check_invariants=False)


def _check_operator(name: str, matrix: Tensor, owner: Int[Tensor, " nodes"]) -> None:
    """Reject an operator that is not symmetric sparse CSR, or joins different graphs.

    Raises:
        ValueError: for such an operator.
    """
    nodes = len(owner)
    if matrix.layout != torch.sparse_csr or tuple(matrix.shape) != (nodes, nodes):
        raise ValueError(
            f"operator {name} must be a ({nodes}, {nodes}) sparse CSR matrix"
        )
    rows = torch.repeat_interleave(torch.arange(nodes), matrix.crow_indices().diff())
    columns, values = matrix.col_indices(), matrix.values()
    if not torch.equal(owner[rows], owner[columns]):
        raise ValueError(f"operator {name} has entries between different graphs")
    places = torch.cat(
        [torch.stack([rows, columns]), torch.stack([columns, rows])], dim=1
    )
    difference = (
        sparse_matrix(places, torch.cat([values, -values]), nodes, nodes).values().abs()
    )
    if len(values) and float(difference.max()) > 1e-5 * float(values.abs().max()):
        raise ValueError(f"operator {name} is not symmetric")
