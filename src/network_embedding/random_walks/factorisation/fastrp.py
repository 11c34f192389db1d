"""FastRP: node vectors by a few sparse products with a very sparse random matrix.

Chen, Sultan, Tian, Chen, Skiena (CIKM 2019). Nothing is learned: the powers of the
walk's transition matrix, with hubs tamed, are projected onto random directions and
added up.
"""

from dataclasses import dataclass
from math import inf, isfinite, sqrt

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.linalg import svds
from torch import Tensor
from torch.nn.functional import normalize

from src.common.checks import checked, finite, within
from src.common.graphs.graph import Graph, expect_undirected, transition_matrix
from src.network_embedding.random_walks.precision import FullFloat


@dataclass(frozen=True)
class FastRPSettings:
    """How to project; the constants are those of the authors' notebook for BlogCatalog.

    Attributes:
        dimension: of the vectors.
        weights: of the powers 1, 2, ... of the transition matrix (alpha).
        beta: column j of every power is multiplied by (degree of j / sum of
            degrees)^beta; negative tames the hubs.
        normalise_rows: scale the rows of every power's projection to length 1 before
            adding up.
        standardise: bring the columns of the sum to mean 0 and standard deviation 1.
    """

    dimension: int = 128
    weights: tuple[float, ...] = (0.0, 0.0, 1.0, 6.67)
    beta: float = -0.64
    normalise_rows: bool = True
    standardise: bool = True

    def __post_init__(self) -> None:
        """Reject settings without directions or powers.

        Raises:
            ValueError: for a dimension below 1, weights that are all 0, or numbers that
                are not finite.
        """
        within("dimension", self.dimension, 1)
        numbers = *self.weights, self.beta
        if not any(self.weights) or not all(map(isfinite, numbers)):
            raise ValueError(
                "need finite weights, one of them not 0, and a finite beta: "
                f"{self.weights}, {self.beta}"
            )


FastRPSettings.__init__ = checked(FastRPSettings.__init__)


@checked
def very_sparse_matrix(
    rows: int,
    columns: int,
    generator: torch.Generator,
    sparsity: float | None = None,
    dtype: torch.dtype = torch.float,
) -> Float[Tensor, "rows columns"]:
    """Return R with E[R R^T] = I, most of its entries 0 (Li, Hastie, Church, KDD 2006).

    Entries are +-sqrt(s / columns) with probability 1 / (2 s) each, else 0. The matrix
    is stored dense: the first product with it makes it dense anyway.

    Args:
        rows: number of nodes.
        columns: number of random directions.
        generator: source of the draws.
        sparsity: s, greater than 1; None is sqrt(rows), as in the paper.
        dtype: of the entries.

    Raises:
        ValueError: for a sparsity of at most 1 (None needs at least two rows), or no
            columns.

    Examples:
        >>> generator = torch.Generator().manual_seed(0)
        >>> r = very_sparse_matrix(100, 50, generator, sparsity=2.0)
        >>> r.unique()
        tensor([-0.2000,  0.0000,  0.2000])
    """
    within("rows", rows, 0)
    within("columns", columns, 1)
    s = sqrt(rows) if sparsity is None else sparsity
    if not 1 < s < inf:
        raise ValueError(
            f"sparsity must be greater than 1 and finite, not {s}: by default it is "
            f"the root of the rows, {sqrt(rows):.3g}"
        )
    # Only about one entry in s is not 0, so the gaps between those are drawn: they
    # are geometric numbers.
    cells, chance = rows * columns, 1 / s
    expected = cells * chance
    count = int(expected + 10 * sqrt(expected) + 10)
    gaps = torch.empty(count, dtype=torch.double).geometric_(
        chance, generator=generator
    )
    place = gaps.cumsum(0).long() - 1
    signs = torch.randint(2, (count,), generator=generator).to(dtype) * 2 - 1
    inside = place < cells
    matrix = torch.zeros(cells, dtype=dtype)
    matrix[place[inside]] = signs[inside] * sqrt(s / columns)
    return matrix.view(rows, columns)


def degree_factors(
    graph: Graph, beta: float, dtype: torch.dtype
) -> Float[Tensor, " nodes"]:
    """Return the diagonal of L, (degree / sum of degrees)^beta; 0 without edges.

    Args:
        graph: undirected; weights count.
        beta: the power; negative tames the hubs.
        dtype: of the result.

    Raises:
        ValueError: for a directed graph, or a power that is not finite.
    """
    expect_undirected(graph)
    within("beta", beta, -inf)
    weights = graph.weights.to(dtype)
    degree = weights.new_zeros(graph.num_nodes).index_add_(
        0, graph.edge_index[0], weights
    )
    share = degree / degree.sum()
    return torch.where(share > 0, share, 1.0).pow(beta) * (share > 0)


@checked
def projected_powers(
    graph: Graph, projection: FullFloat[Tensor, "nodes dim"], powers: int, beta: float
) -> list[Float[Tensor, "nodes dim"]]:
    """Return S L R, S^2 L R, ... by repeated products with S = D^-1 A (algorithm 1).

    No power of S is ever formed: each step multiplies a sparse matrix by a thin one.

    Args:
        graph: undirected; weights count.
        projection: (nodes, dim), R.
        powers: how many, at least 1.
        beta: see `FastRPSettings`.

    Raises:
        ValueError: for a directed graph, projections of other nodes, or no powers.
    """
    expect_undirected(graph)
    within("powers", powers, 1)
    finite("projection", projection)
    if len(projection) != graph.num_nodes:
        raise ValueError(f"{len(projection)} projections for {graph.num_nodes} nodes")
    transition = transition_matrix(graph, projection.dtype)
    factors = degree_factors(graph, beta, projection.dtype)
    found = [transition @ (factors[:, None] * projection)]
    for _ in range(powers - 1):
        found.append(transition @ found[-1])
    return found


@checked
def combine(
    powers: list[Float[Tensor, "nodes dim"]], settings: FastRPSettings
) -> Float[Tensor, "nodes dim"]:
    """Return the powers' weighted sum, normalised and standardised as settings say.

    Args:
        powers: (nodes, dim) each, as many as `settings.weights`.
        settings: weights, normalisation, standardisation.

    Raises:
        ValueError: if there are not as many powers as weights.
    """
    if len(powers) != len(settings.weights):
        raise ValueError(f"{len(powers)} powers for {len(settings.weights)} weights")
    kept = [(w, power) for w, power in zip(settings.weights, powers, strict=True) if w]
    total = sum(w * (normalize(p) if settings.normalise_rows else p) for w, p in kept)
    if not settings.standardise:
        return total
    centred = total - total.mean(dim=0)
    spread = centred.std(dim=0, correction=0)
    return centred / torch.where(spread > 0, spread, 1.0)


@checked
def fastrp(
    graph: Graph, settings: FastRPSettings, generator: torch.Generator
) -> Float[Tensor, "nodes dim"]:
    """Return FastRP's vectors.

    Args:
        graph: undirected, of at least two nodes; weights count. All nodes without edges
            get the same vector.
        settings: see `FastRPSettings`.
        generator: source of the random matrix.

    Raises:
        ValueError: for a directed graph, or one of fewer than two nodes.

    Examples:
        >>> import networkx
        >>> club = Graph.from_networkx(networkx.karate_club_graph())
        >>> generator = torch.Generator().manual_seed(0)
        >>> fastrp(club, FastRPSettings(dimension=16), generator).shape
        torch.Size([34, 16])
    """
    projection = very_sparse_matrix(graph.num_nodes, settings.dimension, generator)
    powers = projected_powers(graph, projection, len(settings.weights), settings.beta)
    return combine(powers, settings)


def similarity_matrix(
    graph: Graph, settings: FastRPSettings, dtype: torch.dtype = torch.double
) -> Float[Tensor, "nodes nodes"]:
    """Return the matrix that FastRP projects, in full: for small graphs and for checks.

    With `normalise_rows` the rows of every power are scaled to length 1 before they are
    added up: what FastRP does to their projections, whose lengths are about the same.

    Args:
        graph: small enough for (nodes, nodes) matrices.
        settings: powers, beta and normalisation; the dimension is not used.
        dtype: of the result.
    """
    identity = torch.eye(graph.num_nodes, dtype=dtype)
    powers = projected_powers(graph, identity, len(settings.weights), settings.beta)
    kept = [(w, power) for w, power in zip(settings.weights, powers, strict=True) if w]
    return sum(w * (normalize(p) if settings.normalise_rows else p) for w, p in kept)


@checked
def svd_of_similarity(
    graph: Graph, settings: FastRPSettings, generator: torch.Generator
) -> Float[Tensor, "nodes dim"]:
    """Return the best possible reduction of the same matrix: its truncated SVD.

    The rows of U diag(sigma) keep the inner products of the matrix's rows as well as
    any `dimension` coordinates can; FastRP keeps them on average over its random draws.
    The coordinates are rotated at random: no inner product changes, but all columns
    become alike, as FastRP's are. Otherwise a classifier that standardises columns
    would blow up the directions of the smallest singular values.

    Args:
        graph: small enough for (nodes, nodes) matrices.
        settings: of the matrix; the dimension is that of the result, at most the number
            of nodes.
        generator: source of the rotation.

    Raises:
        ValueError: for a directed graph, or one without edges.
    """
    expect_undirected(graph, edges=True)
    matrix = similarity_matrix(graph, settings)
    width = min(settings.dimension, graph.num_nodes)
    if 4 * width > graph.num_nodes:
        left, values, _ = torch.linalg.svd(matrix)
    else:  # Lanczos's method; its fixed start makes the result the same in every run
        start = np.ones(graph.num_nodes)
        found = svds(
            matrix.numpy(), width, v0=start, rng=0, return_singular_vectors="u"
        )
        left, values = (
            torch.from_numpy(found[0].copy()),
            torch.from_numpy(found[1].copy()),
        )
    kept = (left[:, :width] * values[:width]).to(matrix.dtype)
    turn, _ = torch.linalg.qr(
        torch.randn(width, width, generator=generator, dtype=kept.dtype)
    )
    turned = (kept @ turn).to(torch.float)
    return turned - turned.mean(dim=0) if settings.standardise else turned
