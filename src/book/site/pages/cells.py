"""Where a chapter measures each claim: the anchors that the scoreboard's links lead to."""

import ast
import re
from collections.abc import Iterable, Sequence

# A claim of a paper: (paper's id, claim's name).
Key = tuple[str, str]


def anchor_of_cell(paper: str, claim: str) -> str:
    """Return the id of the cell that measures a claim, on the chapter's page."""
    return f"measured-{paper}-{claim}"


def cells_of(sources: Sequence[str], claims: Iterable[Key]) -> dict[Key, int]:
    """Return for each claim the index of its cell, as far as the cells tell.

    Args:
        sources: the code of a page's cells, in order.
        claims: (paper, claim) of the page's chapter.

    A claim's cell is the first that hands its samples in: by `run.measure(paper, claim, ...)`, or
    by a function that a cell defines around it; a name that is a variable stands for the texts of
    its cell. A claim that no cell measures has the cell that shows its verdict.
    """
    cells = [_Cell(source) for source in sources]
    helpers = {name: args for cell in cells for name, args in cell.helpers.items()}
    found = {}
    for paper, claim in claims:
        for tells in (
            lambda cell: cell.measures(paper, claim),  # noqa: B023
            lambda cell: cell.measures_by(helpers, paper, claim),  # noqa: B023
            lambda cell: cell.shows(paper),  # noqa: B023
        ):
            number = next((k for k, cell in enumerate(cells) if tells(cell)), None)
            if number is not None:
                found[paper, claim] = number
                break
    return found


class _Cell:
    """What one cell calls, and the texts that stand in it.

    Attributes:
        measured: the arguments of each `....measure(paper, claim, ...)`.
        verdicts: the arguments of each `....verdicts(...)`.
        helpers: for each function of the cell that measures, the arguments with which it does.
        called: the names of the plain functions that it calls.
    """

    def __init__(self, source: str) -> None:
        try:
            tree = ast.parse(source)
        except SyntaxError:  # a cell with a magic command measures nothing
            tree = ast.Module([], [])
        nodes = list(ast.walk(tree))
        self.measured = _arguments(tree, "measure")
        self.verdicts = _arguments(tree, "verdicts")
        self.helpers = {
            node.name: args[0]
            for node in nodes
            if isinstance(node, ast.FunctionDef) and (args := _arguments(node, "measure"))
        }
        calls = [node.func for node in nodes if isinstance(node, ast.Call)]
        self.called = {func.id for func in calls if isinstance(func, ast.Name)}
        self.texts = {node.value for node in nodes if isinstance(node, ast.Constant)}

    def measures(self, paper: str, claim: str) -> bool:
        """Return whether the cell measures the claim itself."""
        return any(
            _names(args[0], paper, {paper}) and _names(args[1], claim, self.texts)
            for args in self.measured
        )

    def measures_by(self, helpers: dict[str, list[ast.expr]], paper: str, claim: str) -> bool:
        """Return whether the cell hands the claim's name to a function that measures."""
        return claim in self.texts and any(
            _names(helpers[name][0], paper, {paper}) for name in self.called & helpers.keys()
        )

    def shows(self, paper: str) -> bool:
        """Return whether the cell shows the verdicts of the paper, or of all papers."""
        return any(not args or _names(args[0], paper, {paper}) for args in self.verdicts)


def _arguments(tree: ast.AST, method: str) -> list[list[ast.expr]]:
    """Return the positional arguments of each call of a method."""
    return [
        node.args
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == method
        and (method != "measure" or len(node.args) > 1)
    ]


def _names(node: ast.expr, name: str, texts: set[str]) -> bool:
    """Return whether an argument is the name, or could be: a variable that holds one of `texts`."""
    if isinstance(node, ast.Constant):
        return node.value == name
    if isinstance(node, ast.JoinedStr):
        parts = (
            re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+"
            for part in node.values
        )
        return re.fullmatch("".join(parts), name) is not None
    return name in texts
