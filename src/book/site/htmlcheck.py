"""Checks of the rendered pages that Sphinx does not make.

It is content with a page that shows a traceback, an image called "figure.png", or a script from
somebody else's server.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lxml import etree, html

_LEAST_ALT = 20
_FILE_NAME = re.compile(r"\.(png|svg|jpe?g|gif|webp)$", re.IGNORECASE)
_TRACEBACK = (
    "//*[contains(concat(' ', normalize-space(@class), ' '), ' traceback ')]"
    "| //text()[contains(., 'Traceback (most recent call last)')][not(parent::script)]"
)
# Attributes, and relations of a <link>, that make the browser load something with the page.
_LOADED = ("src", "srcset", "poster", "data")
_LOADING = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "manifest"}
_CSS_URL = re.compile(r"""(?:url\(|@import)\s*['"]?((?:https?:)?//[^'")\s;]+)""")
# An address as a text in a script. Names of XML standards are no addresses; MathJax knows servers
# that only its menu uses, which _config.yml switches off.
_SCRIPT_URL = re.compile(r"""["'`]((?:https?:)?//[\w-]+(?:\.[\w-]+)+[^"'`\s]*)""")
_NOT_LOADED = ("http://www.w3.org/", "https://www.w3.org/")
_MATHJAX = ("https://www.mathjax.org", "https://cdn.jsdelivr.net/npm/")
# What runs, or brings a page into the page; the theme's own parts stand outside the content.
_ACTING = {"iframe", "frame", "object", "embed", "base", "meta", "form", "template"}
_LEADING = ("href", "action", "formaction", "xlink:href")
_RUNNING = ("javascript:", "vbscript:", "data:text/html")


@dataclass(frozen=True)
class Page:
    """What a page holds that the checks look at.

    Attributes:
        needed: addresses of scripts and style sheets that the browser loads when the page opens.
        images: addresses of the content's images.
        problems: what is wrong with the page by itself.
        acting: what runs in the content, in words.
    """

    ids: set[str]
    links: list[str]
    needed: list[str]
    images: list[str]
    problems: list[str]
    acting: list[str]


def check_html(site: Path) -> list[str]:
    """Check every page of a rendered site; return the problems, each naming its page.

    Internal links and anchors must lead somewhere; images of the content need a description (not
    a file name) and a size; nothing may be loaded from another server, nor may a script know one;
    what a page loads must be there; no output may be an error; the content runs no script.
    """
    site = site.resolve()
    pages = {file: read_page(file) for file in sorted(site.rglob("*.html"))}
    if not pages:
        return [f"{site}: there is no page"]
    problems = []
    for file, page in pages.items():
        found = [*_dead_links(file, page, pages, site), *_missing_files(file, page)]
        found += page.problems
        if not found:  # else it may be told already, by what it loads
            found = [f"holds {what} in its content" for what in dict.fromkeys(page.acting)]
        problems += [f"{file.relative_to(site).as_posix()}: {problem}" for problem in found]
    return problems + _foreign_files(site)


def read_page(file: Path) -> Page:
    """Return what the checks need of one page."""
    parser = html.HTMLParser(encoding="utf-8", huge_tree=True)
    tree = html.document_fromstring(file.read_bytes().strip() or b"<html>", parser)
    elements, inside = list(tree.iter(etree.Element)), set(tree.xpath("//article//*"))
    images = tree.xpath("//article//img")
    styles = " ".join(style.text or "" for style in tree.iter("style"))
    scripts = tree.xpath("//script[not(contains(@type, 'json'))]")
    loaded = [*(a for element in elements for a in _addresses(element)), *_CSS_URL.findall(styles)]
    known = [a for script in scripts for a in _SCRIPT_URL.findall(script.text or "")]
    errors = len(tree.xpath(_TRACEBACK))
    return Page(
        ids=set(map(str, tree.xpath("//@id"))),
        links=list(map(str, tree.xpath("//a/@href"))),
        needed=[a for element in tree.iter("script", "link") for a in _addresses(element)],
        images=[image.get("src", "") for image in images],
        problems=[
            *(problem for image in images for problem in _poor_image(image)),
            *_foreign(loaded),
            *_known(known),
            *([f"shows an error output ({errors})"] if errors else []),
        ],
        acting=[what for element in elements for what in _acting(element, element in inside)],
    )


def images_shown(site: Path) -> set[Path]:
    """Return the image files that the site's pages show."""
    return {
        (file.parent / unquote(address)).resolve()
        for file in site.rglob("*.html")
        for address in read_page(file).images
        if not _elsewhere(address)
    }


def _acting(element: html.HtmlElement, content: bool) -> Iterator[str]:
    """Yield what in an element runs: the element itself, event handlers, links that are code."""
    if content and (
        element.tag in _ACTING or (element.tag == "script" and "src" in element.attrib)
    ):
        yield f"<{element.tag}>"
    elif content and element.tag == "script" and "json" not in element.get("type", ""):
        yield f"the script {(element.text or '').strip()[:40]!r}"
    for name, value in element.items():
        if content and re.fullmatch(r"on\w+|srcdoc", name):
            yield f"the attribute {name}"
        # Browsers leave blanks and control characters out of an address.
        address = re.sub(r"[\x00-\x20]", "", value).lower()
        if name in _LEADING and address.startswith(_RUNNING):
            yield f"a link to {address[:40]!r}"


def _addresses(element: html.HtmlElement) -> Iterator[str]:
    """Yield what the browser loads for an element when the page opens."""
    for name in _LOADED:
        # A srcset holds several addresses, each with a size after a blank.
        for candidate in filter(None, element.get(name, "").split(", ")):
            yield candidate.strip().split(" ")[0]
    if element.tag == "link" and _LOADING.intersection(element.get("rel", "").split()):
        yield element.get("href", "")
    yield from _CSS_URL.findall(element.get("style", ""))


def _elsewhere(address: str) -> bool:
    return urlsplit(address).scheme in ("http", "https") or address.startswith("//")


def _foreign(addresses: list[str]) -> list[str]:
    return [f"loads {a} from another server" for a in dict.fromkeys(addresses) if _elsewhere(a)]


def _known(addresses: list[str], harmless: tuple[str, ...] = _NOT_LOADED) -> list[str]:
    found = [a for a in dict.fromkeys(addresses) if not a.startswith(harmless)]
    return [f"a script knows {address}, on another server" for address in found]


def _dead_links(file: Path, page: Page, pages: dict[Path, Page], site: Path) -> Iterator[str]:
    for address in dict.fromkeys(page.links):
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
        if target.is_dir():
            target = target / "index.html"
        if not target.exists() or not target.is_relative_to(site):
            yield f"link to {address!r}, which does not exist"
        elif (
            parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids
        ):
            yield f"link to {address!r}: the page has no such anchor"


def _poor_image(image: html.HtmlElement) -> Iterator[str]:
    source, alt = image.get("src", ""), image.get("alt", "").strip()
    name = source if len(source) < 80 else source[:77] + "..."
    if len(alt) < _LEAST_ALT or _FILE_NAME.search(alt) or " " not in alt:
        yield f"image {name}: alt text {alt!r} does not describe it"
    if not (image.get("width", "").isdigit() and image.get("height", "").isdigit()):
        yield f"image {name}: no width and height, so the page jumps while it loads"


def _missing_files(file: Path, page: Page) -> Iterator[str]:
    """Yield what a page loads from the site although it is not there."""
    for address in dict.fromkeys(page.needed):
        parts = urlsplit(address)
        if not (parts.scheme or parts.netloc) and not (file.parent / unquote(parts.path)).is_file():
            yield f"loads {address}, which is not there"


def _foreign_files(site: Path) -> list[str]:
    """Return the style sheets that load from another server, and the scripts that know one."""
    problems = []
    for file in sorted([*site.rglob("*.css"), *site.rglob("*.js")]):
        name = file.relative_to(site).as_posix()
        if name == "searchindex.js":  # it holds the words of the pages
            continue
        words = file.read_text(encoding="utf-8", errors="replace")
        if file.suffix == ".css":
            found = _foreign(_CSS_URL.findall(words))
        else:
            harmless = _NOT_LOADED + _MATHJAX * ("/mathjax/" in name)
            found = _known(_SCRIPT_URL.findall(words), harmless)
        problems += [f"{name}: {problem}" for problem in found]
    return problems
