"""What the runner costs with many chapters: `python -m benchmarks.many_chapters`.

A book of tiny chapters is planned, run once, planned again when nothing and when everything has
changed, and rendered; while it runs, the memory of the runner and of its workers is read. Seconds
are those of whole commands, the interpreter's start included. The table goes to the page "Running
at scale" by way of the timing ledger; `--print-only` leaves the ledger alone. About five minutes
on two cores.
"""

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks import tiny_book
from src.book.evidence import ledger

REPEATS = 3
EARLY = 50  # chapters after which memory is read for the first time
_FINISHED = re.compile(r"\[(\d+)/\d+\]")


def book(root: Path, *arguments: str) -> subprocess.Popen:
    """Start a command of the book on the book of tiny chapters."""
    sources = os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "BOOK_ROOT": str(root), "PYTHONPATH": sources}
    environment |= {"BOOK_BUILD": str(root / "_build"), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "src.book", *arguments],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def seconds(root: Path, *arguments: str) -> float:
    """Return the seconds of a command, which must go well."""
    began = time.perf_counter()
    process = book(root, *arguments)
    said, _ = process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(arguments)}: exit status {process.returncode}\n{said}")
    return time.perf_counter() - began


def until_the_first_starts(root: Path) -> float:
    """Return the seconds from the command to its first chapter's start, and interrupt it."""
    began = time.perf_counter()
    process = book(root, "run")
    next(line for line in process.stdout if line.startswith("running "))
    passed = time.perf_counter() - began
    process.send_signal(signal.SIGINT)
    process.communicate()
    return passed


def memory(runner: int) -> dict[str, float]:
    """Return the resident memory, MB, of the runner and of its largest worker, without kernels."""
    main = psutil.Process(runner)
    workers = []
    for child in main.children(recursive=True):
        try:
            if "multiprocessing.forkserver" in " ".join(child.cmdline()):
                workers.append(child.memory_info().rss)
        except psutil.Error:
            continue
    return {"runner": main.memory_info().rss / 1e6, "worker": max(workers, default=0) / 1e6}


def run_all(root: Path, jobs: int) -> dict[str, object]:
    """Run every chapter once; return seconds, and memory after the first chapters and later."""
    began = time.perf_counter()
    process = book(root, "run", "--jobs", str(jobs))
    read: dict[int, dict[str, float]] = {}
    for line in process.stdout:
        if found := _FINISHED.match(line):
            read[int(found.group(1))] = memory(process.pid)
    if process.wait() != 0:
        raise SystemExit("a tiny chapter failed")
    early = min(EARLY, len(read))
    return {
        "run_seconds": time.perf_counter() - began,
        "early": early,
        "memory_mb": {
            who: [read[early][who], max(r[who] for count, r in read.items() if count >= early)]
            for who in ("runner", "worker")
        },
    }


def measurements(chapters: int, jobs: int) -> Iterator[tuple[str, object]]:
    """Yield what is measured, by name."""
    with tempfile.TemporaryDirectory(prefix="many-chapters-") as folder:
        root = Path(folder)
        tiny_book.make(root, chapters)
        yield "plan_seconds", _several(lambda: until_the_first_starts(root))
        yield from run_all(root, jobs).items()
        yield "no_op_seconds", _several(lambda: seconds(root, "run"))
        yield "site_seconds", seconds(root, "site")
        yield "no_op_with_site_seconds", _several(lambda: seconds(root, "book"))
        with (root / tiny_book.SHARED).open("a") as shared:
            shared.write("\nCHANGED = True\n")
        yield "plan_after_a_change_seconds", _several(lambda: until_the_first_starts(root))


def _several(measure) -> float:
    return statistics.median(measure() for _ in range(REPEATS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--chapters", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--print-only", action="store_true", help="do not write to the ledger")
    options = parser.parse_args()
    found: dict[str, object] = {"chapters": options.chapters, "jobs": options.jobs}
    for name, value in measurements(options.chapters, options.jobs):
        found[name] = value
        print(name, value, flush=True)
    if not options.print_only:
        ledger.write("many_chapters", "timing", found)


if __name__ == "__main__":
    main()
