"""No experiment leaks: properties that every function which returns published numbers must have.

An `Experiment` is one line: the function, and arguments of its smallest size. `suite` turns lines
into tests of these properties:

- *repeats*: the same seed gives the same numbers;
- *no seed is ignored*: another seed changes every random number that is returned, and every
  generator inside is given another seed;
- *noise for answers*: where `Noise` says what the test part is, its answers (labels, hidden links,
  test sentences) are replaced by noise. Then nothing that is trained or chosen changes, and the
  scores fall to chance; without the noise they are better than chance;
- *paired*: compared methods learn from the same labelled items, and from vectors of equal length;
- *equal size*: models that are called equally large are, within 2 %.

Every public function of a part that takes a seed has a line, in the list EXPERIMENTS of
`test_<chapter>.py`; those that return no published number (a data set drawn from a seed) stand
in its HELPERS, with the reason. `python -m tests.leaks.lines` lists what is missing.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import pytest
import torch
from torch import Tensor

from src.common.graphs.graph import Graph
from tests.leaks.tape import Change, Tape, recording, watched

SEEDS = (1000, 1001, 1002)


@dataclass(frozen=True)
class Noise:
    """How the answers of the test part become noise.

    The experiment runs twice: as it is, and with noise. The second time, functions that divide
    items into parts give what they gave the first time, since noise must not move an item.

    Attributes:
        source: "module:function", as the experiment's module names it, that gives the data.
        splits: the functions, "module:function", that divide items into parts.
        divide: what these give the second time, in the order of their calls, from (what they gave
            the first time, generator); by default the same. For links, noise is put there.
        spoil: makes noise of the test answers in the source's result: (result, what the dividing
            functions give the second time, generator) -> result.
        scores: numbers of the experiment's result that rest on the test answers.
        chance: they are above it on true answers, at most this on noise.
        chosen: what the experiment chose: must not change.
        watch: functions, "module:function", whose results are trained: they must not change. Fitted
            classifiers and steps of optimisers are watched in any case.
    """

    scores: Callable[[object], Sequence[float]]
    chance: float
    source: str = ""
    spoil: Callable[[object, list, torch.Generator], object] | None = None
    splits: Sequence[str] = ()
    divide: Callable[[list, torch.Generator], list] = lambda calls, _: calls
    chosen: Callable[[object], object] = lambda result: None
    watch: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Experiment:
    """One line of the suite.

    Attributes:
        function: it returns numbers.
        arguments: of its smallest size, without the seed.
        seed: name of the parameter that takes the seed; a plural takes a list of one.
        fixed: regular expressions of paths in the result ("scores/0") that need not change with
            the seed: sizes, settings, saturated scores.
        shared_seeds: seeds that generators are given whatever the experiment's seed is, with a
            reason for each: a graph that is the same for all seeds, for example.
        noise: None if nothing is held out.
        parts: the number of different draws of training items that `classify` makes in one run, if
            all methods must learn from the same items; None if there are no such methods.
        widths: the numbers of columns that classifiers are fitted to, with `parts`.
        sizes: parameters of the models that are called equally large, by name.
    """

    function: Callable
    arguments: Mapping[str, object]
    seed: str = "seed"
    fixed: Sequence[str] = ()
    shared_seeds: Mapping[int, str] = field(default_factory=dict)
    noise: Noise | None = None
    parts: int | None = None
    widths: Sequence[int] | None = None
    sizes: Callable[[], Mapping[str, int]] | None = None

    @property
    def name(self) -> str:
        """Dotted module, colon, function."""
        return f"{self.function.__module__}:{inspect.unwrap(self.function).__qualname__}"

    def run(self, seed: int) -> object:
        """Return what the function gives for a seed."""
        given = [seed] if self.seed.endswith("s") else seed
        return self.function(**self.arguments, **{self.seed: given})


@cache
def played(experiment: Experiment, seed: int, again: bool = False) -> tuple[object, Tape]:
    """Return the result and the tape of a run; `again` is another run of the same."""
    with recording() as tape:
        result = experiment.run(seed)
    return result, tape


def leaves(result: object, path: str = "") -> dict[str, object]:
    """Return the numbers and texts in a result by their paths, tensors as a whole."""
    if hasattr(result, "__dataclass_fields__"):
        result = vars(result)
    if isinstance(result, Mapping):
        pairs = result.items()
    elif isinstance(result, list | tuple):
        pairs = enumerate(result)
    else:
        value = (
            result.tolist() if isinstance(result, Tensor) or hasattr(result, "tolist") else result
        )
        return {path or "result": repr(value)}
    found: dict[str, object] = {}
    for key, value in pairs:
        found |= leaves(value, f"{path}/{key}".strip("/"))
    return found


def repeats(experiment: Experiment) -> None:
    """The same seed gives the same numbers, and trains in the same way."""
    (first, tape), (second, other) = (
        played(experiment, SEEDS[0], again) for again in (False, True)
    )
    assert leaves(first) == leaves(second)
    assert tape == other


def no_seed_is_ignored(experiment: Experiment) -> None:
    """Another seed changes every random number, and what every generator is given."""
    runs = [played(experiment, seed) for seed in SEEDS]
    tables = [leaves(result) for result, _ in runs]
    same = [
        path
        for path, value in tables[0].items()
        if all(table.get(path) == value for table in tables)
        and not any(re.fullmatch(pattern, path) for pattern in experiment.fixed)
    ]
    assert same == [], f"equal for the seeds {SEEDS}: is the seed ignored there?"
    (_, one), (_, other) = runs[:2]
    shared = set(one.seeds) & set(other.seeds) - set(experiment.shared_seeds)
    assert not shared, f"generators have the seeds {shared} whatever the experiment's seed is"


def noise_for_answers(experiment: Experiment) -> None:
    """Noise in place of the test answers changes no training and no choice, and ruins the score."""
    noise = experiment.noise
    if noise is None:
        pytest.skip("no part is held out")
    first: list = []
    true, trained = _with(experiment, {place: _keeping(first) for place in noise.splits})
    generator = torch.Generator().manual_seed(0)
    calls = noise.divide(first, generator)
    rest = iter(calls)
    changes = {place: _giving(rest) for place in noise.splits}
    if noise.source:
        changes[noise.source] = _spoiling(noise.spoil, calls, generator)
    spoilt, again = _with(experiment, changes)
    assert trained, "nothing is trained: name with `watch` what is"
    assert trained == again, "the test answers reached the training"
    assert noise.chosen(true) == noise.chosen(spoilt), "the test answers reached the choice"
    good, bad = noise.scores(true), noise.scores(spoilt)
    if not good:  # only choices are reported
        return
    assert min(good) > noise.chance >= max(bad), f"{good} on true answers, {bad} on noise"


def paired(experiment: Experiment) -> None:
    """Compared methods learn from the same items, from vectors of the lengths that are said."""
    if experiment.parts is None:
        pytest.skip("no classifiers are compared")
    _, tape = played(experiment, SEEDS[0])
    assert len(set(tape.parts)) == experiment.parts
    if experiment.widths is not None:
        assert sorted(set(tape.widths)) == sorted(experiment.widths)


def equal_size(experiment: Experiment) -> None:
    """Models that are called equally large are."""
    if experiment.sizes is None:
        pytest.skip("no models are called equally large")
    sizes = experiment.sizes()
    assert len(sizes) > 1 and max(sizes.values()) <= 1.02 * min(sizes.values()), sizes


PROPERTIES = (repeats, no_seed_is_ignored, noise_for_answers, paired, equal_size)


def suite(experiments: Sequence[Experiment]) -> Callable:
    """Return the test of all properties of these experiments."""
    cases = [
        pytest.param(experiment, check, id=f"{experiment.name}-{check.__name__}")
        for experiment in experiments
        for check in PROPERTIES
        if _applies(experiment, check)
    ]

    @pytest.mark.parametrize(("experiment", "check"), cases)
    def test(experiment: Experiment, check: Callable[[Experiment], None]) -> None:
        check(experiment)

    return test


def _applies(experiment: Experiment, check: Callable) -> bool:
    needed = {noise_for_answers: "noise", paired: "parts", equal_size: "sizes"}
    return check not in needed or getattr(experiment, needed[check]) is not None


# --- noise --------------------------------------------------------------------------------------


def noisy_labels(hidden: Callable[[list, Graph], Tensor]) -> Callable:
    """Return a `spoil` that shuffles the labels of hidden nodes among themselves.

    Args:
        hidden: nodes of the test part, from what the dividing functions gave and the graph.
    """

    def spoil(graph: Graph, calls: list, generator: torch.Generator) -> Graph:
        nodes, y = hidden(calls, graph), graph.y.clone()
        y[nodes] = y[nodes[torch.randperm(len(nodes), generator=generator)]]
        parts = {name: getattr(graph, name) for name in graph.__dataclass_fields__}
        return Graph(**(parts | {"y": y}))

    return spoil


def all_but(nodes: Tensor, graph: Graph) -> Tensor:
    """Return the nodes of a graph that are not among these."""
    rest = torch.ones(graph.num_nodes, dtype=torch.bool)
    rest[nodes] = False
    return torch.nonzero(rest).ravel()


def _with(experiment: Experiment, changes: Mapping[str, Change]) -> tuple[object, list]:
    """Return the result of a run with changes, and all that was trained."""
    seen: list[str] = []
    watch = {place: watched(seen) for place in experiment.noise.watch}
    with recording(**watch, **changes) as tape:
        result = experiment.run(SEEDS[0])
    return result, tape.trained + seen


def _keeping(found: list) -> Change:
    def change(function: Callable) -> Callable:
        def keep(*args: object, **kwargs: object) -> object:
            found.append(function(*args, **kwargs))
            return found[-1]

        return keep

    return change


def _giving(rest: Iterator) -> Change:
    return lambda function: lambda *args, **kwargs: next(rest)


def _spoiling(spoil: Callable, calls: list, generator: torch.Generator) -> Change:
    state = generator.get_state()

    def change(function: Callable) -> Callable:
        def spoilt(*args: object, **kwargs: object) -> object:
            generator.set_state(state)  # a second look at the data finds the same noise
            return spoil(function(*args, **kwargs), calls, generator)

        return spoilt

    return change
