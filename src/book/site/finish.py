"""What the finished site gets and loses, before it is checked and published.

It gets the chapters' sources, MathJax, the scoreboard as data, thumbnails and a zip of itself. What
the theme leaves inaccessible is mended, and what no page uses is taken out: the theme and its
extensions bring files that the book has no use for. See also `src/book/site/theme/layout.html`.
"""

import re
import shutil
import zipfile
from importlib.util import find_spec
from pathlib import Path

from sphinx.application import Sphinx

from src.book.site.htmlcheck import images_shown
from src.book.site.icons import keep_used_icons
from src.book.site.pages.gallery import write_thumbnails
from src.book.site.pages.scoreboard import write_downloads
from src.book.storage import paths

# The parts of MathJax that a page may load: the renderer, its fonts, and the macro packages that it
# loads when a formula needs them.
_MATHJAX = ("tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions")
# Below `_static`: source maps, the icons' fonts and script (see src.book.site.icons), translations,
# and the packages of MathJax that are a bundle of the others.
_UNUSED = (
    "**/*.map",
    "vendor",
    "scripts/fontawesome.js*",
    "locales",
    "*webpack-macros.html",
    "mathjax/input/tex/extensions/all-packages.js",
)

_DIALOGS = {"primary-sidebar-modal": "Book", "secondary-sidebar-modal": "On this page"}
_DIALOGS["search-dialog"] = "Search"
# On a narrow screen a sidebar opens as a dialog, which needs a name and a button that closes it.
_CLOSE = (
    '<form method="dialog" class="close-sidebar"><button class="btn btn-sm">Close</button></form>'
)
# The theme has no option for these. A repair leaves alone what has been mended.
_REPAIRS = {
    # The sidebar has the book's name and the search beside its list of pages: one landmark for all.
    r'<div id="pst-primary-sidebar" (class="[^"]*")>': (
        rf'<div id="pst-primary-sidebar" role="navigation" aria-label="Book" \1>{_CLOSE}'
    ),
    r'(<div id="pst-secondary-sidebar" class="[^"]*">)(?!<form)': rf"\1{_CLOSE}",
    **{
        f'<dialog id="pst-{name}">': f'<dialog id="pst-{name}" aria-label="{label}">'
        for name, label in _DIALOGS.items()
    },
    # A fold is called what it shows, "Show code cell source", not "Toggle hidden content".
    '<summary aria-label="Toggle hidden content">': "<summary>",
    # A formula that is wider than a phone scrolls, by keyboard too.
    r'(<div class="(?:amsmath )?math notranslate nohighlight")(?! tabindex)': r'\1 tabindex="0"',
    # Sphinx writes an image's size as a style, which fixes the height also where the page is
    # narrower than the image; from attributes the browser takes the shape, keeps room for it, and
    # scales both sides. An image further down the page is loaded when the reader comes near it.
    r'(<img [^>]*)style="width: (\d+)(?:px)?; height: (\d+)(?:px)?;?"': (
        r'\1width="\2" height="\3" loading="lazy"'
    ),
    # The corner of a table that has row and column names is no header of anything.
    r"<th\b[^>]*>(?:\s|<p>\s*</p>)*</th>": "<td></td>",
}

ZIP = "papers-that-run.zip"  # at the root of the site
FOLDER = "papers-that-run"
_WHEN = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can name
_MODE = 0o100644 << 16  # a file that everybody may read
# The front page's link to the zip, which leads nowhere in a book that was taken along.
_LINK = re.compile(rb'<p class="take-along">.*?</p>\n?', re.DOTALL)


def finish(app: Sphinx, error: Exception | None) -> None:
    """Add to a site that Sphinx has written, mend it, clear it, and zip what is left."""
    if error is not None or app.builder.format != "html":
        return
    site = Path(app.outdir)
    copy_mathjax(site)
    for page in app.env.found_docs:
        if (source := source_of(page)).is_file():  # beside the sources that the theme offers
            shutil.copyfile(source, site / "_sources" / f"{page}.py")
    write_downloads(site)
    write_thumbnails(site)
    for file in site.rglob("*.html"):
        written = file.read_text(encoding="utf-8")
        if (mended := mend(written)) != written:
            file.write_text(mended, encoding="utf-8")
    keep_used_icons(site)
    drop_unused(site)
    write_zip(site)


def copy_mathjax(site: Path) -> None:
    """Put MathJax and its fonts into the site, so that mathematics needs no network."""
    package = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
    for part in _MATHJAX:
        target = site / "_static" / "mathjax" / part
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (package / part).is_dir() else shutil.copyfile
            copy(package / part, target)


def source_of(page: str) -> Path:
    """Return where the source of a page would lie, if it is a chapter's."""
    return paths.root() / f"{page}.py"


def mend(html: str) -> str:
    """Return a page with named landmarks, dialogs and folds, and without empty table headers."""
    for theirs, ours in _REPAIRS.items():
        html = re.sub(theirs, ours, html)
    return html


def drop_unused(site: Path) -> None:
    """Delete static files that no page loads, and images of earlier builds."""
    for pattern in _UNUSED:
        for found in sorted((site / "_static").glob(pattern)):
            shutil.rmtree(found) if found.is_dir() else found.unlink()
    shown = images_shown(site)
    for image in site.glob("_images/*"):
        if image.resolve() not in shown:
            image.unlink()


def write_zip(site: Path) -> Path:
    """Write every file of a site into a zip at its root; return the zip.

    The bytes depend on the files' names and contents alone: not on times, owners or the machine.
    """
    target = site / ZIP
    part = target.with_name(f".{ZIP}.part")
    names = {file.relative_to(site).as_posix(): file for file in site.rglob("*")}
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, file in sorted(names.items()):
            # A link may lead out of the site.
            if file in (target, part) or file.is_symlink() or not file.is_file():
                continue
            about = zipfile.ZipInfo(f"{FOLDER}/{name}", _WHEN)
            about.create_system, about.external_attr = 3, _MODE
            content = file.read_bytes()
            if name == "index.html":
                content = _LINK.sub(b"", content)
            archive.writestr(about, content, zipfile.ZIP_DEFLATED)
    return part.replace(target)
