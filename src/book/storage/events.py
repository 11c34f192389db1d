"""What a running chapter tells the executor: one JSON object a line in the file `$BOOK_RECORD`."""

import contextlib
import json
import os
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

_heard: ContextVar[list[dict] | None] = ContextVar("heard", default=None)


def emit(event: str, **fields: object) -> None:
    """Append an event; does nothing when no executor listens (a notebook opened by a person)."""
    if (heard := _heard.get()) is not None:
        heard.append({"event": event, **fields})
    if file := os.environ.get("BOOK_RECORD"):
        with open(file, "a", encoding="utf-8") as stream:
            stream.write(json.dumps({"event": event, **fields}, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def hearing() -> Iterator[list[dict]]:
    """Give the list of the events that are told while the context lasts."""
    heard: list[dict] = []
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)


def read(file: Path) -> list[dict]:
    """Return the events of a run in order; an absent file means none."""
    if not file.exists():
        return []
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        # A kernel that is killed while it writes leaves half a line.
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found
