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
# # Graph signals in bands: framelets
#
# Every node of a graph carries numbers: the words of a paper, what is known of a person, a
# measurement. Neighbours tend to agree, so a graph network averages over neighbours; and what it
# averages away, it has lost. Zheng and others (2021) do what engineers do with sound: they split
# the signal into one smooth band and several bands of *detail*, in such a way that nothing is
# lost; work on the bands (a learned weight for every coefficient, or small ones set to zero); and
# put them together again. This page builds that transform, checks that it keeps its promises, and
# then asks which of its properties makes a network accurate. It is not the one in the promise.
#
# You need eigenvectors of symmetric matrices, and to have seen a network trained. What you need of
# graphs is introduced here.

# %% tags=["parameters"]
profile = "quick"
seed = 0

# %% tags=["hide-input"]
import networkx
import numpy as np
import torch

from src.book import show, start
from src.book.chapter.tables import Table
from src.common.graphs.generators import stochastic_block_model, with_class_features
from src.common.graphs.graph import Graph, normalised_laplacian
from src.common.graphs.splits import split_per_class
from src.common.training.loop import seeded
from src.common.training.streams import stream
from src.gnn.framelets import figures, plan
from src.gnn.framelets.convolution import UFGConv, soft_shrinkage
from src.gnn.framelets.experiments import curves, train_once, untouched_share
from src.gnn.framelets.filter_banks import FILTER_BANKS
from src.gnn.framelets.pooling import framelet_pool
from src.gnn.framelets.transform import (
    FrameletTransform,
    exact_operators,
    exact_response,
)

# %% [markdown]
# All sizes stand in one place. `quick` trains on small random graphs and shows what the `cpu`
# profile kept from Cora, CiteSeer, PROTEINS and MUTAG.

# %%
SIZES = {
    "quick": {"data": ("blocks",), "models": ("MLP", "GCN", "UFG-R", "UFG-S", "UFG-R, "
                                                                              "n = 6"),
              "others": (), "seeds": 8, "curves": 2, "disturbed": 8,
              "noise": (2.0, 4.0),
              "rewired": (0.2, 0.4), "released": 0, "pooling": (), "splits": 0,
              "truth": True,
              "larger": False},
    "cpu": {"data": ("cora", "citeseer"),
            "models": ("MLP", "GCN", "GAT", "UFG-R", "UFG-S", "UFG-R, n = 6"),
            "others": ("MLP", "GCN", "UFG-R", "UFG-S"), "seeds": 20, "curves": 5,
            "disturbed": 10, "noise": (0.1, 0.2, 0.4), "rewired": (0.1, 0.2, 0.4),
            "released": 20, "pooling": ("proteins-tu", "mutag"), "splits": 20,
            "truth": True, "larger": True},
    "gpu": {"data": ("pubmed",), "models": ("MLP", "GCN", "GAT", "UFG-R", "UFG-S"),
            "others": (), "seeds": 20, "curves": 0, "disturbed": 0, "noise": (),
            "rewired": (),
            "released": 0, "pooling": ("proteins-tu", "nci1"), "splits": 20,
            "truth": False, "larger": True},
}  # fmt: skip
run = start("gnn/framelets", profile=profile, seed=seed, sizes=SIZES)
torch.set_num_threads(
    1
)  # products this small only lose by being shared between processors
device = run.device.type
run

# %% [markdown]
# ## The idea
#
# Below, left: a signal on the 34 members of a karate club that later split in two; +1 or −1 for
# the side a member took, plus noise. Beside it the three bands of the simplest framelet transform
# with two levels. The first keeps what neighbours have in common; the other two keep how a node
# differs from its neighbours, divided by how rapidly the signal changes. The percentages are shares
# of the *energy*, the sum of the squares: they add up to 100 %, and from the three bands the signal
# can be computed back exactly.

# %%
club = networkx.karate_club_graph()
karate = Graph.from_networkx(club)
side = torch.tensor([1.0 if club.nodes[v]["club"] == "Mr. Hi" else -1.0 for v in club])
noise = torch.randn(karate.num_nodes, generator=stream(run.seed, "karate"))
signal = (side + 0.6 * noise).double()

laplacian = normalised_laplacian(karate, torch.float64).to_dense()  # defined below
operators = exact_operators(
    laplacian, "haar", levels=2
)  # (3, 34, 34), one matrix per band
bands = operators @ signal
back = torch.einsum(
    "bvu,bv->u", operators, bands
)  # the transposed matrices put it together
print(
    "bands",
    tuple(bands.shape),
    " back again to rounding:",
    bool(torch.allclose(back, signal)),
)

# %% tags=["hide-input"]
names = ("smooth band", "detail, level 1", "detail, level 2")
shares = bands.square().sum(1) / signal.square().sum()
panels = {"signal": signal} | {
    f"{name}: {share:.0%}": band
    for name, share, band in zip(names, shares, bands, strict=True)
}
places = networkx.spring_layout(club, seed=4)
places = np.array([places[v] for v in club])
edges = karate.edge_index.numpy()
run.figure(
    figures.graph_figure(places, edges, {k: v.numpy() for k, v in panels.items()}),
    "bands",
    caption="A noisy signal on Zachary's karate club and its three bands, with their "
    "shares of the energy (C2a). Most of the two sides is in the smooth band, most of "
    "the noise in the details; but not all of either.",
    alt="Four drawings of the same small graph: a signal of mixed colours; its smooth "
    "band, red on one side and blue on the other; two bands of detail whose colours "
    "alternate.",
)

# %% [markdown]
# So a graph network could treat the bands differently: keep the smooth one, and of the details
# only what stands out of the noise. That is the hope. The rest of the page makes it precise.
#
# ## From first principles
#
# ### Frequency on a graph
#
# Let the graph have $N$ nodes, adjacency matrix $A\in\{0,1\}^{N\times N}$ (symmetric, zero
# diagonal), degrees $d_v=\sum_uA_{vu}$ and $D=\operatorname{diag}(d)$. The *normalised Laplacian*
# is
#
# $$ L=I-D^{-1/2}AD^{-1/2},\qquad
# x^\top Lx=\sum_{\text{edges }uv}\Big(\frac{x_u}{\sqrt{d_u}}-\frac{x_v}{\sqrt{d_v}}\Big)^2
# \ge0. $$ (ufg-laplacian)
#
# The right side measures how much a signal $x\in\mathbb R^N$ changes along edges. As
# $(a-b)^2\le2a^2+2b^2$, it is at most $2\lVert x\rVert^2$: the eigenvalues
# $\lambda_1\le\dots\le\lambda_N$ of $L=U\Lambda U^\top$ lie in $[0,2]$. An eigenvector with a small
# eigenvalue changes little from node to node, one with a large eigenvalue changes at most edges.
# So $\lambda$ plays the part of frequency, and $U^\top x$ that of a Fourier transform. The
# smoothest signal of all, $\lambda=0$, is $x_v=\sqrt{d_v}$; remember that it is not constant.

# %%
eigenvalues, vectors = torch.linalg.eigh(laplacian)
modes = {}
for k in (0, 1, 11, 33):
    mode = (
        vectors[:, k] * vectors[0, k].sign()
    )  # a sign is arbitrary; let node 0 be positive
    changed = (mode[edges[0]] * mode[edges[1]] < 0).double().mean()
    modes[f"λ = {abs(eigenvalues[k]):.2f}\n{changed:.0%} sign changes"] = mode.numpy()

# %% tags=["hide-input"]
run.figure(
    figures.graph_figure(places, edges, modes),
    "frequencies",
    caption="Four of the 34 eigenvectors of the karate club's Laplacian, with the "
    "share of edges along which the sign changes. The second one nearly finds the two "
    "sides.",
    alt="Four drawings of the small graph: one colour everywhere, darker at the hubs; "
    "two halves; and two patterns in which neighbours have opposite colours more and "
    "more often.",
)

# %% [markdown]
# ### Filters that lose nothing
#
# A *filter* multiplies each frequency by a number: $g(L)=U\,g(\Lambda)\,U^\top$ with a function
# $g$. A *filter bank* is a low-pass function $a$ with $a(0)=1$ and one or more high-pass functions
# $b^{(1)},b^{(2)},\dots$ with $b^{(k)}(0)=0$, on an interval $[0,\pi]$ as is the custom, for which
#
# $$ a(\xi)^2+\sum_kb^{(k)}(\xi)^2=1\qquad\text{for every }\xi\in[0,\pi]. $$ (ufg-unity)
#
# The *Haar* bank is $a=\cos(\xi/2)$, $b=\sin(\xi/2)$. The *linear* bank has
# $\cos^2(\xi/2)$, $\sin(\xi)/\sqrt2$ and $\sin^2(\xi/2)$; expand
# $(\cos^2+\sin^2)^2=1$ to see that it fits. The *quadratic* one comes from $(\cos^2+\sin^2)^3$.

# %% tags=["hide-input"]
frequency = torch.linspace(0, np.pi, 200, dtype=torch.float64)
drawn = {}
for name, bank in FILTER_BANKS.items():
    labels = ["a", *(f"b$^{{({k})}}$" for k in range(1, len(bank.masks)))]
    drawn[name] = dict(zip(labels, bank.values(frequency).numpy(), strict=True))
run.figure(
    figures.filter_figure(frequency.numpy(), drawn),
    "filters",
    caption="The three filter banks. The squares add up to 1 everywhere: what the "
    "low-pass filter lets go, the others keep.",
    alt="Three panels with a falling low-pass curve, one to three high-pass curves "
    "that rise or have a hump, and a flat black line at one.",
)

# %% [markdown]
# Split a signal with one such bank, at $\xi=\pi\lambda/2$ say. The energies add up because
# $U$ is orthogonal:
#
# $$ \lVert a(L)x\rVert^2+\sum_k\lVert b^{(k)}(L)x\rVert^2
# =\sum_i\Big(a(\xi_i)^2+\sum_kb^{(k)}(\xi_i)^2\Big)(U^\top x)_i^2=\lVert x\rVert^2. $$ (ufg-energy)
#
# ### Levels
#
# One bank splits at one place. To look at several scales, the low-pass part is split again, with
# the frequencies stretched by a *dilation* $s>1$ from one *level* to the next. With $J$ levels,
# level $\ell=1,\dots,J$ reads the filters at
#
# $$ \xi_\ell(\lambda)=\pi\,s^{-(J-\ell)}\,\frac{\lambda}{\lambda_{\max}},\qquad
# \lambda_{\max}=2: $$ (ufg-dilation)
#
# the last level spreads the spectrum over all of $[0,\pi]$, earlier ones use only its beginning.
# What is kept are the details of each level and what is smooth after the last one:
#
# $$ \mathcal W_{k,\ell}=b^{(k)}(\xi_\ell(L))\prod_{m<\ell}a(\xi_m(L)),\qquad
# \mathcal W_0=\prod_{m\le J}a(\xi_m(L)), $$ (ufg-blocks)
#
# $B=1+KJ$ matrices $N\times N$ for a bank with $K$ high-pass filters; *blocks* from here on.
# *Analysis* computes all $\mathcal W_qx$, as many numbers as $B$ signals ("undecimated": nothing is
# thinned out). *Synthesis* is the transpose, and since functions of $L$ are symmetric, it is
# $\mathcal V c=\sum_q\mathcal W_qc_q$. Is the transform still lossless? Look at the last level:
# $a(\xi_J)^2+\sum_kb^{(k)}(\xi_J)^2=1$, so its blocks together have the energy of their common
# factor $\prod_{m<J}a(\xi_m)$. That is the smooth part of level $J-1$, where the same argument
# applies. At level 1 the common factor is 1. Hence, with $g_q(\lambda)$ the function of block $q$,
#
# $$ \boxed{\;G(\lambda)=\sum_qg_q(\lambda)^2=1\quad\Longrightarrow\quad
# \mathcal V\mathcal W=G(L)=I,\qquad
# \sum_q\lVert\mathcal W_qx\rVert^2=\lVert x\rVert^2.\;} $$ (ufg-tight)
#
# A transform with this property is a *tight frame*; hence *framelets*. Remember the function $G$:
# whatever else happens, synthesis after analysis multiplies frequency $\lambda$ by $G(\lambda)$.
#
# ### The same without eigenvectors
#
# Eigenvectors cost $N^3$ operations. A polynomial of $L$ needs none: each power is one more product
# with a sparse matrix. On $[-1,1]$ the polynomials to use are those of Chebyshev, $T_0=1$, $T_1=t$,
# $T_{k+1}=2tT_k-T_{k-1}$, and with $t=2\xi/\pi-1$
#
# $$ f(\xi)\approx\sum_{k=0}^{n-1}c_kT_k(t),\qquad
# c_k=\frac{2-\delta_{k0}}{\pi}\int_0^\pi\cos(k\phi)\,
# f\big(\tfrac\pi2(\cos\phi+1)\big)\,d\phi. $$ (ufg-chebyshev)
#
# Note that $n$ counts *coefficients*: the degree is $n-1$. The released code has $n=2$ as its
# default, polynomials of degree **one**. We will come back to that.
#
# ## The code
#
# The functions $g_q$ of {eq}`ufg-blocks` go through the levels and keep the details on the way:

# %%
show(exact_response, exact_operators)

# %% [markdown]
# The fast transform shares $T_k(M_\ell)x$, with $M_\ell=\frac2\pi\xi_\ell(L)-I$, among all filters
# of a level: $J(n-1)$ products with a matrix as sparse as $L$, and no more memory than for $n$
# signals. The way back runs the recursion in the other direction (Clenshaw's algorithm).

# %%
show(FrameletTransform._analyse, FrameletTransform._synthesise)

# %% [markdown]
# A tiny example: a path of four nodes, one signal with a jump.

# %% tags=["nbval-check-output"]
path = Graph.from_edges(torch.tensor([[0, 1, 2], [1, 2, 3]]), num_nodes=4)
transform = FrameletTransform(
    normalised_laplacian(path, torch.float64), coefficients=12
)
jump = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]], dtype=torch.float64)
coefficients = transform.analysis(jump)
print(
    "x",
    tuple(jump.shape),
    " coefficients",
    tuple(coefficients.shape),
    "(block, node, signal)",
)
for block, row in zip(transform.blocks, coefficients[..., 0], strict=True):
    print(block, row.numpy().round(2).tolist())
print("synthesis", transform.synthesis(coefficients).numpy().round(6).ravel().tolist())

# %% [markdown]
# Block (0, 2) is smooth; (1, 1) and (1, 2) are the details of levels 1 and 2, opposite to each
# other at the jump's two ends.
#
# ## Check against the truth
#
# ### Nothing is lost, if the filters are exact
#
# The largest entry of $\mathcal V\mathcal W-I$ over banks, levels, dilations and graphs (C1a); the
# distance between the fast operators with 12 coefficients and the exact ones (C1b); and the
# energies of the bands, as *spectrum pooling* (below) sums them, against the energy of the signal
# (C2a).

# %%
grid = Graph.from_networkx(networkx.grid_2d_graph(6, 6))
random = Graph.from_networkx(networkx.gnp_random_graph(50, 0.2, seed=run.seed))
star = Graph.from_networkx(networkx.star_graph(11))
GRAPHS = {"karate": karate, "grid": grid, "random": random, "star": star}
dense = {
    k: normalised_laplacian(g, torch.float64).to_dense() for k, g in GRAPHS.items()
}


def judge(claim, samples):
    """Hand in a claim and print what was measured."""
    print(run.measure("ufg", claim, samples))


residues = []
for matrix in dense.values():
    for bank in FILTER_BANKS:
        for levels in (1, 2, 3, 4):
            for dilation in (1.5, 2.0, 2.5):
                w = exact_operators(matrix, bank, levels, dilation)
                residues.append(
                    float(((w.mT @ w).sum(0) - torch.eye(len(matrix))).abs().max())
                )
judge("C1a", residues if run.sizes.truth else [])


# %%
def fast_operators(graph, n):
    """Return the fast Haar transform with n coefficients as (3, nodes, nodes)."""
    fast = FrameletTransform(normalised_laplacian(graph, torch.float64), coefficients=n)
    return fast.analysis(torch.eye(graph.num_nodes, dtype=torch.float64))


counts = (2, 3, 4, 6, 8, 10, 12)
apart = {
    name: [
        float(
            torch.linalg.matrix_norm(
                fast_operators(g, n) - exact_operators(dense[name]), 2
            ).max()
        )
        for n in counts
    ]
    for name, g in GRAPHS.items()
}
judge("C1b", [errors[-1] for errors in apart.values()] if run.sizes.truth else [])
for n, error in zip(counts, apart["karate"], strict=True):
    print(f"karate club, n = {n:2}: {error:.1e}")

# %%
spectra = []
for graph in GRAPHS.values():
    fast = FrameletTransform(
        normalised_laplacian(graph, torch.float64), coefficients=20
    )
    h = torch.randn(
        graph.num_nodes, 4, generator=stream(run.seed, "h"), dtype=torch.float64
    )
    where = torch.zeros(graph.num_nodes, dtype=torch.long)
    pooled = framelet_pool(fast, h, where, 1, "spectrum").reshape(fast.num_blocks, 4)
    energy = h.square().sum(0)
    spectra.append(float(((pooled.sum(0) - energy) / energy).abs().max()))
judge("C2a", spectra if run.sizes.truth else [])

# %% [markdown]
# Each coefficient more gains about a digit: the filters are smooth functions, for which Chebyshev
# expansions converge geometrically. But the other end of the list deserves a look. With $n=2$ the
# operators are wrong by a quarter. What that does to the energy of four signals on the karate club:

# %%
signals = {"smoothest": karate.degree.double().sqrt(), "two sides": side.double(),
           "with noise": signal, "roughest": vectors[:, -1]}  # fmt: skip
energies = {}
for name, values in signals.items():
    for label, w in {"exact": operators, "n = 2": fast_operators(karate, 2)}.items():
        found = (w @ values).square().sum(1) / values.square().sum()
        energies[f"{name}, {label}"] = found.tolist()

# %% tags=["hide-input"]
run.figure(
    figures.energy_figure(energies, names),
    "energy",
    caption="The energy in the three bands, as a share of that of the signal, with "
    "exact filters and with polynomials of degree one. Exact filters divide the energy "
    "(C2a); with n = 2 smooth signals gain and rough ones lose. Four signals on one "
    "graph.",
    alt="Pairs of stacked bars: with exact filters all end at one; with n of two the "
    "bar of the smoothest signal ends at one and a half, that of the roughest below "
    "one.",
)

# %% [markdown]
# Is the transform *as it is released* still nearly lossless (C1c)? By {eq}`ufg-tight` we only have
# to look at $G$.

# %%
line = torch.linspace(0, 2, 401, dtype=torch.float64)
gains = {"exact": exact_response(line).square().sum(0)}
for n in (2, 3, 4, 6):
    fast = FrameletTransform(
        normalised_laplacian(karate, torch.float64), coefficients=n
    )
    gains[f"n = {n}"] = fast.response(line).square().sum(0)
    print(
        f"n = {n}: between {gains[f'n = {n}'].min():.3f} "
        f"and {gains[f'n = {n}'].max():.3f}"
    )
losses = []
for graph in GRAPHS.values():
    w = fast_operators(graph, 2)
    losses.append(float((torch.linalg.eigvalsh((w.mT @ w).sum(0)) - 1).abs().max()))
judge("C1c", losses if run.sizes.truth else [])

# %% tags=["hide-input"]
blocks = dict(zip(names, exact_response(line).numpy(), strict=True))
run.figure(
    figures.response_figure(
        line.numpy(), blocks, {k: v.numpy() for k, v in gains.items()}
    ),
    "gain",
    caption="Left: the exact blocks of the Haar bank with two levels. Right: what "
    "synthesis after analysis does to each frequency, for polynomials with n "
    "coefficients (C1c). It holds for every graph; which frequencies a graph has, and "
    "which matter, it does not say.",
    alt="Left: a falling curve and two curves with humps. Right: flat lines at one for "
    "exact filters and for n of four and six; the curve of n = 2 falls from 1.57 to "
    "0.64.",
)

# %% [markdown]
# The released transform is no tight frame. It amplifies low frequencies by 1.57 and damps the
# middle to 0.64: **it is a smoothing filter**, by a factor of 2.4 a pass and 6 in two layers. One
# more coefficient, at the price of denser operators, and the effect is nearly gone. Whether that is
# a defect depends on what the network needs, and this is what the experiments are about.
#
# ### What a layer does before it has learned anything
#
# A framelet *convolution* takes features $X\in\mathbb R^{N\times d}$, mixes them by weights
# $W\in\mathbb R^{d\times d'}$ and treats every column of $X'=XW$ as a signal:
#
# $$ \begin{aligned}
# \text{UFGConv-R:}&\quad
# \operatorname{ReLU}\big(\mathcal V\,\operatorname{diag}(\theta)\,\mathcal WX'+\beta\big),\\
# \text{UFGConv-S:}&\quad
# \mathcal V\,\operatorname{shrink}\big(\operatorname{diag}(\theta)\,\mathcal WX'\big)+\beta.
# \end{aligned} $$ (ufg-conv)
#
# $\theta\in\mathbb R^{BN}$ holds one number for *every node and block*, the same for all $d'$
# columns, drawn around 1; $\beta\in\mathbb R^{d'}$ is a bias. The networks have two such layers,
# R without ReLU after the second, S with shrinkage in both and no ReLU at all.

# %%
show(UFGConv.coefficients, UFGConv.forward)

# %% [markdown]
# Put $\theta=1$ and leave out the activation. By {eq}`ufg-tight`
# $\mathcal V\operatorname{diag}(1)\,\mathcal WXW+\beta=G(L)XW+\beta$, and for a tight frame
#
# $$ G(L)XW+\beta=XW+\beta: $$ (ufg-identity)
#
# **a linear layer in which no node hears of its neighbours.** All that a lossless transform can
# mix, it must learn through $\theta$. But $\theta$ belongs to single nodes: what is learned at the
# few labelled nodes and around them says nothing about the filter elsewhere. With $n=2$ the layer
# averages from the start, at every node, since $G$ does.


# %% tags=["nbval-check-output"]
def layer_of(n):
    """Return a framelet layer on the club: theta = 1, no activation, n coefficients."""
    transform = FrameletTransform(
        normalised_laplacian(karate, torch.float64), coefficients=n
    )
    with seeded(stream(run.seed, "layer")):
        layer = UFGConv(5, 3, transform, activation="none")
    torch.nn.init.ones_(layer.theta)
    return layer


x = torch.randn(
    karate.num_nodes, 5, generator=stream(run.seed, "identity"), dtype=torch.float64
)
for n in (2, 12):
    layer = layer_of(n)
    difference = (layer(x) - x @ layer.weight).norm() / (x @ layer.weight).norm()
    print(f"n = {n}: layer {tuple(x.shape)} -> {tuple(layer(x).shape)};",
          "the same as x W:", bool(difference < 1e-10))  # fmt: skip

# %% [markdown]
# ### Shrinkage
#
# If a coefficient $z$ is a true value plus noise of about the size $\tau$, small values are mostly
# noise. *Soft shrinkage* moves every value towards 0 by $\tau$, and stops there. It is the answer
# to a question (a *proximal* operator): which $u$ is close to $z$, if each unit of $|u|$ costs
# $\tau$?
#
# $$ \operatorname{shrink}_\tau(z)=\operatorname{sgn}(z)\max(|z|-\tau,0)
# =\arg\min_u\;\tfrac12(u-z)^2+\tau|u|. $$ (ufg-shrink)
#
# For $u>0$ the derivative $u-z+\tau$ vanishes at $z-\tau$, if that is positive; by symmetry the
# same for $u<0$; otherwise the minimum is at the kink, $u=0$. Only details are shrunk, never the
# smooth block. The paper's threshold is $\tau=\sigma_0\sqrt{2\ln N/N}$ with a constant
# $\sigma_0=1$, times a scale for each block; in the released code an index is reset, so that all
# scales are 1, and we follow the code unless we say otherwise.

# %%
show(soft_shrinkage)

# %% tags=["nbval-check-output"]
values = torch.tensor([-2.0, -0.3, 0.1, 0.8, 3.0], dtype=torch.float64)
candidates = torch.linspace(-4, 4, 8001, dtype=torch.float64)
cost = 0.5 * (candidates - values[:, None]) ** 2 + 0.5 * candidates.abs()
for label, found in {
    "shrunk   ": soft_shrinkage(values, 0.5),
    "by search": candidates[cost.argmin(dim=1)],
}.items():
    print(label, (found.numpy().round(3) + 0.0).tolist())  # + 0.0 writes -0 as 0

# %% [markdown]
# Does it denoise? Take a graph of three groups (a *block model*: nodes of a group are linked with
# probability 0.12, others with 0.02), and a signal that is constant in each group. We add noise of
# standard deviation 2, shrink all details with the exact transform, and measure the mean squared
# error. Then the same with a signal that has something to lose: one node in twenty stands out.


# %%
def denoised_errors(spikes, thresholds, seed):
    """Mean squared errors of a noisy block signal after shrinkage, one a threshold."""
    draw = stream(run.seed, "denoise", seed)
    graph = stochastic_block_model((60, 60, 60), 0.12, 0.02, draw)
    truth = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)[graph.y]
    truth[torch.randperm(180, generator=draw)[:9]] += spikes
    noisy = truth + 2 * torch.randn(180, generator=draw, dtype=torch.float64)
    fast = FrameletTransform(
        normalised_laplacian(graph, torch.float64), coefficients=12
    )
    c = fast.analysis(noisy[:, None])
    kept = [torch.cat([c[:1], soft_shrinkage(c[1:], tau)]) for tau in thresholds]
    return [float((fast.synthesis(k)[:, 0] - truth).square().mean()) for k in kept]


thresholds = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 9.0)
panels, levels = {}, {}
for title, spikes in {
    "constant in each group": 0.0,
    "some nodes stand out by 12": 12.0,
}.items():
    errors = np.array(
        [denoised_errors(spikes, (*thresholds, 1e9), k) for k in range(10)]
    ).T
    panels[title], levels[title] = (
        errors[:-1],
        {"all details removed": errors[-1].mean()},
    )

# %% tags=["hide-input"]
run.figure(
    figures.denoising_figure(thresholds, panels, levels),
    "denoising",
    caption="Error of a noisy signal (at τ = 0: that of the noise) after shrinkage of "
    "its details; mean and 95 % interval over ten graphs. No network is trained here.",
    alt="Two panels of error against threshold. Left: the curve falls from 4 to the "
    "dotted line of removing all details. Right: it falls and rises again, with its "
    "lowest point far below that line.",
)

# %% [markdown]
# Left, shrinkage denoises, but more is always better: best is to remove every detail, that is, to
# smooth. Right, a threshold in the middle beats both ends: shrinkage is made for signals whose
# *details are few and large*. Keep the two pictures in mind when a network shrinks.
#
# ## The experiment
#
# ### Nodes with few labels
#
# The block models again: three groups of 60 nodes; a node's features are 8 numbers, the mean of its
# group plus noise twice as large; 5 labels a group are known, 45 nodes choose the epoch, the rest
# is tested. In the `cpu` profile the same cells run on Cora and CiteSeer (papers that cite each
# other; features are words, 20 labels a class, the public split). We compare an MLP, which does
# not see the graph, GCN and (on Cora and PubMed) GAT with UFGConv-R and -S.
#
# Every model gets the *same tuning budget*: twelve combinations of learning rate, weight decay and
# dropout, tried on other seeds and chosen by validation accuracy. For the block models the choice
# is kept in `src/gnn/framelets/plan.py`, and the `cpu` profile repeats it. Three controls ask where
# the accuracy comes from: R with accurate filters ($n=6$, tuned with the same budget again); S with
# threshold 0; S with *all details set to zero*.

# %%
show(train_once)


# %%
def settings_of(data):
    """Return the models' tuned settings for a data set, and how each trial did."""
    if data == "blocks":
        return plan.BLOCK_SETTINGS, {}
    names = run.sizes.models if data == main else run.sizes.others
    found = plan.tuned_settings(run.unit, data, names, device)
    return {name: row["best"] for name, row in found.items()}, found


main = run.sizes.data[0]  # what the claims are judged on in this profile
seeds = [100 * run.seed + k for k in range(run.sizes.seeds)]
tunings, recipes, scores = {}, {}, {}
for data in run.sizes.data:
    chosen, tunings[data] = settings_of(data)
    known = {name: chosen[name] for name in run.sizes.models if name in chosen}
    recipes[data] = plan.recipes(data, known)
    scores[data] = plan.scores(run.unit, data, recipes[data], seeds, device)

# %% [markdown]
# Each claim compares two models on the same graph and split, seed by seed: points of test accuracy
# in the epoch that the validation nodes chose.


# %%
def pairs(one, other, data=main):
    """Return rows (one model, another), one per seed."""
    return list(
        zip(scores[data][one]["test"], scores[data][other]["test"], strict=True)
    )


judge("C3a", pairs("UFG-R", "GCN"))
judge("C3b", pairs("UFG-S", "GCN"))
judge("C3f", pairs("UFG-R", "GCN", "citeseer") if "citeseer" in scores else [])
judge("C4a", pairs("UFG-S", "UFG-R"))
judge("C3d", pairs("UFG-R, n = 6", "UFG-R") if run.sizes.truth else [])

# %% tags=["hide-input"]
tests = {
    plan.TITLES[d]: {m: row["test"] for m, row in s.items()} for d, s in scores.items()
}
kept_scores = run.record("scores", tests if run.sizes.larger else {})
print(kept_scores.source)
run.figure(
    figures.score_figure(tests | (kept_scores.value or {})),
    "accuracy",
    caption="Test accuracy of every seed (grey), mean and 95 % interval (C3, C4a, C6b, "
    "C6c). The models above are tuned with equal budgets; the last rows are controls. "
    "Cora and CiteSeer come from the cpu profile. In the block models most grey spread "
    "is that of the graphs, which the paired claims take out.",
    alt="Panels with a row for each model. The graph models lie close together and far "
    "above the MLP; the framelet network with accurate filters falls towards the MLP.",
)

# %% [markdown]
# The framelet networks use the graph: they are far above the MLP. A GCN tuned with as much care
# does so, too; whether they beat it, the paired claims say. And look at the controls.
#
# ### Accurate filters make it worse
#
# With $n=6$ the transform is lossless to four digits, and the network falls towards the MLP, which
# knows no graph: {eq}`ufg-identity` at work (C3d). So what helps at $n=2$ is not that nothing is
# lost, but that $G$ smooths. If that is right, accuracy must follow the *amount of smoothing*,
# whichever bank and $n$ it comes from. The `cpu` profile took the released settings for Cora and
# changed nothing but these two.

# %%
seeds_released = [100 * run.seed + k for k in range(run.sizes.released)]
released = plan.released_scores(run.unit, seeds_released)
judge("C3c", released["UFG-R"]["test"] if released else [])


def smoothing(bank, n):
    """Return the largest gain of a frequency over the smallest, in one pass."""
    fast = FrameletTransform(
        normalised_laplacian(karate, torch.float64), bank, coefficients=n
    )
    gain = fast.response(line).square().sum(0)
    return float(gain.max() / gain.min())


kept = run.record("released", released)
print(kept.source)
found = []
for bank, counts in plan.BANKS.items():
    for n in counts if kept.value else ():
        name = "UFG-R" if (bank, n) == ("haar", 2) else f"UFG-R, {bank}, n = {n}"
        found.append((bank, n, smoothing(bank, n), kept.value[name]["test"]))

# %% tags=["hide-input"]
cora = (kept_scores.value or {}).get("Cora", {})
levels = {f"{m}, tuned": np.mean(cora[m]) for m in ("GCN", "MLP") if m in cora}
run.figure(
    figures.smoothing_figure(found, levels),
    "smoothing",
    caption="UFGConv-R on Cora (cpu profile): accuracy against the smoothing of its "
    "transform, for three banks; the number beside a point is n. A transform without "
    "loss has smoothing 1. Ten seeds, twenty for Haar with n = 2; settings are the "
    "released ones, not tuned for each point.",
    alt="Points that rise from the level of the MLP at smoothing one to that of the "
    "GCN at two and more, whichever of three filter banks they belong to.",
)

# %% [markdown]
# The points of three banks lie on one curve, from the MLP to the GCN: what the filters look like
# hardly matters, how much they smooth does.
#
# One more comparison, with the settings of the released code. They lie within the grid of the
# search, which passed them over for others with a slightly better validation accuracy; on Cora's
# test nodes they do better than those. Here they are against the tuned GCN, on the same seeds
# (points, mean and 95 % interval). The choice of settings weighs as much as the choice of the
# model.

# %%
for name in ("UFG-R", "UFG-S") if cora and kept.value else ():
    better = np.subtract(kept.value[name]["test"], cora["GCN"])
    mean, half = figures.mean_and_half_interval(better)
    print(f"{name}, as released, minus tuned GCN on Cora: {mean:+.2f} ± {half:.2f}")

# %% [markdown]
# ### The details that survive hardly matter
#
# Shrinkage has the same secret. The claims and the figure compare UFGConv-S with the same network
# without threshold, and with *every* detail removed: then a third of the coefficients is left, the
# smooth block, and as there is no ReLU either, the whole network is **linear**: two smoothing
# filters, and weights (C6a–c).

# %%
judge("C6a", scores[main]["UFG-S"]["kept"] if run.sizes.truth else [])
judge("C6b", pairs("UFG-S", "UFG-S, threshold 0") if run.sizes.truth else [])
judge("C6c", pairs("UFG-S", "UFG-S, no details") if run.sizes.truth else [])

# %% tags=["hide-input"]
sigmas = {f"{s:g}": f"UFG-S, sigma {s:g}" if s != 1 else "UFG-S" for s in plan.SIGMAS}
sigmas |= {"all": "UFG-S, no details"}
trades = {
    "block models, tuned": {
        label: (scores[main][name]["kept"], scores[main][name]["test"])
        for label, name in {
            "0": "UFG-S, threshold 0", "1": "UFG-S", "all": "UFG-S, no details"
        }.items()
    } if not run.sizes.larger else {},
    "Cora, as released": {
        label: (kept.value[name]["kept"], kept.value[name]["test"])
        for label, name in sigmas.items()
    } if kept.value else {},
}  # fmt: skip
run.figure(
    figures.trade_figure(trades),
    "compression",
    caption="Accuracy of UFGConv-S and the share of its coefficients that are kept, by "
    "threshold; 'all' removes every detail (C6). Mean and 95 % interval over graphs or "
    "seeds. Dotted: half.",
    alt="Above, accuracies that hardly change with the threshold; below, bars that "
    "fall from all coefficients to the third that is the smooth block.",
)

# %% [markdown]
# So the network compresses: on Cora to about half, a little less with the released settings, a
# little more with the tuned ones. But nothing hangs on *which* coefficients it keeps: to throw away
# some details, or all of them, costs about a point on Cora at the most, and on the block models the
# accuracy is best without any. There the class is a smooth signal, as in the left panel of the
# denoising figure.
#
# ### Choosing the epoch is part of the method
#
# The released scripts train for 200 epochs and report the epoch with the best validation accuracy.
# What if one simply took the last (C3e)? The answer can be predicted. A coefficient's $\theta$ gets
# a gradient only if a labelled node can see it. Everywhere else only the weight decay acts, and
# Adam divides a gradient by the size that its gradients have had: it takes steps of about the
# learning rate, 0.01, *whatever the strength of the decay*. In 100 epochs $\theta$ shrinks from 1
# to a fifth, and the network goes out. Here is Adam with nothing but decay, for two strengths:


# %%
def theta_without_gradient(rate, decay, epochs=200):
    """Follow one parameter under Adam when only the L2 penalty acts on it."""
    theta = torch.nn.Parameter(torch.ones(1))
    optimiser = torch.optim.Adam([theta], lr=rate, weight_decay=decay)
    path = []
    for _ in range(epochs):
        theta.grad = torch.zeros(1)
        optimiser.step()
        path.append(theta.item())
    return path


expected = theta_without_gradient(0.01, 0.01)
weaker = theta_without_gradient(0.01, 0.0005)
print("after 50, 100, 200 epochs:", [round(expected[k], 2) for k in (49, 99, 199)])
print("a decay 20 times weaker:  ", [round(weaker[k], 2) for k in (49, 99, 199)])

# %% [markdown]
# Now the networks, trained with the released settings (learning rate 0.01 for R, 0.005 for S), and
# R once more without decay on $\theta$.

# %%
watched = {
    plan.TITLES[main]: {
        name: run.unit(
            f"curve {main} {name}", curves, main, recipe, seeds[: run.sizes.curves]
        )
        for name, recipe in (plan.CURVES.items() if run.sizes.curves else ())
    }
}
late = [(row["last"], row["test"]) for name, row in released.items() if name == "UFG-R"]
judge("C3e", np.array(late[0]).T if late else [])
hidden = [
    run.unit("cora untouched", untouched_share, "cora", plan.TUNED["UFG-R"], seed)
    for seed in seeds_released[:1]
]
kept_share = run.record("untouched", [share for shares in hidden for share in shares])
for layer, share in enumerate(kept_share.value or [], start=1):
    print(f"Cora, layer {layer}: {share:.0%} of theta has no gradient")

# %% tags=["hide-input"]
kept_curves = run.record("curves", watched if run.sizes.released else {})
print(kept_curves.source)
run.figure(
    figures.training_figure(watched | (kept_curves.value or {}), expected),
    "collapse",
    caption="Above: test accuracy by epoch, released settings, mean over seeds (C3e). "
    "Below: mean size of θ; dotted: Adam with nothing but weight decay, at learning "
    "rate 0.01. Single runs fall at different epochs, which the mean blurs.",
    alt="Above, the accuracy of UFG-R rises and falls again after about a hundred "
    "epochs; without decay on theta, and for UFG-S, it stays. Below, theta falls along "
    "the dotted line, except where it is not decayed.",
)

# %% [markdown]
# $\theta$ follows the dotted line, and when it is gone, so is the accuracy. Without decay on
# $\theta$ nothing happens. S survives 200 epochs only because its learning rate is half as large:
# on Cora, the table *At scale* has S at the rate 0.01, which collapses, and R at 0.005, which does
# not. The best epoch is chosen before the collapse, so tables of best epochs do not show it.
#
# ### Noise
#
# Does shrinkage take noise out of features (C5a) and out of edges (C5b) better than ReLU? We add
# Gaussian noise to all features, or replace a share of the edges by random ones, and train again
# with the same settings.

# %%
few = seeds[: run.sizes.disturbed]
three = {name: recipes[main][name] for name in ("GCN", "UFG-R", "UFG-S")}
disturbances = (run.sizes.noise, run.sizes.rewired)
noisy = plan.disturbed(run.unit, main, three, few, *disturbances, device)


def both_highest(kind, name):
    """One model's mean accuracy over the two highest levels, one per seed."""
    return np.mean(list(noisy[kind][name].values())[-2:], axis=0)


for claim, kind in {"C5a": "noise", "C5b": "rewired"}.items():
    rows = [both_highest(kind, name) for name in ("UFG-S", "UFG-R")] if few else []
    judge(claim, np.array(rows).T if few else [])


# %%
def with_undisturbed(found):
    """Put the accuracy without disturbance in front of each curve."""
    return {
        kind: {
            name: {"0": scores[main][name]["test"][: len(few)]}
            | {f"{x:g}": v for x, v in c.items()}
            for name, c in rows.items()
        }
        for kind, rows in found.items()
    }


kept_noise = run.record("noise", with_undisturbed(noisy) if run.sizes.larger else {})
print(kept_noise.source)
labels = {"noise": "noise on the features (sd)", "rewired": "share of edges rewired"}

# %% tags=["hide-input"]
shown = {"block models": with_undisturbed(noisy)} if not run.sizes.larger else {}
shown |= {"Cora": kept_noise.value} if kept_noise.value else {}
panels = {
    f"{data}, {kind}": rows for data, k in shown.items() for kind, rows in k.items()
}
run.figure(
    figures.curve_figure(panels, {t: labels[t.split(", ")[1]] for t in panels}),
    "noise",
    caption="Test accuracy with noise on the features (left) and with rewired edges "
    "(right), mean and 95 % interval (C5). Settings were tuned without noise. The "
    "features of the block models have noise of 2 to begin with; a word of Cora is 0 "
    "or 1.",
    alt="Panels in which three curves, GCN, UFG-R and UFG-S, fall together from left "
    "to right.",
)

# %% [markdown]
# All three fall, and much the same way: averaging over neighbours already removes noise that
# neighbours do not share, and all three average. Whether S is above R is for the paired claims to
# say; hold it against what is thrown away, as above.
#
# ### Pooling
#
# To classify a whole graph, its node features $H\in\mathbb R^{n\times h}$ have to become one
# vector. Framelet pooling sums, in every block, the coefficients or their squares:
#
# $$ p_q^{\text{sum}}=\mathbf 1^\top(\mathcal W_qH)\in\mathbb R^h,\qquad
# p_q^{\text{spectrum}}=\mathbf 1^\top(\mathcal W_qH)^{\odot2}, $$ (ufg-pool)
#
# with $\odot$ for entry by entry. By {eq}`ufg-tight` the spectra divide the energy among the
# frequencies and lose none: $\sum_qp^{\text{spectrum}}_{q,j}=\lVert H_{:,j}\rVert^2$.
#
# What do the *sums* see? $\mathcal W_q$ is symmetric, so
# $p_q^{\text{sum}}=(\mathcal W_q\mathbf 1)^\top H$: a sum over nodes with fixed weights
# $\mathcal W_q\mathbf 1$, however long the transform took. If all nodes have the same degree, then
# $L\mathbf 1=0$, constants are the lowest frequency, the weights of all details vanish, and the sum
# pooling of framelets *is* the plain sum.

# %% tags=["nbval-check-output"]
cycle = Graph.from_networkx(networkx.cycle_graph(12))
for name, graph in {"cycle": cycle, "star": GRAPHS["star"]}.items():
    fast = FrameletTransform(
        normalised_laplacian(graph, torch.float64), coefficients=20
    )
    h = torch.randn(12, 3, generator=stream(run.seed, "pool"), dtype=torch.float64)
    pooled = framelet_pool(
        fast, h, torch.zeros(12, dtype=torch.long), 1, "sum"
    ).reshape(3, 3)
    plain, details = bool(torch.allclose(pooled[0], h.sum(0))), pooled[1:].abs().max()
    print(
        name,
        tuple(h.shape),
        "->",
        tuple(pooled.shape),
        "smooth block is the plain sum:",
        plain,
    )
    print("  some detail is pooled to more than rounding:", bool(details > 1e-9))

# %% [markdown]
# On a star the weights differ, but all they can tell is where degrees change. The `cpu` profile
# compares readouts on PROTEINS (1,113 graphs; enzyme or not) and MUTAG (188 molecules): the same
# two GCN layers, the same 20 random splits, the released settings for all (C2b, C2c).

# %%
splits = [100 * run.seed + k for k in range(run.sizes.splits)]
pools = {d: plan.pooled(run.unit, d, plan.READOUTS, splits) for d in run.sizes.pooling}
for claim, name in {"C2b": "UFG sum", "C2c": "UFG spectrum"}.items():
    found = pools.get("proteins-tu")
    rows = (
        list(zip(found[name]["test"], found["sum"]["test"], strict=True))
        if found
        else []
    )
    judge(claim, rows)
pooled = {
    plan.TITLES[d]: {r: row["test"] for r, row in s.items()} for d, s in pools.items()
}
kept_pools = run.record("pooling", pooled)
print(kept_pools.source)

# %% tags=["hide-input"]
run.figure(
    figures.score_figure(kept_pools.value or {}),
    "pooling",
    caption="Test accuracy of readouts on the same network: every split (grey), mean "
    "and 95 % interval (C2b, C2c; cpu profile). A test set of PROTEINS has 111 graphs, "
    "so one split alone is uncertain by four points; the claims compare within splits.",
    alt="Two panels with six readouts each; sums and framelet readouts lie close "
    "together.",
)

# %% [markdown]
# On PROTEINS the plain sum, the framelet sums and the framelet spectra agree within about a point:
# to conserve energy is not to classify better.
#
# ## The verdict
#
# Each criterion was written down before the run, in `data/papers/ufg.yml`.

# %%
run.verdicts()

# %% tags=["nbval-check-output", "remove-cell"]
run.verdict_words()

# %% [markdown]
# Read the table in three parts. What is *derived* holds to rounding (C1a, C1b, C2a), for exact
# filters; the filters that are released are something else (C1c). That a framelet network
# *classifies well* is true, and a GCN that is tuned with as much care does, too (C3a–c, C3f). And
# the *reasons* that are given do not survive their controls: accurate filters classify worse (C3d),
# the surviving details are not needed (C6c), and the accuracy leans on the choice of the epoch
# (C3e).
#
# None of this says that frequencies do not matter on graphs. Where neighbours tend to be of
# *different* kinds, smoothing hurts and details carry the class; framelets were taken there by
# later work. It says that a promise about a transform (nothing is lost) is not by itself a reason
# for accuracy, and that a control costs one line.
#
# ## At scale

# %%
run.at_scale()

# %% [markdown]
# The settings that the equal search chose there, and the mean validation accuracy of the best of
# the twelve trials:

# %%
fields = ("learning_rate", "weight_decay", "dropout")
table = {
    f"{plan.TITLES[d]}, {name}": [row["best"][f] for f in fields]
    + [max(r["val"] for r in row["rows"])]
    for d, rows in tunings.items()
    for name, row in rows.items()
}
again = run.sizes.models if run.sizes.released else ()
repeated = plan.tuned_settings(run.unit, "blocks", again)
for name, row in repeated.items():
    print(
        name, "block models, the same choice:", row["best"] == plan.BLOCK_SETTINGS[name]
    )
kept = run.record("settings", table)
print(kept.source)
rows = [
    [name, *(f"{value:.3g}" for value in row)]
    for name, row in (kept.value or {}).items()
]
Table(["data, model", "learning rate", "weight decay", "dropout", "validation"], rows)

# %% [markdown]
# And the variants of the released settings on Cora: accuracy in the best epoch and in the last, and
# the share of coefficients that is kept.

# %%
kept = run.record("released", released)
rows = [
    [name, *(f"{np.mean(row[k]):.1f}" for k in ("test", "last")),
     f"{np.mean(row['kept']):.0%}" if "kept" in row else None, len(row["test"])]
    for name, row in (kept.value or {}).items()
]  # fmt: skip
Table(["Cora, released settings", "best epoch", "last epoch", "kept", "seeds"], rows)

# %% [markdown]
# The line *UFG-S, n = 6, no details* is one more control of the explanation: its filters are
# accurate, but as only the smooth block is left, the network smooths, and most of what *UFG-R,
# haar, n = 6* lost comes back. The `gpu` profile takes PubMed and two larger sets of graphs; it has
# not been run yet.
#
# ## What we changed
#
# - **Data.** Cora and CiteSeer for nodes, PROTEINS and MUTAG for graphs; ogbn-arxiv and QM7, which
#   are in the paper's tables, are left out.
# - **The transform** is a recursion in single precision, where the released scripts multiply by a
#   stacked sparse matrix in double precision. The results agree to rounding; the recursion needs
#   memory for the edges only.
# - **The largest eigenvalue** is taken as its bound 2. The scripts estimate it by one vector of an
#   iterative method; an estimate that is too small would leave the interval of the polynomials.
# - **The dilation** uses a real exponent as in the scripts, such that the last level covers the
#   spectrum exactly. The formula of the paper has an integer there.
# - **Baselines** are trained by us, with the same number of trials; the paper's table takes theirs
#   from the papers they come from. A GCN with the weight decay and dropout that UFG uses is
#   better than its published number.
# - **MLP, GCN and GAT** also drop inputs, as published; the framelet networks do not, as released.
# - **Pooling** by spectrum is not in the released code; it is built from the paper's description.
#   All readouts use the settings released for framelet pooling; none was tuned.
# - **Scales.** Released, all blocks share one threshold (an index is reset in a loop); the table
#   above has a line with the scales that the paper describes.
#
# ## Exercises
#
# **1.** With how many coefficients does the *linear* bank have a gain between 0.97 and 1.03? Which
# bank needs more for the same, linear or quadratic, and why?
#
# <details><summary>Solution</summary>
#
# Four; the quadratic bank needs five. Its filters are products of three sines and cosines of
# $\xi/2$, the linear bank's of two: they contain higher frequencies, and a polynomial of a given
# degree follows them less well.
#
# </details>

# %% tags=["hide-cell"]
for bank in ("haar", "linear", "quadratic"):
    for n in (2, 3, 4, 5):
        fast = FrameletTransform(
            normalised_laplacian(karate, torch.float64), bank, coefficients=n
        )
        gain = fast.response(line).square().sum(0)
        print(f"{bank:9} n = {n}: {gain.min():.3f} to {gain.max():.3f}")

# %% [markdown]
# **2.** A block model in which nodes are linked with probability 0.12 to *other* groups and 0.02 to
# their own: will UFGConv-S still be helped by removing its details? Predict, then train.
#
# <details><summary>Solution</summary>
#
# No. The class now lives at the upper end of the spectrum, since most edges join different groups;
# the smooth block has lost it, and without details little is left. Low-pass filters assume that
# neighbours are alike.
#
# </details>

# %% tags=["hide-cell"]
found = {"as it is": [], "no details": []}
for seed in range(3):
    graph = stochastic_block_model(
        (60, 60, 60), 0.02, 0.12, stream(run.seed, "other", seed)
    )
    graph = with_class_features(graph, 8, 2.0, stream(run.seed, "other features", seed))
    graph = split_per_class(graph, 5, 45, stream(run.seed, "other split", seed))
    for name, variant in {
        "as it is": "UFG-S",
        "no details": "UFG-S, no details",
    }.items():
        recipe = plan.recipes("blocks", plan.BLOCK_SETTINGS)[variant]
        found[name].append(100 * train_once(graph, recipe, seed)[0].test_at_best)
print({name: f"{np.mean(values):.0f} %" for name, values in found.items()})

# %% [markdown]
# **3.** Adam with *decoupled* weight decay (AdamW) shrinks $\theta$ by the factor $1-\eta\lambda$ a
# step, with learning rate $\eta$ and decay $\lambda$. What is left of a $\theta$ without gradient
# after 200 epochs at $\eta=\lambda=0.01$? Would the network collapse?
#
# <details><summary>Solution</summary>
#
# $(1-10^{-4})^{200}\approx0.98$: almost all of it, so it would not collapse. That the L2 penalty
# and weight decay are two different things under Adam was shown by Loshchilov and Hutter (2019).
#
# </details>

# %% tags=["hide-cell"]
theta = torch.nn.Parameter(torch.ones(1))
optimiser = torch.optim.AdamW([theta], lr=0.01, weight_decay=0.01)
for _ in range(200):
    theta.grad = torch.zeros(1)
    optimiser.step()
print(f"{theta.item():.3f}")

# %% [markdown]
# ## Where next
#
# *Random-walk embeddings* (`network_embedding/random_walks`) learn from the graph alone, without
# features or labels. The transform itself is older than its network: Hammond and others (2011)
# built wavelets on graphs from functions of the Laplacian, Dong (2017) the tight frames used here,
# and Donoho (1995) explained shrinkage.
