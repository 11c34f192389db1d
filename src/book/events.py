"""What a running chapter tells the executor: one JSON object a line in the file `$BOOK_RECORD`."""

import contextlib
import json
import os
from pathlib import Path


def emit(event: str, **fields: object) -> None:
    """Append an event; does nothing when no executor listens (a notebook opened by a person)."""
    if file := os.environ.get("BOOK_RECORD"):
        with open(file, "a", encoding="utf-8") as stream:
            stream.write(json.dumps({"event": event, **fields}, ensure_ascii=False) + "\n")


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
