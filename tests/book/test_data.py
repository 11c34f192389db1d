"""Data sets: from the mirror, verified, never half; without one the error says what to do."""

import hashlib

import pytest
import yaml

from src.book import data
from src.book.errors import BookError

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
