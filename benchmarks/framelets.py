"""Timings of the framelets chapter, as ratios: `python -m benchmarks.framelets`.

One epoch on Cora as the released script runs it: forward and backward pass, Adam, then a forward
pass in evaluation mode with the loss and the accuracy of the three parts of the split. The released
networks, this book's, and GCNConv and ChebConv of torch-geometric take turns. Before that the
released weights are copied into this book's networks, which must give the same output. The ratio
that a claim asks for goes to the ledger, `--print-only` leaves it alone. One thread.

`BOOK_UFG_REPOSITORY` names a folder with a copy of https://github.com/YuGuangWang/UFG; its classes
are imported from there. Its network is also timed in single precision, which it is not released in,
to tell apart what the precision and what the transform contributes.
"""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import util
from math import log, pi
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from scipy.sparse.linalg import lobpcg
from torch import Tensor, nn

from benchmarks.ratios import Measured, Ratio, column, in_turn, report
from src.common.graphs.graph import Graph, normalised_laplacian
from src.common.graphs.networks import GCN
from src.common.graphs.public_sets import load_graph
from src.common.graphs.sparse_products import node_features
from src.common.training.loop import seeded
from src.gnn.framelets.convolution import UFGNetwork
from src.gnn.framelets.transform import FrameletTransform

CHAPTER, PAPER = "gnn/framelets", "ufg"
VARIABLE = "BOOK_UFG_REPOSITORY"
HIDDEN, LEVELS, COEFFICIENTS, WEIGHT_DECAY, DROPOUT = 16, 2, 2, 0.01, 0.7
TOLERANCE = 1e-4  # of the largest logit


@dataclass(frozen=True)
class Variant:
    """A released script with its default settings, by the name it has in the paper."""

    name: str
    module: str
    activation: str
    dilation: float
    learning_rate: float


VARIANTS = (
    Variant("UFGConv-R", "UFGConv_relu", "relu", 2.0, 0.01),
    Variant("UFGConv-S", "UFGConv_shrinkage", "shrinkage", 2.5, 0.005),
)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@contextmanager
def number_type(dtype: torch.dtype) -> Iterator[None]:
    """The type of new tensors, which the released code relies on, inside a block only."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def released_module(folder: Path, name: str) -> ModuleType:
    """Import one of the released scripts; importing it sets the default type to float64."""
    spec = util.spec_from_file_location(name, folder / f"{name}.py")
    module = util.module_from_spec(spec)
    with number_type(torch.float32), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls functions that PyTorch now advises against
        spec.loader.exec_module(module)
    return module


class Released:
    """A released network on Cora, prepared as its script prepares it."""

    def __init__(self, module: ModuleType, variant: Variant, graph: Graph, dtype: torch.dtype):
        self.dtype = dtype
        laplacian = scipy_matrix(normalised_laplacian(graph, torch.float64))
        start = np.random.default_rng(0).random((graph.num_nodes, 1))
        with warnings.catch_warnings():  # it stops after 20 steps, before it has converged
            warnings.simplefilter("ignore")
            self.largest_eigenvalue = float(lobpcg(laplacian, start)[0][0])
        exponent = log(self.largest_eigenvalue / pi) / log(variant.dilation) + LEVELS - 1
        masks = [lambda xi: np.cos(xi / 2), lambda xi: np.sin(xi / 2)]
        # NumPy renamed the function that the script calls
        with patch.object(np, "trapz", np.trapezoid, create=True):
            blocks = module.get_operator(
                laplacian, masks, COEFFICIENTS, variant.dilation, exponent, LEVELS
            )
        places = [(mask, level) for mask in range(len(masks)) for level in range(LEVELS)]
        with number_type(dtype), seeded(generator()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.operators = [module.scipy_to_torch_sparse(blocks[place]) for place in places]
            self.data = SimpleNamespace(x=graph.x.to(dtype), y=graph.y)
            shape = (graph.x.shape[1], HIDDEN, int(graph.y.max()) + 1, len(masks), LEVELS)
            self.network = module.Net(*shape, graph.num_nodes, dropout_prob=DROPOUT)

    def __call__(self) -> Tensor:
        """The log-probabilities of all nodes."""
        with number_type(self.dtype):
            return self.network(self.data, self.operators)

    def stored(self) -> int:
        """Bytes of the operators; their stacked copies, made in every layer, are not counted."""
        return sum(matrix._values().nbytes + matrix._indices().nbytes for matrix in self.operators)


def scipy_matrix(matrix: Tensor) -> sparse.coo_matrix:
    rows, columns = matrix.to_sparse_coo().indices().numpy()
    return sparse.coo_matrix((matrix.values().numpy(), (rows, columns)), matrix.shape)


def this_book(
    variant: Variant, graph: Graph, dtype: torch.dtype, largest_eigenvalue: float = 2.0
) -> UFGNetwork:
    transform = FrameletTransform(
        normalised_laplacian(graph, dtype),
        "haar",
        LEVELS,
        variant.dilation,
        COEFFICIENTS,
        largest_eigenvalue,
    )
    shape = (graph.x.shape[1], HIDDEN, int(graph.y.max()) + 1)
    with seeded(generator()):
        return UFGNetwork(*shape, transform, variant.activation, DROPOUT)


def check_equal(variant: Variant, released: Released, graph: Graph) -> None:
    """Copy the released weights; the book's network must then give the same log-probabilities.

    Raises:
        AssertionError: if the two outputs differ by more than the tolerance.
    """
    ours = this_book(variant, graph, torch.float32, released.largest_eigenvalue)
    theirs = released.network
    unused = (LEVELS - 1) * graph.num_nodes  # factors of low-pass blocks that nothing reads
    pairs = ((ours.first, theirs.GConv1), (ours.second, theirs.GConv2))
    with torch.no_grad():
        for mine, other in pairs:
            mine.weight.copy_(other.weight)
            mine.bias.copy_(other.bias)
            mine.theta.copy_(other.filter[unused:].reshape(mine.theta.shape))
        theirs.eval()
        expected = released()
        found = F.log_softmax(ours.eval()(node_features(graph.x)), dim=1)
    difference = float((found - expected).abs().max() / expected.abs().max())
    print(
        f"{variant.name}: same weights, largest relative difference of the outputs "
        f"{difference:.1e}; the released estimate of the largest eigenvalue is "
        f"{released.largest_eigenvalue:.3f}"
    )
    if not difference < TOLERANCE:
        raise AssertionError(f"{variant.name} differs from the released network by {difference}")


def epoch(
    network: nn.Module,
    forward: Callable[[], Tensor],
    graph: Graph,
    rate: float,
    *,
    as_released: bool = False,
) -> Callable[[], None]:
    """Return what one epoch does; `forward` gives log-probabilities.

    The released script picks nodes by masks and records gradients in its evaluation, too; the book
    picks them by their numbers and does not.
    """
    optimiser = torch.optim.Adam(network.parameters(), lr=rate, weight_decay=WEIGHT_DECAY)
    parts = [graph.train, graph.val, graph.test]
    if not as_released:
        parts = [torch.nonzero(mask).ravel() for mask in parts]
    answers = [graph.y[part] for part in parts]

    def run() -> None:
        network.train()
        optimiser.zero_grad()
        F.nll_loss(forward()[parts[0]], answers[0]).backward()
        optimiser.step()
        network.eval()
        with torch.set_grad_enabled(as_released):
            out = forward()
            for part, answer in zip(parts, answers, strict=True):
                found = out[part]
                found.max(dim=1)[1].eq(answer).sum().item()
                F.nll_loss(found, answer).item()

    return run


def book_epoch(variant: Variant, graph: Graph) -> Callable[[], None]:
    network, x = this_book(variant, graph, torch.float32), node_features(graph.x)
    forward = lambda: F.log_softmax(network(x), dim=1)  # noqa: E731
    return epoch(network, forward, graph, variant.learning_rate)


def released_epoch(released: Released, variant: Variant, graph: Graph) -> Callable[[], None]:
    return epoch(released.network, released, graph, variant.learning_rate, as_released=True)


def other_epochs(graph: Graph) -> dict[str, Callable[[], None]]:
    """Return an epoch of two layers of other kinds, with the same sizes, dropout and Adam.

    torch-geometric's see the words of a paper as a dense vector, which costs most of their time.
    """
    from torch_geometric.nn import ChebConv, GCNConv

    class Two(nn.Module):
        def __init__(self, make: Callable[[int, int], nn.Module]):
            super().__init__()
            self.first = make(graph.x.shape[1], HIDDEN)
            self.second = make(HIDDEN, int(graph.y.max()) + 1)
            self.dropout = nn.Dropout(DROPOUT)

        def forward(self) -> Tensor:
            hidden = self.first(graph.x, graph.edge_index).relu()
            return F.log_softmax(self.second(self.dropout(hidden), graph.edge_index), dim=1)

    def made(make: Callable[[int, int], nn.Module]) -> Callable[[], None]:
        with seeded(generator()):
            network = Two(make)
        return epoch(network, network, graph, 0.01)

    sizes = (graph.x.shape[1], HIDDEN, int(graph.y.max()) + 1)
    with seeded(generator()):
        book = GCN(graph, sizes, DROPOUT, input_dropout=0.0)
    x = node_features(graph.x)
    return {
        "this book's GCN": epoch(book, lambda: F.log_softmax(book(x), dim=1), graph, 0.01),
        "torch-geometric's GCNConv": made(lambda a, b: GCNConv(a, b, cached=True)),
        "torch-geometric's ChebConv(K=2)": made(lambda a, b: ChebConv(a, b, K=2)),
    }


def operators_memory(graph: Graph, released: Released) -> Ratio:
    transform = this_book(VARIANTS[0], graph, torch.float32).first.transform
    ours = sum(
        part.nbytes
        for matrix in transform._matrices
        for part in (matrix.values(), matrix.crow_indices(), matrix.col_indices())
    )
    setting = f"{released.stored() / 1e6:.1f} MB and {ours / 1e6:.2f} MB, Cora"
    return Ratio(
        "bytes of the operators, released / this book", [(released.stored(), ours)], setting
    )


def against_released(folder: Path, graph: Graph) -> Iterator[Measured]:
    """Check the outputs, then time both networks of both variants."""
    for variant in VARIANTS:
        module = released_module(folder, variant.module)
        double = Released(module, variant, graph, torch.float64)
        check_equal(variant, double, graph)
        single = Released(module, variant, graph, torch.float32)
        rows = in_turn(
            [
                released_epoch(double, variant, graph),
                released_epoch(single, variant, graph),
                book_epoch(variant, graph),
            ]
        )
        mean = [1e3 * sum(row[place] for row in rows) / len(rows) for place in range(3)]
        about = f"Cora, Haar, {LEVELS} levels, {COEFFICIENTS} coefficients, threads: 1"
        setting = f"{mean[0]:.0f} ms and {mean[2]:.2f} ms an epoch; {about}"
        what = f"an epoch of {variant.name}, released script / this book"
        claim = "C7" if variant.activation == "relu" else None
        yield claim, f"{variant.module}.py as released", Ratio(what, column(rows, 0, 2), setting)
        setting = f"{mean[1]:.0f} ms and {mean[2]:.2f} ms an epoch; {about}"
        what = f"an epoch of {variant.name}, released network in single precision / this book"
        yield None, variant.module, Ratio(what, column(rows, 1, 2), setting)
        if variant.activation == "relu":
            yield None, variant.module, operators_memory(graph, double)


def against_others(graph: Graph) -> Iterator[Measured]:
    others = other_epochs(graph)
    for variant in VARIANTS:
        rows = in_turn([book_epoch(variant, graph), *others.values()])
        for place, name in enumerate(others, start=1):
            mean = [1e3 * sum(row[at] for row in rows) / len(rows) for at in (0, place)]
            setting = f"{mean[0]:.2f} ms and {mean[1]:.2f} ms an epoch; Cora, threads: 1"
            what = f"an epoch, {variant.name} of this book / {name}"
            yield None, name, Ratio(what, column(rows, 0, place), setting)


def measurements() -> Iterator[Measured]:
    torch.set_num_threads(1)
    graph = load_graph("cora")
    folder = os.environ.get(VARIABLE)
    if folder:
        yield from against_released(Path(folder), graph)
    else:
        print(
            f"NOT MEASURED: the claim C7. Set {VARIABLE} to a folder with a copy of "
            "https://github.com/YuGuangWang/UFG and run this again.",
            file=sys.stderr,
        )
    yield from against_others(graph)


if __name__ == "__main__":
    report(CHAPTER, PAPER, "Timings of the framelets chapter.", measurements())
