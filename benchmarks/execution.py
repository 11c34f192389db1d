"""Our runner beside the obvious alternatives: `python -m benchmarks.execution`.

The same notebooks are executed by this book's runner, by a loop over the `papermill` command, by
jupyter-cache with its parallel executor, and by Jupyter Book's own `execute_notebooks: force`, in
turn, each repetition in fresh folders. Timed are whole commands: everything from nothing, again
with nothing changed, and again after one notebook has changed. Jupyter Book executes while it
renders, and is therefore compared with our runner and renderer together. The table goes to the page
"Running at scale" by way of the timing ledger; `--print-only` leaves the ledger alone. About ten
minutes on two idle cores.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import yaml

from benchmarks import tiny_book
from src.book.evidence import ledger
from src.book.execution.runner import default_jobs
from src.book.notebook import notebooks
from src.book.site.pages.run_times import PHASES, benchmark_rows
from src.book.storage import paths
from src.book.storage.dependencies import papers_of

TINY, TINY_REPEATS, REAL_REPEATS = 12, 3, 2
CHAPTERS = ("foundations/matrix_calculus", "foundations/transformer")
COLD, NO_OP, CHANGED = PHASES
_LIMIT_S = "1200"

# Everything is executed where it lies and runs on one thread, as the runner's kernels do.
_OWN_PAGES = ("_config.yml", "_toc.yml", "index.md", "pages", "_static", "constraints.txt")


@dataclass(frozen=True)
class Book:
    """A copy of the notebooks: its root, and the chapters' names."""

    root: Path
    chapters: tuple[str, ...]

    @property
    def notebooks(self) -> list[Path]:
        """The chapters as notebooks without outputs, as the peers take them."""
        return [self.root / f"chapters/{name}.ipynb" for name in self.chapters]

    def change_the_first(self) -> None:
        """Add a comment to the last cell of the first notebook, and to its source."""
        source = self.root / f"chapters/{self.chapters[0]}.py"
        source.write_text(source.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
        self.write_notebooks(self.chapters[:1])

    def write_notebooks(self, chapters: tuple[str, ...]) -> None:
        """Write chapters as notebooks."""
        for name in chapters:
            text = (self.root / f"chapters/{name}.py").read_text(encoding="utf-8")
            file = self.root / f"chapters/{name}.ipynb"
            file.write_text(notebooks.dumps(notebooks.read_source(text)), encoding="utf-8")

    def command(self, *arguments: str) -> float:
        """Run `python ...` on this copy; return the seconds, or end the benchmark if it fails."""
        environment = {
            **os.environ,
            "BOOK_ROOT": str(self.root),
            "BOOK_BUILD": str(self.root / "_build"),
            "PYTHONPATH": os.pathsep.join((str(self.root), str(tiny_book.REPOSITORY))),
            "JUPYTERCACHE": str(self.root / ".jupyter_cache"),
            "OMP_NUM_THREADS": "1",
        }
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=environment,
            input="y\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip; jupyter-cache asks whether it may begin a cache
        passed = time.perf_counter() - began
        faults = ("Execution Excepted", "Execution Failed", "Traceback (most recent call last)")
        if done.returncode != 0 or any(fault in done.stdout for fault in faults):
            raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stdout[-3000:]}")
        return passed


Seconds = dict[str, float]
Rows = dict[str, Seconds]


def ours(book: Book) -> Rows:
    """Run, then render: two rows, without and with the rendering."""

    def both() -> tuple[float, float]:
        run = book.command("-m", "src.book", "run")
        return run, run + book.command("-m", "src.book", "site")

    cold, again = both(), both()
    book.change_the_first()
    changed = both()
    return {
        name: dict(zip(PHASES, (cold[k], again[k], changed[k]), strict=True))
        for k, name in enumerate(("this book", "this book, with rendering"))
    }


def papermill(book: Book) -> Rows:
    """One command after the other; it does not know what has changed, a person does."""

    def one(notebook: Path) -> float:
        out = str(notebook.with_suffix(".out.ipynb"))
        settings = ("-k", "python3", "--no-progress-bar", "--cwd", str(notebook.parent))
        return book.command("-m", "papermill", str(notebook), out, *settings)

    cold = sum(one(notebook) for notebook in book.notebooks)
    book.change_the_first()
    return {"papermill in a loop": {COLD: cold, CHANGED: one(book.notebooks[0])}}


def jupyter_cache(book: Book) -> Rows:
    """One project with all notebooks, on as many processes as there are cores."""
    module = "from jupyter_cache.cli.commands.cmd_main import jcache; jcache()"

    def execute() -> float:
        return book.command(
            "-c", module, "project", "execute", "-e", "local-parallel", "-t", _LIMIT_S
        )

    cold = book.command("-c", module, "notebook", "add", *map(str, book.notebooks)) + execute()
    again = execute()
    book.change_the_first()
    return {"jupyter-cache": {COLD: cold, NO_OP: again, CHANGED: execute()}}


def jupyter_book(book: Book) -> Rows:
    """A plain book of the same notebooks, without this book's pages and extensions."""
    pages = [{"file": f"chapters/{name}"} for name in book.chapters]
    contents = {"format": "jb-book", "root": "index", "chapters": pages}
    execute = {"execute_notebooks": "force", "timeout": int(_LIMIT_S)}
    config = {"title": "A book", "only_build_toc_files": True, "execute": execute}
    config["sphinx"] = {"config": {"nb_execution_raise_on_error": True}}
    (book.root / "_toc.yml").write_text(yaml.safe_dump(contents), encoding="utf-8")
    (book.root / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (book.root / "index.md").write_text("# A book\n", encoding="utf-8")

    def build() -> float:
        main = "from jupyter_book.cli.main import main; main()"
        return book.command("-c", main, "build", str(book.root))

    cold, again = build(), build()
    book.change_the_first()
    return {"Jupyter Book, force": {COLD: cold, NO_OP: again, CHANGED: build()}}


RUNNERS: tuple[Callable[[Book], Rows], ...] = (ours, papermill, jupyter_cache, jupyter_book)


def tiny(root: Path) -> Book:
    """Copy nothing, make tiny chapters."""
    return Book(root, tuple(tiny_book.make(root, TINY)))


def real(root: Path) -> Book:
    """Copy two real chapters, with all that their pages need."""
    here = tiny_book.REPOSITORY
    for name in (*_OWN_PAGES, "data/datasets.yml", "data/results", "data/papers/planned.jsonl"):
        _copy(here / name, root / name)
    for name in CHAPTERS:
        _copy(here / f"chapters/{name}.py", root / f"chapters/{name}.py")
        for file in [*papers_of(name), paths.models_dir(name)]:
            _copy(file, root / file.relative_to(here))
    return Book(root, CHAPTERS)


def _copy(source: Path, target: Path) -> None:
    if source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)


def measure(make: Callable[[Path], Book], repeats: int) -> dict[str, dict[str, list[float]]]:
    """Let the runners take turns; return seconds by row and phase, one a repetition."""
    found: dict[str, dict[str, list[float]]] = {}
    for repeat in range(repeats):
        for place in range(len(RUNNERS)):
            runner = RUNNERS[(place + repeat) % len(RUNNERS)]
            with tempfile.TemporaryDirectory(prefix="execution-") as folder:
                book = make(Path(folder))
                book.write_notebooks(book.chapters)
                for row, phases in runner(book).items():
                    for phase, seconds in phases.items():
                        found.setdefault(row, {}).setdefault(phase, []).append(round(seconds, 2))
                    print(repeat + 1, row, phases, flush=True)
    return found


def in_words(entry: dict) -> str:
    """Return the tables of an entry as plain text."""
    lines = []
    for name, rows in entry["sets"].items():
        lines += ["", name]
        lines += ["  ".join(f"{cell:<28}" for cell in cells) for cells in benchmark_rows(rows)]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--print-only", action="store_true", help="do not write to the ledger")
    parser.add_argument("--only", choices=("tiny", "real"), help="one set of notebooks")
    parser.add_argument("--repeats", type=int, help=f"default {TINY_REPEATS} and {REAL_REPEATS}")
    options = parser.parse_args()
    sets = {
        "tiny": (f"{TINY} tiny notebooks", tiny, TINY_REPEATS),
        "real": ("Two chapters, quick", real, REAL_REPEATS),
    }
    entry: dict[str, object] = {
        "sets": {
            words: measure(make, options.repeats or repeats)
            for name, (words, make, repeats) in sets.items()
            if options.only in (None, name)
        },
        "jobs": default_jobs("quick"),
        "versions": {n: version(n) for n in ("papermill", "jupyter-cache", "jupyter-book")},
    }
    print(in_words(entry))
    if not options.print_only:
        ledger.write("execution", "timing", entry)


if __name__ == "__main__":
    main()
