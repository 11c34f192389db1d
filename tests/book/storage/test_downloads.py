"""Downloads: over https alone, wherever a server leads, and to no place outside the cache."""

import hashlib
import io

import pytest
import requests
import yaml

from src.book.storage import data
from src.book.storage.download import fetch
from src.book.storage.errors import BookError
from tests.book.storage.test_data import CONTENT

URL = "https://data.example.org/numbers.txt"


@pytest.fixture
def register(book_root, monkeypatch):
    """Register one file of a data set "toy"; there is no mirror."""
    monkeypatch.delenv("BOOK_DATA_MIRROR", raising=False)

    def write(name="numbers.txt", dataset="toy", **changes):
        file = {"sha256": hashlib.sha256(CONTENT).hexdigest(), "bytes": len(CONTENT)}
        file |= {"url": URL, "mirror": "toy/numbers.txt", **changes}
        entry = {"description": "d", "licence": "l", "citation": "c", "files": {name: file}}
        (book_root / "data/datasets.yml").write_text(yaml.safe_dump({dataset: entry}))

    return write


@pytest.fixture
def server(monkeypatch):
    """Answers by address, in the place of the network; `asked` lists what was asked for."""

    class Server(dict):
        asked = None

    answers = Server()
    answers.asked = []

    def send(_, request, **__):
        answers.asked.append(request.url)
        response = requests.Response()
        response.request, response.url = request, request.url
        there = answers[request.url]
        response.status_code = 302 if isinstance(there, str) else 200
        if isinstance(there, str):
            response.headers["location"] = there
        response.raw = io.BytesIO(b"" if isinstance(there, str) else there)
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    # A download has a process of its own, which nothing here could reach.
    monkeypatch.setattr(data, "download", lambda url, target, size: fetch(url, target, 5))
    return answers


@pytest.mark.parametrize(
    "insecure", ["http://data.example.org/numbers.txt", "http://evil.example.org/numbers.txt"]
)
@pytest.mark.parametrize("by_way_of", [None, "https://cdn.example.org/numbers.txt"])
def test_a_redirect_to_http_is_refused_before_it_is_followed(register, server, insecure, by_way_of):
    register()
    server[insecure] = CONTENT
    server[URL] = by_way_of or insecure
    if by_way_of:
        server[by_way_of] = insecure
    with pytest.raises(BookError, match=rf"it leads to {insecure}, which is not https"):
        data.fetch("toy")
    assert insecure not in server.asked


@pytest.mark.parametrize(
    "location", ["https://cdn.example.org/n.txt", "/n.txt", "//data.example.org/n.txt"]
)
def test_a_redirect_to_https_is_followed(register, server, location):
    register()
    server[URL] = location
    server["https://cdn.example.org/n.txt"] = server["https://data.example.org/n.txt"] = CONTENT
    assert (data.fetch("toy") / "numbers.txt").read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_other_bytes_than_registered_are_refused(register, server, book_root):
    register()
    server[URL] = CONTENT.replace(b"2", b"3")
    with pytest.raises(BookError, match=r"cannot get numbers\.txt"):
        data.fetch("toy")
    assert list((book_root / "cache/data/toy").iterdir()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "http://data.example.org/numbers.txt"},
        {"url": "ftp://data.example.org/numbers.txt"},
        {"url": "file:///etc/passwd"},
        {"sha256": "md5:0"},
        {"name": "../numbers.txt"},
        {"name": "/etc/passwd"},
        {"name": ".."},
        {"name": "a/b"},
        {"mirror": "../secret"},
        {"mirror": "/etc/passwd"},
        {"mirror": "toy/../../secret"},
        {"dataset": "../toy"},
        {"dataset": ".."},
    ],
)
def test_what_the_registry_does_not_take(register, changes):
    register(**changes)
    with pytest.raises(BookError, match=r"data/datasets\.yml, field"):
        data.registry()
