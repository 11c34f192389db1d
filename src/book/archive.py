"""The book as one file to download: the site in a zip, the same bytes for the same site."""

import zipfile
from pathlib import Path

FOLDER = "papers-that-run"
_WHEN = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can name
_MODE = 0o100644 << 16  # a file that everybody may read
_PACKED = (".png", ".woff", ".woff2", ".zip")  # packed already


def write_zip(site: Path, target: Path) -> Path:
    """Write every file of a site below the folder "papers-that-run" of a zip; return the zip.

    The bytes depend on the files' names and contents alone: not on times, owners or the machine.

    Raises:
        FileNotFoundError: if the site has no index.html.
    """
    if not (site / "index.html").exists():
        raise FileNotFoundError(f"{site}: no index.html; render the book first (make site)")
    part = target.with_name(f"{target.name}.part")
    with zipfile.ZipFile(part, "w") as archive:
        names = {file.relative_to(site).as_posix(): file for file in site.rglob("*")}
        for name, file in sorted(names.items()):
            if file.is_file():
                about = zipfile.ZipInfo(f"{FOLDER}/{name}", _WHEN)
                about.create_system, about.external_attr = 3, _MODE
                packed = file.suffix in _PACKED
                about.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
                archive.writestr(about, file.read_bytes(), compresslevel=9)
    return part.replace(target)
