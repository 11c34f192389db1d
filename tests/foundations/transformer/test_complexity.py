import pytest
import torch

from src.foundations.transformer.complexity import (
    graph_lengths,
    operations,
    random_scores,
    recurrent,
    self_attention,
    softmax_gradient,
)


def test_chains_of_a_known_graph():
    def layer(inputs):
        total = inputs[0] * 2  # one operation, then one addition a position
        for x in inputs[1:]:
            total = total + x
        return [total]

    assert graph_lengths(layer, 3, 4) == (3, 3)
    assert graph_lengths(layer, 9, 4) == (9, 9)


def test_a_short_cut_shortens_the_path_but_not_the_chain():
    def layer(inputs):
        return [inputs[0] + inputs[0].exp().exp().exp() + inputs[-1]]

    assert graph_lengths(layer, 3, 4) == (5, 2)


def test_attention_is_constant_and_recurrence_grows_linearly():
    attention = [graph_lengths(self_attention(8, 2), n, 8) for n in (2, 5, 20)]
    assert len(set(attention)) == 1
    chains, paths = zip(*(graph_lengths(recurrent(8), n, 8) for n in (10, 20, 30)), strict=True)
    assert chains[1] - chains[0] == chains[2] - chains[1] >= 10
    assert paths[1] - paths[0] == paths[2] - paths[1] >= 10


@pytest.mark.parametrize("length", [3, 16])
def test_operations_of_a_layer_match_the_closed_form(length):
    assert operations(self_attention(8, 2), length, 8) == 8 * length * 64 + 4 * length**2 * 8


def test_softmax_gradient_of_known_distributions():
    even = softmax_gradient(torch.zeros(5, 4))
    assert even == pytest.approx((1 / 4 * 3 / 4) ** 0.5)  # trace of (I/4 - 1/16)^2 is 3/16
    assert softmax_gradient(torch.tensor([[100.0, 0.0, 0.0]])) == pytest.approx(0, abs=1e-6)


def test_variance_of_the_scores_is_the_key_width():
    for key_width in (4, 64):
        scores = random_scores(key_width, 400, 400, torch.Generator().manual_seed(0))
        assert scores.var().item() == pytest.approx(key_width, rel=0.1)
