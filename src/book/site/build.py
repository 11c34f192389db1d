"""The rendered book: stage, render with warnings as errors, check, publish to `_build/html`.

The book is rendered beside the published site and copied over it only when everything is well, so
that a failed build leaves the last good site as it was.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import PIPE, STDOUT

from src.book.evidence import catalogue
from src.book.notebook.chapters import select
from src.book.notebook.repository import version
from src.book.notebook.titles import chapter_title
from src.book.site.htmlcheck import check_html
from src.book.site.stage import Staged, inputs, stage
from src.book.storage import paths
from src.book.storage.errors import BookError
from src.book.storage.files import keep_only, write_atomically
from src.book.storage.locks import exclusive

__all__ = ["Built", "build", "check_html"]

_LOG_LINES = 25
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# The code that makes the pages, below src/book; with the stage and `data/` it is all that the site
# depends on.
_CODE = (
    "chapter/tables.py",
    "evidence/*.py",
    "notebook/*.py",
    "site/**/*",
    "storage/*.py",
)


@dataclass(frozen=True)
class Built:
    """A built site: where it is, how many pages, whether it had to be rendered, seconds.

    Attributes:
        problems: what could not be read; the pages that wanted it say so.
    """

    folder: Path
    pages: int
    rendered: bool
    problems: tuple[str, ...]
    seconds: float = 0.0


def build(clean: bool = False) -> Built:
    """Build the site from the last runs; costs next to nothing when nothing changed.

    Args:
        clean: render every page anew, as for publishing.

    Raises:
        BookError: if rendering or checking fails; it names the pages and the log, and the site of
            the last good build is left as it was.
    """
    began = time.perf_counter()

    def waiting(process: str) -> None:
        print(f"waiting for {process}, which is rendering the book")

    with exclusive(paths.build_dir() / "site.lock", waiting) as lock:
        built = _build(clean, lock)
    return replace(built, seconds=time.perf_counter() - began)


def _build(clean: bool, lock: int) -> Built:
    """Build the site if it is out of date."""
    home, site = paths.build_dir() / "site", paths.build_dir() / "html"
    stamp_file, known = home / "stamp.json", {}
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(stamp_file.read_text(encoding="utf-8"))
    stamp = {"content": _content(), "site": _listing(site)}
    if not clean and stamp["site"] and known.get("stamp") == stamp:
        return Built(site, known["pages"], False, tuple(known["problems"]))
    # Read here, where an error in an entry is told as it is, before Sphinx wraps it in its own.
    catalogue.papers(), catalogue.planned()
    staged = stage()
    shape = _shape(staged)
    # After a build that failed everything is rendered anew: Sphinx warns only of pages that it
    # reads, and would find nothing wrong the second time.
    if clean or known.get("shape") != shape:
        shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True, exist_ok=True)
    stamp_file.unlink(missing_ok=True)
    rendered = _render(staged.folder, home, lock)
    if problems := check_html(rendered):
        raise BookError("the rendered pages have faults:\n" + "\n".join(problems))
    _publish(rendered, site)
    stamp["site"] = _listing(site)
    pages = sum(name.endswith((".md", ".ipynb")) for name in staged.files)
    written = {"shape": shape, "stamp": stamp, "pages": pages, "problems": staged.problems}
    write_atomically(stamp_file, json.dumps(written))
    return Built(site, pages, True, staged.problems)


def _render(source: Path, home: Path, lock: int) -> Path:
    """Render the staged book with Jupyter Book; return the folder of the pages.

    Jupyter Book holds the lock with us: if we are killed, nobody renders into its folder meanwhile.
    """
    log = home.parent / "site.log"
    command = [
        *(sys.executable, "-c", "from jupyter_book.cli.main import main; main()"),
        *("build", str(source)),
        *("--path-output", str(home), "-W", "-n", "--keep-going"),
    ]
    search = filter(None, [str(paths.package_root()), os.environ.get("PYTHONPATH")])
    environment = {
        **os.environ,
        "BOOK_ROOT": str(paths.root()),
        "BOOK_BUILD": str(paths.build_dir()),
        "PYTHONPATH": os.pathsep.join(search),
    }
    done = subprocess.run(
        command, env=environment, stdout=PIPE, stderr=STDOUT, encoding="utf-8", pass_fds=[lock]
    )
    told = _COLOUR.sub("", done.stdout)
    log.write_text(told, encoding="utf-8")
    full = os.strerror(errno.ENOSPC)
    if done.returncode != 0 and full in told:  # Sphinx says it once a file
        raise OSError(errno.ENOSPC, full, str(home))
    if done.returncode != 0:
        raise BookError(_explain(told.splitlines(), log))
    return home / "_build" / "html"


def _explain(lines: list[str], log: Path) -> str:
    """Return what went wrong: Sphinx's warnings, else the end of what it said."""
    told = [line for line in lines if "WARNING:" in line or "ERROR:" in line]
    # Jupyter Book ends with a traceback of its own, of which the last line may tell the cause.
    ends = [k for k, line in enumerate(lines) if line.startswith("Traceback")]
    before = lines[: ends[0]] if ends else lines
    stops = [k for k, line in enumerate(before) if line.endswith(("error:", "error!"))]
    stops += [k for k, line in enumerate(before) if line.startswith("Extension error")]
    shown = told or (before[min(stops) :] if stops else [*before, *lines[-1:]])
    cause = "\n".join(shown[-_LOG_LINES:])
    return f"the book could not be rendered; the log is {paths.short(log)}\n{cause}"


def _publish(rendered: Path, site: Path) -> None:
    """Make the published site equal to the rendered one.

    What is new is first copied beside it, where a full disk costs nothing, then moved into place.
    """
    files = [f.relative_to(rendered) for f in rendered.rglob("*") if f.is_file()]
    new = [name for name in files if _bytes(site / name) != _bytes(rendered / name)]
    beside = site.with_name("html.new")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        for name in new:
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(rendered / name, beside / name)
        for name in new:
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(beside / name, site / name)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    keep_only(site, {name.as_posix() for name in files})


def _bytes(file: Path) -> bytes | None:
    """Return what a file holds; None if there is none, or it has gone since it was listed."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def _content() -> str:
    """Return a digest of everything that the pages are made from."""
    files = inputs() + sorted(paths.papers_dir().glob("*"))
    files += sorted((paths.data_dir() / "results").rglob("*.json"))
    files += sorted((paths.build_dir() / "runs").glob("*/*/*.json"))
    files += _code()
    # The methods: a measurement that is older than its chapter's code is marked.
    for home in dict.fromkeys((paths.root(), paths.package_root())):
        machinery = home / "src" / "book"
        found = sorted((home / "src").rglob("*.py"))
        files += [file for file in found if not file.is_relative_to(machinery)]
    return _digest(version(), files)


def _shape(staged: Staged) -> str:
    """Return a digest of what every page shows: the sidebar's titles, configuration and styles.

    Sphinx does not write a page anew when another page's title in its sidebar changes.
    """
    titles = [[chapter.name, chapter_title(chapter.name)] for chapter in select()]
    for name in staged.files:
        if name.endswith(".md"):
            text = (staged.folder / name).read_text(encoding="utf-8")
            titles.append([name, text.partition("\n")[0]])
    settings = [staged.folder / name for name in staged.files if name.startswith("_")]
    return _digest(titles, [*settings, *_code()])


def _code() -> list[Path]:
    folder = Path(__file__).parents[1]
    found = sorted(file for pattern in _CODE for file in folder.glob(pattern))
    return [file for file in found if file.is_file() and file.suffix != ".pyc"]


def _listing(site: Path) -> str:
    """Return a digest of the published files' names, sizes and times; "" if there are none."""
    files = [(file, file.stat()) for file in sorted(site.rglob("*")) if file.is_file()]
    facts = [(file.as_posix(), about.st_size, about.st_mtime_ns) for file, about in files]
    return _digest(facts) if facts else ""


def _digest(words: object, files: Iterable[Path] = ()) -> str:
    digest = hashlib.sha256(repr(words).encode())
    for file in files:
        digest.update(f"{file}\0".encode())
        digest.update(_bytes(file) or b"")
    return digest.hexdigest()
