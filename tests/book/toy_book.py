"""A small book whose chapters need no torch, for the tests of the execution machinery."""

from pathlib import Path

import src

HEADER = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A title
#
# Some words.

# %% tags=["parameters"]
profile = "quick"
seed = 0
scale = 1.0

# %%
SIZES = {"quick": {"n": 3}, "cpu": {"n": 5}}
"""


class ToyBook:
    """Writes chapters, modules and papers into a temporary root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # The toy book's own modules, and behind them the real ones.
        real = Path(src.__file__).parent
        (root / "src/__init__.py").write_text(f"__path__ = [*__path__, {str(real)!r}]\n")

    def chapter(self, name: str, *cells: str, header: str = HEADER) -> str:
        """Write a chapter of the given code cells; return its name."""
        file = self.root / f"chapters/{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(header + "".join(f"\n# %%\n{cell.strip()}\n" for cell in cells))
        return name

    def module(self, name: str, text: str) -> None:
        """Write a module such as "src.toys.one"."""
        file = self.root / (name.replace(".", "/") + ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def paper(self, name: str, chapter: str) -> None:
        """Write a catalogue entry with one exact and one interval claim."""
        (self.root / f"data/papers/{name}.yml").write_text(PAPER.format(chapter=chapter))


PAPER = """\
title: A paper
authors: [A. Author]
year: 2020
part: foundations
chapter: {chapter}
idea: One idea.
reruns: One experiment.
claims:
  C1:
    says: it is better
    paper: null
    measure: method minus baseline, one value a seed
    kind: t
    unit: seed
    expect: {{statistic: mean, op: ">", value: 0}}
    tolerance: 0.1
"""
