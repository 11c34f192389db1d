"""Classifying whole graphs: GCN layers, a readout, and training with early stopping."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from src.common.graphs.batches import GCN_OPERATOR, GraphBatch, GraphCollection
from src.common.graphs.networks import MLP, GCNLayer
from src.common.graphs.readouts import Readout
from src.common.graphs.splits import Split
from src.common.training.early_stopping import Patience, PlateauSchedule
from src.common.training.loop import TrainingSettings, train


@dataclass(frozen=True)
class GraphSettings:
    """How to train on batches of graphs.

    Attributes:
        epochs: at most; each visits every training graph once, in random order.
        batch_size: graphs per update (fewer in the last one of an epoch).
        learning_rate: of Adam, lowered on plateaus of the validation loss.
        weight_decay: of all parameters, at least 0.
        coupled: an L2 penalty in the gradient (Adam), not AdamW.
        patience: epochs without a lower validation loss after which training stops.
        plateau: factor of the learning rate and epochs to wait; None keeps the rate.
        reduction: "sum" adds up the losses of a batch: weight decay then counts for
            less.
    """

    epochs: int = 200
    batch_size: int = 64
    learning_rate: float = 5e-3
    weight_decay: float = 0.0
    coupled: bool = True
    patience: int = 20
    plateau: tuple[float, int] | None = (0.7, 5)
    reduction: Literal["mean", "sum"] = "mean"

    def __post_init__(self) -> None:
        """Reject settings that train nothing.

        Raises:
            ValueError: for epochs or a batch size below 1.
        """
        if self.epochs < 1 or self.batch_size < 1:
            raise ValueError(
                f"need epochs and batch_size >= 1: {self.epochs}, {self.batch_size}"
            )


@dataclass(frozen=True)
class GraphResult:
    """What one training reached; accuracies are shares in [0, 1].

    Attributes:
        best_val_loss: the lowest validation loss (mean cross-entropy) of any epoch.
        epoch: the first epoch (from 1) that reached it.
        val_at_best: the validation accuracy after that epoch.
        test_at_best: the test accuracy after that epoch.
        test_last: the test accuracy after the last epoch that was trained.
        val_loss_curve: the validation loss after each epoch.
        val_curve: the validation accuracy after each epoch.
        test_curve: the test accuracy after each epoch.
    """

    best_val_loss: float
    epoch: int
    val_at_best: float
    test_at_best: float
    test_last: float
    val_loss_curve: list[float]
    val_curve: list[float]
    test_curve: list[float]


class GraphClassifier(nn.Module):
    """GCN layers with ReLU, a readout, and a perceptron with one hidden layer."""

    def __init__(
        self,
        sizes: tuple[int, ...],
        classes: int,
        readout: Readout,
        *,
        readout_size: int | None = None,
        dropout: float = 0.5,
    ) -> None:
        """Build the layers.

        Args:
            sizes: (features, hidden, ..., hidden) of the GCN layers.
            classes: number of classes.
            readout: `readout(h, batch)`; a module's parameters are trained too.
            readout_size: length of its vectors where it is not the last of `sizes`.
            dropout: probability before each layer of the perceptron but the first, in
                [0, 1).

        Raises:
            ValueError: for a dropout outside [0, 1).
        """
        super().__init__()
        pairs = itertools.pairwise(sizes)
        self.layers = nn.ModuleList(GCNLayer(a, b) for a, b in pairs)
        self.readout = readout
        head = (readout_size or sizes[-1], sizes[-1], classes)
        self.head = MLP(head, dropout, input_dropout=0.0)

    def forward(self, batch: GraphBatch) -> Float[Tensor, "graphs classes"]:
        """Return the logits of each graph.

        Args:
            batch: with the features that the first layer takes.
        """
        h = batch.x
        for layer in self.layers:
            h = layer(h, batch.operators[GCN_OPERATOR]).relu()
        return self.head(self.readout(h, batch))


def classify_graphs(
    model: nn.Module,
    graphs: GraphCollection,
    split: Split,
    settings: GraphSettings,
    generator: torch.Generator,
) -> GraphResult:
    """Train `model` in place with early stopping on the validation loss.

    The model is left as after the last epoch; the result says what it did at the best
    one.

    Args:
        model: called `model(batch)`; returns logits or log-probabilities (graphs,
            classes).
        graphs: with classes.
        split: numbers of the graphs for training, validation and test.
        settings: of the training.
        generator: source of the order of the graphs and of dropout's random numbers.

    Returns:
        The accuracies at the best epoch and their curves.

    Raises:
        FloatingPointError: if the training loss stops being a finite number.
    """
    count = len(split.val)
    watched = graphs.batch(torch.cat([split.val, split.test]))

    def loss(network: nn.Module, batch: GraphBatch) -> Tensor:
        return F.cross_entropy(network(batch), batch.y, reduction=settings.reduction)

    def look(network: nn.Module) -> tuple[float, float, float]:
        logits = network(watched)
        right = logits.argmax(dim=1) == watched.y
        val_loss = F.cross_entropy(logits[:count], watched.y[:count]).item()
        return val_loss, _share(right[:count]), _share(right[count:])

    patience = Patience(settings.patience)
    schedule = None if settings.plateau is None else PlateauSchedule(*settings.plateau)

    def stop(seen: tuple[float, float, float]) -> bool:
        if schedule is not None:
            schedule.observe(seen[0])
        return patience.observe(seen[0])

    updates = ceil(len(split.train) / settings.batch_size)
    training = TrainingSettings(
        settings.epochs * updates,
        settings.learning_rate,
        weight_decay=settings.weight_decay,
        coupled=settings.coupled,
        schedule=schedule,
    )
    batches = random_batches(graphs, split.train, settings.batch_size, generator)
    curve = train(
        model,
        loss,
        batches,
        training,
        generator,
        watch=look,
        watch_every=updates,
        stop=stop,
    )
    return _result([seen for _, seen in curve.watched])


def random_batches(
    graphs: GraphCollection,
    chosen: Int[Tensor, " chosen"],
    batch_size: int,
    generator: torch.Generator,
) -> Iterator[GraphBatch]:
    """Yield batches without end, each pass through the graphs in a new random order.

    Args:
        graphs: the collection to draw from.
        chosen: numbers of the graphs to use.
        batch_size: graphs per batch; the last of a pass may have fewer.
        generator: source of the orders.
    """
    while True:
        order = chosen[torch.randperm(len(chosen), generator=generator)]
        for part in order.split(batch_size):
            yield graphs.batch(part)


def _share(right: Tensor) -> float:
    """Return the share of true values."""
    return int(right.sum()) / max(1, len(right))


def _result(seen: list[tuple[float, float, float]]) -> GraphResult:
    """Return the summary of every epoch's validation loss and both accuracies."""
    losses, val, test = (list(values) for values in zip(*seen, strict=True))
    first = losses.index(min(losses))
    return GraphResult(
        losses[first], first + 1, val[first], test[first], test[-1], losses, val, test
    )
