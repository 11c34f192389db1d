"""Graphs from elsewhere, and back: lists of edges, torch-geometric's `Data`.

What a `Graph` cannot hold is refused by name, never dropped in silence.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from src.common.graphs.graph import MASKS, Graph

if TYPE_CHECKING:
    from torch_geometric.data import Data

_KEPT = ("edge_index", "edge_weight", "x", "y", "num_nodes", "names", *MASKS)


def from_data(data: "Data", *, directed: bool | None = None) -> Graph:
    """Return the graph of a torch-geometric `Data` object.

    Args:
        data: one graph. Its edge_weight, x, y, names (a list) and its masks
            (train_mask, val_mask, test_mask) are kept.
        directed: whether directions count. None takes a graph whose edges stand in both
            directions for undirected, and refuses another one.

    Raises:
        ValueError: for edges in one direction (unless `directed` says what they mean),
            loops, repeated edges, and attributes that a `Graph` cannot hold.

    Examples:
        >>> from torch_geometric.data import Data
        >>> pair = Data(edge_index=torch.tensor([[0, 1], [1, 0]]), num_nodes=2)
        >>> from_data(pair).degree
        tensor([1., 1.])
    """
    if unknown := sorted(set(data.keys()) - {*_KEPT, *(f"{m}_mask" for m in MASKS)}):
        raise ValueError(
            f"a Graph has no place for {', '.join(unknown)}: delete them from the Data "
            "(weights belong in edge_weight, one number per edge)"
        )
    edges, nodes = data.edge_index, data.num_nodes
    if not isinstance(edges, Tensor) or edges.dim() != 2 or len(edges) != 2:
        raise ValueError("the Data has no tensor edge_index (2, edges)")
    if bool((edges[0] == edges[1]).any()):
        raise ValueError("a Graph has no loops: remove them, as by RemoveSelfLoops()")
    keys = edges[0] * nodes + edges[1]
    if len(keys.unique()) < len(keys):
        raise ValueError("the same edge stands there twice: call data.coalesce()")
    whole = Graph.from_edges(edges, nodes, data.get("edge_weight"), directed=True)
    if directed is None and not whole.is_undirected:
        raise ValueError(
            "the edges stand in one direction: say directed=True to keep it, or "
            "directed=False to add the opposite ones"
        )
    parts = {name: data.get(name) for name in ("x", "y", "names")}
    parts |= {name: data.get(f"{name}_mask") for name in MASKS}
    graph = whole if directed is not False else whole.both_ways()
    return graph.with_parts(**parts)


def to_data(graph: Graph) -> "Data":
    """Return a torch-geometric `Data` object with all that the graph holds.

    Args:
        graph: its masks become train_mask, val_mask and test_mask.
    """
    from torch_geometric.data import Data

    parts = {name: getattr(graph, name) for name in ("edge_weight", "x", "y")}
    parts |= {f"{name}_mask": getattr(graph, name) for name in MASKS}
    if graph.names is not None:
        parts["names"] = list(graph.names)
    given = {name: part for name, part in parts.items() if part is not None}
    return Data(edge_index=graph.edge_index, num_nodes=graph.num_nodes, **given)


def read_edge_list(
    file: Path,
    labels_file: Path | None = None,
    header: int = 0,
    *,
    edge_header: int = 0,
    directed: bool = False,
) -> Graph:
    """Return the graph of a list of edges; nodes are in the order of their names.

    Args:
        file: lines of two node names, divided by spaces, tabs, commas or semicolons;
            a third column holds weights. Lines that start with # or % are left out.
            If all names are whole numbers they are sorted as numbers.
        labels_file: lines of a node's name and its class, for all nodes with edges.
        header: lines to skip in the labels.
        edge_header: lines to skip in the list of edges.
        directed: whether a line is an edge from its first node to its second only.

    Returns:
        The graph; `names` are the nodes' names, whole numbers or texts.

    Raises:
        ValueError: for a line of another form, a list without edges, a node with two
            classes, or one with links and without a class.
    """
    rows = list(_rows(file, edge_header, (2, 3)))
    if not rows:
        raise ValueError(f"{file.name} has no edges")
    if len({len(words) for _, words in rows}) > 1:
        raise ValueError(f"{file.name} has weights on some lines and none on others")
    classes = None if labels_file is None else _classes(labels_file, header)
    found = {word for _, words in rows for word in words[:2]}
    if classes is not None and found - classes.keys():
        raise ValueError(
            f"{labels_file.name} lacks the classes of nodes in {file.name}, such as "
            f"{min(found - classes.keys())}"
        )
    names = _sorted(found if classes is None else classes)
    number = {str(name): place for place, name in enumerate(names)}
    edges = torch.tensor([[number[w] for w in words[:2]] for _, words in rows]).T
    weights = None
    if len(rows[0][1]) == 3:
        weights = torch.tensor([_weight(file, *row) for row in rows])
    y = None
    if classes is not None:
        kinds = {kind: i for i, kind in enumerate(map(str, _sorted(classes.values())))}
        y = torch.tensor([kinds[classes[str(name)]] for name in names])
    graph = Graph.from_edges(edges, len(names), weights, directed=directed, y=y)
    return graph.with_parts(names=tuple(names))


def _rows(
    file: Path, header: int, columns: tuple[int, ...]
) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the words of each line that is no comment."""
    text = file.read_text(encoding="utf-8-sig")  # a byte order mark is no name
    for number, line in enumerate(text.splitlines(), 1):
        words = re.split(r"[\s,;]+", line.strip(" \t,;"))
        if number <= header or not line.strip() or line.lstrip()[0] in "#%":
            continue
        if len(words) not in columns:
            wanted = " or ".join(map(str, columns))
            raise ValueError(
                f"{file.name}, line {number}: {len(words)} columns instead of {wanted}"
                ": " + line[:60]
            )
        yield number, [_plain(word) for word in words[:2]] + words[2:]


def _plain(word: str) -> str:
    """Return a name as it is compared: 007 and 7 are the same whole number."""
    return str(int(word)) if re.fullmatch(r"[+-]?\d+", word) else word


def _sorted(names: Iterable[str]) -> list[int] | list[str]:
    unique = set(names)
    if all(re.fullmatch(r"-?\d+", name) for name in unique):
        return sorted(map(int, unique))
    return sorted(unique)


def _classes(file: Path, header: int) -> dict[str, str]:
    """Return each node's class."""
    found: dict[str, str] = {}
    for number, (name, kind) in _rows(file, header, (2,)):
        if found.setdefault(name, kind) != kind:
            raise ValueError(
                f"{file.name}, line {number}: node {name} has the class {found[name]} "
                f"already, and now {kind}"
            )
    return found


def _weight(file: Path, number: int, words: list[str]) -> float:
    try:
        return float(words[2])
    except ValueError:
        raise ValueError(
            f"{file.name}, line {number}: the weight {words[2]!r} is no number (a "
            "header is skipped with edge_header=1)"
        ) from None
