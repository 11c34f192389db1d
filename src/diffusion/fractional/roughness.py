"""How the Hurst index and the number of speeds shape the noise; the limit H = 1/2."""

import math

import numpy as np
import torch
from torch import Tensor

from src.common.checks import within
from src.common.diffusion.processes import LinearVP
from src.diffusion.fractional.noise import (
    covariance_error,
    fbm_covariance,
    ma_covariance,
    optimal_weights,
    ou_speeds,
    relative_cost,
    sample_fbm,
    simulate_ou,
)
from src.diffusion.fractional.process import FractionalProcess

START = 0.5
"""Increments are taken from START to START + lag: their law depends on the start."""


def approximation_errors(hursts: list[float], counts: list[int]) -> list[dict]:
    """Return how well K speeds approximate fractional Brownian motion.

    Args:
        hursts: Hurst indices, in (0, 1).
        counts: numbers of speeds K.

    Returns:
        Rows "hurst", "count", "cost" (see `relative_cost`) and "covariance" (see
        `covariance_error`).
    """
    return [
        {
            "hurst": hurst,
            "count": count,
            "cost": relative_cost(ou_speeds(count), hurst),
            "covariance": covariance_error(ou_speeds(count), hurst),
        }
        for hurst in hursts
        for count in counts
    ]


def increment_variances(
    hurst: float, count: int | None, lags: list[float]
) -> list[float]:
    """Return E(B_{s + lag} - B_s)^2 at s = START, exactly.

    Args:
        hurst: H, in (0, 1).
        count: number of speeds of the approximation; None is fractional motion itself.
        lags: positive lengths of the increments.

    Returns:
        One variance per lag.

    Raises:
        ValueError: for a lag that is not positive, or as `fbm_covariance` or
            `optimal_weights`.
    """
    for lag in lags:
        within("a lag", lag, 0, ends=False)
    times = START + torch.tensor([0.0, *lags], dtype=torch.float64)
    if count is None:
        covariance = fbm_covariance(times, hurst)
    else:
        speeds = ou_speeds(count)
        covariance = ma_covariance(times, speeds, optimal_weights(speeds, hurst))
    diagonal = covariance.diagonal()
    return (diagonal[1:] + diagonal[0] - 2 * covariance[0, 1:]).tolist()


def roughness(hurst: float, count: int | None) -> dict:
    """Return the Hurst index that increments show, from exact variances, at two scales.

    It is half the slope of the logarithm of the increments' variance against that of
    the lag: "coarse" for lags from 1/20 to 1/2, where the approximation has speeds, and
    "fine" for lags up to 1/2000, where any such process is locally Brownian.

    Args:
        hurst: H, in (0, 1).
        count: number of speeds of the approximation; None is fractional motion itself.

    Returns:
        "hurst" and "count" as given, "coarse" and "fine".

    Examples:
        >>> shown = roughness(0.9, count=2)
        >>> round(shown["coarse"], 1), round(shown["fine"], 1)
        (0.7, 0.5)
    """
    slopes = {}
    for key, first, last in (("coarse", 1 / 20, 1 / 2), ("fine", 1e-5, 1 / 2000)):
        lags = np.geomspace(first, last, 10)
        variances = increment_variances(hurst, count, lags.tolist())
        slopes[key] = float(np.polyfit(np.log(lags), np.log(variances), 1)[0] / 2)
    return {"hurst": hurst, "count": count, **slopes}


def measured_roughness(
    hurst: float, count: int | None, seed: int, paths: int = 2000
) -> float:
    """Return the Hurst index estimated from simulated paths.

    The lags lie between 1/20 and 1/2. This is "coarse" of `roughness`, but from the
    mean squares of the increments of paths.

    Args:
        hurst: H, in (0, 1).
        count: number of speeds of the approximation; None is fractional motion itself.
        seed: of the paths.
        paths: how many.
    """
    generator = torch.Generator().manual_seed(seed)
    lags = torch.from_numpy(np.geomspace(1 / 20, 1 / 2, 10))
    times = torch.cat([torch.tensor([START], dtype=torch.float64), START + lags])
    if count is None:
        drawn = sample_fbm(times, hurst, paths, generator)
    else:
        speeds = ou_speeds(count)
        drawn = simulate_ou(speeds, times, paths, generator) @ optimal_weights(
            speeds, hurst
        )
    squares = (drawn[1:] - drawn[0]).square().mean(1)
    return float(np.polyfit(np.log(lags.numpy()), np.log(squares.numpy()), 1)[0] / 2)


def noise_schedules(pairs: list[list[float | int]], times: list[float]) -> list[dict]:
    """Return what the network and the image see of the noise, for the base LinearVP.

    Args:
        pairs: (H, K) of each process.
        times: in [0, 1].

    Returns:
        Rows "hurst", "count", "observed" (std of X given Y) and "full" (std of X),
        these two with one value per time.
    """
    rows = []
    for hurst, count in pairs:
        process = FractionalProcess(hurst=float(hurst), count=int(count))
        observed = [float(process.std(t)) for t in times]
        full = [_full_std(process, t) for t in times]
        rows.append(
            {
                "hurst": float(hurst),
                "count": int(count),
                "observed": observed,
                "full": full,
            }
        )
    return rows


def ordinary_limit(counts: list[int]) -> list[dict]:
    """Return what H = 1/2 with K speeds recovers of the ordinary process LinearVP.

    Args:
        counts: the numbers of speeds K.

    Returns:
        Rows "count", "cost" (relative cost of the noise), "image" and "observation":
        the largest relative differences over 0.01 <= t <= 1 of std X and of std X given
        Y from the ordinary std.
    """
    rows, base = [], LinearVP()
    times = torch.linspace(0.01, 1, 100, dtype=torch.float64)
    ordinary = base.std(times)
    for count in counts:
        process = FractionalProcess(hurst=0.5, count=count)
        full = torch.tensor(
            [_full_std(process, float(t)) for t in times], dtype=torch.float64
        )
        cost = relative_cost(ou_speeds(count), 0.5) if count else 0.0
        rows.append(
            {
                "count": count,
                "cost": cost,
                "image": _largest(full / ordinary),
                "observation": _largest(process.std(times) / ordinary),
            }
        )
    return rows


def single_speed_costs(speeds: list[float], hurst: float = 0.5) -> list[float]:
    """Return the relative cost with K = 1 for each speed.

    For H = 1/2 it vanishes with the speed: a process of speed 0 is the Brownian motion
    itself.

    Args:
        speeds: positive.
        hurst: H, in (0, 1).
    """
    return [
        relative_cost(torch.tensor([speed], dtype=torch.float64), hurst)
        for speed in speeds
    ]


def _full_std(process: FractionalProcess, t: float) -> float:
    """Return the standard deviation of X given x_0."""
    if process.count == 0:
        return float(process.std(t))
    return math.sqrt(float(process.covariance(t)[0, 0]))


def _largest(ratio: Tensor) -> float:
    return float((ratio - 1).abs().max())
