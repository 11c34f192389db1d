"""The tests check tensor shapes at run time; this one would notice if they stopped."""

import pytest
import torch
from jaxtyping import TypeCheckError

from src.network_embedding.random_walks.skip_gram import pair_gradients


def test_a_silent_broadcast_is_an_error():
    nodes, contexts = torch.zeros(2, 3, 4), torch.zeros(1, 3, 4)
    with pytest.raises(TypeCheckError):
        pair_gradients(nodes, contexts, nodes, 1.0)
