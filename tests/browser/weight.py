"""What a page weighs: the files that a browser requests when it opens, without opening it."""

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lxml import html

# Most bytes of a page at its first load: packed, as a server sends them, and as they are.
PACKED_LIMIT = 1_200_000
RAW_LIMIT = 3_000_000
_SHOWN = 6  # of the heaviest files, in a message
_LOADING = {"stylesheet", "icon", "preload"}
_CSS_URL = re.compile(r"""(?:url\(|@import)\s*['"]?(?!data:|#)([^'")\s;]+)""")
_MATHJAX = "tex-chtml.js"
# The fonts that nearly every formula needs; MathJax asks for them when it writes one.
_MATHJAX_FONTS = ("Main-Regular", "Math-Italic", "Size1-Regular", "Size2-Regular", "AMS-Regular")
_ALREADY_PACKED = {".png", ".jpg", ".gif", ".webp", ".woff", ".woff2"}


@dataclass(frozen=True)
class Size:
    """Bytes of a file as it is, and as a server sends it."""

    raw: int
    packed: int


def first_load(page: Path) -> dict[Path, Size]:
    """Return the files that a page requests when it opens, itself among them, with their sizes.

    Style sheets count with what they load. An image that is loaded when the reader comes near it
    (`loading="lazy"`) does not count, but for the first: it may stand on the first screen.

    Raises:
        FileNotFoundError: if a file that the page names is not there.
    """
    eager, lazy = _requests(page)
    found = {page: size_of(page)}
    for address in (*eager, *lazy[:1]):
        for file in _with_needs(_file(page, address)):
            found[file] = size_of(file)
    return found


def overweight(site: Path) -> list[str]:
    """Return a line for each page over a limit, with the sizes of its heaviest files."""
    problems = []
    for page in sorted(site.rglob("*.html")):
        sizes = first_load(page)
        raw, packed = (sum(getattr(s, kind) for s in sizes.values()) for kind in ("raw", "packed"))
        if raw > RAW_LIMIT or packed > PACKED_LIMIT:
            heaviest = sorted(sizes.items(), key=lambda item: -item[1].packed)[:_SHOWN]
            files = ", ".join(
                f"{f.name} {s.packed / 1e3:.0f} ({s.raw / 1e3:.0f})" for f, s in heaviest
            )
            problems.append(
                f"{page.relative_to(site).as_posix()}: {packed / 1e3:.0f} kB packed (limit "
                f"{PACKED_LIMIT / 1e3:.0f}), {raw / 1e3:.0f} kB raw (limit {RAW_LIMIT / 1e3:.0f}); "
                f"the heaviest, packed (raw): {files}"
            )
    return problems


def size_of(file: Path) -> Size:
    """Return a file's size, raw and packed with gzip (what is packed already counts as it is)."""
    return _size_of(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=4096)  # most files belong to every page
def _size_of(file: Path, _changed: int) -> Size:
    content = file.read_bytes()
    packed = file.suffix in _ALREADY_PACKED
    return Size(len(content), len(content) if packed else len(gzip.compress(content, 6)))


def _requests(page: Path) -> tuple[list[str], list[str]]:
    """Return the addresses of a page's scripts, style sheets and images: at once, and lazily."""
    eager, lazy = [], []
    tree = html.document_fromstring(page.read_bytes(), html.HTMLParser(encoding="utf-8"))
    for element in tree.iter("script", "img", "iframe", "source", "link"):
        address = element.get("src", "")
        if element.tag == "link" and _LOADING.intersection(element.get("rel", "").split()):
            address = element.get("href", "")
        if address and not address.startswith("data:"):
            (lazy if element.get("loading") == "lazy" else eager).append(address)
    return eager, lazy


def _file(page: Path, address: str) -> Path:
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        raise FileNotFoundError(f"{page}: {address} is not in the site")
    file = (page.parent / unquote(parts.path)).resolve()
    if not file.is_file():
        raise FileNotFoundError(f"{page}: {address} is not there")
    return file


def _with_needs(file: Path) -> tuple[Path, ...]:
    """Return a file and what it makes the browser load."""
    return (file, *_needs(file))


def _needs(file: Path) -> Iterator[Path]:
    if file.suffix == ".css":
        for address in _CSS_URL.findall(file.read_text(encoding="utf-8")):
            yield from _with_needs(_file(file, address))
    elif file.name == _MATHJAX:
        fonts = file.parent / "output/chtml/fonts/woff-v2"
        yield from (fonts / f"MathJax_{name}.woff" for name in _MATHJAX_FONTS)
