"""The run context: what a chapter gets from the book, and what it hands in."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, is_dataclass
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch

from src.book.chapter import figures, verdict_tables
from src.book.chapter.tables import Table
from src.book.evidence import catalogue, claims, ledger
from src.book.storage import content_keys, dependencies, events, machine, paths
from src.book.storage.errors import BookError, choose
from src.book.storage.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STARTED = time.monotonic()
_TOOK = ("seconds", "peak_mb", "gpu_peak_mb")  # what a unit cost, kept with its result


class OutOfTime(BookError):
    """The time for this call is spent; what is finished is kept, and running again goes on."""


@dataclass(frozen=True)
class Recorded:
    """A recorded value and where it was measured ("" for this very run)."""

    value: Any
    source: str


def start(chapter: str, *, profile: str, seed: int, sizes: dict[str, dict]) -> "Run":
    """Start a chapter's run: check its parameters, fix style, threads and determinism.

    Args:
        chapter: such as "foundations/transformer"; it must have a paper in the catalogue.
        profile: one of the keys of `sizes`.
        seed: a whole number, at least 0; every random stream of the run derives from it.
        sizes: for each profile ("quick", and "cpu", "gpu" where they exist) its settings.

    Raises:
        BookError: for a wrong chapter, profile, seed or sizes, listing what is valid.
    """
    catalogue.of_chapter(chapter)
    for name in sizes:
        choose("profile in sizes", name, list(catalogue.PROFILES))
    choose(f"profile of {chapter}", profile, list(sizes))
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise BookError(f"seed must be a whole number of at least 0, not {seed!r}")
    if profile == "gpu" and not torch.cuda.is_available():
        raise BookError("the gpu profile needs a CUDA device and finds none; use quick or cpu")
    figures.use_style()
    if profile == "quick":
        torch.set_num_threads(1)  # other numbers of threads round differently
    # On a GPU some operations have no deterministic form: there it is asked for, not enforced.
    # `torch.use_deterministic_algorithms` also tells the compiler, which costs a second to load.
    torch.set_deterministic_debug_mode("default" if profile == "gpu" else "error")
    # It would also fill new memory with NaN, which costs small networks a sixth of their time.
    torch.utils.deterministic.fill_uninitialized_memory = False
    if profile == "gpu":
        machine.watch_gpu()
    run = Run(chapter, profile, seed, SimpleNamespace(**sizes[profile]), tuple(sizes))
    events.emit("start", chapter=chapter, profile=profile, seed=seed, provenance=run.provenance())
    return run


@dataclass(repr=False, eq=False)
class Run:
    """One run of one chapter in one profile; made by `start`."""

    chapter: str
    profile: str
    seed: int
    sizes: SimpleNamespace
    profiles: tuple[str, ...]

    def __post_init__(self) -> None:
        self.device = torch.device("cuda" if self.profile == "gpu" else "cpu")
        self.papers = catalogue.of_chapter(self.chapter)
        self._measured: dict[tuple[str, str], claims.Measurement] = {}

    def __repr__(self) -> str:
        """Return chapter, profile, seed and device on one line."""
        return f"{self.chapter}, profile {self.profile}, seed {self.seed}, on {self.device.type}"

    def provenance(self) -> dict:
        """Return machine, versions, commit and date of this run."""
        on_gpu = self.device.type == "cuda"
        return {
            **ledger.provenance(),
            "device": ledger.device_name(cuda=on_gpu),
            "threads": torch.get_num_threads(),
            **({"gpu": machine.gpu()} if on_gpu else {}),
        }

    def unit(self, name: str, function: Callable, *args: object, **kwargs: object) -> Any:
        """Return function(*args, **kwargs); the larger profiles keep it, so that they can resume.

        Args:
            name: the unit's name, such as "ablation heads=1 seed=0".
            function: from `src`; its result must be JSON-able.
            args, kwargs: numbers, texts, lists, dictionaries or dataclasses of these.

        A kept result is used again only while the arguments, the seed, the profile, the content
        of the function's module and of everything it imports, and the checksums of the data sets
        that it fetched are the same; what the unit and its modules are called does not matter.

        Raises:
            OutOfTime: before a unit is begun when the time for this call is spent.
            BookError: if the function does not live in `src`, or arguments or result are not
                JSON-able.
        """
        if self.profile == "quick":
            return _plain(name, "result", function(*args, **kwargs))
        file = self._unit_file(name, function, args, kwargs)
        if kept := _kept(file):
            took = {k: kept[k] for k in _TOOK if k in kept}
            for data in kept["data"]:  # the run depends on it as if it had fetched it now
                events.emit("fetch", **data)
            events.emit("unit", name=name, kept=True, **took)
            return kept["result"]
        budget = os.environ.get("BOOK_BUDGET_S")
        if budget and time.monotonic() - _STARTED > float(budget):
            raise OutOfTime(f"{budget} s are spent before unit {name!r}; run again to go on")
        began = time.perf_counter()
        with events.hearing() as heard:
            result = _plain(name, "result", function(*args, **kwargs))
        data = [{k: e[k] for k in ("name", "sha256")} for e in heard if e["event"] == "fetch"]
        seconds = round(time.perf_counter() - began, 2)
        took = {"seconds": seconds, **machine.peaks()}
        content = {"unit": name, "chapter": self.chapter, **took, "data": data, "result": result}
        write_atomically(file, json.dumps(content) + "\n")
        events.emit("unit", name=name, kept=False, **took)
        return result

    def _unit_file(self, name: str, function: Callable, args: tuple, kwargs: dict) -> Path:
        module = getattr(function, "__module__", None) or ""
        if not module.startswith("src."):
            raise BookError(f"unit {name!r}: the function must live in src/, not in {module!r}")
        told = _plain(name, "arguments", [args, kwargs])
        code = content_keys.of_module(module).key
        key = [self.seed, function.__qualname__, told, code]
        digest = sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
        return paths.build_dir() / "units" / self.profile / f"{digest}.json"

    def measure(self, paper: str, claim: str, samples: object) -> claims.Measurement:
        """Hand in the raw samples of one claim; interval and verdict are computed from them.

        Args:
            paper: the id of one of this chapter's papers.
            claim: the name of one of its claims.
            samples: one value a unit, shape (n,), or rows (a, b), shape (n, 2), for the statistics
                "difference" and "ratio"; empty if this profile does not test the claim.

        Raises:
            BookError: for unknown names, or samples that do not fit the claim.
        """
        choose(f"paper of {self.chapter}", paper, [p.id for p in self.papers])
        empty = not hasattr(samples, "detach") and len(samples) == 0  # type: ignore[arg-type]
        if empty:
            measured = claims.untested(paper, claim, self.profile)
        else:
            measured = claims.measure(paper, claim, samples)
        self._measured[paper, claim] = measured
        events.emit("measure", **measured.as_json())
        return measured

    def record(self, name: str, value: object) -> Recorded:
        """Keep a JSON-able value in the ledger, or give back what a larger profile kept.

        An empty value (None, or an empty list or dictionary) means that this profile did not
        compute it: then the largest larger profile's value is returned, with a sentence that says
        where it comes from; its value is None if no profile has been run.
        """
        if value is not None and value != [] and value != {}:
            plain = _plain(name, "value", value)
            events.emit("record", name=name, value=plain)
            return Recorded(plain, "")
        for profile in ledger.LARGER:
            entry = ledger.read(self.chapter, profile) or {}
            if name in entry.get("recorded", {}):
                where = entry["provenance"]
                source = f"in the {profile} profile on {where['device']}, {where['date']}"
                return Recorded(entry["recorded"][name], f"measured {source}")
        return Recorded(None, "no larger profile has been run yet")

    def figure(self, fig: "Figure", name: str, caption: str, alt: str) -> None:
        """Display a figure with caption and alternative text, and close it.

        Args:
            fig: the figure.
            name: lower-case words joined by hyphens, unique in the chapter.
            caption: what the figure shows and which claim it bears on.
            alt: a sentence for somebody who cannot see it (at least 20 characters).

        Raises:
            BookError: if name, caption or alt text will not do, if two labelled series differ by
                colour alone, or if a colour is not the book's.
        """
        from src.book.chapter import series  # with the parts of matplotlib that drawing needs

        series.check_series(fig, name)
        figures.display_figure(fig, name, caption, alt)

    def verdicts(self, paper: str | None = None) -> Table:
        """Return the verdict table of one paper's claims, or of all of this chapter's papers.

        Raises:
            BookError: for an unknown paper, or if a claim that this profile must test was not
                measured.
        """
        if paper is not None:
            choose(f"paper of {self.chapter}", paper, [p.id for p in self.papers])
        return verdict_tables.verdicts(self, paper)

    def verdict_words(self) -> None:
        """Print one line a claim: its name and the verdict's word (no numbers, no timing)."""
        verdict_tables.print_words(self)

    def at_scale(self) -> Table:
        """Return what the committed cpu and gpu runs and the benchmarks measured, by claim."""
        return verdict_tables.at_scale(self)

    def judged(self, paper: str, name: str) -> claims.Measurement:
        """Return a claim's measurement; a claim that this profile does not test says why.

        Raises:
            BookError: if this profile must test the claim and it was not measured.
        """
        if (paper, name) not in self._measured:
            entry = catalogue.claim(paper, name)
            if self.profile in entry.profiles and entry.kind != "timing":
                raise BookError(
                    f"{paper} {name} was not measured: call run.measure({paper!r}, {name!r}, ...)"
                )
            self.measure(paper, name, [])
        return self._measured[paper, name]


def _kept(file: Path) -> dict | None:
    """Return what a unit has kept; None if it has not run, its data changed, or it is spoiled."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        whole = {"seconds", "data", "result"} <= kept.keys()
        return kept if whole and not dependencies.changed_data(kept["data"]) else None
    except (FileNotFoundError, ValueError, AttributeError):
        return None


def _plain(name: str, what: str, value: object) -> Any:
    """Return a value as JSON would give it back."""

    def convert(thing: object) -> object:
        if is_dataclass(thing) and not isinstance(thing, type):
            return asdict(thing)
        if hasattr(thing, "tolist"):
            return thing.tolist()
        raise TypeError(f"{type(thing).__name__} is not JSON-able")

    try:
        return json.loads(json.dumps(value, default=convert, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise BookError(f"{name!r}: its {what} cannot be kept: {error}") from None
