"""Fixtures: the built site as its readers meet it, in Chromium with the network cut off."""

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from src.book.execution import runner
from src.book.site import build as book_site
from tests.browser.book_pages import resize
from tests.browser.watch import Watch

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


@pytest.fixture(scope="module")
def opened(browser):
    """Open pages in contexts of their own, which last as long as the module's tests."""
    contexts = []

    def open_page(base, path, width=1280, scheme="light", javascript=True, before=None):
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=javascript,
        )
        contexts.append(context)
        page, watch = context.new_page(), Watch(base)
        page.set_default_timeout(60_000)  # what hangs; a busy machine is no failure
        watch.attach(page)
        if before:
            before(page)
        page.goto(base + path)
        return page, watch

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def visit(opened, base):
    """Open pages: `visit(path, width=1280, scheme="light", javascript=True)` returns a `Page`.

    When the test ends, it fails if a page had a console error, or a failed or external request.
    """
    pages = []

    def open_page(path, **how):
        pages.append(opened(base, path, **how))
        return pages[-1][0]

    yield open_page
    for page, _ in pages:
        page.context.close()
    assert not (faults := [fault for _, watch in pages for fault in watch.told()]), faults


@pytest.fixture(scope="module")
def kept():
    """The pages that the tests of a module share."""
    return {}


@pytest.fixture
def shared(opened, kept, base):
    """Open a page once for all tests of a module: `shared(path, width=1280)` returns the `Page`.

    A test leaves it as it found it, but for its width. It fails by what `visit` fails by.
    """
    used = []

    def one_page(path, width=1280, **how):
        key = (base, path, *sorted(how.items()))
        if key not in kept:
            kept[key] = opened(base, path, width=width, **how)
        page, watch = kept[key]
        used.append(watch)
        resize(page, width)
        return page

    yield one_page
    assert not (faults := [fault for watch in used for fault in watch.told()]), faults
