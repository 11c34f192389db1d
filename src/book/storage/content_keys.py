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
from src.book.storage.one_look import once

# What is imported: a module, and a name in it ("" for the module itself).
Import = tuple[str, str]
_ROOTS = ("src", "tests")
_CELL = re.compile(r"^# %%(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Code:
    """What one file says.

    Attributes:
        own: a checksum of its code, in which each imported name is a mark.
        uses: for each mark, in the order of their first use, the imports that it may stand for.
        imports: everything that it imports of ours.
    """

    own: str
    uses: tuple[tuple[Import, ...], ...]
    imports: tuple[Import, ...]


@dataclass(frozen=True)
class Reached:
    """What a file is, with all that it reaches.

    Attributes:
        key: the content key.
        own: the file's own checksum.
        modules: the checksums of the modules that it reaches, by name.
    """

    key: str
    own: str
    modules: dict[str, str]


@once
def of_file(file: Path) -> Reached:
    """Return what a Python file is and reaches: a page in percent format, a module, a test."""
    return _reached(_code(file, _package_of(file)))


@once
def of_module(module: str) -> Reached:
    """Return what a module such as "src.gnn.framelets.transform.transform" is and reaches.

    Raises:
        ModuleNotFoundError: if there is no such module.
    """
    if (file := module_file(module)) is None:
        raise ModuleNotFoundError(f"no module {module}")
    return _reached(_module_code(module, file))


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
    inits = sorted({keys[p] for p in packages & keys.keys() if modules[p].own != _nothing()})
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
        found[name] = _module_code(name, file)
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
    if file.is_relative_to(paths.root()):
        folders = file.relative_to(paths.root()).parent.parts
        return ".".join(folders) if folders and folders[0] in _ROOTS else ""
    return ""


def _module_code(module: str, file: Path) -> Code:
    return _code(file, module if file.name == "__init__.py" else module.rpartition(".")[0])


@once
def _code(file: Path, package: str) -> Code:
    content = file.read_bytes()
    name = hashlib.sha256(f"{package}\0".encode() + content).hexdigest()
    known = _known()
    if name not in known:
        known[name] = _read(content, package)
        _remember()
    return known[name]


def _read(content: bytes, package: str) -> Code:
    text = content.decode(errors="replace")
    marks = list(_CELL.finditer(text)) if not package else []
    if not marks:
        return _code_of([_parsed(text)], package)
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    cells = [
        _cell(mark.group(1), text[mark.end() : end])
        for mark, end in zip(marks, ends, strict=True)
        if "[markdown]" not in mark.group(1)
    ]
    return _code_of(cells, "")


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
        base = _absolute(node, package)
        found = [(alias.asname or alias.name, (base, alias.name)) for alias in node.names]
    return [pair for pair in found if pair[1][0].split(".")[0] in _ROOTS]


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """Return the module that `from ... import` names, relative dots resolved."""
    if not node.level:
        return node.module or ""
    parts = package.split(".") if package else []
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, *([node.module] if node.module else [])])


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
        if isinstance(thing, ast.Import | ast.ImportFrom) and _is_ours(thing):
            return ""
        if _is_docstring(thing):
            return ""
        if isinstance(thing, ast.Name) and thing.id in self.bound:
            if thing.id not in self.marks:
                self.marks.append(thing.id)
            return f"mark {self.marks.index(thing.id)} {type(thing.ctx).__name__}"
        if self.raising and _is_words(thing):
            return "words"
        self.raising += isinstance(thing, ast.Raise)
        fields = [(name, value) for name, value in ast.iter_fields(thing) if name != "kind"]
        told = [(name, self.text(value)) for name, value in fields if value is not None]
        written = [f"{name}={text}" for name, text in told if text != "[]"]
        self.raising -= isinstance(thing, ast.Raise)
        return f"{type(thing).__name__}({' '.join(written)})"


def _is_ours(node: ast.Import | ast.ImportFrom) -> bool:
    if isinstance(node, ast.ImportFrom):
        return bool(node.level) or (node.module or "").split(".")[0] in _ROOTS
    return all(alias.name.split(".")[0] in _ROOTS for alias in node.names)


def _is_docstring(node: ast.AST) -> bool:
    """Return whether a statement is a string alone, of a module, class, function or attribute."""
    is_constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_constant and isinstance(node.value.value, str)


def _is_words(node: ast.AST) -> bool:
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return is_text or isinstance(node, ast.JoinedStr)


def _digest(thing: object) -> str:
    return hashlib.sha256(json.dumps(thing).encode()).hexdigest()


@cache
def _nothing() -> str:
    """Return the checksum of a module without code."""
    return _code_of([ast.Module([], [])], "").own


# What files say, by their bytes: valid for ever, and kept between processes to start fast.


@cache
def _known() -> dict[str, Code]:
    try:
        kept = json.loads(_kept_file().read_text(encoding="utf-8"))
        return {name: _code_from(*about) for name, about in kept.items()}
    except (OSError, ValueError, TypeError):
        return {}


def _code_from(own: str, uses: list, imports: list) -> Code:
    marks = tuple(tuple((base, name) for base, name in mark) for mark in uses)
    return Code(own, marks, tuple((base, name) for base, name in imports))


@cache
def _remember() -> None:
    """Have what was read kept when this process ends."""
    atexit.register(_keep)


def _keep() -> None:
    about = {name: [code.own, code.uses, code.imports] for name, code in _known().items()}
    file = _kept_file()
    beside = file.with_suffix(f".{hashlib.sha256(repr(about.keys()).encode()).hexdigest()[:8]}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(about), encoding="utf-8")
        beside.replace(file)
    except OSError:  # a full disk, a tree that cannot be written: then it is read again
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def _kept_file() -> Path:
    return paths.build_dir() / "content_keys.json"
