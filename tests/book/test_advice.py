"""What messages and pages tell a reader to do can be done: the command is there and takes it."""

import ast
import re

import pytest

from src.book.__main__ import commands
from src.book.evidence import ledger
from src.book.storage import paths
from src.book.storage.errors import BookError
from tests.conftest import REPOSITORY

MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^([a-z]+):.*\n((?:\t.*\n)+)", MAKEFILE, re.M))
MAKE = re.compile(r"\bmake ((?:[a-z_-]+(?: |$|\b))?)((?: ?[A-Z]+=[^\s;,:)`]+)*)")
COMMAND = re.compile(r"python -m src\.book ([a-z][a-z-]*)((?: [^\s`;,)]+)*)")
PROSE = {"it", "rsync"}  # "make it do less"; a list of packages
# For each variable of make: what it may be; a braced name stands for any chapter.
VALUES = {
    "PROFILE": r"cpu|gpu",
    "CHAPTER": r"\{[\w.]+\}|[a-z_]+(/[a-z_]+)?",
    "SEEDS": r"[\d,-]+",
    "PART": r"[a-z_]+",
    "PAPER": r"[a-z0-9-]+",
    "PYTHON": r"\S+",
    "REPOSITORY": r"\S+",
}


def texts_of(tree):
    """Every text of a module that is no docstring; what is filled in stands in braces."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in docstrings:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                part.value if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
                for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def sources():
    """The texts of the machinery by file, and the code spans and blocks of the pages."""
    for file in sorted((REPOSITORY / "src/book").rglob("*.py")):
        yield file, list(texts_of(ast.parse(file.read_text(encoding="utf-8"))))
    pages = [*REPOSITORY.glob("[!C]*.md"), REPOSITORY / "CONTRIBUTING.md"]  # no past versions
    for file in [*pages, *(REPOSITORY / "pages").rglob("*.md")]:
        text = file.read_text(encoding="utf-8")
        yield file, re.findall(r"^```.*?^```|`[^`]+`", text, re.M | re.S)


def wrong(text):
    """What cannot be done of what a text tells to do."""
    for target, given in MAKE.findall(text):
        target = target.strip()
        if target in PROSE or (not target and not given):
            continue
        if target not in RECIPES:
            yield f"make {target}: no such target"
            continue
        for pair in given.split():
            name, _, value = pair.partition("=")
            if name != "PYTHON" and f"$${name}" not in re.sub(r"[{}]", "", RECIPES[target]):
                yield f"make {target} takes no {name}"
            elif not re.fullmatch(VALUES[name], value.rstrip(".")):
                yield f"make {target} takes no {pair}"
    for name, given in COMMAND.findall(text):
        if name not in commands.commands:
            yield f"no command {name}"
            continue
        known = {o for p in commands.commands[name].params for o in (*p.opts, *p.secondary_opts)}
        yield from (
            f"{name} takes no {option}" for option in given.split()
            if option.startswith("-") and option not in known
        )  # fmt: skip


def test_each_command_that_is_advised_exists_and_takes_what_it_is_given():
    found = {
        (file.relative_to(REPOSITORY).as_posix(), what)
        for file, texts in sources()
        for text in texts
        for what in wrong(text)
    }
    assert found == set()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("run it again: make results PROFILE=quick CHAPTER=a/b", "takes no PROFILE=quick"),
        ("make results PROFILE={profile} CHAPTER={chapter}", "takes no PROFILE={profile}"),
        ("first make acept CHAPTER=a/b", "no such target"),
        ("make book CHAPTER=a/b", "make book takes no CHAPTER"),
        ("python -m src.book launch", "no command launch"),
        ("python -m src.book run-one a/b --sed 3", "run-one takes no --sed"),
    ],
)
def test_advice_that_cannot_be_taken_is_found(text, what):
    [found] = wrong(text)
    assert what in found


def test_what_is_advised_for_a_damaged_ledger_writes_that_ledger(probe_paper):
    for profile in ("quick", "cpu", "gpu", "timing"):
        file = paths.results_file("foundations/probe", profile)
        file.parent.mkdir(parents=True)
        file.write_text("{")
        with pytest.raises(BookError) as told:
            ledger.read("foundations/probe", profile)
        assert list(wrong(str(told.value))) == []
        targets = [target.strip() for target, _ in MAKE.findall(str(told.value))]
        wanted = {"quick": "accept", "timing": "bench"}.get(profile, "results")
        assert targets[-1] == wanted
        assert wanted != "results" or f"PROFILE={profile} " in str(told.value)
