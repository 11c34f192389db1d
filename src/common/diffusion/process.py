"""Forward noising processes: what a diffusion model adds to an image, and its reversal.

A process is a linear stochastic differential equation on 0 <= t <= 1, driven by one
Brownian motion for each pixel,

    dZ = F(t) Z dt + G(t) dB,        Z_0 = the image,

so its law at time t is known in closed form. For the usual ones
(`src.common.diffusion.processes`) the state Z is the noisy image itself. A process with
memory (see `src.diffusion.fractional.process`) carries a few hidden numbers for each
pixel beside the image. What makes one interface serve both is what the network gets to
see: always *one* noisy image

    u_t = mean(t) x_0 + std(t) noise,                              (observation)

and always one score, that of the law of u_t. A process knows how to compute u_t from
its state (`observe`) and how to turn the score of u_t into the score of the whole state
(`state_score`). Training needs `mean` and `std` only; sampling needs the other methods;
neither asks which process it is.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from src.common.checks import floating

Score = Callable[[Tensor, Tensor], Tensor]
"""score(u, t): the gradient of log p_t at the noisy images u; t is () or (batch,)."""

Time = float | Tensor


def as_time(t: Time) -> Tensor:
    """Return `t` in double precision: in single precision schedules cancel near t = 0.

    Args:
        t: one time, or several.

    Raises:
        ValueError: for times outside [0, 1]. Times on a GPU are not looked at, because
            the processor would wait for them at every step.
    """
    times = torch.as_tensor(t, dtype=torch.float64)
    if times.device.type == "cpu" and not _within(times):
        raise ValueError(
            f"times lie in [0, 1], not {times.tolist()}: divide steps by their number "
            "(often 1000)"
        )
    return times


def _within(times: Tensor) -> bool:
    """Return whether times lie in [0, 1]; samplers ask it of one time at every step."""
    if not times.dim():
        return 0 <= times.item() <= 1
    return bool(((times >= 0) & (times <= 1)).all())


def per_image(value: Tensor, like: Tensor) -> Tensor:
    """Shape a number, or one number per image, so that it multiplies images.

    Args:
        value: () or (batch,).
        like: the images.

    Returns:
        () or (batch, 1, ..., 1), with the type and on the device of `like`.

    Raises:
        ValueError: for images that are not floating, or another number of values.
    """
    floating("images", like)
    if value.dim() > 1 or (value.dim() and len(value) not in (1, *like.shape[:1])):
        raise ValueError(
            f"need one number for all images or one for each of {tuple(like.shape)[:1]}"
            f", not {tuple(value.shape)}"
        )
    value = value.to(dtype=like.dtype, device=like.device)
    return (
        value.reshape(value.shape + (1,) * (like.dim() - 1)) if value.dim() else value
    )


def descend(t: Time, earlier: Time) -> None:
    """Refuse a step of a bridge that does not lead back.

    Args:
        t: the later time, one number.
        earlier: the earlier time, one number.

    Raises:
        ValueError: unless `earlier` is before `t`.
    """
    if not float(earlier) < float(t):
        raise ValueError(
            f"a bridge leads from a time to an earlier one, not from {t} to {earlier}"
        )


def _same_shape(**tensors: Tensor) -> None:
    """Refuse tensors of different shapes, which would be broadcast in silence."""
    (first, a), (second, b) = tensors.items()
    floating(first, a)
    floating(second, b)
    if a.shape != b.shape:
        raise ValueError(
            f"{second} must have the shape of {first}, {tuple(a.shape)}, not "
            f"{tuple(b.shape)}"
        )


class Process(ABC):
    """A linear forward process on times in [0, 1].

    A time is () for all images, or (batch,), one for each. The methods from `observe`
    on are those of a process whose state is the noisy image; a process with hidden
    numbers overrides them.
    """

    @abstractmethod
    def mean(self, t: Time) -> Tensor:
        """Return the factor of the clean image in the observation; shape of t.

        Args:
            t: times in [0, 1].
        """

    @abstractmethod
    def std(self, t: Time) -> Tensor:
        """Return the standard deviation of the noise in the observation; shape of t.

        Args:
            t: times in [0, 1].
        """

    @abstractmethod
    def rate(self, t: Time) -> Tensor:
        """Return f(t), the rate at which the image itself grows; shape of t.

        Args:
            t: times in [0, 1]; f < 0 shrinks the image.
        """

    @abstractmethod
    def diffusion(self, t: Time) -> Tensor:
        """Return g(t), the strength of the noise that enters the image; shape of t.

        Args:
            t: times in [0, 1].
        """

    # --- what the network sees, and what it gives back --------------------------------

    def observe(self, state: Tensor, t: Time) -> Tensor:
        """Return the observation u_t (batch, ...) of a state.

        Args:
            state: Z_t.
            t: its time, () or (batch,).
        """
        return state

    def state_score(self, score: Tensor, state: Tensor, t: Time) -> Tensor:
        """Return the score of the whole state, given the score of its observation.

        Args:
            score: of the law of u_t, at the observation (batch, ...).
            state: Z_t.
            t: its time, () or (batch,).
        """
        return score

    def image(self, state: Tensor) -> Tensor:
        """Return the image (batch, ...) within a state.

        Args:
            state: at any time.
        """
        return state

    def noisy(self, clean: Tensor, t: Time, noise: Tensor) -> Tensor:
        """Return the observation mean(t) clean + std(t) noise (batch, ...).

        Args:
            clean: images x_0.
            t: () or (batch,).
            noise: standard normal numbers in the shape of `clean`.

        Raises:
            ValueError: for noise of another shape, or as `per_image`.
        """
        _same_shape(clean=clean, noise=noise)
        return self._times(self.mean(t), clean) + self._times(self.std(t), noise)

    def denoised(self, observed: Tensor, score: Tensor, t: Time) -> Tensor:
        """Return E[x_0 | u_t] = (u + std^2 score) / mean: Tweedie's formula.

        Args:
            observed: noisy images u_t (batch, ...).
            score: of the law of u_t, at `observed`.
            t: () or (batch,).

        Raises:
            ValueError: for a score of another shape, or as `per_image`.
        """
        _same_shape(observed=observed, score=score)
        return (observed + self._times(self.std(t) ** 2, score)) / per_image(
            self.mean(t), observed
        )

    # --- the equation and its reversal ------------------------------------------------

    def start(
        self,
        shape: tuple[int, ...],
        generator: torch.Generator,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """Draw states at t = 1, as if x_0 were 0.

        Args:
            shape: of the images, (batch, ...).
            generator: source of the noise; the states are on its device.
            dtype: of the states; None for PyTorch's default.

        Returns:
            States for `src.common.diffusion.samplers`.
        """
        noise = torch.randn(
            shape, generator=generator, dtype=dtype, device=generator.device
        )
        return self._times(self.std(1.0), noise)

    def drift(self, state: Tensor, t: Time) -> Tensor:
        """Return F(t) Z, the shape of the state.

        Args:
            state: Z.
            t: its time, () or (batch,).
        """
        return self._times(self.rate(t), state)

    def spread(self, noise: Tensor, t: Time) -> Tensor:
        """Return G(t) noise, the shape of the state.

        Args:
            noise: one number per pixel (batch, ...).
            t: () or (batch,).
        """
        return self._times(self.diffusion(t), noise)

    def gather(self, score: Tensor, t: Time) -> Tensor:
        """Return G(t)^T score: one number per pixel (batch, ...).

        Args:
            score: of a state, in its shape.
            t: () or (batch,).
        """
        return self._times(self.diffusion(t), score)

    def bridge(
        self, state: Tensor, denoised: Tensor, t: Time, earlier: Time, noise: Tensor
    ) -> Tensor:
        """Draw the state at a time before t, given the state at t and the clean image.

        The law of Z_earlier given Z_t and x_0 is Gaussian. With a = mean(t) /
        mean(earlier) and w = std(t)^2 - a^2 std(earlier)^2, its mean is (a
        std(earlier)^2 Z_t + mean(earlier) w x_0) / std(t)^2 and its variance w
        std(earlier)^2 / std(t)^2: for a variance-preserving process the step of DDPM
        (Ho et al. 2020, equation 7), for a variance-exploding one that of SMLD (Song et
        al. 2021, appendix F).

        Args:
            state: (batch, ...) at time t.
            denoised: (batch, ...), what to take for x_0.
            t: the later time, one number.
            earlier: the earlier time, one number.
            noise: as many standard normal numbers as the state has, in the shape of the
                state; zeros give the mean.

        Returns:
            The state at `earlier`.

        Raises:
            ValueError: for parts of different shapes, or as `bridge_factors`.
        """
        _same_shape(state=state, denoised=denoised)
        _same_shape(state=state, noise=noise)
        of_state, of_clean, std = self.bridge_factors(t, earlier)
        drawn = self._times(of_state, state) + self._times(of_clean, denoised)
        return drawn + self._times(std, noise)

    def bridge_factors(self, t: Time, earlier: Time) -> tuple[Tensor, Tensor, Tensor]:
        """Return the bridge's factors of the state and of the clean image, and its std.

        Args:
            t: the later time, one number.
            earlier: the earlier time, one number.

        Raises:
            ValueError: unless `earlier` is before `t`.
        """
        descend(t, earlier)
        variance, before = self.std(t) ** 2, self.std(earlier) ** 2
        ratio = self.mean(t) / self.mean(earlier)
        added = variance - ratio**2 * before
        of_clean = self.mean(earlier) * added / variance
        return (
            ratio * before / variance,
            of_clean,
            (added * before / variance).clamp(min=0).sqrt(),
        )

    @staticmethod
    def _times(value: Tensor, images: Tensor) -> Tensor:
        """Multiply images by a number, or each by its own."""
        return per_image(value, images) * images
