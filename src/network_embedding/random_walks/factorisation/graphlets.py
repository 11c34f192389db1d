"""Graphlets with two to four nodes, their orbits, and the orbits of pairs of nodes.

A graphlet is a small connected graph; two of its nodes share an orbit if a symmetry of
the graphlet (an automorphism) maps one to the other. A *pair orbit* is the same for
ordered pairs of nodes. All of them are found here by trying every permutation, which is
cheap with four nodes. Numbers of graphlets (0 to 8) and orbits (0 to 14) are those of
Przulj (Bioinformatics 2007).
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise, permutations

from src.common.checks import within

Edges = frozenset[tuple[int, int]]


@dataclass(frozen=True)
class Graphlet:
    """One connected graph on the nodes 0 ... nodes - 1.

    Attributes:
        number: 0 ... 8.
        nodes: 2, 3 or 4.
        edges: pairs (a, b) with a < b.
        orbits: the orbit of each node, numbered through all graphlets.
    """

    number: int
    nodes: int
    edges: Edges
    orbits: tuple[int, ...]


@dataclass(frozen=True)
class PairOrbit:
    """One way in which two nodes are adjacent through a graphlet.

    Attributes:
        graphlet: the graphlet.
        source: node orbit of the first node.
        target: node orbit of the second node.
        hops: steps between them inside the graphlet.
        pair: two nodes of the graphlet that are such a pair.
        paths: paths from the first to the second that visit every node of the graphlet
            once.
    """

    graphlet: Graphlet
    source: int
    target: int
    hops: int
    pair: tuple[int, int]
    paths: int

    @property
    def seen(self) -> bool:
        """Whether a walk on exactly the graphlet's nodes, each once, joins the two."""
        return self.paths > 0

    @property
    def name(self) -> str:
        """The node orbits and the distance, such as "4-5, 2 steps"."""
        return f"{self.source}-{self.target}, {self.hops} step{'s' * (self.hops > 1)}"


@lru_cache(maxsize=1)
def graphlets() -> tuple[Graphlet, ...]:
    """Return the nine connected graphs with two to four nodes, in their usual order.

    Graphlets are ordered by nodes, then edges, then largest degree; orbits within one
    by degree.

    Examples:
        >>> len(graphlets())
        9
        >>> path = graphlets()[1]  # with three nodes
        >>> sorted(path.edges), path.orbits
        ([(0, 1), (0, 2)], (2, 1, 1))
    """
    shapes = {
        _canonical(nodes, frozenset(edges))
        for nodes in (2, 3, 4)
        for size in range(nodes - 1, nodes * (nodes - 1) // 2 + 1)
        for edges in combinations(list(combinations(range(nodes), 2)), size)
        if connected(nodes, frozenset(edges))
    }
    found, first = [], 0
    for number, (nodes, edges) in enumerate(sorted(shapes, key=_usual_order)):
        classes = node_orbits(nodes, frozenset(edges))
        orbits = tuple(first + c for c in classes)
        found.append(Graphlet(number, nodes, frozenset(edges), orbits))
        first += max(classes) + 1
    return tuple(found)


@lru_cache(maxsize=1)
def pair_orbits() -> tuple[PairOrbit, ...]:
    """Return the orbits of ordered pairs of nodes, graphlet by graphlet.

    Within a graphlet they are sorted by distance, then by the two node orbits.

    Examples:
        >>> len(pair_orbits())
        28
        >>> [orbit.name for orbit in pair_orbits()[:3]]
        ['0-0, 1 step', '1-2, 1 step', '2-1, 1 step']
    """
    found = []
    for graphlet in graphlets():
        symmetries = automorphisms(graphlet.nodes, graphlet.edges)
        pairs = permutations(range(graphlet.nodes), 2)
        firsts = {min((s[a], s[b]) for s in symmetries) for a, b in pairs}
        found += sorted((_describe(graphlet, pair) for pair in firsts), key=_pair_order)
    return tuple(found)


def unordered_pair_orbits() -> int:
    """Return how many orbits remain if the two nodes of a pair may be exchanged."""
    return len(
        {
            (o.graphlet.number, o.hops, *sorted((o.source, o.target)))
            for o in pair_orbits()
        }
    )


def automorphisms(nodes: int, edges: Edges) -> list[tuple[int, ...]]:
    """Return the permutations of the nodes that map the edges onto themselves.

    Args:
        nodes: how many; all their permutations are tried.
        edges: pairs (a, b) with a < b.

    Returns:
        For each permutation, the images of the nodes 0, 1, ...

    Examples:
        >>> automorphisms(3, frozenset({(0, 1), (1, 2)}))
        [(0, 1, 2), (2, 1, 0)]
    """
    return [p for p in permutations(range(nodes)) if _mapped(p, edges) == edges]


def node_orbits(nodes: int, edges: Edges) -> tuple[int, ...]:
    """Return each node's class under the symmetries; classes are numbered by degree.

    Args:
        nodes: how many; all their permutations are tried.
        edges: pairs (a, b) with a < b.
    """
    symmetries = automorphisms(nodes, edges)
    first = [min(s[node] for s in symmetries) for node in range(nodes)]
    degree = [sum(node in edge for edge in edges) for node in range(nodes)]
    ranks = sorted({(degree[node], first[node]) for node in range(nodes)})
    return tuple(ranks.index((degree[node], first[node])) for node in range(nodes))


def connected(nodes: int, edges: Edges) -> bool:
    """Return whether the graph is connected.

    Args:
        nodes: how many, at least 1.
        edges: pairs of nodes.

    Raises:
        ValueError: for fewer than one node.
    """
    within("nodes", nodes, 1)
    reached, waiting = {0}, [0]
    while waiting:
        node = waiting.pop()
        new = {b for e in edges if node in e for b in e} - reached
        reached |= new
        waiting += new
    return len(reached) == nodes


def spanning_paths(nodes: int, edges: Edges, start: int, end: int) -> int:
    """Return the number of paths from start to end that visit every node exactly once.

    Args:
        nodes: how many; all orders of the inner ones are tried.
        edges: pairs (a, b) with a < b.
        start: first node.
        end: last node, different from `start`.

    Raises:
        ValueError: if start and end are the same, or no nodes.
    """
    if start == end or not {start, end} <= set(range(nodes)):
        raise ValueError(f"need two of the nodes 0 ... {nodes - 1}: {start}, {end}")
    inner = [node for node in range(nodes) if node not in (start, end)]
    orders = ((start, *middle, end) for middle in permutations(inner))
    return sum(all(_edge(a, b) in edges for a, b in pairwise(o)) for o in orders)


def distance(edges: Edges, start: int, end: int) -> int:
    """Return the number of steps from start to end in a connected graph.

    Args:
        edges: pairs of nodes.
        start: first node.
        end: last node.

    Raises:
        ValueError: if no path leads from start to end.
    """
    reached, steps = {start}, 0
    while end not in reached:
        before = len(reached)
        reached |= {b for e in edges if reached & set(e) for b in e}
        if len(reached) == before:
            raise ValueError(f"no path leads from {start} to {end}")
        steps += 1
    return steps


def _describe(graphlet: Graphlet, pair: tuple[int, int]) -> PairOrbit:
    """Return the pair orbit of this pair of nodes."""
    a, b = pair
    hops = distance(graphlet.edges, a, b)
    paths = spanning_paths(graphlet.nodes, graphlet.edges, a, b)
    return PairOrbit(
        graphlet, graphlet.orbits[a], graphlet.orbits[b], hops, pair, paths
    )


def _pair_order(orbit: PairOrbit) -> tuple[int, int, int]:
    return orbit.hops, orbit.source, orbit.target


def _edge(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a < b else (b, a)


def _mapped(permutation: tuple[int, ...], edges: Edges) -> Edges:
    return frozenset(_edge(permutation[a], permutation[b]) for a, b in edges)


def _canonical(nodes: int, edges: Edges) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Return the same (nodes, edges) for all graphs that differ in node names only."""
    renamed = (_mapped(p, edges) for p in permutations(range(nodes)))
    return nodes, min(tuple(sorted(edges)) for edges in renamed)


def _usual_order(
    shape: tuple[int, tuple[tuple[int, int], ...]],
) -> tuple[int, int, int]:
    nodes, edges = shape
    degrees = [sum(node in edge for edge in edges) for node in range(nodes)]
    return nodes, len(edges), max(degrees)
