"""Fixtures for the tests that break the machine under the book."""

import os
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.book.toy_book import ToyBook


@pytest.fixture
def toys(book_root):
    """A toy book in a temporary root."""
    return ToyBook(book_root)


@pytest.fixture
def temporary(monkeypatch):
    """A folder for temporary files that only this test's processes use, with a short path."""
    folder = Path(tempfile.mkdtemp(prefix="f-", dir="/tmp"))
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def mount():
    """A function that mounts something for this test; it returns whether it could."""
    mounted = []

    def mount(folder, *arguments):
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", *map(str, arguments), str(folder)]
        if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
            return False
        mounted.append(folder)
        return True

    yield mount
    for folder in reversed(mounted):
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def small_disk(mount):
    """A function that makes a folder a disk of 1 MB.

    It returns the fault's words and the setting for `start_book`. Without the right to mount, files
    cannot grow over 1 MB instead, which is another error on the same paths.
    """

    def small_disk(folder):
        if mount(folder, "-t", "tmpfs", "-o", "size=1m", "tmpfs"):
            return "No space left on device", {}
        print("NOT ROOT: a limit on the size of files stands for the small disk")
        limit = (2**20, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
        preexec = {"preexec": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)}
        return "File too large", preexec

    return small_disk


@pytest.fixture
def read_only(mount):
    """A function that makes a folder read-only; it returns the fault's words."""
    closed = []

    def read_only(folder):
        if mount(folder, "--bind", folder):
            command = ["mount", "-o", "remount,ro,bind", str(folder)]
            subprocess.run(command, check=True)
            return "Read-only file system"
        if not os.geteuid():
            pytest.skip("a read-only tree: root without the right to mount is refused nothing")
        closed.append(folder)
        subprocess.run(["chmod", "-R", "a-w", str(folder)], check=True)
        return "Permission denied"

    yield read_only
    for folder in closed:
        subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)
