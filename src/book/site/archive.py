"""The book as one file to download: the site in a zip, the same bytes for the same site."""

import re
import zipfile
from pathlib import Path

from src.book.site.htmlcheck import images_shown

NAME = "papers-that-run.zip"  # at the root of the site
FOLDER = "papers-that-run"
_WHEN = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can name
_MODE = 0o100644 << 16  # a file that everybody may read
_PACKED = (".png", ".woff", ".woff2")  # packed already
# The front page's link to the zip, which leads nowhere in a book that was taken along.
_LINK = re.compile(rb'<p class="take-along">.*?</p>\n?', re.DOTALL)


def write_zip(site: Path) -> Path:
    """Write every file of a site that a page needs into a zip at its root; return the zip.

    The bytes depend on the files' names and contents alone: not on times, owners or the machine.
    """
    target = site / NAME
    part = target.with_name(f".{NAME}.part")
    shown = images_shown(site)
    with zipfile.ZipFile(part, "w") as archive:
        names = {file.relative_to(site).as_posix(): file for file in site.rglob("*")}
        for name, file in sorted(names.items()):
            unseen = file.parent.name == "_images" and file.resolve() not in shown
            if file in (target, part) or unseen or not file.is_file():
                continue
            if file.is_symlink():  # it may lead out of the site
                continue
            about = zipfile.ZipInfo(f"{FOLDER}/{name}", _WHEN)
            about.create_system, about.external_attr = 3, _MODE
            packed = file.suffix in _PACKED
            about.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
            content = file.read_bytes()
            if name == "index.html":
                content = _LINK.sub(b"", content)
            archive.writestr(about, content, compresslevel=9)
    return part.replace(target)
