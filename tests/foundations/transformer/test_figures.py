"""What the chapter draws and compares: attention maps, PyTorch's layers, figures."""

import matplotlib as mpl
import numpy as np
import pytest
import torch

from src.foundations.transformer import figures
from src.foundations.transformer.attention import causal_mask
from src.foundations.transformer.attention_maps import attention_shares, cross_attention
from src.foundations.transformer.language_pair import (
    clause_batch,
    corpus,
    english,
    translation,
    vocabulary,
)
from src.foundations.transformer.layers import DecoderLayer, EncoderLayer, TransformerConfig
from src.foundations.transformer.model import Transformer
from src.foundations.transformer.torch_layers import library_layer

mpl.use("agg")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def network():
    config = TransformerConfig(len(vocabulary()), 16, 2, 4, hidden=32, max_length=64)
    return Transformer(config, generator()).eval()


def test_maps_are_those_of_the_last_decoder_layer(network):
    clauses = corpus(3, generator(1))
    maps = cross_attention(network, clauses)
    batch = clause_batch(clauses)
    assert maps.shape == (3, 4, batch.target.shape[1] - 1, batch.source.shape[1])
    for row, clause in enumerate(clauses):
        length = len(english(clause))
        torch.testing.assert_close(maps[row, :, :, :length].sum(-1), torch.ones(maps.shape[1:3]))
        assert (maps[row, :, :, length:] == 0).all()


def test_shares_of_even_attention_are_counts_of_words(network):
    # With zero queries every source word gets the same weight.
    for layer in network.decoder:
        torch.nn.init.zeros_(layer.cross_attention.query.weight)
    clause = corpus(1, generator(2))[0]
    words, length = translation(clause), len(english(clause))
    heads = {w.controller for w in words if english(clause)[w.controller] not in ("near",)}
    shares = attention_shares(network, [clause])
    torch.testing.assert_close(shares[:, :2], torch.full((4, 2), 1 / length))
    assert shares[0, 2] * length == pytest.approx(round(float(shares[0, 2] * length)))
    assert 1 <= shares[0, 2] * length <= len(heads)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_library_layers_agree_in_double_precision(norm):
    config = TransformerConfig(13, 8, 1, 2, hidden=12, dropout=0.0, norm=norm)
    source = torch.randn(2, 5, 8, generator=generator(3), dtype=torch.float64)
    target = torch.randn(2, 4, 8, generator=generator(4), dtype=torch.float64)
    for seed in range(3):
        torch.manual_seed(seed)
        encoder, decoder = EncoderLayer(config).double(), DecoderLayer(config).double()
        torch.nn.init.normal_(encoder.residuals[0].norm.weight)
        theirs = library_layer(encoder).double()
        torch.testing.assert_close(encoder(source), theirs(source), rtol=0, atol=1e-6)
        mask = causal_mask(4)
        theirs = library_layer(decoder).double()(target, source, tgt_mask=~mask)
        torch.testing.assert_close(decoder(target, source, mask), theirs, rtol=0, atol=1e-6)


def test_interval_of_known_numbers():
    mean, half = figures.mean_and_half_interval(np.array([[1.0], [2.0], [3.0]]))
    assert mean[0] == 2
    assert half[0] == pytest.approx(4.302653 / 3**0.5, rel=1e-6)  # t with two degrees of freedom


def test_figures_draw_what_they_were_given(network):
    clause = corpus(1, generator(5))[0]
    drawn = figures.attention_figure(network, clause, {"one": 0, "two": 3})
    labels = [t.get_text() for t in drawn.axes[0].get_xticklabels()]
    assert labels == english(clause)
    assert drawn.axes[1].get_title() == "head 4: two"
    curves = {m: [[3.0, 2.0], [2.0, 1.0]] for m in figures.MODELS}
    kept = {f"{m} {n}": [0.5, 0.75] for m in figures.MODELS for n in (12, 24)}
    right = figures.reversal_figure(curves, kept).axes[1]
    assert list(right.lines[0].get_ydata()) == [0.625, 0.625]
    assert figures.reversal_figure(curves, {}).axes[0].lines  # before any larger run
    assert len(figures.positions_figure(8).axes) == 3
    losses = {"a": [1.0, 2.0], "b": [2.0, 3.0], "c": [1.5, 1.5], "far": [90.0, 92.0]}
    first = figures.ablation_figure({"loss": losses, "exact": losses}).axes[0]
    assert [t.get_text() for t in first.get_yticklabels()] == ["far", "c", "b", "a"]
    assert [t.get_text() for t in first.texts] == ["91.00 →"]
    assert first.get_xlim()[1] < 10
    assert figures.ablation_figure({"loss": {}, "exact": {}})  # before any larger run
    saturation = figures.saturation_figure((2, 8), {"x": [[1.0, 2.0], [3.0, 4.0]]}).axes[0]
    assert list(saturation.lines[0].get_ydata()) == [1.5, 3.5]
    mpl.pyplot.close("all")
