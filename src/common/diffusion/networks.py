"""Denoising networks that guess the noise in an image, for vectors and small images.

Both networks are called in the same way, `network(u, noise_level, labels=None)`: the
scaled noisy images (batch, *image_shape), one number for each that says how noisy it
is, and optionally its class. They return one number per pixel. What the inputs and the
output stand for is decided in `src.common.diffusion.denoising`; a network knows nothing
of processes and times.

All operations are out of place and have forward and reverse derivatives, so that
`torch.func.vjp`, `jvp` and `vmap` may differentiate through a network. The last layer
starts at zero.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from src.common.diffusion.condition import Condition, check_sizes

_GROUP_SIZE = 8  # channels that group normalisation takes together


class ScoreMLP(nn.Module):
    """A residual network of dense layers for points and for flattened small images.

    Examples:
        >>> network = ScoreMLP((2,), width=16, number_of_classes=3)
        >>> network(torch.zeros(5, 2), torch.zeros(5), torch.zeros(5).long()).shape
        torch.Size([5, 2])
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        width: int = 128,
        depth: int = 3,
        number_of_classes: int = 0,
    ) -> None:
        """Build `depth` residual blocks of two layers of `width` units.

        Args:
            image_shape: of one input, for instance (2,) or (1, 8, 8).
            width: units of every layer; also the size of the embedding of the noise
                level.
            depth: number of residual blocks.
            number_of_classes: 0 for a network that sees no labels.

        Raises:
            ValueError: for sizes that are not whole and positive.
        """
        super().__init__()
        check_sizes(1, *image_shape, width=width, depth=depth)
        check_sizes(0, number_of_classes=number_of_classes)
        size = math.prod(image_shape)
        self.condition = Condition(width, number_of_classes)
        self.first = nn.Linear(size, width)
        self.blocks = nn.ModuleList(_DenseBlock(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.last = _zeroed(nn.Linear(width, size))

    def forward(
        self,
        u: Float[Tensor, " batch *image"],
        noise_level: Float[Tensor, " #batch"],
        labels: Int[Tensor, " #batch"] | None = None,
    ) -> Float[Tensor, " batch *image"]:
        """Return one number for each pixel of `u`.

        Args:
            u: scaled noisy images.
            noise_level: how noisy each is, log(std / mean) / 4, or (1,) for all.
            labels: their classes, or (1,) for all, for a network with classes only.

        Raises:
            ValueError: for images of another size, or labels that are missing, unknown
                or given to a network without classes.
        """
        condition = self.condition(noise_level, labels)
        if u.dim() < 2 or u.shape[1:].numel() != self.first.in_features:
            raise ValueError(
                f"u must be images (batch, ...) of {self.first.in_features} pixels, "
                f"not {tuple(u.shape)}"
            )
        hidden = self.first(u.flatten(1))
        for block in self.blocks:
            hidden = block(hidden, condition)
        return self.last(F.silu(self.norm(hidden))).reshape(u.shape)


@dataclass(frozen=True)
class UNetSettings:
    """The size of a U-Net.

    Attributes:
        base: channels at the highest resolution, a multiple of 8.
        multipliers: channels at each resolution, in units of `base`; each is half the
            one before.
        blocks: residual blocks at each resolution, on the way down and again on the way
            up.
        attention: self-attention between the two blocks at the lowest resolution.
        patch: side of the squares of pixels that become the channels of one place at
            the start, and pixels again at the end; 2 saves most of the time of large
            images, 1 is none.
    """

    base: int = 32
    multipliers: Sequence[int] = (1, 2, 2)
    blocks: int = 1
    attention: bool = False
    patch: int = 1

    def __post_init__(self) -> None:
        """Take a list of multipliers too (from JSON), and reject impossible sizes.

        Raises:
            ValueError: for sizes that cannot be built.
        """
        object.__setattr__(self, "multipliers", tuple(self.multipliers))
        check_sizes(1, *self.multipliers, blocks=self.blocks, patch=self.patch)
        if self.base < 1 or self.base % _GROUP_SIZE:
            raise ValueError(
                f"base must be a positive multiple of {_GROUP_SIZE}, not {self.base}"
            )
        if not self.multipliers:
            raise ValueError("need at least one resolution: multipliers are empty")


class UNet(nn.Module):
    """A convolutional network that looks at an image at several resolutions.

    On the way down the image is halved (sizes are rounded up: 28, 14, 7, 4), on the way
    up each resolution also sees what the way down found at it (Ronneberger et al. 2015;
    Ho et al. 2020).

    `network.to(memory_format=torch.channels_last)` stores the same numbers in an order
    in which training and sampling are up to 1.3 times faster on a processor; PyTorch
    then has no forward derivative (`torch.func.jvp`) of the group normalisation, all
    else works.

    Examples:
        >>> network = UNet((1, 8, 8), UNetSettings(base=8, multipliers=(1, 2)))
        >>> network(torch.zeros(3, 1, 8, 8), torch.zeros(3)).shape
        torch.Size([3, 1, 8, 8])
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        settings: UNetSettings | None = None,
        number_of_classes: int = 0,
    ) -> None:
        """Build the network for images of one shape.

        Args:
            image_shape: (channels, height, width).
            settings: the size of the network; None for that of `UNetSettings()`.
            number_of_classes: 0 for a network that sees no labels.

        Raises:
            ValueError: if `settings.patch` does not divide height and width, or for
                sizes that are not whole and positive.
        """
        super().__init__()
        check_sizes(1, *image_shape)
        check_sizes(0, number_of_classes=number_of_classes)
        if len(image_shape) != 3:
            raise ValueError(
                f"image_shape must be (channels, height, width), not {image_shape}"
            )
        settings = settings if settings is not None else UNetSettings()
        if image_shape[1] % settings.patch or image_shape[2] % settings.patch:
            raise ValueError(
                f"patches of {settings.patch} do not tile images of {image_shape}"
            )
        self.patch, self.channels = settings.patch, image_shape[0]
        channels = image_shape[0] * settings.patch**2
        sizes = [settings.base * m for m in settings.multipliers]
        embedding = 4 * settings.base
        self.condition = Condition(embedding, number_of_classes)
        self.first = nn.Conv2d(channels, sizes[0], 3, padding=1)
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        before = sizes[0]
        for level, size in enumerate(sizes):
            if level > 0:
                self.shrink.append(nn.Conv2d(before, before, 3, stride=2, padding=1))
            self.down.append(_ConvBlocks(before, size, embedding, settings.blocks))
            before = size
        self.middle_in = _ConvBlock(before, before, embedding)
        self.attention = _Attention(before) if settings.attention else None
        self.middle_out = _ConvBlock(before, before, embedding)
        for level in reversed(range(len(sizes))):
            self.up.append(
                _ConvBlocks(
                    before + sizes[level], sizes[level], embedding, settings.blocks
                )
            )
            before = sizes[level]
            if level > 0:
                self.grow.append(nn.Conv2d(before, before, 3, padding=1))
        self.norm = _group_norm(before)
        self.last = _zeroed(nn.Conv2d(before, channels, 3, padding=1))

    def forward(
        self,
        u: Float[Tensor, "batch channels height width"],
        noise_level: Float[Tensor, " #batch"],
        labels: Int[Tensor, " #batch"] | None = None,
    ) -> Float[Tensor, "batch channels height width"]:
        """Return one number for each pixel and channel of `u`.

        Args:
            u: scaled noisy images.
            noise_level: how noisy each is, log(std / mean) / 4, or (1,) for all.
            labels: their classes, or (1,) for all, for a network with classes only.

        Raises:
            ValueError: for images of another number of channels, or labels that are
                missing, unknown or given to a network without classes.
        """
        condition = self.condition(noise_level, labels)
        sides = u.shape[2:]
        if (
            u.dim() != 4
            or u.shape[1] != self.channels
            or any(side % self.patch for side in sides)
        ):
            raise ValueError(
                f"u must be images (batch, {self.channels}, height, width) of sides "
                f"that {self.patch} divides, not {tuple(u.shape)}"
            )
        hidden, seen = self.first(F.pixel_unshuffle(u, self.patch)), []
        for level, blocks in enumerate(self.down):
            if level > 0:
                hidden = self.shrink[level - 1](hidden)
            hidden = blocks(hidden, condition)
            seen.append(hidden)
        hidden = self.middle_in(hidden, condition)
        if self.attention is not None:
            hidden = self.attention(hidden)
        hidden = self.middle_out(hidden, condition)
        for level, blocks in enumerate(self.up):
            if level > 0:
                hidden = F.interpolate(hidden, size=seen[-1].shape[-2:], mode="nearest")
                hidden = self.grow[level - 1](hidden)
            hidden = blocks(torch.cat([hidden, seen.pop()], dim=1), condition)
        return F.pixel_shuffle(self.last(F.silu(self.norm(hidden))), self.patch)


class _DenseBlock(nn.Module):
    """Add to the input what two layers, steered by the condition, make of it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.steer = nn.Linear(width, 2 * width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)

    def forward(self, hidden: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.steer(condition).chunk(2, dim=1)
        inner = F.silu(self.inner(F.silu(self.norm(hidden) * (1 + scale) + shift)))
        return hidden + self.outer(inner)


class _ConvBlock(nn.Module):
    """Two convolutions with a shortcut, steered by the condition."""

    def __init__(self, before: int, after: int, embedding: int) -> None:
        super().__init__()
        self.norm_in = _group_norm(before)
        self.conv_in = nn.Conv2d(before, after, 3, padding=1)
        self.steer = nn.Linear(embedding, 2 * after)
        self.norm_out = _group_norm(after)
        self.conv_out = _zeroed(nn.Conv2d(after, after, 3, padding=1))
        self.shortcut = (
            nn.Conv2d(before, after, 1) if before != after else nn.Identity()
        )

    def forward(self, hidden: Tensor, condition: Tensor) -> Tensor:
        inner = self.conv_in(F.silu(self.norm_in(hidden)))
        scale, shift = self.steer(condition)[:, :, None, None].chunk(2, dim=1)
        inner = self.conv_out(F.silu(self.norm_out(inner) * (1 + scale) + shift))
        return self.shortcut(hidden) + inner


class _ConvBlocks(nn.Module):
    """Several blocks at one resolution; the first changes the number of channels."""

    def __init__(self, before: int, after: int, embedding: int, count: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            _ConvBlock(before if i == 0 else after, after, embedding)
            for i in range(count)
        )

    def forward(self, hidden: Tensor, condition: Tensor) -> Tensor:
        for block in self.blocks:
            hidden = block(hidden, condition)
        return hidden


class _Attention(nn.Module):
    """Self-attention with one head between the places of a small image.

    Written out: the fused attention of PyTorch has no forward derivative on a
    processor.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _group_norm(channels)
        self.into = nn.Conv2d(channels, 3 * channels, 1)
        self.out = _zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, hidden: Tensor) -> Tensor:
        query, key, value = self.into(self.norm(hidden)).flatten(2).chunk(3, dim=1)
        weights = (query.transpose(1, 2) @ key / math.sqrt(query.shape[1])).softmax(
            dim=2
        )
        mixed = (value @ weights.transpose(1, 2)).reshape(hidden.shape)
        return hidden + self.out(mixed)


def _group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(channels // _GROUP_SIZE, channels)


def _zeroed(layer: nn.Module) -> nn.Module:
    """Set a layer to zero, so that what follows it starts as if it were not there."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def parameter_count(network: nn.Module) -> int:
    """Return the number of parameters of a network.

    Args:
        network: any module; parameters that are not trained count too.
    """
    return sum(parameter.numel() for parameter in network.parameters())
