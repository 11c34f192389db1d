"""Exact Gaussian steps of the augmented process Z = (X, Y^1 .. Y^K), by square roots.

For each pixel, all driven by one Brownian motion B,

    dX = f(t) X dt + g(t) sum_k weight_k dY^k,      dY^k = -speed_k Y^k dt + dB.

From s to t > s the state moves to Phi(t, s) Z_s + int_s^t v(t, u) dB_u, v(t, u) =
Phi(t, u) G(u) (variation of constants), where only the first row of Phi needs an
integral,

    Phi_XX = mean(t) / mean(s),   Phi_Yk,Yk = exp(-speed_k (t - s)),
    Phi_X,Yk = -weight_k speed_k
               int_s^t mean(t)/mean(u) g(u) exp(-speed_k (u - s)) du.

The covariance of what a step adds is int v v^T du, by quadrature sum_j w_j v_j v_j^T.
Its square root has the columns sqrt(w_j) v_j, and all that follows multiplies and
triangularises such roots: covariances are never subtracted from each other. That
matters, because the components share their noise and the covariance of Z is nearly
singular: solving its differential equations with the usual tolerances makes Var(X | Y)
negative.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from src.common.diffusion.processes import Process

FloatArray = np.ndarray
NODES = 1024
"""Steps of the table."""
SHORT = 8
"""Nodes of the quadrature within a step of the table."""


@dataclass(frozen=True)
class Step:
    """A linear Gaussian step of (X, Y^1 .. Y^K), or many along the leading dimensions.

    Attributes:
        matrix: Phi(t, s), (..., 1 + K, 1 + K).
        root: of the covariance of the added noise, (..., 1 + K, nodes).
    """

    matrix: FloatArray
    root: FloatArray


@dataclass(frozen=True)
class Dynamics:
    """The equation above.

    Attributes:
        base: the ordinary process that gives f, g and mean.
        speeds: of the hidden processes.
        weights: one for each speed.
    """

    base: Process
    speeds: tuple[float, ...]
    weights: tuple[float, ...]

    @property
    def gain(self) -> float:
        """Factor of g in the noise of X: the sum of the weights; 1 without speeds."""
        return sum(self.weights) if self.speeds else 1.0

    def step(
        self, late: FloatArray | float, early: FloatArray | float, nodes: int = 48
    ) -> Step:
        """Return the steps from times `early` to times `late`.

        The nodes of the Gauss-Legendre rule are squeezed towards the earlier time,
        where the square root in g of a variance-preserving process bends most.

        Args:
            late: ends of the steps, at most 1.
            early: beginnings, of the same shape and smaller.
            nodes: of the quadrature within each step.
        """
        late, early = np.asarray(late, float), np.asarray(early, float)
        speeds, (places, shares) = np.array(self.speeds), _squeezed_rule(nodes)
        u = early[..., None] + (late - early)[..., None] * places
        width = (late - early)[..., None] * shares
        couple = self._coupling(late[..., None], u, places, shares)  # (..., nodes, K)
        density = self._carried(late[..., None], u) * self.gain + couple.sum(-1)
        decays = np.exp(-(late[..., None] - u)[..., None] * speeds)
        root = (
            np.concatenate([density[..., None], decays], -1) * np.sqrt(width)[..., None]
        )
        size = 1 + len(speeds)
        matrix = np.zeros((*late.shape, size, size))
        matrix[..., 0, 0] = self._mean(late) / self._mean(early)
        matrix[..., 0, 1:] = self._coupling(late, early, places, shares)
        index = np.arange(1, size)
        matrix[..., index, index] = np.exp(-(late - early)[..., None] * speeds)
        return Step(matrix, np.swapaxes(root, -1, -2))

    def _coupling(
        self,
        late: FloatArray,
        early: FloatArray,
        places: FloatArray,
        shares: FloatArray,
    ) -> FloatArray:
        """Return Phi_X,Yk(late, early), (..., K)."""
        speeds, weights = np.array(self.speeds), np.array(self.weights)
        late, early = np.broadcast_arrays(late, early)
        length = (late - early)[..., None]
        u = early[..., None] + length * places
        carried = self._carried(late[..., None], u) * length * shares  # (..., nodes)
        decays = np.exp(-(length * places)[..., None] * speeds)  # (..., nodes, K)
        return -weights * speeds * np.einsum("...n,...nk->...k", carried, decays)

    def _carried(self, late: FloatArray, u: FloatArray) -> FloatArray:
        """Return mean(late) / mean(u) g(u): what noise of time u amounts to later."""
        return (
            self._mean(late)
            / self._mean(u)
            * self.base.diffusion(torch.from_numpy(u)).numpy()
        )

    def _mean(self, t: FloatArray) -> FloatArray:
        return self.base.mean(torch.from_numpy(np.ascontiguousarray(t))).numpy()


def triangular(root: FloatArray) -> FloatArray:
    """Return L, lower triangular with diagonal >= 0, such that L L^T = root root^T.

    Args:
        root: (..., n, m) with m >= n.

    Returns:
        L, (..., n, n).

    Examples:
        >>> triangular(np.array([[3.0, 4.0]]))
        array([[5.]])
    """
    upper = np.linalg.qr(np.swapaxes(root, -1, -2), mode="r")
    signs = np.where(np.diagonal(upper, axis1=-2, axis2=-1) < 0, -1.0, 1.0)
    return np.swapaxes(upper * signs[..., None], -1, -2)


def advance(root: FloatArray, step: Step) -> FloatArray:
    """Return a root (..., n, n), n = 1 + K, of Cov(Z_late), given one of Cov(Z_early).

    Args:
        root: (..., n, n), of the covariance of Z_early.
        step: a step from the early to the late time, or one for each root.
    """
    return triangular(np.concatenate([step.matrix @ root, step.root], -1))


def conditional(root: FloatArray, step: Step) -> tuple[FloatArray, FloatArray]:
    """Return the law of Z_early given Z_late: its gain and a root of its covariance.

    E[Z_early | Z_late] moves by the gain times the change of Z_late. One
    triangularisation of the joint root of (Z_late, Z_early) gives both (the array form
    of the Kalman filter): [[step.root, Phi root], [0, root]] -> [[S, 0], [gain S,
    conditional root]].

    Args:
        root: (n, n), of the covariance of Z_early.
        step: a single step from the early to the late time.

    Returns:
        The gain (n, n) and the conditional root (n, n).
    """
    size = len(root)
    zeros = np.zeros((size, step.root.shape[1]))
    above = np.concatenate([step.root, step.matrix @ root], 1)
    joint = triangular(np.concatenate([above, np.concatenate([zeros, root], 1)]))
    late, cross = joint[:size, :size], joint[size:, :size]
    gain = np.linalg.solve(late.T, cross.T).T
    return gain, joint[size:, size:]


class RootTable:
    """Square roots of Cov(Z_t) for 0 <= t <= 1, by steps so short that they are exact.

    Attributes:
        dynamics: the equation that is followed.
        smallest: scale of the first steps, about the time where even steps end.
        rate: r, by which the steps grow.
        times: (n + 1,) from 0 to 1, t_i = smallest (e^(r i) - 1): even steps near 0,
            then growing.
        roots: (n + 1, 1 + K, 1 + K), one root per time.
    """

    def __init__(
        self,
        dynamics: Dynamics,
        first: FloatArray,
        smallest: float = 1e-6,
        steps: int = NODES,
    ) -> None:
        """Fill the table from t = 0 to 1.

        Args:
            dynamics: the equation to follow.
            first: root (1 + K, 1 + K) of the covariance at t = 0.
            smallest: scale of the first steps, positive.
            steps: n, the number of steps.
        """
        self.dynamics, self.smallest = dynamics, smallest
        self.rate = np.log1p(1 / smallest) / steps
        self.times = smallest * np.expm1(self.rate * np.arange(steps + 1))
        self.times[-1] = 1.0
        moves = dynamics.step(self.times[1:], self.times[:-1], SHORT)
        roots = [first]
        for matrix, root in zip(moves.matrix, moves.root, strict=True):
            roots.append(advance(roots[-1], Step(matrix, root)))
        self.roots = np.stack(roots)

    def root(self, t: FloatArray | float) -> FloatArray:
        """Return a root at any time by one short step from the last time tabulated.

        Args:
            t: in [0, 1], one or many.

        Returns:
            (..., 1 + K, 1 + K), one root per time.

        Raises:
            ValueError: for a time outside [0, 1].
        """
        t = np.asarray(t, float)
        if not np.all((t >= 0) & (t <= 1)):
            raise ValueError(f"the table covers 0 <= t <= 1, not {t}")
        index = np.searchsorted(self.times, t, side="right") - 1
        step = self.dynamics.step(t, self.times[index], SHORT)
        moved = advance(self.roots[index], step)
        tabulated = (self.times[index] == t)[..., None, None]
        return np.where(tabulated, self.roots[index], moved)


@lru_cache
def _squeezed_rule(nodes: int) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights on [0, 1] of Gauss-Legendre with u = x^2 substituted."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    x, w = (x + 1) / 2, w / 2
    return x**2, 2 * x * w
