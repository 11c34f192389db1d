"""Graph convolution in the framelet domain: UFGConv-R (ReLU), UFGConv-S (shrinkage).

From "How Framelets Enhance Graph Neural Networks" (Zheng et al., ICML 2021, arXiv
2102.06986). With the framelet analysis W, its transpose V and one factor theta for
every node and block,

    UFGConv-R:  relu(V diag(theta) W X' + bias),
    UFGConv-S:  V shrink(diag(theta) W X') + bias,        X' = X weight.

Shrinkage moves the high-pass coefficients towards 0 and sets small ones to 0, as in
Donoho's denoising (1995). theta belongs to nodes, so a network works only on the graph
for which it was built.
"""

from dataclasses import dataclass
from math import log, sqrt
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from src.common.checks import checked, within
from src.common.graphs.networks import Dropout
from src.common.graphs.sparse_products import SparseFeatures
from src.gnn.framelets.transform import FrameletTransform

Activation = Literal["relu", "shrinkage", "none"]


def _among(name: str, word: str, words: tuple[str, ...]) -> None:
    if word not in words:
        raise ValueError(f"{name} must be one of {', '.join(words)}, not {word!r}")


@dataclass(frozen=True)
class Shrinkage:
    """What a framelet convolution does to the high-pass coefficients.

    Attributes:
        sigma: multiplies the threshold, at least 0; 0 shrinks nothing.
        scales: "per-block" multiplies a block's threshold by its relative energy, as
            the paper says; the "released" code is meant to do so, but multiplies by 1.
        keep_details: False sets every high-pass coefficient to 0, whatever the
            activation (a control of ours).
    """

    sigma: float = 1.0
    scales: str = "released"
    keep_details: bool = True

    def __post_init__(self) -> None:
        """Reject unknown words and a negative sigma.

        Raises:
            ValueError: for an unknown `scales` or a negative `sigma`.
        """
        _among("scales", self.scales, ("released", "per-block"))
        if self.sigma < 0:
            raise ValueError(f"sigma must be at least 0, not {self.sigma}")


DEFAULT = Shrinkage()
"""As released."""


def soft_shrinkage(z: Tensor, threshold: float | Tensor) -> Tensor:
    """Return sign(z) max(|z| - threshold, 0); the gradient is 0 where |z| <= threshold.

    Args:
        z: any shape.
        threshold: at least 0; a tensor is broadcast.

    Examples:
        >>> soft_shrinkage(torch.tensor([-3.0, 0.5, 2.0]), 1.0).tolist()
        [-2.0, 0.0, 1.0]
    """
    if isinstance(threshold, Tensor):
        return z.sign() * F.relu(z.abs() - threshold)
    return F.softshrink(z, threshold)


@checked
def universal_threshold(num_nodes: int, sigma: float) -> float:
    """Return sigma sqrt(2 ln n / n): Donoho's threshold for n numbers, over sqrt(n).

    Args:
        num_nodes: n, at least 1.
        sigma: multiplies the threshold, at least 0.

    Raises:
        ValueError: for numbers outside these ranges.
    """
    within("num_nodes", num_nodes, 1)
    within("sigma", sigma, 0)
    return sigma * sqrt(2 * log(num_nodes) / num_nodes)


@checked
def block_energies(c: Float[Tensor, "blocks nodes d"]) -> Float[Tensor, " high_pass"]:
    """Return each high-pass block's energy, divided by that of the first of them.

    They are the scales e_(k, l) by which the paper multiplies the threshold of block
    (k, l).

    Args:
        c: coefficients, the low-pass block first.
    """
    energies = c[1:].square().sum(dim=(1, 2))
    return energies / energies[0].clamp(min=torch.finfo(c.dtype).tiny)


@checked
def nonzero_share(c: Float[Tensor, "blocks nodes d"]) -> float:
    """Return the share of all coefficients, low-pass ones included, that are not zero.

    Args:
        c: coefficients.
    """
    return float(torch.count_nonzero(c)) / c.numel()


class UFGConv(nn.Module):
    """One framelet convolution on the graph of `transform`.

    Attributes:
        transform: the graph's framelet transform.
        activation: "relu", "shrinkage" or "none".
        shrinkage: of the high-pass coefficients.
        threshold: sigma sqrt(2 ln n / n), before any scale of a block.
        weight: (inputs, outputs).
        theta: (blocks, nodes, 1), the spectral filter, drawn from [0.9, 1.1].
        bias: (outputs,).

    Examples:
        >>> from src.common.graphs.graph import Graph, normalised_laplacian
        >>> path = Graph.from_edges(torch.tensor([[0, 1, 2], [1, 2, 3]]), 4)
        >>> transform = FrameletTransform(normalised_laplacian(path))
        >>> layer = UFGConv(5, 2, transform, activation="shrinkage")
        >>> layer(torch.ones(4, 5)).shape
        torch.Size([4, 2])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        transform: FrameletTransform,
        activation: Activation = "relu",
        shrinkage: Shrinkage = DEFAULT,
    ) -> None:
        """Draw the parameters from PyTorch's global generator.

        They have the transform's number type.

        Args:
            inputs: features of a node before.
            outputs: features of a node after.
            transform: the graph's framelet transform.
            activation: "relu", "shrinkage", or "none" for a layer that stays linear.
            shrinkage: of the high-pass coefficients.

        Raises:
            ValueError: for an unknown activation.
        """
        super().__init__()
        _among("activation", activation, ("relu", "shrinkage", "none"))
        self.transform, self.activation, self.shrinkage = (
            transform,
            activation,
            shrinkage,
        )
        self.threshold = universal_threshold(transform.num_nodes, shrinkage.sigma)
        kind = {"dtype": transform.dtype}
        self.weight = nn.Parameter(
            nn.init.xavier_uniform_(torch.empty(inputs, outputs, **kind))
        )
        theta = torch.empty(
            transform.num_blocks, transform.num_nodes, 1, **kind
        ).uniform_(0.9, 1.1)
        self.theta = nn.Parameter(theta)
        self.bias = nn.Parameter(torch.zeros(outputs, **kind))

    def forward(
        self, x: Float[Tensor, "nodes inputs"] | SparseFeatures
    ) -> Float[Tensor, "nodes outputs"]:
        """Return the new features of the nodes.

        Args:
            x: features, dense or sparse, in the transform's number type.
        """
        out = self.transform.synthesis(self.coefficients(x)) + self.bias
        return F.relu(out) if self.activation == "relu" else out

    def coefficients(
        self, x: Float[Tensor, "nodes inputs"] | SparseFeatures
    ) -> Float[Tensor, "blocks nodes outputs"]:
        """Return what is synthesised: filtered, and shrunk where this layer shrinks.

        Args:
            x: features, dense or sparse, in the transform's number type.
        """
        c = self.theta * self.transform.analysis(x @ self.weight)
        if not self.shrinkage.keep_details:
            return torch.cat([c[:1], torch.zeros_like(c[1:])])
        if self.activation != "shrinkage":
            return c
        threshold = self.threshold
        if self.shrinkage.scales == "per-block":
            threshold = threshold * block_energies(c)[:, None, None]
        return torch.cat([c[:1], soft_shrinkage(c[1:], threshold)])


class UFGNetwork(nn.Module):
    """Two framelet convolutions with dropout between them.

    It is called like `src.common.graphs.networks`. With `activation="relu"` the second
    layer stays linear; with "shrinkage" both shrink.

    Attributes:
        first: the convolution from `features` to `hidden`.
        second: the convolution from `hidden` to `classes`.
        dropout: between them.

    Examples:
        >>> from src.common.graphs.graph import Graph, normalised_laplacian
        >>> path = Graph.from_edges(torch.tensor([[0, 1, 2], [1, 2, 3]]), 4)
        >>> transform = FrameletTransform(normalised_laplacian(path))
        >>> network = UFGNetwork(5, 16, 3, transform)
        >>> network(torch.ones(4, 5)).shape
        torch.Size([4, 3])
    """

    def __init__(
        self,
        features: int,
        hidden: int,
        classes: int,
        transform: FrameletTransform,
        activation: Activation = "relu",
        dropout: float = 0.5,
        shrinkage: Shrinkage = DEFAULT,
    ) -> None:
        """Build the network for one graph.

        Args:
            features: of a node.
            hidden: features between the layers.
            classes: logits of a node.
            transform: the graph's framelet transform.
            activation: "relu" or "shrinkage".
            dropout: share of the hidden features that are dropped, in [0, 1).
            shrinkage: of the high-pass coefficients.

        Raises:
            ValueError: for an unknown activation.
        """
        super().__init__()
        last: Activation = "none" if activation == "relu" else activation
        self.first = UFGConv(features, hidden, transform, activation, shrinkage)
        self.second = UFGConv(hidden, classes, transform, last, shrinkage)
        self.dropout = Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "nodes features"] | SparseFeatures
    ) -> Float[Tensor, "nodes classes"]:
        """Return the logits of every node.

        Args:
            x: features, dense or sparse, in the transform's number type.
        """
        return self.second(self.dropout(self.first(x)))

    def nonzero_shares(
        self, x: Float[Tensor, "nodes features"] | SparseFeatures
    ) -> list[float]:
        """Return each layer's share of coefficients that are not zero, without dropout.

        Args:
            x: features, dense or sparse, in the transform's number type.

        Returns:
            Two shares in [0, 1], first layer first.
        """
        with torch.no_grad():
            c = self.first.coefficients(x)
            return [
                nonzero_share(c),
                nonzero_share(self.second.coefficients(self.first(x))),
            ]
