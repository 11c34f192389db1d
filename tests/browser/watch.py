"""What goes wrong while pages are open: console errors, failed requests, requests to elsewhere."""


class Watch:
    """Collects the faults of the pages that it is attached to; `base` is the site's address."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.faults: list[str] = []

    def attach(self, page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"script error: {error}"))
        page.on("request", self._request)
        page.on("requestfailed", self._failed)
        page.on("response", self._response)

    def told(self) -> list[str]:
        """Return the faults so far, each once, and forget them."""
        told, self.faults = list(dict.fromkeys(self.faults)), []
        return told

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
