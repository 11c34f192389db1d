"""How a Transformer is trained: smoothed labels, warm-up, averaged checkpoints.

Vaswani et al. 2017, sections 5.3 and 5.4.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from src.common.checks import checked, within


@checked
def label_smoothed_loss(
    logits: Float[Tensor, "*batch vocabulary"],
    target: Int[Tensor, "*batch"],
    smoothing: float,
    pad: int,
) -> Float[Tensor, ""]:
    """Return the mean cross-entropy to the smoothed target, in nats per real token.

    The target distribution (section 5.4) is 1 - smoothing on the right token plus
    smoothing / V on every token, the right one included (PyTorch's convention; the
    authors' code spreads it over V - 1 tokens). With smoothing 0 this is the negative
    log-likelihood, whose exponential is the perplexity.

    Args:
        logits: unnormalised log-probabilities of the V tokens.
        target: the right tokens.
        smoothing: in [0, 1].
        pad: target token that does not count, of any value (PyTorch's -100 too); a
            batch that is all padding gives NaN.

    Raises:
        ValueError: for targets in another shape than the logits or outside the
            vocabulary, or a smoothing outside [0, 1].

    Examples:
        >>> logits, target = torch.zeros(3, 8), torch.tensor([5, 2, 0])
        >>> loss = label_smoothed_loss(logits, target, smoothing=0.1, pad=0)
        >>> round(float(loss.exp()), 3)  # as uncertain as among 8 equal choices
        8.0
    """
    within("smoothing", smoothing, 0, 1)
    keep, vocabulary = target != pad, logits.shape[-1]
    wrong = keep & ((target < 0) | (target >= vocabulary))
    if bool(wrong.any()):
        raise ValueError(
            f"target holds {int(target[wrong][0])}, outside 0 ... {vocabulary - 1}: "
            f"give it as pad (which is {pad}) if it must not count"
        )
    log_p = logits.log_softmax(-1)
    right = log_p.gather(-1, target.where(keep, 0)[..., None])[..., 0]
    loss = -(1 - smoothing) * right - smoothing * log_p.mean(-1)
    # A place that does not count may hold anything, NaN too.
    return loss.where(keep, 0.0).sum() / keep.sum()


@checked
def warmup_schedule(step: int, width: int, warmup: int = 4000) -> float:
    """Return the learning rate d^(-1/2) min(s^(-1/2), s w^(-3/2)), equation (3).

    Args:
        step: s, counted from 1.
        width: d, the model's width.
        warmup: w, the step at which the rate is highest.

    Raises:
        ValueError: if `step`, `width` or `warmup` is below 1.

    Examples:
        >>> peak = warmup_schedule(4000, width=512)
        >>> f"{peak:.0e}"
        '7e-04'
        >>> [round(warmup_schedule(s, 512) / peak, 3) for s in (1000, 4000, 16000)]
        [0.25, 1.0, 0.5]
    """
    if min(step, width, warmup) < 1:
        raise ValueError(
            f"step, width and warmup count from 1, got {step}, {width} and {warmup}"
        )
    return width**-0.5 * min(step**-0.5, step * warmup**-1.5)


@checked
def average_checkpoints(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the element-wise mean of state dictionaries.

    Section 6.1 averages the last 5 or 20.

    Args:
        states: dictionaries with the same names and shapes.

    Raises:
        ValueError: if there is none, or if their names or shapes differ.
    """
    if not states:
        raise ValueError("no checkpoints to average")
    if any(state.keys() != states[0].keys() for state in states):
        raise ValueError("the checkpoints do not have the same parameter names")
    shapes = [{name: value.shape for name, value in s.items()} for s in states]
    if any(found != shapes[0] for found in shapes):
        raise ValueError("the checkpoints do not have the same shapes")
    # Counters and masks have no mean: the last checkpoint's are kept.
    return {
        name: torch.stack([s[name] for s in states]).mean(0)
        if value.is_floating_point()
        else value
        for name, value in states[-1].items()
    }
