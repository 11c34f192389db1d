"""Skip-gram with negative sampling, from pairs or from walks, with gradients written out.

A pair (v, c) of a node and a context costs -log s(f_v . g_c) - sum_i log s(-f_v . g_n_i), with s
the logistic function and k negatives n_i drawn by frequency^0.75 (Mikolov et al. 2013, equation 4).
Pairs are processed in blocks. A block's pairs share their negatives, so that scores are matrix
products, and all its gradients are taken at the same vectors and then added up.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

Vectors = tuple[Float[Tensor, "sources dim"], Float[Tensor, "contexts dim"]]


@dataclass(frozen=True)
class SkipGramSettings:
    """How vectors are trained.

    Attributes:
        dimension: of the vectors.
        negatives: k, negatives a pair.
        epochs: passes over the pairs, each in a new order.
        learning_rate: of the first block; it falls linearly to a hundredth at the last.
        exponent: negatives are drawn with chance ~ frequency^exponent.
        block: at most this many rows (pairs, or positions of walks) are taken together.
        rows_a_node: and at most this many for every node, which keeps small graphs stable.
        reach: of a node's summed gradient, at most this many terms times the rate are applied.
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
        if min(self.dimension, self.negatives, self.epochs, self.block) < 1:
            raise ValueError(f"dimension, negatives, epochs and block must be at least 1: {self}")
        if min(self.learning_rate, self.rows_a_node, self.reach) <= 0:
            raise ValueError(f"learning_rate, rows_a_node and reach must be positive: {self}")


def walk_pairs(
    walks: Int[Tensor, "walks positions"], window: int
) -> tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]]:
    """Return all (centre, context) pairs at most `window` steps apart, in both directions."""
    centres, contexts = [], []
    for offset in range(1, min(window, walks.shape[1] - 1) + 1):
        early, late = walks[:, :-offset].reshape(-1), walks[:, offset:].reshape(-1)
        centres += [early, late]
        contexts += [late, early]
    if not centres:
        return walks.new_empty(0), walks.new_empty(0)
    return torch.cat(centres), torch.cat(contexts)


def train_walks(
    walks: Int[Tensor, "walks positions"],
    num_nodes: int,
    window: int,
    settings: SkipGramSettings,
    generator: torch.Generator,
    start: Vectors | None = None,
) -> Vectors:
    """Train on all pairs of positions at most `window` apart; the pairs are never written out.

    A walk's vectors are gathered once for all its pairs, whose scores are a band of the matrix of
    all products of its positions.

    Args:
        walks: (walks, nodes) of nodes 0 ... num_nodes - 1.
        num_nodes: rows of the results.
        window: at least 1.
        settings: see `SkipGramSettings`; `block` and `rows_a_node` count positions.
        generator: source of initial vectors, order and negatives.
        start: vectors to continue from; None draws new ones.

    Returns:
        (num_nodes, dimension) vectors of nodes and of contexts.

    Raises:
        ValueError: for a window below 1 or walks of one node.
    """
    length = walks.shape[1]
    if window < 1 or length < 2:
        raise ValueError(f"need window >= 1 and walks of two nodes, not {window} and {length}")
    vectors, contexts = _start(num_nodes, num_nodes, settings, generator, start)
    sampler = _Negatives(torch.bincount(walks.reshape(-1), minlength=num_nodes), settings)
    place = torch.arange(length)
    apart = (place[:, None] - place).abs()
    band = ((apart > 0) & (apart <= window)).float()
    # a walk's negatives are as many as half its positions; each counts for several pairs
    shared = max(settings.negatives, length // 2)
    scale = settings.negatives * band.sum(dim=1, keepdim=True) / shared
    rows = min(settings.block, round(settings.rows_a_node * num_nodes))
    size = max(1, rows // length)
    pairs = band.sum(dim=1)
    terms = [pairs * (1 + settings.negatives), pairs, scale.sum().expand(shared)]
    for block, rate in rate_blocks(len(walks), size, settings, generator):
        nodes = walks[block]
        drawn = sampler.draw((len(nodes), shared), generator)
        at, negative = nodes.reshape(-1), drawn.reshape(-1)
        rows = _rows(vectors, nodes), _rows(contexts, nodes), _rows(contexts, drawn)
        f_gradient, g_gradient, n_gradient = walk_gradients(*rows, band, scale)
        t = [each.repeat(len(nodes)) for each in terms]
        _add(vectors, at, f_gradient.flatten(0, 1), t[0], rate, settings)
        both = torch.cat([g_gradient.flatten(0, 1), n_gradient.flatten(0, 1)])
        _add(contexts, torch.cat([at, negative]), both, torch.cat(t[1:]), rate, settings)
    return vectors, contexts


def walk_gradients(
    f: Float[Tensor, "walks positions dim"],
    g: Float[Tensor, "walks positions dim"],
    n: Float[Tensor, "walks negatives dim"],
    band: Float[Tensor, "positions positions"],
    scale: Float[Tensor, "positions 1"],
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of the loss of all pairs of positions in `band` by f, g and n.

    Args:
        f, g: vectors of the walks' positions, as nodes and as contexts.
        n: context vectors of a walk's negatives.
        band: 1 where position j is a context of position i.
        scale: how many negative pairs each product of position i with a negative stands for.
    """
    pull = torch.sigmoid_(f @ g.mT).sub_(1.0).mul_(band)
    push = torch.sigmoid_(f @ n.mT).mul_(scale)
    return torch.baddbmm(pull @ g, push, n), pull.mT @ f, push.mT @ f


def pair_gradients(
    f: Float[Tensor, "groups pairs dim"],
    g: Float[Tensor, "groups pairs dim"],
    n: Float[Tensor, "groups negatives dim"],
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of the loss of pairs (f, g) by f, g and n; see `walk_gradients`."""
    pull = torch.sigmoid_((f * g).sum(dim=-1, keepdim=True)).sub_(1.0)
    push = torch.sigmoid_(f @ n.mT).mul_(scale)
    return torch.baddbmm(pull * g, push, n), pull * f, push.mT @ f


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
        sources, contexts: (pairs,) numbers below num_sources and num_contexts.
        num_sources, num_contexts: rows of the results.
        settings: see `SkipGramSettings`; `block` and `rows_a_node` count pairs.
        generator: source of initial vectors, order and negatives.
        start: vectors to continue from; None draws new ones.

    Returns:
        (num_sources, dimension) and (num_contexts, dimension) vectors.

    Raises:
        ValueError: if the two differ in length or are empty.
    """
    if len(sources) != len(contexts) or not len(sources):
        raise ValueError(f"need as many sources as contexts: {len(sources)}, {len(contexts)}")
    f_all, g_all = _start(num_sources, num_contexts, settings, generator, start)
    sampler = _Negatives(torch.bincount(contexts, minlength=num_contexts), settings)
    rows = round(settings.rows_a_node * min(num_sources, num_contexts))
    size = max(1, min(settings.block, rows))
    group = min(size, GROUP)
    size -= size % group
    for block, rate in rate_blocks(len(sources), size, settings, generator):
        groups = max(1, len(block) // group)
        block = block[: groups * group]  # what an epoch's last block has beyond is left out
        group_now = len(block) // groups
        v, c = sources[block], contexts[block]
        shared = max(settings.negatives, group_now // 2)
        scale = settings.negatives / shared
        drawn = sampler.draw((groups, shared), generator)
        shape = (groups, group_now)
        rows = _rows(f_all, v.view(shape)), _rows(g_all, c.view(shape)), _rows(g_all, drawn)
        f_gradient, g_gradient, n_gradient = pair_gradients(*rows, scale)
        ones = torch.ones(len(block))
        _add(f_all, v, f_gradient.flatten(0, 1), ones * (1 + settings.negatives), rate, settings)
        both = torch.cat([g_gradient.flatten(0, 1), n_gradient.flatten(0, 1)])
        terms = torch.cat([ones, torch.full((drawn.numel(),), scale * group_now)])
        _add(g_all, torch.cat([c, drawn.reshape(-1)]), both, terms, rate, settings)
    return f_all, g_all


GROUP = 64  # pairs that share their negatives


class _Negatives:
    """Draws contexts with chance ~ frequency^exponent."""

    def __init__(self, frequency: Int[Tensor, " contexts"], settings: SkipGramSettings):
        chance = torch.where(frequency > 0, frequency.double() ** settings.exponent, 0.0)
        self.cumulative = chance.cumsum(0)
        self.last = int(torch.nonzero(frequency).max())

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Int[Tensor, "..."]:
        uniform = torch.rand(shape, generator=generator, dtype=torch.double)
        value = uniform.mul_(self.cumulative[-1])
        return torch.searchsorted(self.cumulative, value, right=True).clamp_(max=self.last)


def _start(num_sources, num_contexts, settings, generator, start) -> Vectors:
    if start is not None:
        return start[0].clone(), start[1].clone()
    shape = (num_sources, settings.dimension)
    vectors = (torch.rand(shape, generator=generator) - 0.5) / settings.dimension
    return vectors, torch.zeros(num_contexts, settings.dimension)


def rate_blocks(total: int, size: int, settings: SkipGramSettings, generator: torch.Generator):
    """Yield blocks of a new order in every epoch, with the rate of each."""
    count = -(-total // size) * settings.epochs
    number = 0
    for _ in range(settings.epochs):
        order = torch.randperm(total, generator=generator)
        for first in range(0, total, size):
            rate = settings.learning_rate * max(0.01, 1 - number / count)
            yield order[first : first + size], rate
            number += 1


def _rows(table: Tensor, places: Int[Tensor, "blocks rows"]) -> Float[Tensor, "blocks rows dim"]:
    """The rows of `table`; index_select takes a fifth of the time of indexing."""
    return table.index_select(0, places.reshape(-1)).view(*places.shape, -1)


def _add(table, places, gradient, terms, rate, settings) -> None:
    """Subtract rate times the summed gradient; rows with too many terms are scaled down."""
    total = torch.zeros(len(table)).index_add_(0, places, terms)
    limit = settings.reach / rate
    if float(total.max()) > limit:
        gradient = gradient * (limit / total.clamp(min=limit)).index_select(0, places)[:, None]
    table.index_add_(0, places, gradient, alpha=-rate)
