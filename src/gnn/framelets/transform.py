"""The undecimated framelet transform of signals on a graph: exactly, and fast.

From "How Framelets Enhance Graph Neural Networks" (Zheng et al., ICML 2021, arXiv
2102.06986). With the Laplacian L = U Lambda U^T and the argument xi_l(lambda) of level
l, analysis makes blocks

    W_(k, l) x = U b_k(xi_l(Lambda)) prod_(m < l) a(xi_m(Lambda)) U^T x,
    W_(0, J) x = U prod_(m <= J) a(xi_m(Lambda)) U^T x,

the details of level l and what remains after the last level J, and synthesis is the
transpose. Since the squares of the masks add up to 1 at every level, synthesis after
analysis is the identity and the blocks' energies add up to the signal's.

`exact_operators` builds the matrices from an eigendecomposition. `FrameletTransform`
replaces each mask by a Chebyshev polynomial: then only products with the sparse L are
needed, memory is linear in the edges, and with few coefficients "identity" becomes
"roughly the identity".
"""

from math import pi

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function

from src.common.checks import checked, finite, within
from src.common.graphs.graph import sparse_matrix
from src.gnn.framelets.filter_banks import (
    block_order,
    chebyshev_coefficients,
    chebyshev_values,
    filter_bank,
    level_scales,
)

_POWER_STEPS = 20
_SYMMETRY = 1e-5  # of the largest entry


def exact_response(
    eigenvalues: Float[Tensor, " m"],
    bank: str = "haar",
    levels: int = 2,
    dilation: float = 2.0,
    largest_eigenvalue: float = 2.0,
) -> Float[Tensor, "blocks m"]:
    """Return g_q(lambda), by which block q scales an eigenvector of that eigenvalue.

    Args:
        eigenvalues: of the Laplacian, in [0, largest_eigenvalue].
        bank: "haar", "linear" or "quadratic".
        levels: J, at least 1.
        dilation: s, greater than 1.
        largest_eigenvalue: or a bound; 2 holds for every normalised Laplacian.

    Returns:
        One row per block, in the order of `block_order`.

    Raises:
        ValueError: for an unknown bank or numbers outside these ranges.
    """
    masks = filter_bank(bank)
    scales = level_scales(levels, dilation, largest_eigenvalue)
    return _cascade([masks.values(scale * eigenvalues) for scale in scales])


def exact_operators(
    laplacian: Float[Tensor, "nodes nodes"],
    bank: str = "haar",
    levels: int = 2,
    dilation: float = 2.0,
    largest_eigenvalue: float = 2.0,
) -> Float[Tensor, "blocks nodes nodes"]:
    """Return the matrices W_q, by an eigendecomposition; use it on small graphs.

    Args:
        laplacian: dense and symmetric; float64 gives tightness to about 1e-15.
        bank: "haar", "linear" or "quadratic".
        levels: J, at least 1.
        dilation: s, greater than 1.
        largest_eigenvalue: or a bound; 2 holds for every normalised Laplacian.

    Raises:
        ValueError: for an unknown bank or numbers outside these ranges.

    Examples:
        >>> laplacian = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])  # two linked nodes
        >>> w = exact_operators(laplacian)
        >>> w.shape, torch.allclose((w.mT @ w).sum(0), torch.eye(2), atol=1e-6)
        (torch.Size([3, 2, 2]), True)
    """
    eigenvalues, vectors = torch.linalg.eigh(laplacian)
    response = exact_response(eigenvalues, bank, levels, dilation, largest_eigenvalue)
    return (vectors * response[:, None, :]) @ vectors.T


class FrameletTransform:
    """Analysis and synthesis on one graph, with Chebyshev polynomials for the masks.

    The masks of a level share T_k(M_l) x with M_l = 2/pi s^(-R + l - 1) L - I, so
    either direction costs levels * (coefficients - 1) products with a matrix as sparse
    as L. Both have gradients: the backward pass of one is the other.

    Attributes:
        num_nodes: of the graph.
        levels: J_L, how often the low-pass part is split.
        scales: of the levels, see `level_scales`.
        blocks: the (mask, level) of each block; the low-pass block comes first.
        num_blocks: 1 + high-pass masks * levels.
        dtype: of the Laplacian; signals must have it too.

    Examples:
        >>> from src.common.graphs.graph import Graph, normalised_laplacian
        >>> path = Graph.from_edges(torch.tensor([[0, 1, 2], [1, 2, 3]]), 4)
        >>> transform = FrameletTransform(normalised_laplacian(path), coefficients=8)
        >>> x = torch.tensor([[1.0], [0.0], [0.0], [0.0]])
        >>> c = transform.analysis(x)
        >>> c.shape, torch.allclose(transform.synthesis(c), x, atol=1e-4)
        (torch.Size([3, 4, 1]), True)
    """

    @checked
    def __init__(
        self,
        laplacian: Tensor,
        bank: str = "haar",
        levels: int = 2,
        dilation: float = 2.0,
        coefficients: int = 2,
        largest_eigenvalue: float = 2.0,
    ) -> None:
        """Prepare the sparse matrices of all levels.

        Args:
            laplacian: sparse CSR, square and symmetric, positive semidefinite.
            bank: "haar", "linear" or "quadratic".
            levels: J_L, at least 1.
            dilation: s, greater than 1.
            coefficients: of each Chebyshev expansion, at least 2; the degree is one
                less.
            largest_eigenvalue: or a bound; 2 holds for every normalised Laplacian.
                Beyond it the polynomials leave the interval on which they approximate
                the masks, and grow without limit.

        Raises:
            ValueError: for a matrix or numbers outside these ranges, or a matrix with a
                larger eigenvalue.
        """
        _check_laplacian(laplacian)
        _check_spectrum(laplacian, largest_eigenvalue)
        if coefficients < 2:
            raise ValueError(f"need at least 2 coefficients, not {coefficients}")
        self.num_nodes = laplacian.shape[0]
        self.dtype = laplacian.dtype
        self.levels = levels
        self.scales = level_scales(levels, dilation, largest_eigenvalue)
        self._exact_coefficients = chebyshev_coefficients(
            filter_bank(bank), coefficients
        )
        masks = len(self._exact_coefficients)
        self.blocks = block_order(masks, levels)
        self.num_blocks = len(self.blocks)
        self._details = {
            level: [
                q for q, (mask, at) in enumerate(self.blocks) if mask and at == level
            ]
            for level in range(1, levels + 1)
        }
        self._coefficients = self._exact_coefficients.to(laplacian)
        self._matrices = [_scaled(laplacian, 2 / pi * scale) for scale in self.scales]

    @checked
    def analysis(self, x: Float[Tensor, "nodes d"]) -> Float[Tensor, "blocks nodes d"]:
        """Return the coefficients W x of `d` signals.

        Args:
            x: signals, one per column.

        Raises:
            ValueError: for another shape or number type than the transform's.
        """
        self._check(x, (self.num_nodes,))
        return _Transform.apply(x, self, False)

    @checked
    def synthesis(self, c: Float[Tensor, "blocks nodes d"]) -> Float[Tensor, "nodes d"]:
        """Return W^T c: the signals from their coefficients.

        Args:
            c: coefficients, as `analysis` returns them.

        Raises:
            ValueError: for another shape or number type than the transform's.
        """
        self._check(c, (self.num_blocks, self.num_nodes))
        return _Transform.apply(c, self, True)

    def response(self, eigenvalues: Float[Tensor, " m"]) -> Float[Tensor, "blocks m"]:
        """Return g_q(lambda) of the polynomials, one row per block.

        Synthesis after analysis scales an eigenvector by sum_q g_q^2.

        Args:
            eigenvalues: of the Laplacian, in [0, largest_eigenvalue].
        """
        coefficients = self._exact_coefficients.to(eigenvalues)
        values = [
            chebyshev_values(coefficients, scale * eigenvalues) for scale in self.scales
        ]
        return _cascade(values)

    def _analyse(self, x: Tensor) -> Tensor:
        """Split the low-pass part again at every level by the recursion of T_k(M_l)."""
        levels = []
        for matrix in self._matrices:
            terms = [x, matrix @ x]
            for _ in range(2, self._coefficients.shape[1]):
                terms.append(
                    torch.addmm(terms[-2], matrix, terms[-1], beta=-1, alpha=2)
                )
            levels.append(_combined(self._coefficients, torch.stack(terms)))
            x = levels[-1][0]
        return torch.stack([levels[level - 1][mask] for mask, level in self.blocks])

    def _synthesise(self, c: Tensor) -> Tensor:
        """Go back from the last level to the first, each by Clenshaw's recursion."""
        x = c[0]
        for level in range(self.levels, 0, -1):
            matrix = self._matrices[level - 1]
            bands = torch.stack([x, *(c[q] for q in self._details[level])])
            sums = list(_combined(self._coefficients.T, bands).unbind())
            for k in range(len(sums) - 2, 0, -1):  # b_k = u_k + 2 M b_(k+1) - b_(k+2)
                sums[k] = torch.addmm(sums[k], matrix, sums[k + 1], alpha=2)
                sums[k - 1] = sums[k - 1] - sums[k + 1]
            x = torch.addmm(sums[0], matrix, sums[1])
        return x

    def _check(self, signal: Tensor, shape: tuple[int, ...]) -> None:
        if signal.shape[:-1] != shape or signal.dtype != self.dtype:
            raise ValueError(
                f"this transform takes {self.dtype} of shape {(*shape, 'd')}, "
                f"not {signal.dtype} of shape {tuple(signal.shape)}"
            )


class _Transform(Function):
    """x -> W x or, transposed, c -> W^T c: the backward pass of each is the other."""

    @staticmethod
    def forward(ctx, signal, transform, transposed):
        ctx.transform, ctx.transposed = transform, transposed
        return (
            transform._synthesise(signal) if transposed else transform._analyse(signal)
        )

    @staticmethod
    def backward(ctx, gradient):
        return _Transform.apply(gradient, ctx.transform, not ctx.transposed), None, None


def _cascade(values: list[Float[Tensor, "masks m"]]) -> Float[Tensor, "blocks m"]:
    """Multiply the masks' values at each level with the low-pass values before it."""
    low, details = torch.ones_like(values[0][0]), []
    for masks in values:
        details.append(low * masks[1:])
        low = low * masks[0]
    return torch.cat([low[None], torch.stack(details, dim=1).flatten(0, 1)])


def _combined(
    weights: Float[Tensor, "rows terms"], signals: Float[Tensor, "terms nodes d"]
) -> Float[Tensor, "rows nodes d"]:
    """Return sums of whole signals, one for each row of weights."""
    return (weights @ signals.flatten(1)).unflatten(1, signals.shape[1:])


def _entries(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return the (2, entries) places and the values of a sparse matrix."""
    listed = matrix.to_sparse_coo().coalesce()
    return listed.indices(), listed.values()


def _scaled(laplacian: Tensor, factor: float) -> Tensor:
    """Return factor * L - I as sparse CSR."""
    index, values = _entries(laplacian)
    loops = torch.arange(laplacian.shape[0], device=index.device).expand(2, -1)
    shifted = torch.cat([factor * values, values.new_full((loops.shape[1],), -1.0)])
    return sparse_matrix(torch.cat([index, loops], dim=1), shifted, *laplacian.shape)


def _check_laplacian(laplacian: Tensor) -> None:
    """Reject what is not a square symmetric sparse CSR matrix of floats."""
    sparse = isinstance(laplacian, Tensor) and laplacian.layout == torch.sparse_csr
    if not sparse or laplacian.dim() != 2 or laplacian.shape[0] != laplacian.shape[1]:
        raise ValueError(
            "the Laplacian must be a square sparse CSR matrix: see .to_sparse_csr()"
        )
    if laplacian.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            "the Laplacian must have floating-point entries of single or double "
            f"precision, not {laplacian.dtype}"
        )
    index, values = _entries(laplacian)
    finite("the Laplacian", values)
    both = torch.cat([index, index.flip(0)], dim=1)
    difference = sparse_matrix(
        both, torch.cat([values, -values]), *laplacian.shape
    ).values()
    if len(values) and difference.abs().max() > _SYMMETRY * values.abs().max():
        raise ValueError("the Laplacian must be symmetric; take I - D^-1/2 A D^-1/2")


def _check_spectrum(laplacian: Tensor, bound: float) -> None:
    """Reject a matrix on which a few power steps show an eigenvalue above the bound."""
    within("largest_eigenvalue", bound, 0, ends=False)
    x = torch.arange(len(laplacian)).sin()[:, None].to(laplacian)  # regular in nothing
    for _ in range(_POWER_STEPS):
        x = laplacian @ (x / x.norm().clamp(min=torch.finfo(x.dtype).tiny))
    quotient = float((x * (laplacian @ x)).sum() / x.square().sum().clamp(min=1e-30))
    if quotient > bound * (1 + 1e-3):
        raise ValueError(
            f"the Laplacian has an eigenvalue of at least {quotient:.4g}, above the "
            f"bound {bound:g}: give largest_eigenvalue, or normalise the Laplacian"
        )
