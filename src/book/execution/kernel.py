"""A kernel of its own for each chapter: private, watched, and gone when the chapter is over.

Why not the defaults: kernels on TCP ports race for them and warn about it; kernels on IPC share
socket names in the working directory; a time-out of nbclient counts per cell only; and nobody
watches memory.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from src.book.storage import paths
from src.book.storage.locks import exclusive

if TYPE_CHECKING:
    from subprocess import Popen

_LONGEST_BASE = 50  # a socket's path has about 107 bytes, and the longest of ours take 55
_HELD = "held"
_WATCH_EVERY_S = 0.25
_LAST_WORDS_S = 3
_MB = 2**20


def environment(threads: int, folder: Path, record: Path) -> dict[str, str]:
    """Return a kernel's environment: this process's, with what reproducible runs need.

    The chapter appends its events to the file `record`.
    """
    # This tree's `src`, no other clone's.
    sources = [str(paths.root()), str(paths.package_root()), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        # Another number of threads rounds differently.
        **{f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")},
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(filter(None, sources))),
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "IPYTHONDIR": str(folder / "ipython"),  # nobody's personal start-up files
        "TQDM_DISABLE": "1",  # progress bars are for people at a notebook, not for pages
        "BOOK_RECORD": str(record),
    }


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """Give a folder for sockets, connection file and events; it is removed afterwards."""
    sweep()
    # It gets the name that `sweep` looks for once its lock is held; before, it looks abandoned.
    made = Path(tempfile.mkdtemp(prefix="book.", dir=_base()))
    folder = made.with_name(made.name.replace(".", "-", 1))
    try:
        with exclusive(made / _HELD):
            made.rename(folder)
            yield folder
    finally:
        for place in (made, folder):
            shutil.rmtree(place, ignore_errors=True)


def sweep() -> None:
    """Remove the folders of processes that were killed.

    Their kernels need no hunt: ipykernel looks every second whether its parent is still there.
    A folder's lock says whether somebody holds it: the number of a process means nothing to another
    container, or another machine, that uses the same folder for temporary files.
    """
    for folder in Path(_base()).glob("book-*"):
        with contextlib.suppress(OSError), (folder / _HELD).open() as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def _base() -> str:
    try:
        base = tempfile.gettempdir()  # the first of several that takes a file
    except FileNotFoundError:
        words = "no folder for temporary files takes one"
        raise OSError(errno.ENOSPC, words, os.environ.get("TMPDIR", "/tmp")) from None
    return base if len(base) <= _LONGEST_BASE else "/tmp"


def manager_class(guard: "Guard", folder: Path, env: dict[str, str], cwd: Path) -> type:
    """Return a kernel manager class whose kernel is this interpreter, on private IPC sockets.

    The guard is told the kernel's process; what that itself prints goes to `folder/kernel.log`.
    """
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec

    class PrivateKernelManager(AsyncKernelManager):
        def __init__(self, **settings: object) -> None:
            super().__init__(**settings)
            self.transport, self.ip = "ipc", str(folder / "k")
            self.connection_file = str(folder / "connection.json")

        @property
        def kernel_spec(self) -> KernelSpec:
            argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

        async def start_kernel(self, **settings: object) -> None:
            with (folder / "kernel.log").open("ab") as log:
                settings |= {"env": dict(env), "cwd": str(cwd), "stdout": log, "stderr": log}
                await super().start_kernel(**settings)
            guard.begin(self.provisioner.process)

    return PrivateKernelManager


class Guard:
    """Watches one kernel's process tree, measures it, and ends it when it goes over a limit."""

    def __init__(self, limit_s: float, memory_gib: float) -> None:
        self.limit_s, self.memory_gib = limit_s, memory_gib
        self.exceeded = ""  # or the limit that was, "time" or "memory"
        # The largest resident memory of the kernel and its children, and their processor time.
        self.peak_mb = self.cpu_seconds = 0.0
        self._process: Popen | None = None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, process: "Popen") -> None:
        """Start watching a kernel's process (a leader of its own process group)."""
        self._process = process
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> int | None:
        """Stop watching, end what is left of the process group; return the kernel's exit code."""
        self._over.set()
        if self._process is None:
            return None
        self._thread.join()
        code = self._process.poll()
        self.kill()
        return code

    def kill(self) -> None:
        """End the kernel and its children at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def sample(self) -> float:
        """Measure memory and processor time now; return the memory in MiB."""
        import psutil

        try:
            kernel = psutil.Process(self._process.pid)
            tree = [kernel, *kernel.children(recursive=True)]
        except psutil.NoSuchProcess:
            return 0.0
        memory = cpu = 0.0
        for process in tree:
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                cpu += times.user + times.system + times.children_user + times.children_system
                memory += process.memory_info().rss / _MB
        self.cpu_seconds = max(self.cpu_seconds, cpu)
        self.peak_mb = max(self.peak_mb, memory, self._high_water_mark())
        return memory

    def _high_water_mark(self) -> float:
        """Return the kernel's own peak, which falls between two looks at it (Linux only)."""
        with contextlib.suppress(OSError, ValueError):
            for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
        return 0.0

    def _watch(self) -> None:
        deadline = time.monotonic() + self.limit_s
        while not self._over.wait(_WATCH_EVERY_S):
            if self.sample() > self.memory_gib * 1024:
                self.exceeded = "memory"
            elif time.monotonic() > deadline:
                self.exceeded = "time"
            if self.exceeded:
                # An interrupt makes the chapter tell where it is, if it still listens.
                if self.exceeded == "time":
                    self._process.send_signal(signal.SIGINT)
                    self._over.wait(_LAST_WORDS_S)
                self.kill()
                return
