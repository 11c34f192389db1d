"""Checks of arguments: a wrong shape, type or range is an error, never a wrong number.

`checked` reads the signature of a function; the other checks are for what a signature
cannot say. Their messages name the argument, what was given, what is expected and the
usual remedy.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from functools import wraps
from numbers import Integral, Real
from types import UnionType
from typing import (
    Any,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    no_type_check,
)

import torch
from jaxtyping import AbstractArray, jaxtyped
from torch import Tensor

Function = TypeVar("Function", bound=Callable)


def checked(function: Function) -> Function:
    """Make a function refuse arguments that do not fit its signature.

    Tensors must have the type and the shape of their jaxtyping annotation, where a name
    stands for the same length in all arguments. Numbers must not be NaN, whole numbers
    must be whole, and a sequence of texts must not be one text.

    Args:
        function: with annotations. Under other decorators it must be the innermost.

    Returns:
        The function with these checks before it.

    Raises:
        ValueError: when the function is called with such arguments.

    Examples:
        >>> from jaxtyping import Float
        >>> @checked
        ... def distance(a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> Tensor:
        ...     return (a - b).norm(dim=1)
        >>> distance(torch.zeros(3, 2), torch.zeros(1, 2))
        Traceback (most recent call last):
        ...
        ValueError: distance: b must be (n=3, d=2), not (1, 2)
    """
    signature, hints = inspect.signature(function), {}

    @wraps(function)
    def guarded(*args: object, **kwargs: object) -> object:
        if not hints:
            hints.update(get_type_hints(function))
        given = signature.bind(*args, **kwargs).arguments
        with jaxtyped("context"):
            sizes: dict[str, int] = {}
            for name, value in given.items():
                if name in hints and (fault := _fault(value, hints[name], sizes)):
                    raise ValueError(f"{function.__qualname__}: {name} {fault}")
        return function(*args, **kwargs)

    return guarded


def floating(name: str, values: object) -> None:
    """Refuse what is no tensor of floating numbers.

    Args:
        name: of the argument.
        values: any shape.

    Raises:
        ValueError: for another thing than a tensor, or another type.
    """
    if not isinstance(values, Tensor):
        raise ValueError(
            f"{name} must be a tensor, not {type(values).__name__}: use torch.as_tensor"
        )
    if not values.is_floating_point():
        raise ValueError(
            f"{name} must be floating, not {values.dtype}: {_CONVERT['floating']}"
        )


def finite(name: str, values: Tensor) -> None:
    """Refuse NaN and infinities.

    Args:
        name: of the argument.
        values: any shape; sparse matrices are checked where they are stored.

    Raises:
        ValueError: if a value is NaN or infinite.
    """
    stored = values if values.layout == torch.strided else values.values()
    if not bool(stored.isfinite().all()):
        count = int((~stored.isfinite()).sum())
        raise ValueError(
            f"{name} holds {count} values that are NaN or infinite: mask or repair them"
        )


def within(
    name: str,
    value: float | int,
    low: float | int,
    high: float | int = math.inf,
    *,
    ends: bool = True,
    remedy: str = "",
) -> None:
    """Refuse a number outside an interval, and NaN.

    Args:
        name: of the argument.
        value: the number.
        low: smallest number allowed.
        high: largest number allowed.
        ends: whether `low` and `high` themselves are allowed; infinity never is.
        remedy: what to do, after the message.

    Raises:
        ValueError: if the value lies outside.

    Examples:
        >>> within("dropout", 1.5, 0, 1)
        Traceback (most recent call last):
        ...
        ValueError: dropout must be at least 0 and at most 1, not 1.5
    """
    inside = low <= value <= high if ends else low < value < high
    if inside and math.isfinite(value):
        return
    if math.isinf(high):
        bound = f"{'at least' if ends else 'above'} {low:g}"
        wanted = bound if math.isfinite(value) else f"finite and {bound}"
    elif ends:
        wanted = f"at least {low:g} and at most {high:g}"
    else:
        wanted = f"above {low:g} and below {high:g}"
    raise ValueError(
        f"{name} must be {wanted}, not {value}" + (f": {remedy}" if remedy else "")
    )


def whole(**numbers: float | int) -> None:
    """Refuse numbers that are not whole, where no signature says so: in settings.

    Args:
        numbers: by the names of their arguments.

    Raises:
        ValueError: if one is not of a whole type; 2.0 is not.
    """
    for name, number in numbers.items():
        if not isinstance(number, Integral):
            raise ValueError(f"{name} must be a whole number, not {number!r}")


def alike(**tensors: Tensor) -> None:
    """Refuse tensors of different types or on different devices.

    Args:
        tensors: by the names of their arguments.

    Raises:
        ValueError: if two of them differ.
    """
    (first, one), *others = tensors.items()
    for name, other in others:
        if (other.dtype, other.device) != (one.dtype, one.device):
            raise ValueError(
                f"{first} ({one.dtype} on {one.device}) and {name} ({other.dtype} on "
                f"{other.device}) differ: convert one, as in {name}.to({first})"
            )


def boolean_mask(name: str, mask: Tensor, shape: Sequence[int]) -> None:
    """Refuse masks of another type or shape than the things that they mark.

    Args:
        name: of the argument.
        mask: True marks.
        shape: expected.

    Raises:
        ValueError: for a mask that is not boolean, or of another shape.
    """
    if not isinstance(mask, Tensor):
        raise ValueError(
            f"{name} must be a tensor, not {type(mask).__name__}: use torch.as_tensor"
        )
    if mask.dtype != torch.bool:
        raise ValueError(
            f"{name} must be boolean, not {mask.dtype}: of zeros and ones make it one "
            f"with {name}.bool(), of positions by setting these to True"
        )
    if tuple(mask.shape) == tuple(shape):
        return
    hint = ""
    if mask.dim() == len(shape) + 1 and tuple(mask.shape[:-1]) == tuple(shape):
        hint = f": it holds {mask.shape[-1]} masks; choose one, as in {name}[..., 0]"
    raise ValueError(f"{name} must be {_text(shape)}, not {_text(mask.shape)}{hint}")


def same_length(**lists: Sequence) -> None:
    """Refuse sequences of different lengths, empty ones, and texts in their place.

    Args:
        lists: sequences by the names of their arguments.

    Raises:
        ValueError: if they are not equally many things, at least one each.

    Examples:
        >>> same_length(hypotheses=["a", "b"], references=["a"])
        Traceback (most recent call last):
        ...
        ValueError: hypotheses (2) and references (1) must have the same length
    """
    for name, values in lists.items():
        if isinstance(values, str):
            raise ValueError(f"{name} is one text: give a list of texts, [{name}]")
    if len({len(values) for values in lists.values()}) > 1:
        counts = " and ".join(f"{name} ({len(v)})" for name, v in lists.items())
        raise ValueError(f"{counts} must have the same length")
    if not len(next(iter(lists.values()))):
        raise ValueError(f"{' and '.join(lists)} must not be empty")


@no_type_check  # checked itself, it would forget the lengths of earlier arguments
def _fault(value: object, hint: Any, sizes: dict[str, int]) -> str:
    """Return what is wrong with a value; empty if nothing is."""
    choices = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    arrays = [choice for choice in choices if _describes_tensor(choice)]
    if arrays and isinstance(value, Tensor):
        if any(isinstance(value, choice) for choice in choices):
            _remember(arrays[0], value, sizes)
            return ""
        return _array_fault(value, arrays[0], sizes)
    others = [choice for choice in choices if choice not in arrays]
    if len(choices) > 1 and any(_is_one(value, other) for other in others):
        return ""
    if arrays:
        return f"must be a tensor, not {type(value).__name__}: use torch.as_tensor"
    if hint is int and not isinstance(value, Integral):
        return f"must be a whole number, not {value!r}"
    if hint is float and not _is_number(value):
        return f"must be a number, not {value!r}"
    if get_origin(hint) in (Sequence, list, tuple) and isinstance(value, str):
        return f"must be a sequence, not one text: give [{value!r}]"
    return ""


def _is_one(value: object, hint: Any) -> bool:
    return not isinstance(hint, type) or isinstance(value, hint)


def _describes_tensor(hint: Any) -> bool:
    array = isinstance(hint, type) and issubclass(hint, AbstractArray)
    return array and issubclass(hint.array_type, Tensor)


def _is_number(value: object) -> bool:
    scalar = isinstance(value, Real) or (isinstance(value, Tensor) and not value.dim())
    return scalar and not math.isnan(value)


def _array_fault(value: Tensor, hint: Any, sizes: dict[str, int]) -> str:
    """Return what is wrong with a tensor that does not fit its annotation."""
    types = _types(hint)
    if types and str(value.dtype).removeprefix("torch.") not in types:
        wanted = _kind(hint)
        return f"must be {wanted}, not {value.dtype}: {_CONVERT[wanted]}"
    dims = hint.dim_str.split()
    named = (f"{d}={sizes[d]}" if d in sizes else d for d in dims)
    return f"must be {_text(tuple(named))}, not {_text(value.shape)}"


def _remember(hint: Any, value: Tensor, sizes: dict[str, int]) -> None:
    """Note the lengths that an annotation without a variable part gives its names."""
    dims = hint.dim_str.split()
    if not any(d.startswith(("*", "...")) for d in dims):
        sizes.update(zip(dims, value.shape, strict=False))


def _types(hint: Any) -> tuple[str, ...]:
    """Return the names of an annotation's types; empty if it takes any."""
    return tuple(hint.dtypes) if isinstance(hint.dtypes, list | tuple) else ()


_CONVERT = {
    "floating": "convert it with .float() (images of 0 to 255 also need a scale)",
    "whole numbers": "convert it with .long() if its values are whole",
    "boolean": "convert it with .bool() if it holds zeros and ones",
    "of another type": "see the annotation",
}


def _kind(hint: Any) -> str:
    types = _types(hint)
    if all(name.startswith("bool") for name in types):
        return "boolean"
    if any(name.startswith("float") for name in types):
        return "floating"
    return "whole numbers" if "int64" in types else "of another type"


def _text(shape: Sequence[int | str]) -> str:
    return f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"
