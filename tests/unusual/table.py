"""`python -m tests.unusual.table`: what every public entry point does with unusual input.

It runs in a process of its own, where nothing but the functions themselves checks their arguments:
the tests' run-time checks of signatures are not there for practitioners either. Prints Markdown, or
with `--json` what the tests read.
"""

import importlib
import json
import sys
import warnings
from pathlib import Path

from tests.unusual.inputs import Entry, cases, entries_of, judge


def entries() -> dict[str, Entry]:
    """Return all entries of the modules in `entries/`."""
    names = sorted(file.stem for file in Path(__file__).parent.glob("entries/[a-z]*.py"))
    modules = [importlib.import_module(f"tests.unusual.entries.{name}") for name in names]
    return entries_of(*(module.ENTRIES for module in modules))


def outcomes(*chosen: str) -> dict[str, dict[str, tuple[bool, str]]]:
    """Return what became of the cases of each entry whose name holds one of these texts, or all."""
    warnings.simplefilter("ignore")
    return {
        name: {
            f"{argument}: {case}": judge(entry, argument, case, value)
            for argument, case, value in cases(entry.good())
        }
        for name, entry in entries().items()
        if not chosen or any(text in name for text in chosen)
    }


def _markdown(found: dict[str, dict[str, tuple[bool, str]]]) -> str:
    rows = [
        "| entry point | inputs | right value | clear error | faults |",
        "|---|---|---|---|---|",
    ]
    for name, table in found.items():
        good = [said for right, said in table.values() if right]
        right, faults = good.count("right"), len(table) - len(good)
        counts = f"{len(table)} | {right} | {len(good) - right} | {faults}"
        rows.append(f"| `{name}` | {counts} |")
    return "\n".join(rows)


def _details(found: dict[str, dict[str, tuple[bool, str]]]) -> str:
    lines = [
        f"{'  ok ' if right else 'FAULT'} {name} {case}: {said}"
        for name, table in found.items()
        for case, (right, said) in table.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    table = outcomes(*words)
    show = {"--json": json.dumps, "--details": _details}
    print(next((show[word] for word in sys.argv if word in show), _markdown)(table))
