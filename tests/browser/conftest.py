"""Fixtures: the built site as its readers meet it, in Chromium with the network cut off."""

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from src.book import runner
from src.book import site as book_site

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_BELOW = "/some/path/"  # the site must not rely on lying at a server's root
_SWITCHES = (
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # No name and no address but the local server's leads anywhere.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def _executable() -> str | None:
    """Return the browser named by `$BOOK_CHROMIUM`, else the first one on the path."""
    if chosen := os.environ.get("BOOK_CHROMIUM"):
        return chosen if Path(chosen).is_file() else None
    return next(filter(None, map(shutil.which, _NAMES)), None)


@pytest.fixture(scope="session")
def browser():
    """Chromium, offline; where there is none a test skips, and under CI it fails."""
    executable = _executable()
    if executable is None:
        message = "no browser: install chromium, or set BOOK_CHROMIUM to a Chromium's executable"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=executable, chromium_sandbox=False, args=list(_SWITCHES)
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def site(browser) -> Path:
    """The folder of the built site, rendered if it is out of date (under CI run before that)."""
    if os.environ.get("CI"):
        runner.run()
    return book_site.build().folder


class _Server(http.server.SimpleHTTPRequestHandler):
    """Serves a folder below a path, and nothing at the server's root."""

    def send_head(self):
        if not urlsplit(self.path).path.startswith(_BELOW):
            self.send_error(404)
            return None
        self.path = "/" + self.path.removeprefix(_BELOW)
        return super().send_head()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def served(site):
    """The address of the site on a local server, below a path."""
    handler = functools.partial(_Server, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{_BELOW}"
        server.shutdown()


@pytest.fixture(scope="session", params=["http", "file"])
def base(request, site) -> str:
    """The site's address: on a local server below a path, and in the file system."""
    if request.param == "http":
        return request.getfixturevalue("served")
    return site.as_uri() + "/"


class _Watch:
    """What went wrong in a page: console errors, failed requests, requests to elsewhere."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.faults: list[str] = []

    def attach(self, page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"script error: {error}"))
        page.on("request", self._request)
        page.on("requestfailed", self._failed)
        page.on("response", self._response)

    def _console(self, message) -> None:
        if message.type == "error":
            self.faults.append(f"console error: {message.text}")

    def _request(self, request) -> None:
        if not request.url.startswith((self.base, "data:", "blob:", "about:")):
            self.faults.append(f"external request: {request.url}")

    def _failed(self, request) -> None:
        # A page that is left drops what it was still loading, and where scripts are switched off
        # ("csp") the browser refuses those that the page asks for: no faults of the page.
        if request.failure not in ("net::ERR_ABORTED", "csp"):
            self.faults.append(f"failed request: {request.url} ({request.failure})")

    def _response(self, response) -> None:
        if response.status >= 400:
            self.faults.append(f"failed request: {response.url} ({response.status})")


@pytest.fixture
def visit(browser, base):
    """Open pages: `visit(path, width=1280, scheme="light", javascript=True)` returns a `Page`.

    When the test ends, it fails if a page had a console error, or a failed or external request.
    """
    watch, contexts = _Watch(base), []

    def open_page(path, width=1280, scheme="light", javascript=True):
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=javascript,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        watch.attach(page)
        page.goto(base + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not watch.faults, "\n".join(dict.fromkeys(watch.faults))
