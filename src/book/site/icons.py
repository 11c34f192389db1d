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
# A character of an icon font, written as an escape or as itself.
_CHARACTER = re.compile(r"\\([0-9a-f]{2,5})|([\ue000-\uf8ff])")


def keep_used_icons(site: Path) -> None:
    """Rewrite the theme's style sheet of a rendered site with the icons in use.

    Raises:
        BookError: if the style sheet is not built as expected, as after an update of the theme.
    """
    static = site / "_static"
    sheet = static / "styles" / "pydata-sphinx-theme.css"
    css, own_rules = _text(sheet), _text(_OWN_RULES)
    if own_rules in css:  # Sphinx found no page out of date, and copied nothing
        return
    # Scripts may add icons.
    scripts = (f for f in static.rglob("*.js") if f.name != "fontawesome.js")
    pages = (f for f in site.rglob("*.html") if "_static" not in f.parts)
    used = {name for file in (*pages, *scripts) for name in _NAME.findall(_text(file))}
    css = _RULE.sub(lambda rule: rule[0] * (not used.isdisjoint(_NAME.findall(rule[1]))), css)
    if _RULE.search(css) is None or _FACE.search(css) is None:
        raise BookError(
            f"{sheet.name}: no icons in it; src.book.site.icons must learn the new theme"
        )
    sheets = [css, *(_text(f) for f in sorted(static.rglob("*.css")) if f != sheet)]
    found = (match for text in sheets for match in _CHARACTER.findall(text))
    characters = {int(code, 16) if code else ord(itself) for code, itself in found}
    css = _FACE.sub(lambda face: _embedded(face, sheet.parent, characters), css)
    sheet.write_text(f"{css}\n{own_rules}", encoding="utf-8")


def _embedded(face: re.Match, folder: Path, characters: set[int]) -> str:
    """Return a font-face rule with the font's used glyphs inside; "" if there are none."""
    font = TTFont(folder / f"{face['file']}.ttf", recalcTimestamp=False)
    wanted = characters & set(font.getBestCmap())
    if not wanted:
        return ""
    cut = Subsetter(Options(layout_features=[], hinting=False, notdef_outline=True))
    cut.populate(unicodes=wanted)
    cut.subset(font)
    font.flavor = "woff"
    written = io.BytesIO()
    font.save(written)
    data = base64.b64encode(written.getvalue()).decode()
    source = f'src:url(data:font/woff;base64,{data}) format("woff")'
    return _SOURCES.sub(lambda _: source, face[0])


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")
