"""Where a chapter measures each claim: the anchors that the scoreboard's links lead to."""

import ast
import re
from collections.abc import Iterable, Sequence

# A claim of a paper: (paper's id, claim's name).
Key = tuple[str, str]
# How a cell tells of a claim, the best first.
_MEASURES, _MEASURES_BY_A_FUNCTION, _SHOWS, _NOTHING = range(4)


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
    helpers = {name: paper for cell in cells for name, paper in cell.helpers.items()}
    found = {}
    for paper, claim in claims:
        told = [cell.tells(paper, claim, helpers) for cell in cells]
        if (best := min(told, default=_NOTHING)) != _NOTHING:
            found[paper, claim] = told.index(best)
    return found


class _Cell:
    """What one cell calls, and the texts that stand in it.

    Attributes:
        measured: the arguments of each `....measure(paper, claim, ...)`.
        verdicts: the arguments of each `....verdicts(...)`.
        helpers: for each function of the cell that measures, the paper for which it does.
        called: the names of the plain functions that it calls.
    """

    def __init__(self, source: str) -> None:
        try:
            tree = ast.parse(source)
        except SyntaxError:  # a cell with a magic command measures nothing
            tree = ast.Module([], [])
        nodes = list(ast.walk(tree))
        self.measured, self.verdicts = _measured(tree), _arguments(tree, "verdicts")
        functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
        self.helpers = {f.name: found[0][0] for f in functions if (found := _measured(f))}
        calls = [node.func for node in nodes if isinstance(node, ast.Call)]
        self.called = {func.id for func in calls if isinstance(func, ast.Name)}
        self.texts = {node.value for node in nodes if isinstance(node, ast.Constant)}

    def tells(self, paper: str, claim: str, helpers: dict[str, ast.expr]) -> int:
        """Return whether the cell measures the claim, hands its name on, or shows its verdict."""
        for of_paper, of_claim, *_ in self.measured:
            if _names(of_paper, paper, {paper}) and _names(of_claim, claim, self.texts):
                return _MEASURES
        used = [helpers[name] for name in self.called & helpers.keys()]
        if claim in self.texts and any(_names(of_paper, paper, {paper}) for of_paper in used):
            return _MEASURES_BY_A_FUNCTION
        shown = any(not args or _names(args[0], paper, {paper}) for args in self.verdicts)
        return _SHOWS if shown else _NOTHING


def _measured(tree: ast.AST) -> list[list[ast.expr]]:
    return [args for args in _arguments(tree, "measure") if len(args) > 1]


def _arguments(tree: ast.AST, method: str) -> list[list[ast.expr]]:
    """Return the positional arguments of each call of a method."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [call.args for call in calls if getattr(call.func, "attr", None) == method]


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
