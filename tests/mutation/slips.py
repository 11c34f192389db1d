"""Slips of the pen in code like ours, which cosmic-ray does not know, as edits of the text.

An edit is (begin, end, new): bytes of the source that are replaced. A slip is a list of edits.
"""

import ast
import builtins
import re
from collections.abc import Iterator

Edit = tuple[int, int, str]

OTHERS = {
    ("mean", "sum"), ("max", "min"), ("amax", "amin"), ("argmax", "argmin"), ("any", "all"),
    ("zeros", "ones"), ("zeros_like", "ones_like"), ("floor", "ceil"), ("sin", "cos"),
}  # fmt: skip
OTHER = {a: b for pair in OTHERS for a, b in (pair, pair[::-1])}
DROPPED = {"abs", "clone", "detach", "double", "exp", "log", "sqrt", "square"}
LEAK = {"train": "test", "val": "test", "test": "val"}
PART = re.compile(r"(?<![a-z])(train|val|test)(?![a-z])")


class Text:
    """A source and its places in bytes, as the syntax tree counts them."""

    def __init__(self, text: str):
        self.text, self.tree = text, ast.parse(text)
        self.lines = [line.encode() for line in text.split("\n")]
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.words = set(re.findall(r"\w+", text))

    def span(self, node: ast.AST) -> tuple[int, int]:
        begin = self.starts[node.lineno - 1] + node.col_offset
        return begin, self.starts[node.end_lineno - 1] + node.end_col_offset

    def edited(self, edits: list[Edit]) -> str:
        whole = self.text.encode()
        for begin, end, new in sorted(edits, reverse=True):
            whole = whole[:begin] + new.encode() + whole[end:]
        return whole.decode()


def drop_keyword(text: Text, call: ast.Call) -> Iterator[list[Edit]]:
    """`f(a, k=b)` becomes `f(a)`."""
    arguments = sorted([*call.args, *call.keywords], key=text.span)
    for i, keyword in enumerate(arguments):
        if isinstance(keyword, ast.keyword) and keyword.arg:
            begin, end = text.span(keyword)
            if i + 1 < len(arguments):
                end = text.span(arguments[i + 1])[0]
            elif i:
                begin = text.span(arguments[i - 1])[1]
            yield [(begin, end, "")]


def swap_arguments(text: Text, call: ast.Call) -> Iterator[list[Edit]]:
    """`f(a, b)` becomes `f(b, a)`."""
    for pair in zip(call.args, call.args[1:], strict=False):
        names = [ast.unparse(argument) for argument in pair]
        if all(isinstance(a, ast.Name | ast.Attribute) for a in pair) and names[0] != names[1]:
            yield [(*text.span(pair[0]), names[1]), (*text.span(pair[1]), names[0])]


def fix_the_seed(text: Text, call: ast.Call) -> Iterator[list[Edit]]:
    """`stream(seed, "noise")` becomes `stream(0, "noise")`, or takes another stream's key."""
    for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
        if ast.unparse(argument).split(".")[-1] == "seed":
            yield [(*text.span(argument), "0")]
    keys = re.findall(r'stream\([^"()]*("[^"]+")', text.text)
    if ast.unparse(call.func) == "stream" and len(call.args) > 1:
        own = ast.unparse(call.args[1]).replace("'", '"')
        if others := sorted({*keys} - {own}):
            yield [(*text.span(call.args[1]), others[0])]


def leak(text: Text, node: ast.AST) -> Iterator[list[Edit]]:
    """`graph.train` becomes `graph.test`: training sees what it must not."""
    name = getattr(node, "value" if isinstance(node, ast.Constant) else "id", None)
    name = node.attr if isinstance(node, ast.Attribute) else name
    if not isinstance(name, str) or not name.isidentifier():
        return
    other = PART.sub(lambda found: LEAK[found[0]], name)
    known = text.words | (set() if isinstance(node, ast.Name) else {*LEAK})
    if other != name and other in known:
        end = text.span(node)[1]
        new = f'"{other}"' if isinstance(node, ast.Constant) else other
        begin = end - len(name) if isinstance(node, ast.Attribute) else text.span(node)[0]
        yield [(begin, end, new)]


def other_reduction(text: Text, call: ast.Call) -> Iterator[list[Edit]]:
    """`x.mean()` becomes `x.sum()`, and the like."""
    name = ast.unparse(call.func).split(".")[-1]
    method = isinstance(call.func, ast.Attribute)
    if name in OTHER and (method or hasattr(builtins, OTHER[name])):
        end = text.span(call.func)[1]
        yield [(end - len(name), end, OTHER[name])]


def drop_method(text: Text, node: ast.AST) -> Iterator[list[Edit]]:
    """`x.detach()` becomes `x`, and so does `x.mT`."""
    bare = isinstance(node, ast.Call) and not node.args and not node.keywords
    attribute = node.func if bare else node
    names = DROPPED if bare else {"T", "mT"}
    if isinstance(attribute, ast.Attribute) and attribute.attr in names:
        yield [(text.span(attribute.value)[1], text.span(node)[1], "")]


def drop_statement(text: Text, statement: ast.Expr) -> Iterator[list[Edit]]:
    """`model.eval()` becomes `pass`."""
    if isinstance(statement.value, ast.Call):
        yield [(*text.span(statement), "pass")]


SLIPS = {
    drop_keyword: ast.Call,
    swap_arguments: ast.Call,
    fix_the_seed: ast.Call,
    leak: ast.Name | ast.Attribute | ast.Constant,
    other_reduction: ast.Call,
    drop_method: ast.Call | ast.Attribute,
    drop_statement: ast.Expr,
}


def nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree, but not into f-strings, whose parts have no reliable places."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.JoinedStr):
            yield from nodes(child)


def slips(text: Text) -> Iterator[tuple[str, list[Edit]]]:
    """Return all slips of a source, each with its kind."""
    for node in nodes(text.tree):
        for slip, type_ in SLIPS.items():
            if isinstance(node, type_):
                for edits in slip(text, node):
                    yield slip.__name__, edits
