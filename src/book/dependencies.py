"""What a chapter's run depends on, by content: nothing is imported, time stamps play no part.

A chapter is run again when one of these changed: its source, a module of `src` that it imports
directly or not, the executor, its papers' catalogue entries, the larger profiles' ledger entries
that the quick page shows, its small models, the pinned packages, Python, its parameters, or the
checksum of a data set that it fetched.
"""

import ast
import hashlib
import json
import platform
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

from src.book import paths
from src.book.one_look import once

_EXECUTOR = "src.book.execute"
_CHAPTER_FIELD = re.compile(r"""^chapter:\s*["']?([^\s"'#]+)""", re.MULTILINE)
_MODULE_NAME = re.compile(r"\.?[A-Za-z_][\w.]*")


def inputs(chapter: str, profile: str) -> dict[str, str]:
    """Return the checksum of everything that a run with the chapter's own parameters depends on.

    Args:
        chapter: such as "foundations/transformer".
        profile: "quick", "cpu" or "gpu".

    Returns:
        Checksums by name: a file's path, a module, "python", "parameters".
    """
    root = paths.root()
    source = paths.chapters_dir() / f"{chapter}.py"
    files = [source, *papers_of(chapter), *_tree(paths.models_dir(chapter))]
    if profile == "quick":  # its page also shows what the larger profiles measured
        files += [paths.results_file(chapter, other) for other in ("cpu", "gpu", "timing")]
    files.append(root / "constraints.txt")
    found = {_name(file, root): _checksum(file) for file in files if file.is_file()}
    modules = closure_of_file(source) | _executor()
    found |= {module: _checksum(file) for module, file in modules.items()}
    found["python"] = platform.python_version()
    found["parameters"] = parameter_text({})
    return dict(sorted(found.items()))


def parameter_text(unusual: dict[str, object]) -> str:
    """Return the input that stands for the parameters which differ from the chapter's own."""
    return json.dumps(unusual, sort_keys=True)


def fingerprint(inputs: dict[str, str]) -> str:
    """Return one checksum over all inputs of a run."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return the names of the inputs that differ."""
    return sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))


def changed_data(fetched: list[dict]) -> list[str]:
    """Return the data sets of a run ({"name", "sha256"} each) whose registered checksum changed."""
    if not fetched:
        return []
    from src.book.data import registry

    known = registry()
    return [
        data["name"]
        for data in fetched
        if data["name"] not in known or known[data["name"]].sha256 != data["sha256"]
    ]


def papers_of(chapter: str) -> list[Path]:
    """Return the catalogue files of a chapter's papers (found by their text, not validated)."""
    return _papers().get(chapter, [])


@once
def _papers() -> dict[str | None, list[Path]]:
    """Return the catalogue files by the chapter that they name."""
    found: dict[str | None, list[Path]] = {}
    for file in paths.paper_files():
        stat = file.stat()
        found.setdefault(_chapter_of(file, stat.st_mtime_ns, stat.st_size), []).append(file)
    return found


@lru_cache(maxsize=2000)
def _chapter_of(paper: Path, _changed: int, _size: int) -> str | None:
    field = _CHAPTER_FIELD.search(paper.read_text(encoding="utf-8", errors="replace"))
    return field.group(1) if field else None


@once
def _executor() -> dict[str, Path]:
    return closure([_EXECUTOR])


def closure_of_file(file: Path) -> dict[str, Path]:
    """Return the modules of `src` that a chapter's source imports, directly or not."""
    return closure(_imports(file, ""))


def closure(modules: Iterable[str], skip: Callable[[str], bool] | None = None) -> dict[str, Path]:
    """Return the modules of `src` that are reached from the given ones by imports.

    Imports inside functions count, and so do the `__init__` files on the way. Modules that
    `skip` accepts are left out, with what only they import.
    """
    reached: dict[str, Path] = {}
    seen: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        file = module_file(module)
        if file is None or (skip and skip(module)):
            continue
        reached[module] = file
        package = module if file.name == "__init__.py" else module.rpartition(".")[0]
        waiting += [*_parents(module), *_imports(file, package)]
    return reached


def code_fingerprint(module: str) -> str:
    """Return a checksum of a module's code and of everything it imports in `src`.

    Comments, docstrings, layout and the machinery (`src.book`) do not count: a kept result stays
    valid when only words change.
    """
    modules = closure([module], skip=_is_machinery)
    digest = hashlib.sha256()
    for name, file in sorted(modules.items()):
        digest.update(f"{name} {_code(file)}\n".encode())
    return digest.hexdigest()


def chapter_code(chapter: str) -> str:
    """Return a checksum of a chapter's code: its cells and the modules of `src` that they reach.

    As in `code_fingerprint`, words and the machinery do not count. "" without the chapter's source,
    as in an installed wheel.
    """
    source = paths.chapters_dir() / f"{chapter}.py"
    if not source.is_file():
        return ""
    modules = closure(_imports(source, ""), skip=_is_machinery)
    lines = [_code(source), *(f"{name} {_code(file)}" for name, file in sorted(modules.items()))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@once
def module_file(module: str) -> Path | None:
    """Return the file of a module of `src`, or None if there is none (a name, or not ours)."""
    first, *rest = module.split(".")
    if first != "src":
        return None
    for root in dict.fromkeys((paths.root(), paths.package_root())):
        place = root.joinpath("src", *rest)
        for file in (place / "__init__.py", place.with_suffix(".py")):
            if file.is_file():
                return file
    return None


def _is_machinery(module: str) -> bool:
    return module.split(".")[:2] == ["src", "book"]


@once
def _imports(file: Path, package: str) -> list[str]:
    """Return what a file imports from `src`: modules, and names that may be modules."""
    stat = file.stat()
    found: list[str] = []
    for base, name in _import_statements(file, package, stat.st_mtime_ns, stat.st_size):
        found.append(base)
        if name:
            inner = f"{base}.{name}"
            found += [inner] if module_file(inner) else _lazy(base, name)
    return found


@lru_cache(maxsize=5000)
def _import_statements(
    file: Path, package: str, _changed: int, _size: int
) -> tuple[tuple[str, str], ...]:
    """Return (module, "") for each `import module` and (module, name) for each `from` import."""
    tree = _parse(file)
    found = set()
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {(_absolute(node, package), alias.name) for alias in node.names}
    return tuple(sorted(pair for pair in found if pair[0].split(".")[0] == "src"))


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """Return the module that `from ... import` names, relative dots resolved."""
    if not node.level:
        return node.module or ""
    parts = package.split(".") if package else []
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _lazy(package: str, name: str) -> list[str]:
    """Return the modules behind a name that a package's `__getattr__` loads from a table.

    The table is a dictionary {"name": "module"}; if the name is not in one, every module that the
    package names in a string counts.
    """
    file = module_file(package)
    if file is None or file.name != "__init__.py":
        return []
    stat = file.stat()
    texts = _named_texts(file, name, stat.st_mtime_ns, stat.st_size)
    named = [f"{package}.{text.removeprefix('.')}" for text in texts] + list(texts)
    return [module for module in named if module_file(module)]


@lru_cache(maxsize=5000)
def _named_texts(init: Path, name: str, _changed: int, _size: int) -> tuple[str, ...]:
    """Return the texts, in a package with a `__getattr__`, that may be the module of a name."""
    tree = _parse(init)
    if tree is None or not any(
        isinstance(node, ast.FunctionDef) and node.name == "__getattr__" for node in tree.body
    ):
        return ()
    constants: list[object] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == name:
                    constants += [c.value for c in ast.walk(value) if isinstance(c, ast.Constant)]
    if not constants:
        constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return tuple(t for t in constants if isinstance(t, str) and _MODULE_NAME.fullmatch(t))


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


def _parse(file: Path) -> ast.Module | None:
    """Return a file's syntax tree; None for one that Python cannot read (its run will say so)."""
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return None


def _code(file: Path) -> str:
    """Return a file's code as a checksum without comments, docstrings and positions."""
    about = file.stat()
    return _code_checksum(file, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=5000)
def _code_checksum(file: Path, _changed: int, _size: int) -> str:
    tree = _parse(file)
    if tree is None:
        return _checksum(file)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


@once
def _checksum(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _tree(folder: Path) -> list[Path]:
    return sorted(f for f in folder.rglob("*") if f.is_file()) if folder.is_dir() else []


def _name(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix()
