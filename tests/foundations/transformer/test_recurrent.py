"""The recurrent baseline against its equations written out one number at a time."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import functional_call
from torch.nn import functional as F

from src.foundations.transformer.layers import TransformerConfig
from src.foundations.transformer.model import closed_form_parameter_count, parameter_count
from src.foundations.transformer.recurrent import (
    AdditiveAttention,
    RecurrentConfig,
    RecurrentTranslator,
    match_width,
    recurrent_parameter_count,
)
from src.foundations.transformer.training import label_smoothed_loss


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def small(dtype=torch.float64, seed=0, **changes):
    config = RecurrentConfig(**{"vocabulary": 11, "width": 6, "dropout": 0.0, **changes})
    return RecurrentTranslator(config, generator(seed)).to(dtype)


def randomise(model):
    with torch.no_grad():
        for i, parameter in enumerate(model.parameters()):
            noise = torch.randn(parameter.shape, generator=generator(i), dtype=parameter.dtype)
            parameter.add_(0.3 * noise)


def words(batch, length, seed=0):
    return torch.randint(3, 11, (batch, length), generator=generator(seed))


def test_additive_attention_equals_a_plain_loop():
    attention = AdditiveAttention(state_width=4, memory_width=3, width=5).double()
    state = torch.randn(2, 4, generator=generator(1), dtype=torch.float64)
    memory = torch.randn(2, 6, 3, generator=generator(2), dtype=torch.float64)
    mask = torch.arange(6) < torch.tensor([[6], [4]])
    context, weights = attention(state, attention.memory(memory), memory, mask)
    for b, length in enumerate([6, 4]):
        energies = []
        for s in range(length):
            inner = attention.state.weight @ state[b] + attention.memory.weight @ memory[b, s]
            energies.append((attention.energy.weight[0] @ inner.tanh()).item())
        total = sum(math.exp(e) for e in energies)
        expected = torch.zeros(3, dtype=torch.float64)
        for s in range(length):
            probability = math.exp(energies[s]) / total
            assert weights[b, s].item() == pytest.approx(probability, abs=1e-12)
            expected += probability * memory[b, s]
        torch.testing.assert_close(context[b], expected, rtol=0, atol=1e-12)
    assert (weights[1, 4:] == 0).all()


def gru_cell(weight_ih, weight_hh, bias_ih, bias_hh, x, h):
    """One step of a GRU from its equations (PyTorch's order of gates: reset, update, new)."""
    from_x = (weight_ih @ x + bias_ih).chunk(3)
    from_h = (weight_hh @ h + bias_hh).chunk(3)
    reset, update = (from_x[0] + from_h[0]).sigmoid(), (from_x[1] + from_h[1]).sigmoid()
    new = (from_x[2] + reset * from_h[2]).tanh()
    return (1 - update) * new + update * h


def weights_of(module, suffix=""):
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return [getattr(module, name + suffix) for name in names]


def encode_by_hand(model, inputs):
    """Memory vectors, one a source position: layer by layer, both directions."""
    for layer in range(model.config.layers):
        directions = []
        for suffix, order in ((f"_l{layer}", 1), (f"_l{layer}_reverse", -1)):
            state, states = torch.zeros(model.config.width, dtype=torch.float64), []
            for x in inputs[::order]:
                state = gru_cell(*weights_of(model.encoder, suffix), x, state)
                states.append(state)
            directions.append(states[::order])
        inputs = [torch.cat(pair) for pair in zip(*directions, strict=True)]
    return inputs


@pytest.mark.parametrize("layers", [1, 2])
@torch.no_grad()
def test_forward_equals_the_equations_written_out(layers):
    model = small(layers=layers)
    randomise(model)
    source, target_in, width = [4, 9, 3, 7], [1, 5, 5, 8, 10], model.config.width
    embedding, attention = model.embedding.weight, model.attention
    memory = encode_by_hand(model, [embedding[token] * width**0.5 for token in source])
    states = list(
        (model.bridge.weight @ memory[0][width:] + model.bridge.bias).tanh().chunk(layers)
    )
    expected = []
    for token in target_in:
        y = embedding[token] * width**0.5
        inner = [attention.state.weight @ states[-1] + attention.memory.weight @ h for h in memory]
        energies = torch.stack([attention.energy.weight[0] @ i.tanh() for i in inner])
        context = sum(p * h for p, h in zip(energies.softmax(0), memory, strict=True))
        x = torch.cat([y, context])
        for layer, cell in enumerate(model.cells):
            x = states[layer] = gru_cell(*weights_of(cell), x, states[layer])
        out = model.output.weight @ torch.cat([x, context, y]) + model.output.bias
        expected.append(embedding @ out.tanh())
    logits = model(torch.tensor([source]), torch.tensor([target_in]))
    torch.testing.assert_close(logits[0], torch.stack(expected), rtol=0, atol=1e-12)


@pytest.mark.parametrize("layers", [1, 3])
def test_no_logit_sees_a_later_target_token(layers):
    model, source, target = small(layers=layers), words(2, 5), words(2, 6, seed=1)
    before = model(source, target)
    for t in range(1, 6):
        changed = target.clone()
        changed[:, t] = 3 + (changed[:, t] - 2) % 8
        after = model(source, changed)
        assert torch.equal(after[:, :t], before[:, :t])
        assert not torch.allclose(after[:, t:], before[:, t:])


@pytest.mark.parametrize("layers", [1, 2])
def test_padding_changes_nothing(layers):
    model, source, target = small(layers=layers), words(3, 5), words(3, 4, seed=1)
    source[1, 2:] = 0
    output = model(F.pad(source, (0, 4)), F.pad(target, (0, 3)))[:, :4]
    torch.testing.assert_close(output, model(source, target), rtol=0, atol=1e-12)
    alone = model(source[1:2, :2], target[1:2])
    torch.testing.assert_close(output[1:2], alone, rtol=0, atol=1e-12)


def test_a_source_of_padding_only_gives_finite_numbers():
    assert small()(torch.zeros(2, 4, dtype=torch.long), words(2, 3)).isfinite().all()


def test_gradients_equal_finite_differences():
    model = small(vocabulary=5, width=3, layers=2)
    names = [name for name, _ in model.named_parameters()]
    source, target = torch.tensor([[3, 4, 0], [4, 3, 3]]), torch.tensor([[1, 3], [1, 4]])

    def loss(*parameters):
        logits = functional_call(model, dict(zip(names, parameters, strict=True)), (source, target))
        return label_smoothed_loss(logits, torch.tensor([[3, 2], [4, 0]]), 0.1, 0)

    parameters = [p.detach().clone().requires_grad_() for p in model.parameters()]
    assert torch.autograd.gradcheck(loss, parameters, fast_mode=True)


@settings(deadline=None, max_examples=25)
@given(vocabulary=st.integers(3, 50), width=st.integers(1, 20), layers=st.integers(1, 3))
def test_parameter_count_equals_the_closed_form(vocabulary, width, layers):
    config = RecurrentConfig(vocabulary, width, layers)
    assert parameter_count(RecurrentTranslator(config)) == recurrent_parameter_count(config)


@settings(deadline=None, max_examples=50)
@given(
    vocabulary=st.integers(10, 8000),
    half=st.integers(24, 256),
    layers=st.integers(1, 6),
    recurrent_layers=st.integers(1, 2),
)
def test_matched_width_is_the_nearest_and_within_three_percent(
    vocabulary, half, layers, recurrent_layers
):
    width = 2 * half
    transformer = TransformerConfig(vocabulary, width, layers, heads=2, hidden=4 * width)
    target = closed_form_parameter_count(transformer)
    config = match_width(RecurrentConfig(vocabulary, layers=recurrent_layers, dropout=0.3), target)
    assert config.dropout == 0.3 and config.layers == recurrent_layers
    neighbours = [
        RecurrentConfig(vocabulary, w, recurrent_layers)
        for w in (config.width - 1, config.width, config.width + 1)
    ]
    below, best, above = (abs(recurrent_parameter_count(c) - target) for c in neighbours)
    assert best <= below and best <= above and best <= 0.03 * target


def test_a_target_that_no_width_meets_is_refused():
    with pytest.raises(ValueError, match="no width comes within 3 % of 100 parameters"):
        match_width(RecurrentConfig(vocabulary=10), 100)


def test_initial_weights_come_from_the_generator():
    torch.manual_seed(0)
    model = small(seed=5)
    torch.manual_seed(1)
    again, other = small(seed=5), small(seed=6)
    state = model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in again.state_dict().items())
    assert not torch.equal(state["cells.0.weight_ih"], other.cells[0].weight_ih)
    for gate in state["cells.0.weight_hh"].chunk(3):
        identity = torch.eye(6, dtype=torch.float64)
        torch.testing.assert_close(gate @ gate.T, identity, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, "width must be at least 1"),
        ({"layers": 0}, "layers must be at least 1"),
        ({"dropout": -0.1}, r"dropout must be in \[0, 1\)"),
        ({"bos": 0}, "three different tokens"),
    ],
)
def test_settings_that_make_no_model_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        RecurrentConfig(**{"vocabulary": 11, **changes})


def test_dropout_acts_in_training_only():
    model = small(dropout=0.5, layers=2)
    source, target = words(2, 5), words(2, 4)
    assert not torch.equal(model(source, target), model(source, target))
    model.eval()
    assert torch.equal(model(source, target), model(source, target))


def test_dropout_falls_on_inputs_between_layers_and_on_the_output():
    model, share = small(dropout=0.3, layers=2, width=64), 0.3
    assert model.encoder.dropout == share
    dropped = []
    model.cells[1].register_forward_pre_hook(lambda cell, given: dropped.append(given[0]))
    source, target = words(20, 5), words(20, 6, seed=1)
    torch.manual_seed(0)
    places = {
        "inputs": model.embed(source),
        "output": model.decode(target, model.encode(source), source),
        "between layers": torch.stack(dropped),
    }
    for place, values in places.items():
        missing = float((values == 0).double().mean())
        assert missing == pytest.approx(share, abs=0.03), place


def test_it_learns_to_copy():
    model = small(torch.float32, width=16)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(150):
        source = words(32, 4, seed=step)
        target_in = F.pad(source[:, :-1], (1, 0), value=1)
        loss = label_smoothed_loss(model(source, target_in), source, 0.0, 0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.3 < math.log(8)  # guessing costs log 8 = 2.08
