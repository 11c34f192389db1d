"""Generative fractional diffusion: a forward process with memory (Nobis et al. 2024).

In an ordinary process dX = f X dt + g dB, the Markov approximation of fractional
Brownian motion takes the place of B (arXiv 2310.17638). The state is Z = (X, Y^1 ..
Y^K) for each pixel: the image and K Ornstein-Uhlenbeck processes, all driven by one
Brownian motion per pixel. Three facts make it as easy to train as an ordinary process:

* given the image x_0, Z_t is Gaussian with mean (mean(t) x_0, 0, .., 0) and a known
  covariance;
* Y knows nothing about x_0, so with alpha = Cov(Y)^-1 Cov(Y, X) the observation
  u = X - alpha.Y is mean(t) x_0 + std(t) noise, with noise independent of Y and
  std(t)^2 = Var(X | Y, x_0);
* hence grad_x log p(z) = score(u) and grad_y log p(z) = -alpha score(u) - Cov(Y)^-1 y:
  only a network for u is learned, the rest is known ("augmented score matching").
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from src.common.checks import within
from src.common.diffusion.process import descend
from src.common.diffusion.processes import (
    LinearVP,
    Process,
    Time,
    VarianceExploding,
    as_time,
)
from src.diffusion.fractional.coefficients import (
    Coefficients,
    StdTable,
    check_state,
    coefficients,
    mix,
)
from src.diffusion.fractional.noise import optimal_weights, ou_speeds
from src.diffusion.fractional.steps import (
    Dynamics,
    RootTable,
    conditional,
    triangular,
)

JITTERS = ("start", "always")


@dataclass(frozen=True)
class FractionalProcess(Process):
    """An ordinary process driven by approximate fractional Brownian motion (MA-fBM).

    States are (1 + K, batch, ...), in the order X, Y^1 .. Y^K; other shapes are a
    ValueError.

    Attributes:
        base: gives f, g and mean: LinearVP for the paper's FVP, VarianceExploding for
            its FVE.
        hurst: H, in (0, 1): below 1/2 rough, above 1/2 smooth.
        count: K, at most 6; 0 is `base` itself (with a leading dimension of 1), the
            paper's "H = 0.5".
        fastest: the largest speed, greater than 1; the smallest is its inverse.
        jitter: variance that keeps Cov(Y) away from singularity, > 0; the paper takes
            1e-4.
        jitter_when: "start": Y_0 has this variance, independently for each k, and
            passes it on to X: the forward equation then has exactly the covariance that
            is used. "always": the paper's way, jitter exp(-2 speed t) is added to the
            diagonal of Cov(Y_t), and its effect on X is neglected; then no step between
            two times is exact, and there is no `bridge`.

    Examples:
        >>> process = FractionalProcess(hurst=0.9, count=2)
        >>> state = process.start((5, 2), torch.Generator().manual_seed(0))
        >>> state.shape, process.observe(state, 1.0).shape  # five points in the plane
        (torch.Size([3, 5, 2]), torch.Size([5, 2]))
        >>> bool(process.std(1.0) < process.covariance(1.0)[0, 0].sqrt())
        True
    """

    base: Process = field(default_factory=LinearVP)
    hurst: float = 0.9
    count: int = 2
    fastest: float = 20.0
    jitter: float = 1e-4
    jitter_when: str = "start"

    def __post_init__(self) -> None:
        """Reject meaningless settings.

        Raises:
            ValueError: for another base, an unknown `jitter_when`, or numbers out of
                range.
        """
        if type(self.base) not in (LinearVP, VarianceExploding):
            raise ValueError(
                f"the base must be LinearVP or VarianceExploding, not {self.base}"
            )
        if self.jitter_when not in JITTERS:
            raise ValueError(
                f"unknown jitter_when {self.jitter_when!r}; valid: {JITTERS}"
            )
        within("jitter", self.jitter, 0, 1, ends=False)
        optimal_weights(ou_speeds(self.count, self.fastest), self.hurst)

    # --- constants and tables ---------------------------------------------------------

    @cached_property
    def speeds(self) -> Tensor:
        """The K speeds, double precision."""
        return ou_speeds(self.count, self.fastest)

    @cached_property
    def weights(self) -> Tensor:
        """The K weights, scaled so that the noise of X at t = 1 has the base's size.

        That is variance 1 for a variance-preserving base and std(1)^2 for others.
        """
        weights = optimal_weights(self.speeds, self.hurst)
        if self.count == 0:
            return weights
        preserving = isinstance(self.base, LinearVP)
        target = 1.0 if preserving else float(self.base.std(1.0) ** 2)
        inherited = self._first_variance * float(self.base.mean(1.0)) ** 2
        last = self._roots(weights, 0.0).roots[-1]
        return weights * float((target - inherited) / (last[0] @ last[0])) ** 0.5

    def covariance(self, t: Time) -> Tensor:
        """Return Cov(Z_t | x_0), (1 + K, 1 + K) in double precision.

        Args:
            t: one time in [0, 1].
        """
        root = self._at(t).root
        return root @ root.T

    # --- the law of the observation ---------------------------------------------------

    def mean(self, t: Time) -> Tensor:
        """Return the base's mean.

        Args:
            t: one time, or one per image (batch,).
        """
        return self.base.mean(t)

    def std(self, t: Time) -> Tensor:
        """Return the standard deviation of X given Y.

        Args:
            t: one time, for which it is exact, or many, for which it is interpolated in
                a table.
        """
        t = as_time(t)
        if self.count == 0:
            return self.base.std(t)
        if t.dim() == 0:
            return self._at(t).std.to(t.device)
        return self._std_table(t)

    def rate(self, t: Time) -> Tensor:
        """Return the base's rate.

        Args:
            t: one time, or one per image (batch,).
        """
        return self.base.rate(t)

    def diffusion(self, t: Time) -> Tensor:
        """Return g(t) times the sum of the weights, which may be negative.

        Args:
            t: one time, or one per image (batch,).
        """
        return self.base.diffusion(t) * self._exact.gain

    # --- the state --------------------------------------------------------------------

    def image(self, state: Tensor) -> Tensor:
        """Return X (batch, ...).

        Args:
            state: (1 + K, batch, ...).
        """
        return state[0]

    def observe(self, state: Tensor, t: Time) -> Tensor:
        """Return u = X - sum_k alpha_k(t) Y^k, (batch, ...).

        Args:
            state: (1 + K, batch, ...).
            t: one time, or one per image (batch,).
        """
        check_state(self.count, state)
        if self.count == 0:
            return state[0]
        return mix(self._each(t, "observer"), state)[0]

    def state_score(self, score: Tensor, state: Tensor, t: Time) -> Tensor:
        """Return (score, -alpha score - Cov(Y)^-1 Y), of the shape of the state.

        Args:
            score: of the observation, (batch, ...).
            state: (1 + K, batch, ...).
            t: one time, or one per image (batch,).
        """
        check_state(self.count, state, score)
        if self.count == 0:
            return score[None]
        return mix(self._each(t, "scorer"), torch.cat([score[None], state[1:]]))

    def start(
        self,
        shape: tuple[int, ...],
        generator: torch.Generator,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """Draw states at t = 1 jointly, as if x_0 were 0.

        Args:
            shape: (batch, ...) of the images.
            generator: source of the noise; the states are on its device.
            dtype: of the states; None is PyTorch's default.

        Returns:
            States (1 + K, batch, ...).
        """
        shape = (1 + self.count, *shape)
        noise = torch.randn(
            shape, generator=generator, dtype=dtype, device=generator.device
        )
        if self.count == 0:
            return self._times(self.std(1.0), noise)
        return mix(self._at(1.0).root, noise)

    def drift(self, state: Tensor, t: Time) -> Tensor:
        """Return F(t) Z: (f X - g sum_k weight_k speed_k Y^k, -speed_k Y^k).

        Args:
            state: Z, (1 + K, batch, ...).
            t: one time, or one per image (batch,).
        """
        check_state(self.count, state)
        if self.count == 0:
            return self._times(self.rate(t), state[0])[None]
        t = as_time(t).cpu()
        matrix = torch.zeros(*state.shape[:1] * 2, *t.shape, dtype=torch.float64)
        matrix[0, 0], index = self.rate(t), torch.arange(1, len(state))
        shape = (-1, *[1] * t.dim())
        matrix[0, 1:] = -self.base.diffusion(t) * (self.weights * self.speeds).reshape(
            shape
        )
        matrix[index, index] = -self.speeds.reshape(shape)
        return mix(matrix, state)

    def spread(self, noise: Tensor, t: Time) -> Tensor:
        """Return G(t) noise = (g sum_k weight_k, 1, .., 1) noise, (1 + K, batch, ...).

        Args:
            noise: (batch, ...), one number per pixel for X and all Y^k.
            t: one time, or one per image (batch,).
        """
        return torch.stack(
            [self._times(self.diffusion(t), noise), *[noise] * self.count]
        )

    def gather(self, score: Tensor, t: Time) -> Tensor:
        """Return G(t)^T times the score of a state, (batch, ...).

        Args:
            score: of the state, (1 + K, batch, ...).
            t: one time, or one per image (batch,).
        """
        of_image = self._times(self.diffusion(t), score[0])
        return of_image + score[1:].sum(0) if self.count else of_image

    def bridge(
        self, state: Tensor, denoised: Tensor, t: Time, earlier: Time, noise: Tensor
    ) -> Tensor:
        """Draw Z_earlier given Z_t and x_0: an exact Gaussian step of any length.

        Args:
            state: Z_t, (1 + K, batch, ...).
            denoised: (batch, ...), taken for x_0.
            t: one time.
            earlier: one time before t.
            noise: standard normal numbers in the shape of the state.

        Returns:
            States (1 + K, batch, ...) at the earlier time.

        Raises:
            ValueError: if `jitter_when` is "always", if `earlier` is not before `t`, or
                for parts of other shapes.
        """
        check_state(self.count, state, denoised, noise)
        of_state, of_clean, root = self.bridge_factors(t, earlier)
        if self.count == 0:
            drawn = self._times(of_state, state) + self._times(of_clean, denoised)
            return drawn + self._times(root, noise)
        drawn = mix(torch.cat([of_state, root], 1), torch.cat([state, noise]))
        shares = of_clean.to(dtype=state.dtype, device=state.device)
        return drawn + shares.reshape(-1, *[1] * denoised.dim()) * denoised

    def bridge_factors(self, t: Time, earlier: Time) -> tuple[Tensor, Tensor, Tensor]:
        """Return the bridge's matrix of the state, vector of the clean image, and root.

        Args:
            t: one time.
            earlier: one time before t.

        Returns:
            Shapes (1 + K, 1 + K), (1 + K,) and (1 + K, 1 + K), where the root is one of
            the covariance of the added noise; for K = 0 three numbers.

        Raises:
            ValueError: if `jitter_when` is "always", or `earlier` is not before `t`.
        """
        descend(t, earlier)
        if self.count == 0:
            return self.base.bridge_factors(t, earlier)
        if self.jitter_when == "always":
            raise ValueError(
                "jitter_when='always' has no exact steps; use 'start' for a bridge"
            )
        key = float(t), float(earlier)
        if key not in self._bridges:
            nodes = 12 if key[0] - key[1] < 0.02 else 48
            step = self._exact.step(*key, nodes)
            gain, root = conditional(self._at(earlier).root.numpy(), step)
            mean = (
                self.mean(earlier) * torch.eye(1 + self.count, dtype=torch.float64)[0]
            )
            of_state = torch.from_numpy(gain)
            of_clean = mean - self.mean(t) * of_state[:, 0]
            self._bridges[key] = of_state, of_clean, torch.from_numpy(root)
        return self._bridges[key]

    # --- how the tables are made ------------------------------------------------------

    def _at(self, t: Time) -> Coefficients:
        """Return the coefficients at one time; each time is computed once and kept."""
        (found,) = self._at_all([float(t)])
        return found

    def _at_all(self, times: list[float]) -> list[Coefficients]:
        """Return the coefficients at many times, the new ones computed together."""
        if new := [t for t in dict.fromkeys(times) if t not in self._kept]:
            late = np.array(new)
            roots = self._with_jitter(self._table.root(late), late)
            self._kept.update(zip(new, coefficients(roots), strict=True))
        return [self._kept[t] for t in times]

    def _each(self, t: Time, name: str) -> Tensor:
        """Return one of the coefficients at one time, or at many along a last axis."""
        t = as_time(t)
        if t.dim() == 0:
            return getattr(self._at(t), name)
        kept = self._at_all(t.tolist())
        return torch.stack([getattr(one, name) for one in kept], -1)

    def _with_jitter(self, root: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Add the paper's jitter to the diagonal of Cov(Y_t) if it is always added."""
        if self.jitter_when == "start":
            return root
        sizes = np.sqrt(self.jitter) * np.exp(-self.speeds.numpy() * t[..., None])
        added = np.zeros_like(root)
        index = np.arange(1, 1 + self.count)
        added[..., index, index] = sizes
        return triangular(np.concatenate([root, added], -1))

    def _roots(self, weights: Tensor, variance: float) -> RootTable:
        """Return the table for any weights, X_0 having this variance."""
        hidden = self.jitter if self.jitter_when == "start" else 0.0
        first = np.diag(np.sqrt([variance, *[hidden] * self.count]))
        smallest = min(1e-6, self.jitter / 100)
        return RootTable(self._dynamics(weights), first, smallest)

    def _dynamics(self, weights: Tensor) -> Dynamics:
        return Dynamics(self.base, tuple(self.speeds.tolist()), tuple(weights.tolist()))

    @cached_property
    def _std_table(self) -> StdTable:
        roots = self._with_jitter(self._table.roots, self._table.times)
        slope = float(self.diffusion(0.0)) ** 2
        return StdTable(self._table, roots, self._first_variance, slope)

    @cached_property
    def _table(self) -> RootTable:
        return self._roots(self.weights, self._first_variance)

    @cached_property
    def _exact(self) -> Dynamics:
        return self._dynamics(self.weights)

    @cached_property
    def _first_variance(self) -> float:
        return float(self.base.std(0.0) ** 2)

    @cached_property
    def _kept(self) -> dict[float, Coefficients]:
        return {}

    @cached_property
    def _bridges(self) -> dict[tuple[float, float], tuple[Tensor, Tensor, Tensor]]:
        return {}
