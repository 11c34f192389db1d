"""Checks of the rendered pages that Sphinx does not make: it is content with a page that shows a
traceback, an image called "figure.png", or a script from somebody else's server.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LEAST_ALT = 20
_FILE_NAME = re.compile(r"\.(png|svg|jpe?g|gif|webp)$", re.IGNORECASE)
_TRACEBACK = "Traceback (most recent call last)"
# Elements without an end tag; they open nothing.
_VOID = {
    "area",
    "base",
    "br",
    "col",
    "embed",
    "hr",
    "img",
    "input",
    "link",
    "meta",
    "source",
    "wbr",
}
# Attributes, and relations of a <link>, that make the browser load something with the page.
_LOADED = ("src", "srcset", "poster", "data")
_LOADING = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "manifest"}
# An address as a text in a script. Names of XML standards are no addresses; MathJax knows servers
# that only its menu uses, which _config.yml switches off.
_SCRIPT_URL = re.compile(r"""["'`]((?:https?:)?//[\w-]+(?:\.[\w-]+)+[^"'`\s]*)""")
_NOT_LOADED = ("http://www.w3.org/", "https://www.w3.org/")
_MATHJAX = ("https://www.mathjax.org", "https://cdn.jsdelivr.net/npm/")
# What runs, or brings a page into the page; the theme's own parts stand outside the content, but
# for one line that names the kernel.
_ACTING = {"iframe", "frame", "object", "embed", "base", "meta", "form", "template"}
_KERNEL_NAME = re.compile(r"kernelName = '[\w-]*'")
_LEADING = {"href", "action", "formaction", "xlink:href"}
_RUNNING = ("javascript:", "vbscript:", "data:text/html")
_CSS_URL = re.compile(r"""(?:url\(|@import)\s*['"]?((?:https?:)?//[^'")\s;]+)""")


@dataclass
class Page:
    """What a page holds that the checks look at."""

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    needed: list[str] = field(default_factory=list)  # scripts and style sheets
    scripts: list[str] = field(default_factory=list)  # addresses in the page's own scripts
    images: list[dict] = field(default_factory=list)
    tracebacks: int = 0
    acting: list[str] = field(default_factory=list)  # what runs in the content


def check_html(site: Path) -> list[str]:
    """Check every page of a rendered site; return the problems, each naming its page.

    Internal links and anchors must lead somewhere; images of the content need a description (not
    a file name) and a size; nothing may be loaded from another server, nor may a script know one;
    what a page loads must be there; no output may be an error; the content runs no script.
    """
    pages = {file: read_page(file) for file in sorted(site.rglob("*.html"))}
    if not pages:
        return [f"{site}: there is no page"]
    problems = []
    for file, page in pages.items():
        name = file.relative_to(site).as_posix()
        found = [
            *_dead_links(file, page, pages, site),
            *_poor_images(page),
            *(f"loads {address} from another server" for address in page.loaded),
            *_missing_files(file, page),
        ]
        if not found:  # else it may be told already, by what it loads
            found += [f"holds {what} in its content" for what in dict.fromkeys(page.acting)]
        if page.tracebacks:
            found.append(f"shows an error output ({page.tracebacks})")
        problems += [f"{name}: {problem}" for problem in found]
    return problems + _foreign_styles(site) + _foreign_scripts(site, pages)


def read_page(file: Path) -> Page:
    """Return what the checks need of one page."""
    reader = _Reader()
    reader.feed(file.read_text(encoding="utf-8"))
    reader.close()
    return reader.page


def images_shown(site: Path) -> set[Path]:
    """Return the image files that the site's pages show."""
    return {
        (file.parent / unquote(image["src"])).resolve()
        for file in site.rglob("*.html")
        for image in read_page(file).images
        if not _elsewhere(image.get("src", ""))
    }


class _Reader(HTMLParser):
    """Collects a page's ids, links, loaded addresses, images of the content, and error outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._data = False  # whether the last element holds data, not a script
        self._open: list[tuple[str, bool]] = []  # element, and whether it is an <article>

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        about = {name: value or "" for name, value in attrs}
        self.page.acting += _acting(tag, attrs, self._in_content())
        if tag not in _VOID:
            self._open.append((tag, tag == "article"))
        if identity := about.get("id"):
            self.page.ids.add(identity)
        if tag == "a" and "href" in about:
            self.page.links.append(about["href"])
        if tag == "img" and self._in_content():
            self.page.images.append(about)
        if "traceback" in about.get("class", "").split():
            self.page.tracebacks += 1
        self.page.loaded += [a for a in _addresses(tag, about) if _elsewhere(a)]
        if tag in ("script", "link"):
            self.page.needed += filter(None, _addresses(tag, about))
        self._data = "json" in about.get("type", "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if any(name == tag for name, _ in self._open):
            while self._open.pop()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        inside = self._open[-1][0] if self._open else ""
        if inside == "style":
            self.page.loaded += _CSS_URL.findall(data)
        elif inside == "script" and not self._data:
            self.page.scripts += (addresses := _SCRIPT_URL.findall(data))
            told = any(not address.startswith(_NOT_LOADED) for address in addresses)
            if self._in_content() and not told and not _KERNEL_NAME.fullmatch(data.strip()):
                self.page.acting.append(f"the script {data.strip()[:40]!r}")
        elif inside != "script" and _TRACEBACK in data:
            self.page.tracebacks += 1

    def _in_content(self) -> bool:
        return any(article for _, article in self._open)


def _acting(tag: str, attrs: list[tuple[str, str | None]], content: bool) -> Iterator[str]:
    """Yield what in an element runs: the element itself, event handlers, links that are code."""
    if content and (tag in _ACTING or (tag == "script" and "src" in dict(attrs))):
        yield f"<{tag}>"
    for name, value in attrs:
        if content and re.fullmatch(r"on\w+|srcdoc", name):
            yield f"the attribute {name}"
        # Browsers leave blanks and control characters out of an address.
        address = re.sub(r"[\x00-\x20]", "", value or "").lower()
        if name in _LEADING and address.startswith(_RUNNING):
            yield f"a link to {address[:40]!r}"


def _addresses(tag: str, about: dict[str, str]) -> Iterator[str]:
    """Yield what the browser loads for an element when the page opens."""
    for name in _LOADED:
        # A srcset holds several addresses, each with a size after a blank.
        for candidate in about.get(name, "").split(", "):
            yield candidate.strip().split(" ")[0]
    if tag == "link" and _LOADING.intersection(about.get("rel", "").split()):
        yield about.get("href", "")
    yield from _CSS_URL.findall(about.get("style", ""))


def _elsewhere(address: str) -> bool:
    return urlsplit(address).scheme in ("http", "https") or address.startswith("//")


def _dead_links(file: Path, page: Page, pages: dict[Path, Page], site: Path) -> Iterator[str]:
    for address in dict.fromkeys(page.links):
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        target = (file.parent / unquote(parts.path)).resolve() if parts.path else file.resolve()
        if target.is_dir():
            target = target / "index.html"
        if not target.exists() or not target.is_relative_to(site.resolve()):
            yield f"link to {address!r}, which does not exist"
        elif parts.fragment and target.suffix == ".html":
            known = page if target == file.resolve() else _page_of(target, pages)
            if unquote(parts.fragment) not in known.ids:
                yield f"link to {address!r}: the page has no such anchor"


def _page_of(target: Path, pages: dict[Path, Page]) -> Page:
    for file, page in pages.items():
        if file.resolve() == target:
            return page
    return read_page(target)


def _poor_images(page: Page) -> Iterator[str]:
    for image in page.images:
        source, alt = image.get("src", ""), image.get("alt", "").strip()
        name = source if len(source) < 80 else source[:77] + "..."
        if len(alt) < _LEAST_ALT or _FILE_NAME.search(alt) or " " not in alt:
            yield f"image {name}: alt text {alt!r} does not describe it"
        if not (image.get("width", "").isdigit() and image.get("height", "").isdigit()):
            yield f"image {name}: no width and height, so the page jumps while it loads"


def _foreign_styles(site: Path) -> list[str]:
    """Return the style sheets that load something from another server."""
    return [
        f"{file.relative_to(site).as_posix()}: loads {address} from another server"
        for file in sorted(site.rglob("*.css"))
        for address in _CSS_URL.findall(file.read_text(encoding="utf-8", errors="replace"))
    ]


def _foreign_scripts(site: Path, pages: dict[Path, Page]) -> list[str]:
    """Return the scripts, in files and pages, that hold another server's address."""
    found = {file: page.scripts for file, page in pages.items()}
    for file in sorted(site.rglob("*.js")):
        if file.name != "searchindex.js":  # it holds the words of the pages
            found[file] = _SCRIPT_URL.findall(file.read_text(encoding="utf-8", errors="replace"))
    problems = []
    for file, addresses in found.items():
        name = file.relative_to(site).as_posix()
        known = _NOT_LOADED + _MATHJAX * ("/mathjax/" in name)
        problems += [
            f"{name}: a script knows {address}, on another server"
            for address in dict.fromkeys(addresses)
            if not address.startswith(known)
        ]
    return problems


def _missing_files(file: Path, page: Page) -> Iterator[str]:
    """Yield what a page loads from the site although it is not there."""
    for address in dict.fromkeys(page.needed):
        parts = urlsplit(address)
        if not (parts.scheme or parts.netloc) and not (file.parent / unquote(parts.path)).is_file():
            yield f"loads {address}, which is not there"
