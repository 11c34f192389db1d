"""The rendered book: stage, render with warnings as errors, check, publish to `_build/html`.

The book is rendered beside the published site and copied over it only when everything is well, so
that a failed build leaves the last good site as it was.
"""

import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, STDOUT

from src.book.evidence import catalogue
from src.book.notebook.chapters import select
from src.book.notebook.repository import version
from src.book.notebook.titles import chapter_title
from src.book.site.htmlcheck import check_html, images_shown
from src.book.site.stage import Staged, inputs, stage
from src.book.storage import paths
from src.book.storage.errors import BookError
from src.book.storage.files import write_atomically
from src.book.storage.locks import exclusive

__all__ = ["Built", "build", "check_html"]

_LOG_LINES = 25
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# The code that makes the pages, below src/book; with the stage and `data/` it is all that the site
# depends on.
_CODE = (
    "chapter/tables.py",
    "evidence/catalogue.py",
    "evidence/claims.py",
    "evidence/ledger.py",
    "notebook/install.py",
    "notebook/outputs.py",
    "notebook/repository.py",
    "site/accessible.py",
    "site/archive.py",
    "site/build.py",
    "site/directives.py",
    "site/front.py",
    "site/htmlcheck.py",
    "site/icons.py",
    "site/offline.py",
    "site/page_parts.py",
    "site/pages/*.py",
    "site/pages/templates/*",
    "site/searchable.py",
    "site/stage.py",
    "site/theme/*",
    "storage/content_keys.py",
    "storage/dependencies.py",
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
    seconds: float
    problems: tuple[str, ...] = ()


def build(clean: bool = False) -> Built:
    """Build the site from the last runs; costs next to nothing when nothing changed.

    Args:
        clean: render every page anew, as for publishing.

    Raises:
        BookError: if rendering or checking fails; it names the pages and the log, and the site of
            the last good build is left as it was.
    """
    began = time.perf_counter()
    with exclusive(paths.build_dir() / "site.lock", _say_waiting) as lock:
        pages, rendered, problems = _build(clean, lock)
    site, seconds = paths.build_dir() / "html", time.perf_counter() - began
    return Built(site, pages, rendered, seconds, tuple(problems))


def _build(clean: bool, lock: int) -> tuple[int, bool, list[str]]:
    """Build the site if it is out of date; return the number of pages, whether it was, problems."""
    home, site = paths.build_dir() / "site", paths.build_dir() / "html"
    stamp_file = home / "stamp.json"
    known = _read(stamp_file)
    stamp = {"content": _content(), "site": _listing(site)}
    if not clean and stamp["site"] and known.get("stamp") == stamp:
        return known["pages"], False, known["problems"]
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
    problems = list(staged.problems)
    written = {"shape": shape, "stamp": stamp, "pages": pages, "problems": problems}
    write_atomically(stamp_file, json.dumps(written))
    return pages, True, problems


def _say_waiting(process: str) -> None:
    print(f"waiting for {process}, which is rendering the book")


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
    environment = {**os.environ, "BOOK_ROOT": str(paths.root())}
    environment["BOOK_BUILD"] = str(paths.build_dir())
    environment["PYTHONPATH"] = os.pathsep.join(
        p for p in (str(paths.package_root()), os.environ.get("PYTHONPATH")) if p
    )
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
    """Make the published site equal to the rendered one, without images that no page shows.

    What is new is first copied beside it, where a full disk costs nothing, then moved into place.
    """
    shown = images_shown(rendered)
    wanted = {
        file.relative_to(rendered): file
        for file in rendered.rglob("*")
        if file.is_file() and (file.parent.name != "_images" or file.resolve() in shown)
    }
    beside = site.with_name("html.new")
    shutil.rmtree(beside, ignore_errors=True)
    new = [name for name, file in wanted.items() if _bytes(site / name) != file.read_bytes()]
    try:
        for name in new:
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(wanted[name], beside / name)
        for name in new:
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(beside / name, site / name)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    for file in sorted(site.rglob("*"), reverse=True):
        if file.is_dir():
            if not any(file.iterdir()):
                file.rmdir()
        elif file.relative_to(site) not in wanted:
            file.unlink()


def _bytes(file: Path) -> bytes | None:
    """Return what a file holds; None if there is none, or it has gone since it was listed."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def _content() -> str:
    """Return a digest of everything that the pages are made from."""
    digest = hashlib.sha256(version().encode())
    files = inputs() + sorted(paths.papers_dir().glob("*"))
    files += sorted((paths.data_dir() / "results").rglob("*.json"))
    files += sorted((paths.build_dir() / "runs").glob("*/*/*.json"))
    files += _code()
    # The methods: a measurement that is older than its chapter's code is marked.
    for home in dict.fromkeys((paths.root(), paths.package_root())):
        files += sorted(f for f in (home / "src").rglob("*.py") if not _of_machinery(f, home))
    for file in files:
        digest.update(f"{file}\0".encode())
        digest.update(_bytes(file) or b"")
    return digest.hexdigest()


def _shape(staged: Staged) -> str:
    """Return a digest of what every page shows: the sidebar's titles, configuration and styles.

    Sphinx does not write a page anew when another page's title in its sidebar changes.
    """
    digest = hashlib.sha256(json.dumps(_titles(staged)).encode())
    files = [staged.folder / n for n in staged.files if n.startswith("_")]
    for file in [*files, *_code()]:
        digest.update(f"{file.name}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _titles(staged: Staged) -> list[list[str]]:
    titles = [[chapter.name, chapter_title(chapter.name)] for chapter in select()]
    for name in staged.files:
        if name.endswith(".md"):
            text = (staged.folder / name).read_text(encoding="utf-8")
            titles.append([name, text.partition("\n")[0]])
    return titles


def _of_machinery(file: Path, home: Path) -> bool:
    return file.is_relative_to(home / "src" / "book")


def _code() -> list[Path]:
    folder = Path(__file__).parents[1]
    return sorted(file for pattern in _CODE for file in folder.glob(pattern))


def _listing(site: Path) -> str:
    """Return a digest of the published files' names, sizes and times, to see if they are ours."""
    if not site.exists():
        return ""
    facts = [
        f"{file.relative_to(site)} {(about := file.stat()).st_size} {about.st_mtime_ns}"
        for file in sorted(site.rglob("*"))
        if file.is_file()
    ]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def _read(file: Path) -> dict:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
