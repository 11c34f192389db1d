"""The icons that the pages show, and no others: a few glyphs instead of three fonts and a script.

The theme's style sheet knows some two thousand icons by their class, "fa-" and a name. What the
pages and the theme's scripts name, and what style rules show by its character, is cut out of the
fonts and put into the style sheet, so that no icon is waited for.
"""

import base64
import io
import re
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

from src.book.storage.errors import BookError

_OWN_RULES = Path(__file__).parent / "theme" / "icons.css"
_NAME = re.compile(r"\bfa-[a-z0-9-]+")
# One rule for the names of one icon: `.fa-list-squares:before,.fa-list:before{content:"\f03a"}`.
_RULE = re.compile(r'((?:\.fa-[\w-]+:{1,2}before,?)+)\{content:"[^"]*"\}')
_FACE = re.compile(r"@font-face\{[^}]*?src:url\((?P<file>[^)]*?webfonts/[\w-]+)\.woff2\)[^}]*\}")
_SOURCES = re.compile(r"src:[^;}]*")
_ESCAPED = re.compile(r"\\([0-9a-f]{2,5})")
_PRIVATE = range(0xE000, 0xF900)  # where icon fonts keep their characters


def keep_used_icons(site: Path) -> None:
    """Rewrite the theme's style sheet of a rendered site with the icons in use; delete the fonts.

    Raises:
        BookError: if the style sheet is not built as expected, as after an update of the theme.
    """
    static = site / "_static"
    sheet = static / "styles" / "pydata-sphinx-theme.css"
    if _text(_OWN_RULES) in _text(sheet):  # Sphinx found no page out of date, and copied nothing
        return
    used = _names(site)
    css = _RULE.sub(lambda rule: rule[0] * (not used.isdisjoint(_names_in(rule[1]))), _text(sheet))
    if _RULE.search(css) is None or _FACE.search(css) is None:
        raise BookError(
            f"{sheet.name}: no icons in it; src.book.site.icons must learn the new theme"
        )
    others = (_text(f) for f in sorted(static.rglob("*.css")) if f != sheet)
    characters = set().union(*map(_characters, (css, *others)))
    css = _FACE.sub(lambda face: _embedded(face, sheet.parent, characters), css)
    sheet.write_text(f"{css}\n{_text(_OWN_RULES)}", encoding="utf-8")


def subset(font: Path, characters: set[int]) -> bytes | None:
    """Return a font, as WOFF, with the glyphs of some characters; None if it has none of them.

    Args:
        font: a TrueType file.
        characters: Unicode code points; those that the font does not have are left out.
    """
    face = TTFont(font, recalcTimestamp=False)
    wanted = characters & set(face.getBestCmap())
    if not wanted:
        return None
    cut = Subsetter(Options(layout_features=[], hinting=False, notdef_outline=True))
    cut.populate(unicodes=wanted)
    cut.subset(face)
    face.flavor = "woff"
    written = io.BytesIO()
    face.save(written)
    return written.getvalue()


def _embedded(face: re.Match, folder: Path, characters: set[int]) -> str:
    """Return a font-face rule with the font's used glyphs inside; "" if there are none."""
    data = subset(folder / f"{face['file']}.ttf", characters)
    if data is None:
        return ""
    source = f'src:url(data:font/woff;base64,{base64.b64encode(data).decode()}) format("woff")'
    return _SOURCES.sub(lambda _: source, face[0])


def _names(site: Path) -> set[str]:
    """Return the icons' names in the pages, and in scripts, which may add some."""
    scripts = (f for f in (site / "_static").rglob("*.js") if f.name != "fontawesome.js")
    pages = (f for f in site.rglob("*.html") if "_static" not in f.parts)
    return set().union(*(_names_in(_text(f)) for f in (*pages, *scripts)))


def _names_in(text: str) -> set[str]:
    return set(_NAME.findall(text))


def _characters(css: str) -> set[int]:
    """Return the characters that a style sheet shows, written as escapes or as themselves."""
    escaped = {int(code, 16) for code in _ESCAPED.findall(css)}
    return escaped | {ord(c) for c in set(css) if ord(c) in _PRIVATE}


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")
