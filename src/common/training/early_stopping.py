"""When to stop training and when to lower the learning rate, from a watched loss."""

import math


class Patience:
    """The rule to stop when a loss has not improved for some time.

    Examples:
        >>> patience = Patience(2)
        >>> [patience.observe(loss) for loss in (1.0, 0.5, 0.6, 0.7)]
        [False, False, False, True]
    """

    def __init__(self, patience: int) -> None:
        """Start without observations.

        Args:
            patience: observations in a row without a new lowest loss after which to
                stop, at least 1.

        Raises:
            ValueError: for a patience below 1.
        """
        if patience < 1:
            raise ValueError(f"patience must be at least 1, not {patience}")
        self.patience = patience
        self.best = math.inf
        self.waited = 0

    def observe(self, loss: float) -> bool:
        """Take the next loss.

        Args:
            loss: the watched number; lower is better.

        Returns:
            Whether to stop.
        """
        self.waited = 0 if loss < self.best else self.waited + 1
        self.best = min(self.best, loss)
        return self.waited >= self.patience


class PlateauSchedule:
    """A learning-rate schedule that shrinks when a watched loss stays on a plateau.

    Give it to `TrainingSettings` as `schedule` and call `observe` with each new loss;
    the rule is that of PyTorch's ReduceLROnPlateau (an improvement is a loss lower than
    the lowest by more than a ten-thousandth of its size).

    Examples:
        >>> schedule = PlateauSchedule(factor=0.5, patience=1)
        >>> for loss in (1.0, 1.0, 1.0):
        ...     schedule.observe(loss)
        >>> schedule(step=4)
        0.5
    """

    def __init__(self, factor: float = 0.7, patience: int = 5) -> None:
        """Start at the full rate.

        Args:
            factor: multiplies the rate at each plateau, in (0, 1).
            patience: losses in a row without improvement that are borne; one more
                shrinks the rate.

        Raises:
            ValueError: for a factor outside (0, 1) or a negative patience.
        """
        if not 0 < factor < 1 or patience < 0:
            raise ValueError(
                f"need 0 < factor < 1 <= patience + 1, not {factor}, {patience}"
            )
        self.factor, self.patience = factor, patience
        self.multiplier = 1.0
        self.best = math.inf
        self.waited = 0

    def __call__(self, step: int) -> float:
        """Return the present multiplier of the learning rate.

        Args:
            step: ignored; the losses decide.
        """
        return self.multiplier

    def observe(self, loss: float) -> None:
        """Take the next loss, and shrink the rate if it is time.

        Args:
            loss: the watched number, of either sign; lower is better. NaN is no
                improvement.
        """
        first = math.isinf(self.best)
        better = loss < (self.best if first else self.best - 1e-4 * abs(self.best))
        self.best = loss if better else self.best
        self.waited = 0 if better else self.waited + 1
        if self.waited > self.patience:
            self.multiplier *= self.factor
            self.waited = 0
