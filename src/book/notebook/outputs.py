"""What a cell's output may bring onto a page: words, tables and figures, nothing that acts.

A chapter's code is reviewed; what it prints is made from data, which may come from anywhere. So a
page takes only what does nothing but be read. HTML is admitted if it is written as nh3, a parser
with the rules of browsers, writes it: tags in lower case, attributes in double quotes, all closed,
a table's rows in a <tbody>.
"""

import re
from html import escape, unescape
from itertools import zip_longest
from typing import TYPE_CHECKING

import nh3

from src.book.notebook.notebooks import numbered_outputs

if TYPE_CHECKING:
    from nbformat import NotebookNode

_KINDS = {"text/plain", "text/html", "text/markdown", "text/latex", "image/png"}
_REMEDY = "show words, Table(...), show(...) or run.figure(...)"

_TAGS = """
    a abbr b blockquote br caption cite code col colgroup dd del details div dl dt em figcaption
    figure h2 h3 h4 h5 h6 hr i ins kbd li mark ol p pre q s samp small span strong sub summary sup
    table tbody td tfoot th thead time tr u ul var wbr
"""
_ATTRIBUTES = {"class", "colspan", "dir", "href", "lang", "rowspan", "scope", "title"}
_TEXT = re.compile(r"(?:^|(?<=>))[^<]+")
_SHOWN = 40
_ADDRESS = re.compile(r"https://\S+|(?!//)[\w./-]*(?:#[\w-]*)?")
_CLEANER = nh3.Cleaner(
    tags=set(_TAGS.split()),
    attributes={"*": _ATTRIBUTES},
    attribute_filter=lambda tag, name, value: (
        value if name != "href" or _ADDRESS.fullmatch(value) else None
    ),
    url_schemes={"https"},
    link_rel=None,
)

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
        for number, output in numbered_outputs(notebook)
        for what in output_problems(output)
    ]


def without_active(notebook: "NotebookNode") -> None:
    """Put a word of explanation in the place of each output that no page takes."""
    import nbformat

    for _, output in numbered_outputs(notebook):
        if found := output_problems(output):
            data = {"text/plain": f"[An output is not shown here: {found[0]}.]"}
            output.clear()
            output.update(nbformat.v4.new_output("display_data", data))


def output_problems(output: "NotebookNode") -> list[str]:
    """Return what an output holds that no page takes; streams and tracebacks are only words."""
    data = output.get("data", {})
    found = [f"an output is of the kind {kind}" for kind in sorted(set(data) - _KINDS)]
    found += [f"its HTML holds {what}" for what in html_problems(data.get("text/html", ""))]
    markdown = data.get("text/markdown", "")
    found += [f"its Markdown holds {what}" for what in words_problems(markdown)]
    about = output.get("metadata", {}).get("book", {})
    caption = " ".join(str(about.get("caption", "")).split())
    found += [f"the caption of its figure holds {what}" for what in words_problems(caption)]
    if not all(isinstance(about.get(side, 0), int | float) for side in ("width", "height")):
        found.append("the size of its figure is no number")
    return found


def html_problems(html: str) -> list[str]:
    """Return what some HTML holds beside words and the tags of words and tables: the first place.

    Only what is the same before and after it is cleaned is shown: no two browsers read it in two
    ways, and a page says what its author wrote.
    """
    written, admitted = _TEXT.sub(_as_written, html), _CLEANER.clean(html)
    if written == admitted:
        return []
    pairs = enumerate(zip_longest(written, admitted))
    same = next(number for number, (ours, theirs) in pairs if ours != theirs)
    place = max(written.rfind("<", 0, same + 1), 0)
    return [repr(written[place : place + _SHOWN])]


def words_problems(markdown: str) -> list[str]:
    """Return what some Markdown holds beside words, emphasis, links, lists and mathematics."""
    block = _CODE_BLOCK.fullmatch(markdown)
    if block and not re.search(rf"^\s*{block['fence']}", block["code"], re.MULTILINE):
        return []
    return [what for what, pattern in _WORDS.items() if pattern.search(markdown)]


def _as_written(words: re.Match) -> str:
    """Return the words between two tags in the way in which the parser writes them."""
    return escape(unescape(words[0]), quote=False).replace("\xa0", "&nbsp;")
