"""Skip-gram with negative sampling, from pairs or from walks, with explicit gradients.

A pair of a node v and a context c costs (Mikolov et al. 2013, equation 4 with its sign
turned)

    l(v, c) = -log s(f_v . g_c) - sum_i log s(-f_v . g_(n_i)), i = 1 ... k,          (1)

with s the logistic function and negatives n_i drawn by frequency^0.75. Its gradients
are

    by f_v:       (s(f_v . g_c) - 1) g_c + sum_i s(f_v . g_(n_i)) g_(n_i),           (2)
    by g_c:       (s(f_v . g_c) - 1) f_v,                                            (3)
    by g_(n_i):   s(f_v . g_(n_i)) f_v.                                              (4)

Pairs are taken in blocks, and a block consists of groups: one walk each, or up to
`GROUP` pairs. A group's pairs share their negatives, so that scores are matrix
products, and all gradients of a block are taken at the same vectors and then added up.

Letters of shapes: G groups of a block; in a group P pairs, or positions of a walk, and
M shared negatives; D numbers of a vector; N nodes and C contexts, the rows of the
tables f and g.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from src.common.checks import checked, within
from src.network_embedding.random_walks.block_descent import (
    descend,
    initial_vectors,
    rate_blocks,
)
from src.network_embedding.random_walks.contexts import (
    NegativeSampler,
    check_numbers,
    check_walks,
    context_band,
)

GROUP = 64
"""At most so many pairs of `train_pairs` share their negatives."""

Vectors = tuple[Float[Tensor, "N D"], Float[Tensor, "C D"]]
"""The tables f of nodes and g of contexts."""

Gradients = tuple[
    Float[Tensor, "G P D"], Float[Tensor, "G P D"], Float[Tensor, "G M D"]
]
"""Of a block's loss by vectors of its nodes, contexts and negatives: (2), (3), (4)."""

Terms = tuple[
    Float[Tensor, " nodes"], Float[Tensor, " contexts"], Float[Tensor, " negatives"]
]
"""How many terms of the loss (1) meet in each of these gradients, group after group."""


@dataclass(frozen=True)
class SkipGramSettings:
    """How vectors are trained.

    Attributes:
        dimension: of the vectors.
        negatives: k, negatives per pair.
        epochs: passes over the pairs, each in a new order.
        learning_rate: of the first block; it falls linearly to a hundredth at the last.
        exponent: negatives are drawn with chance ~ frequency^exponent.
        block: at most this many rows (pairs, or positions of walks) are taken together.
        rows_a_node: and at most this many per node, which keeps small graphs stable.
        reach: of a node's summed gradient, at most this many terms times the rate are
            applied.
    """

    dimension: int = 128
    negatives: int = 5
    epochs: int = 1
    learning_rate: float = 0.025
    exponent: float = 0.75
    block: int = 2048
    rows_a_node: float = 1.0
    reach: float = 1.0

    def __post_init__(self) -> None:
        """Reject settings that train nothing.

        Raises:
            ValueError: for a number below 1, a rate or limit that is not positive and
                finite, or an exponent that is not finite.
        """
        if min(self.dimension, self.negatives, self.epochs, self.block) < 1:
            raise ValueError(
                f"dimension, negatives, epochs and block must be at least 1: {self}"
            )
        rates = self.learning_rate, self.rows_a_node, self.reach
        if not all(0 < rate < math.inf for rate in rates):
            raise ValueError(
                "learning_rate, rows_a_node and reach must be positive and finite: "
                f"{self}"
            )
        within("exponent", self.exponent, -math.inf)

    def rows(self, num_nodes: int) -> int:
        """Return how many rows a block may have.

        Args:
            num_nodes: of the graph, or the smaller of the numbers of sources and
                contexts.
        """
        return min(self.block, round(self.rows_a_node * num_nodes))


# --- the loss of a block, differentiated ----------------------------------------------


SkipGramSettings.__init__ = checked(SkipGramSettings.__init__)


def walk_gradients(
    f: Float[Tensor, "G P D"],
    g: Float[Tensor, "G P D"],
    n: Float[Tensor, "G M D"],
    band: Float[Tensor, "*#G P P"],
    scale: Float[Tensor, "*#G P 1"],
) -> Gradients:
    """Return the gradients of the loss of all position pairs in `band` by f, g and n.

    Args:
        f: (G, P, D) vectors of the P positions of G walks, as nodes.
        g: (G, P, D) vectors of the same positions, as contexts.
        n: (G, M, D) context vectors of each walk's M negatives.
        band: (P, P) or (G, P, P), 1 where position j is a context of position i.
        scale: (P, 1) or (G, P, 1), how many negative pairs each product of position i
            with a negative stands for.

    Returns:
        Gradients (2), (3) and (4), of the shapes of f, g and n.
    """
    pull = torch.sigmoid_(f @ g.mT).sub_(1.0).mul_(band)  # (G, P, P)
    push = torch.sigmoid_(f @ n.mT).mul_(scale)  # (G, P, M)
    return torch.baddbmm(pull @ g, push, n), pull.mT @ f, push.mT @ f  # (2), (3), (4)


def pair_gradients(
    f: Float[Tensor, "G P D"],
    g: Float[Tensor, "G P D"],
    n: Float[Tensor, "G M D"],
    scale: float,
) -> Gradients:
    """Return the gradients of the loss of pairs (f, g) by f, g and n.

    Args:
        f: (G, P, D) vectors of the pairs' nodes.
        g: (G, P, D) vectors of the pairs' contexts.
        n: (G, M, D) context vectors of each group's M negatives.
        scale: how many negative pairs each product of a node with a negative stands
            for.

    Returns:
        Gradients (2), (3) and (4), of the shapes of f, g and n.
    """
    pull = torch.sigmoid_((f * g).sum(dim=-1, keepdim=True)).sub_(1.0)  # (G, P, 1)
    push = torch.sigmoid_(f @ n.mT).mul_(scale)  # (G, P, M)
    return torch.baddbmm(pull * g, push, n), pull * f, push.mT @ f  # (2), (3), (4)


# --- training -------------------------------------------------------------------------


@checked
def train_walks(
    walks: Int[Tensor, "walks P"],
    num_nodes: int,
    window: int,
    settings: SkipGramSettings,
    generator: torch.Generator,
    start: Vectors | None = None,
) -> Vectors:
    """Train on all pairs of positions at most `window` apart.

    The pairs are never written out: a walk's vectors are gathered once for all its
    pairs, whose scores are a band of the matrix of all products of its positions.

    Args:
        walks: (walks, P) of nodes 0 ... num_nodes - 1; at least one walk. Walks that
            end early have -1 after their end.
        num_nodes: rows of the results.
        window: at least 1.
        settings: see `SkipGramSettings`; `block` and `rows_a_node` count positions.
        generator: source of initial vectors, order and negatives.
        start: vectors to continue from, of these sizes; None draws new ones.

    Returns:
        (num_nodes, dimension) vectors of nodes and of contexts.

    Raises:
        ValueError: for a window below 1, no walks, walks of one node, or numbers that
            are no nodes, or a start of other sizes.

    Examples:
        >>> walks = torch.tensor([[0, 1, 2, 3], [3, 2, 1, 0]])
        >>> settings = SkipGramSettings(dimension=8, epochs=2)
        >>> g = torch.Generator().manual_seed(0)
        >>> vectors, contexts = train_walks(walks, 4, 2, settings, g)
        >>> vectors.shape, contexts.shape
        (torch.Size([4, 8]), torch.Size([4, 8]))
    """
    check_walks(walks, num_nodes, window)
    k, length = settings.negatives, walks.shape[1]
    vectors = _start(num_nodes, num_nodes, settings, generator, start)
    frequency = torch.bincount(walks[walks >= 0], minlength=num_nodes)
    sampler = NegativeSampler.of(frequency, settings.exponent)
    band = context_band(length, window)
    # Half as many negatives as positions: each counts for several.
    shared = max(k, length // 2)
    size = max(1, settings.rows(num_nodes) // length)
    whole = _weights(band.expand(size, length, length), k, shared)
    cut = int(walks.min()) < 0
    plan = settings.epochs, settings.learning_rate
    for chosen, rate in rate_blocks(len(walks), size, *plan, generator):
        nodes = walks[chosen]
        drawn = sampler.draw((len(nodes), shared), generator)
        scale, terms, own = whole[0][:1], whole[1], band
        if cut:
            real = nodes >= 0
            nodes, own = nodes.clamp(min=0), band * (real[:, :, None] & real[:, None])
            scale, terms = _weights(own, k, shared)
        block = _Block(nodes, nodes, drawn)
        gradients = walk_gradients(*block.rows_of(*vectors), own, scale)
        block.descend(*vectors, gradients, terms, rate, settings.reach)
    return vectors


def _weights(
    band: Float[Tensor, "G P P"], k: int, shared: int
) -> tuple[Float[Tensor, "G P 1"], Terms]:
    """Return how many negative pairs a product stands for, and the numbers of terms."""
    contexts = band.sum(dim=2)  # of each position
    scale = k * contexts[:, :, None] / shared
    of_negatives = scale.sum(dim=1).expand(-1, shared)
    terms = contexts * (1 + k), contexts, of_negatives
    return scale, tuple(each.flatten() for each in terms)


@checked
def train_pairs(
    sources: Int[Tensor, " pairs"],
    contexts: Int[Tensor, " pairs"],
    num_sources: int,
    num_contexts: int,
    settings: SkipGramSettings,
    generator: torch.Generator,
    start: Vectors | None = None,
) -> Vectors:
    """Train on these pairs; contexts may be of another kind than sources.

    Args:
        sources: (pairs,) numbers below num_sources.
        contexts: (pairs,) numbers below num_contexts.
        num_sources: rows of the first result.
        num_contexts: rows of the second result.
        settings: see `SkipGramSettings`; `block` and `rows_a_node` count pairs.
        generator: source of initial vectors, order and negatives.
        start: vectors to continue from; None draws new ones.

    Returns:
        (num_sources, dimension) and (num_contexts, dimension) vectors.

    Raises:
        ValueError: if the two differ in length or are empty, for numbers out of range,
            or a start of other sizes.

    Examples:
        >>> people, films = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 4])
        >>> settings = SkipGramSettings(dimension=8)
        >>> f, g = train_pairs(people, films, 3, 5, settings, torch.Generator())
        >>> f.shape, g.shape
        (torch.Size([3, 8]), torch.Size([5, 8]))
    """
    if len(sources) != len(contexts) or not len(sources):
        raise ValueError(
            "need as many sources as contexts, and at least one pair (a graph without "
            f"edges has none): {len(sources)}, {len(contexts)}"
        )
    check_numbers("sources", sources, num_sources)
    check_numbers("contexts", contexts, num_contexts)
    k = settings.negatives
    vectors = _start(num_sources, num_contexts, settings, generator, start)
    frequency = torch.bincount(contexts, minlength=num_contexts)
    sampler = NegativeSampler.of(frequency, settings.exponent)
    size = max(1, settings.rows(min(num_sources, num_contexts)))
    group = min(size, GROUP)
    size -= size % group
    plan = settings.epochs, settings.learning_rate
    for chosen, rate in rate_blocks(len(sources), size, *plan, generator):
        pairs = _in_groups(chosen, group)
        groups, count = pairs.shape
        shared = max(k, count // 2)
        scale = k / shared
        drawn = sampler.draw((groups, shared), generator)
        block = _Block(sources[pairs], contexts[pairs], drawn)
        gradients = pair_gradients(*block.rows_of(*vectors), scale)
        once = torch.ones(pairs.numel())
        terms = once * (1 + k), once, torch.full((drawn.numel(),), scale * count)
        block.descend(*vectors, gradients, terms, rate, settings.reach)
    return vectors


@dataclass(frozen=True)
class _Block:
    """What a block consists of, as rows of the tables f (nodes) and g (the others)."""

    nodes: Int[Tensor, "G P"]
    contexts: Int[Tensor, "G P"]
    negatives: Int[Tensor, "G M"]

    def rows_of(self, f: Float[Tensor, "N D"], g: Float[Tensor, "C D"]) -> Gradients:
        """Return the vectors of nodes, contexts and negatives."""
        return _rows(f, self.nodes), _rows(g, self.contexts), _rows(g, self.negatives)

    def descend(
        self,
        f: Float[Tensor, "N D"],
        g: Float[Tensor, "C D"],
        gradients: Gradients,
        terms: Terms,
        rate: float,
        reach: float,
    ) -> None:
        """Move the rows of both tables against their gradients, see `descend`.

        `terms` may be those of a larger block: what they have beyond this one is not
        used.
        """
        by_f, by_g, by_n = (
            each.flatten(0, 1) for each in gradients
        )  # (G P, D), twice; (G M, D)
        of_f, of_g, of_n = (
            t[: len(by)] for t, by in zip(terms, (by_f, by_g, by_n), strict=True)
        )
        descend(f, self.nodes.reshape(-1), by_f, of_f, rate, reach)
        places = torch.cat([self.contexts.reshape(-1), self.negatives.reshape(-1)])
        descend(
            g, places, torch.cat([by_g, by_n]), torch.cat([of_g, of_n]), rate, reach
        )


def _start(
    num_sources: int,
    num_contexts: int,
    settings: SkipGramSettings,
    generator: torch.Generator,
    start: Vectors | None,
) -> Vectors:
    """Return a copy of `start`, or new vectors, contexts' at 0 as in word2vec."""
    if start is not None:
        wanted = [(count, settings.dimension) for count in (num_sources, num_contexts)]
        if [tuple(table.shape) for table in start] != wanted:
            shapes = [tuple(table.shape) for table in start]
            raise ValueError(f"start must hold tables of {wanted}, not {shapes}")
        return start[0].clone(), start[1].clone()
    f = initial_vectors(num_sources, settings.dimension, generator)
    return f, torch.zeros(num_contexts, settings.dimension)


def _in_groups(pairs: Int[Tensor, " pairs"], size: int) -> Int[Tensor, "G P"]:
    """Return a block in groups of `size`, the rest dropped, or in one smaller group."""
    groups = max(1, len(pairs) // size)
    return pairs[: groups * size].view(groups, -1)


def _rows(
    table: Float[Tensor, "rows D"], places: Int[Tensor, "G R"]
) -> Float[Tensor, "G R D"]:
    """Return rows of a table; index_select takes a fifth of the time of indexing."""
    return table.index_select(0, places.reshape(-1)).view(*places.shape, -1)
