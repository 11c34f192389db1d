"""Locks between processes that work in one tree; the system releases them when a process ends."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def exclusive(file: Path, waiting: Callable[[str], None] = lambda who: None) -> Iterator[int]:
    """Hold a lock file; if another process holds it, say so once and wait.

    Yields the file's descriptor: a child that inherits it holds the lock with this process, and
    keeps it if this process is killed.

    Args:
        file: the lock file; it stays, empty of meaning when nobody holds it.
        waiting: called once with "process N" before waiting.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            waiting(f"process {stream.read().strip() or 'unknown'}")
            fcntl.flock(stream, fcntl.LOCK_EX)
        # Only for the words of those who wait: a full disk does not take it, and need not.
        with contextlib.suppress(OSError):
            os.ftruncate(stream.fileno(), 0)
            os.write(stream.fileno(), str(os.getpid()).encode())
        yield stream.fileno()
