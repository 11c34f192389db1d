"""The book's command line, from any folder: `papers-that-run COMMAND`."""

import os
import sys
from importlib.util import find_spec

from papers_that_run.source import HOME


def main() -> int:
    """Run a command; return its exit status."""
    if find_spec("click") is None:
        print(
            "error: the command line runs in the book's own environment, which `make book` in a "
            "clone sets up; this one has the methods only",
            file=sys.stderr,
        )
        return 2
    from papers_that_run.book.__main__ import main as run

    # The processes that it starts look for `src` in the book, not in the current folder.
    given = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HOME.parent), given]))
    os.environ["PYTHONSAFEPATH"] = "1"
    return run(name="papers-that-run")


if __name__ == "__main__":
    sys.exit(main())
