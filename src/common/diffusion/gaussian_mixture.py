"""Mixtures of Gaussians with one covariance: data with known scores and posteriors.

If the data are a mixture, the noisy images u = mean x_0 + std noise are one too, with
means mean mu_k and covariance mean^2 C + std^2 I; and so are the clean images given a
linear observation y = A x_0 + sigma noise. Samplers and guidance rules can then be
tested without a network: what remains of their error is their own. The formulas are
derived, not taken from a paper.

Everything is computed in double precision, in the basis of the eigenvectors of C: there
all covariances are diagonal, and a score for a batch is a few products of matrices.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from src.common.checks import checked, finite, within
from src.common.diffusion.processes import Process, Score, Time

Images = Float[Tensor, "batch dim"]


class _Seen(NamedTuple):
    """Noisy images as the formulas need them; `times` is 1, or the batch."""

    centred: Images
    scale: Float[Tensor, "times 1"]
    noise: Float[Tensor, "times 1"]
    variances: Float[Tensor, "times dim"]


class GaussianMixture:
    """The law sum_k weights[k] N(means[k], covariance).

    Attributes:
        log_weights: (components,), normalised.
        means: (components, dim).
        covariance: (dim, dim), positive semidefinite; zero makes the data the means
            themselves.

    Examples:
        >>> data = GaussianMixture.isotropic(torch.tensor([[-1.0], [1.0]]), 0.5)
        >>> data.total_covariance()
        tensor([[1.5000]], dtype=torch.float64)
        >>> data.responsibilities(torch.zeros(1, 1), mean=0.5, std=0.1)
        tensor([[0.5000, 0.5000]])
    """

    @checked
    def __init__(
        self,
        weights: Float[Tensor, " components"],
        means: Float[Tensor, "components dim"],
        covariance: Float[Tensor, "dim dim"],
    ) -> None:
        """Normalise the weights and decompose the covariance.

        Args:
            weights: positive, with any sum.
            means: of the components.
            covariance: shared by all components, symmetric and positive semidefinite.

        Raises:
            ValueError: no components, weights that are not positive, means that are not
                finite, a covariance that is not one.
        """
        within("the number of components", len(weights), 1)
        finite("means", means)
        finite("weights", weights)
        weights, self.means = weights.double(), means.double()
        if not bool((weights > 0).all()):
            raise ValueError(f"weights must be positive, not {weights.tolist()}")
        self.log_weights = (weights / weights.sum()).log()
        self.covariance = covariance.double()
        self._variances, self._basis = _eigenpairs(self.covariance)
        # Seen from the middle of the means, the squares that `_logits` subtracts are
        # small, and with them the rounding errors.
        self._centre = self.means.mean(0)
        self._rotated = self._turn(self.means - self._centre)

    @classmethod
    @checked
    def isotropic(
        cls,
        means: Float[Tensor, "components dim"],
        variance: float,
        weights: Float[Tensor, " components"] | None = None,
    ) -> "GaussianMixture":
        """Return a mixture of round Gaussians, by default with equal weights.

        Args:
            means: of the components.
            variance: of every component in every direction, at least 0.
            weights: positive, with any sum; None for equal ones.

        Raises:
            ValueError: weights that are not positive, or a negative variance.
        """
        weights = torch.ones(len(means)) if weights is None else weights
        eye = torch.eye(means.shape[1], dtype=torch.float64, device=means.device)
        return cls(weights.to(means.device), means, variance * eye)

    @property
    def weights(self) -> Float[Tensor, " components"]:
        """The probabilities of the components."""
        return self.log_weights.exp()

    def expectation(self) -> Float[Tensor, " dim"]:
        """Return the mean of the mixture."""
        return self.weights @ self.means

    def total_covariance(self) -> Float[Tensor, "dim dim"]:
        """Return the covariance of the mixture: within components and between them."""
        away = self.means - self.expectation()
        return self.covariance + away.T @ (self.weights[:, None] * away)

    @checked
    def sample(
        self, count: int, generator: torch.Generator
    ) -> Float[Tensor, "count dim"]:
        """Draw independent samples, in double precision.

        Args:
            count: number of samples, at least 1.
            generator: source of the draws, on the device of the means.

        Returns:
            The samples, one per row.

        Raises:
            ValueError: for no samples.
        """
        within("count", count, 1)
        chosen = torch.multinomial(
            self.weights, count, replacement=True, generator=generator
        )
        noise = torch.empty_like(self.means[chosen]).normal_(generator=generator)
        return self.means[chosen] + self._turn_back(noise * self._variances.sqrt())

    # --- the noisy images -------------------------------------------------------------

    @checked
    def log_density(
        self, u: Images, mean: Time = 1.0, std: Time = 0.0
    ) -> Float[Tensor, " batch"]:
        """Return the log-density at each u of mean x_0 + std noise.

        Args:
            u: (batch, dim).
            mean: of the process; () for all images, or (batch,), one for each.
            std: of the process; shape like `mean`.

        Raises:
            ValueError: a density that does not exist, because mean^2 C + std^2 I is
                singular.
        """
        seen = self._seen(u, mean, std)
        squares = (seen.centred**2 / seen.variances).sum(1) + seen.variances.log().sum(
            1
        )
        constant = 0.5 * u.shape[1] * math.log(2 * math.pi)
        return (self._logits(seen).logsumexp(1) - 0.5 * squares - constant).to(u.dtype)

    @checked
    def responsibilities(
        self, u: Images, mean: Time = 1.0, std: Time = 0.0
    ) -> Float[Tensor, "batch components"]:
        """Return each component's probability given u; errors as for `log_density`.

        Args:
            u: (batch, dim).
            mean: of the process; () for all images, or (batch,), one for each.
            std: of the process; shape like `mean`.
        """
        return self._logits(self._seen(u, mean, std)).softmax(1).to(u.dtype)

    @checked
    def score(self, u: Images, mean: Time = 1.0, std: Time = 0.0) -> Images:
        """Return the gradient of `log_density` at each u; errors as there.

        Args:
            u: (batch, dim).
            mean: of the process; () for all images, or (batch,), one for each.
            std: of the process; shape like `mean`.
        """
        seen = self._seen(u, mean, std)
        expected = self._logits(seen).softmax(1) @ self._rotated
        score = (seen.scale * expected - seen.centred) / seen.variances
        return self._turn_back(score).to(u.dtype)

    @checked
    def denoised(self, u: Images, mean: Time, std: Time) -> Images:
        """Return E[x_0 | u], also where std = 0; errors as for `log_density`.

        Args:
            u: (batch, dim).
            mean: of the process; () for all images, or (batch,), one for each.
            std: of the process; shape like `mean`.
        """
        seen = self._seen(u, mean, std)
        expected = self._logits(seen).softmax(1) @ self._rotated
        mixed = seen.noise * expected + seen.scale * self._variances * seen.centred
        return (self._turn_back(mixed / seen.variances) + self._centre).to(u.dtype)

    @checked
    def covariance_given(
        self, u: Images, mean: Time, std: Time
    ) -> Float[Tensor, "batch dim dim"]:
        """Return Cov[x_0 | u] for each u; errors as for `log_density`.

        Args:
            u: (batch, dim); the result holds batch dim^2 numbers.
            mean: of the process; () for all images, or (batch,), one for each.
            std: of the process; shape like `mean`.
        """
        seen = self._seen(u, mean, std)
        shares = self._logits(seen).softmax(1)
        outer = self._rotated[:, :, None] * self._rotated[:, None, :]
        expected = shares @ self._rotated
        between = (shares @ outer.flatten(1)).unflatten(1, outer.shape[1:])
        between = between - expected[:, :, None] * expected[:, None, :]
        shrink = seen.noise / seen.variances
        within = torch.diag_embed((shrink * self._variances).expand(len(u), -1))
        full = within + shrink[:, :, None] * between * shrink[:, None, :]
        return self._turn_back(self._turn_back(full).mT).to(u.dtype)

    def score_under(self, process: Process) -> Score:
        """Return the score of the noisy images of a process, a function of u and t.

        It flattens images (batch, ...) and gives their shape to the result.

        Args:
            process: the forward process.
        """

        def score(u: Tensor, t: Tensor) -> Tensor:
            return self.score(u.flatten(1), process.mean(t), process.std(t)).reshape(
                u.shape
            )

        return score

    # --- given an observation ---------------------------------------------------------

    @checked
    def posterior(
        self, matrix: Float[Tensor, "rows dim"], y: Float[Tensor, " rows"], sigma: float
    ) -> "GaussianMixture":
        """Return the law of x_0 given y = matrix x_0 + sigma noise.

        Each component is updated like a Kalman filter's state; its weight grows with
        the probability that it gave to y.

        Args:
            matrix: of the linear observation.
            y: what was observed.
            sigma: standard deviation of the observation's noise, at least 0.

        Raises:
            ValueError: a sigma below 0, or an observation without noise of which some
                part has no variance under the mixture.
        """
        matrix, y = matrix.to(self.means), y.to(self.means)
        if sigma < 0:
            raise ValueError(f"sigma must not be negative, not {sigma}")
        eye = torch.eye(len(y), dtype=y.dtype, device=y.device)
        spread = matrix @ self.covariance
        root, failed = torch.linalg.cholesky_ex(spread @ matrix.T + sigma**2 * eye)
        if failed:
            raise ValueError(
                "part of the observation has no variance: raise sigma above 0"
            )
        gain = torch.cholesky_solve(spread, root).T
        surprise = y - self.means @ matrix.T
        left = (
            torch.eye(matrix.shape[1], dtype=y.dtype, device=y.device) - gain @ matrix
        )
        # Joseph's form is positive semidefinite whatever the rounding.
        covariance = left @ self.covariance @ left.T + sigma**2 * gain @ gain.T
        means = self.means + surprise @ gain.T
        updated = GaussianMixture(torch.ones_like(self.log_weights), means, covariance)
        whitened = torch.linalg.solve_triangular(root, surprise.T, upper=False)
        # In logarithms no component vanishes, however improbable y makes it.
        updated.log_weights = (
            self.log_weights - 0.5 * (whitened**2).sum(0)
        ).log_softmax(0)
        return updated

    def guidance(
        self,
        process: Process,
        matrix: Float[Tensor, "rows dim"],
        y: Float[Tensor, " rows"],
        sigma: float,
    ) -> Score:
        """Return the exact gradient of log p(y | u_t), a function of u and t.

        By Bayes' rule it is the score of the posterior's noisy images minus that of the
        prior's.

        Args:
            process: the forward process.
            matrix: of the linear observation.
            y: what was observed.
            sigma: standard deviation of the observation's noise, at least 0.

        Raises:
            ValueError: as for `posterior`.
        """
        with_y = self.posterior(matrix, y, sigma).score_under(process)
        without = self.score_under(process)

        def gradient(u: Tensor, t: Tensor) -> Tensor:
            return (with_y(u.double(), t) - without(u.double(), t)).to(u.dtype)

        return gradient

    # --- in the basis of the eigenvectors ---------------------------------------------

    def _seen(self, u: Images, mean: Time, std: Time) -> "_Seen":
        """Express noisy images in the eigenvectors' basis, seen from the middle."""
        scale = self._column(mean)
        noise = self._column(std) ** 2
        variances = scale**2 * self._variances + noise
        if not bool((variances > 0).all()):
            raise ValueError("the covariance is singular: a density needs std > 0")
        return _Seen(
            self._turn(u.double() - scale * self._centre), scale, noise, variances
        )

    def _column(self, values: Time) -> Tensor:
        """Return one number per image as a column, or one number for all."""
        values = torch.as_tensor(values, dtype=torch.float64)
        if not values.dim():
            right = 0 <= values.item() < math.inf
        else:
            right = bool(((values >= 0) & values.isfinite()).all())
        if not right:
            raise ValueError(
                f"mean and std of a process are at least 0 and finite, not {values}"
            )
        return values.to(self.means.device).reshape(-1, 1)

    def _logits(self, seen: "_Seen") -> Float[Tensor, "batch components"]:
        """Return the log-probabilities of the components, up to a number for each u."""
        projected = (seen.scale * seen.centred / seen.variances) @ self._rotated.T
        squares = (seen.scale**2 / seen.variances) @ (self._rotated**2).T
        return self.log_weights + projected - 0.5 * squares

    def _turn(self, points: Tensor) -> Tensor:
        """Express the rows of `points` in the basis of the eigenvectors."""
        return points if self._basis is None else points @ self._basis

    def _turn_back(self, points: Tensor) -> Tensor:
        """Undo `_turn`."""
        return points if self._basis is None else points @ self._basis.T


def _eigenpairs(covariance: Float[Tensor, "dim dim"]) -> tuple[Tensor, Tensor | None]:
    """Return the eigenvalues (dim,) and eigenvectors, None where C is already diagonal.

    Raises:
        ValueError: a matrix that is not symmetric and positive semidefinite.
    """
    size = covariance.abs().max()
    if not bool((covariance - covariance.T).abs().max() <= 1e-10 * size):
        raise ValueError("the covariance must be symmetric and finite")
    diagonal = covariance.diagonal()
    if bool((covariance == torch.diag(diagonal)).all()):
        values, vectors = diagonal, None
    else:
        values, vectors = torch.linalg.eigh(0.5 * (covariance + covariance.T))
    if bool((values < -1e-10 * size).any()):
        raise ValueError(
            f"the covariance has the negative eigenvalue {values.min().item():.3g}"
        )
    return values.clamp(min=0), vectors
