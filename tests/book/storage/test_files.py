"""Files that people write, and the machine's faults in words."""

import errno
import os
import shlex
import stat
import subprocess
from pathlib import Path

import pytest

from src.book.storage import files, paths
from src.book.storage.errors import BookError

FAULTS = [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.ENOLCK]


@pytest.mark.parametrize("number", FAULTS)
def test_a_remedy_is_one_that_helps_at_this_place(book_root, number):
    def said(file):
        return files.trouble(OSError(number, os.strerror(number), file and str(file)))

    movable = (paths.build_dir(), paths.build_dir() / "runs/x", paths.cache_dir() / "data/x")
    for file in (*movable, Path("/nowhere/else"), None):
        assert "set BOOK_BUILD (for data sets: BOOK_CACHE" in said(file)
    for file in (paths.chapters_dir() / "a/b.ipynb", paths.data_dir() / "results/cpu/a/b.json"):
        assert said(file).startswith(f"{paths.short(file)}: {os.strerror(number)}; ")
        assert "use a copy of the repository" in said(file) and "BOOK_" not in said(file)


def test_other_errors_are_no_fault_of_the_machine():
    assert files.trouble(OSError(errno.ENOENT, "No such file", "x")) == ""
    assert files.trouble(OSError("no number")) == ""


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a\nb\xff\n", "line 2: not UTF-8; save it as UTF-8"),
        (b"\xef\xbb\xbfa\n", "line 1: it starts with a byte order mark; save it as UTF-8 without"),
        (b"\xff\xfea\x00", "line 1: not UTF-8"),
        (b"a\n<<<<<<< HEAD\n", r"line 2: a merge is not finished \(<<<<<<< HEAD\)"),
        (b"a\r\n||||||| base\r\n", "line 2: a merge is not finished"),
        (b">>>>>>> other", "line 1: a merge is not finished"),
    ],
)
def test_a_text_that_is_none_is_named_with_its_line(book_root, content, says):
    (book_root / "data/x.yml").write_bytes(content)
    with pytest.raises(BookError, match=f"data/x.yml, {says}"):
        files.read_text(book_root / "data/x.yml")


def test_a_text_reads_the_same_with_the_line_ends_of_any_system(book_root):
    file = book_root / "data/x.yml"
    for content, says in ((b"a\nb\n", ""), (b"a\r\nb\r\n", "line 1"), (b"a\nb\r\n", "line 2")):
        file.write_bytes(content)
        assert files.read_text(file) == "a\nb\n"
        told = files.foreign_line_end(file)
        assert told.startswith(f"data/x.yml, {says}: it ends in CR LF" if says else "")
        assert bool(told) == bool(says)
    remedy = files.foreign_line_end(file).partition("alone: ")[2]
    subprocess.run(shlex.split(remedy), cwd=book_root, check=True)
    assert file.read_bytes() == b"a\nb\n", "the remedy is one"


def test_a_file_is_written_whole_or_not_at_all(book_root, monkeypatch):
    file = book_root / "data/x.yml"
    files.write_atomically(file, "before")
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    plain = Path.write_bytes

    def half(place, content):
        plain(place, content[:3])
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError) as caught:
        files.write_atomically(file, "afterwards")
    assert caught.value.filename == str(file)
    assert file.read_text() == "before"
    assert list(file.parent.glob(".x.yml*")) == []
