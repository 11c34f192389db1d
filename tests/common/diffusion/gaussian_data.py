"""Data of independent N(0, DATA^2) pixels: every score and every law is known."""

import torch

DATA = 0.6
"""Standard deviation of each pixel of the Gaussian data of most tests."""


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussian_score(process, data: float = DATA):
    """The score when every pixel of the data is N(0, data^2)."""

    def score(u, t):
        return -u / (process.mean(t).square() * data**2 + process.std(t).square()).to(u.dtype)

    return score


def variance_at(process, t: float, data: float = DATA) -> float:
    return (process.mean(t) ** 2 * data**2 + process.std(t) ** 2).item()
