"""The ledger: what was measured, where, when, with what; one JSON file a chapter and profile.

`data/results/<profile>/<part>/<chapter>.json` is committed. The quick entry is the reference that a
fresh run must agree with; the larger profiles' entries are what the pages show "at scale"; the
entries of the pseudo-profile "timing" come from the benchmarks.
"""

import json
import os
import platform
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from src.book.evidence import catalogue
from src.book.evidence.claims import measure
from src.book.evidence.statistics import NOT_TESTED
from src.book.storage import dependencies, machine, paths
from src.book.storage.errors import BookError
from src.book.storage.files import read_text, write_atomically

LARGER = ("gpu", "cpu")  # where a page looks for results at scale, the largest first
# Which command writes the entry of a profile.
_MADE_BY = {
    "quick": "make book, then make accept CHAPTER={chapter}",
    "cpu": "make results PROFILE=cpu CHAPTER={chapter}",
    "gpu": "make results PROFILE=gpu CHAPTER={chapter}",
    "timing": "make bench",
}


def read(chapter: str, profile: str) -> dict | None:
    """Return a chapter's ledger entry in a profile ("quick", "cpu", "gpu", "timing"), or None.

    Raises:
        BookError: if the file is damaged, or a merge of it is not finished.
    """
    file = paths.results_file(chapter, profile)
    if not file.exists():
        return None
    try:
        entry = json.loads(read_text(file))
        if not isinstance(entry, dict):
            raise ValueError("it must be one object")
        return {"measurements": [], **entry}
    except (BookError, ValueError) as error:
        said = str(error).removeprefix(f"{paths.short(file)}, ")
        remedy = _MADE_BY[profile].format(chapter=chapter)
        raise BookError(
            f"{paths.short(file)}: not valid JSON ({said}); restore it, or delete it and make it "
            f"again: {remedy}"
        ) from None


def write(chapter: str, profile: str, entry: dict, seed: int | None = None) -> Path:
    """Write a chapter's ledger entry atomically, with provenance added; return the file.

    Args:
        chapter: such as "foundations/transformer".
        profile: "quick", "cpu", "gpu" or "timing".
        entry: {"seed", "measurements": [...], "recorded": {...}, ...}, JSON-able.
        seed: of a run with another seed than the chapter's own, whose entry has a file of its own.
    """
    file = paths.results_file(chapter, profile, seed)
    content = {"chapter": chapter, "profile": profile, **entry}
    # The quick entry is a reference: it must not change when nothing measured has changed.
    if profile != "quick":
        content["provenance"] = entry.get("provenance") or provenance()
    write_atomically(file, _lines(content))
    return file


def _lines(content: dict) -> str:
    """Return JSON with one measurement or recorded value a line, so that a diff reads well."""
    plain = partial(json.dumps, ensure_ascii=False)
    parts = []
    for key, value in content.items():
        written = plain(value)
        if isinstance(value, list) and value:
            written = "[\n  " + ",\n  ".join(map(plain, value)) + "\n ]"
        elif isinstance(value, dict) and value:
            pairs = (f"{plain(k)}: {plain(v)}" for k, v in value.items())
            written = "{\n  " + ",\n  ".join(pairs) + "\n }"
        parts.append(f" {plain(key)}: {written}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def record_timing(
    chapter: str,
    paper: str,
    claim: str,
    rows: list[tuple[float, float]],
    *,
    peer: str,
    setting: str,
) -> dict:
    """Judge a timing claim by paired seconds and merge it into the chapter's timing entry.

    Args:
        chapter: the chapter whose page shows the ratio.
        paper: the paper's id.
        claim: a claim of kind "timing".
        rows: pairs (a, b) of seconds, or of any positive cost, measured side by side in one run.
        peer: what b is, by name and version.
        setting: sizes and number of threads, in words.

    Raises:
        BookError: if the claim is not of kind timing or the rows do not fit it.
    """
    if catalogue.claim(paper, claim).kind != "timing":
        raise BookError(f"{paper} {claim} is not a claim of kind timing")
    measured = {**measure(paper, claim, rows).as_json(), "peer": peer, "setting": setting}
    if code := dependencies.chapter_code(chapter):
        measured["code"] = code
    entry = read(chapter, "timing") or {"measurements": []}
    kept = [m for m in entry["measurements"] if (m["paper"], m["claim"]) != (paper, claim)]
    kept.append({**measured, "provenance": provenance()})
    kept.sort(key=lambda m: (m["paper"], m["claim"]))
    write(chapter, "timing", {"measurements": kept})
    return measured


def latest(chapter: str) -> dict[tuple[str, str], dict]:
    """Return each claim's measurement in the largest profile that tested it.

    Keys are (paper, claim); values are the ledger's measurement with "profile", "device" and
    "date" added, "verdicts" of all profiles by name, and "code", the checksum of the chapter's code
    at that time ("" if the entry is from before these were kept). Claims that no profile tested are
    absent.
    """
    found: dict[tuple[str, str], dict] = {}
    for profile in (*catalogue.PROFILES, "timing"):
        entry = read(chapter, profile) or {"measurements": []}
        for measured in entry["measurements"]:
            source = measured.get("provenance") or entry.get("provenance", {})
            key = measured["paper"], measured["claim"]
            if measured["verdict"] != NOT_TESTED:
                smaller = found.get(key, {}).get("verdicts", {})
                found[key] = {
                    **measured,
                    "verdicts": {**smaller, profile: measured["verdict"]},
                    "profile": profile,
                    "device": source.get("device", "any CPU"),
                    "date": source.get("date"),
                    "code": measured.get("code") or entry.get("code", ""),
                }
    return found


@dataclass(frozen=True)
class Moved:
    """Something about a claim that a fresh run says otherwise than the ledger.

    Attributes:
        paper, claim: which.
        what: "verdict", "estimate", "low", "high", or "measurement" if only one of them has it.
        was, now: as the ledger and as the run say it; None for what is absent.
        tolerance: the claim's; None where its criterion or the verdict's word decides.
        beyond: whether it moved too far.
    """

    paper: str
    claim: str
    what: str
    was: float | str | None
    now: float | str | None
    tolerance: float | None
    beyond: bool

    def __str__(self) -> str:
        """Return a sentence."""
        name = f"{self.paper} {self.claim}"
        if self.what == "measurement":
            return f"{name} is in only one of run and ledger"
        was, now = (f"{v:.6g}" if isinstance(v, float) else v for v in (self.was, self.now))
        if self.what == "verdict":
            return f"{name}: the verdict was {was}, now {now}"
        limit = "" if self.tolerance is None else f"; tolerance {self.tolerance:g}"
        return f"{name}: {self.what} was {was}, now {now}{limit}"


def compare(chapter: str, measurements: list[dict], committed: dict | None = None) -> list[str]:
    """Compare a fresh quick run's measurements with an entry; return the problems.

    Arguments as for `moved`.
    """
    try:
        found = moved(chapter, measurements, committed)
    except BookError as error:
        return [str(error)]
    verdicts = {(m.paper, m.claim) for m in found if m.what == "verdict"}
    return sorted(
        f"{chapter}: {m}"
        for m in found
        if m.beyond and (m.what == "verdict" or (m.paper, m.claim) not in verdicts)
    )


def moved(chapter: str, measurements: list[dict], committed: dict | None = None) -> list[Moved]:
    """Return what a fresh quick run measures otherwise than an entry, also within its tolerance.

    Args:
        chapter, measurements: of the run.
        committed: the entry; None for the one in the ledger.

    Raises:
        BookError: if there is no committed entry.
    """
    committed = committed or read(chapter, "quick")
    if committed is None:
        raise BookError(f"{chapter}: no committed quick ledger; run make accept CHAPTER={chapter}")
    before, after = (
        {(m["paper"], m["claim"]): m for m in kept}
        for kept in (committed["measurements"], measurements)
    )
    keys = sorted(before.keys() | after.keys())
    return [m for key in keys for m in _moved(key, before.get(key), after.get(key))]


def _moved(key: tuple[str, str], before: dict | None, after: dict | None) -> Iterator[Moved]:
    if before is None or after is None:
        said = [None if m is None else m["verdict"] for m in (before, after)]
        yield Moved(*key, "measurement", *said, None, True)
        return
    if before["verdict"] != after["verdict"]:
        yield Moved(*key, "verdict", before["verdict"], after["verdict"], None, True)
    tolerance = catalogue.claim(*key).tolerance
    for field in ("estimate", "low", "high"):
        old, new = before.get(field), after.get(field)
        if old != new:
            # Exact claims are judged by their criterion, which the verdict repeats.
            far = old is None or new is None or abs(old - new) > (tolerance or 0)
            yield Moved(*key, field, old, new, tolerance, tolerance is not None and far)


def provenance() -> dict:
    """Return where and with what this process measures: machine, versions, commit, date."""
    libraries = dependencies.environment()
    del libraries["python"]  # below, with its patch version
    commit, clean = _commit()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "device": device_name(),
        "cores": os.cpu_count(),
        "memory_gib": machine.memory_gib(),
        "python": platform.python_version(),
        "libraries": libraries,
        "commit": commit,
        "clean": clean,
    }


def device_name(cuda: bool | None = None) -> str:
    """Return the accelerator's or the processor's name."""
    if cuda is not False and (torch := machine.torch_with_cuda()):
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    text = info.read_text(errors="replace") if info.exists() else ""
    if found := re.search(r"^model name\s*:(.*)", text, re.MULTILINE):
        return found[1].strip()
    return platform.processor() or platform.machine()


def _commit() -> tuple[str | None, bool | None]:
    """Return the commit, and whether no file was changed since; None where git does not say."""
    git = partial(subprocess.run, capture_output=True, text=True, timeout=10, check=True)
    home = ["git", "-C", str(paths.root())]
    try:
        commit = git([*home, "rev-parse", "HEAD"]).stdout.strip()
        return commit, not git([*home, "status", "--porcelain"]).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None, None
