"""What a cell's output may bring onto a page: words, tables and figures, nothing that acts.

A chapter's code is reviewed; what it prints is made from data, which may come from anywhere. So a
page takes only what does nothing but be read. HTML is admitted by a grammar so strict that every
browser reads it in the same way: tags in lower case, attributes in double quotes, all closed.
"""

import re
from collections.abc import Iterator
from html import unescape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

_KINDS = {"text/plain", "text/html", "text/markdown", "text/latex", "image/png"}
_REMEDY = "show words, Table(...), show(...) or run.figure(...)"

_VOID = {"br", "col", "hr", "wbr"}
_NAMES = """
a abbr b blockquote caption cite code colgroup dd del details div dl dt em figcaption figure h2
h3 h4 h5 h6 i ins kbd li mark ol p pre q s samp small span strong sub summary sup table tbody td
tfoot th thead time tr u ul var
"""
_TAGS = _VOID | set(_NAMES.split())
_ATTRIBUTES = {"class", "colspan", "dir", "href", "lang", "rowspan", "scope", "title"}
_TAG = re.compile(r'<(/?)([a-z][a-z0-9]*)((?: [a-z-]+="[^"<>]*")*) ?/?>')
_ATTRIBUTE = re.compile(r' ([a-z-]+)="([^"]*)"')
_ADDRESS = re.compile(r"https://\S+|(?!//)[\w./-]*(?:#[\w-]*)?")

# Code shown by `show`: one fenced block is the whole output, and no line of the code ends it.
_CODE_BLOCK = re.compile(r"(?P<fence>`{3,})[a-z]*\n(?P<code>.*)\n(?P=fence)\s*", re.DOTALL)
_WORDS = {
    "a tag": re.compile(r"<[A-Za-z/!?]"),
    "a directive": re.compile(r"```|~~~|:::"),
    "a role": re.compile(r"\{[\w:+.-]+\}`"),
    "an image": re.compile(r"!\["),
    "front matter": re.compile(r"\A\s*---"),
}


def problems(notebook: "NotebookNode") -> list[tuple[int, str]]:
    """Return (cell number, what) for each output that no page takes."""
    return [
        (number, f"{what}, which no page takes; {_REMEDY}")
        for number, cell in enumerate(notebook.cells, start=1)
        for output in cell.get("outputs", [])
        for what in output_problems(output)
    ]


def without_active(notebook: "NotebookNode") -> None:
    """Put a word of explanation in the place of each output that no page takes."""
    import nbformat

    for cell in notebook.cells:
        for number, output in enumerate(cell.get("outputs", [])):
            if found := output_problems(output):
                words = f"[An output is not shown here: {found[0]}.]"
                data = {"text/plain": words}
                cell.outputs[number] = nbformat.v4.new_output("display_data", data)


def output_problems(output: "NotebookNode") -> list[str]:
    """Return what an output holds that no page takes; streams and tracebacks are only words."""
    data = output.get("data", {})
    found = [f"an output is of the kind {kind}" for kind in sorted(set(data) - _KINDS)]
    found += [f"its HTML holds {what}" for what in html_problems(data.get("text/html", ""))]
    found += [
        f"its Markdown holds {what}" for what in words_problems(data.get("text/markdown", ""))
    ]
    about = output.get("metadata", {}).get("book", {})
    caption = " ".join(str(about.get("caption", "")).split())
    found += [f"the caption of its figure holds {what}" for what in words_problems(caption)]
    if not all(isinstance(about.get(side, 0), int | float) for side in ("width", "height")):
        found.append("the size of its figure is no number")
    return found


def html_problems(html: str) -> list[str]:
    """Return what some HTML holds beside words and the tags of words and tables."""
    return list(dict.fromkeys(_html_problems(html)))


def words_problems(markdown: str) -> list[str]:
    """Return what some Markdown holds beside words, emphasis, links, lists and mathematics."""
    block = _CODE_BLOCK.fullmatch(markdown)
    if block and not re.search(rf"^\s*{block['fence']}", block["code"], re.MULTILINE):
        return []
    return [what for what, pattern in _WORDS.items() if pattern.search(markdown)]


def _html_problems(html: str) -> Iterator[str]:
    opened: list[str] = []
    place = html.find("<")
    while place >= 0:
        tag = _TAG.match(html, place)
        if tag is None or tag[2] not in _TAGS:
            yield _excerpt(html, place)
        else:
            yield from _attribute_problems(tag[3])
            if tag[1]:
                if not opened or opened.pop() != tag[2]:
                    yield f"</{tag[2]}> where it closes nothing"
                    return
            elif tag[2] not in _VOID:
                opened.append(tag[2])
        place = html.find("<", place + 1)
    if opened:
        yield f"<{opened[-1]}> that is not closed"


def _attribute_problems(attributes: str) -> Iterator[str]:
    for name, value in _ATTRIBUTE.findall(attributes):
        if name not in _ATTRIBUTES:
            yield f"the attribute {name}"
        elif name == "href" and not _ADDRESS.fullmatch(unescape(value)):
            yield f"a link to {unescape(value)[:40]!r}"


def _excerpt(html: str, place: int) -> str:
    """Return the beginning of what is not understood, in one word."""
    return re.match(r"<[/!?]?[\w-]*", html[place:])[0] or "<"
