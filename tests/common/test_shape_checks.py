"""The tests check tensor shapes at run time; this one would notice if they stopped."""

import pytest
import torch
from jaxtyping import TypeCheckError

from src.foundations.transformer.attention import scaled_dot_product_attention


def test_a_silent_broadcast_is_an_error():
    query, key = torch.zeros(2, 3, 4), torch.zeros(1, 5, 4)
    with pytest.raises(TypeCheckError):
        scaled_dot_product_attention(query, key, key)
