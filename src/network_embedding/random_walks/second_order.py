"""Second-order steps by rejection, with an exact step where rejection would take long.

A neighbour proposed by weight is accepted with a probability that depends on the
previous node: no table per pair of edges is needed. After `ROUNDS` refusals in a row a
walk's step is drawn exactly, by the weights of all its neighbours, so that the cost of
a step does not grow with p or 1/q.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

if TYPE_CHECKING:
    from src.network_embedding.random_walks.walks import Walker

LOW_32 = 0xFFFFFFFF
FEW = 1 << 11  # walks; below it, each proposes several times at once
TIMES = 8
ROUNDS = 64  # proposals refused in a row before the exact step


class Acceptance:
    """Second-order steps by rejection.

    A neighbour x is proposed by weight and accepted with probability alpha / bound,
    where the bound is max(1, 1/q). If 1/p exceeds the bound, the weight that going back
    still lacks, (1/p - bound) weight(v, t), becomes a proposal of its own that is
    always accepted. So a small p costs no rejections.
    """

    def __init__(self, walker: "Walker", back: float, far: float):
        """Prepare the chances.

        Args:
            walker: a `walks.Walker`.
            back: 1/p.
            far: 1/q.
        """
        self.walker = walker
        bound = max(1.0, far)
        self.extra = max(0.0, back / bound - 1)
        self.back, self.near, self.far = min(1.0, back / bound), 1 / bound, far / bound
        self.uses_edges = self.extra > 0 and not (
            walker.weight is None and walker.undirected
        )
        if self.uses_edges:
            weight = (
                torch.ones(len(walker.opposite))
                if walker.weight is None
                else walker.weight
            )
            self.weight_back = torch.cat([weight, weight.new_zeros(1)]).double()

    def step(self, at, before, edge, random) -> tuple[Tensor, Tensor | None]:
        """Return the nodes after `at` and the edges that lead there.

        The walks came to `at` from `before` by `edge`.

        Edges are kept only where going back, as a proposal of its own, needs their
        weight.

        Args:
            at: (walks,) where the walks are.
            before: (walks,) where they came from.
            edge: (walks,) places of the edges that they came by, or None.
            random: source of the step.
        """
        nodes, edges, rejected = self._propose(at, before, edge, random)
        left, refusals = rejected, 1
        while len(left) and refusals < ROUNDS:
            at, before = take(at, rejected), take(before, rejected)
            edge = None if edges is None else take(edge, rejected)
            # When few are left, each proposes several times at once and takes the first
            # accepted.
            times = 1 if len(left) > FEW else TIMES
            refusals += times
            again = [
                None if x is None else _repeat(x, times) for x in (at, before, edge)
            ]
            some_nodes, some_edges, refused = self._propose(*again, random)
            taken = torch.ones(len(left) * times, dtype=torch.uint8).scatter_(
                0, refused, 0
            )
            first = taken.view(-1, times).argmax(dim=1)
            first += torch.arange(0, len(taken), times)
            nodes.scatter_(0, left, take(some_nodes, first))
            if edges is not None:
                edges.scatter_(0, left, take(some_edges, first))
            rejected = where(take(taken, first) == 0)
            left = take(left, rejected)
        if len(left):
            exact = self._exact(take(at, rejected), take(before, rejected), random)
            nodes.scatter_(0, left, take(self.walker.target, exact))
            if edges is not None:
                edges.scatter_(0, left, exact)
        return nodes, edges

    def _exact(
        self, at: Tensor, before: Tensor, random: np.random.Generator
    ) -> Int[Tensor, " walks"]:
        """Return the edges of one step each, drawn by the weights of all neighbours."""
        walker, span = self.walker, take(self.walker.span, at)
        count, first = span & LOW_32, span >> 32
        ends = count.cumsum(0)
        walk = torch.arange(len(at)).repeat_interleave(count)
        edge = torch.arange(len(walk)) + (first - ends + count)[walk]
        x, t = take(walker.target, edge), before[walk]
        near = walker.edges.contains(t, x)
        alpha = torch.where(near, self.near, self.far).double()
        alpha = torch.where(x == t, self.back + self.extra, alpha)
        if walker.weight is not None:
            alpha *= walker.weight[edge]
        return edge[_draw(alpha, walk, ends, random)]

    def _propose(
        self, at, before, edge, random
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Return one proposal per walk: nodes, edges and places of those rejected."""
        walker, extra = self.walker, self.extra
        if self.uses_edges:
            opposite = take(walker.opposite, edge)
            extra = take(self.weight_back, opposite).mul_(extra)
        value = torch.from_numpy(random.random(len(at)))
        if walker.weight is None:
            span = take(walker.span, at)
            total = span & LOW_32
            value.mul_(total.double().add_(extra))
            place = value.long()
            chance = value.sub_(
                place
            )  # the fraction is uniform and independent of the place
            returns = where(place >= total) if self.extra else None
            edge = place.add_(span.bitwise_right_shift_(32)).clamp_(
                max=len(walker.target) - 1
            )
            nodes = take(walker.target, edge)
        else:
            total = take(walker.total, at)
            value.mul_(total + extra)
            returns = where(value >= total) if self.extra else None
            nodes, edge = walker.search(at, value.add_(take(walker.below, at)))
            chance = torch.from_numpy(random.random(len(at)))
        if returns is not None:
            nodes.scatter_(0, returns, take(before, returns))
            if self.uses_edges:
                edge.scatter_(0, returns, take(opposite, returns).long())
        return (
            nodes,
            edge if self.uses_edges else None,
            self._rejected(nodes, before, chance),
        )

    def _rejected(self, nodes, before, chance) -> Int[Tensor, " rejected"]:
        """Return the places of the proposals that are refused, given uniform numbers.

        Either near or far nodes have alpha / bound = 1, so only chances above the other
        value require asking whether the two nodes are neighbours. Boolean masks are
        slow on a processor, lists of places are not.
        """
        refused = []
        if self.back < 1:
            returns = where(nodes == before)
            refused.append(take(returns, where(take(chance, returns) >= self.back)))
        if self.near != self.far:
            asked = where(chance >= min(self.near, self.far))
            x, t = take(nodes, asked), take(before, asked)
            wrong = self.walker.edges.contains(t, x) ^ (self.near == 1)
            refused.append(take(asked, where(wrong & (x != t))))
        return torch.cat(refused) if refused else torch.empty(0, dtype=torch.long)


def _draw(
    weights: Float[Tensor, " items"],
    group: Int[Tensor, " items"],
    ends: Int[Tensor, " groups"],
    random: np.random.Generator,
) -> Int[Tensor, " groups"]:
    """Draw one item of each group by weight; the groups lie one after the other."""
    # Each group has total 1, so that heavy groups do not round light ones away.
    total = torch.zeros(len(ends), dtype=torch.double).index_add_(0, group, weights)
    sums = (weights / total[group]).cumsum(0)
    below = torch.cat([sums.new_zeros(1), sums[ends[:-1] - 1]])
    value = below + torch.from_numpy(random.random(len(ends))) * (
        sums[ends - 1] - below
    )
    first = torch.cat([ends.new_zeros(1), ends[:-1]])
    found = torch.searchsorted(sums, value, right=True)
    return found.clamp(min=first, max=ends - 1)


def _repeat(values: Tensor, times: int) -> Tensor:
    return values if times == 1 else values.repeat_interleave(times)


def take(table: Tensor, places: Tensor) -> Tensor:
    """Return rows of a table; index_select takes a fifth of the time of indexing.

    Args:
        table: (rows,).
        places: (some,) rows.
    """
    return torch.index_select(table, 0, places)


def where(mask: Bool[Tensor, " chunk"]) -> Int[Tensor, " true"]:
    """Return the places where the mask is true; numpy needs a sixth of torch's time.

    Args:
        mask: (chunk,).
    """
    return torch.from_numpy(np.flatnonzero(mask.numpy()))
