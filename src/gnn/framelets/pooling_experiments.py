"""Graph classification with framelet pooling and other readouts, in plain numbers.

All readouts stand on the same network (two GCN layers, a readout, two dense layers) and
are trained on the same splits with the same settings, those of the released pooling
code.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from src.common.graphs.batches import GraphBatch, GraphCollection
from src.common.graphs.graph import Graph, normalised_laplacian
from src.common.graphs.graph_classification import (
    GraphClassifier,
    GraphSettings,
    classify_graphs,
)
from src.common.graphs.public_sets import load_graphs
from src.common.graphs.readouts import READOUTS, Readout, make_readout
from src.common.graphs.splits import split_at_random
from src.common.training.loop import seeded
from src.common.training.streams import stream
from src.gnn.framelets.pooling import framelet_pool
from src.gnn.framelets.transform import FrameletTransform

FRAMELET_READOUTS = {"UFG sum": "sum", "UFG spectrum": "spectrum"}
SHARES = (0.8, 0.1, 0.1)  # of the graphs for training, validation and test
_LEVELS = ("level 1", "level 2")


@dataclass(frozen=True)
class PoolingRecipe:
    """A readout on two GCN layers and its training; defaults as in the released code.

    Attributes:
        readout: one of `FRAMELET_READOUTS` or of `src.common.graphs.readouts.READOUTS`.
        hidden: units of the GCN layers and of the dense layer.
        dropout: before the last layer, in [0, 1).
        learning_rate: of the training.
        weight_decay: of the training.
        epochs: of the training, at most.
        patience: epochs without a lower validation loss after which training stops.
        batch_size: graphs per update.
        coefficients: of the framelet transform's polynomials.
    """

    readout: str
    hidden: int = 64
    dropout: float = 0.5
    learning_rate: float = 5e-3
    weight_decay: float = 5e-3
    epochs: int = 200
    patience: int = 20
    batch_size: int = 53
    coefficients: int = 2

    def __post_init__(self) -> None:
        """Reject unknown readouts.

        Raises:
            ValueError: for a readout of neither list.
        """
        known = (*FRAMELET_READOUTS, *READOUTS)
        if self.readout not in known:
            raise ValueError(
                f"readout must be one of {', '.join(known)}, not {self.readout!r}"
            )


class FrameletReadout:
    """Framelet pooling as a readout for `GraphClassifier`.

    Attributes:
        template: transform of the whole collection, whose settings all batches share.
        kind: "sum" or "spectrum".
    """

    def __init__(self, template: FrameletTransform, kind: str) -> None:
        """Keep a transform of the whole collection, whose settings all batches share.

        Args:
            template: the transform.
            kind: "sum" or "spectrum".
        """
        self.template, self.kind = template, kind

    def __call__(
        self, h: Float[Tensor, "nodes hidden"], batch: GraphBatch
    ) -> Float[Tensor, "graphs pooled"]:
        """Return the pooled blocks of each graph of a batch, one after another.

        Args:
            h: features of all nodes of the batch.
            batch: graphs of the collection.

        Raises:
            ValueError: for another kind than "sum" and "spectrum".
        """
        transform = copy(self.template)
        transform.num_nodes = len(h)
        # Rows of the collection's matrices: building them again would cost more than a
        # training step.
        transform._matrices = [batch.operators[name].matrix for name in _LEVELS]
        return framelet_pool(
            transform, h, batch.graph_number, batch.num_graphs, self.kind
        )


@lru_cache(maxsize=4)
def _collection(
    data: str, coefficients: int
) -> tuple[GraphCollection, FrameletTransform]:
    """Return a set of graphs ready for batches, and the transform of their union."""
    graphs = load_graphs(data)
    made: list[FrameletTransform] = []

    def level(number: int, union: Graph) -> Tensor:
        if not made:
            made.append(
                FrameletTransform(
                    normalised_laplacian(union), coefficients=coefficients
                )
            )
        return made[0]._matrices[number]

    operators = {
        name: lambda union, number=number: level(number, union)
        for number, name in enumerate(_LEVELS)
    }
    y = torch.cat([graph.y for graph in graphs])
    return GraphCollection(graphs, y, operators), made[0]


def _readout(recipe: PoolingRecipe, template: FrameletTransform) -> tuple[Readout, int]:
    """Return a recipe's readout and the length of its vectors."""
    if recipe.readout in FRAMELET_READOUTS:
        kind = FRAMELET_READOUTS[recipe.readout]
        return FrameletReadout(template, kind), template.num_blocks * recipe.hidden
    return make_readout(recipe.readout, recipe.hidden), recipe.hidden


def pooled_accuracies(
    data: str, recipe: PoolingRecipe, splits: Sequence[int]
) -> dict[str, list[float]]:
    """Train a recipe on random splits of a set of graphs.

    Args:
        data: a name of `src.common.graphs.public_sets.load_graphs`.
        recipe: readout and training.
        splits: seeds; each fixes the split, the weights, the batches and the dropout.

    Returns:
        One number per split, accuracies in per cent: "test" and "val" in the epoch of
        the lowest validation loss, its "epoch", and "loss", that validation loss.

    Raises:
        ValueError: for an unknown set of graphs.
        BookError: if its files cannot be obtained.
    """
    graphs, template = _collection(data, recipe.coefficients)
    classes = int(graphs.y.max()) + 1
    settings = GraphSettings(
        recipe.epochs,
        recipe.batch_size,
        recipe.learning_rate,
        recipe.weight_decay,
        patience=recipe.patience,
        reduction="sum",
    )
    found: dict[str, list[float]] = {"test": [], "val": [], "epoch": [], "loss": []}
    for seed in splits:
        split = split_at_random(len(graphs), SHARES, stream(seed, "split"))
        sizes = (graphs.x.shape[1], recipe.hidden, recipe.hidden)
        with seeded(stream(seed, "weights")):
            readout, length = _readout(recipe, template)
            model = GraphClassifier(
                sizes, classes, readout, readout_size=length, dropout=recipe.dropout
            )
        result = classify_graphs(
            model, graphs, split, settings, stream(seed, "training")
        )
        found["test"].append(100 * result.test_at_best)
        found["val"].append(100 * result.val_at_best)
        found["epoch"].append(result.epoch)
        found["loss"].append(result.best_val_loss)
    return found
