"""Plant small mistakes in a module: print a sample of its mutants as JSON.

A script for an environment with cosmic-ray (requirements-mutate.txt); the book's does not have it.
The sample goes round the functions, and in each round the kinds of mistakes, so that neither long
functions nor numbers take it all. It depends on nothing but the module's text.
"""

import ast
import difflib
import json
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import zip_longest
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from slips import Text, slips

# The others of cosmic-ray make errors of type here, which any test would notice.
BINARY = (
    "Add_Sub Sub_Add Mul_Div Div_Mul Pow_Mul FloorDiv_Mul Mod_FloorDiv BitAnd_BitOr BitOr_BitAnd"
)
COMPARISON = "Eq_NotEq NotEq_Eq Lt_LtE LtE_Lt Gt_GtE GtE_Gt Lt_Gt Gt_Lt Is_IsNot IsNot_Is"
PLAIN = (
    "NumberReplacer AddNot ReplaceTrueWithFalse ReplaceFalseWithTrue ReplaceAndWithOr "
    "ReplaceOrWithAnd ReplaceBreakWithContinue ReplaceContinueWithBreak ZeroIterationForLoop "
    "ReplaceUnaryOperator_Delete_USub ReplaceUnaryOperator_Delete_Not "
    "ReplaceUnaryOperator_Delete_Invert"
)
OPERATORS = [
    *(f"ReplaceBinaryOperator_{name}" for name in BINARY.split()),
    *(f"ReplaceComparisonOperator_{name}" for name in COMPARISON.split()),
    *PLAIN.split(),
]
Candidate = tuple[str, int, Callable[[], str | None]]  # kind, place, source


def quiet_places(text: Text) -> list[tuple[int, int]]:
    """Return where a mistake would be none: texts, annotations, errors' words, `noqa` lines."""
    found: list[ast.AST] = []
    for node in ast.walk(text.tree):
        found += [getattr(node, "annotation", None), getattr(node, "returns", None)]
        found += getattr(node, "decorator_list", [])
        alias = isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript)
        words = isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom)
        text_alone = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if words or text_alone or (alias and node in text.tree.body):
            found.append(node)
        if getattr(node, "name", "") == "__repr__":
            found.append(node)
    lines = [i for i, line in enumerate(text.lines) if b"# noqa" in line]
    spans = [text.span(node) for node in found if node is not None]
    return spans + [(text.starts[i], text.starts[i + 1]) for i in lines]


def candidates(text: Text) -> Iterator[Candidate]:
    """Return every mistake that cosmic-ray or our list of slips can make."""
    tree = get_ast(text.text)
    for name in OPERATORS:
        operator = get_operator(f"core/{name}")()
        places = [p[0] for node in ast_nodes(tree) for p in operator.mutation_positions(node)]
        for occurrence, (line, column) in enumerate(places):
            before = text.lines[line - 1].decode()[:column]
            after = text.lines[line - 1].decode()[column:]
            if not after.startswith(("*,", "/,")):  # marks in a signature, not operators
                place = text.starts[line - 1] + len(before.encode())
                make = partial(mutate_code, text.text, operator, occurrence)
                yield name.partition("_")[0], place, make
    for kind, edits in slips(text):
        yield kind, edits[0][0], partial(text.edited, edits)


def functions(text: Text) -> dict[str, tuple[int, int]]:
    """Return the functions, methods and classes with their spans, inner ones first."""
    inner, outer = {}, {}
    for node in text.tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            outer[node.name] = text.span(node)
        for method in node.body if isinstance(node, ast.ClassDef) else []:
            if isinstance(method, ast.FunctionDef):
                inner[f"{node.name}.{method.name}"] = text.span(method)
    return inner | outer


def in_turn(groups: list[list]) -> list:
    """Take the first of every group, then the second, and so on."""
    rounds = zip_longest(*groups)
    return [item for found in rounds for item in found if item is not None]


def shuffled(text: Text) -> list[tuple[str, Candidate]]:
    """Return all candidates with their function, in the order in which they are taken."""
    quiet, named = quiet_places(text), functions(text)
    groups: dict = defaultdict(lambda: defaultdict(list))
    for kind, place, make in candidates(text):
        if not any(begin <= place < end for begin, end in quiet):
            inside = (name for name, (begin, end) in named.items() if begin <= place < end)
            groups[next(inside, "the module")][kind].append((kind, place, make))
    ordered = []
    for where, kinds in groups.items():
        dice = random.Random(where)  # of its own: an edit elsewhere leaves its sample alone
        lists = [dice.sample(found, len(found)) for found in kinds.values()]
        ordered.append([(where, found) for found in in_turn(dice.sample(lists, len(lists)))])
    return in_turn(ordered)


def plant(source: str, count: int) -> list[dict]:
    """Return at most `count` mutants of a source, never two at one place.

    Returns:
        For each: "mutant", a line that says what changed; "where", a function; "diff"; "source".
    """
    text = Text(source)
    found, places, same = [], set(), ast.dump(text.tree)
    for where, (_, place, make) in shuffled(text):
        if len(found) == count:
            break
        if place in places or (mutant := make()) is None:
            continue
        try:
            changed = ast.dump(ast.parse(mutant)) != same
            compile(mutant, where, "exec")
        except SyntaxError:
            continue
        if changed:
            places.add(place)
            found.append(described(where, source, mutant))
    return found


def described(where: str, source: str, mutant: str) -> dict:
    """Return a mutant with its diff, and the diff in one line."""
    diff = list(difflib.unified_diff(source.split("\n"), mutant.split("\n"), lineterm="", n=2))[2:]
    old, new = (
        " ".join(" ".join(line[1:].split()) for line in diff if line[0] == sign) for sign in "-+"
    )
    line = f"{where}: {old} => {new}"
    return {"mutant": line, "where": where, "diff": "\n".join(diff), "source": mutant}


if __name__ == "__main__":
    print(json.dumps(plant(Path(sys.argv[1]).read_text(encoding="utf-8"), int(sys.argv[2]))))
