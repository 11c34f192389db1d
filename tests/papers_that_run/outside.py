"""Python as an outsider runs it: in a folder of their own, with the book on its path."""

import os
import subprocess
import sys

from tests.conftest import REPOSITORY


def run(folder, code, *options, **environment):
    """Run a program, or what the options say, where the folder's modules come before the book's."""
    (folder / "program.py").write_text(code)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("BOOK_", "PYTHON"))}
    return subprocess.run(
        [sys.executable, *(options or ["program.py"])],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
