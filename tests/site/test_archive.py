"""The zip of the site: all of it, in a folder, and the same bytes for the same files."""

import os
import zipfile

import pytest

from src.book import __main__, archive, paths


def make(site, times):
    for name, text in (("index.html", "<p>"), ("pages/a.html", "<p>a"), ("b.png", "0")):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
        os.utime(site / name, (times, times))
    return site


def test_equal_sites_give_equal_bytes(tmp_path):
    one = archive.write_zip(make(tmp_path / "one", 1e9), tmp_path / "one.zip")
    two = archive.write_zip(make(tmp_path / "two", 1.5e9), tmp_path / "two.zip")
    assert one.read_bytes() == two.read_bytes()
    (tmp_path / "two/b.png").write_text("1")
    assert archive.write_zip(tmp_path / "two", two).read_bytes() != one.read_bytes()
    assert not list(tmp_path.glob("*.part"))


def test_the_files_are_as_in_the_site(tmp_path):
    site = make(tmp_path / "site", 1e9)
    with zipfile.ZipFile(archive.write_zip(site, tmp_path / "a.zip")) as made:
        made.extractall(tmp_path / "out")
    for file in filter(os.path.isfile, site.rglob("*")):
        there = tmp_path / "out/papers-that-run" / file.relative_to(site)
        assert there.read_bytes() == file.read_bytes()
        assert os.access(there, os.R_OK)


def test_a_folder_without_a_site_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="render the book first"):
        archive.write_zip(tmp_path, tmp_path / "a.zip")


def test_the_command_packs_the_rendered_book(rendered, capsys):
    assert __main__.main(["zip"]) == 0
    assert "papers-that-run.zip" in capsys.readouterr().out
    with zipfile.ZipFile(paths.build_dir() / "papers-that-run.zip") as made:
        assert "papers-that-run/chapters/foundations/toy.html" in made.namelist()
