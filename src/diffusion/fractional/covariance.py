"""The covariance of the augmented process by the paper's differential equations.

`FractionalProcess` computes Cov(Z_t) in square-root form. Here are the equations that
the paper solves; the caller chooses the accuracy.
"""

import numpy as np
from jaxtyping import Float
from scipy.integrate import solve_ivp

from src.common.checks import same_length, within
from src.common.diffusion.processes import Process

Matrix = Float[np.ndarray, "n n"]
Vector = Float[np.ndarray, " k"]


def hidden_covariance(t: float, speeds: Vector) -> Matrix:
    """Return Cov(Y_t), (1 - exp(-(speed_i + speed_j) t)) / (speed_i + speed_j).

    Args:
        t: the time, at least 0.
        speeds: positive, one for each hidden process.

    Raises:
        ValueError: for a time below 0, or speeds that are not positive.
    """
    within("t", t, 0)
    if not (speeds > 0).all():
        raise ValueError(f"speeds must be positive, not {speeds}")
    rate = speeds[:, None] + speeds
    return -np.expm1(-rate * t) / rate


def covariance_by_equations(
    base: Process,
    speeds: Vector,
    weights: Vector,
    times: Float[np.ndarray, " times"],
    method: str = "DOP853",
    rtol: float = 1e-10,
    atol: float = 1e-20,
) -> Float[np.ndarray, "times n n"]:
    """Return Cov(Z_t | x_0) at increasing times by solving its differential equations.

    With s = Var X, r_l = Cov(X, Y^l), C = Cov(Y) and W the sum of the weights w_k,

        ds/dt   = 2 f s - 2 g sum_k w_k speed_k r_k + (g W)^2,
        dr_l/dt = (f - speed_l) r_l + g (W - sum_k w_k speed_k C_lk).

    No jitter is added.

    Args:
        base: the ordinary process that gives f, g and Var X at t = 0.
        speeds: positive, one for each hidden process.
        weights: of the hidden processes in the driving noise.
        times: increasing, in [0, 1].
        method: of `scipy.integrate.solve_ivp`.
        rtol: relative tolerance of the solver.
        atol: absolute tolerance of the solver.

    Returns:
        One matrix per time, (times, 1 + K, 1 + K), in the order X, Y^1 .. Y^K.

    Raises:
        ValueError: for times that do not increase within [0, 1], or speeds and weights
            of different numbers.
    """
    if not len(times) or np.any(np.diff(times, prepend=0.0) < 0) or times[-1] > 1:
        raise ValueError(f"times must increase within [0, 1], not {times}")
    same_length(speeds=speeds.tolist(), weights=weights.tolist())
    total, pull = weights.sum(), weights * speeds

    def slope(t: float, value: np.ndarray) -> np.ndarray:
        f, g = float(base.rate(t)), float(base.diffusion(t))
        variance, cross = value[0], value[1:]
        change = 2 * f * variance - 2 * g * pull @ cross + (g * total) ** 2
        changes = (f - speeds) * cross + g * (
            total - hidden_covariance(t, speeds) @ pull
        )
        return np.concatenate([[change], changes])

    first = np.concatenate([[float(base.std(0.0) ** 2)], np.zeros_like(speeds)])
    span = (0.0, float(times[-1]))
    # Read off a step's polynomial, as a table of the solution would be.
    solution = solve_ivp(
        slope, span, first, method=method, rtol=rtol, atol=atol, dense_output=True
    )
    values = solution.sol(times)
    return np.stack(
        [_assemble(t, v, speeds) for t, v in zip(times, values.T, strict=True)]
    )


def _assemble(t: float, value: np.ndarray, speeds: Vector) -> np.ndarray:
    """Return the covariance matrix from (Var X, Cov(X, Y^1), ..)."""
    size = 1 + len(speeds)
    matrix = np.empty((size, size))
    matrix[0], matrix[:, 0] = value, value
    matrix[1:, 1:] = hidden_covariance(t, speeds)
    return matrix
