"""The command line in a process of its own, for tests that break things."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_S = 300  # the machine may be busy; nothing that goes well waits so long


def start_book(*arguments, planted="", preexec=lambda: None, **environment):
    """Start the command line on the toy book of `$BOOK_ROOT`, as the leader of its own group.

    Args:
        arguments: of the command line.
        planted: Python code that runs first, in the same process: a fault.
        preexec: called in the new process before that.
        environment: variables on top of this process's.
    """
    code = (
        f"{planted}\nimport sys\nfrom src.book.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    )
    command = ["-c", code] if planted else ["-m", "src.book"]

    def prepare():
        # A shell's background job ignores Ctrl-C, and so would its children: these tests too.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        preexec()

    return subprocess.Popen(
        [sys.executable, *command, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=prepare,
    )


def book(*arguments, **settings):
    """Run the command line as `start_book` does; return exit status and output, no traceback."""
    process = start_book(*arguments, **settings)
    said = process.communicate(timeout=PATIENCE_S)[0]
    assert "Traceback (most recent call last)" not in said, said
    return process.returncode, said


def wait_for(condition, patience_s=PATIENCE_S):
    """Wait until a condition holds; fail after a while."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def alive(pid_file):
    """Whether the process that wrote its id into a file is still running."""
    try:
        return psutil.Process(int(pid_file.read_text())).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def sleeper(toys, name):
    """A chapter that writes its kernel's id into a file and sleeps while a file `slow` is there."""
    pid = toys.root / f"{name.replace('/', '-')}.pid"
    toys.chapter(
        name,
        f"import os, pathlib, time\npathlib.Path({str(pid)!r}).write_text(str(os.getpid()))",
        f"while pathlib.Path({str(toys.root / 'slow')!r}).exists():\n    time.sleep(0.05)",
    )
    return pid


def hidden(root):
    """The half-written files under a book's folders."""
    found = [
        f for name in ("_build", "data", "cache", "chapters") for f in (root / name).rglob(".*")
    ]
    return sorted(f.name for f in found if f.name != ".lock")
