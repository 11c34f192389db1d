"""The zip of the site: all of it, in a folder, and the same bytes for the same files."""

import os
import zipfile

from src.book.site import finish

LINK = '<p>Read.</p>\n<p class="take-along">Or <a href="papers-that-run.zip">all\nof it</a>.</p>\n'


def make(site, times):
    files = {
        "index.html": LINK + '<article><img src="_images/shown.png"></article>',
        "pages/a.html": '<p class="take-along">a</p>',
        "b.png": "0",
        "_images/shown.png": "1",
        "_images/of_an_earlier_build.png": "2",
    }
    for name, text in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
        os.utime(site / name, (times, times))
    return site


def unpack(file, folder):
    with zipfile.ZipFile(file) as made:
        made.extractall(folder)
    return folder / "papers-that-run"


def test_equal_sites_give_equal_bytes(tmp_path):
    one = finish.write_zip(make(tmp_path / "one", 1e9)).read_bytes()
    two = finish.write_zip(make(tmp_path / "two", 1.5e9)).read_bytes()
    assert one == two
    assert finish.write_zip(tmp_path / "two").read_bytes() == two  # the old zip is not packed
    (tmp_path / "two/b.png").write_text("1")
    assert finish.write_zip(tmp_path / "two").read_bytes() != one
    assert not list(tmp_path.rglob("*.part"))


def test_the_files_are_as_in_the_site(tmp_path):
    site = make(tmp_path / "site", 1e9)
    finish.drop_unused(site)
    out = unpack(finish.write_zip(site), tmp_path / "out")
    names = {file.relative_to(out).as_posix() for file in out.rglob("*") if file.is_file()}
    assert names == {"index.html", "pages/a.html", "b.png", "_images/shown.png"}
    for name in names - {"index.html"}:
        assert (out / name).read_bytes() == (site / name).read_bytes()
        assert os.access(out / name, os.R_OK)


def test_a_book_that_was_taken_along_does_not_offer_itself(tmp_path):
    out = unpack(finish.write_zip(make(tmp_path / "site", 1e9)), tmp_path / "out")
    assert (out / "index.html").read_text().startswith("<p>Read.</p>\n<article>")


def test_the_rendered_book_holds_its_zip(rendered):
    with zipfile.ZipFile(rendered / "_build/html/papers-that-run.zip") as made:
        assert "papers-that-run/chapters/foundations/toy.html" in made.namelist()
