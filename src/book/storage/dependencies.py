"""What a chapter's run depends on, by content: nothing is imported, time stamps play no part.

A chapter is run again when one of these changed: the code of its cells and of the modules of `src`
that they reach (`content_keys`), a source that it shows, its papers' catalogue entries, the larger
profiles' ledger entries that the quick page shows, its small models, its parameters, the checksum
of a data set that it fetched, what the machinery makes of a run, or the environment.
"""

import contextlib
import hashlib
import json
import platform
import re
import textwrap
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from src.book.storage import content_keys, paths
from src.book.storage.one_look import once

# Raise it when a run writes something else than before from the same cells: an output, a figure, a
# measurement. All pages are then run again. tests/book/test_golden.py says when it is due.
EXECUTION_VERSION = 1
# The libraries that numbers, figures and outputs come from.
LIBRARIES = (
    "torch", "numpy", "scipy", "scikit-learn", "networkx", "torch-geometric", "sympy", "matplotlib",
    "safetensors", "sentencepiece", "sacrebleu", "pillow", "ipython",
)  # fmt: skip
_CHAPTER_FIELD = re.compile(r"""^chapter:\s*["']?([^\s"'#]+)""", re.MULTILINE)
_INDENTS = ("", "    ", "        ")  # of a function, a method, a method of an inner class


def inputs(chapter: str, profile: str) -> dict[str, str]:
    """Return the checksum of everything that a run with the chapter's own parameters depends on.

    They have names: "code", a file's path, "execution", "parameters".
    """
    root = paths.root()
    files = [*papers_of(chapter), *paths.models_dir(chapter).rglob("*")]
    if profile == "quick":  # its page also shows what the larger profiles measured
        files += [paths.results_file(chapter, other) for other in ("cpu", "gpu", "timing")]
    found = {f.relative_to(root).as_posix(): _checksum(f) for f in files if f.is_file()}
    found["code"] = chapter_code(chapter)
    found["execution"] = str(EXECUTION_VERSION)
    found["parameters"] = parameter_text({})
    return dict(sorted(found.items()))


@once
def environment() -> dict[str, str]:
    """Return what a run is recorded with beside its inputs: Python, and the libraries' versions.

    Evidence in the ledger serves in every supported environment; a run on this machine stands only
    while its environment does. A version may name a build: torch 2.13.0+cpu.
    """
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def chapter_code(chapter: str) -> str:
    """Return the content key of a chapter's code; "" without its source, as in a wheel."""
    source = _source(chapter)
    return content_keys.of_file(source).key if source.is_file() else ""


def modules(chapter: str) -> dict[str, str]:
    """Return the checksum of each file of code that a chapter reaches, to say what changed."""
    source = _source(chapter)
    if not source.is_file():
        return {}
    reached = content_keys.of_file(source)
    return {f"chapters/{chapter}.py": reached.own, **reached.modules}


def place_of(code: str, chapter: str) -> tuple[str, int, int] | None:
    """Return where a source that a chapter shows stands: file, first and last line; None if gone.

    The source is given dedented; what the chapter reaches is searched, and its own cells.
    """
    for file in _sources(chapter):
        text = _text(file)
        for indent in _INDENTS:
            at = text.find(f"\n{textwrap.indent(code, indent)}\n")
            if at >= 0:
                first = text.count("\n", 0, at) + 1
                base = next(r for r in (paths.root(), paths.package_root()) if r in file.parents)
                return file.relative_to(base).as_posix(), first, first + code.count("\n")
    return None


def parameter_text(unusual: dict[str, object]) -> str:
    """Return the input that stands for the parameters which differ from the chapter's own."""
    return json.dumps(unusual, sort_keys=True)


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return the names of the inputs that differ."""
    return sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))


def changed_data(fetched: list[dict]) -> list[str]:
    """Return the data sets of a run ({"name", "sha256"} each) whose registered checksum changed."""
    if not fetched:
        return []
    from src.book.storage.data import registry

    known = {name: data.sha256 for name, data in registry().items()}
    return [data["name"] for data in fetched if known.get(data["name"]) != data["sha256"]]


def papers_of(chapter: str) -> list[Path]:
    """Return the catalogue files of a chapter's papers (found by their text, not validated)."""
    return _papers().get(chapter, [])


@once
def _papers() -> dict[str | None, list[Path]]:
    """Return the catalogue files by the chapter that they name."""
    found: dict[str | None, list[Path]] = {}
    for file in paths.paper_files():
        stat = file.stat()
        found.setdefault(_chapter_of(file, stat.st_mtime_ns, stat.st_size), []).append(file)
    return found


@lru_cache(maxsize=2000)
def _chapter_of(paper: Path, _changed: int, _size: int) -> str | None:
    field = _CHAPTER_FIELD.search(paper.read_text(encoding="utf-8-sig", errors="replace"))
    return field.group(1) if field else None


def _source(chapter: str) -> Path:
    return paths.chapters_dir() / f"{chapter}.py"


@once
def _sources(chapter: str) -> list[Path]:
    """Return the files in which a source that a chapter shows may stand."""
    return [*filter(None, map(content_keys.module_file, modules(chapter))), _source(chapter)]


@once
def _text(file: Path) -> str:
    return f"\n{file.read_text(encoding='utf-8', errors='replace')}\n"


@once
def _checksum(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
