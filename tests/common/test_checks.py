"""Checks of arguments: what they refuse, what they take, and what they say."""

import math
from collections.abc import Sequence

import pytest
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from src.common.checks import alike, boolean_mask, checked, finite, same_length, within


@checked
def example(
    x: Float[Tensor, "nodes features"],
    y: Shaped[Tensor, " nodes *labels"],
    mask: Bool[Tensor, " nodes"] | None = None,
    steps: int = 3,
    share: float = 0.5,
    names: Sequence[str] = (),
) -> str:
    """An example."""
    return "taken"


X, Y = torch.zeros(3, 2), torch.zeros(3, dtype=torch.long)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X.int()}, "x must be floating, not torch.int32: convert it with .float()"),
        ({"x": X[None]}, r"x must be \(nodes, features\), not \(1, 3, 2\)"),
        ({"x": [[1.0]]}, "x must be a tensor, not list: use torch.as_tensor"),
        ({"y": Y[:2]}, r"y must be \(nodes=3, \*labels\), not \(2,\)"),
        ({"mask": Y}, "mask must be boolean, not torch.int64: convert it with .bool()"),
        ({"mask": torch.ones(3, 10).bool()}, r"mask must be \(nodes=3,\), not \(3, 10\)"),
        ({"steps": 2.5}, "steps must be a whole number, not 2.5"),
        ({"share": math.nan}, "share must be a number, not nan"),
        ({"share": "half"}, "share must be a number, not 'half'"),
        ({"names": "abc"}, r"names must be a sequence, not one text: give \['abc'\]"),
    ],
)
def test_what_does_not_fit_the_signature_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match="example: " + message):
        example(**({"x": X, "y": Y} | change))


@pytest.mark.parametrize(
    "change",
    [
        {"x": X.double()},
        {"x": X.half()},
        {"y": torch.ones(3, 4)},
        {"mask": torch.ones(3).bool()},
        {"mask": None},
        {"share": 1},
        {"share": torch.tensor(0.5)},
        {"names": ["a"]},
    ],
)
def test_what_fits_is_taken(change):
    assert example(**({"x": X, "y": Y} | change)) == "taken"


def test_lengths_of_one_call_do_not_bind_the_next():
    assert example(X, Y) == example(X[:2], Y[:2]) == "taken"
    assert example.__name__ == "example" and example.__doc__ == "An example."


def test_methods_are_checked_too():
    class Model:
        @checked
        def __call__(self, x: Int[Tensor, " n"]) -> Tensor:
            return x

    with pytest.raises(ValueError, match="x must be whole numbers, not"):
        Model()(X[0])


@pytest.mark.parametrize("value", [-1, 1.5, math.nan, math.inf])
def test_numbers_outside_an_interval(value):
    with pytest.raises(ValueError, match=f"p must be at least 0 and at most 1, not {value}: try"):
        within("p", value, 0, 1, remedy="try 0.5")
    within("p", 0, 0, 1)
    within("p", 1, 0, 1)


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_numbers_without_an_upper_end(value):
    with pytest.raises(ValueError, match=rf"q must be (finite and )?above 0, not {value}"):
        within("q", value, 0, ends=False)
    within("q", 1e30, 0, ends=False)


def test_ends_can_be_excluded():
    with pytest.raises(ValueError, match="above 0 and below 1, not 1"):
        within("share", 1, 0, 1, ends=False)


def test_values_that_are_not_finite_are_counted():
    finite("x", X)
    with pytest.raises(ValueError, match="x holds 2 values that are NaN or infinite"):
        finite("x", torch.tensor([1.0, math.nan, -math.inf]))
    sparse = torch.tensor([[1.0, math.nan]]).to_sparse_csr()
    with pytest.raises(ValueError, match="1 values"):
        finite("x", sparse)


def test_masks_are_boolean_and_one_at_a_time():
    boolean_mask("train", torch.ones(3).bool(), (3,))
    with pytest.raises(
        ValueError, match=r"it holds 10 masks; choose one, as in train\[\.\.\., 0\]"
    ):
        boolean_mask("train", torch.ones(3, 10).bool(), (3,))
    with pytest.raises(ValueError, match=r"train must be \(3,\), not \(4,\)"):
        boolean_mask("train", torch.ones(4).bool(), (3,))
    with pytest.raises(ValueError, match="train must be boolean, not"):
        boolean_mask("train", Y, (3,))


def test_lists_that_belong_together():
    same_length(a=[1], b=[2])
    with pytest.raises(ValueError, match=r"a \(1\) and b \(2\) must have the same length"):
        same_length(a=[1], b=[1, 2])
    with pytest.raises(ValueError, match="a and b must not be empty"):
        same_length(a=[], b=[])
    with pytest.raises(ValueError, match=r"b is one text: give a list of texts, \[b\]"):
        same_length(a=["x"], b="x")


def test_types_that_belong_together():
    alike(a=X, b=X)
    with pytest.raises(
        ValueError, match=r"b \(torch.float64 on cpu\) differ: convert one, as in b"
    ):
        alike(a=X, b=X.double())
