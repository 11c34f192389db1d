"""What is committed of a chapter's last accepted run, or would be once the last run is accepted."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from src.book.evidence import catalogue, ledger
from src.book.notebook import notebooks
from src.book.notebook.chapters import Chapter
from src.book.notebook.install import without_install_cell
from src.book.storage import paths
from src.book.storage.errors import BookError

if TYPE_CHECKING:
    from nbformat import NotebookNode


@dataclass(frozen=True)
class Committed:
    """A chapter with its committed notebook and quick ledger entry, read when they are asked for.

    `made` is what stands for them before it is written, so that the gates look at both alike: the
    notebook with the install cell, and the ledger entry.
    """

    chapter: Chapter
    made: "tuple[NotebookNode, dict] | None" = None

    @property
    def notebook(self) -> "NotebookNode":
        """The notebook with the install cell; BookError if there is none, or it cannot be read."""
        if self.made:
            return self.made[0]
        if not self.chapter.pair.exists():
            name = self.chapter.name
            raise BookError(f"{name}: no reference yet: make accept CHAPTER={name}")
        return notebooks.load(self.chapter.pair)

    @property
    def reference(self) -> "NotebookNode":
        """The notebook as it was run, without the install cell."""
        return without_install_cell(self.notebook)

    @property
    def size(self) -> int:
        """The size of the notebook's file in bytes."""
        if self.made:
            return len(notebooks.dumps(self.made[0]).encode())
        return self.chapter.pair.stat().st_size

    def entry(self, profile: str = "quick") -> dict | None:
        """Return the ledger entry of a profile, or of "timing"; None without one."""
        if self.made and profile == "quick":
            return self.made[1]
        return ledger.read(self.chapter.name, profile)

    @property
    def text_files(self) -> list[Path]:
        """The chapter's files that are text, but for those which `made` stands for."""
        chapter = self.chapter
        entries = {p: paths.results_file(chapter.name, p) for p in (*catalogue.PROFILES, "timing")}
        seeds = [file for e in entries.values() for file in e.parent.glob(f"{e.stem}.seed-*.json")]
        found = [chapter.source, chapter.pair, *chapter.papers, *entries.values(), *seeds]
        found += sorted(paths.models_dir(chapter.name).rglob("*.json"))
        written = {chapter.pair, entries["quick"]} if self.made else set()
        return [file for file in found if file.is_file() and file not in written]
