"""The tool that plants mistakes: what it plants, that it notices, that it leaves the tree alone."""

import argparse
import ast
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.mutation import __main__ as mutation
from tests.mutation import choose, ledger
from tests.mutation.slips import Text, slips

MODULE = "src/room/toy.py"
TOY = '''\
"""A toy with 1 docstring."""

from __future__ import annotations

LIMIT: int | None = 3


def short(x: float, low: float = 0) -> float:
    """Return x, but at least `low` + 0."""
    if low > LIMIT:
        raise ValueError(f"{low + 1} is too much, see {LIMIT - 1}" + " at 2")
    return x if x > low else low


def long(numbers: list[int], start: int = 5) -> int:
    total = start
    for number in numbers:
        total = total + 2 * number - 1
        if total > 100 and number != 7:
            total = total - 50
    return total


class Thing:
    def __repr__(self):
        return 3 * "thing"
'''
GOOD = """\
import pytest
from src.room import toy


def test_toy():
    assert [toy.short(x) for x in (-1, 0, 1, 2)] == [0, 0, 1, 2]
    assert toy.short(1, 3) == 3 and toy.short(5, 3) == 5
    with pytest.raises(ValueError):
        toy.short(1, 4)
    with pytest.raises(ValueError):
        toy.short(1, 3.5)
    assert toy.long([1, 2]) == 9 and toy.long([], 1) == 1
    assert toy.long([45, 7]) == 107 and toy.long([48, 3]) == 105 - 50
    assert toy.long([48]) == 100 and toy.long([48], 6) == 101 - 50
"""
NO_ASSERTION = """\
import src.room.toy as toy


def test_toy():
    toy.short(1)
    toy.long([1])
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A tree with a module and its good test; none of the large libraries."""
    monkeypatch.setattr(mutation, "LIBRARIES", ())
    monkeypatch.setattr(mutation, "MARGIN_S", 2)
    for name, text in ((MODULE, TOY), ("tests/room/test_toy.py", GOOD), ("src/__init__.py", "")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture(scope="session")
def planter():
    """Skip where cosmic-ray is not installed."""
    if not Path(mutation.PLANTER).exists():
        pytest.skip("no cosmic-ray: `make mutate` installs it")


def caught(tree, sources, jobs=1, where="the module"):
    """Which test notices each source."""
    mutants = [{"where": where, "source": source} for source in sources]
    answers = mutation.tried(tree, MODULE, choose.stages(tree, MODULE, []), mutants, jobs)
    return [run["failed"] for run in next(answers)], [answer["by"] for answer in answers]


def contents(tree):
    return {file: file.read_bytes() for file in tree.rglob("*") if file.is_file()}


def test_a_good_test_notices_and_one_without_assertions_does_not(toy):
    wrong = TOY.replace("x > low", "x < low"), TOY.replace("2 * number", "3 * number")
    before = contents(toy)
    assert caught(toy, [*wrong, TOY], jobs=2) == (
        [[]],
        ["tests/room/test_toy.py::test_toy"] * 2 + [None],
    )
    assert contents(toy) == before
    (toy / "tests/room/test_toy.py").write_text(NO_ASSERTION)
    assert caught(toy, wrong) == ([[]], [None, None])


def test_what_hangs_dies_or_cannot_be_imported_is_caught(toy):
    hangs = TOY.replace("total = start", "total = start\n    while True: pass")
    dies = TOY.replace("total = start", "import os; os._exit(0)")
    faults = caught(toy, [hangs, dies, "1 / 0", TOY])[1]
    assert faults == ["no answer in time", "the process died", "tests/room/test_toy.py", None]


def test_mutants_of_one_size_and_second_are_told_apart(toy):
    sources = [TOY, TOY.replace("x > low", "x < low")] * 3
    assert [bool(by) for by in caught(toy, sources)[1]] == [False, True] * 3


def test_a_test_that_fails_anyway_catches_nothing(toy):
    broken = "def test_broken():\n    assert False\n\n\n"
    (toy / "tests/room/test_toy.py").write_text(broken + NO_ASSERTION)
    wrong = TOY.replace("x > low", "x < low")
    assert caught(toy, [wrong]) == ([["tests/room/test_toy.py::test_broken"]], [None])


def test_other_files_are_asked_after_the_mirror(toy):
    (toy / "tests/room/test_toy.py").write_text(NO_ASSERTION)
    (toy / "tests/room/test_other.py").write_text(GOOD)
    (toy / "tests/test_unrelated.py").write_text("import src.room\n")
    (toy / "tests/leaks").mkdir()
    leaks = "import src.room.toy\nimport pytest\n"
    leaks += "@pytest.mark.parametrize('f', ['src.room.toy:long', 'src.room.toys:long'])\n"
    leaks += "def test_leak(f):\n    assert src.room.toy.LIMIT < 4 and f != 'src.room.toys:long'\n"
    (toy / "tests/leaks/test_leaks.py").write_text(leaks)
    assert choose.stages(toy, MODULE, ["tests/test_more.py"]) == [
        ["tests/room/test_toy.py"],
        ["tests/room/test_other.py", "tests/test_more.py"],
        ["tests/leaks", "-k", "src.room.toy:"],
    ]
    wrong = [TOY.replace("x > low", "x < low"), TOY.replace("= 3", "= 4")]
    assert caught(toy, wrong)[1] == ["tests/room/test_other.py::test_toy"] * 2
    (toy / "tests/room/test_other.py").unlink()
    assert caught(toy, wrong)[1] == [
        None,
        "tests/leaks/test_leaks.py::test_leak[src.room.toy:long]",
    ]


def test_later_files_are_asked_only_of_functions_that_they_call(toy):
    (toy / "tests/room/test_toy.py").write_text(NO_ASSERTION)
    (toy / "tests/room/test_other.py").write_text(
        "from src.room import toy\n\n"
        "def test_long():\n    assert toy.long([1]) == 6 and toy.LIMIT < 4\n"
    )
    wrong = [TOY.replace("LIMIT: int | None = 3", "LIMIT: int | None = 4")]
    by = "tests/room/test_other.py::test_long"
    for where, found in (("short", None), ("long", by), ("the module", by), ("Thing", by)):
        assert caught(toy, wrong, where=where)[1] == [found]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("f(a, k=b, l=c)", {"f(a, l=c)", "f(a, k=b)"}),
        ("f(k=b)", {"f()"}),
        ("f(a, b.c, 1)", {"f(b.c, a, 1)"}),
        ("f(g.seed)", {"f(0)"}),
        ('s = stream(2, "x"), stream(3, "y")', {'s = stream(2, "y"), stream(3, "y")',
                                                's = stream(2, "x"), stream(3, "x")'}),
        ("x = graph.train", {"x = graph.test"}),
        ("x = val, test", {"x = test, test", "x = val, val"}),
        ("x = constraint", set()),
        ("x = model.train(1)", {"x = model.test(1)"}),
        ("y = x.mean(0)", {"y = x.sum(0)"}),
        ("y = mean(x)", {"y = sum(x)"}),
        ("y = sum(x)", set()),
        ("y = é * x.detach().T", {"y = é * x.T", "y = é * x.detach()"}),
        ("model.eval()", {"pass"}),
        ('x = f"{f(a, k=b)}"', set()),
    ],
)  # fmt: skip
def test_slips(source, expected):
    text = Text(source)
    made = {text.edited(edits) for _, edits in slips(text)} - {"pass"}
    assert made == expected - {"pass"} and all(ast.parse(mutant) for mutant in made)


def test_the_sample_is_fair_deterministic_and_spares_what_is_not_code(planter, toy):
    mutants = mutation.planted(toy / MODULE, 6)
    assert mutants == mutation.planted(toy / MODULE, 6)
    where = [mutant["mutant"].split(":")[0] for mutant in mutants]
    assert {"long", "short", "the module"} == set(where) and where.count("the module") == 1
    everything = mutation.planted(toy / MODULE, 1000)
    assert everything[:6] == mutants
    longer = TOY.replace("return total", "return total + 1")
    (toy / MODULE).write_text(longer)
    assert [m["mutant"] for m in mutation.planted(toy / MODULE, 1000) if m["mutant"][0] == "s"] == [
        m["mutant"] for m in everything if m["mutant"][0] == "s"
    ], "an edit of another function leaves a function's sample alone"
    kept = [line for line in TOY.splitlines() if any(w in line for w in ("def", '"'))]
    kept = [line.split("=")[0] for line in kept]  # but defaults may change
    for mutant in everything:
        compile(mutant["source"], "toy", "exec")
        assert mutant["source"] != TOY and all(line in mutant["source"] for line in kept)


def test_a_module_is_scored_without_its_equivalent_mutants(planter, toy, monkeypatch, capsys):
    options = argparse.Namespace(tests="", count=1000, jobs=2)
    entry = mutation.score(toy, MODULE, options)
    assert entry["mutants"] == entry["caught"] + len(entry["survivors"]) > 20
    same = "short: return x if x > low else low => return x if x >= low else low"
    assert entry["survivors"] == [same]
    assert same in capsys.readouterr().out
    listed = toy / "equivalent.yml"
    listed.write_text(f"- module: {MODULE}\n  mutant: '{same}'\n  reason: x is low\n")
    monkeypatch.setattr(ledger, "EQUIVALENT", listed)
    again = mutation.score(toy, MODULE, options)
    assert again == {**entry, "equivalent": 1, "survivors": []}
    assert same not in capsys.readouterr().out


def test_the_ledger_is_sorted_and_marks_what_has_changed(toy):
    scores, entry = toy / "scores.json", {"mutants": 9, "caught": 6, "equivalent": 1}
    for module in (MODULE, "src/gone.py"):
        ledger.write(scores, module, {"content": ledger.content(toy / MODULE), **entry})
    assert list(ledger.read(scores)) == ["src/gone.py", MODULE]
    rows = ledger.table(scores, toy).splitlines()[2:]
    assert rows[1].startswith(f"| `{MODULE}` | 6 | 8 | 75 % | 1 | 20")
    assert ["changed" in row for row in rows] == [True, False]


def test_a_module_without_a_test_or_a_file_is_refused(toy):
    options = argparse.Namespace(tests="", count=1, jobs=1)
    (toy / "tests/room/test_toy.py").unlink()
    for module, reason in ((MODULE, "no test file imports"), ("../x.py", "no module below src/")):
        with pytest.raises(SystemExit, match=reason):
            mutation.score(toy, module, options)


def test_equivalent_mutants_are_of_modules_that_exist_and_have_a_reason():
    entries = ledger.yaml.safe_load(ledger.EQUIVALENT.read_text())
    assert all(set(entry) == {"module", "mutant", "reason"} for entry in entries)
    assert all((REPOSITORY / entry["module"]).is_file() for entry in entries)


def test_the_command_without_a_module_prints_the_table():
    command = [mutation.sys.executable, "-m", "tests.mutation"]
    said = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert said.stdout.startswith("| module | caught |")
