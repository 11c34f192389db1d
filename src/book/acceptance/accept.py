"""Adopting results: a quick run becomes the reference, a larger run becomes a ledger entry."""

from pathlib import Path

from src.book.acceptance import gates
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
        BookError: if a chapter's run is missing, failed, is out of date, or shows something that a
            reference must not hold. Nothing is written then.
    """
    ready, refused = {}, []
    for chapter in chapters.select(names):
        name = chapter.name
        if why := why_stale(name, "quick"):
            refused.append(f"{name}: {why}; first: python -m src.book run {name}")
            continue
        page = read_page(name)
        ready[chapter] = reference(page)
        problems = gates.reference_problems(ready[chapter]) + gates.figure_problems(page)
        refused += [str(gates.Problem(name, cell, what)) for cell, what in problems]
    if refused:
        raise BookError("nothing was accepted:\n" + "\n".join(refused))
    changed = []
    for chapter, notebook in ready.items():
        pair, entry = chapter.pair, paths.results_file(chapter.name, "quick")
        before = {file: file.read_bytes() if file.exists() else None for file in (pair, entry)}
        write_atomically(pair, notebooks.dumps(with_install_cell(notebook)))
        write_ledger(read_result(chapter.name, "quick"))
        changed += [file for file, was in before.items() if file.read_bytes() != was]
    return changed


def write_ledger(result: Result) -> Path:
    """Write the ledger entry of a run that went well; return the file.

    A run with another seed than the chapter's own has a file beside the entry that pages show.
    """
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
    return ledger.write(result.chapter, result.profile, entry, result.parameters.get("seed"))
