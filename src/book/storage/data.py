"""Data sets: one function that returns a verified local path.

`data/datasets.yml` registers each data set: its licence, citation and files with URL, sha256, size
and place in a mirror. Nothing is used before its checksum was verified.
"""

import hashlib
import os
import shutil
from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from src.book.storage import events, paths
from src.book.storage.download import download
from src.book.storage.errors import BookError, choose
from src.book.storage.files import read_text, replacing, trouble

_Name = Annotated[str, Field(pattern=r"^[\w-][\w.+-]*$")]  # of a file; never a path


class File(BaseModel, extra="forbid", frozen=True):
    """One file of a data set."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(gt=0)]
    url: Annotated[str, Field(pattern=r"^https://")] | None
    mirror: Annotated[str, Field(pattern=r"^([\w-][\w.+-]*/)*[\w-][\w.+-]*$")]


class Dataset(BaseModel, extra="forbid", frozen=True):
    """A data set: facts for the reader and its files."""

    description: str
    licence: str
    citation: str
    files: Annotated[dict[_Name, File], Field(min_length=1)]

    @property
    def sha256(self) -> str:
        """One checksum over the checksums of all files."""
        lines = "".join(f"{name} {file.sha256}\n" for name, file in sorted(self.files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()


def registry() -> dict[str, Dataset]:
    """Return the registered data sets; none without a registry.

    Raises:
        BookError: if the registry cannot be read, naming the field.
    """
    file = paths.data_dir() / "datasets.yml"
    return _load(file, file.stat().st_mtime_ns) if file.exists() else {}


@cache
def _load(file: Path, _changed: int) -> dict[str, Dataset]:
    try:
        content = yaml.safe_load(read_text(file)) or {}
        if not isinstance(content, dict):
            raise BookError("data/datasets.yml: it must map the names of data sets to entries")
        return TypeAdapter(dict[_Name, Dataset]).validate_python(content)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        what = getattr(error, "problem", None) or error
        raise BookError(f"data/datasets.yml{line}: not valid YAML: {what}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise BookError(f"data/datasets.yml, field {first['loc']}: {first['msg']}") from None


def fetch(name: str) -> Path:
    """Return the folder that holds a data set's verified files.

    Looks in the cache, then in the mirror folders of `BOOK_DATA_MIRROR` (separated like PATH), then
    at the registered URL. A partial or corrupt file is never used.

    Raises:
        BookError: naming the data set, the URL, the mirror variable and the profile that needs no
            download, if a file cannot be had.
    """
    dataset = registry()[choose("data set", name, sorted(registry()))]
    folder = paths.cache_dir() / "data" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file_name, file in dataset.files.items():
            target = folder / file_name
            if _difference(target, file):
                _obtain(name, file, target)
    except OSError as error:
        raise BookError(f"data set {name}: {trouble(error) or error}") from None
    events.emit("fetch", name=name, sha256=dataset.sha256)
    return folder


def _obtain(name: str, file: File, target: Path) -> None:
    """Put a verified file at `target`, from a mirror or the network."""
    problems = []
    for mirror in filter(None, os.environ.get("BOOK_DATA_MIRROR", "").split(os.pathsep)):
        source = Path(mirror) / file.mirror
        if not Path(mirror).is_dir():
            problems.append(f"the mirror {mirror} is no folder")
        elif wrong := _difference(source, file):
            problems.append(f"{source} {wrong}")
        else:
            with replacing(target) as temporary:
                shutil.copyfile(source, temporary)
            return
    if file.url is None:
        problems.append("it has no URL of its own: a mirror is needed")
    else:
        try:
            with replacing(target) as temporary:
                download(file.url, temporary, file.bytes)
                if wrong := _difference(temporary, file):
                    raise BookError(f"what came {wrong}")
            return
        except BookError as error:
            problems.append(f"{file.url} failed: {error}")
    raise BookError(
        f"data set {name}: cannot get {target.name}: {'; '.join(problems)}. "
        f"Set BOOK_DATA_MIRROR to a folder that holds {file.mirror}, or use the quick profile, "
        "which needs no download."
    )


def _difference(path: Path, file: File) -> str:
    """Return how a file differs from the registered one, "" if it is the one."""
    try:
        size = path.stat().st_size
        if size == file.bytes:
            with path.open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256:
                    return ""
        return f"has another checksum than the registry ({size} bytes, of {file.bytes})"
    except FileNotFoundError:
        return "does not exist"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
