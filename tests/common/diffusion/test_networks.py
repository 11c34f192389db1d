import pytest
import torch

from src.common.diffusion.networks import Condition, ScoreMLP, UNet, UNetSettings, parameter_count

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (2, 7, 5)]


def stirred(network, seed=0):
    """Move every weight, so that no layer is at its zero start."""
    stream = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=stream)
    return network


def inputs(shape, batch=3, seed=1):
    stream = torch.Generator().manual_seed(seed)
    return torch.randn((batch, *shape), generator=stream), torch.randn(batch, generator=stream)


def small_unet(shape, **kwargs):
    return UNet(shape, UNetSettings(8, (1, 2, 2), attention=True), **kwargs)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_output_has_the_shape_of_the_input_for_even_and_odd_sizes(shape):
    for network in (ScoreMLP(shape, width=16, depth=2), small_unet(shape)):
        u, level = inputs(shape)
        assert torch.equal(network(u, level), torch.zeros_like(u))  # the last layer starts at zero
        assert stirred(network)(u, level).shape == u.shape


def test_a_vector_is_an_image_of_one_dimension():
    u, level = inputs((2,))
    assert stirred(ScoreMLP((2,), width=16))(u, level).shape == (3, 2)


@pytest.mark.parametrize("build", [lambda s, **k: ScoreMLP(s, width=16, **k), small_unet])
def test_every_weight_has_a_gradient(build):
    network = stirred(build((1, 8, 8), number_of_classes=4))
    u, level = inputs((1, 8, 8), batch=4)
    network(u, level, torch.arange(4)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("build", [lambda s: ScoreMLP(s, width=16), small_unet])
def test_images_of_a_batch_do_not_mix(build):
    network = stirred(build((1, 8, 8)))
    u, level = inputs((1, 8, 8))
    changed = u.clone()
    changed[1] += 1
    difference = (network(changed, level) - network(u, level)).abs().amax(dim=(1, 2, 3))
    assert difference[1] > 1e-3
    assert max(difference[0], difference[2]) < 1e-6


@pytest.mark.parametrize("build", [lambda s, **k: ScoreMLP(s, width=16, **k), small_unet])
def test_noise_level_and_label_change_the_output(build):
    network = stirred(build((1, 8, 8), number_of_classes=3))
    u, level = inputs((1, 8, 8))
    labels = torch.tensor([0, 1, 2])
    base = network(u, level, labels)
    assert (network(u, level + 0.1, labels) - base).abs().max() > 1e-3
    other = network(u, level, torch.tensor([0, 2, 2]))
    assert (other - base).abs().amax(dim=(1, 2, 3))[1] > 1e-3
    torch.testing.assert_close(other[[0, 2]], base[[0, 2]])


def test_labels_must_match_the_network():
    u, level = inputs((2,))
    with pytest.raises(ValueError, match="needs labels"):
        ScoreMLP((2,), number_of_classes=2)(u, level)
    with pytest.raises(ValueError, match="takes no labels"):
        ScoreMLP((2,))(u, level, torch.zeros(3, dtype=torch.long))


@pytest.mark.parametrize("build", [lambda s: ScoreMLP(s, width=16), small_unet])
def test_forward_and_reverse_derivatives_agree_with_differences(build):
    network = stirred(build((1, 5, 4))).double()
    u, level = (x.double() for x in inputs((1, 5, 4)))
    v, w = (inputs((1, 5, 4), seed=s)[0].double() for s in (2, 3))

    def output(x):
        return network(x, level)

    h = 1e-6
    truth = ((w * (output(u + h * v) - output(u - h * v)) / (2 * h)).sum()).item()
    forward = torch.func.jvp(output, (u,), (v,))[1]
    back = torch.func.vjp(output, u)[1]
    assert (w * forward).sum().item() == pytest.approx(truth, rel=1e-6)
    assert (back(w)[0] * v).sum().item() == pytest.approx(truth, rel=1e-6)
    rows = torch.func.vmap(lambda c: back(c)[0])(torch.stack([w, v]))
    torch.testing.assert_close(rows[1], back(v)[0])


def test_one_resolution_fewer_pixels_a_place_and_channels_last_compute_the_same():
    # The layout is only an order in memory: same weights, same numbers.
    settings = UNetSettings(8, (1, 2), blocks=2, patch=2)
    network = stirred(UNet((3, 12, 8), settings))
    u, level = inputs((3, 12, 8))
    expected = network(u, level)
    assert expected.shape == u.shape
    network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(network(u, level), expected, rtol=1e-4, atol=1e-5)


def test_patches_keep_pixels_in_their_places():
    # With every convolution but the first and the last switched off, a pixel reaches only its own
    # neighbourhood: 3 x 3 places of 2 x 2 pixels, twice.
    torch.manual_seed(0)
    network = UNet((1, 24, 24), UNetSettings(8, (1,), patch=2))
    torch.nn.init.normal_(network.last.weight)
    network.norm = torch.nn.Identity()  # group normalisation looks at the whole image
    u, level = inputs((1, 24, 24), batch=1)
    u.requires_grad_()
    for block in network.modules():
        if hasattr(block, "norm_in"):
            block.norm_in = torch.nn.Identity()
    network(u, level)[0, 0, 12, 13].backward()
    reached = u.grad[0, 0].nonzero()
    assert reached.min() >= 12 - 4 and reached.max() <= 13 + 4
    assert u.grad[0, 0, 12, 13] != 0


def test_settings_come_from_json_and_reject_what_cannot_be_built():
    assert UNetSettings(multipliers=[1, 2]) == UNetSettings(multipliers=(1, 2))
    for wrong in ({"base": 12}, {"base": 0}, {"multipliers": ()}, {"blocks": 0}, {"patch": 0}):
        with pytest.raises(ValueError):
            UNetSettings(**wrong)
    with pytest.raises(ValueError, match="do not tile"):
        UNet((1, 7, 8), UNetSettings(8, patch=2))


def test_the_embedding_tells_neighbouring_noise_levels_apart_and_varies_smoothly():
    levels = torch.linspace(-3, 1.5, 91)
    condition = Condition(8, 0)
    angles = levels[:, None] * condition.frequencies
    code = torch.cat([angles.sin(), angles.cos()], dim=1)
    distance = torch.cdist(code, code)
    distance.fill_diagonal_(9.0)
    assert distance.min() > 0.3  # no two of the levels look alike
    assert torch.linalg.vector_norm(code[1:] - code[:-1], dim=1).max() < 3.5  # steps of 0.05
    assert code.norm(dim=1).max() < 4.01


def test_parameter_count_by_hand():
    network = ScoreMLP((2,), width=4, depth=1, number_of_classes=3)
    embedding = (32 * 4 + 4) + (4 * 4 + 4) + 3 * 4
    block = 8 + (4 * 8 + 8) + 2 * (4 * 4 + 4)
    assert parameter_count(network) == embedding + (2 * 4 + 4) + block + 8 + (4 * 2 + 2)


def test_attention_is_that_of_pytorch():
    network = stirred(small_unet((1, 8, 8)), seed=4)
    hidden = torch.randn(2, 16, 3, 2, generator=torch.Generator().manual_seed(5))
    layer = network.attention
    parts = layer.into(layer.norm(hidden)).flatten(2).transpose(1, 2).chunk(3, dim=2)
    mixed = torch.nn.functional.scaled_dot_product_attention(*parts)
    expected = hidden + layer.out(mixed.transpose(1, 2).reshape(hidden.shape))
    torch.testing.assert_close(layer(hidden), expected)
