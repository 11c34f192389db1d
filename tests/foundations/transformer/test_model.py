"""The Transformer against PyTorch's own layers, its invariances, and the paper's formulas."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from src.foundations.transformer.attention import MultiHeadAttention, causal_mask
from src.foundations.transformer.layers import DecoderLayer, EncoderLayer, TransformerConfig
from src.foundations.transformer.model import (
    Transformer,
    closed_form_parameter_count,
    parameter_count,
)
from src.foundations.transformer.training import (
    average_checkpoints,
    label_smoothed_loss,
    warmup_schedule,
)

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
SMALL = {"vocabulary": 11, "width": 16, "layers": 2, "heads": 4, "hidden": 24, "dropout": 0.0}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=generator(seed), dtype=dtype)


def words(batch, length, seed=0):
    """Random tokens without pad, bos and eos."""
    return torch.randint(3, SMALL["vocabulary"], (batch, length), generator=generator(seed))


def small(dtype=torch.float64, seed=0, **changes):
    return Transformer(TransformerConfig(**{**SMALL, **changes}), generator(seed)).to(dtype)


def randomise(module, seed=0):
    """Random values everywhere, also in norms and biases, which start as ones and zeros."""
    with torch.no_grad():
        for i, parameter in enumerate(module.parameters()):
            parameter.add_(0.3 * normal(*parameter.shape, seed=seed + i, dtype=parameter.dtype))


def copy_weights(ours, theirs):
    """Copies one of our layers into the `nn` layer of the same kind."""
    pairs = [(ours.feed_forward.inner, theirs.linear1), (ours.feed_forward.outer, theirs.linear2)]
    pairs += [(r.norm, getattr(theirs, f"norm{i + 1}")) for i, r in enumerate(ours.residuals)]
    for a, b in pairs:
        b.load_state_dict(a.state_dict())
    copy_attention(ours.self_attention, theirs.self_attn)
    if isinstance(ours, DecoderLayer):
        copy_attention(ours.cross_attention, theirs.multihead_attn)


def copy_attention(ours, theirs):
    with torch.no_grad():
        theirs.in_proj_weight.copy_(
            torch.cat([ours.query.weight, ours.key.weight, ours.value.weight])
        )
        theirs.out_proj.weight.copy_(ours.output.weight)
        theirs.in_proj_bias.zero_()
        theirs.out_proj.bias.zero_()


def layer_pair(kind, norm, fused, dtype):
    config = TransformerConfig(**SMALL, norm=norm, fused=fused)
    ours = {"encoder": EncoderLayer, "decoder": DecoderLayer}[kind](config).to(dtype)
    randomise(ours)
    torch_kind = {"encoder": nn.TransformerEncoderLayer, "decoder": nn.TransformerDecoderLayer}
    theirs = torch_kind[kind](
        16, 4, 24, dropout=0.0, batch_first=True, norm_first=norm == "pre", dtype=dtype
    )
    copy_weights(ours, theirs)
    return ours, theirs


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("norm", ["post", "pre"])
def test_encoder_layer_equals_torch_layer(norm, fused, dtype, training):
    ours, theirs = layer_pair("encoder", norm, fused, dtype)
    ours.train(training), theirs.train(training)
    x = normal(3, 6, 16, dtype=dtype)
    keep = torch.arange(6) < torch.tensor([6, 4, 1])[:, None]
    with torch.set_grad_enabled(training):  # without gradients PyTorch takes its fast path
        output, expected = ours(x, keep[:, None, None]), theirs(x, src_key_padding_mask=~keep)
    torch.testing.assert_close(output[keep], expected[keep], rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("norm", ["post", "pre"])
def test_decoder_layer_equals_torch_layer(norm, dtype):
    ours, theirs = layer_pair("decoder", norm, False, dtype)
    x, memory = normal(3, 5, 16, dtype=dtype), normal(3, 6, 16, seed=1, dtype=dtype)
    keep = torch.arange(6) < torch.tensor([6, 4, 1])[:, None]
    output = ours(x, memory, causal_mask(5), keep[:, None, None])
    expected = theirs(
        x, memory, tgt_mask=~causal_mask(5), memory_key_padding_mask=~keep, tgt_is_causal=True
    )
    torch.testing.assert_close(output, expected, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")  # about a fast path we do not use
@pytest.mark.parametrize("norm", ["post", "pre"])
def test_whole_model_equals_torch_transformer(norm):
    """`nn.Transformer` ends both stacks with a norm in post-norm mode too: removed there."""
    ours = small(norm=norm)
    randomise(ours)
    theirs = nn.Transformer(
        16, 4, 2, 2, 24, 0.0, batch_first=True, norm_first=norm == "pre", dtype=torch.float64
    )
    for stack, torch_stack in ((ours.encoder, theirs.encoder), (ours.decoder, theirs.decoder)):
        for layer, torch_layer in zip(stack, torch_stack.layers, strict=True):
            copy_weights(layer, torch_layer)
    if norm == "post":
        theirs.encoder.norm = theirs.decoder.norm = None
    else:
        theirs.encoder.norm.load_state_dict(ours.encoder_norm.state_dict())
        theirs.decoder.norm.load_state_dict(ours.decoder_norm.state_dict())
    source, target = words(3, 7), words(3, 5, seed=1)
    source[1, 4:] = 0
    expected = theirs(
        ours.embed(source),
        ours.embed(target),
        tgt_mask=~causal_mask(5),
        src_key_padding_mask=source == 0,
        memory_key_padding_mask=source == 0,
    )
    output = ours.decode(target, ours.encode(source), source)
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-12)
    logits = ours(source, target)
    torch.testing.assert_close(logits, expected @ ours.embedding.weight.T, rtol=0, atol=1e-12)


VARIANTS = [
    {"norm": norm, "positions": positions, "fused": fused}
    for norm in ("post", "pre")
    for positions in ("sinusoidal", "learned", "none")
    for fused in (False, True)
]


@pytest.mark.parametrize("changes", VARIANTS, ids=lambda c: "-".join(map(str, c.values())))
def test_no_logit_sees_a_later_target_token(changes):
    model, source, target = small(**changes), words(2, 5), words(2, 6, seed=1)
    before = model(source, target)
    for t in range(1, 6):
        changed = target.clone()
        changed[:, t] = 3 + (changed[:, t] - 2) % 8
        after = model(source, changed)
        assert torch.equal(after[:, :t], before[:, :t])
        assert not torch.allclose(after[:, t:], before[:, t:])


def test_jacobian_of_the_decoder_is_block_lower_triangular():
    layer = DecoderLayer(TransformerConfig(**SMALL)).double()
    memory = normal(1, 3, 16, seed=1)
    jacobian = torch.func.jacrev(lambda x: layer(x, memory, causal_mask(4))[0])(normal(1, 4, 16))
    size = jacobian[:, :, 0].abs().amax((1, 3))  # (output position, input position)
    assert (size.triu(1) == 0).all() and (size.tril().diagonal() > 0).all()
    assert (size[torch.tril_indices(4, 4).unbind()] > 0).all()


@pytest.mark.parametrize("changes", VARIANTS, ids=lambda c: "-".join(map(str, c.values())))
def test_padding_changes_nothing(changes):
    model, source, target = small(**changes), words(3, 5), words(3, 4, seed=1)
    padded_source, padded_target = F.pad(source, (0, 4)), F.pad(target, (0, 3))
    expected = model(source, target)
    output = model(padded_source, padded_target)[:, :4]
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-12)


def test_a_source_of_padding_only_gives_finite_numbers():
    model = small()
    logits = model(torch.zeros(2, 4, dtype=torch.long), words(2, 3))
    logits.sum().backward()
    assert logits.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@settings(deadline=None, max_examples=20)
@given(length=st.integers(2, 8), seed=st.integers(0, 1000))
def test_without_positions_the_encoder_is_permutation_equivariant(length, seed):
    model, source = small(positions="none"), words(2, length, seed)
    order = torch.randperm(length, generator=generator(seed))
    permuted = model.encode(source[:, order])
    torch.testing.assert_close(permuted, model.encode(source)[:, order], rtol=0, atol=1e-12)


@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
def test_with_positions_the_order_matters(positions):
    model = small(positions=positions)
    source = torch.tensor([[3, 4, 5, 6]])
    difference = model.encode(source.flip(1)) - model.encode(source).flip(1)
    assert difference.abs().max() > 0.1


@settings(deadline=None, max_examples=25)
@given(
    vocabulary=st.integers(3, 40),
    layers=st.integers(1, 3),
    heads=st.integers(1, 4),
    each=st.integers(1, 4),
    key_width=st.none() | st.integers(1, 9),
    hidden=st.integers(1, 30),
    norm=st.sampled_from(["post", "pre"]),
    positions=st.sampled_from(["sinusoidal", "learned", "none"]),
)
def test_parameter_count_equals_the_closed_form(heads, each, **changes):
    config = TransformerConfig(heads=heads, width=2 * heads * each, max_length=7, **changes)
    assert parameter_count(Transformer(config)) == closed_form_parameter_count(config)


def test_parameter_counts_of_the_paper():
    """63.0 M and 214.2 M with 37,000 pieces; Table 3 row B, d_k = 16: 7.1 M less than base."""
    base = closed_form_parameter_count(TransformerConfig(37_000))
    d, hidden, n = 512, 2048, 6
    layer = 2 * d * hidden + hidden + d
    assert base == 37_000 * d + n * (4 * d**2 + layer + 4 * d) + n * (8 * d**2 + layer + 6 * d)
    assert base / 1e6 == pytest.approx(63.0, abs=0.05)
    big = TransformerConfig(37_000, width=1024, heads=16, hidden=4096)
    assert closed_form_parameter_count(big) / 1e6 == pytest.approx(214.2, abs=0.05)
    narrow = closed_form_parameter_count(TransformerConfig(37_000, key_width=16))
    assert (base - narrow) / 1e6 == pytest.approx(7.1, abs=0.05)


def test_gradient_of_the_tied_matrix_is_the_sum_of_its_three_uses():
    source, target, answer = words(2, 5), words(2, 4, seed=1), words(2, 4, seed=2)
    model = small()
    label_smoothed_loss(model(source, target), answer, 0.1, 0).backward()
    tied = model.embedding.weight.grad

    roles = [nn.Embedding.from_pretrained(model.embedding.weight.data.clone(), False)
             for _ in range(3)]  # fmt: skip
    model.embedding = roles[0]
    memory = model.encode(source)
    model.embedding = roles[1]
    x = model.decode(target, memory, source)
    model.embedding = roles[2]
    label_smoothed_loss(model.logits(x), answer, 0.1, 0).backward()
    assert all(role.weight.grad.abs().sum() > 0 for role in roles)
    torch.testing.assert_close(sum(r.weight.grad for r in roles), tied, rtol=0, atol=1e-12)


def test_gradients_of_a_tiny_model_equal_finite_differences():
    model = small(vocabulary=5, width=4, heads=2, hidden=5, layers=1)
    randomise(model)
    names = [name for name, _ in model.named_parameters()]
    source, target = torch.tensor([[3, 4, 0]]), torch.tensor([[1, 3, 4]])

    def loss(*parameters):
        logits = functional_call(model, dict(zip(names, parameters, strict=True)), (source, target))
        return label_smoothed_loss(logits, torch.tensor([[3, 4, 2]]), 0.1, 0)

    parameters = [p.detach().clone().requires_grad_() for p in model.parameters()]
    assert torch.autograd.gradcheck(loss, parameters, fast_mode=True)


def test_initial_weights_come_from_the_generator_and_have_the_stated_scale():
    config = TransformerConfig(500, width=64, layers=1, heads=4, hidden=64, positions="learned")
    torch.manual_seed(0)
    model = Transformer(config, generator(5))
    torch.manual_seed(1)
    again, other = Transformer(config, generator(5)), Transformer(config, generator(6))
    state = model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in again.state_dict().items())
    assert not torch.equal(state["embedding.weight"], other.embedding.weight)
    assert model.embedding.weight.std().item() == pytest.approx(1 / 8, rel=0.02)
    assert model.positions.std().item() == pytest.approx(0.5**0.5, rel=0.02)
    assert state["encoder.0.self_attention.query.weight"].abs().max() <= (6 / 128) ** 0.5
    assert (state["encoder.0.feed_forward.inner.bias"] == 0).all()


def test_inputs_are_scaled_embeddings_plus_positions():
    model = small(torch.float32)
    tokens = words(2, 5)
    angle = 3 / 10000 ** (4 / 16)
    expected = 4 * model.embedding.weight[tokens[1, 3], 5] + math.cos(angle)
    assert model.embed(tokens)[1, 3, 5].item() == pytest.approx(expected.item(), abs=1e-6)
    torch.testing.assert_close(model.embed(tokens)[:, 3:], model.embed(tokens[:, 3:], first=3))
    assert not any("positions" in name for name in model.state_dict())


def test_dropout_acts_in_training_only():
    model = small(dropout=0.5)
    source, target = words(2, 5), words(2, 4)
    assert not torch.equal(model(source, target), model(source, target))
    model.eval()
    assert torch.equal(model(source, target), model(source, target))


def test_unscaled_and_key_width_settings_reach_every_attention():
    model = small(scaled=False, key_width=3, fused=True)
    attentions = [m for m in model.modules() if isinstance(m, MultiHeadAttention)]
    assert len(attentions) == 6
    for attention in attentions:
        assert attention.scale == 1.0 and attention.fused
        assert attention.query.weight.shape == (12, 16) and attention.value.weight.shape == (16, 16)
    assert small(key_width=3).encoder[0].self_attention.scale == pytest.approx(3**-0.5)


def test_too_long_sequences_are_refused():
    model = small(max_length=4)
    with pytest.raises(ValueError, match="sequence of 5 tokens, but max_length is 4"):
        model(words(1, 5), words(1, 3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 18}, "width 18 is not a multiple of heads 4"),
        ({"heads": 0}, "heads must be at least 1"),
        ({"layers": 0}, "layers must be at least 1"),
        ({"key_width": 0}, "key_width must be at least 1 or None"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
        ({"norm": "middle"}, "unknown norm 'middle'; valid: post, pre"),
        ({"positions": "rotary"}, "valid: sinusoidal, learned, none"),
        ({"width": 5, "heads": 1}, "even width, got 5"),
        ({"eos": 1}, "three different tokens"),
        ({"eos": 11}, "below vocabulary = 11"),
    ],
)
def test_settings_that_make_no_model_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        TransformerConfig(**{**SMALL, **changes})


@settings(deadline=None, max_examples=30)
@given(
    smoothing=st.floats(0, 0.9),
    vocabulary=st.integers(2, 12),
    seed=st.integers(0, 1000),
)
def test_loss_equals_torch_cross_entropy(smoothing, vocabulary, seed):
    logits = 3 * normal(4, 6, vocabulary, seed=seed)
    target = torch.randint(0, vocabulary, (4, 6), generator=generator(seed))
    target[0, 0] = 1
    loss = label_smoothed_loss(logits, target, smoothing, pad=0)
    expected = F.cross_entropy(
        logits.flatten(0, 1), target.flatten(), ignore_index=0, label_smoothing=smoothing
    )
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12)


def test_smoothed_loss_is_least_at_the_smoothed_target():
    """There it equals the target's entropy; 0.526 nats for V = 12, smoothing 0.1."""
    target = torch.tensor([4])
    q = torch.full((1, 12), 0.1 / 12, dtype=torch.float64)
    q[0, 4] += 0.9
    entropy = -(q * q.log()).sum().item()
    assert entropy == pytest.approx(0.526, abs=5e-4)
    assert label_smoothed_loss(q.log(), target, 0.1, 0).item() == pytest.approx(entropy)

    logits = normal(1, 12).requires_grad_()
    loss = label_smoothed_loss(logits, target, 0.1, 0)
    loss.backward()
    assert loss.item() > entropy
    torch.testing.assert_close(logits.grad, logits.softmax(-1).detach() - q, rtol=0, atol=1e-12)


@pytest.mark.parametrize("warmup", [1, 100, 4000])
def test_schedule_rises_linearly_and_falls_as_inverse_square_root(warmup):
    rates = [warmup_schedule(step, 512, warmup) for step in range(1, 4 * warmup + 1)]
    peak = (512 * warmup) ** -0.5
    assert max(rates) == rates[warmup - 1] == pytest.approx(peak)
    assert rates[4 * warmup - 1] == pytest.approx(peak / 2)
    assert rates[0] == pytest.approx(peak / warmup)
    if warmup > 1:
        assert rates[warmup // 2 - 1] == pytest.approx(peak / 2)
    assert all(abs(a - b) <= peak / warmup * (1 + 1e-9) for a, b in itertools.pairwise(rates))
    assert warmup_schedule(4000, 512) == pytest.approx(6.99e-4, rel=1e-3)


@pytest.mark.parametrize(("step", "warmup"), [(0, 10), (-1, 10), (1, 0)])
def test_schedule_counts_from_one(step, warmup):
    with pytest.raises(ValueError, match="count from 1"):
        warmup_schedule(step, 512, warmup)


def test_averaging_checkpoints():
    a, b, c = (small(torch.float32, seed=s).state_dict() for s in range(3))
    same = average_checkpoints([a, a, a, a])
    assert same.keys() == a.keys() and all(torch.equal(same[name], a[name]) for name in a)
    mean = average_checkpoints([a, b, c])
    for name in a:
        torch.testing.assert_close(mean[name], (a[name] + b[name] + c[name]) / 3)
    small(torch.float32).load_state_dict(mean)
    with pytest.raises(ValueError, match="no checkpoints"):
        average_checkpoints([])
    with pytest.raises(ValueError, match="same parameter names"):
        average_checkpoints([a, {"other": a["embedding.weight"]}])


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_it_learns_to_copy(norm):
    torch.manual_seed(0)
    model = small(torch.float32, norm=norm, layers=1, hidden=32)
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3, betas=(0.9, 0.98), eps=1e-9)
    for step in range(150):
        source = words(32, 4, seed=step)
        target_in = F.pad(source[:, :-1], (1, 0), value=1)
        loss = label_smoothed_loss(model(source, target_in), source, 0.0, 0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.2 < math.log(8)  # guessing costs log 8 = 2.08


def test_pytorch_s_own_number_for_padding_works_too():
    logits = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([[1, 2, -100], [3, -100, -100]])
    expected = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), target.flatten(), label_smoothing=0.1
    )
    assert torch.allclose(label_smoothed_loss(logits, target, 0.1, -100), expected)
    with pytest.raises(ValueError, match=r"target holds -100, outside 0 ... 7"):
        label_smoothed_loss(logits, target, 0.1, 0)
    hidden = logits.clone()
    hidden[0, 2] = torch.nan  # where the target does not count
    assert torch.allclose(label_smoothed_loss(hidden, target, 0.1, -100), expected)


def test_counters_of_checkpoints_are_not_averaged():
    states = [{"w": torch.full((2,), float(k)), "steps": torch.tensor(k)} for k in (1, 4)]
    mean = average_checkpoints(states)
    assert mean["w"].tolist() == [2.5, 2.5] and mean["steps"] == 4
    with pytest.raises(ValueError, match="same shapes"):
        average_checkpoints([{"w": torch.zeros(1)}, {"w": torch.zeros(2)}])
