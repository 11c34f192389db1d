"""Data sets: one function that returns a verified local path.

`data/datasets.yml` registers each data set: its licence, citation and files with URL, sha256, size
and place in a mirror. Nothing is used before its checksum was verified.
"""

import hashlib
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from src.book import events, paths
from src.book.errors import BookError, choose

_TIMEOUT_S = 30


class File(BaseModel):
    """One file of a data set."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(gt=0)]
    url: Annotated[str, Field(pattern=r"^https://")] | None
    mirror: str


class Dataset(BaseModel):
    """A data set: facts for the reader and its files."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    description: str
    licence: str
    citation: str
    files: Annotated[dict[str, File], Field(min_length=1)]

    @property
    def sha256(self) -> str:
        """One checksum over the checksums of all files."""
        lines = "".join(f"{name} {file.sha256}\n" for name, file in sorted(self.files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()


def registry() -> dict[str, Dataset]:
    """Return the registered data sets.

    Raises:
        BookError: if the registry cannot be read, naming the field.
    """
    file = paths.data_dir() / "datasets.yml"
    return _load(file, file.stat().st_mtime_ns)


@cache
def _load(file: Path, _changed: int) -> dict[str, Dataset]:
    content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    try:
        return {name: Dataset.model_validate(entry) for name, entry in content.items()}
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
    folder.mkdir(parents=True, exist_ok=True)
    for file_name, file in dataset.files.items():
        target = folder / file_name
        if not _matches(target, file):
            _obtain(name, file, target)
    events.emit("fetch", name=name, sha256=dataset.sha256)
    return folder


def _obtain(name: str, file: File, target: Path) -> None:
    """Put a verified file at `target`, from a mirror or the network."""
    wrong = []
    for mirror in filter(None, os.environ.get("BOOK_DATA_MIRROR", "").split(os.pathsep)):
        source = Path(mirror) / file.mirror
        if _matches(source, file):
            _copy(source, target)
            return
        if source.exists():
            wrong.append(f"{source} has another checksum than the registry")
    problem = "it has no URL of its own: a mirror is needed"
    if file.url is not None:
        try:
            _download(file, target)
            return
        except Exception as error:  # whatever the network does, the remedy is the same
            problem = f"{file.url} failed: {error}"
    raise BookError(
        f"data set {name}: cannot get {target.name}: {'; '.join([*wrong, problem])}.\n"
        f"Set BOOK_DATA_MIRROR to a folder that holds {file.mirror}, or use the quick profile, "
        "which needs no download."
    )


def _download(file: File, target: Path) -> None:
    import pooch

    # Pooch verifies the checksum on a temporary name and moves the file into place afterwards.
    pooch.retrieve(
        file.url,
        known_hash=f"sha256:{file.sha256}",
        fname=target.name,
        path=target.parent,
        downloader=pooch.HTTPDownloader(timeout=_TIMEOUT_S),
    )


def _copy(source: Path, target: Path) -> None:
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(handle)
    try:
        shutil.copyfile(source, temporary)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _matches(path: Path, file: File) -> bool:
    if not path.is_file() or path.stat().st_size != file.bytes:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256
