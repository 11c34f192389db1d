"""A tiny book for the tests: one part, one paper with four claims, made-up results."""

import base64
import io
import json
import shutil
import textwrap
from pathlib import Path

import nbformat

HERE = Path(__file__).resolve().parents[2]
CHAPTER = "foundations/toy"

SOURCE = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A toy chapter
#
# It shows that two is more than one.

# %% tags=["parameters"]
profile = "quick"
seed = 0

# %% [markdown]
# ## The idea
#
# Scores are scaled, $s = q k^\\top / \\sqrt{d_k}$, and
#
# $$ a = \\mathrm{softmax}(s). $$ (toy-softmax)
#
# $$\\begin{bmatrix}1\\\\2\\end{bmatrix} \\tag{2}$$
#
# See [the other chapter](../gnn/other.ipynb).

# %% tags=["hide-input"]
draw()
run.measure("toy", "C1", [1.0])
"""

OTHER = """\
# %% [markdown]
# # Another chapter
#
# It has not been run.

# %%
1 + 1
"""

PAPER = """\
title: Two is more than one
authors: [A. Author, B. Writer]
year: 2020
arxiv: "2001.00001"
part: foundations
chapter: foundations/toy
idea: two is compared with one
reruns: the comparison of two with one, for five seeds
claims:
  C1:
    says: two is more than one
    paper: "2 > 1"
    measure: two minus one, one value a seed
    kind: t
    unit: seed
    expect: {statistic: difference, op: ">", value: 0.0}
    tolerance: 0.05
  C2:
    says: one is more than `two`
    paper: null
    measure: one minus two, one value a seed
    kind: t
    unit: seed
    expect: {statistic: mean, op: ">", value: 0.0}
    tolerance: 0.05
  C3:
    says: two is a billion
    paper: "1e9"
    measure: two
    kind: t
    unit: seed
    expect: {statistic: mean, op: ">", value: 1e9}
    profiles: []
    not_tested: nobody has a billion
"""


def measured(claim: str, verdict: str, estimate: float, low: float, high: float) -> dict:
    return {
        "paper": "toy",
        "claim": claim,
        "samples": [1.0],
        "statistic": "mean",
        "unit": "seed",
        "verdict": verdict,
        "n": 5,
        "estimate": estimate,
        "low": low,
        "high": high,
        "reason": None,
    }


def png(width: int = 700, height: int = 360) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def figure_outputs(alt: str = "A white rectangle that stands for a figure.") -> list:
    about = {"name": "idea", "caption": "Two *and* one.", "alt": alt, "width": 672, "height": 346}
    data = {"image/png": png(), "text/plain": f"[figure idea: {alt}]"}
    words = {"text/markdown": "*Two and one.*", "text/plain": "Two and one."}
    make = nbformat.v4.new_output
    return [
        make("display_data", data, metadata={"book": about}),
        make("display_data", words, metadata={"book": {"caption_of": "idea"}}),
    ]


def make_book(root: Path) -> Path:
    """Write the toy book; return its folder."""
    for name in ("_config.yml", "_toc.yml", "index.md", "pages", "_static"):
        copy = shutil.copytree if (HERE / name).is_dir() else shutil.copyfile
        root.mkdir(exist_ok=True)
        copy(HERE / name, root / name)
    write(root / "chapters/foundations/toy.py", SOURCE)
    write(root / "chapters/gnn/other.py", OTHER)
    write(root / "data/papers/toy.yml", PAPER)
    planned = {"id": "later", "title": "A later paper", "year": 2021, "chapter": "vision/later"}
    planned["idea"] = "Do what the others do once more, only later."
    write(root / "data/papers/planned.jsonl", json.dumps(planned) + "\n")
    ledger = {
        "measurements": [
            measured("C1", "supported", 1.0, 0.9, 1.1),
            measured("C2", "not supported", -1.0, -1.1, -0.9),
        ]
    }
    write(root / f"data/results/quick/{CHAPTER}.json", json.dumps(ledger))
    return root


def run_result(root: Path, outputs: list | None = None, **result: object) -> None:
    """Write what a run of the toy chapter leaves behind."""
    from src.book.notebook import notebooks

    notebook = notebooks.read_source(SOURCE)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for count, cell in enumerate(code, start=1):
        cell.execution_count = count
    code[-1].outputs = figure_outputs() if outputs is None else outputs
    file = root / f"_build/runs/quick/{CHAPTER}.ipynb"
    write(file, notebooks.dumps(notebook))
    told = {
        "chapter": CHAPTER,
        "profile": "quick",
        "status": "ok",
        "seconds": 12.3,
        "startup_seconds": 2.5,
        "peak_memory_mb": 410.2,
        **result,
    }
    write(file.with_suffix(".json"), json.dumps(told))


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(textwrap.dedent(text), encoding="utf-8")
