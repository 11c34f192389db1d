"""Adopting results: a quick run becomes the reference, a larger run becomes a ledger entry."""

from pathlib import Path

from src.book.acceptance import gates
from src.book.acceptance.committed import Committed
from src.book.evidence import ledger
from src.book.execution.results import Result, read_page, read_result, why_stale
from src.book.notebook import chapters, notebooks
from src.book.notebook.install import with_install_cell
from src.book.notebook.references import reference
from src.book.storage import dependencies, paths
from src.book.storage.errors import BookError
from src.book.storage.files import write_atomically


def accept(names: list[str] | None = None) -> list[Path]:
    """Write committed notebooks and quick ledger from the last runs; return the files that changed.

    Raises:
        BookError: if a chapter's run is missing, failed or out of date, or if `check` would find
            anything wrong afterwards. Nothing is written then.
    """
    ready, refused = [], [str(problem) for problem in (gates.check_book() if names is None else [])]
    for chapter in chapters.select(names):
        if why := why_stale(chapter.name, "quick"):
            refused.append(f"{chapter.name}: {why}; first: python -m src.book run {chapter.name}")
            continue
        try:
            ready.append(_made(chapter))
        except BookError as error:
            refused.append(f"{chapter.name}: {str(error).removeprefix(f'{chapter.name}: ')}")
            continue
        refused += map(str, gates.check_chapter(ready[-1]))
    if refused:
        raise BookError("nothing was accepted:\n" + "\n".join(dict.fromkeys(refused)))
    return [file for committed in ready for file in _write(committed)]


def _made(chapter: chapters.Chapter) -> Committed:
    """Return what is to be committed of a chapter's last run."""
    notebook = with_install_cell(reference(read_page(chapter.name)))
    return Committed(chapter, (notebook, _entry(read_result(chapter.name, "quick"))))


def _write(committed: Committed) -> list[Path]:
    """Write notebook and ledger entry; return the files that changed."""
    chapter, (notebook, entry) = committed.chapter, committed.made
    files = [chapter.pair, paths.results_file(chapter.name, "quick")]
    before = [file.read_bytes() if file.exists() else None for file in files]
    write_atomically(chapter.pair, notebooks.dumps(notebook))
    ledger.write(chapter.name, "quick", entry)
    return [file for file, was in zip(files, before, strict=True) if file.read_bytes() != was]


def write_ledger(result: Result) -> Path:
    """Write the ledger entry of a run that went well; return the file.

    A run with another seed than the chapter's own has a file beside the entry that pages show.
    """
    seed = result.parameters.get("seed")
    return ledger.write(result.chapter, result.profile, _entry(result), seed)


def _entry(result: Result) -> dict[str, object]:
    """Return what the ledger keeps of a run."""
    entry: dict[str, object] = {
        "seed": result.seed,
        "measurements": result.measurements,
        "recorded": result.recorded,
    }
    # Not if it was edited since the run began.
    if (code := dependencies.chapter_code(result.chapter)) and code == result.inputs.get("code"):
        entry["code"] = code
    if result.profile != "quick":
        # What the work took, also where it was done in several calls.
        seconds = round(result.seconds + result.kept_seconds, 2)
        entry |= {"data": result.data, "models": result.models, "seconds": seconds}
        entry |= {k: getattr(result, k) for k in ("startup_seconds", "peak_memory_mb")}
        if result.gpu_peak_memory_mb:
            entry["gpu_peak_memory_mb"] = result.gpu_peak_memory_mb
        entry["provenance"] = result.provenance
    return entry
