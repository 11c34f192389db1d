"""`make new`: the files of a new chapter, which already run and pass."""

import json
import re
from pathlib import Path

from src.book import catalogue, ledger, paths
from src.book.errors import BookError, choose

_TEMPLATES = Path(__file__).with_name("templates")
_EXAMPLE = {"title": "Antithetic variates", "year": 1956}


def new(part: str, chapter: str, paper: str | None = None) -> list[Path]:
    """Write a chapter, its method module, its test and its catalogue entry from the templates.

    Args:
        part: one of the parts, such as "gnn".
        chapter: the chapter's name, such as "framelets"; also its method module's.
        paper: the paper's id; title and year come from the planned papers if it is one of them.

    Returns the files written.

    Raises:
        BookError: for a wrong part or name, or if a file is there already; nothing is written then.
    """
    choose("part", part, list(catalogue.PARTS))
    if not re.fullmatch(r"[a-z][a-z0-9_]*", chapter):
        raise BookError(f"chapter {chapter!r}: use lower-case words joined by underscores")
    paper = paper or chapter.replace("_", "-")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", paper):
        raise BookError(f"paper {paper!r}: use lower-case words joined by hyphens")
    facts = next((p.model_dump() for p in catalogue.planned() if p.id == paper), _EXAMPLE)
    names = {
        "PART": part,
        "CHAPTER": chapter,
        "PAPER": paper,
        "TITLE": str(facts["title"]).replace('"', "'"),
        "YEAR": str(facts["year"] or 2000),
    }
    root = paths.root()
    files = {
        root / f"chapters/{part}/{chapter}.py": paths.chapters_dir() / "TEMPLATE.py",
        root / f"src/{part}/{chapter}.py": _TEMPLATES / "method.py",
        root / f"tests/{part}/test_{chapter}.py": _TEMPLATES / "test.py",
        paths.papers_dir() / f"{paper}.yml": _TEMPLATES / "paper.yml",
    }
    if taken := [str(f.relative_to(root)) for f in files if f.exists()]:
        raise BookError(f"already there: {', '.join(taken)}; choose another name or edit these")
    texts = {f: _fill(template, names) for f, template in files.items()}
    package = root / f"src/{part}/__init__.py"
    if not package.exists():
        texts[package] = f'"""Methods of the part "{catalogue.PARTS[part]}"."""\n'
    for file, text in texts.items():
        ledger.write_atomically(file, text)
    _unplan(paper)
    return list(texts)


def _fill(template: Path, names: dict[str, str]) -> str:
    if not template.exists():
        raise BookError(f"{template} is missing; `new` works in a clone of the repository")
    pattern = re.compile(r"\b(" + "|".join(names) + r")\b")
    return pattern.sub(lambda m: names[m.group()], template.read_text(encoding="utf-8"))


def _unplan(paper: str) -> None:
    """Take a paper off the list of planned ones: it has an entry of its own now."""
    file = paths.papers_dir() / "planned.jsonl"
    if not file.exists():
        return
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["id"] != paper]
    if kept != lines:
        ledger.write_atomically(file, "".join(kept))
