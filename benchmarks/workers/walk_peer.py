"""One public walk generator behind a pipe: a worker of `benchmarks.random_walks`, not for hand use.

Runs in the peer's own environment and imports nothing of this book. It reads one line of JSON (the
peer's mode, a file of arrays, walks, steps, p and q), builds and warms up, answers "ready", and
then makes all walks once for every further line, answering with the number of nodes visited.
"""

import json
import sys

import numpy as np


def pecanpy(job, indptr, indices, starts):
    """PecanPy's compiled loop; its public method would add a copy into lists of strings."""
    from numba import set_num_threads
    from numba_progress import ProgressBar
    from pecanpy import pecanpy as library

    set_num_threads(job["threads"])
    graph = getattr(library, job["mode"])(p=job["p"], q=job["q"], workers=1)
    graph.indptr, graph.indices = indptr.astype(np.uint64), indices.astype(np.uint32)
    graph.data = np.ones(len(indices), dtype=np.float32)
    graph.set_node_ids([str(v) for v in range(len(indptr) - 1)])
    graph._preprocess_transition_probs()
    moves = graph.get_has_nbrs(), graph.get_move_forward()
    first = starts.astype(np.uint32)

    def walk():
        with ProgressBar(total=len(first), disable=True) as progress:
            found = graph._random_walks(len(first), job["steps"], None, first, *moves, progress)
        return found[:, :-1]

    return walk


def csrgraph(job, indptr, indices, starts):
    """csrgraph's compiled loops (those of nodevectors); rows are normalised beforehand."""
    import numba

    numba.config.NUMBA_DEFAULT_NUM_THREADS = job["threads"]  # it sets its own number from this
    import csrgraph as library
    from csrgraph import random_walks as loops
    from scipy.sparse import csr_matrix

    shape = (len(indptr) - 1,) * 2
    matrix = csr_matrix((np.ones(len(indices), dtype=np.float32), indices, indptr), shape=shape)
    graph = library.csrgraph(matrix)
    graph.normalize(return_self=True)
    known = (graph.weights, graph.src, graph.dst, starts, job["steps"] + 1)
    if job["p"] == job["q"] == 1:
        return lambda: loops._random_walk(*known)
    # its weights are relative to going outward
    return lambda: loops._node2vec_walks(*known, job["q"] / job["p"], job["q"])


def torch_cluster(job, indptr, indices, starts):
    """torch-cluster's C++ loop, what torch-geometric's Node2Vec calls."""
    import torch
    from torch_cluster import random_walk

    torch.set_num_threads(job["threads"])
    rows = torch.repeat_interleave(torch.from_numpy(np.diff(indptr)))
    known = (rows, torch.from_numpy(indices), torch.from_numpy(starts), job["steps"])
    nodes = len(indptr) - 1
    return lambda: random_walk(*known, job["p"], job["q"], coalesced=False, num_nodes=nodes)


PEERS = {"pecanpy": pecanpy, "csrgraph": csrgraph, "torch_cluster": torch_cluster}


def main():
    job = json.loads(sys.stdin.readline())
    arrays = np.load(job["file"], allow_pickle=False)
    given = [arrays[name].astype(np.int64) for name in ("indptr", "indices", "starts")]
    answers, sys.stdout = sys.stdout, sys.stderr
    walk = PEERS[job["peer"]](job, *given)
    shape = tuple(walk().shape)
    if shape != (len(given[2]), job["steps"] + 1):
        raise SystemExit(f"{job['peer']} made {shape} nodes, not {len(given[2])} walks")
    print("ready", file=answers, flush=True)
    for _ in sys.stdin:
        print(walk().size if job["peer"] != "torch_cluster" else walk().numel(), file=answers)
        answers.flush()


if __name__ == "__main__":
    main()
