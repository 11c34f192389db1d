"""The scores of the modules, and the mutants that no test can tell from the module."""

import datetime
import hashlib
import json
from pathlib import Path

import yaml

SCORES = Path(__file__).with_name("scores.json")
EQUIVALENT = Path(__file__).with_name("equivalent.yml")


def equivalents(module: str) -> set[str]:
    """Return the mutants of a module that are named as equivalent, by their line."""
    entries = yaml.safe_load(EQUIVALENT.read_text(encoding="utf-8"))
    return {entry["mutant"] for entry in entries if entry["module"] == module}


def content(file: Path) -> str:
    """Return what a module's content is known by."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def read(scores: Path) -> dict[str, dict]:
    """Return all entries by module."""
    return json.loads(scores.read_text(encoding="utf-8")) if scores.exists() else {}


def write(scores: Path, module: str, entry: dict) -> None:
    """Put a module's entry in the place of its old one."""
    entry = {"date": datetime.date.today().isoformat(), **entry}
    entries = dict(sorted((read(scores) | {module: entry}).items()))
    scores.write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def table(scores: Path, root: Path) -> str:
    """Return the scores as a Markdown table; a module that has changed since has a mark."""
    rows = ["| module | caught | of | score | equivalent | date |", "|---|--:|--:|--:|--:|---|"]
    for module, entry in read(scores).items():
        file = root / module
        changed = not file.exists() or content(file) != entry["content"]
        of, caught = entry["mutants"] - entry["equivalent"], entry["caught"]
        score = f"{100 * caught / of:.0f} %" if of else "–"
        date = entry["date"] + (" (changed since)" if changed else "")
        rows.append(f"| `{module}` | {caught} | {of} | {score} | {entry['equivalent']} | {date} |")
    return "\n".join(rows)
