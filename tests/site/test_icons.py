"""The icons of the site: those that pages show are in the style sheet, and no others."""

import base64
import io
import re

from fontTools.ttLib import TTFont


def sheet(root):
    file = root / "_build/html/_static/styles/pydata-sphinx-theme.css"
    return file.read_text(encoding="utf-8")


def fonts(css):
    """Return the characters of each embedded font, by its family and weight."""
    found = {}
    for face in re.findall(r"@font-face\{[^}]*\}", css):
        family = re.search(r"font-family:([^;]*)", face)[1].replace("\\", "")
        data = re.search(r"url\(data:font/woff;base64,([^)]*)\)", face)[1]
        weight = re.search(r"font-weight:(\d+)", face)[1]
        font = TTFont(io.BytesIO(base64.b64decode(data)))
        found[family, weight] = set(font.getBestCmap())
    return found


def test_every_icon_of_a_page_has_a_rule_and_a_glyph(rendered):
    css, site = sheet(rendered), rendered / "_build/html"
    glyphs = set().union(*fonts(css).values())
    pages = "".join(f.read_text(encoding="utf-8") for f in site.rglob("*.html"))
    classes = {c for found in re.findall(r'class="([^"]*)"', pages) for c in found.split()}
    names = {c for c in classes if c.startswith("fa-")} - {"fa-solid", "fa-brands", "fa-lg"}
    assert {"fa-bars", "fa-github", "fa-download", "fa-circle-half-stroke"} <= names
    for name in names:
        code = re.search(rf'\.{name}:before[^{{]*\{{content:"\\([0-9a-f]+)"', css)
        assert code, f"no rule for {name}"
        assert int(code[1], 16) in glyphs, f"no glyph for {name}"


def test_characters_that_style_rules_show_have_glyphs(rendered):
    css = "".join(
        file.read_text(encoding="utf-8") for file in (rendered / "_build/html").rglob("*.css")
    )
    codes = {int(c, 16) for c in re.findall(r"\\(f[0-9a-f]{3})", css)}
    codes |= {ord(c) for c in css if 0xF000 <= ord(c) < 0xF900}
    assert len(codes) > 10  # admonitions and the rest of the theme
    assert codes <= set().union(*fonts(sheet(rendered)).values())


def test_icons_that_no_page_shows_are_gone(rendered):
    css = sheet(rendered)
    assert ".fa-volcano:before" not in css
    assert len(css.encode()) < 350_000
    assert ("Font Awesome 6 Free", "900") in fonts(css)
