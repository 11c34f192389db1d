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
# # CHAPTER
#
# This page is a working example of a topic chapter: one problem, one harness, a section a paper, a
# joint comparison. Replace it section by section. First, the problem that the papers share, and
# the map: in what do they differ?

# %% tags=["parameters"]
profile = "quick"
seed = 0

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import torch

from src.book import show, start
from src.book.chapter.figures import COLOURS
from src.book.chapter.tables import Table
from src.common.training.streams import stream
from src.PART.CHAPTER import MODULES
from src.PART.CHAPTER.experiments import mean_squared_error

# The only place where the profiles differ.
SIZES = {
    "quick": {"seeds": 20, "evaluations": 64, "repeats": 200},
    "cpu": {"seeds": 50, "evaluations": 256, "repeats": 2000},
}
run = start("PART/CHAPTER", profile=profile, seed=seed, sizes=SIZES)

# %%
Table(["Paper", "Idea"], [[paper.title, paper.idea] for paper in run.papers], "map")

# %% [markdown]
# ## One harness for all
#
# Every method of this page does the same work and is measured by the same function.

# %%
show(mean_squared_error)

# %%
work = {"evaluations": run.sizes.evaluations, "repeats": run.sizes.repeats}
errors = {}

# SECTION BEGINS
# %% [markdown]
# ## TITLE
#
# The paper in a sentence; its question; the formula with every symbol defined; the code.

# %%
show(MODULE.antithetic_mean)

# %% [markdown]
# A check against the truth: for a linear function the estimate is exact.

# %%
linear = MODULE.antithetic_mean(lambda u: 3 * u + 1, 8, stream(run.seed, "linear"))
run.measure("PAPER", "C2", [abs(float(linear) - 2.5)])

# %% [markdown]
# The experiment, with its baseline: one row a seed.

# %%
rows = [
    [
        mean_squared_error(method, 100 * run.seed + i, **work)
        for method in (MODULE.plain_mean, MODULE.antithetic_mean)
    ]
    for i in range(run.sizes.seeds)
]
errors["PAPER"] = [b for _, b in rows]
run.measure("PAPER", "C1", rows)

# %%
run.verdicts("PAPER")

# %% [markdown]
# What the evidence says, what was a reconstruction, when the method fails.

# SECTION ENDS
# %% [markdown]
# ## All methods on the same work

# %% tags=["hide-input"]
fig, axes = plt.subplots()
axes.boxplot(list(errors.values()), tick_labels=list(errors), medianprops={"color": COLOURS[0]})
axes.set(ylabel="mean squared error")
run.figure(
    fig,
    "joint",
    "Mean squared error of every method at equal cost. It does not show other functions.",
    "One box a method; the boxes of the example overlap, because they are the same method.",
)

# %% [markdown]
# ## At scale

# %%
run.at_scale()

# %% tags=["nbval-check-output", "remove-cell"]
run.verdict_words()

# %% [markdown]
# ## What to take home
#
# One sentence a method: when to use it, and when not.
