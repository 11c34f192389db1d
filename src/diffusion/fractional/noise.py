"""Fractional Brownian motion, and a Markov process that imitates it.

Fractional Brownian motion of type II (Riemann-Liouville) smears the past of a Brownian motion B,

    B^H_t = 1 / Gamma(H + 1/2)  int_0^t (t - s)^(H - 1/2) dB_s,

with a Hurst index 0 < H < 1: rough paths below 1/2, Brownian motion at 1/2, smooth paths with long
memory above. It is no Markov process. A weighted sum of K Ornstein-Uhlenbeck processes

    Bhat_t = sum_k weight_k Y^k_t,     dY^k = -speed_k Y^k dt + dB,     Y^k_0 = 0,

all driven by *the same* B, is (together with the Y^k), and with the right weights comes close
(Harms and Stefanovits 2019; Daems et al. 2024, arXiv 2310.12975).
"""

import math

import torch
from jaxtyping import Float
from scipy.special import gamma, gammainc, hyp2f1
from torch import Tensor

MOST_SPEEDS = 6
WORST_CONDITION = 1e11


def fbm_variance(times: Float[Tensor, " n"], hurst: float) -> Float[Tensor, " n"]:
    """Return Var B^H_t = t^(2H) / (2H Gamma(H + 1/2)^2): not t^(2H), which is that of type I."""
    _check_hurst(hurst)
    return times.double() ** (2 * hurst) / (2 * hurst * gamma(hurst + 0.5) ** 2)


def fbm_covariance(times: Float[Tensor, " n"], hurst: float) -> Float[Tensor, "n n"]:
    """Return the covariance matrix of B^H at the given times (all >= 0).

    For s < t the integral of (s - u)^a (t - u)^a over u from 0 to s, with a = H - 1/2, is
    s^(a+1) t^a / (a+1) times the hypergeometric function F(-a, 1; a + 2; s/t).
    """
    _check_hurst(hurst)
    times = times.double()
    early, late = torch.minimum(times[:, None], times), torch.maximum(times[:, None], times)
    a = hurst - 0.5
    ratio = torch.where(late > 0, early / late.clamp(min=1e-300), 0.0)
    series = torch.from_numpy(hyp2f1(-a, 1.0, a + 2, ratio.numpy()))
    covariance = early ** (a + 1) * late.clamp(min=1e-300) ** a * series / (a + 1)
    covariance = covariance / gamma(hurst + 0.5) ** 2
    return torch.where(early == late, torch.diag(fbm_variance(times, hurst)), covariance)


def sample_fbm(
    times: Float[Tensor, " n"], hurst: float, paths: int, generator: torch.Generator
) -> Float[Tensor, "n paths"]:
    """Draw paths of B^H at increasing positive times, exact in law: O(n^3) once, O(n^2) a path."""
    root = torch.linalg.cholesky(fbm_covariance(times, hurst))
    noise = torch.randn(len(times), paths, generator=generator, dtype=torch.float64)
    return root @ noise


def ou_speeds(count: int, largest: float = 20.0) -> Float[Tensor, " count"]:
    """Return `count` speeds in geometric progression from 1/largest to largest; one speed is 1.

    Raises:
        ValueError: if `count` < 0 or `largest` <= 1.
    """
    if count < 0 or largest <= 1:
        raise ValueError(f"need count >= 0 and largest > 1, not {count} and {largest}")
    if count == 1:
        return torch.ones(1, dtype=torch.float64)
    place = torch.linspace(-1, 1, count, dtype=torch.float64)
    return torch.exp(place * math.log(largest))


def gram_matrix(speeds: Float[Tensor, " k"], horizon: float = 1.0) -> Float[Tensor, "k k"]:
    """Return A_ij, the integral of E[Y^i_t Y^j_t] over 0 <= t <= horizon (Daems et al., eq. 12)."""
    rate = speeds.double()[:, None] + speeds.double()
    return (horizon + torch.expm1(-rate * horizon) / rate) / rate


def projection(
    speeds: Float[Tensor, " k"], hurst: float, horizon: float = 1.0
) -> Float[Tensor, " k"]:
    """Return b_k, the integral of E[Y^k_t B^H_t] over 0 <= t <= horizon.

    With P the regularised lower incomplete gamma function it is T P(H + 1/2, gamma T) /
    gamma^(H + 1/2) - (H + 1/2) P(H + 3/2, gamma T) / gamma^(H + 3/2).
    """
    _check_hurst(hurst)
    speeds, a = speeds.double(), hurst + 0.5
    first = torch.from_numpy(gammainc(a, (speeds * horizon).numpy()))
    second = torch.from_numpy(gammainc(a + 1, (speeds * horizon).numpy()))
    return horizon * first / speeds**a - a * second / speeds ** (a + 1)


def optimal_weights(
    speeds: Float[Tensor, " k"], hurst: float, horizon: float = 1.0
) -> Float[Tensor, " k"]:
    """Return the weights that minimise the integral of E(Bhat_t - B^H_t)^2 over 0 <= t <= horizon.

    They solve A weights = b, and may be negative.

    Raises:
        ValueError: for more than `MOST_SPEEDS` speeds, speeds that are not positive, or speeds so
            close to each other that double precision cannot tell their weights.
    """
    if len(speeds) > MOST_SPEEDS:
        raise ValueError(f"at most {MOST_SPEEDS} speeds, not {len(speeds)}: A becomes singular")
    if (speeds <= 0).any():
        raise ValueError("speeds must be positive")
    if len(speeds) == 0:
        return torch.zeros(0, dtype=torch.float64)
    matrix = gram_matrix(speeds, horizon)
    if (condition := torch.linalg.cond(matrix).item()) > WORST_CONDITION:
        raise ValueError(f"speeds too close: condition number {condition:.1e}")
    root = torch.linalg.cholesky(matrix)
    return torch.cholesky_solve(projection(speeds, hurst, horizon)[:, None], root)[:, 0]


def relative_cost(speeds: Float[Tensor, " k"], hurst: float, horizon: float = 1.0) -> float:
    """Return 1 - b.w / c: the squared error of the optimal weights over that of doing nothing."""
    weights = optimal_weights(speeds, hurst, horizon)
    return float(1 - projection(speeds, hurst, horizon) @ weights / _energy(hurst, horizon))


def ou_covariance(times: Float[Tensor, " n"], speeds: Float[Tensor, " k"]) -> Tensor:
    """Return E[Y^i_s Y^j_t], shape (k, k, n, n): first i and j, then s and t."""
    times, speeds = times.double(), speeds.double()
    early = torch.minimum(times[:, None], times)
    slow = speeds[:, None, None, None] * (times[:, None] - early)
    fast = speeds[:, None, None] * (times - early)
    rate = (speeds[:, None] + speeds)[:, :, None, None]
    return -torch.expm1(-rate * early) / rate * torch.exp(-slow - fast)


def ma_covariance(
    times: Float[Tensor, " n"], speeds: Float[Tensor, " k"], weights: Float[Tensor, " k"]
) -> Float[Tensor, "n n"]:
    """Return the covariance matrix of Bhat at the given times."""
    return torch.einsum("i,ijst,j->st", weights, ou_covariance(times, speeds), weights)


def covariance_error(speeds: Float[Tensor, " k"], hurst: float, points: int = 50) -> float:
    """Return the largest |Cov Bhat - Cov B^H| on a grid of (0, 1], over the largest |Cov B^H|."""
    times = torch.arange(1, points + 1, dtype=torch.float64) / points
    exact = fbm_covariance(times, hurst)
    found = ma_covariance(times, speeds, optimal_weights(speeds, hurst))
    return float((found - exact).abs().max() / exact.abs().max())


def simulate_ou(
    speeds: Float[Tensor, " k"],
    times: Float[Tensor, " n"],
    paths: int,
    generator: torch.Generator,
) -> Float[Tensor, "n paths k"]:
    """Draw the processes Y^k at increasing times > 0 from one Brownian motion, exact in law: O(n).

    A speed of 0 is allowed and gives the Brownian motion itself. Paths of Bhat with different
    Hurst indices but the same driving noise are this result times their weights.
    """
    speeds, times = speeds.double(), times.double()
    steps = torch.diff(times, prepend=torch.zeros(1, dtype=torch.float64))
    if (steps <= 0).any():
        raise ValueError("times must be positive and increasing")
    decay = torch.exp(-speeds * steps[:, None])
    roots = _increment_roots(speeds, steps)
    noise = torch.randn(len(times), paths, len(speeds), generator=generator, dtype=torch.float64)
    pushes = noise @ roots.mT
    state, visited = torch.zeros(paths, len(speeds), dtype=torch.float64), []
    for factor, push in zip(decay, pushes, strict=True):
        state = factor * state + push
        visited.append(state)
    return torch.stack(visited)


def _increment_roots(speeds: Tensor, steps: Tensor) -> Tensor:
    """Return square roots (n, k, k) of the covariances of int exp(-speed (h - s)) dB_s over h.

    For short steps they are nearly of rank one, where a Cholesky factorisation may fail.
    """
    rate = speeds[:, None] + speeds
    safe = torch.where(rate > 0, rate, 1.0)
    step = steps[:, None, None]
    covariance = torch.where(rate > 0, -torch.expm1(-safe * step) / safe, step)
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp(min=0).sqrt()[:, None, :]


def _energy(hurst: float, horizon: float) -> float:
    """Return the integral of Var B^H_t over 0 <= t <= horizon."""
    doubled = 2 * hurst
    return horizon ** (doubled + 1) / (doubled * (doubled + 1) * gamma(hurst + 0.5) ** 2)


def _check_hurst(hurst: float) -> None:
    if not 0 < hurst < 1:
        raise ValueError(f"the Hurst index must lie between 0 and 1, not {hurst}")
