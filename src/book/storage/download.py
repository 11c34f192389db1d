"""A download that ends, whatever the network does, and stays on https, wherever it is sent."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from src.book.storage import paths
from src.book.storage.errors import BookError

if TYPE_CHECKING:
    from requests import Response

# A proxy or a server that says nothing for so long is given up; so is one that is slower than this
# on average. A time-out of the library alone starts anew with every byte that trickles in.
_TIMEOUT_S = 30.0
_SLOWEST_BYTES_S = 10_000
_LOOK_EVERY_S = 0.05
_FETCH = "import sys; from src.book.storage.download import fetch; fetch(*sys.argv[1:])"


def download(url: str, target: Path, size: int) -> None:
    """Write what a URL gives to `target`.

    It runs in a process of its own, the one thing that can be ended wherever it waits: for a name,
    a proxy's answer, a handshake, the next byte. `BOOK_DOWNLOAD_S` replaces the 30 seconds for
    which nothing may come.

    Args:
        url: an address that starts with https://.
        target: a file to write to; what is in it after a failure is of no use.
        size: the bytes that it should have; the download is ended when more come.

    Raises:
        BookError: saying why it failed.
    """
    began, patience = time.monotonic(), _patience()
    # -P: it must not take a package `src` in the current folder for the book's.
    with subprocess.Popen(
        [sys.executable, "-P", "-c", _FETCH, url, str(target), str(patience)],
        env={**os.environ, "PYTHONPATH": str(paths.package_root())},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            while process.poll() is None:
                seconds, got = time.monotonic() - began, target.stat().st_size
                if got > size:
                    raise BookError(f"more than the {size} bytes that it should have came")
                if seconds > patience + got / _SLOWEST_BYTES_S:
                    raise BookError(_given_up(seconds, got, size))
                time.sleep(_LOOK_EVERY_S)
            said = process.stderr.read().strip()
        finally:
            process.kill()
    if process.returncode != 0:
        words = f"its process ended with {process.returncode}"
        raise BookError(said.splitlines()[-1] if said else words)


def fetch(url: str, target: str, patience: str | float) -> None:
    """Write what a URL gives to a file; a silence of `patience` seconds ends it.

    Raises:
        OSError: if the network fails, or leads to an address without https.
    """
    import pooch

    get = pooch.HTTPDownloader(timeout=float(patience), hooks={"response": _only_https})
    get(url, str(target), None)


def _only_https(response: "Response", **_: object) -> None:
    """Refuse an answer that did not come by https, or that leads to where there is none.

    A hook of requests, which calls it for every answer on the way, before it goes on to the next.
    """
    addresses = [response.url]
    if response.is_redirect:
        addresses.append(urljoin(response.url, response.headers["location"]))
    for address in addresses:
        if urlsplit(address).scheme != "https":
            raise OSError(f"it leads to {address}, which is not https")


def _patience() -> float:
    text = os.environ.get("BOOK_DOWNLOAD_S") or str(_TIMEOUT_S)
    try:
        return float(text)
    except ValueError:
        raise BookError(f"BOOK_DOWNLOAD_S must be a number of seconds, not {text!r}") from None


def _given_up(seconds: float, got: int, size: int) -> str:
    """Say what came, and who may be to blame; without the password that a proxy's address holds."""
    named = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY")
    proxy = f"the proxy {urlsplit(named).netloc.rpartition('@')[2]}" if named else "the server"
    return (
        f"given up after {seconds:.0f} s with {got} of {size} bytes; "
        f"{proxy} does not answer, or sends less than {_SLOWEST_BYTES_S // 1000} kB/s"
    )
