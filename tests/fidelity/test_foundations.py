"""The Transformer's parts against PyTorch, the Annotated Transformer, NLTK and enumeration.

Two numbers document where ours departs from a program. PyTorch spreads the smoothing over all
tokens, as ours does; the Annotated Transformer spreads it over all but the right one and the
padding. And the authors' program, tensor2tensor, puts all sines before all cosines and spaces the
frequencies in another way than the paper and ours.
"""

from types import SimpleNamespace

import torch

from src.foundations.transformer.attention import causal_mask, sinusoidal_positions
from src.foundations.transformer.decoding import beam_search
from src.foundations.transformer.layers import DecoderLayer, EncoderLayer, TransformerConfig
from src.foundations.transformer.training import label_smoothed_loss, warmup_schedule
from src.foundations.transformer.translation import bleu
from tests.fidelity.stored import agree, comparisons, difference


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def positions(length, width):
    return {"table": sinusoidal_positions(length, width)}


def learning_rate(steps, width, warmup):
    return {"rates": [warmup_schedule(step, width, warmup) for step in steps]}


def label_smoothing(logits, target, smoothing, pad):
    logits = double(logits).requires_grad_()
    loss = label_smoothed_loss(logits, torch.tensor(target), smoothing, pad)
    loss.backward()
    return {"loss": loss.detach(), "gradient": logits.grad}


@torch.no_grad()
def give(layer, weights):
    """Copy PyTorch's parameters into a layer of ours."""

    def copy(parameters, values):
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(double(value))

    for name in ("self", "cross"):
        if name in weights:
            attention, (joint, output) = getattr(layer, f"{name}_attention"), weights[name]
            parts = double(joint).chunk(3)
            for part, value in zip(("query", "key", "value"), parts, strict=True):
                getattr(attention, part).weight.copy_(value)
            attention.output.weight.copy_(double(output))
    inner, outer = layer.feed_forward.inner, layer.feed_forward.outer
    copy([inner.weight, inner.bias, outer.weight, outer.bias], weights["feed_forward"])
    for residual, values in zip(layer.residuals, weights["norms"], strict=True):
        copy([residual.norm.weight, residual.norm.bias], values)
    return layer


def transformer_layer(kind, norm, heads, weights, x, memory=None):
    x, hidden = double(x), len(weights["feed_forward"][0])
    config = TransformerConfig(
        9, width=x.shape[-1], layers=1, heads=heads, hidden=hidden, dropout=0.0, norm=norm
    )
    layer = {"encoder": EncoderLayer, "decoder": DecoderLayer}[kind](config).double().eval()
    seen = torch.tensor([True, True, True, False])[None, None, None]  # the last one is padding
    layer = give(layer, weights)
    with torch.no_grad():
        if kind == "encoder":
            return {"output": layer(x, seen)[0, :3]}
        return {"output": layer(x, double(memory), causal_mask(x.shape[1]), seen)[0]}


def translation_score(hypotheses, references):
    return {"score": bleu(hypotheses, references)[0]}


class Chain:
    """A model whose next token depends on the last one only."""

    config = SimpleNamespace(pad=0, bos=1, eos=2)

    def __init__(self, table):
        self.table = double(table)

    def start(self, source):
        return self

    def reorder(self, index):
        return self

    def step(self, tokens, state):
        return self.table[tokens], state

    def encode(self, source):
        return source[..., None].double()

    def decode(self, target_in, memory, source):
        return self.table[target_in]

    def logits(self, x):
        return x


def best_sequence(logits, alpha, max_length, beam):
    model, source = Chain(logits), torch.tensor([[3]])
    found = beam_search(model, source, beam, alpha, max_length, cached=True)
    assert torch.equal(found, beam_search(model, source, beam, alpha, max_length, cached=False))
    return {"tokens": found[0]}


METHODS = {
    "positions": positions,
    "learning rate": learning_rate,
    "label smoothing": label_smoothing,
    "layer": transformer_layer,
    "BLEU": translation_score,
    "beam search": best_sequence,
}


@comparisons("foundations", METHODS)
def test_well_known_programs_give_the_same(method, stored):
    agree(method, stored, "annotated", "tensor2tensor")
    outputs = stored["outputs"]
    if "annotated" in outputs:
        assert difference(outputs["loss"], outputs["annotated"]) > 1e-3, "said to be different"
    if "tensor2tensor" in outputs:
        theirs = double(outputs["tensor2tensor"])
        sines, cosines = double(outputs["table"]).unflatten(1, (-1, 2)).unbind(2)
        assert difference(sines[:, 0], theirs[:, 0]) < stored["tolerance"]
        assert difference(torch.cat([sines, cosines], 1), theirs) > 0.01, "said to be different"
