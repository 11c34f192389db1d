"""What is kept of a run, and when it stands: only for what it really ran with."""

import json
import os
from types import SimpleNamespace

import psutil

from src.book.execution import kernel, runner
from src.book.execution.execute import execute
from src.book.execution.results import read_page, read_result, why_stale
from src.book.storage import dependencies, paths

NAME = "toys/one"


def test_what_is_edited_while_a_chapter_runs_makes_the_run_stale(toys):
    toys.module("src.toys", "x = 1")
    file = toys.root / "src/toys.py"
    toys.chapter(NAME, "import src.toys", f"print(open({str(file)!r}, 'w').write('x = 2'))")
    assert execute(NAME).status == "ok"
    assert why_stale(NAME, "quick") == "src.toys changed"
    assert execute(NAME).status == "ok"
    assert why_stale(NAME, "quick") == ""


def test_a_page_has_todays_words_only_while_it_has_todays_code(toys):
    toys.chapter(NAME, "print('yes')")
    execute(NAME)
    file = toys.root / f"chapters/{NAME}.py"
    plain = file.read_text()
    file.write_text(
        plain.replace("Some words.", "Other words.").replace("seed = 0", "seed = 0  # s")
    )
    page = read_page(NAME)
    assert "Other words." in page.cells[0].source and "# s" in page.cells[1].source
    assert page.cells[-1].outputs[0].text == "yes\n"
    file.write_text(plain.replace("Some words.", "Other words.").replace("'yes'", "'no'"))
    page = read_page(NAME)
    assert "Some words." in page.cells[0].source, "other code's words are not those of its outputs"
    assert page.cells[-1].source == "print('yes')"


def test_whose_result_it_is_its_place_says(toys):
    toys.chapter(NAME, "1")
    execute(NAME)
    file = paths.run_file(NAME, "quick", ".json")
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "chapter": "toys/other", "profile": "cpu", "new": 1}))
    assert read_result(NAME, "quick") == read_result(NAME, "quick")
    assert (read_result(NAME, "quick").chapter, read_result(NAME, "quick").profile) == (
        NAME,
        "quick",
    )
    for broken in ({**content, "seconds": "3"}, {**content, "inputs": []}, [], {"status": None}):
        file.write_text(json.dumps(broken))
        assert read_result(NAME, "quick") is None
        assert why_stale(NAME, "quick") == "not run yet"


def test_a_new_checksum_of_data_that_it_fetched_makes_a_run_stale(toys):
    entry = (
        "digits:\n  description: d\n  licence: l\n  citation: c\n  files:\n"
        "    a.txt: {sha256: 'SUM', bytes: 1, url: null, mirror: a.txt}\n"
    )
    registry = toys.root / "data/datasets.yml"
    registry.write_text(entry.replace("SUM", "0" * 64))
    tell = "from src.book.storage import data, events\n"
    tell += "events.emit('fetch', name='digits', sha256=data.registry()['digits'].sha256)"
    toys.chapter(NAME, tell)
    assert execute(NAME).data[0]["name"] == "digits"
    assert why_stale(NAME, "quick") == ""
    registry.write_text(entry.replace("SUM", "1" * 64) + "\n")
    assert why_stale(NAME, "quick") == "digits changed"


def test_everything_numerical_in_a_kernel_has_the_threads_and_the_hash_seed_of_its_profile(
    tmp_path, monkeypatch
):
    for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR"):
        monkeypatch.setenv(f"{name}_NUM_THREADS", "7")
    monkeypatch.setenv("PYTHONHASHSEED", "random")
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    found = kernel.environment(3, tmp_path, tmp_path / "record")
    assert {value for name, value in found.items() if name.endswith("_NUM_THREADS")} == {"3"}
    assert found["PYTHONHASHSEED"] == "0" and found["TQDM_DISABLE"] == "1"
    assert found["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert found["PYTHONPATH"].split(":")[0] == str(paths.root())
    assert found["IPYTHONDIR"].startswith(str(tmp_path))


def test_a_large_machine_runs_as_many_as_fit_but_one_at_a_time_on_its_gpu(monkeypatch):
    memory = SimpleNamespace(total=640 * 2**30)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    assert [runner.default_jobs(p) for p in ("quick", "cpu", "gpu")] == [64, 32, 1]
    memory.total = 16 * 2**30
    assert [runner.default_jobs(p) for p in ("quick", "cpu", "gpu")] == [8, 2, 1]


def test_a_run_with_given_parameters_is_never_up_to_date(toys):
    toys.chapter(NAME, "print(seed)")
    assert [o.state for o in runner.run()] == ["ok"]
    assert [o.state for o in runner.run()] == [runner.UP_TO_DATE]
    assert [o.result.seed for o in runner.run(given={"seed": 4})] == [4]
    assert why_stale(NAME, "quick") == "parameters changed"
    assert dependencies.parameter_text({}) != dependencies.parameter_text({"seed": 4})
