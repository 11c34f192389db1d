"""Which tests should notice a mistake in a module."""

import ast
from pathlib import Path

SUITES = ("tests/leaks", "tests/unusual")  # parametrised by `dotted.module:function`


def imports(file: Path, dotted: str) -> bool:
    """Return whether a file imports a module by its own name."""
    package, _, name = dotted.rpartition(".")
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import) and any(alias.name == dotted for alias in node.names):
            return True
        if isinstance(node, ast.ImportFrom) and not node.level:
            inside = node.module == package and any(alias.name == name for alias in node.names)
            if inside or node.module == dotted:
                return True
    return False


def stages(root: Path, module: str, more: list[str]) -> list[list[str]]:
    """Return pytest's arguments, in the order in which they are worth trying.

    The file that mirrors the module comes first, then all others that import it, then those that
    were asked for, and the suites that go through every function of the book.

    Args:
        root: of the tree.
        module: its path below the root.
        more: further test files.
    """
    path = Path(module)
    dotted = ".".join(path.with_suffix("").parts)
    mirror = str(Path("tests", *path.parent.parts[1:], f"test_{path.name}"))
    files = sorted(str(file.relative_to(root)) for file in root.glob("tests/**/test_*.py"))
    own = [file for file in files if not file.startswith(SUITES)]
    others = [file for file in own if file != mirror and imports(root / file, dotted)]
    suites = [suite for suite in SUITES if (root / suite).is_dir()]
    found = [[mirror] if mirror in files else [], list(dict.fromkeys([*others, *more]))]
    if suites:
        found.append([*suites, "-k", f"{dotted}:"])
    return [stage for stage in found if stage]
