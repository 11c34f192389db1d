"""The golden page: what a run writes, byte by byte, for `EXECUTION_VERSION` to guard.

`python -m tests.book.golden` writes `golden.json` again, and only after the version was raised.
"""

import base64
import hashlib
import io
import json
import os
import tempfile
from pathlib import Path

from PIL import Image

FILE = Path(__file__).with_name("golden.json")
CHAPTER = "foundations/golden"
PAPER = """\
title: A golden paper
authors: [A. Author]
year: 2020
part: foundations
chapter: foundations/golden
idea: One idea.
reruns: One experiment.
claims:
  C1:
    says: the first is larger than the second
    paper: "1.0"
    measure: first minus second, one value a seed
    kind: t
    unit: seed
    expect: {statistic: mean, op: ">", value: 0}
    tolerance: 0.1
  C2:
    says: the error is small
    paper: null
    measure: largest error, one value a matrix
    kind: exact
    unit: matrix
    expect: {statistic: max, op: "<=", value: 1.0e-6}
  C3:
    says: it needs more than a laptop
    paper: null
    measure: accuracy, one value a seed
    kind: t
    unit: seed
    expect: {statistic: mean, op: ">", value: 0.5}
    tolerance: 0.1
    profiles: [gpu]
    not_tested: it needs a GPU
"""
LEDGER = {
    "measurements": [
        {"paper": "golden", "claim": "C1", "verdict": "inconclusive", "statistic": "mean"}
        | {"estimate": 0.5, "low": -0.5, "high": 1.5, "n": 6, "unit": "seed", "samples": []}
    ],
    "recorded": {"table": {"a": 1}},
    "provenance": {"device": "a processor", "date": "2026-01-02"},
}
MODULE = "def twice(x):\n    # What is shown is shown with its comments.\n    return 2 * x\n"
# One cell for each thing that a page gets from the machinery.
CELLS = (
    "from src.book import show, start\nfrom src.book.chapter.figures import COLOURS\n"
    "from src.book.chapter.tables import Table\nfrom src.toys import twice\nimport torch\n"
    "import matplotlib.pyplot as plt\n"
    f'run = start("{CHAPTER}", profile=profile, seed=seed, sizes=SIZES)\nrun',
    "print(run.sizes.n, run.device, scale)\nprint(twice(torch.arange(3)))",
    "show(twice)",
    'run.unit("u", twice, 3)',
    'run.measure("golden", "C1", [1.0, 1.1, 0.9, 1.05, 0.95, 1.0])\n'
    'run.measure("golden", "C2", [0.0])',
    "run.verdicts()",
    "run.verdict_words()",
    "run.at_scale()",
    'run.record("curve", [1, 2.5]).source, run.record("table", None)',
    'Table(["name", "value"], [["a", 1], ["b", None]])',
    "fig, ax = plt.subplots(figsize=(2, 1))\n"
    'ax.plot([0, 1], [0, 1], color=COLOURS[0], label="one")\nax.set_axis_off()\n'
    'run.figure(fig, "line", "A line, for C1.", "A line that rises from left to right.")',
)


def write(toys) -> None:
    """Write the golden page's book."""
    toys.module("src.toys", MODULE)
    toys.chapter(CHAPTER, *CELLS)
    (toys.root / "data/papers/golden.yml").write_text(PAPER)
    entry = toys.root / f"data/results/cpu/{CHAPTER}.json"
    entry.parent.mkdir(parents=True)
    entry.write_text(json.dumps(LEDGER))


def content() -> dict:
    """Run the golden page in the book of `$BOOK_ROOT`; return what it wrote, images by pixel."""
    from src.book.execution.execute import execute
    from src.book.notebook import notebooks
    from src.book.storage import paths

    result = execute(CHAPTER)
    assert result.status == "ok", result.reason
    page = json.loads(notebooks.dumps(notebooks.load(paths.run_file(CHAPTER, "quick"))))
    for cell in page["cells"]:
        del cell["source"], cell["id"]  # not written by the machinery, and renamed with a module
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output["data"]["image/png"] = pixels("".join(output["data"]["image/png"]))
    kept = ("status", "seed", "parameters", "shown", "measurements", "recorded", "data", "models")
    return {"result": {name: getattr(result, name) for name in kept}, "page": page}


def pixels(png: str) -> str:
    """Return a checksum of an image's pixels: compression differs between processors."""
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGBA")
    return f"{image.size} {hashlib.sha256(image.tobytes()).hexdigest()}"


def differences(golden: dict, found: dict) -> list[str]:
    """Return the lines in which what was written is not what the golden file says."""
    before, after = (json.dumps(x, indent=1, sort_keys=True).splitlines() for x in (golden, found))
    if len(before) != len(after):
        return [f"{len(after)} lines instead of {len(before)}"]
    return [
        f"{a.strip()} instead of {b.strip()}" for b, a in zip(before, after, strict=True) if a != b
    ]


def main() -> None:
    """Write the golden file for a raised version."""
    from src.book.storage import dependencies
    from tests.book.toy_book import ToyBook

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("data/papers", "data/results", "chapters", "src"):
            (root / name).mkdir(parents=True)
        (root / "data/datasets.yml").write_text("{}\n")
        os.environ |= {"BOOK_ROOT": folder, "BOOK_BUILD": str(root / "_build")}
        write(ToyBook(root))
        found = content()
    golden = json.loads(FILE.read_text()) if FILE.exists() else {"execution_version": 0}
    version = dependencies.EXECUTION_VERSION
    if golden["execution_version"] >= version and golden != {"execution_version": version, **found}:
        raise SystemExit(f"what a run writes has changed: raise EXECUTION_VERSION above {version}")
    text = json.dumps({"execution_version": version, **found}, indent=1, sort_keys=True)
    FILE.write_text(text + "\n")


if __name__ == "__main__":
    main()
