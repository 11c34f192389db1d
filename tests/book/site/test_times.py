"""Where the time of the last runs went: the table, and what it is made from."""

import json

import pytest

from src.book.__main__ import main
from src.book.execution.execute import execute
from src.book.site import times
from src.book.storage import paths


def write_result(chapter, **row):
    file = paths.run_file(chapter, "quick", ".json")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"chapter": chapter, "profile": "quick", "status": "ok", **row}))


def test_the_table_adds_up_and_tells_the_share_of_start_up(toys, capsys):
    toys.chapter("toys/one", "1")
    toys.chapter("toys/two", "1")
    told = {"import_seconds": 2.0, "cpu_seconds": 10.0, "import_cpu_seconds": 2.5}
    write_result("toys/one", startup_seconds=1.0, seconds=8.0, **told)
    write_result("toys/two", startup_seconds=1.0, seconds=6.0)
    pages = {"read": {"chapters/toys/one": 1.0}, "write": {"chapters/toys/one": 2.0}}
    paths.build_dir().joinpath("page_times.json").write_text(json.dumps(pages))
    assert main(["times"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1].split() == ["toys/one", "1.0", "2.0", "6.0", "3.0", "10.0", "2.5"]
    assert said[2].split() == ["toys/two", "1.0", "-", "6.0", "-", "-", "-"]
    assert said[3].split() == ["all", "2.0", "2.0", "12.0", "3.0", "10.0", "2.5"]
    assert "21% of a cold build" in said[4] and "25% of the kernels'" in said[4]


def test_a_book_that_was_not_run_says_what_to_do(toys):
    assert "make book" in times.table("quick")


def test_a_run_measures_what_passes_until_the_run_context_is_there(toys):
    toys.module("src.toys", "def start(): ...")
    slow = "import time\ntime.sleep(0.4)\nfrom src.toys import start\nrun = start()"
    toys.chapter("toys/one", slow, "time.sleep(0.4)")
    toys.chapter("toys/two", "1")
    result = execute("toys/one")
    assert 0.4 <= result.import_seconds <= result.seconds - 0.4
    assert 0 < result.import_cpu_seconds <= result.cpu_seconds
    assert execute("toys/two").import_seconds == 0


@pytest.fixture
def clock(book_root, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(times.time, "perf_counter", lambda: now[0])
    return times.Clock(), now


def test_the_pages_clock_keeps_the_seconds_of_pages_that_are_not_rendered_again(clock):
    clock, now = clock
    clock.begin("read", "a")
    now[0] = 1.0
    clock.end()
    now[0] = 5.0  # belongs to no page
    clock.begin("write", "a")
    now[0] = 7.0
    clock.begin("write", "b")
    now[0] = 7.5
    clock.keep()
    assert times.load() == {"read": {"a": 1.0}, "write": {"a": 2.0, "b": 0.5}}
    again = times.Clock()
    again.begin("write", "b")
    now[0] = 8.5
    again.keep()
    assert times.load() == {"read": {"a": 1.0}, "write": {"a": 2.0, "b": 1.0}}
