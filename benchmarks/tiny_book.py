"""A book of tiny chapters for the benchmarks of the runner: what it costs when nothing is computed.

Each chapter has a paper of its own and imports one shared module, which names the run context as
real chapters do, so that as many files count as its inputs; it never loads it.
"""

import shutil
from pathlib import Path

import src

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = "src/tiny.py"
_PAGES = ("_config.yml", "_toc.yml", "index.md", "pages", "_static")

_CHAPTER = """\
# %% [markdown]
# # Tiny chapter {number}
#
# It adds two numbers.

# %% tags=["parameters"]
profile = "quick"
seed = 0

# %%
SIZES = {{"quick": {{"n": {number}}}}}

# %%
from src.tiny import add

add(SIZES[profile]["n"], 1)
"""

_SHARED = '''\
"""What the tiny chapters share."""


def add(a, b):
    return a + b


def never_called():
    from src.book import start
    from src.book.storage.data import fetch
'''

_PAPER = """\
title: Tiny paper {number}
authors: [A. Author]
year: 2020
part: foundations
chapter: foundations/tiny_{number:03d}
idea: Two numbers are added.
reruns: the sum
claims:
  C1:
    says: the sum is right
    paper: null
    measure: the error, one value a sum
    kind: exact
    unit: sum
    expect: {{statistic: max, op: "<=", value: 0}}
"""


def make(root: Path, chapters: int) -> list[str]:
    """Write a book of tiny chapters; return their names."""
    for name in _PAGES:
        copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copyfile
        copy(REPOSITORY / name, root / name)
    # The book's own module, and behind it the real ones.
    real = Path(src.__file__).parent
    _write(root / "src/__init__.py", f"__path__ = [*__path__, {str(real)!r}]\n")
    _write(root / SHARED, _SHARED)
    _write(root / "data/datasets.yml", "{}\n")
    _write(root / "constraints.txt", "")
    names = [f"foundations/tiny_{number:03d}" for number in range(chapters)]
    for number, name in enumerate(names):
        _write(root / f"chapters/{name}.py", _CHAPTER.format(number=number))
        _write(root / f"data/papers/tiny-{number:03d}.yml", _PAPER.format(number=number))
    return names


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
