"""`python -m tests.leaks.lines [PART]`: experiments that have no line in the leak suite yet."""

import ast
import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SEEDS = {"seed", "seeds", "splits"}


def modules() -> list[Path]:
    """Return the modules of all parts; what the parts share and the machinery are no parts."""
    files = (file.relative_to(ROOT) for file in (ROOT / "src").glob("*/*/**/*.py"))
    return sorted(ROOT / file for file in files if file.parts[1] not in ("book", "common"))


def seeded_functions(file: Path) -> set[str]:
    """Return "module:function" for the public functions of a module that take a seed."""
    module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    return {
        f"{module}:{node.name}"
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
        if SEEDS & {a.arg for a in (*node.args.args, *node.args.kwonlyargs)}
    }


def written() -> set[str]:
    """Return the names of all experiments and helpers that the suite's files list."""
    files = sorted(file.stem for file in Path(__file__).parent.glob("test_*.py"))
    tests = [importlib.import_module(f"tests.leaks.{name}") for name in files]
    lines = {line.name for module in tests for line in getattr(module, "EXPERIMENTS", [])}
    return lines | {name for module in tests for name in getattr(module, "HELPERS", {})}


def missing() -> list[str]:
    """Return the experiments without a line."""
    found = {name for file in modules() for name in seeded_functions(file)}
    return sorted(found - written())


if __name__ == "__main__":
    part = f"src.{sys.argv[1]}" if sys.argv[1:] else ""
    print("\n".join(name for name in missing() if name.startswith(part)))
