"""Node classification with framelets and its controls: plain numbers in and out.

A `Recipe` is a model with its training. A data set is given by name: "blocks" is a
random block model, a new one for every seed; any other name is a graph of
`src.common.graphs.public_sets` with its public split. Each kind of random choice has
its own stream per seed, so all recipes see the same graphs, splits and noise.
Accuracies are in per cent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src.common.graphs import networks
from src.common.graphs.generators import stochastic_block_model, with_class_features
from src.common.graphs.graph import Graph, normalised_laplacian
from src.common.graphs.node_classification import (
    NodeResult,
    NodeSettings,
    classify_nodes,
    tune,
)
from src.common.graphs.perturbations import noisy_features, rewire
from src.common.graphs.public_sets import load_graph
from src.common.graphs.sparse_products import SparseFeatures, node_features
from src.common.graphs.splits import split_per_class
from src.common.training.loop import seeded
from src.common.training.streams import stream
from src.gnn.framelets.convolution import Shrinkage, UFGNetwork
from src.gnn.framelets.transform import FrameletTransform

MODELS = ("MLP", "GCN", "GAT", "UFG-R", "UFG-S")
GAT_HEADS, GAT_WIDTH = 8, 8  # as published; they take the place of `hidden`


@dataclass(frozen=True)
class Recipe:
    """A two-layer model and its training; by default that released for UFGConv-R.

    Attributes:
        model: one of `MODELS`.
        learning_rate: of Adam.
        weight_decay: an L2 penalty in Adam's gradient.
        dropout: between the layers, and on the inputs of MLP, GCN and GAT, as they are
            published.
        epochs: updates on all training nodes.
        hidden: units between the layers.
        bank: filter bank of the framelet transform, which has two levels.
        dilation: of the framelet transform.
        coefficients: of the framelet transform's polynomials.
        shrinkage: of a framelet network's high-pass coefficients.
        decay_theta: False exempts the spectral filter from the weight decay.
    """

    model: str
    learning_rate: float = 0.01
    weight_decay: float = 0.01
    dropout: float = 0.7
    epochs: int = 200
    hidden: int = 16
    bank: str = "haar"
    dilation: float = 2.0
    coefficients: int = 2
    shrinkage: Shrinkage = Shrinkage()  # noqa: RUF009
    decay_theta: bool = True

    def __post_init__(self) -> None:
        """Reject unknown models.

        Raises:
            ValueError: for a model outside `MODELS`.
        """
        if self.model not in MODELS:
            raise ValueError(
                f"model must be one of {', '.join(MODELS)}, not {self.model!r}"
            )


def block_graph(seed: int) -> Graph:
    """Return three blocks of 60 nodes with features and a split.

    There are 8 noisy features per node, 15 training and 45 validation nodes; the rest
    are for the test.

    Args:
        seed: of edges, features and split.
    """
    graph = stochastic_block_model((60, 60, 60), 0.12, 0.02, stream(seed, "graph"))
    graph = with_class_features(graph, 8, 2.0, stream(seed, "features"))
    return split_per_class(graph, 5, 45, stream(seed, "split"))


@lru_cache(maxsize=4)
def _loaded(data: str) -> Graph:
    return load_graph(data)


def graph_of(data: str, seed: int, noise: float = 0.0, rewired: float = 0.0) -> Graph:
    """Return a data set's graph, disturbed before training.

    Args:
        data: "blocks" or a name of `src.common.graphs.public_sets`.
        seed: of the block model and of the disturbance.
        noise: standard deviation of Gaussian noise added to the features, at least 0.
        rewired: share of the edges that are rewired, in [0, 1].

    Raises:
        ValueError: for an unknown name, or a disturbance out of range.
        BookError: if the files of a public graph cannot be obtained.
    """
    graph = block_graph(seed) if data == "blocks" else _loaded(data)
    if rewired:
        graph = rewire(graph, rewired, stream(seed, "rewiring"))
    if noise:
        x = graph.x if graph.x.layout == torch.strided else graph.x.to_dense()
        graph = replace(graph, x=noisy_features(x, noise, stream(seed, "noise")))
    return graph


def build(recipe: Recipe, graph: Graph, device: str = "cpu") -> nn.Module:
    """Return a recipe's model for one graph, with weights from PyTorch's generator.

    Args:
        recipe: the model and its sizes.
        graph: with features and classes.
        device: of the model.
    """
    features, classes = graph.x.shape[1], int(graph.y.max()) + 1
    sizes = (features, recipe.hidden, classes)
    if recipe.model == "MLP":
        return networks.MLP(sizes, recipe.dropout).to(device)
    if recipe.model == "GCN":
        return networks.GCN(graph, sizes, recipe.dropout).to(device)
    if recipe.model == "GAT":
        sizes = (features, GAT_WIDTH, classes)
        return networks.GAT(graph, sizes, recipe.dropout, heads=GAT_HEADS).to(device)
    transform = FrameletTransform(
        normalised_laplacian(graph).to(device),
        recipe.bank,
        dilation=recipe.dilation,
        coefficients=recipe.coefficients,
    )
    return UFGNetwork(
        *sizes,
        transform,
        "relu" if recipe.model == "UFG-R" else "shrinkage",
        recipe.dropout,
        recipe.shrinkage,
    ).to(device)


def train_once(
    graph: Graph,
    recipe: Recipe,
    seed: int,
    look: Callable[[nn.Module, Tensor | SparseFeatures], float] | None = None,
    device: str = "cpu",
) -> tuple[NodeResult, list[float]]:
    """Train a recipe on a graph; the seed fixes the weights and the dropout.

    Args:
        graph: with features, classes and a split.
        recipe: model and training.
        seed: of this training.
        look: called with the model and the features after every epoch.
        device: where to train, "cpu" or "cuda".

    Returns:
        Accuracies as shares, and what `look` returned, one number per epoch.

    Raises:
        ValueError: if the split has no mask, or an empty one.
    """
    with seeded(stream(seed, "weights")):
        model = build(recipe, graph, device)
    x, seen, decay = node_features(graph.x), [], recipe.weight_decay
    if device != "cpu":
        x, graph = graph.x.to(device), _moved(graph, device)
    if look is not None:
        model.register_forward_hook(partial(_after_epoch, look, seen))
    if not recipe.decay_theta:
        _decay_all_but_theta(model, decay)
        decay = 0.0
    settings = NodeSettings(recipe.epochs, recipe.learning_rate, decay)
    return classify_nodes(
        model, x, graph.y, graph, settings, stream(seed, "dropout")
    ), seen


def _moved(graph: Graph, device: str) -> Graph:
    """Return the graph with its classes and split on another device."""
    parts = {
        name: getattr(graph, name).to(device) for name in ("y", "train", "val", "test")
    }
    return replace(graph, **parts)


def _after_epoch(
    look: Callable[[nn.Module, Tensor | SparseFeatures], float],
    seen: list[float],
    model: nn.Module,
    inputs: tuple,
    _: Tensor,
) -> None:
    """Keep what `look` sees; evaluation mode is used only after an epoch."""
    if not model.training:
        seen.append(look(model, *inputs))


def _decay_all_but_theta(model: nn.Module, decay: float) -> None:
    """Add the L2 penalty's gradient, Adam's coupled weight decay, to all but theta."""

    def penalise(parameter: Tensor) -> None:
        parameter.grad.add_(parameter.detach(), alpha=decay)

    for name, parameter in model.named_parameters():
        if not name.endswith("theta"):
            parameter.register_post_accumulate_grad_hook(penalise)


def kept_share(model: nn.Module, x: Tensor | SparseFeatures) -> float:
    """Return the share of coefficients that are not zero, averaged over the layers.

    Args:
        model: a framelet network.
        x: features of the nodes.
    """
    shares = model.nonzero_shares(x)
    return sum(shares) / len(shares)


def mean_theta(model: nn.Module, x: Tensor | SparseFeatures) -> float:
    """Return the mean size of a framelet network's spectral filters.

    Args:
        model: a framelet network.
        x: not used; `train_once` passes the features to whatever looks.
    """
    sizes = [
        p.detach().abs().mean()
        for name, p in model.named_parameters()
        if "theta" in name
    ]
    return float(sum(sizes)) / len(sizes)


def accuracies(
    data: str,
    recipe: Recipe,
    seeds: Sequence[int],
    noise: float = 0.0,
    rewired: float = 0.0,
    count: bool = False,
    device: str = "cpu",
) -> dict[str, list[float]]:
    """Train a recipe once per seed.

    Args:
        data: "blocks" or a name of `src.common.graphs.public_sets`.
        recipe: model and training.
        seeds: of graphs (block models), disturbances and trainings.
        noise: standard deviation of Gaussian noise added to the features.
        rewired: share of the edges that are rewired, in [0, 1].
        count: also count the coefficients of a framelet network that are not zero.
        device: where to train, "cpu" or "cuda".

    Returns:
        One number per seed: "test" accuracy in the "epoch" of the best validation
        accuracy (its first maximum), "val" there, test accuracy in the "last" epoch,
        and, if asked for, the share in [0, 1] of the coefficients that were "kept" in
        that best epoch.

    Raises:
        ValueError: as `graph_of`.
    """
    look = kept_share if count else None
    found: dict[str, list[float]] = {"test": [], "val": [], "last": [], "epoch": []}
    found |= {"kept": []} if count else {}
    for seed in seeds:
        graph = graph_of(data, seed, noise, rewired)
        result, seen = train_once(graph, recipe, seed, look, device)
        found["test"].append(100 * result.test_at_best)
        found["val"].append(100 * result.best_val)
        found["last"].append(100 * result.test_last)
        found["epoch"].append(result.epoch)
        if count:
            found["kept"].append(seen[result.epoch - 1])
    return found


def curves(data: str, recipe: Recipe, seeds: Sequence[int]) -> dict[str, list[float]]:
    """Return a framelet network's accuracies and filter size by epoch, mean over seeds.

    Args:
        data: "blocks" or a name of `src.common.graphs.public_sets`.
        recipe: of UFG-R or UFG-S.
        seeds: of graphs (block models) and trainings.

    Returns:
        "val" and "test" accuracy and the mean size of "theta", one value per epoch
        each.
    """
    rows: dict[str, list[list[float]]] = {"val": [], "test": [], "theta": []}
    for seed in seeds:
        result, seen = train_once(graph_of(data, seed), recipe, seed, mean_theta)
        rows["val"].append([100 * value for value in result.val_curve])
        rows["test"].append([100 * value for value in result.test_curve])
        rows["theta"].append(seen)
    return {name: torch.tensor(found).mean(0).tolist() for name, found in rows.items()}


def untouched_share(data: str, recipe: Recipe, seed: int) -> list[float]:
    """Return the share of the spectral filter's entries without any gradient.

    It takes one pass of back-propagation from the training nodes of a new network.

    Args:
        data: "blocks" or a name of `src.common.graphs.public_sets`.
        recipe: of UFG-R or UFG-S.
        seed: of the graph (block models) and the weights.

    Returns:
        Two shares in [0, 1], first layer first.
    """
    graph = graph_of(data, seed)
    with seeded(stream(seed, "weights")):
        model = build(recipe, graph)
    model.eval()  # dropout would hide some gradients by chance
    logits = model(node_features(graph.x))
    F.cross_entropy(logits[graph.train], graph.y[graph.train]).backward()
    thetas = (model.first.theta, model.second.theta)
    return [float((theta.grad == 0).double().mean()) for theta in thetas]


def search(
    data: str,
    recipe: Recipe,
    trials: Sequence[Mapping[str, float]],
    seeds: Sequence[int],
    device: str = "cpu",
) -> dict:
    """Choose settings by validation accuracy; test accuracies play no part.

    Args:
        data: "blocks" or a name of `src.common.graphs.public_sets`.
        recipe: what the trials change.
        trials: fields of the recipe, the same for every model.
        seeds: kept apart from those of the reported runs.
        device: where to train.

    Returns:
        The "best" trial, and all "rows" with their mean validation accuracy in [0, 1].

    Raises:
        ValueError: without trials or seeds.
    """

    def evaluate(trial: Mapping[str, float], seed: int) -> NodeResult:
        changed = replace(recipe, **trial)
        return train_once(graph_of(data, seed), changed, seed, device=device)[0]

    return asdict(tune(evaluate, trials, seeds))
