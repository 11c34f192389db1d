"""Entry points of `src.common.images`."""

import torch

from src.common.images.quality import psnr, ssim
from tests.unusual.inputs import Entry


def _pair() -> dict[str, object]:
    generator = torch.Generator().manual_seed(0)
    true = torch.rand(3, 2, 12, 12, generator=generator)
    noisy = (true + 0.1 * torch.randn(true.shape, generator=generator)).clamp(0, 1)
    return {"restored": noisy, "true": true, "data_range": 1.0}


ENTRIES = [
    Entry(psnr, _pair),
    Entry(ssim, lambda: _pair() | {"window": 7, "std": 1.5}),
]
