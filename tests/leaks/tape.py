"""A tape of what an experiment does: which seeds it uses, what it trains, what it learns from."""

import hashlib
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

from src.common.graphs import embedding_evaluation

Change = Callable[[Callable], Callable]


@dataclass
class Tape:
    """What was recorded, in order.

    Attributes:
        seeds: that generators of torch, NumPy and scikit-learn were given.
        trained: fingerprints of the data of every fitted classifier, of the weights after every
            step of an optimiser, and of the results of the functions that are watched.
        parts: fingerprints of the training items that `classify` drew.
        widths: numbers of columns that classifiers were fitted to.
    """

    seeds: list[int] = field(default_factory=list)
    trained: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)


def fingerprint(*things: object) -> str:
    """Return a short text that changes with any number in the things."""
    digest = hashlib.sha256()
    for thing in things:
        if isinstance(thing, Tensor):
            thing = thing.detach().cpu().to_dense()
            thing = thing.float() if thing.dtype == torch.bfloat16 else thing
            digest.update(np.ascontiguousarray(thing.numpy()).tobytes())
        elif isinstance(thing, np.ndarray):
            digest.update(np.ascontiguousarray(thing).tobytes())
        elif isinstance(thing, dict):
            digest.update(fingerprint(*thing.keys(), *thing.values()).encode())
        elif isinstance(thing, list | tuple):
            digest.update(fingerprint(*thing).encode())
        elif hasattr(thing, "__dataclass_fields__"):
            digest.update(fingerprint(*vars(thing).values()).encode())
        else:
            digest.update(repr(thing).encode())
    return digest.hexdigest()[:16]


@contextmanager
def recording(**changes: Change) -> Iterator[Tape]:
    """Record while the block runs, on emptied caches; some functions may be replaced.

    Args:
        changes: by "module:function": makes the function that takes its place. The name is that
            under which the experiment's module knows it.
    """
    tape, undo = Tape(), []

    def put(owner: object, name: str, value: object) -> None:
        undo.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)

    for place, change in changes.items():
        module, name = place.split(":")
        owner = importlib.import_module(module)
        put(owner, name, change(getattr(owner, name)))
    put(embedding_evaluation, "_split", watched(tape.parts)(embedding_evaluation._split))
    put(torch, "Generator", _seeds_of(torch.Generator, tape))
    put(np.random, "RandomState", _numpy_seeds_of(np.random.RandomState, tape))
    put(LogisticRegression, "fit", _fits_of(LogisticRegression.fit, tape))
    handle = register_optimizer_step_post_hook(_steps_of(tape))
    forget()
    try:
        yield tape
    finally:
        handle.remove()
        for owner, name, value in reversed(undo):
            setattr(owner, name, value)
        forget()


def forget() -> None:
    """Empty the caches of all functions of the book's methods."""
    for name, module in list(sys.modules.items()):
        if name.startswith("src.") and module is not None:
            for thing in list(vars(module).values()):
                if hasattr(thing, "cache_clear"):
                    thing.cache_clear()


def watched(tape: list[str]) -> Change:
    """Return a change that keeps a function and notes what it gives."""

    def change(function: Callable) -> Callable:
        def noting(*args: object, **kwargs: object) -> object:
            result = function(*args, **kwargs)
            tape.append(fingerprint(result))
            return result

        return noting

    return change


def _seeds_of(kind: type, tape: Tape) -> type:
    class Recorded(kind):
        def manual_seed(self, seed: int) -> torch.Generator:
            tape.seeds.append(seed)
            return super().manual_seed(seed)

    return Recorded


def _numpy_seeds_of(kind: type, tape: Tape) -> type:
    class Recorded(kind):
        def __init__(self, seed: object = None) -> None:
            if isinstance(seed, int):
                tape.seeds.append(seed)
            super().__init__(seed)

    return Recorded


def _fits_of(fit: Callable, tape: Tape) -> Callable:
    def noting(self: LogisticRegression, x: np.ndarray, y: np.ndarray, **rest: object) -> object:
        tape.trained.append(fingerprint(x, y))
        tape.widths.append(x.shape[1])
        return fit(self, x, y, **rest)

    return noting


def _steps_of(tape: Tape) -> Callable:
    def noting(optimiser: Optimizer, *_: object) -> None:
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        tape.trained.append(fingerprint(*parameters))

    return noting
