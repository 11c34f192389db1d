"""Walks a second, beside public walk generators: `python -m benchmarks.random_walks`.

Peers are measured where BOOK_PEERS names a folder with their environments, one each:

    python -m venv $BOOK_PEERS/pecanpy && $BOOK_PEERS/pecanpy/bin/pip install pecanpy==2.0.9
    python -m venv $BOOK_PEERS/csrgraph && $BOOK_PEERS/csrgraph/bin/pip install csrgraph==0.1.28
    python -m venv $BOOK_PEERS/torch_cluster
    $BOOK_PEERS/torch_cluster/bin/pip install torch==2.13.0 setuptools wheel
    $BOOK_PEERS/torch_cluster/bin/pip install --no-build-isolation torch-cluster==1.6.3

(The last is compiled from source.) They cannot share one: PecanPy and csrgraph pin numba and what
follows from it. Each runs as a worker, `benchmarks/workers/walk_peer.py`, which has read the graph
and compiled before the clock starts; PecanPy has built its PreComp tables, which it is not charged
for. Ours has built its tables as well. One thread, the same graph, walks in turn.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch

from benchmarks.ratios import Measured, Ratio, column, in_turn, report
from src.common.graphs.graph import Graph
from src.common.graphs.public_sets import load_graph
from src.network_embedding.random_walks.walks import Walker

CHAPTER, STEPS, P, Q = "network_embedding/random_walks", 80, 0.5, 2.0
GROWTH = (10_000, 100_000, 1_000_000)
SECOND = {  # name: (environment, mode)
    "torch-cluster": ("torch_cluster", ""),
    "PecanPy SparseOTF": ("pecanpy", "SparseOTF"),
    "PecanPy PreComp": ("pecanpy", "PreComp"),
    "csrgraph": ("csrgraph", ""),
}
FIRST = {
    "torch-cluster": ("torch_cluster", ""),
    "PecanPy FirstOrderUnweighted": ("pecanpy", "FirstOrderUnweighted"),
    "csrgraph": ("csrgraph", ""),
}
# PreComp's tables hold the sum of squared degrees, and csrgraph compares all pairs of two nodes'
# neighbours at every second-order step: hubs make the first too large and the second too slow.
MOST_SQUARED_DEGREES = {"PecanPy PreComp": 2e8, "csrgraph": 1e8}


def random_graph(edges: int) -> Graph:
    """G(n, m) of mean degree 10: this many random edges among a fifth as many nodes."""
    generator = torch.Generator().manual_seed(edges)
    nodes = edges // 5
    return Graph.from_edges(torch.randint(nodes, (2, edges), generator=generator), nodes)


class Worker:
    """A peer's process, with its graph read and its code compiled."""

    def __init__(self, environment: str, job: dict[str, object]):
        """Start it; raises RuntimeError if it does not get ready."""
        python = Path(os.environ["BOOK_PEERS"]) / environment / "bin" / "python"
        threads = {name: "1" for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")}
        self.process = subprocess.Popen(
            [python, Path(__file__).parent / "workers/walk_peer.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **threads},
        )
        if self._ask(json.dumps(job | {"peer": environment})) != "ready":
            self.close()
            raise RuntimeError(f"the worker of {environment} ended before it was ready")

    def __call__(self) -> int:
        """Make all walks once."""
        return int(self._ask("go"))

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()

    def _ask(self, line: str) -> str:
        print(line, file=self.process.stdin, flush=True)
        return self.process.stdout.readline().strip()


def peers_of(
    stack: ExitStack, peers: dict[str, tuple[str, str]], graph: Graph, starts: torch.Tensor, p, q
) -> dict[str, Callable[[], object]]:
    """Start the peers that are installed; says which are not."""
    home = os.environ.get("BOOK_PEERS")
    file = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "graph.npz"
    np.savez(file, indptr=graph.indptr, indices=graph.edge_index[1], starts=starts)
    squares = float((graph.degree.double() ** 2).sum())
    found: dict[str, Callable[[], object]] = {}
    for name, (environment, mode) in peers.items():
        if home is None or not (Path(home) / environment).exists():
            print(f"{name} is not installed (see this file's head): not compared")
            continue
        if (p, q) != (1.0, 1.0) and squares > MOST_SQUARED_DEGREES.get(name, squares):
            print(f"{name}: too large or too slow for this graph's hubs: not compared")
            continue
        job = {"file": str(file), "mode": mode, "steps": STEPS, "p": p, "q": q, "threads": 1}
        try:
            worker = Worker(environment, job)
        except RuntimeError as error:
            print(f"{name}: {error}: not compared")
            continue
        stack.callback(worker.close)
        found[name] = worker
    return found


def against_peers(what: str, graph: Graph, starts: torch.Tensor) -> Iterator[Measured]:
    """Compare both orders on one graph; the claim is about the second and the fastest peer."""
    walker, generator = Walker(graph), torch.Generator().manual_seed(0)
    ours = {
        "first": lambda: walker.first_order(starts, STEPS, generator),
        "second": lambda: walker.second_order(starts, STEPS, P, Q, generator),
    }
    setting = f"{what}, {len(starts)} walks of {STEPS} steps, one thread"
    for order, peers, p, q in (("first", FIRST, 1.0, 1.0), ("second", SECOND, P, Q)):
        with ExitStack() as stack:
            found = peers_of(stack, peers, graph, starts, p, q)
            rows = in_turn([ours[order], *found.values()], repeats=5)
        seconds = np.mean(rows, axis=0)
        for name, took in zip(["ours", *found], seconds, strict=True):
            print(f"  {order} order, {name}: {1e9 * took / STEPS / len(starts):.1f} ns a step")
        fastest = int(np.argmin(seconds[1:])) + 1 if found else 0
        for place, name in enumerate(found, start=1):
            judged = "C4" if order == "second" and place == fastest else None
            ratio = Ratio(
                f"{order} order, steps a second, ours / {name}", column(rows, place, 0), setting
            )
            yield judged, name, ratio


def growth() -> Iterator[Measured]:
    """The cost of a step as the graph grows, with as many walks on each."""
    generator = torch.Generator().manual_seed(1)
    functions, walks = [], 1 << 15
    for edges in GROWTH:
        graph = random_graph(edges)
        walker = Walker(graph)
        starts = torch.randint(graph.num_nodes, (walks,), generator=generator)
        walker.second_order(starts, 2, P, Q, generator)  # builds what is built once
        functions.append(lambda w=walker, s=starts: w.second_order(s, STEPS, P, Q, generator))
    rows = in_turn(functions, repeats=5)
    for edges, took in zip(GROWTH, np.mean(rows, axis=0), strict=True):
        print(f"  second order, {edges} edges: {1e9 * took / STEPS / walks:.1f} ns a step")
    setting = f"G(n, m), mean degree 10, {walks} walks of {STEPS} steps, one thread"
    yield (
        "C3",
        "10,000 edges",
        Ratio("a step, 1,000,000 over 10,000 edges", column(rows, 2, 0), setting),
    )


def measurements() -> Iterator[Measured]:
    torch.set_num_threads(1)
    yield from growth()
    graph = load_graph("blogcatalog")
    yield from against_peers("BlogCatalog", graph, torch.arange(graph.num_nodes))
    graph = random_graph(500_000)
    starts = torch.arange(0, graph.num_nodes, 5)
    yield from against_peers("G(100,000, 500,000)", graph, starts)


if __name__ == "__main__":
    report(CHAPTER, "node2vec", __doc__.splitlines()[0], measurements())
