"""Events: what a run tells, and what is left of a run that was killed."""

from src.book.storage import events


def test_events_are_read_in_order_and_half_a_line_is_skipped(tmp_path, monkeypatch):
    file = tmp_path / "events.jsonl"
    monkeypatch.setenv("BOOK_RECORD", str(file))
    events.emit("start", seed=0)
    events.emit("record", name="é", value=[1])
    with file.open("a") as stream:
        stream.write('{"event": "rec')
    assert [event["event"] for event in events.read(file)] == ["start", "record"]


def test_nothing_is_written_without_a_listener(tmp_path, monkeypatch):
    monkeypatch.delenv("BOOK_RECORD", raising=False)
    events.emit("start", seed=0)
    assert events.read(tmp_path / "absent") == []
