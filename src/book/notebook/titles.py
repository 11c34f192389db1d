"""Titles of chapters, as their sources say."""

import re

from src.book.storage import paths


def chapter_title(chapter: str) -> str:
    """Return a chapter's title: the first heading of its source, else its name in words."""
    source = paths.chapters_dir() / f"{chapter}.py"
    if source.exists():
        text = source.read_text(encoding="utf-8-sig", errors="replace")
        if found := re.search(r"^# # (.+)$", text, re.MULTILINE):
            return found[1].strip().replace("\\<", "<")
    return chapter.split("/")[-1].replace("_", " ").capitalize()
