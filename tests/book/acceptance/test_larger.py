"""The larger profiles with several seeds: which file each of them writes, and what they leave."""

import json

import pytest

from src.book.__main__ import main
from src.book.acceptance import larger
from src.book.evidence import ledger
from src.book.execution import runner
from src.book.storage import paths
from src.book.storage.errors import BookError

NAME = "foundations/one"
WORK = """
import json, os
def tell(**event):
    with open(os.environ["BOOK_RECORD"], "a") as stream:
        stream.write(json.dumps(event) + "\\n")
verdict = "supported" if seed < 2 else "inconclusive"
tell(event="measure", paper="one", claim="C1", verdict=verdict, n=5, estimate=seed / 2,
     low=0.0, high=1.0, samples=[0.5] * 5, statistic="mean", unit="seed")
tell(event="start", provenance={"device": "toy"})
"""
# What `src.book.chapter.models.weights` does with weights that a run has trained.
TRAIN = """
from src.book.storage import paths
folder = paths.new_models_dir("foundations/one")
folder.mkdir(parents=True, exist_ok=True)
(folder / "small.txt").write_text(f"trained with seed {seed}")
"""


@pytest.fixture
def one(toys):
    toys.chapter(NAME, WORK, TRAIN)
    toys.paper("one", NAME)
    return toys


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("3", [3]), ("0-4", [0, 1, 2, 3, 4]), ("0,1,2", [0, 1, 2]), ("7, 1-2,2", [7, 1, 2])],
)
def test_seeds_are_numbers_lists_and_ranges(text, seeds):
    assert larger.parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "x", "4-0", "-1", "1.5", "0,,1", "0 1", "1-2-3"])
def test_other_seeds_are_refused(text):
    with pytest.raises(BookError, match=r"whole numbers such as 3, 0-4 or 0,1,2, not '"):
        larger.parse_seeds(text)


@pytest.mark.parametrize("text", ["0-100", "0-9999999999", "0-60,100-139"])
def test_too_many_seeds_are_refused(text):
    with pytest.raises(BookError, match="more than 100 seeds"):
        larger.parse_seeds(text)


def test_another_seed_replaces_neither_entry_nor_weights_nor_run(one, capsys):
    standard, weights = paths.results_file(NAME, "cpu"), paths.models_dir(NAME) / "small.txt"
    weights.parent.mkdir(parents=True)
    weights.write_text("trained with seed 0")  # as the run leaves it, so that it stays up to date
    assert main(["results", NAME]) == 0
    before = standard.read_bytes()
    assert weights.read_text() == "trained with seed 0"
    capsys.readouterr()
    assert main(["results", "--profile", "cpu", NAME, "--seeds", "0-2"]) == 0
    assert standard.read_bytes() == before
    assert weights.read_text() == "trained with seed 0"
    assert runner.run([NAME], "cpu")[0].state == runner.UP_TO_DATE
    for seed in (1, 2):
        file = paths.results_file(NAME, "cpu", seed)
        assert file.name == f"one.seed-{seed}.json" and file.parent == standard.parent
        entry = json.loads(file.read_text())
        assert (entry["seed"], entry["measurements"][0]["estimate"]) == (seed, seed / 2)
        assert entry["provenance"] == {"device": "toy"} and entry["seconds"] >= 0
        aside = paths.build_dir() / f"runs/cpu/seed-{seed}/{NAME}.models/{NAME}/small.txt"
        assert aside.read_text() == f"trained with seed {seed}"
    said = capsys.readouterr().out
    assert "wrote data/results/cpu/foundations/one.seed-2.json" in said
    assert "chapter          claim   seed 0     seed 1     seed 2" in said
    assert "foundations/one  one C1  supported  supported  inconclusive" in said
    # What pages read knows nothing of the other seeds.
    assert ledger.latest(NAME)["one", "C1"]["estimate"] == 0


def test_one_seed_needs_no_table_and_a_failed_run_writes_nothing(one, capsys):
    one.chapter(NAME, WORK, "assert seed != 1")
    assert main(["results", NAME, "--seeds", "1"]) == 1
    said = capsys.readouterr().out
    assert "AssertionError" in said and "wrote" not in said and "claim" not in said
    assert not paths.results_file(NAME, "cpu", 1).exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--seeds", "a"], "seeds are whole numbers"),
        (["--profile", "quick"], "takes --profile cpu or gpu"),
        (["--profile", "slow"], "unknown profile of results 'slow'; valid: cpu, gpu"),
        (["--profile", "gpu"], "unknown profile of foundations/one 'gpu'; valid: quick, cpu"),
    ],
)
def test_bad_input_says_what_is_valid(one, capsys, arguments, says):
    assert main(["results", NAME, *arguments]) == 2
    assert says in capsys.readouterr().err
