"""Products with a fixed sparse matrix, with a fast gradient.

`matrix @ dense` has a gradient for the dense factor in PyTorch, but every backward pass
transposes the matrix again, which takes fifteen times as long as the product. Here the
transpose is kept.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class SparseProduct(nn.Module):
    """The linear map h -> M h of one sparse CSR matrix M (rows, columns).

    M has no gradient; h has one.

    Examples:
        >>> matrix = torch.tensor([[0.0, 2.0], [1.0, 0.0]]).to_sparse_csr()
        >>> SparseProduct(matrix)(torch.tensor([[1.0], [3.0]]))
        tensor([[6.],
                [1.]])
    """

    def __init__(self, matrix: Tensor, *, symmetric: bool = False) -> None:
        """Keep `matrix` and its transpose.

        Args:
            matrix: sparse CSR, for instance an operator of `src.common.graphs.graph`.
            symmetric: promise that the matrix is its own transpose, which saves the
                copy.

        Raises:
            ValueError: if the matrix is not sparse CSR, or `symmetric` and not square.
        """
        super().__init__()
        if matrix.layout != torch.sparse_csr:
            raise ValueError(
                f"need a sparse CSR matrix, not {matrix.layout}: see sparse_matrix"
            )
        if symmetric and matrix.shape[0] != matrix.shape[1]:
            raise ValueError(
                f"a matrix of shape {tuple(matrix.shape)} cannot be symmetric"
            )
        transpose = matrix if symmetric else matrix.t().to_sparse_csr()
        self.register_buffer("matrix", matrix, persistent=False)
        self.register_buffer("transpose", transpose, persistent=False)

    def forward(self, h: Float[Tensor, "columns dim"]) -> Float[Tensor, "rows dim"]:
        """Return M h.

        Args:
            h: dense, with one row for each column of M.
        """
        return _FixedProduct.apply(h, self.matrix, self.transpose)

    def __deepcopy__(self, memo: dict) -> "SparseProduct":
        """Return a copy that shares the matrix, as PyTorch cannot copy CSR."""
        twin = SparseProduct(self.matrix, symmetric=True)
        twin.transpose = self.transpose
        return twin


class SparseFeatures:
    """A sparse matrix of node features, with products and dropout.

    Bags of words are nearly empty: on Cora the dense product takes thirty times as
    long.
    """

    def __init__(self, x: Tensor) -> None:
        """Keep the features.

        Args:
            x: (nodes, features), dense or sparse CSR.
        """
        matrix = _as_csr(x)
        self.shape = matrix.shape
        self.dtype = matrix.dtype
        rows, columns = matrix.crow_indices(), matrix.col_indices()
        source = torch.repeat_interleave(torch.arange(len(rows) - 1), rows.diff())
        self._order = torch.argsort(columns, stable=True)
        counts = torch.bincount(columns, minlength=self.shape[1])
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        self._structure = (rows, columns)
        self._transposed = (
            starts.to(rows.dtype),
            source[self._order].to(columns.dtype),
        )
        self._values = matrix.values()

    @property
    def density(self) -> float:
        """The share of entries that are stored."""
        return len(self._values) / max(1, self.shape[0] * self.shape[1])

    def matrix(self) -> Float[Tensor, "nodes features"]:
        """Return the features as a sparse CSR matrix."""
        return _csr(self._structure, self._values, self.shape)

    def dropped(self, p: float) -> "SparseFeatures":
        """Return the features after dropout.

        Args:
            p: probability in [0, 1) that an entry becomes zero; the others are divided
                by 1 - p.
        """
        thinned = object.__new__(SparseFeatures)
        thinned.__dict__.update(self.__dict__)
        thinned._values = dropout(self._values, p)
        return thinned

    def __matmul__(
        self, weight: Float[Tensor, "features dim"]
    ) -> Float[Tensor, "nodes dim"]:
        """Return X W, with a gradient for W."""
        rows, columns = self.shape
        transposed = self._values.index_select(0, self._order)
        transpose = _csr(self._transposed, transposed, (columns, rows))
        return _FixedProduct.apply(weight, self.matrix(), transpose)


def node_features(x: Tensor, limit: float = 0.1) -> Tensor | SparseFeatures:
    """Return x as `SparseFeatures` if few of its entries are not zero, else dense.

    Args:
        x: (nodes, features), dense or sparse CSR.
        limit: the share of nonzero entries, in [0, 1], below which x counts as sparse.
    """
    matrix = _as_csr(x)
    sparse = len(matrix.values()) < limit * matrix.shape[0] * matrix.shape[1]
    if sparse:
        return SparseFeatures(matrix)
    return x if x.layout == torch.strided else x.to_dense()


def dropout(x: Float[Tensor, " *shape"], p: float) -> Float[Tensor, " *shape"]:
    """Return x with random entries set to zero and the others scaled up.

    Same distribution as PyTorch's dropout in training mode, three times as fast on a
    processor, where drawing uniform numbers takes a fifth of the time of Bernoulli
    variables.

    Args:
        x: any shape.
        p: probability in [0, 1) that an entry becomes zero; the others are divided by 1
            - p.
    """
    if p == 0:
        return x
    return x * (torch.rand_like(x) >= p).to(x.dtype).div_(1 - p)


class _FixedProduct(torch.autograd.Function):
    """M h for a constant M, whose transpose is kept for the gradient."""

    @staticmethod
    def forward(ctx, h: Tensor, matrix: Tensor, transpose: Tensor) -> Tensor:
        ctx.matrix, ctx.transpose = matrix, transpose
        return matrix @ h

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _FixedProduct.apply(gradient, ctx.transpose, ctx.matrix), None, None


def _as_csr(x: Tensor) -> Tensor:
    """Return the matrix x as sparse CSR."""
    if x.layout == torch.sparse_csr:
        return x
    rows, columns = torch.nonzero(x, as_tuple=True)
    counts = torch.bincount(rows, minlength=x.shape[0])
    starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return _csr((starts, columns), x[rows, columns], x.shape)


def _csr(
    structure: tuple[Tensor, Tensor], values: Tensor, shape: tuple[int, int]
) -> Tensor:
    """Return the CSR matrix of a structure that is known to be valid."""
    return torch.sparse_csr_tensor(
        *structure, values, tuple(shape), check_invariants=False
    )
