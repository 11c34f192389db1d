"""Downloads stay on https, also where a server sends them elsewhere."""

from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

if TYPE_CHECKING:
    from requests import Response


def only_https(response: "Response", **_: object) -> None:
    """Refuse an answer that did not come by https, or that leads to where there is none.

    A hook of requests, which calls it for every answer on the way, before it goes on to the next.

    Raises:
        OSError: naming the address.
    """
    addresses = [response.url]
    if response.is_redirect:
        addresses.append(urljoin(response.url, response.headers["location"]))
    for address in addresses:
        if urlsplit(address).scheme != "https":
            raise OSError(f"it leads to {address}, which is not https")
