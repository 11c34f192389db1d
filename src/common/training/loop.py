"""The training loop of the book, for every chapter that uses gradient descent."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor, nn

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class TrainingSettings:
    """How to train: Adam with a learning rate that may follow a schedule.

    Attributes:
        steps: number of parameter updates.
        learning_rate: Adam's step size, multiplied by `schedule(step)` where one is
            given.
        betas: decay rates of Adam's two moving averages.
        epsilon: what Adam adds to the denominator.
        weight_decay: at least 0; 0 is plain Adam.
        clip_norm: the gradient's norm is cut to at most this; None leaves it alone.
        schedule: multiplier of the learning rate at step 1, 2, ..., `steps`; None is
            constant 1.
        coupled: add the decay to the gradient (Adam with an L2 penalty, as graph
            networks are trained in the literature) instead of shrinking the weights
            separately (AdamW).
    """

    steps: int
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    clip_norm: float | None = None
    schedule: Callable[[int], float] | None = None
    coupled: bool = False

    def __post_init__(self) -> None:
        """Reject settings that train nothing.

        Raises:
            ValueError: for no steps, a rate that is not positive or a negative decay.
        """
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, not {self.steps}")
        if self.learning_rate <= 0:
            raise ValueError(
                f"learning_rate must be positive, not {self.learning_rate}"
            )
        if self.weight_decay < 0:
            raise ValueError(
                f"weight_decay must be at least 0, not {self.weight_decay}"
            )


@dataclass
class TrainingCurve:
    """What a training left behind.

    Attributes:
        losses: the training loss before each update.
        watched: (step, value) pairs: what `watch` returned, and after how many updates.
    """

    losses: list[float] = field(default_factory=list)
    watched: list[tuple[int, object]] = field(default_factory=list)

    def smoothed(self, window: int) -> list[float]:
        """Return the means of consecutive windows of the losses.

        Args:
            window: losses per mean, at least 1; the last window may be shorter.
        """
        chunks = [
            self.losses[i : i + window] for i in range(0, len(self.losses), window)
        ]
        return [sum(chunk) / len(chunk) for chunk in chunks]


@contextmanager
def seeded(
    generator: torch.Generator, device: torch.device | str = "cpu"
) -> Iterator[None]:
    """Draw the global random numbers of this block from `generator`.

    Layers initialise themselves and drop units by PyTorch's global generator; this
    makes both depend on `generator` alone. At the end of the block the global generator
    gets its old state back.

    Args:
        generator: on the CPU; gives one seed.
        device: where the block draws, beside the CPU.

    Yields:
        Nothing.

    Examples:
        >>> with seeded(torch.Generator().manual_seed(0)):
        ...     first = nn.Linear(2, 2)
        >>> with seeded(torch.Generator().manual_seed(0)):
        ...     second = nn.Linear(2, 2)
        >>> torch.equal(first.weight, second.weight)
        True
    """
    seed = int(torch.randint(2**62, (1,), generator=generator))
    device = torch.device(device)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def train(
    model: nn.Module,
    loss: Callable[[nn.Module, Batch], Tensor],
    batches: Iterable[Batch],
    settings: TrainingSettings,
    generator: torch.Generator,
    *,
    watch: Callable[[nn.Module], object] | None = None,
    watch_every: int = 0,
    stop: Callable[[object], bool] | None = None,
    after_step: Callable[[int, nn.Module], None] | None = None,
) -> TrainingCurve:
    """Train `model` in place; nothing is printed.

    Args:
        model: is put into training mode, and into evaluation mode at the end.
        loss: `loss(model, batch)` returns a scalar with a gradient.
        batches: at least `settings.steps` batches; an endless stream is welcome.
        settings: optimiser, schedule, number of steps.
        generator: the source of dropout's random numbers.
        watch: called in evaluation mode without gradients after every `watch_every`
            steps and after the last; what it returns is kept with the step.
        watch_every: 0 means only after the last step.
        stop: called with what `watch` returned; training ends early when it answers
            true.
        after_step: called with the step (from 1) and the model after each update: the
            place for a moving average of the weights or for keeping checkpoints.

    Returns:
        The losses, and what `watch` saw.

    Raises:
        ValueError: if the batches run out early.
        FloatingPointError: if the loss stops being a finite number.

    Examples:
        >>> model, batch = nn.Linear(1, 1), torch.ones(4, 1)
        >>> settings = TrainingSettings(steps=150, learning_rate=0.1)
        >>> def loss(model, batch):
        ...     return (model(batch) - 2 * batch).square().mean()
        >>> curve = train(model, loss, [batch] * 150, settings, torch.Generator())
        >>> curve.losses[-1] < 1e-2
        True
    """
    optimiser = (torch.optim.Adam if settings.coupled else torch.optim.AdamW)(
        model.parameters(),
        lr=settings.learning_rate,
        betas=settings.betas,
        eps=settings.epsilon,
        weight_decay=settings.weight_decay,
    )
    curve = TrainingCurve()
    stream = iter(batches)
    device = next(model.parameters()).device
    model.train()
    with seeded(generator, device):
        for step in range(1, settings.steps + 1):
            batch = next(stream, None)
            if batch is None:
                raise ValueError(
                    f"the batches ran out before step {step} of {settings.steps}"
                )
            curve.losses.append(_update(model, loss, batch, optimiser, settings, step))
            if after_step is not None:
                after_step(step, model)
            due = watch_every > 0 and step % watch_every == 0
            if watch is not None and (due or step == settings.steps):
                curve.watched.append((step, _look(model, watch)))
                if stop is not None and stop(curve.watched[-1][1]):
                    break
    model.eval()
    return curve


def _update(
    model: nn.Module,
    loss: Callable[[nn.Module, Batch], Tensor],
    batch: Batch,
    optimiser: torch.optim.Optimizer,
    settings: TrainingSettings,
    step: int,
) -> float:
    """Do one step of gradient descent and return the loss before it."""
    multiplier = settings.schedule(step) if settings.schedule is not None else 1.0
    for group in optimiser.param_groups:
        group["lr"] = settings.learning_rate * multiplier
    optimiser.zero_grad(set_to_none=True)
    value = loss(model, batch)
    value.backward()
    if settings.clip_norm is not None:
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
    optimiser.step()
    number = value.item()
    if not math.isfinite(number):
        raise FloatingPointError(
            f"the loss became {number} at step {step}; lower the learning rate"
        )
    return number


def _look(model: nn.Module, watch: Callable[[nn.Module], object]) -> object:
    """Return `watch(model)`, computed in evaluation mode without gradients."""
    model.eval()
    with torch.no_grad():
        result = watch(model)
    model.train()
    return result
