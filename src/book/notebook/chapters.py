"""Chapters: which there are, and what each declares, as a value that is made once and passed on.

papermill only warns about an unknown parameter and checks no type, so both are checked here, before
a kernel starts.
"""

import ast
import contextlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from src.book.notebook import notebooks
from src.book.storage import dependencies, paths
from src.book.storage.errors import BookError, choose
from src.book.storage.files import read_text

if TYPE_CHECKING:
    from nbformat import NotebookNode

MISNAMED = "is no chapter and is not run; rename it in lower-case words joined by underscores"
_NAME = re.compile(r"[a-z0-9_]+/[a-z0-9_]+")
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


@dataclass(frozen=True)
class Chapter:
    """One chapter: its files, and what its source declares, read when it is first asked for."""

    name: str  # such as "foundations/transformer"

    @property
    def source(self) -> Path:
        """The `.py` that it is written in."""
        return paths.chapters_dir() / f"{self.name}.py"

    @property
    def pair(self) -> Path:
        """The committed notebook beside the source; it may not exist yet."""
        return self.source.with_suffix(".ipynb")

    @property
    def papers(self) -> list[Path]:
        """The catalogue entries of its papers."""
        return dependencies.papers_of(self.name)

    @cached_property
    def notebook(self) -> "NotebookNode":
        """Its cells without outputs, ids derived from them; BookError if they cannot be read."""
        return notebooks.read_source(read_text(self.source))

    @cached_property
    def schema(self) -> dict[str, object]:
        """The parameters that it declares, by name, with their defaults.

        Raises:
            BookError: if there is no cell tagged `parameters`, or it holds anything but literals
                (`warm = steps // 10` would silently keep its old value when `steps` is set).
        """
        cells = [c for c in self.notebook.cells if "parameters" in c.metadata.get("tags", [])]
        if len(cells) != 1:
            raise BookError(
                f"{self.name}: {len(cells)} cells are tagged parameters; it needs exactly one, "
                'with profile = "quick" and seed = 0'
            )
        found: dict[str, object] = {}
        for statement in self._statements(cells[0].source):
            try:
                name, value = _literal(statement)
                found[name] = value
            except ValueError:
                raise BookError(
                    f"{self.name}: the parameters cell may hold only lines `name = literal`, "
                    f"not `{ast.unparse(statement)}`"
                ) from None
        for name, kind in (("profile", str), ("seed", int)):
            if type(found.get(name)) is not kind:
                said = f"{self.name}: the parameters cell must set {name} to {_WORDS[kind]}"
                raise BookError(said)
        return found

    @cached_property
    def profiles(self) -> list[str]:
        """Its profiles: the keys of its literal dictionary `SIZES`; BookError without one."""
        for cell in self.notebook.cells:
            if cell.cell_type != "code" or "SIZES" not in cell.source:
                continue
            for statement in self._statements(cell.source):
                with contextlib.suppress(ValueError):
                    name, sizes = _literal(statement)
                    is_sizes = name == "SIZES" and isinstance(sizes, dict) and sizes
                    if is_sizes and all(type(k) is str for k in sizes):
                        return list(sizes)
        raise BookError(
            f'{self.name}: no literal dictionary SIZES = {{"quick": {{...}}, ...}}: it says which '
            "profiles there are and how large each is"
        )

    def validate(self, given: dict[str, object]) -> dict[str, object]:
        """Return given parameters by name, texts (from a command line) converted to their types.

        Raises:
            BookError: for an unknown name, a wrong type, or a profile that the chapter does not
                have, naming what is valid.
        """
        checked = {}
        for name, value in given.items():
            choose(f"parameter of {self.name}", name, list(self.schema))
            checked[name] = self._converted(name, value, type(self.schema[name]))
        profile = checked.get("profile", self.schema["profile"])
        choose(f"profile of {self.name}", profile, self.profiles)
        return checked

    def _converted(self, name: str, value: object, kind: type) -> object:
        if isinstance(value, str) and kind is not str:
            with contextlib.suppress(ValueError, SyntaxError):
                read = kind if kind in (int, float) else ast.literal_eval
                value = read(value.capitalize() if kind is bool else value)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            wanted = _WORDS.get(kind, f"a literal of type {kind.__name__}")
            raise BookError(f"{self.name}: parameter {name} must be {wanted}, not {value!r}")
        return value

    def _statements(self, source: str) -> list[ast.stmt]:
        try:
            return ast.parse(source).body
        except SyntaxError as error:
            said = f"{self.name}: syntax error in {error.text!r}: {error.msg}"
            raise BookError(said) from None


def select(names: list[str] | None = None) -> list[Chapter]:
    """Return chapters by name, or all of them, sorted by name.

    A file whose name could not safely stand in an address or a command is none: see `misnamed`.

    Raises:
        BookError: listing the valid names if there is no such chapter.
    """
    known = [name for name in _files() if _NAME.fullmatch(name)]
    return [Chapter(choose("chapter", n, known)) for n in (known if names is None else names)]


def find(name: str) -> Chapter:
    """Return the chapter of a name such as "foundations/transformer"; BookError if none has it."""
    return select([name])[0]


def misnamed() -> list[str]:
    """Return the files that are not taken for chapters because of their names."""
    return [f"chapters/{name}.py" for name in _files() if not _NAME.fullmatch(name)]


def _files() -> list[str]:
    folder = paths.chapters_dir()
    files = (f for f in folder.glob("*/*.py") if f.is_file() and not f.name.startswith("."))
    return sorted(f.relative_to(folder).with_suffix("").as_posix() for f in files)


def _literal(statement: ast.stmt) -> tuple[str, object]:
    """Return name and value of `name = literal`; ValueError for any other statement."""
    match statement:
        case (
            ast.Assign(targets=[ast.Name(name)], value=value)
            | ast.AnnAssign(target=ast.Name(name), value=ast.expr() as value)
        ):
            return name, ast.literal_eval(value)
    raise ValueError("not an assignment of a literal to a name")
