"""A chapter's parameters: what it declares, and whether what it is given fits.

papermill only warns about an unknown parameter and checks no type, so both are checked here, before
a kernel starts.
"""

import ast
import contextlib
from typing import TYPE_CHECKING

from src.book.storage.errors import BookError, choose

if TYPE_CHECKING:
    from nbformat import NotebookNode

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def schema(chapter: str, notebook: "NotebookNode") -> dict[str, object]:
    """Return the parameters that a chapter declares, by name, with their defaults.

    Raises:
        BookError: if there is no cell tagged `parameters`, or it holds anything but literals
            (`warm = steps // 10` would silently keep its old value when `steps` is set).
    """
    cells = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    if len(cells) != 1:
        raise BookError(
            f"{chapter}: {len(cells)} cells are tagged parameters; it needs exactly one, "
            'with profile = "quick" and seed = 0'
        )
    found: dict[str, object] = {}
    for statement in _statements(chapter, cells[0].source):
        try:
            name, value = _assignment(statement)
            found[name] = ast.literal_eval(value)
        except ValueError:
            raise BookError(
                f"{chapter}: the parameters cell may hold only lines `name = literal`, "
                f"not `{ast.unparse(statement)}`"
            ) from None
    for name, kind in (("profile", str), ("seed", int)):
        if type(found.get(name)) is not kind:
            raise BookError(f"{chapter}: the parameters cell must set {name} to {_WORDS[kind]}")
    return found


def profiles(chapter: str, notebook: "NotebookNode") -> list[str]:
    """Return the profiles of a chapter: the keys of its literal dictionary `SIZES`.

    Raises:
        BookError: if there is no such dictionary.
    """
    for cell in notebook.cells:
        if cell.cell_type != "code" or "SIZES" not in cell.source:
            continue
        for statement in _statements(chapter, cell.source):
            try:
                name, value = _assignment(statement)
                sizes = ast.literal_eval(value) if name == "SIZES" else None
            except ValueError:
                continue
            if isinstance(sizes, dict) and sizes and all(isinstance(k, str) for k in sizes):
                return list(sizes)
    raise BookError(
        f'{chapter}: no literal dictionary SIZES = {{"quick": {{...}}, ...}}: it says which '
        "profiles there are and how large each is"
    )


def validate(chapter: str, notebook: "NotebookNode", given: dict[str, object]) -> dict:
    """Return the given parameters, converted to the declared types.

    Args:
        chapter: for the messages.
        notebook: the chapter.
        given: values by name; texts (from a command line) are converted.

    Raises:
        BookError: for an unknown name, a wrong type, or a profile that the chapter does not have,
            naming what is valid.
    """
    declared = schema(chapter, notebook)
    checked = {}
    for name, value in given.items():
        choose(f"parameter of {chapter}", name, list(declared))
        checked[name] = _converted(chapter, name, value, type(declared[name]))
    choose(f"profile of {chapter}", checked.get("profile", declared["profile"]),
           profiles(chapter, notebook))  # fmt: skip
    return checked


def _converted(chapter: str, name: str, value: object, kind: type) -> object:
    if isinstance(value, str) and kind is not str:
        with contextlib.suppress(ValueError, SyntaxError):
            value = _from_text(value, kind)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        wanted = _WORDS.get(kind, f"a literal of type {kind.__name__}")
        raise BookError(f"{chapter}: parameter {name} must be {wanted}, not {value!r}")
    return value


def _from_text(text: str, kind: type) -> object:
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    return kind(text) if kind in (int, float) else ast.literal_eval(text)


def _statements(chapter: str, source: str) -> list[ast.stmt]:
    try:
        return ast.parse(source).body
    except SyntaxError as error:
        raise BookError(f"{chapter}: syntax error in {error.text!r}: {error.msg}") from None


def _assignment(statement: ast.stmt) -> tuple[str, ast.expr]:
    """Return name and value of `name = value`; ValueError for any other statement."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value = statement.targets[0], statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        target, value = statement.target, statement.value
    else:
        raise ValueError("not an assignment")
    if not isinstance(target, ast.Name):
        raise ValueError("not a plain name")
    return target.id, value
