"""Fractional Brownian motion, and a Markov process that imitates it.

Fractional Brownian motion of type II (Riemann-Liouville) smears the past of a Brownian
motion B,

    B^H_t = 1 / Gamma(H + 1/2)  int_0^t (t - s)^(H - 1/2) dB_s,

with a Hurst index 0 < H < 1: rough paths below 1/2, Brownian motion at 1/2, smooth
paths with long memory above. It is not a Markov process. A weighted sum of K
Ornstein-Uhlenbeck processes

    Bhat_t = sum_k weight_k Y^k_t,     dY^k = -speed_k Y^k dt + dB,     Y^k_0 = 0,

all driven by *the same* B, is one (together with the Y^k), and with the right weights
it comes close to B^H (Harms and Stefanovits 2019; Daems et al. 2024, arXiv 2310.12975).
"""

import math

import torch
from jaxtyping import Float
from scipy.special import gamma, gammainc, hyp2f1
from torch import Tensor

from src.common.checks import checked, within

MOST_SPEEDS = 6
WORST_CONDITION = 1e11


@checked
def fbm_variance(times: Float[Tensor, " n"], hurst: float) -> Float[Tensor, " n"]:
    """Return Var B^H_t = t^(2H) / (2H Gamma(H + 1/2)^2).

    It is not t^(2H), the variance of fractional Brownian motion of type I.

    Args:
        times: at least 0.
        hurst: H, in (0, 1).

    Raises:
        ValueError: for a Hurst index outside (0, 1), or times below 0.

    Examples:
        >>> fbm_variance(torch.tensor([0.0, 0.5, 1.0]), hurst=0.5).tolist()
        [0.0, 0.5, 1.0]
    """
    _check_hurst(hurst)
    _check_range("times", times)
    return times.double() ** (2 * hurst) / (2 * hurst * gamma(hurst + 0.5) ** 2)


@checked
def fbm_covariance(times: Float[Tensor, " n"], hurst: float) -> Float[Tensor, "n n"]:
    """Return the covariance matrix of B^H at the given times.

    For s < t the integral of (s - u)^a (t - u)^a over u from 0 to s, with a = H - 1/2,
    is s^(a+1) t^a / (a+1) times the hypergeometric function F(-a, 1; a + 2; s/t).

    Args:
        times: at least 0.
        hurst: H, in (0, 1).

    Raises:
        ValueError: for a Hurst index outside (0, 1), or times below 0.
    """
    _check_hurst(hurst)
    _check_range("times", times)
    times = times.double()
    early = torch.minimum(times[:, None], times)
    late = torch.maximum(times[:, None], times)
    a = hurst - 0.5
    ratio = torch.where(late > 0, early / late.clamp(min=1e-300), 0.0)
    series = torch.from_numpy(hyp2f1(-a, 1.0, a + 2, ratio.numpy()))
    covariance = early ** (a + 1) * late.clamp(min=1e-300) ** a * series / (a + 1)
    covariance = covariance / gamma(hurst + 0.5) ** 2
    return torch.where(
        early == late, torch.diag(fbm_variance(times, hurst)), covariance
    )


@checked
def sample_fbm(
    times: Float[Tensor, " n"], hurst: float, paths: int, generator: torch.Generator
) -> Float[Tensor, "n paths"]:
    """Draw paths of B^H, exact in law.

    The cost is O(n^3) once and O(n^2) per path.

    Args:
        times: positive and increasing.
        hurst: H, in (0, 1).
        paths: how many.
        generator: source of the noise, on the CPU.

    Returns:
        One column per path, (n, paths).

    Raises:
        ValueError: for a Hurst index outside (0, 1), times that are not positive and
            increasing, or no paths.
    """
    _check_times(times)
    within("paths", paths, 1)
    root = torch.linalg.cholesky(fbm_covariance(times, hurst))
    noise = torch.randn(len(times), paths, generator=generator, dtype=torch.float64)
    return root @ noise


@checked
def ou_speeds(count: int, largest: float = 20.0) -> Float[Tensor, " count"]:
    """Return speeds in geometric progression from 1/largest to largest; one speed is 1.

    Args:
        count: number of speeds, at least 0.
        largest: greater than 1.

    Raises:
        ValueError: if `count` < 0 or `largest` <= 1.
    """
    within("count", count, 0)
    within("largest", largest, 1, ends=False)
    if count == 1:
        return torch.ones(1, dtype=torch.float64)
    place = torch.linspace(-1, 1, count, dtype=torch.float64)
    return torch.exp(place * math.log(largest))


@checked
def gram_matrix(
    speeds: Float[Tensor, " k"], horizon: float = 1.0
) -> Float[Tensor, "k k"]:
    """Return A_ij, the integral of E[Y^i_t Y^j_t] over 0 <= t <= horizon.

    This is equation 12 of Daems et al.

    Args:
        speeds: positive.
        horizon: T, the end of the integral.

    Raises:
        ValueError: for speeds or a horizon that are not positive.
    """
    _check_range("speeds", speeds, zero=False)
    within("horizon", horizon, 0, ends=False)
    rate = speeds.double()[:, None] + speeds.double()
    return (horizon + torch.expm1(-rate * horizon) / rate) / rate


@checked
def projection(
    speeds: Float[Tensor, " k"], hurst: float, horizon: float = 1.0
) -> Float[Tensor, " k"]:
    """Return b_k, the integral of E[Y^k_t B^H_t] over 0 <= t <= horizon.

    With P the regularised lower incomplete gamma function and gamma the speed, it is

        T P(H + 1/2, gamma T) / gamma^(H + 1/2)
        - (H + 1/2) P(H + 3/2, gamma T) / gamma^(H + 3/2).

    Args:
        speeds: positive.
        hurst: H, in (0, 1).
        horizon: T, the end of the integral.

    Raises:
        ValueError: for a Hurst index outside (0, 1), or speeds or a horizon that are
            not positive.
    """
    _check_hurst(hurst)
    _check_range("speeds", speeds, zero=False)
    within("horizon", horizon, 0, ends=False)
    speeds, a = speeds.double(), hurst + 0.5
    first = torch.from_numpy(gammainc(a, (speeds * horizon).numpy()))
    second = torch.from_numpy(gammainc(a + 1, (speeds * horizon).numpy()))
    return horizon * first / speeds**a - a * second / speeds ** (a + 1)


@checked
def optimal_weights(
    speeds: Float[Tensor, " k"], hurst: float, horizon: float = 1.0
) -> Float[Tensor, " k"]:
    """Return the weights with which Bhat comes closest to B^H in the mean square.

    They minimise the integral of E(Bhat_t - B^H_t)^2 over 0 <= t <= horizon by solving
    A weights = b, with A of `gram_matrix` and b of `projection`, and may be negative.

    Args:
        speeds: positive, at most `MOST_SPEEDS`.
        hurst: H, in (0, 1).
        horizon: end of the integral.

    Raises:
        ValueError: for too many speeds, speeds that are not positive, speeds so close
            to each other that double precision cannot tell their weights apart, or a
            Hurst index outside (0, 1).

    Examples:
        >>> weights = optimal_weights(ou_speeds(3), hurst=0.9)
        >>> weights.shape
        torch.Size([3])
        >>> slow = torch.tensor([1e-6])  # hardly forgets: nearly Brownian motion
        >>> optimal_weights(slow, hurst=0.5).round(decimals=3).tolist()
        [1.0]
    """
    if len(speeds) > MOST_SPEEDS:
        raise ValueError(
            f"at most {MOST_SPEEDS} speeds, not {len(speeds)}: A becomes singular"
        )
    within("horizon", horizon, 0, ends=False)
    _check_range("speeds", speeds, zero=False)
    if len(speeds) == 0:
        return torch.zeros(0, dtype=torch.float64)
    matrix = gram_matrix(speeds, horizon)
    if (condition := torch.linalg.cond(matrix).item()) > WORST_CONDITION:
        raise ValueError(f"speeds too close: condition number {condition:.1e}")
    root = torch.linalg.cholesky(matrix)
    return torch.cholesky_solve(projection(speeds, hurst, horizon)[:, None], root)[:, 0]


@checked
def relative_cost(
    speeds: Float[Tensor, " k"], hurst: float, horizon: float = 1.0
) -> float:
    """Return the squared error of the optimal weights over that of doing nothing.

    It is 1 - b.w / c, where c is the integral of Var B^H_t over 0 <= t <= horizon.

    Args:
        speeds: as in `optimal_weights`.
        hurst: H, in (0, 1).
        horizon: end of the integral.

    Raises:
        ValueError: as `optimal_weights`.

    Examples:
        >>> [round(relative_cost(ou_speeds(count), hurst=0.7), 2) for count in (1, 2)]
        [0.15, 0.01]
    """
    weights = optimal_weights(speeds, hurst, horizon)
    return float(
        1 - projection(speeds, hurst, horizon) @ weights / _energy(hurst, horizon)
    )


@checked
def ou_covariance(times: Float[Tensor, " n"], speeds: Float[Tensor, " k"]) -> Tensor:
    """Return E[Y^i_s Y^j_t], shape (k, k, n, n): first i and j, then s and t.

    Args:
        times: at least 0.
        speeds: positive.

    Raises:
        ValueError: for times below 0, or speeds that are not positive.
    """
    _check_range("times", times)
    _check_range("speeds", speeds, zero=False)
    times, speeds = times.double(), speeds.double()
    early = torch.minimum(times[:, None], times)
    slow = speeds[:, None, None, None] * (times[:, None] - early)
    fast = speeds[:, None, None] * (times - early)
    rate = (speeds[:, None] + speeds)[:, :, None, None]
    return -torch.expm1(-rate * early) / rate * torch.exp(-slow - fast)


@checked
def ma_covariance(
    times: Float[Tensor, " n"],
    speeds: Float[Tensor, " k"],
    weights: Float[Tensor, " k"],
) -> Float[Tensor, "n n"]:
    """Return the covariance matrix of Bhat at the given times.

    Args:
        times: at least 0.
        speeds: positive.
        weights: one for each speed.

    Raises:
        ValueError: for times below 0, or speeds that are not positive.
    """
    weights = weights.double()
    return torch.einsum("i,ijst,j->st", weights, ou_covariance(times, speeds), weights)


@checked
def covariance_error(
    speeds: Float[Tensor, " k"], hurst: float, points: int = 50
) -> float:
    """Return the largest error of Cov Bhat, over the largest |Cov B^H|.

    The times are an even grid of (0, 1].

    Args:
        speeds: as in `optimal_weights`.
        hurst: H, in (0, 1).
        points: of the grid.

    Raises:
        ValueError: as `optimal_weights`, or for a grid without points.
    """
    within("points", points, 1)
    times = torch.arange(1, points + 1, dtype=torch.float64) / points
    exact = fbm_covariance(times, hurst)
    found = ma_covariance(times, speeds, optimal_weights(speeds, hurst))
    return float((found - exact).abs().max() / exact.abs().max())


@checked
def simulate_ou(
    speeds: Float[Tensor, " k"],
    times: Float[Tensor, " n"],
    paths: int,
    generator: torch.Generator,
) -> Float[Tensor, "n paths k"]:
    """Draw the processes Y^k from one Brownian motion, exact in law, in O(n).

    Paths of Bhat with different Hurst indices but the same driving noise are this
    result times their weights.

    Args:
        speeds: at least 0; a speed of 0 gives the Brownian motion itself.
        times: positive and increasing.
        paths: how many.
        generator: source of the noise, on the CPU.

    Returns:
        Values (n, paths, k).

    Raises:
        ValueError: for times that are not positive and increasing, speeds below 0, or
            no paths.

    Examples:
        >>> times, seeded = torch.linspace(0.1, 1, 10), torch.Generator().manual_seed(0)
        >>> hidden = simulate_ou(ou_speeds(2), times, 4, seeded)
        >>> (hidden @ optimal_weights(ou_speeds(2), hurst=0.9)).shape  # paths of Bhat
        torch.Size([10, 4])
    """
    speeds, times = speeds.double(), times.double()
    steps = torch.diff(times, prepend=torch.zeros(1, dtype=torch.float64))
    _check_times(times)
    within("paths", paths, 1)
    within("the number of speeds", len(speeds), 1)
    _check_range("speeds", speeds)
    decay = torch.exp(-speeds * steps[:, None])
    roots = _increment_roots(speeds, steps)
    shape = (len(times), paths, len(speeds))
    noise = torch.randn(shape, generator=generator, dtype=torch.float64)
    pushes = noise @ roots.mT
    state, visited = torch.zeros(paths, len(speeds), dtype=torch.float64), []
    for factor, push in zip(decay, pushes, strict=True):
        state = factor * state + push
        visited.append(state)
    return torch.stack(visited)


def _increment_roots(speeds: Tensor, steps: Tensor) -> Tensor:
    """Return square roots (n, k, k) of the covariances of the increments.

    The increments over a step of length h are int_0^h exp(-speed (h - s)) dB_s. For
    short steps their covariances are nearly of rank one, and a Cholesky factorisation
    may fail.
    """
    rate = speeds[:, None] + speeds
    safe = torch.where(rate > 0, rate, 1.0)
    step = steps[:, None, None]
    covariance = torch.where(rate > 0, -torch.expm1(-safe * step) / safe, step)
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp(min=0).sqrt()[:, None, :]


def _energy(hurst: float, horizon: float) -> float:
    """Return the integral of Var B^H_t over 0 <= t <= horizon."""
    double = 2 * hurst
    return horizon ** (double + 1) / (double * (double + 1) * gamma(hurst + 0.5) ** 2)


def _check_times(times: Tensor) -> None:
    steps = torch.diff(times, prepend=times.new_zeros(1))
    if not len(times) or not bool(((steps > 0) & steps.isfinite()).all()):
        raise ValueError(
            "need at least one time, and times must be positive and increasing: the "
            "motion starts at time 0 with the value 0"
        )


def _check_range(name: str, values: Tensor, zero: bool = True) -> None:
    """Refuse values below 0, infinite or undefined ones, and zeros on demand."""
    fits = ((values >= 0) if zero else (values > 0)) & values.isfinite()
    if not bool(fits.all()):
        bound = "at least 0" if zero else "positive"
        raise ValueError(f"{name} must be {bound} and finite, not {values.tolist()}")


def _check_hurst(hurst: float) -> None:
    if not 0 < hurst < 1:
        raise ValueError(f"the Hurst index must lie between 0 and 1, not {hurst}")
