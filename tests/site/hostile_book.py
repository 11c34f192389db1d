"""The toy book with hostile words wherever data reaches a page."""

import json

import nbformat
import yaml

from tests.site.fake_book import (
    CHAPTER,
    PAPER,
    figure_outputs,
    make_book,
    measured,
    run_result,
    write,
)

SCRIPT = "<script>window.ran = 'script'</script>"
IMAGE = "<img src=x onerror=\"window.ran = 'image'\">"
SHORT = "<img src=x onerror=window.ran=1>"  # a search shows titles not much longer than its words
QUOTE = "\"'><script>window.ran='quote'</script>"
QUOTE += "\"' autofocus onfocus=window.ran='focus' onmouseover=window.ran='mouse' x='"
ATTACK = f"Ha {SCRIPT} {IMAGE} {QUOTE}"
LINK = r"\href{javascript:window.ran='link'}{\text{click}}"
GOOD_TABLE = '<table class="book-table"><tbody><tr><td>a good table</td></tr></tbody></table>'
OUTER = "window.ran = 'output'"

make = nbformat.v4.new_output
HOSTILE = {
    "html": make("display_data", {"text/html": f"<p>before</p><script>{OUTER}</script>"}),
    "handler": make("display_data", {"text/html": f'<p class="x" onclick="{OUTER}">press</p>'}),
    "image": make("display_data", {"text/html": f"<img src=x onerror={OUTER!r}>"}),
    "address": make("display_data", {"text/html": '<a href="java&#115;cript:ran=1">go</a>'}),
    "frame": make("display_data", {"text/html": '<iframe src="https://example.org"></iframe>'}),
    "escape": make("display_data", {"text/html": "</div></section></article><p>out</p>"}),
    "broken": make("display_data", {"text/html": f"<p title='><script>{OUTER}</script>'>x</p>"}),
    "javascript": make("display_data", {"application/javascript": OUTER}),
    "drawing": make("display_data", {"image/svg+xml": f"<svg onload={OUTER!r}></svg>"}),
    "markdown": make("display_data", {"text/markdown": f"word <script>{OUTER}</script>"}),
    "directive": make(
        "display_data", {"text/markdown": f"```{{raw}} html\n<script>{OUTER}</script>\n```"}
    ),
    "block": make(
        "display_data",
        {"text/markdown": f"```python\n1\n```\n<script>{OUTER}</script>\n```python\n2\n```"},
    ),
    "include": make("display_data", {"text/markdown": ":::{include} /etc/passwd\n:::"}),
    "picture": make("display_data", {"text/markdown": "![x](https://example.org/x.png)"}),
}
HARMLESS = {
    "stream": make("stream", text=f"printed {ATTACK}\n"),
    "plain": make("display_data", {"text/plain": f"plain {ATTACK}"}),
    "table": make("display_data", {"text/html": GOOD_TABLE}),
    "code": make("display_data", {"text/markdown": f"```python\nx = {SCRIPT!r}\n```"}),
    "words": make("display_data", {"text/markdown": "*a caption* with $a < b$, {{ 7 * 6 }}"}),
    "formula": make("display_data", {"text/latex": f"$${LINK}$$"}),
    "link": make("display_data", {"text/markdown": "[go](javascript:window.ran=1)"}),
}


def make_hostile_book(root):
    """Write the toy book with hostile words; return its folder."""
    make_book(root)
    paper = yaml.safe_load(PAPER)
    for name in ("title", "venue", "idea", "reruns"):
        paper[name] = f"{name} {ATTACK}"
    paper["authors"] = [f"A. {ATTACK}", "B. Writer"]
    paper["repository"] = "https://example.org/x?a=1&b=2"
    paper["changes"] = [ATTACK]
    for claim in paper["claims"].values():
        claim |= {"says": f"says {ATTACK}", "paper": f"=cmd {ATTACK}"}
        claim |= {"measure": ATTACK, "unit": f"unit {ATTACK}", "not_tested": ATTACK}
    paper["claims"]["C3"]["says"] = SHORT
    write(root / "data/papers/toy.yml", yaml.safe_dump(paper))
    planned = {"id": "later", "title": f"Later {ATTACK}", "year": 2021, "chapter": "vision/later"}
    planned["idea"] = f"Do it later: {ATTACK}."
    write(root / "data/papers/planned.jsonl", json.dumps(planned) + "\n")
    where = {"device": f"device {ATTACK}", "date": ATTACK, "commit": ATTACK}
    found = measured("C1", f"verdict {ATTACK}", 1.0, 0.9, 1.1)
    sure = measured("C2", "supported", 1.0, 0.9, 1.1)
    entry = {"measurements": [found, sure], "provenance": where, "seconds": 3.0}
    write(root / f"data/results/cpu/{CHAPTER}.json", json.dumps(entry))
    quick = {"measurements": [measured("C2", f"quick {ATTACK}", 1.0, 0.9, 1.1)]}
    write(root / f"data/results/quick/{CHAPTER}.json", json.dumps(quick))
    figure = figure_outputs(alt=f"A rectangle {ATTACK}")
    captioned = figure_outputs()
    captioned[0].metadata["book"] |= {"caption": ATTACK, "name": "other"}
    captioned[1].metadata["book"] |= {"caption_of": "other"}
    captioned[1].data["text/markdown"] = f"*{ATTACK}*"
    run_result(
        root, figure, status="failed", cell=4, reason=f"ValueError: {ATTACK}", log=f"log {ATTACK}"
    )
    page = root / f"_build/runs/quick/{CHAPTER}.ipynb"
    notebook = nbformat.read(page, as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    first.outputs = [*HARMLESS.values(), *HOSTILE.values(), *captioned]
    nbformat.write(notebook, page)
    return root
