"""Content keys: one checksum for what a piece of code says, and for all that it reaches.

Comments, docstrings, layout and the words of error messages do not count, nor do the names and
places of modules: an import stands for the content of what it names. So a move or a reworded
message changes no key, and a change of one line changes the keys of all that reach it. The
machinery (`src.book`) is not followed; see `EXECUTION_VERSION` in `src.book.storage.dependencies`.
Only syntax trees are read; the keys are the same on every supported Python.
"""

import ast
import atexit
import contextlib
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from src.book.storage import paths
from src.book.storage.files import write_atomically
from src.book.storage.one_look import once, one_look

# What is imported: a module, and a name in it ("" for the module itself).
Import = tuple[str, str]
_ROOTS = ("src", "tests")
_CELL = re.compile(r"^# %%(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Code:
    """What one file says."""

    own: str  # a checksum of its code, in which each imported name is a mark
    # For each mark, in the order of their first use, the imports that it may stand for.
    uses: tuple[tuple[Import, ...], ...]
    imports: tuple[Import, ...]  # everything that it imports of ours


@dataclass(frozen=True)
class Reached:
    """What a file is, with all that it reaches: content key, own checksum, modules' checksums."""

    key: str
    own: str
    modules: dict[str, str]


@once
def of_file(file: Path) -> Reached:
    """Return what a Python file is and reaches: a page in percent format, a module, a test."""
    with one_look():
        return _reached(_code(file, _package_of(file)))


@once
def of_module(module: str) -> Reached:
    """Return what a module such as "src.gnn.framelets.transform" is and reaches.

    Raises:
        ModuleNotFoundError: if there is no such module.
    """
    if (file := module_file(module)) is None:
        raise ModuleNotFoundError(f"no module {module}")
    return of_file(file)


@once
def module_file(module: str) -> Path | None:
    """Return the file of a module of ours, or None if there is none (a name, or not ours)."""
    first, *rest = module.split(".")
    if first not in _ROOTS:
        return None
    for root in dict.fromkeys((paths.root(), paths.package_root())):
        place = root.joinpath(first, *rest)
        for file in (place / "__init__.py", place.with_suffix(".py")):
            if file.is_file():
                return file
    return None


def _reached(code: Code) -> Reached:
    modules = _closure(code.imports)
    keys = _keys(modules)
    # A package's own code runs when something in it is imported; most packages have none.
    packages = {parent for name in modules for parent in _parents(name)}
    nothing = _code_of([ast.Module([], [])], "").own
    inits = sorted({keys[p] for p in packages & keys.keys() if modules[p].own != nothing})
    own = {name: module.own for name, module in sorted(modules.items())}
    return Reached(_digest([_key(code, keys), *inits]), code.own, own)


def _closure(imports: Iterable[Import]) -> dict[str, Code]:
    """Return the modules that imports reach, also those inside functions, with their packages."""
    found: dict[str, Code] = {}
    waiting = [module for one in imports if (module := _module_of(one))]
    while waiting:
        name = waiting.pop()
        file = module_file(name)
        if name in found or file is None or _is_machinery(name):
            continue
        found[name] = _code(file, _package_of(file))
        waiting += [module for one in found[name].imports if (module := _module_of(one))]
        waiting += _parents(name)
    return found


def _keys(modules: dict[str, Code]) -> dict[str, str]:
    """Return the content keys of modules that are closed under imports."""
    needs = {
        name: {module for one in code.imports if (module := _module_of(one)) in modules}
        for name, code in modules.items()
    }
    keys: dict[str, str] = {}
    try:
        for name in TopologicalSorter(needs).static_order():
            keys[name] = _key(modules[name], keys)
    except CycleError:  # then names count as well, which errs on the safe side
        everything = _digest(sorted(f"{name} {code}" for name, code in modules.items()))
        return {name: _digest([code.own, everything]) for name, code in modules.items()}
    return keys


def _key(code: Code, keys: dict[str, str]) -> str:
    uses = [sorted({_meaning(one, keys) for one in mark}) for mark in code.uses]
    return _digest([code.own, uses, sorted({_meaning(one, keys) for one in code.imports})])


def _meaning(one: Import, keys: dict[str, str]) -> str:
    """Return what an import stands for, wherever that lies."""
    module, name = _module_of(one), one[1]
    if module is None:
        return f"missing {one}"
    if _is_machinery(module):
        return f"machinery {name or module.rpartition('.')[2]}"
    return f"{keys[module]} {name if module == one[0] else ''}"


def _module_of(one: Import) -> str | None:
    """Return the module that an import reaches: `from a import b` may name a module a.b."""
    base, name = one
    inner = f"{base}.{name}"
    if name and not _is_machinery(base) and module_file(inner):
        return inner
    return base if module_file(base) else None


def _is_machinery(module: str) -> bool:
    return module.split(".")[:2] == ["src", "book"]


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


def _package_of(file: Path) -> str:
    """Return the package that relative imports of a file start from; "" for a page."""
    for root in (paths.root(), paths.package_root()):
        folders = file.parent.parts[len(root.parts) :]
        if file.is_relative_to(root) and folders and folders[0] in _ROOTS:
            return ".".join(folders)
    return ""


@once
def _code(file: Path, package: str) -> Code:
    content = file.read_bytes()
    name = hashlib.sha256(_way_of_reading() + f"{package}\0".encode() + content).hexdigest()
    known = _known()
    if name not in known:
        known[name] = _read(content, package)
        _remember()
    return known[name]


def _read(content: bytes, package: str) -> Code:
    text = content.decode("utf-8-sig", errors="replace")  # as Python reads modules
    # What stands before the first mark, then each mark and what follows it.
    _, *pieces = _CELL.split(text) if not package else [text]
    if not pieces:
        return _code_of([_parsed(text)], package)
    cells = zip(pieces[::2], pieces[1::2], strict=True)
    return _code_of([_cell(mark, code) for mark, code in cells if "[markdown]" not in mark], "")


def _cell(mark: str, source: str) -> ast.Module | str:
    """Return a cell's tree, with what makes a difference to its run and is not in the tree."""
    tree = _parsed(source)
    if isinstance(tree, ast.Module):
        for node in tree.body:
            if _is_docstring(node):  # it is none here: the cell shows it
                node.value = ast.Starred(node.value)
        hidden = source.rstrip().endswith(";")
        tree.body.append(ast.Expr(ast.Constant((hidden, '"parameters"' in mark))))
    return tree


def _parsed(text: str) -> ast.Module | str:
    """Return the tree of a text, or the text where it is no Python (a cell with a magic)."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return text


def _code_of(trees: list[ast.Module | str], package: str) -> Code:
    """Return what trees say."""
    bound: dict[str, set[Import]] = {}
    imports: set[Import] = set()
    for tree in trees:
        for node in ast.walk(tree) if isinstance(tree, ast.Module) else ():
            for name, one in _imports(node, package):
                imports.add(one)
                bound.setdefault(name, set()).add(one)
    bound.pop("", None)
    writer = _Writer(frozenset(bound))
    own = _digest([writer.text(tree) for tree in trees])
    uses = tuple(tuple(sorted(bound[name])) for name in writer.marks)
    return Code(own, uses, tuple(sorted(imports)))


def _imports(node: ast.AST, package: str) -> list[tuple[str, Import]]:
    """Return (bound name, import) for each import of ours; the name is "" where none is bound."""
    found = []
    if isinstance(node, ast.Import):
        found = [(alias.asname or "", (alias.name, "")) for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:  # relative: each dot after the first goes one package up
            parts = package.split(".") if package else []
            base = ".".join([*parts[: len(parts) - node.level + 1], base]).strip(".")
        found = [(alias.asname or alias.name, (base, alias.name)) for alias in node.names]
    return [pair for pair in found if pair[1][0].split(".")[0] in _ROOTS]


class _Writer:
    """Writes trees as text without words, and with a mark for each imported name.

    `ast.dump` would do but for its form, which differs between versions of Python.
    """

    def __init__(self, bound: frozenset[str]) -> None:
        self.bound = bound
        self.marks: list[str] = []
        self.raising = 0

    def text(self, thing: object) -> str:
        """Return a tree, a list of trees or a plain value as text."""
        if isinstance(thing, list):
            return f"[{','.join(filter(None, map(self.text, thing)))}]"
        if not isinstance(thing, ast.AST):
            return repr(thing)
        if _is_docstring(thing) or _is_ours(thing):
            return ""
        if isinstance(thing, ast.Name) and thing.id in self.bound:
            if thing.id not in self.marks:
                self.marks.append(thing.id)
            return f"mark {self.marks.index(thing.id)} {type(thing.ctx).__name__}"
        if self.raising and (_is_text(thing) or isinstance(thing, ast.JoinedStr)):
            return "words"
        self.raising += isinstance(thing, ast.Raise)
        fields = [(name, value) for name, value in ast.iter_fields(thing) if name != "kind"]
        told = [(name, self.text(value)) for name, value in fields if value is not None]
        written = [f"{name}={text}" for name, text in told if text != "[]"]
        self.raising -= isinstance(thing, ast.Raise)
        return f"{type(thing).__name__}({' '.join(written)})"


def _is_ours(node: ast.AST) -> bool:
    """Return whether a statement imports of ours, and nothing else."""
    if isinstance(node, ast.ImportFrom):
        return bool(node.level) or (node.module or "").split(".")[0] in _ROOTS
    is_import = isinstance(node, ast.Import)
    return is_import and all(alias.name.split(".")[0] in _ROOTS for alias in node.names)


def _is_docstring(node: ast.AST) -> bool:
    """Return whether a statement is a string alone, of a module, class, function or attribute."""
    return isinstance(node, ast.Expr) and _is_text(node.value)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _digest(thing: object) -> str:
    return hashlib.sha256(json.dumps(thing).encode()).hexdigest()


# What files say, by their bytes and this file's: kept between processes, which start faster.


@cache
def _way_of_reading() -> bytes:
    return Path(__file__).read_bytes()


@cache
def _known() -> dict[str, Code]:
    try:
        kept = json.loads(_kept_file().read_text(encoding="utf-8"))
        return {
            name: Code(own, tuple(_imports_from(mark) for mark in uses), _imports_from(imports))
            for name, (own, uses, imports) in kept.items()
        }
    except (OSError, ValueError, TypeError):
        return {}


def _imports_from(kept: list) -> tuple[Import, ...]:
    return tuple((base, name) for base, name in kept)


@cache
def _remember() -> None:
    """Have what was read kept when this process ends."""
    atexit.register(_keep)


def _keep() -> None:
    about = {name: [code.own, code.uses, code.imports] for name, code in _known().items()}
    with contextlib.suppress(OSError):  # on a full disk: then it is read again
        write_atomically(_kept_file(), json.dumps(about))


def _kept_file() -> Path:
    return paths.build_dir() / "content_keys.json"
