"""`make new`: the files of a new chapter, which already run and pass."""

import json
import re
from pathlib import Path

from src.book.evidence import catalogue
from src.book.storage import paths
from src.book.storage.errors import BookError, choose
from src.book.storage.files import read_text, write_atomically

_TEMPLATES = Path(__file__).with_name("templates")
_EXAMPLE = {"title": "Antithetic variates", "year": 1956}


def new(part: str, chapter: str, paper: str | None = None) -> list[Path]:
    """Write a chapter, its method modules, its tests and its catalogue entries from the templates.

    A topic chapter, for which several papers are planned, gets a section, a module, a test and an
    entry for each of them. Returns the files written.

    Args:
        part: one of the parts, such as "gnn".
        chapter: the chapter's name, such as "framelets"; also its room's below `src/<part>`.
        paper: the paper's id; title and year come from the planned papers if it is one of them.
            None takes all papers that are planned for this chapter.

    Raises:
        BookError: for a wrong part or name, or if a file is there already; nothing is written then.
    """
    choose("part", part, list(catalogue.PARTS))
    if not re.fullmatch(r"[a-z][a-z0-9_]*", chapter):
        raise BookError(f"chapter {chapter!r}: use lower-case words joined by underscores")
    planned = [p for p in catalogue.planned() if p.chapter == f"{part}/{chapter}"]
    names = [paper] if paper else [p.id for p in planned] or [chapter.replace("_", "-")]
    if wrong := [name for name in names if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name)]:
        raise BookError(f"paper {wrong[0]!r}: use lower-case words joined by hyphens")
    papers = [_names(part, chapter, name, alone=len(names) == 1) for name in names]
    root = paths.root()
    texts = {
        root / f"chapters/{part}/{chapter}.py": _page(papers),
        root / f"src/{part}/{chapter}/experiments.py": _fill(
            _TEMPLATES / "experiments.py", papers[0]
        ),
        root / f"tests/leaks/test_{chapter}.py": _leaks(papers),
    }
    for words in papers:
        module = words["MODULE"]
        texts |= {
            root / f"src/{part}/{chapter}/{module}.py": _fill(_TEMPLATES / "method.py", words),
            root / f"tests/{part}/{chapter}/test_{module}.py": _fill(_TEMPLATES / "test.py", words),
            paths.papers_dir() / f"{words['PAPER']}.yml": _entry(words),
        }
    if taken := [str(f.relative_to(root)) for f in texts if f.exists()]:
        raise BookError(f"already there: {', '.join(taken)}; choose another name or edit these")
    rooms = {part: f'part "{catalogue.PARTS[part]}"', f"{part}/{chapter}": f'chapter "{chapter}"'}
    for room, words in rooms.items():
        package = root / f"src/{room}/__init__.py"
        if not package.exists():
            texts[package] = f'"""Methods of the {words}."""\n'
    for file, text in texts.items():
        write_atomically(file, text)
    _unplan(names)
    return list(texts)


def _names(part: str, chapter: str, paper: str, *, alone: bool) -> dict[str, str]:
    """Return what the capital words of the templates stand for."""
    facts = next((p.model_dump() for p in catalogue.planned() if p.id == paper), _EXAMPLE)
    return {
        "PART": part,
        "CHAPTER": chapter,
        "PAPER": paper,
        "MODULE": "method" if alone else paper.replace("-", "_"),
        "TITLE": str(facts["title"]),
        "YEAR": str(facts["year"] or 2000),
    }


def _page(papers: list[dict[str, str]]) -> str:
    """Return the page of a chapter: the example of one paper, or a topic with a section a paper."""
    # In a heading "<" would begin a tag.
    papers = [words | {"TITLE": words["TITLE"].replace("<", "\\<")} for words in papers]
    if len(papers) == 1:
        return _fill(paths.chapters_dir() / "TEMPLATE.py", papers[0])
    return _repeated(_read(_TEMPLATES / "topic.py"), "# SECTION", papers)


def _leaks(papers: list[dict[str, str]]) -> str:
    """Return the chapter's file of the leak suite, with a line for each paper's experiment."""
    return _repeated(_read(_TEMPLATES / "leaks.py"), "    # LINE", papers)


def _repeated(text: str, mark: str, papers: list[dict[str, str]]) -> str:
    """Return a template with what lies between its two marks once for each paper."""
    front, rest = text.split(f"{mark} BEGINS\n")
    section, end = rest.split(f"{mark} ENDS\n")
    first = papers[0] | {"MODULES": ", ".join(sorted(words["MODULE"] for words in papers))}
    return "".join(
        [_replace(front, first), *(_replace(section, p) for p in papers), _replace(end, first)]
    )


def _entry(words: dict[str, str]) -> str:
    """Return a catalogue entry; YAML reads a quoted text as JSON does."""
    title = json.dumps(words["TITLE"], ensure_ascii=False)[1:-1]
    return _fill(_TEMPLATES / "paper.yml", words | {"TITLE": title})


def _fill(template: Path, names: dict[str, str]) -> str:
    return _replace(_read(template), names)


def _read(template: Path) -> str:
    if not template.exists():
        raise BookError(f"{template} is missing; `new` works in a clone of the repository")
    return read_text(template)


def _replace(text: str, names: dict[str, str]) -> str:
    pattern = re.compile(r"\b(" + "|".join(names) + r")\b")
    return pattern.sub(lambda m: names[m.group()], text)


def _unplan(papers: list[str]) -> None:
    """Take papers off the list of planned ones: they have entries of their own now."""
    file = paths.papers_dir() / "planned.jsonl"
    if file.exists():
        lines = read_text(file).splitlines(keepends=True)
        kept = [line for line in lines if json.loads(line)["id"] not in papers]
        write_atomically(file, "".join(kept))
