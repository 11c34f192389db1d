"""Attention, masks and positions against PyTorch's kernels, closed forms and hand-set weights."""

import inspect
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from src.foundations.transformer.attention import (
    MultiHeadAttention,
    causal_mask,
    padding_mask,
    position_frequencies,
    record_attention,
    scaled_dot_product_attention,
    shift_matrix,
    sinusoidal_positions,
)
from src.foundations.transformer.layers import TransformerConfig
from src.foundations.transformer.model import Transformer

SIZES = st.integers(1, 7)
SEEDS = st.integers(0, 2**31 - 1)
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def attendable(*shape, seed=0):
    """A random mask in which every query may attend to at least one key."""
    mask = normal(*shape, seed=seed) > 0
    mask[..., 0] = True
    return mask


@pytest.mark.parametrize("dtype", TOLERANCE)
@settings(deadline=None, max_examples=30)
@given(b=SIZES, h=SIZES, t=SIZES, s=SIZES, d=SIZES, v=SIZES, seed=SEEDS, data=st.data())
def test_equals_torch_kernel(dtype, b, h, t, s, d, v, seed, data):
    query, key, value = (
        normal(*shape, seed=seed + i, dtype=dtype)
        for i, shape in enumerate([(b, h, t, d), (b, h, s, d), (b, h, s, v)])
    )
    masks = [None, attendable(b, 1, 1, s, seed=seed), attendable(t, s, seed=seed)]
    mask = data.draw(st.sampled_from([*masks, attendable(b, h, t, s, seed=seed)]))
    output, weights = scaled_dot_product_attention(query, key, value, mask)
    expected = F.scaled_dot_product_attention(query, key, value, mask)
    torch.testing.assert_close(output, expected, rtol=0, atol=TOLERANCE[dtype])
    torch.testing.assert_close(
        weights.sum(-1), torch.ones(b, h, t, dtype=dtype), rtol=0, atol=TOLERANCE[dtype]
    )


def test_causal_mask_equals_torch_is_causal():
    query, key, value = (normal(2, 3, 9, 4, seed=i) for i in range(3))
    output, _ = scaled_dot_product_attention(query, key, value, causal_mask(9))
    expected = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(t=SIZES, s=SIZES, d=SIZES, seed=SEEDS)
def test_output_is_a_convex_combination_of_the_allowed_values(t, s, d, seed):
    query, key, value = normal(t, d, seed=seed), normal(s, d, seed=seed + 1), normal(s, 3)
    mask = attendable(t, s, seed=seed)
    output, weights = scaled_dot_product_attention(query, key, value, mask)
    assert (weights[~mask] == 0).all() and (weights >= 0).all()
    for row in range(t):
        allowed = value[mask[row]]
        assert (output[row] >= allowed.amin(0) - 1e-12).all()
        assert (output[row] <= allowed.amax(0) + 1e-12).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_a_query_without_any_key_gives_zero_not_nan(dtype):
    query, key, value = (
        (normal(2, 4, 8, seed=i).to(dtype) * 10).requires_grad_() for i in range(3)
    )
    mask = torch.ones(2, 4, 4, dtype=torch.bool)
    mask[0, 1] = False
    output, weights = scaled_dot_product_attention(query, key, value, mask)
    assert (output[0, 1] == 0).all() and (weights[0, 1] == 0).all()
    assert (weights[0, 0] > 0).any()
    output.float().square().sum().backward()
    for x in (query, key, value):
        assert x.grad.isfinite().all()
    assert (query.grad[0, 1] == 0).all()
    # PyTorch's kernel has the same convention.
    torch.testing.assert_close(
        F.scaled_dot_product_attention(query.double(), key.double(), value.double(), mask)[0, 1],
        torch.zeros(8, dtype=torch.float64),
    )


def test_masking_cannot_overflow_in_half_precision():
    """Scores of about -200 in a row without any key: adding them to the mask must stay finite."""
    query, key = torch.full((1, 4), -20.0).half(), torch.full((3, 4), 20.0).half()
    _, weights = scaled_dot_product_attention(query, key, key, torch.zeros(1, 3).bool(), scale=0.1)
    assert (weights == 0).all()


def test_a_mask_that_is_not_boolean_is_refused():
    unchecked = inspect.unwrap(scaled_dot_product_attention)  # the test run also checks types
    x = normal(3, 4)
    with pytest.raises(TypeError, match="True = may attend"):
        unchecked(x, x, x, torch.zeros(3, 3))


def test_keys_shifted_by_one_vector_change_nothing():
    query, key, value, shift = normal(5, 4), normal(6, 4, seed=1), normal(6, 2), normal(4)
    output, _ = scaled_dot_product_attention(query, key, value)
    shifted, _ = scaled_dot_product_attention(query, key + shift, value)
    torch.testing.assert_close(output, shifted, rtol=0, atol=1e-12)
    unscaled, _ = scaled_dot_product_attention(query, key + shift, value, scale=1.0)
    assert (output - unscaled).abs().max() > 1e-3


def test_scale_one_is_the_unscaled_product():
    query, key, value = (normal(5, 16, seed=i) for i in range(3))
    _, weights = scaled_dot_product_attention(query, key, value, scale=1.0)
    torch.testing.assert_close(weights, (query @ key.T).softmax(-1), rtol=0, atol=1e-12)


def test_scaling_keeps_the_softmax_from_saturating():
    """Section 3.2.1: q.k of independent unit-variance components has variance d_k."""

    def entropy(width, scale):
        query, key = normal(200, width, seed=1), normal(50, width, seed=2)
        _, p = scaled_dot_product_attention(query, key, key, scale=scale)
        return -(p * p.clamp(min=1e-300).log()).sum(-1).mean().item()

    products = normal(2000, 512, seed=3) @ normal(50, 512, seed=4).T
    assert products.var().item() == pytest.approx(512, rel=0.1)
    assert entropy(512, None) > 0.8 * math.log(50)
    assert entropy(512, 1.0) < 0.1 * math.log(50)
    assert entropy(512, None) == pytest.approx(entropy(4, None), rel=0.1)


def test_backward_equals_the_closed_form():
    query, key, value = (normal(3, 5, 4, seed=i).requires_grad_() for i in range(3))
    mask, grad = causal_mask(5), normal(3, 5, 4, seed=9)
    output, p = scaled_dot_product_attention(query, key, value, mask)
    output.backward(grad)
    with torch.no_grad():
        dp = grad @ value.mT
        ds = p * (dp - (dp * p).sum(-1, keepdim=True))
        torch.testing.assert_close(value.grad, p.mT @ grad, rtol=0, atol=1e-12)
        torch.testing.assert_close(query.grad, ds @ key / 2, rtol=0, atol=1e-12)
        torch.testing.assert_close(key.grad, ds.mT @ query / 2, rtol=0, atol=1e-12)


def test_masks_say_who_may_attend():
    tokens = torch.tensor([[5, 6, 0], [7, 0, 0]])
    expected = torch.tensor([[True, True, False], [True, False, False]])
    assert torch.equal(padding_mask(tokens, 0), expected[:, None, None])
    assert torch.equal(causal_mask(3), torch.tensor([[1, 0, 0], [1, 1, 0], [1, 1, 1]]).bool())


@settings(deadline=None, max_examples=30)
@given(length=st.integers(1, 40), half=st.integers(1, 20))
def test_positions_follow_the_formula(length, half):
    width = 2 * half
    table = sinusoidal_positions(length, width)
    assert table.shape == (length, width)
    for pos, i in [(0, 0), (length - 1, 0), (length - 1, half - 1), (length // 2, half // 2)]:
        angle = pos / 10000 ** (2 * i / width)
        assert table[pos, 2 * i] == pytest.approx(math.sin(angle), abs=1e-12)
        assert table[pos, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-12)
    gram = table @ table.T
    torch.testing.assert_close(gram.diagonal(), torch.full((length,), half, dtype=gram.dtype))
    for offset in range(length):  # Toeplitz: similarity depends on the distance only
        expected = (position_frequencies(width) * offset).cos().sum()
        band = gram.diagonal(offset)
        torch.testing.assert_close(band, expected.expand_as(band), rtol=0, atol=1e-10)


@settings(deadline=None, max_examples=30)
@given(offset=st.integers(-30, 30), half=st.integers(1, 20))
def test_a_shift_of_positions_is_a_rotation(offset, half):
    table, rotation = sinusoidal_positions(80, 2 * half), shift_matrix(offset, 2 * half)
    shifted = table[30:50] @ rotation.T
    torch.testing.assert_close(shifted, table[30 + offset : 50 + offset], rtol=0, atol=1e-13)
    identity = torch.eye(2 * half, dtype=torch.float64)
    torch.testing.assert_close(rotation @ rotation.T, identity, rtol=0, atol=1e-14)


def test_wavelengths_run_from_two_pi_to_ten_thousand():
    wavelengths = 2 * math.pi / position_frequencies(512)
    assert wavelengths[0] == pytest.approx(2 * math.pi)
    assert wavelengths[-1] == pytest.approx(2 * math.pi * 10000 ** (510 / 512))


@pytest.mark.parametrize("width", [0, 1, 7])
def test_odd_widths_are_refused(width):
    with pytest.raises(ValueError, match="even width"):
        sinusoidal_positions(4, width)


@pytest.mark.parametrize("offset", [0, 1, 3])
def test_a_head_can_look_a_fixed_number_of_steps_back(offset):
    """Hand-set weights: W^Q = R_{-k}, W^K = identity; sharper scores give weight 1 at t - k."""
    layer = MultiHeadAttention(32, heads=1, scaled=False).double()
    with torch.no_grad():
        layer.query.weight.copy_(20 * shift_matrix(-offset, 32))
        layer.key.weight.copy_(torch.eye(32))
    x = sinusoidal_positions(12, 32)[None]
    with record_attention(layer) as maps:
        layer(x, x)
    weights = maps[""][0][0, 0]
    assert (weights.diagonal(-offset) > 0.999).all()


def copy_attention(ours, theirs):
    """Our bias-free projections into `nn.MultiheadAttention`."""
    with torch.no_grad():
        packed = torch.cat([ours.query.weight, ours.key.weight, ours.value.weight])
        theirs.in_proj_weight.copy_(packed)
        theirs.out_proj.weight.copy_(ours.output.weight)
        theirs.in_proj_bias.zero_()
        theirs.out_proj.bias.zero_()


def test_the_fused_kernel_can_be_unscaled_too():
    explicit = MultiHeadAttention(24, heads=4, scaled=False).double()
    fused = MultiHeadAttention(24, heads=4, scaled=False, fused=True).double()
    fused.load_state_dict(explicit.state_dict())
    x = normal(3, 5, 24)
    torch.testing.assert_close(fused(x, x), explicit(x, x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_multi_head_equals_torch_module(dtype, fused):
    ours = MultiHeadAttention(24, heads=4, fused=fused).to(dtype)
    theirs = nn.MultiheadAttention(24, 4, batch_first=True, dtype=dtype)
    copy_attention(ours, theirs)
    x, memory = normal(3, 5, 24, dtype=dtype), normal(3, 7, 24, seed=1, dtype=dtype)
    keep = attendable(3, 7)
    expected, weights = theirs(
        x, memory, memory, key_padding_mask=~keep, average_attn_weights=False
    )
    with record_attention(ours) as maps:
        recorded_output = ours(x, memory, keep[:, None, None])
    output = ours(x, memory, keep[:, None, None])
    torch.testing.assert_close(output, expected, rtol=0, atol=TOLERANCE[dtype])
    torch.testing.assert_close(recorded_output, expected, rtol=0, atol=TOLERANCE[dtype])
    torch.testing.assert_close(maps[""][0], weights, rtol=0, atol=TOLERANCE[dtype])


def test_one_head_with_identity_weights_is_plain_attention():
    layer = MultiHeadAttention(6, heads=1).double()
    with torch.no_grad():
        for projection in (layer.query, layer.key, layer.value, layer.output):
            projection.weight.copy_(torch.eye(6))
    x, memory = normal(2, 4, 6), normal(2, 5, 6, seed=1)
    expected, _ = scaled_dot_product_attention(x, memory, memory)
    torch.testing.assert_close(layer(x, memory), expected, rtol=0, atol=1e-12)


def test_key_and_value_widths_are_free():
    layer = MultiHeadAttention(10, heads=3, key_width=2, value_width=5)
    assert layer.query.weight.shape == layer.key.weight.shape == (6, 10)
    assert layer.value.weight.shape == (15, 10) and layer.output.weight.shape == (10, 15)
    assert layer.scale == pytest.approx(2**-0.5)
    x = normal(2, 4, 10, dtype=torch.float32)
    assert layer(x, x).shape == (2, 4, 10)
    with pytest.raises(ValueError, match="multiple of heads"):
        MultiHeadAttention(10, heads=3)


@pytest.mark.parametrize("fused", [False, True])
def test_recorded_maps_are_named_and_recording_stops(fused):
    config = TransformerConfig(9, width=8, layers=2, heads=2, hidden=8, dropout=0.0, fused=fused)
    model = Transformer(config)
    source, target = torch.tensor([[3, 4, 5, 0]]), torch.tensor([[1, 3, 4]])
    with record_attention(model) as maps:
        model(source, target)
        model(source, target)
    expected = {"encoder.0.self_attention": (1, 2, 4, 4), "decoder.0.self_attention": (1, 2, 3, 3)}
    for name, shape in {**expected, "decoder.1.cross_attention": (1, 2, 3, 4)}.items():
        assert [w.shape for w in maps[name]] == [shape, shape]
        torch.testing.assert_close(maps[name][0].sum(-1), torch.ones(shape[:-1]))
    assert len(maps) == 6
    assert (maps["decoder.1.cross_attention"][0][..., 3] == 0).all()
    assert (maps["decoder.0.self_attention"][0].triu(1) == 0).all()
    model(source, target)
    assert all(len(entries) == 2 for entries in maps.values())
    with pytest.raises(RuntimeError), record_attention(model):
        raise RuntimeError
    assert all(m.recorded is None for m in model.modules() if isinstance(m, MultiHeadAttention))
