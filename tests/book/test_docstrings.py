"""What a docstring of a method must tell: its arguments, what it raises, examples that run.

Ruff checks form (`D`, Google's convention); this checks that the sections are there.
"""

import ast
import doctest
import importlib
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

ROOMS = [
    REPOSITORY / "src/common",
    *sorted(
        folder
        for folder in (REPOSITORY / "src").iterdir()
        if (folder / "__init__.py").exists() and folder.name not in ("book", "common")
    ),
]
FILES = sorted(file for room in ROOMS for file in room.rglob("*.py") if file.name != "__init__.py")
LEAST_EXAMPLES = 40


def public_functions(tree: ast.Module):
    """The functions and methods that others may call: (where, node)."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for inner in node.body:
                hidden = isinstance(inner, ast.FunctionDef) and inner.name.startswith("_")
                if isinstance(inner, ast.FunctionDef) and not hidden:
                    yield f"{node.name}.{inner.name}", inner


def problems(source: str) -> list[str]:
    """What is missing from the docstrings of a module, one sentence each."""
    found = []
    for where, node in public_functions(ast.parse(source)):
        text = ast.get_docstring(node) or ""
        names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        names += [a.arg for a in (node.args.vararg, node.args.kwarg) if a]
        names = [name for name in names if name not in ("self", "cls")]
        if names and "Args:" not in text:
            found.append(f"{where} has parameters and no Args")
        if not names and "Args:" in text:
            found.append(f"{where} has no parameters, but Args")
        raises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
        if raises and "Raises:" not in text:
            found.append(f"{where} raises and does not say so")
        gives = node.returns is not None and ast.unparse(node.returns) not in ("None", "NoReturn")
        says = text.startswith(("Return", "Yield")) or "Returns:" in text or "Yields:" in text
        is_property = any("property" in ast.unparse(d) for d in node.decorator_list)
        if gives and not says and not is_property:
            found.append(f"{where} does not say what it returns")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.relative_to(REPOSITORY).as_posix())
def test_docstrings_tell_arguments_results_and_errors(file):
    assert problems(file.read_text()) == []


def module_of(file: Path):
    return importlib.import_module(".".join(file.relative_to(REPOSITORY).with_suffix("").parts))


@pytest.mark.parametrize(
    "file",
    [file for file in FILES if ">>>" in file.read_text()],
    ids=lambda f: f.relative_to(REPOSITORY).as_posix(),
)
def test_examples_run(file):
    assert doctest.testmod(module_of(file), optionflags=doctest.ELLIPSIS).failed == 0


def test_what_practitioners_import_has_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = [
        test.name
        for file in FILES
        if ">>>" in file.read_text()
        for test in finder.find(module_of(file))
        if test.examples
    ]
    assert len(examples) >= LEAST_EXAMPLES, examples


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ('def f(x):\n    """Do it."""\n', "no Args"),
        ('def f(x) -> int:\n    """Do it.\n\n    Args:\n        x: one.\n    """\n', "returns"),
        (
            'def f(x):\n    """Do it.\n\n    Args:\n        x: one.\n    """\n    raise E\n',
            "raises",
        ),
        ('class A:\n    def f(self, x):\n        """Do it."""\n', "A.f has parameters"),
        ('def f():\n    """Do it.\n\n    Args:\n        x: one.\n    """\n', "but Args"),
    ],
)
def test_what_is_missing_is_found(source, says):
    assert any(says in problem for problem in problems(source))


def test_a_whole_docstring_passes():
    text = "def f(x) -> int:\n"
    text += '    """Return one.\n\n    Args:\n        x: any.\n\n'
    text += '    Raises:\n        ValueError: no.\n    """\n'
    assert problems(text + "    raise ValueError\n") == []
    assert problems("def _f(x): ...\n") == []
