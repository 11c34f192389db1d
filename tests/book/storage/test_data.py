"""Data sets: from the mirror, verified, never half; without one the error says what to do."""

import errno
import hashlib
import os
import shutil
import socket
import threading
import time

import pytest
import yaml

from src.book.storage import data, download, events, paths
from src.book.storage.errors import BookError
from tests.book.command_line import book
from tests.book.toy_book import ToyBook

CONTENT = b"numbers\n1\n2\n"


@pytest.fixture
def registered(book_root, tmp_path, monkeypatch):
    mirror = tmp_path / "mirror"
    (mirror / "toy").mkdir(parents=True)
    (mirror / "toy/numbers.txt").write_bytes(CONTENT)
    file = {
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "bytes": len(CONTENT),
        "url": None,
        "mirror": "toy/numbers.txt",
    }
    entry = {"description": "d", "licence": "l", "citation": "c", "files": {"numbers.txt": file}}
    (book_root / "data/datasets.yml").write_text(yaml.safe_dump({"toy": entry}))
    monkeypatch.setenv("BOOK_DATA_MIRROR", str(mirror))
    return mirror


def test_a_mirror_serves_and_the_cache_keeps(registered):
    folder = data.fetch("toy")
    assert (folder / "numbers.txt").read_bytes() == CONTENT
    (registered / "toy/numbers.txt").unlink()
    assert data.fetch("toy") == folder


def test_each_file_of_a_set_is_fetched_verified_and_told(registered, book_root):
    text = (book_root / "data/datasets.yml").read_text()
    entry = yaml.safe_load(text)
    for name in ("a", "b"):
        (registered / name).write_bytes(name.encode())
        digest = hashlib.sha256(name.encode()).hexdigest()
        file = {"sha256": digest, "bytes": 1, "url": None, "mirror": name}
        entry["toy"]["files"][f"{name}.txt"] = file
    (book_root / "data/datasets.yml").write_text(yaml.safe_dump(entry))
    held = {"numbers.txt": CONTENT, "a.txt": b"a", "b.txt": b"b"}
    for spoiled in held:
        (data.fetch("toy") / spoiled).write_bytes(b"?")
        with events.hearing() as heard:
            folder = data.fetch("toy")
        assert {f.name: f.read_bytes() for f in folder.iterdir()} == held
        told = {"event": "fetch", "name": "toy", "sha256": data.registry()["toy"].sha256}
        assert heard == [told]


def test_a_sets_checksum_is_one_of_its_files_names_and_contents(registered):
    def of(files):
        about = {k: data.registry()["toy"].files["numbers.txt"].model_dump() for k in files}
        files = {k: about[k] | {"sha256": v * 64} for k, v in files.items()}
        entry = {"description": "d", "licence": "l", "citation": "c", "files": files}
        return data.Dataset.model_validate(entry).sha256

    whole = of({"a": "0", "b": "1"})
    others = [{"a": "1", "b": "0"}, {"a": "0", "c": "1"}, {"a": "0"}, {"a": "0", "b": "2"}]
    assert len({whole, *map(of, others)}) == 5
    assert of({"b": "1", "a": "0"}) == whole, "their order in the registry plays no part"


def test_a_corrupt_cache_is_replaced(registered):
    folder = data.fetch("toy")
    (folder / "numbers.txt").write_bytes(b"numbers\n1\n3\n")
    assert (data.fetch("toy") / "numbers.txt").read_bytes() == CONTENT


def test_a_mirror_with_wrong_bytes_is_not_used(registered):
    (registered / "toy/numbers.txt").write_bytes(CONTENT[:-2])
    with pytest.raises(BookError, match=r"another checksum than the registry.*mirror is needed"):
        data.fetch("toy")
    assert list((registered.parent / "cache/data/toy").iterdir()) == []


def test_without_a_mirror_the_error_says_what_to_do(registered, monkeypatch):
    monkeypatch.delenv("BOOK_DATA_MIRROR")
    with pytest.raises(BookError) as caught:
        data.fetch("toy")
    message = str(caught.value)
    assert "data set toy: cannot get numbers.txt" in message
    assert "Set BOOK_DATA_MIRROR to a folder that holds toy/numbers.txt" in message
    assert "quick profile" in message


def test_no_network_names_the_url(registered, book_root, monkeypatch):
    monkeypatch.delenv("BOOK_DATA_MIRROR")
    text = (book_root / "data/datasets.yml").read_text()
    url = "https://localhost:9/numbers.txt"
    (book_root / "data/datasets.yml").write_text(text.replace("url: null", f"url: {url}"))
    with pytest.raises(BookError, match=f"{url} failed"):
        data.fetch("toy")


def test_unknown_sets_list_the_valid_ones(registered):
    with pytest.raises(BookError, match="unknown data set 'tooy'; valid: toy"):
        data.fetch("tooy")


def test_every_registered_set_comes_from_the_mirror(data_mirror, tmp_path, monkeypatch):
    monkeypatch.setenv("BOOK_CACHE", str(tmp_path))
    monkeypatch.setenv("BOOK_DATA_MIRROR", str(data_mirror))
    for name, entry in data.registry().items():
        folder = data.fetch(name)
        assert {f.name for f in folder.iterdir()} == set(entry.files)


@pytest.fixture
def from_url(registered, book_root, monkeypatch):
    """A function that registers a URL for the toy data set, which then has no mirror."""

    def register(url):
        monkeypatch.delenv("BOOK_DATA_MIRROR", raising=False)
        file = book_root / "data/datasets.yml"
        file.write_text(file.read_text().replace("url: null", f"url: {url}"))
        return book_root / "cache/data/toy"

    return register


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (CONTENT[:-1] + b"!", "what came has another checksum than the registry"),
        (CONTENT[:3], r"what came has another checksum than the registry \(3 bytes, of 12\)"),
        (CONTENT * 1000, r"more than the 12 bytes|what came .* \(12000 bytes, of 12\)"),
    ],
)
def test_wrong_bytes_from_the_network_are_not_kept(from_url, monkeypatch, sent, said):
    folder = from_url("https://localhost/numbers.txt")
    fetch = f"import sys; open(sys.argv[2], 'wb').write({sent!r})"
    monkeypatch.setattr(download, "_FETCH", fetch)
    with pytest.raises(BookError, match=rf"localhost/numbers.txt failed: ({said})"):
        data.fetch("toy")
    assert list(folder.iterdir()) == []


def test_a_server_that_never_stops_is_stopped(from_url, monkeypatch):
    folder = from_url("https://localhost/numbers.txt")
    fetch = (
        "import sys, time; f = open(sys.argv[2], 'wb', 0)\nwhile f.write(b'x'): time.sleep(0.01)"
    )
    monkeypatch.setattr(download, "_FETCH", fetch)
    with pytest.raises(BookError, match="more than the 12 bytes that it should have came"):
        data.fetch("toy")
    assert list(folder.iterdir()) == []


def test_a_good_download_is_kept(from_url, monkeypatch):
    folder = from_url("https://localhost/numbers.txt")
    fetch = f"import sys; open(sys.argv[2], 'wb').write({CONTENT!r})"
    monkeypatch.setattr(download, "_FETCH", fetch)
    assert data.fetch("toy") == folder
    assert [f.read_bytes() for f in folder.iterdir()] == [CONTENT]


def test_a_full_disk_is_told_and_leaves_nothing(registered, monkeypatch):
    def full(source, target):
        target.write_bytes(CONTENT[:3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(
        BookError, match=r"toy: .*numbers.txt: No space left .*set BOOK_BUILD .*CACHE"
    ):
        data.fetch("toy")
    assert list((paths.cache_dir() / "data/toy").iterdir()) == []


def test_a_mirror_that_is_not_there_is_named(registered, monkeypatch, tmp_path):
    monkeypatch.setenv("BOOK_DATA_MIRROR", f"{tmp_path}/nowhere{os.pathsep}{tmp_path}")
    with pytest.raises(BookError, match=r"nowhere is no folder; .*toy/numbers.txt does not exist"):
        data.fetch("toy")


@pytest.fixture
def dead_proxy(monkeypatch):
    """A proxy that answers nothing, or to hosts called trickle a byte now and then, for ever."""
    listener, taken = socket.create_server(("127.0.0.1", 0)), []

    def serve(connection):
        if b"trickle" in connection.recv(4096):
            try:
                for number in range(10_000):
                    connection.send(b"HTTP/1.1 200 OK\r\nX: "[number : number + 1] or b"x")
                    time.sleep(0.1)
            except OSError:
                pass  # it was given up

    def accept():
        while True:
            connection, _ = listener.accept()
            taken.append(connection)
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://somebody:secret@{address}")
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return address


@pytest.mark.parametrize("host", ["silence.invalid", "trickle.invalid"])
def test_a_proxy_that_hangs_is_given_up(from_url, dead_proxy, book_root, host):
    folder = from_url(f"https://{host}/numbers.txt")
    toys = ToyBook(book_root)
    toys.chapter("toys/good", "1")
    toys.chapter("toys/data", "from src.book.storage.data import fetch\nfetch('toy')")
    status, said = book("run", BOOK_DOWNLOAD_S="2")
    assert status == 1 and "1 ok, 1 failed" in said, said
    # The library's own time-out ends silence, and says so; a trickle has to be counted.
    assert f"https://{host}/numbers.txt failed: " in said
    assert "timed out" in said or f"with 0 of 12 bytes; the proxy {dead_proxy} does not" in said
    assert "Set BOOK_DATA_MIRROR to a folder" in said
    assert "secret" not in said
    assert list(folder.iterdir()) == []
