"""FastRP against DeepWalk, and what a drawn edge of LINE costs: `python -m benchmarks.fastrp`.

DeepWalk runs with the settings that the FastRP authors' notebook gives it (80 walks of 40 nodes
from every node, window 10, 128 coordinates). That takes minutes to hours, so a stated part of the
walks is trained on and its time multiplied; a small graph shows that time grows in proportion to
the walks. DeepWalk's training is this book's and, where gensim is installed
(requirements-bench.txt), gensim's word2vec on walks of the same kind: with negative sampling, and
with hierarchical softmax, the paper's own training, for which the official code calls gensim. The
claim is judged against the last and needs gensim. (The official code leaves gensim's default of
five negatives on, which would train both ways at once, and walks in plain Python; neither is
charged to DeepWalk here.) One thread.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.util import find_spec

import torch
from torch import Tensor

from benchmarks.ratios import Measured, Ratio, column, in_turn, report
from src.common.graphs.graph import Graph
from src.common.graphs.public_sets import load_graph
from src.network_embedding.random_walks.deepwalk import DeepWalkSettings
from src.network_embedding.random_walks.factorisation.fastrp import FastRPSettings, fastrp
from src.network_embedding.random_walks.line import EdgeDraws, apply_block
from src.network_embedding.random_walks.skip_gram import train_walks
from src.network_embedding.random_walks.walks import uniform_walks

CHAPTER, DIMENSION = "network_embedding/random_walks", 128
PUBLISHED = DeepWalkSettings(dimension=DIMENSION, walks=80, steps=39, window=10)
OFFICIAL = "gensim, hierarchical softmax"


@dataclass(frozen=True)
class Part:
    """A part of DeepWalk's walks: `per_node` from every `every`-th node."""

    per_node: int = 1
    every: int = 1

    @property
    def share(self) -> float:
        """How much of the published number of walks this is."""
        return self.per_node / PUBLISHED.walks / self.every

    def starts(self, graph: Graph) -> Tensor:
        """The walks' first nodes."""
        return torch.arange(0, graph.num_nodes, self.every).repeat(self.per_node)


def random_graph(links: int) -> Graph:
    """About this many links between random pairs; mean degree 20."""
    generator = torch.Generator().manual_seed(links)
    nodes = links // 10
    return Graph.from_edges(torch.randint(nodes, (2, links), generator=generator), nodes)


def our_deepwalk(graph: Graph, part: Part) -> Callable[[], object]:
    """Walks and training, as in `deepwalk`, for a part of the walks."""
    generator = torch.Generator().manual_seed(1)

    def run() -> None:
        walks = uniform_walks(graph, part.starts(graph), PUBLISHED.steps, generator)
        train_walks(walks, graph.num_nodes, PUBLISHED.window, PUBLISHED.training, generator)

    return run


def gensim_deepwalk(graph: Graph, part: Part, *, hierarchical: bool) -> Callable[[], object]:
    """gensim's training on the same kind of walks, one worker."""
    word2vec = import_module("gensim.models").Word2Vec
    generator = torch.Generator().manual_seed(1)
    walks = uniform_walks(graph, part.starts(graph), PUBLISHED.steps, generator)
    sentences = [[str(node) for node in walk] for walk in walks.tolist()]
    kind = {"hs": 1, "negative": 0} if hierarchical else {"hs": 0, "negative": 5}
    fixed = {"vector_size": DIMENSION, "window": PUBLISHED.window, "min_count": 0, "sg": 1}
    return lambda: word2vec(sentences, workers=1, epochs=1, seed=1, **fixed, **kind)


def deepwalks(graph: Graph, part: Part, *, every: bool) -> dict[str, Callable[[], object]]:
    """The trainings that are there, by name; without `every` not gensim's negative sampling."""
    found = {"this book's": our_deepwalk(graph, part)}
    if find_spec("gensim"):
        found[OFFICIAL] = gensim_deepwalk(graph, part, hierarchical=True)
    if find_spec("gensim") and every:
        found["gensim, negative sampling"] = gensim_deepwalk(graph, part, hierarchical=False)
    return found


def our_fastrp(graph: Graph) -> Callable[[], object]:
    settings = FastRPSettings(DIMENSION)
    return lambda: fastrp(graph, settings, torch.Generator().manual_seed(2))


def against_deepwalk(name: str, graph: Graph, part: Part, *, judge: bool) -> Iterator[Measured]:
    """Ratios of DeepWalk's whole time, extrapolated, to FastRP's."""
    rivals = deepwalks(graph, part, every=judge)
    rows = in_turn([our_fastrp(graph), *rivals.values()], repeats=5)
    fast = sum(row[0] for row in rows) / len(rows)
    size = f"{graph.num_nodes:,} nodes, {graph.num_edges // 2:,} links"
    setting = f"{name}: {size}; FastRP {fast:.2g} s"
    for place, rival in enumerate(rivals, start=1):
        whole = [(a / part.share, b) for a, b in column(rows, place, 0)]
        seconds = sum(a for a, _ in whole) / len(whole)
        detail = f"DeepWalk {seconds:,.0f} s from 1/{1 / part.share:.0f} of its walks; threads: 1"
        version = f" {metadata.version('gensim')}" if "gensim" in rival else ""
        yield (
            "C1a" if judge and rival == OFFICIAL else None,
            "FastRP, 128 coordinates",
            Ratio(f"DeepWalk, {rival}{version} / FastRP", whole, f"{setting}; {detail}"),
        )


def growth(smaller: int, larger: int) -> Iterator[Measured]:
    """How FastRP's time grows with the number of links."""
    graphs = [random_graph(links) for links in (larger, smaller)]
    rows = in_turn([our_fastrp(graph) for graph in graphs], repeats=5)
    what = f"FastRP, {larger:,} / {smaller:,} links"
    yield None, "the smaller graph", Ratio(what, column(rows, 0, 1), "random graphs; threads: 1")


def proportional_to_walks(graph: Graph) -> Iterator[Measured]:
    """The time of 16 walks a node over 4 times that of 4: near 1 if a part may be scaled up."""
    few, many = (deepwalks(graph, Part(walks), every=False) for walks in (4, 16))
    for rival, run in few.items():
        rows = in_turn([many[rival], run], repeats=3)
        scaled = [(a, 4 * b) for a, b in column(rows, 0, 1)]
        what = f"DeepWalk, {rival}: 16 walks a node / 4 times 4"
        setting = f"{graph.num_nodes:,} nodes; threads: 1"
        yield None, "4 walks a node", Ratio(what, scaled, setting)


def drawn_edges(graph: Graph, blocks: int, *, update: bool) -> Callable[[], object]:
    """Draw blocks of 256 edges with 5 negatives each, and take LINE's steps on them."""
    draws, generator = EdgeDraws.of(graph), torch.Generator().manual_seed(3)
    vectors = torch.rand(graph.num_nodes, DIMENSION, generator=generator) - 0.5
    vectors, contexts = vectors / DIMENSION, torch.zeros(graph.num_nodes, DIMENSION)
    source = graph.edge_index[0]

    def run() -> None:
        for _ in range(blocks):
            edge, ends = draws.block(256, 5, generator)
            if update:
                apply_block(vectors, contexts, source[edge], ends, 0.025)

    return run


def cost_of_an_edge() -> Iterator[Measured]:
    """LINE's seconds a drawn edge, 1,000,000 over 10,000 links; and of the draw alone."""
    graphs = [random_graph(links) for links in (1_000_000, 10_000)]
    for update in (True, False):
        rows = in_turn([drawn_edges(graph, 100, update=update) for graph in graphs])
        what = "LINE, a drawn edge and its step" if update else "LINE, the draw alone"
        seconds = sum(row[1] for row in rows) / len(rows) / 100 / 256
        setting = (
            f"{what}: random graphs of mean degree 20, {DIMENSION} coordinates, 5 negatives, "
            f"{1e6 * seconds:.2g} microseconds on the smaller; threads: 1"
        )
        ratio = Ratio(f"{what}, 1,000,000 / 10,000 links", column(rows, 0, 1), setting)
        yield "C3" if update else None, "10,000 links", ratio


def fastrp_measurements() -> Iterator[Measured]:
    yield from proportional_to_walks(random_graph(10_000))
    for links, part in {10_000: Part(2), 100_000: Part(1, 4), 1_000_000: Part(1, 20)}.items():
        yield from against_deepwalk("random graph", random_graph(links), part, judge=False)
    yield from growth(10_000, 100_000)
    yield from growth(100_000, 1_000_000)
    yield from against_deepwalk("BlogCatalog", load_graph("blogcatalog"), Part(2), judge=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    about = "FastRP against DeepWalk, and LINE's drawn edges."
    report(CHAPTER, "line", about, cost_of_an_edge())
    report(CHAPTER, "fastrp", about, fastrp_measurements())
