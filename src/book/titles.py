"""Titles of chapters, as their sources say."""

import re

from src.book import paths


def chapter_title(chapter: str) -> str:
    """Return a chapter's title: the first heading of its source, else its name in words."""
    source = paths.chapters_dir() / f"{chapter}.py"
    if source.exists():
        found = re.search(r"^# # (.+)$", source.read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return found[1].strip()
    return chapter.split("/")[-1].replace("_", " ").capitalize()
