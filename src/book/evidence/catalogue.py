"""The catalogue: what each paper says, and by which criterion each claim is judged.

One file a paper, `data/papers/<id>.yml`, written before the experiment. Papers that have no chapter
yet are one line each in `data/papers/planned.jsonl`.
"""

import json
import re
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from src.book.storage import paths
from src.book.storage.dependencies import papers_of
from src.book.storage.errors import BookError, choose
from src.book.storage.files import read_text

PARTS = {
    "foundations": "Foundations",
    "optimization": "Optimization",
    "sparsity": "Sparsity",
    "diffusion": "Diffusion",
    "inverse_problems": "Inverse problems",
    "generative": "Generative models",
    "gnn": "Graph neural networks",
    "network_embedding": "Network embedding",
    "graph_learning": "Graph learning",
    "federated": "Federated learning",
    "interpretability": "Interpretability",
    "robustness": "Robustness",
    "supervision": "Supervision",
    "representation": "Representation learning",
    "retrieval_language": "Retrieval and language",
    "bayesian": "Bayesian methods",
    "scientific_ml": "Scientific machine learning",
    "transport_structure": "Transport and structure",
    "vision": "Vision",
}
PROFILES = ("quick", "cpu", "gpu")
Profile = Literal["quick", "cpu", "gpu"]
Statistic = Literal["mean", "difference", "ratio", "proportion", "max"]
Kind = Literal["t", "bootstrap", "binomial", "exact", "timing"]
Chapter = Annotated[str, Field(pattern=r"^[a-z0-9_]+/[a-z0-9_]+$")]
Text = Annotated[str, Field(min_length=1)]
# One line without control characters: these words also become comments and headings.
Line = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f\u{85}\u{2028}\u{2029}]+$")]
_ID = re.compile(r"[a-z0-9][a-z0-9-]*")

# Which statistics an interval kind can judge.
ALLOWED: dict[str, tuple[str, ...]] = {
    "t": ("mean", "difference", "ratio"),
    "bootstrap": ("mean", "difference", "ratio"),
    "binomial": ("proportion",),
    "exact": ("max",),
    "timing": ("ratio",),
}


# LibYAML's loader is ten times faster; the pages and every run read entries.
_SAFE_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Part(BaseModel, extra="forbid", frozen=True):
    """What every part of an entry is: of known fields alone, and unchangeable."""


class Expect(_Part):
    """A criterion: the statistic of the samples and the values that it may take."""

    statistic: Statistic
    op: Literal[">", ">=", "<", "<=", "within"]
    value: float | tuple[float, float]

    @model_validator(mode="after")
    def _check(self) -> "Expect":
        if (self.op == "within") != isinstance(self.value, tuple):
            raise ValueError('op "within" takes value: [low, high]; the other ops take one number')
        if isinstance(self.value, tuple) and self.value[0] >= self.value[1]:
            raise ValueError("value: [low, high] needs low < high")
        return self

    def __str__(self) -> str:
        """Return the criterion in words, such as "difference > 0"."""
        if isinstance(self.value, tuple):
            return f"{self.statistic} within [{self.value[0]:g}, {self.value[1]:g}]"
        return f"{self.statistic} {self.op} {self.value:g}"


class Claim(_Part):
    """One checkable sentence of a paper with the criterion by which it is judged."""

    says: Text
    paper: str | None
    measure: Text
    kind: Kind
    unit: Text
    expect: Expect
    tolerance: float | None = Field(default=None, ge=0)
    profiles: tuple[Profile, ...] = PROFILES
    not_tested: str | None = None
    history: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> "Claim":
        if self.expect.statistic not in ALLOWED[self.kind]:
            allowed = ", ".join(ALLOWED[self.kind])
            raise ValueError(f"kind {self.kind} judges the statistics: {allowed}")
        if self.kind in ("exact", "timing"):
            if self.tolerance is not None:
                raise ValueError(f"kind {self.kind} takes no tolerance")
        elif self.tolerance is None and "quick" in self.profiles:
            raise ValueError("tolerance is missing: how far may the quick number drift?")
        # Timing comes from benchmarks, in whatever profile the page is read.
        if self.kind != "timing" and set(self.profiles) != set(PROFILES) and not self.not_tested:
            raise ValueError("not_tested is missing: why do some profiles not test this claim?")
        return self


class Paper(_Part):
    """A paper that runs: its facts and its claims."""

    id: Text
    title: Line
    authors: tuple[Line, ...] = Field(min_length=1)
    year: int = Field(ge=1900, le=2100)
    venue: Line | None = None
    arxiv: str | None = Field(default=None, pattern=r"^\d{4}\.\d{4,5}$")
    repository: str | None = Field(default=None, pattern=r"""^https://[^\s"'<>]+$""")
    part: Text
    chapter: Chapter
    idea: Text
    reruns: Text
    changes: tuple[str, ...] = ()
    claims: dict[Annotated[str, Field(pattern=r"^C\d+[a-z]?$")], Claim] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> "Paper":
        _check_part(self.part)
        if self.chapter.split("/")[0] != self.part:
            raise ValueError(f"chapter {self.chapter!r} does not lie in part {self.part!r}")
        return self


class Planned(_Part):
    """A paper in scope that has no chapter yet."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: Line
    year: int | None
    chapter: Chapter
    idea: str

    @field_validator("idea")
    @classmethod
    def _one_sentence(cls, idea: str) -> str:
        if not (8 <= len(idea.split()) <= 22 and idea.endswith(".")):
            raise ValueError("write one sentence of 8 to 22 words, with its full stop")
        return idea

    @field_validator("chapter")
    @classmethod
    def _in_a_part(cls, chapter: str) -> str:
        _check_part(chapter.split("/")[0])
        return chapter


def _check_part(part: str) -> None:
    if part not in PARTS:
        raise ValueError(f"unknown part {part!r}; valid: {', '.join(PARTS)}")


def papers() -> dict[str, Paper]:
    """Return the papers that run, by id, in the order of the parts, chapters and years.

    Raises:
        BookError: if an entry cannot be read, naming file, line and field.
    """
    order = list(PARTS)
    found = [_entry(file) for file in paths.paper_files()]
    found.sort(key=lambda p: (order.index(p.part), p.chapter, p.year, p.id))
    return {p.id: p for p in found}


def paper(name: str) -> Paper:
    """Return one paper by its id; no other entry is read.

    Raises:
        BookError: listing the valid ids if there is no such paper.
    """
    ids = [file.stem for file in paths.paper_files()]
    return _entry(paths.papers_dir() / f"{choose('paper', name, ids)}.yml")


def of_chapter(chapter: str) -> list[Paper]:
    """Return the papers of one chapter, oldest first; no other chapter's entries are read.

    Raises:
        BookError: listing the valid chapters if it has none.
    """
    found = [_entry(file) for file in papers_of(chapter)]
    if not found:
        choose("chapter", chapter, sorted(chapters()))
    return sorted(found, key=lambda p: (p.year, p.id))


def _entry(file: Path) -> Paper:
    # A long-lived process must see an edited entry, so the cache is keyed by what is on disk.
    about = file.stat()
    return _read(file, about.st_mtime_ns, about.st_size)


def claim(paper_id: str, name: str) -> Claim:
    """Return one claim of a paper.

    Raises:
        BookError: listing the valid papers or claims.
    """
    entry = paper(paper_id)
    return entry.claims[choose(f"claim of {paper_id}", name, list(entry.claims))]


def chapters() -> dict[str, list[Paper]]:
    """Return the papers of every chapter that has at least one."""
    by_chapter = groupby(papers().values(), key=lambda paper: paper.chapter)
    return {chapter: list(found) for chapter, found in by_chapter}


def planned() -> list[Planned]:
    """Return the papers that have no chapter yet, in the file's order.

    Raises:
        BookError: if a line cannot be read, or names a paper that runs already.
    """
    file = paths.papers_dir() / "planned.jsonl"
    if not file.exists():
        return []
    running, rows = papers(), []
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        where = f"{paths.short(file)}, line {number}"
        try:
            row = Planned.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "(line)"
            raise BookError(f"{where}: field {field}: {first['msg']}") from None
        if row.id in running:
            raise BookError(f"{where}: {row.id} has an entry of its own; delete the line")
        rows.append(row)
    return rows


@lru_cache(maxsize=2000)
def _read(file: Path, _changed: int, _size: int) -> Paper:
    """Read and check one catalogue entry; its id is the file's name."""
    text, name = read_text(file), paths.short(file)
    try:
        loader = _SAFE_LOADER(text)
        node = loader.get_single_node()
        content = loader.construct_document(node) if node is not None else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        what = getattr(error, "problem", None) or error
        raise BookError(f"{name}, line {line}: not valid YAML: {what}") from None
    if not isinstance(content, dict):
        raise BookError(f"{name}, line 1: the entry must be a mapping of fields")
    if not _ID.fullmatch(file.stem):
        raise BookError(
            f"{name!r}: the file's name is the paper's id; "
            "rename it in lower-case words joined by hyphens"
        )
    if "id" in content:
        raise BookError(f"{name}: the file's name is the id; remove the field id")
    try:
        # JSON mode turns lists into tuples and keeps the types strict enough to catch "2017" etc.
        return Paper.model_validate_json(json.dumps({**content, "id": file.stem}, default=str))
    except ValidationError as error:
        problems = "\n".join(f"{name}, {_describe(node, e)}" for e in error.errors())
        raise BookError(problems) from None
    except TypeError as error:  # a field's name that is no text, such as a date
        raise BookError(f"{name}: {error}") from None


def _describe(node: yaml.Node, error: dict) -> str:
    """Return "line N, field a.b: message" for one of pydantic's errors."""
    where = [str(part) for part in error["loc"] if part != "[key]"]
    line = 1
    for part in where:
        key = None
        if isinstance(node, yaml.MappingNode):
            pairs = {k.value: (k, v) for k, v in node.value}
            key, node = pairs.get(part, (None, None))
        elif isinstance(node, yaml.SequenceNode) and part.isdigit() and int(part) < len(node.value):
            key = node = node.value[int(part)]
        if key is None:
            break
        line = key.start_mark.line + 1
    message = error["msg"].removeprefix("Value error, ")
    return f"line {line}, field {'.'.join(where) or '(entry)'}: {message}"
