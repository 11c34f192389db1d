# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # TITLE
#
# This page is a working example of a chapter: replace it section by section. It re-runs the claim
# of Hammersley and Morton (1956) that *antithetic* draws estimate an average better than
# independent ones at the same cost.

# %% tags=["parameters"]
profile = "quick"
seed = 0

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import torch

from src.book import show, start
from src.book.chapter.figures import COLOURS
from src.common.training.streams import stream
from src.PART.CHAPTER.experiments import mean_squared_error
from src.PART.CHAPTER.MODULE import antithetic_mean, plain_mean

# The only place where the profiles differ.
SIZES = {
    "quick": {"seeds": 20, "evaluations": (8, 16, 32, 64), "repeats": 200},
    "cpu": {"seeds": 50, "evaluations": (8, 16, 32, 64, 128, 256), "repeats": 2000},
}
run = start("PART/CHAPTER", profile=profile, seed=seed, sizes=SIZES)

# %% [markdown]
# ## The idea
#
# To estimate an average we usually draw points independently. If the function rises from left to
# right, a point that gives a value too high has a mirror image that gives one too low. Using both
# cancels much of the error, and costs the same two evaluations. The figure shows how much.

# %%
curves = {
    estimator.__name__: [
        mean_squared_error(estimator, run.seed, n, run.sizes.repeats)
        for n in run.sizes.evaluations
    ]
    for estimator in (plain_mean, antithetic_mean)
}

# %% tags=["hide-input"]
fig, axes = plt.subplots()
for (name, curve), colour in zip(curves.items(), COLOURS, strict=False):
    axes.loglog(run.sizes.evaluations, curve, marker="o", color=colour, label=name)
axes.set(xlabel="evaluations of the function", ylabel="mean squared error")
axes.legend()
run.figure(
    fig,
    "error",
    "Mean squared error of the two estimators at equal cost (claim C1). Both fall like 1/n; the "
    "figure does not show functions that are not monotone, where the gain can vanish.",
    "Two falling straight lines on logarithmic axes; the line of the antithetic estimator lies "
    "about a factor of thirty below the line of the plain one.",
)

# %% [markdown]
# ## From first principles
#
# Let $f$ be a function on $[0, 1]$ and $U$ uniform there. The quantity wanted is
# $\mu = \mathbb E f(U)$. With $n$ evaluations, $n$ even, the antithetic estimator draws $n/2$
# points $u_i$ and averages each with its mirror image:
#
# $$\hat\mu = \frac{2}{n} \sum_{i=1}^{n/2} \frac{f(u_i) + f(1 - u_i)}{2}. \tag{1}$$
#
# Since $1 - U$ is uniform too, $\mathbb E \hat\mu = \mu$. Its variance is
# $\frac1n \big(\operatorname{Var} f(U) + \operatorname{Cov}(f(U), f(1-U))\big)$: below that of
# independent draws exactly when the covariance is negative, which it is for every monotone $f$.
#
# ## The code
#
# Equation (1) in three lines:

# %%
show(antithetic_mean)

# %% [markdown]
# A tiny example: four evaluations, that is two points and their mirror images.

# %%
estimate = antithetic_mean(torch.exp, 4, stream(run.seed, "example"))
print(
    f"estimate {estimate:.3g} (a scalar, shape {tuple(estimate.shape)}), true value 1.72"
)

# %% [markdown]
# ## Check against the truth
#
# For a linear function the errors of a point and of its mirror image cancel exactly, so any number
# of draws gives the average to rounding.

# %%
linear = [
    abs(
        float(antithetic_mean(lambda u: 3 * u + 1, n, stream(run.seed, "linear", n)))
        - 2.5
    )
    for n in run.sizes.evaluations
]
run.measure("PAPER", "C2", linear)

# %% [markdown]
# ## The experiment
#
# The same number of evaluations for both, on several independent seeds; one row per seed.

# %%
work = {"evaluations": max(run.sizes.evaluations), "repeats": run.sizes.repeats}
rows = [
    [
        mean_squared_error(m, 100 * run.seed + i, **work)
        for m in (plain_mean, antithetic_mean)
    ]
    for i in range(run.sizes.seeds)
]
run.measure("PAPER", "C1", rows)

# %% [markdown]
# ## The verdict

# %%
run.verdicts()

# %% tags=["nbval-check-output", "remove-cell"]
run.verdict_words()

# %% [markdown]
# The verdict is about one smooth, rising function; it says nothing about functions that oscillate.
#
# ## At scale

# %%
run.at_scale()

# %% [markdown]
# ## What we changed
#
# The paper treats several integrals and higher-order schemes; we use one function and pairs.
#
# ## Exercises
#
# **1.** For which function on $[0, 1]$ does the mirror image make things worse?

# %% tags=["hide-cell"]
hump = {
    e.__name__: float(
        torch.stack(
            [
                e(lambda u: (u - 0.5) ** 2, 16, stream(run.seed, "hump", k))
                for k in range(500)
            ]
        ).var()
    )
    for e in (plain_mean, antithetic_mean)
}
print({name: f"{value:.1e}" for name, value in hump.items()})
# A function that is symmetric about 1/2 has equal values at a point and its mirror image: the pair
# tells no more than one point, and the variance doubles.

# %% [markdown]
# **2.** Add a third estimator and draw its curve. **3.** Predict C1's ratio for `torch.sqrt`, then
# measure it.
#
# ## Where next
#
# Link the chapters that build on this one.
