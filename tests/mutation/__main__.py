"""Plant small mistakes in a module, one at a time, and see which the tests notice."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.mutation import ledger
from tests.mutation.choose import stages

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PLANTER = os.environ.get("MUTATE_PYTHON", f"{ROOT}/.venv-mutate/bin/python")  # has cosmic-ray
LIBRARIES = ("torch", "scipy.stats", "sklearn.linear_model", "networkx", "hypothesis", "jaxtyping")
MARGIN_S = 10  # beside three times what the tests need without a mistake
NOT_COPIED = shutil.ignore_patterns(".*", "_build", "__pycache__", "cache")


def planted(file: Path, count: int) -> list[dict]:
    """Return a sample of a module's mutants, see `plant`."""
    command = [PLANTER, HERE / "plant.py", file, str(count)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def tried(
    root: Path, module: str, tests: list[list[str]], mutants: list[dict], jobs: int
) -> Iterator[dict]:
    """Run the tests in a copy of a tree; return what `forks` says, line by line.

    Args:
        root: of the tree, which is only read.
        module: its path below the root.
        tests: stages of pytest's arguments.
        mutants: with "where", the function, and "source" each.
        jobs: how many at a time.
    """
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST"))}
    clean.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = shutil.copytree(root, Path(folder).resolve() / "tree", ignore=NOT_COPIED)
        request = {"tree": str(tree), "module": module, "stages": tests, "jobs": jobs}
        request |= {"libraries": LIBRARIES, "margin": MARGIN_S}
        request["mutants"] = [(mutant["where"], mutant["source"]) for mutant in mutants]
        command, pipe = [sys.executable, "-P", HERE / "forks.py"], subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=clean) as forks:
            forks.stdin.write(json.dumps(request))
            forks.stdin.close()
            yield from map(json.loads, forks.stdout)


def score(root: Path, module: str, options: argparse.Namespace) -> dict:
    """Try a module's mutants; print what happens and return the entry of the ledger."""
    if not module.startswith("src/") or not (root / module).is_file():
        raise SystemExit(f"{module} is no module below src/")
    if not (tests := stages(root, module, options.tests.split())):
        raise SystemExit(f"no test file imports {module}: name one with TESTS=")
    sample = planted(root / module, options.count)
    known = ledger.equivalents(module)
    mutants = [mutant for mutant in sample if mutant["mutant"] not in known]
    answers = tried(root, module, tests, mutants, options.jobs)
    for run in next(answers):
        print(f"without a mistake: {run['seconds']:.1f} s", *run["failed"])
    survivors, by, seconds = [], Counter(), 0.0
    for mutant, answer in zip(mutants, answers, strict=True):
        seconds += answer["seconds"]
        if answer["by"]:
            by[answer["by"].split("::")[0]] += 1
        else:
            survivors.append(mutant["mutant"])
            print(f"\n{mutant['mutant']}\n{mutant['diff']}", flush=True)
    for file, number in by.most_common():
        print(f"{number:4} caught by {file}")
    print(f"{module}: {by.total()} of {len(mutants)} caught, {seconds:.0f} s of tests")
    counts = {
        "mutants": len(sample),
        "caught": by.total(),
        "equivalent": len(sample) - len(mutants),
    }
    return {"content": ledger.content(root / module), **counts, "survivors": survivors}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line: score modules, or print the table of the scores."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", help="such as src/gnn/framelets/experiments.py")
    parser.add_argument("--tests", default="", help="more test files, separated by spaces")
    parser.add_argument("--count", type=int, default=40, help="how many mistakes at most")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    parser.add_argument("--scores", type=Path, default=ledger.SCORES, help="the ledger")
    options = parser.parse_args(arguments)
    for module in options.modules:
        ledger.write(options.scores, module, score(ROOT, module, options))
    if not options.modules:
        print(ledger.table(options.scores, ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
