"""The unusual inputs that every public entry point is fed, made from one usual call.

An `Entry` names a function, a usual call of it, and what is right for those unusual inputs that it
takes. For every argument `cases` makes the same set of unusual values by its type: tensors of
another type, shape or layout, with NaN, empty; numbers out of any range; masks of another form;
graphs without nodes or edges. `judge` accepts an error of ours that names the trouble, or a right
value; anything else is a fault.
"""

import dataclasses
import math
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from src.common.graphs.graph import Graph

SOURCE = str(Path(__file__).resolve().parents[2] / "src")
LIMIT = 10  # seconds; a call takes milliseconds
HALF = {torch.float16: 2e-2, torch.bfloat16: 1e-1}
Oracle = Callable[[object, object], bool]


@dataclass(frozen=True)
class Entry:
    """A public function with one usual call.

    Attributes:
        function: called with keywords.
        good: makes the arguments of a usual call; again for every case, because generators and
            modules change.
        accepts: for cases that give a value, by "argument: case" (or "argument: *"): whether the
            value is right, told from (result, result of the usual call).
    """

    function: Callable
    good: Callable[[], dict[str, object]]
    accepts: Mapping[str, Oracle] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The dotted name of the function, as it is imported."""
        return f"{self.function.__module__}:{self.function.__qualname__}"


def cases(good: Mapping[str, object]) -> Iterator[tuple[str, str, object]]:
    """Yield (argument, case, value) for every unusual value of every argument."""
    for name, value in good.items():
        for case, changed in _unusual(value):
            yield name, case, changed


def _unusual(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Tensor):
        yield from _tensors(value)
    elif isinstance(value, Graph):
        yield from _graphs(value)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int | float):
        last = 2.5 if isinstance(value, int) else -math.inf
        numbers = (0, -1, math.nan, math.inf, last)
        yield from ((str(number), number) for number in numbers if number != value)
    elif isinstance(value, str):
        yield "unknown", "no such name"
    elif callable(value) and not isinstance(value, torch.nn.Module):
        yield from _functions(value)
    elif isinstance(value, list | tuple):
        yield "empty", type(value)()
        yield "one less", value[:-1]
        yield "a text", "text"


def _tensors(x: Tensor) -> Iterator[tuple[str, object]]:
    yield "numpy", x.numpy()
    yield "list", x.tolist()
    yield "another dimension", x[None]
    yield "ten columns", x[..., None].expand(*x.shape, 10)
    if x.dim():
        yield from (("empty", x[:0]), ("a dimension less", x[0]))
    if x.dim() and len(x) > 1:
        yield "one row less", x[:-1]
        yield "one row", x[:1]
    if x.dim() > 1:
        yield "strided", x.transpose(0, -1).contiguous().transpose(0, -1)
    if x.dtype == torch.bool:
        yield "zeros and ones", x.long()
        yield "floating", x.float()
        yield "nothing marked", torch.zeros_like(x)
    elif x.is_floating_point():
        yield "whole numbers", (10 * x).round().long()
        yield "bytes", (10 * x).round().abs().clamp(0, 255).to(torch.uint8)
        yield from ((str(t).removeprefix("torch."), x.to(t)) for t in HALF)
        yield "double", x.double()
        yield from (("NaN", _first(x, math.nan)), ("infinite", _first(x, math.inf)))
    else:
        yield "floating", x + 0.5
        yield "int32", x.int()
        yield from (("negative", _first(x, -1)), ("too large", _first(x, 10**6)))


def _functions(function: Callable) -> Iterator[tuple[str, Callable]]:
    """Functions of tensors, a score for one: what a user's own may give."""
    yield "gives another shape", lambda *given: function(*given)[:1]
    yield "gives a column more", lambda *given: function(*given)[..., None]
    yield "gives NaN", lambda *given: math.nan * function(*given)
    yield "without gradients", torch.no_grad()(function)


def _first(x: Tensor, number: float) -> Tensor:
    """Return a copy whose first value is another."""
    copy = x.clone()
    copy.view(-1)[:1] = number
    return copy


def _graphs(graph: Graph) -> Iterator[tuple[str, Graph]]:
    none = torch.empty(2, 0, dtype=torch.long)
    yield "no nodes", Graph(none, num_nodes=0)
    yield "no edges", dataclasses.replace(graph, edge_index=none, edge_weight=None)
    forward = graph.edge_index[:, graph.edge_index[0] < graph.edge_index[1]]
    nodes, x, y = graph.num_nodes, graph.x, graph.y
    yield "directed", Graph.from_edges(forward, nodes, directed=True, x=x, y=y)
    weights = 1 + graph.edge_index.sum(0).float()
    yield "weighted", dataclasses.replace(graph, edge_weight=weights)
    for name in ("x", "y"):
        if getattr(graph, name) is not None:
            yield f"without {name}", dataclasses.replace(graph, **{name: None})


def judge(entry: Entry, argument: str, case: str, value: object) -> tuple[bool, str]:
    """Return whether an entry point does right with an unusual value, and what it did."""
    expected = entry.function(**entry.good())
    try:
        result = _in_time(lambda: entry.function(**(entry.good() | {argument: value})))
    except TimeoutError:
        return False, f"does not end within {LIMIT} s"
    except Exception as error:
        return _clear(error)
    oracle = entry.accepts.get(f"{argument}: {case}", entry.accepts.get(f"{argument}: *"))
    right = oracle(result, expected) if oracle else _right(case, value, result, expected)
    return right, "right" if right else f"gives {str(result)[:200]}"


def _clear(error: Exception) -> tuple[bool, str]:
    """Return whether an error is ours and says something, and what it says."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    ours = frame.filename.startswith(SOURCE) and (frame.line or "").startswith("raise")
    said = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    clear = ours and isinstance(error, ValueError | TypeError) and len(str(error)) > 15
    return clear, said if clear else f"{said} (at {frame.filename}:{frame.lineno})"


def _in_time(call: Callable[[], object]) -> object:
    def stop(*_: object) -> None:
        raise TimeoutError

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT)
    try:
        return call()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def _right(case: str, value: object, result: object, expected: object) -> bool:
    """Return whether a value is right without a word from the entry."""
    if case in ("NaN", "nan", "infinite", "gives NaN"):
        return not all(bool(t.isfinite().all()) for t in _numbers(result))
    if case == "empty":
        return isinstance(result, Tensor) and result.dim() > 0 and len(result) == 0
    if case in ("strided", "double", "int32", "numpy", "list"):
        return same(result, expected, 1e-4)
    if case in ("float16", "bfloat16"):
        return same(result, expected, HALF[value.dtype])
    return False


def same(a: object, b: object, tolerance: float = 1e-6) -> bool:
    """Return whether two results agree: numbers within a tolerance, all else exactly."""
    if dataclasses.is_dataclass(a):
        a, b = vars(a), vars(b)
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(same(a[k], b[k], tolerance) for k in a)
    if isinstance(a, list | tuple):
        pairs = zip(a, b, strict=False)
        return len(a) == len(b) and all(same(x, y, tolerance) for x, y in pairs)
    if isinstance(a, Tensor | np.ndarray | float):
        one, two = (torch.as_tensor(v).double() for v in (a, b))
        return one.shape == two.shape and torch.allclose(one, two, tolerance, tolerance)
    return a == b


def finite(result: object, expected: object) -> bool:
    """Accept finite numbers in the shapes of the usual result."""
    pairs = zip(_numbers(result), _numbers(expected), strict=True)
    return all(r.shape == e.shape and bool(r.isfinite().all()) for r, e in pairs)


def usual(result: object, expected: object) -> bool:
    """Accept what the usual call gives."""
    return same(result, expected)


def _numbers(result: object) -> list[Tensor]:
    """Return all numbers in a result."""
    if dataclasses.is_dataclass(result):
        result = vars(result)
    if isinstance(result, Mapping):
        return [t for v in result.values() for t in _numbers(v)]
    if isinstance(result, list | tuple):
        return [t for v in result for t in _numbers(v)]
    numeric = isinstance(result, Tensor | np.ndarray | float | int)
    return [torch.as_tensor(result).double()] if numeric else []


def entries_of(*tables: Sequence[Entry]) -> dict[str, Entry]:
    """Return the entries by name; a second entry for a function gets a number."""
    found: dict[str, Entry] = {}
    for entry in (entry for table in tables for entry in table):
        number = sum(name.split("#")[0] == entry.name for name in found)
        found[entry.name + (f"#{number + 1}" if number else "")] = entry
    return found
