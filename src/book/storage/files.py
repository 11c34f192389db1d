"""Files that are written whole or not at all, and the machine's faults in words."""

import codecs
import contextlib
import errno
import glob
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

from src.book.storage.errors import BookError
from src.book.storage.paths import build_dir, cache_dir, root, short

_ELSEWHERE = "set BOOK_BUILD (for data sets: BOOK_CACHE, for temporary files: TMPDIR) to a folder"
_COPY = "use a copy of the repository"  # whose own files no variable puts elsewhere
_SPACE = "free some space, or {elsewhere} on another disk, and run it again"
_RIGHTS = "make it writable, or {elsewhere} that is, and run it again"
_REMEDIES = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: _SPACE,
    errno.EROFS: _RIGHTS,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.ENOLCK: "{elsewhere} on a file system that has locks",
    errno.EOPNOTSUPP: "{elsewhere} on a file system that has locks",
    errno.EIO: "the disk may be faulty: look at the system's log",
    errno.EMFILE: "raise the limit on open files (ulimit -n), and run it again",
    errno.ENFILE: "end other programs, and run it again",
    errno.ENOMEM: "end other programs or use fewer --jobs, and run it again",
}
_CONFLICT = re.compile(r"^(?:<{7}|>{7}|\|{7})(?: .*)?$", re.MULTILINE)


def trouble(error: OSError) -> str:
    """Return cause, file and remedy of a fault of the machine; "" for any other error."""
    remedy = _REMEDIES.get(error.errno)
    if remedy is None:
        return ""
    if not isinstance(error.filename, str):
        return f"{error.strerror}; {remedy.format(elsewhere=_ELSEWHERE)}"
    file = Path(error.filename)
    elsewhere = _COPY if _is_the_repositorys(file) else _ELSEWHERE
    return f"{short(file)}: {error.strerror}; {remedy.format(elsewhere=elsewhere)}"


def _is_the_repositorys(file: Path) -> bool:
    """Return whether a file's place is fixed: in the repository, and nothing that a run makes."""
    made = file.is_relative_to(build_dir()) or file.is_relative_to(cache_dir())
    return file.is_relative_to(root()) and not made


def write_atomically(file: Path, content: str | bytes) -> None:
    """Write a file so that no reader ever sees half of it, also after a loss of power."""
    with replacing(file) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Give an empty file beside `file`; what was written to it takes its place in one step.

    If anything is raised, `file` stays as it was. What a process that was killed has left is
    removed by the next one.

    Raises:
        OSError: naming `file`, if the disk does not take it.
    """
    with naming(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(file)
        prefix = f".{file.name}.{os.getpid()}-"
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=prefix)
        try:
            os.close(handle)
            yield Path(name)
            _sync(name)
            os.chmod(name, 0o644)
            os.replace(name, file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    with contextlib.suppress(OSError):  # not every file system can
        _sync(file.parent)


@contextlib.contextmanager
def naming(file: Path) -> Iterator[None]:
    """Have an error in here name this file; a disk that is full while it is written names none."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            error.filename, error.filename2 = str(file), None
        raise


def read_text(file: Path) -> str:
    """Return the text of a file that a person writes, its lines ended by a line feed alone.

    Raises:
        BookError: naming the line, if it is not UTF-8, starts with a byte order mark, or holds the
            marks of an unfinished merge.
    """
    content = file.read_bytes()
    if said := byte_order_mark(content):
        raise BookError(f"{short(file)}, {said}")
    try:
        text = content.decode().replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BookError(f"{short(file)}, line {line}: not UTF-8; save it as UTF-8") from None
    if said := unfinished_merge(text):
        remedy = "edit what lies between the marks, and delete the marks"
        raise BookError(f"{short(file)}, {said}; {remedy}")
    return text


def byte_order_mark(content: bytes) -> str:
    """Return what is wrong with a text that starts with a byte order mark; "" if none does.

    Python's, jupytext's and JSON's readers each make something else of it.
    """
    if not content.startswith(codecs.BOM_UTF8):
        return ""
    return "line 1: it starts with a byte order mark; save it as UTF-8 without it"


def foreign_line_end(file: Path) -> str:
    """Return where a text file has the line ends of another system, and a remedy; "" if nowhere.

    They say nothing, and git takes the next save for a change of every line.
    """
    content = file.read_bytes()
    if b"\r\n" not in content:
        return ""
    line = content.count(b"\n", 0, content.index(b"\r\n")) + 1
    remedy = f"save with LF alone: sed -i 's/\\r$//' {shlex.quote(short(file))}"
    return f"{short(file)}, line {line}: it ends in CR LF; {remedy}"


def unfinished_merge(text: str) -> str:
    """Return the line that holds a mark of an unfinished merge, in words; "" if none does."""
    found = _CONFLICT.search(text)
    if found is None:
        return ""
    return f"line {text.count(chr(10), 0, found.start()) + 1}: a merge is not finished ({found[0]})"


def keep_only(folder: Path, names: set[str]) -> None:
    """Delete the files of a folder that are not named, by paths below it, and empty folders."""
    for file in sorted(folder.rglob("*"), reverse=True):
        if file.is_dir():
            if not any(file.iterdir()):
                file.rmdir()
        elif file.relative_to(folder).as_posix() not in names:
            file.unlink()


def _sync(path: str | Path) -> None:
    """Wait until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_leftovers(file: Path) -> None:
    """Remove the temporary files of processes that ended in the middle of writing this file."""
    for left in file.parent.glob(f".{glob.escape(file.name)}.*-*"):
        process = left.name.removeprefix(f".{file.name}.").split("-")[0]
        if process.isdigit() and not _runs(int(process)):
            left.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it runs, and belongs to somebody else
    return True
