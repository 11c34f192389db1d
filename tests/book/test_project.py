"""What the project states about itself: one version, one address, one set of pins."""

import datetime
import os
import re
import subprocess
import sys
import tomllib

import pytest
import yaml

from src.book.__main__ import main
from src.book.notebook import repository
from src.book.storage.errors import BookError
from tests.conftest import REPOSITORY

CONFIG = """\
# A book.
title: T
# The only place.
repository:
  # here
  url: https://github.com/old/name  # the address
  branch: main
url: elsewhere
"""


def read(name):
    return (REPOSITORY / name).read_text(encoding="utf-8")


def declared_version():
    return tomllib.loads(read("pyproject.toml"))["project"]["version"]


def released():
    """The versions of the changelog with their dates, newest first."""
    return re.findall(r"^## (\d+\.\d+\.\d+) - (\d{4}-\d\d-\d\d)$", read("CHANGELOG.md"), re.M)


def test_citation_changelog_and_package_agree_on_the_version():
    citation = yaml.safe_load(read("CITATION.cff"))
    headings = re.findall(r"^## .*$", read("CHANGELOG.md"), re.M)
    assert headings[0] == "## Unreleased"
    assert len(headings) == 1 + len(released()), "a heading without version and date"
    assert (citation["version"], citation["date-released"]) == released()[0]
    numbers = [tuple(map(int, version.split("."))) for version, _ in released()]
    assert numbers == sorted(numbers, reverse=True)
    base, development, _ = declared_version().partition(".dev")
    if development:
        assert tuple(map(int, base.split("."))) > numbers[0]
    else:
        assert base == released()[0][0]


def test_the_citation_file_has_the_form_of_cff_1_2():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    known = "abstract authors cff-version date-released keywords license message title type version"
    assert set(citation) <= set(known.split())
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] in ("software", "dataset")
    datetime.date.fromisoformat(citation["date-released"])
    texts = [citation[k] for k in ("message", "title", "abstract", "version", "license")]
    assert all(isinstance(text, str) and text for text in [*texts, *citation["keywords"]])
    assert all(set(author) == {"name"} and author["name"] for author in citation["authors"])


def test_each_licence_is_stated_where_it_is_given():
    package = tomllib.loads(read("pyproject.toml"))["project"]
    assert package["license"] == yaml.safe_load(read("CITATION.cff"))["license"] == "MIT"
    assert read("LICENSE").startswith("MIT License")
    assert "(CC BY 4.0)" in read("LICENSE-text").splitlines()[0]
    assert re.search(
        r"MIT licence \(`LICENSE`\).*?CC BY 4\.0 \(`LICENSE-text`\)", read("README.md"), re.S
    )


def test_the_command_line_says_the_version():
    command = [sys.executable, "-m", "src.book", "--version"]
    said = subprocess.check_output(command, cwd=REPOSITORY, text=True)
    assert said.strip() == f"Papers That Run {declared_version()}"


@pytest.mark.parametrize(("version", "reference"), [("1.2.0", "v1.2.0"), ("1.3.0.dev0", "trunk")])
def test_notebooks_install_the_tag_of_a_release_and_else_the_branch(
    book_root, monkeypatch, version, reference
):
    (book_root / "_config.yml").write_text(CONFIG.replace("main", "trunk"))
    monkeypatch.setattr(repository, "version", lambda: version)
    assert repository.released_as() == reference


def test_what_notebooks_install_is_asked_for_where_they_find_it(tmp_path, monkeypatch):
    asked, answer = tmp_path / "asked", tmp_path / "answer"
    fake = tmp_path / "git"
    fake.write_text(f'#!/bin/sh\necho "$GIT_TERMINAL_PROMPT $@" > {asked}\n. {answer}\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    command = [sys.executable, REPOSITORY / ".ci/released"]
    for says, status, told in (
        ("echo abc refs; exit 0", 0, f"{repository.address()} has {repository.released_as()}"),
        ("exit 2", 1, "which the install cells name: push it"),
        ("echo 'could not read Username' >&2; exit 128", 1, "does not answer: could not read"),
    ):
        answer.write_text(says)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, told in done.stdout + done.stderr) == (status, True), done
    answer.write_text("exit 2")
    for version, wanted in (("1.2.0", "refs/tags/v1.2.0"), ("1.3.0.dev0", "refs/heads/main")):
        monkeypatch.setattr(repository, "version", lambda version=version: version)
        assert wanted in repository.unanswered()
        wanted = f"0 ls-remote --exit-code {repository.address()} {wanted}\n"
        assert asked.read_text() == wanted


def test_no_other_tracked_file_holds_the_address():
    owner_and_name = repository.address().split("/", 3)[3]
    command = ["git", "grep", "-lIF", owner_and_name]
    found = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if found.returncode > 1:
        pytest.skip(f"this is no clone: {found.stderr.strip()}")
    # The committed notebooks are written from it, and a gate compares them with it.
    files = [name for name in found.stdout.split() if not name.endswith(".ipynb")]
    assert files == ["_config.yml"]
    assert read("_config.yml").count(owner_and_name) == 1


def git(*arguments):
    """What git says of this clone; skips where this is none."""
    command = ["git", "-C", str(REPOSITORY), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this is no clone: {done.stderr.strip()}")
    return done.stdout


def test_git_gives_every_text_the_same_line_ends_and_leaves_the_rest_alone():
    # For each file: its line ends in the index and in the working tree, its attributes, its name.
    rows = [line.split("\t") for line in git("ls-files", "--eol").splitlines()]
    assert len(rows) > 300
    for about, name in rows:
        index, tree, attributes = about.split(maxsplit=2)
        if index == "i/-text":
            assert "attr/-text" in attributes, f"{name}: name its kind in .gitattributes"
        else:
            assert "attr/text=auto eol=lf" in attributes, name
            assert {index[2:], tree[2:]} <= {"lf", "none"}, f"{name}: {index} {tree}"


def test_configure_sets_the_address_and_keeps_the_rest(book_root, capsys):
    file = book_root / "_config.yml"
    file.write_text(CONFIG)
    assert main(["configure", "https://gitlab.com/new/book.git"]) == 0
    assert "the repository is https://gitlab.com/new/book" in capsys.readouterr().out
    assert file.read_text() == CONFIG.replace(
        "https://github.com/old/name", "https://gitlab.com/new/book"
    )
    assert repository.address() == "https://gitlab.com/new/book"


@pytest.mark.parametrize(
    "given",
    [
        "github.com/owner/name",
        "http://github.com/owner/name",
        "https://github.com/owner",
        "https://github.com/owner/name/tree/main",
        "git@github.com:owner/name.git",
        'https://github.com/owner/na"me',
        "https://github.com/owner/name\nx: 1",
    ],
)
def test_configure_refuses_what_is_no_address(book_root, given, capsys):
    (book_root / "_config.yml").write_text(CONFIG)
    assert main(["configure", given]) == 2
    assert "give it as https://host/owner/name" in capsys.readouterr().err
    assert (book_root / "_config.yml").read_text() == CONFIG


def test_configure_says_what_else_it_needs(book_root):
    with pytest.raises(BookError, match=r"has no line `url: \.\.\.` below `repository:`"):
        repository.set_address("https://github.com/owner/name")
    (book_root / "_config.yml").write_text(CONFIG)
    with pytest.raises(BookError, match=r"cannot link to code\.example\.org"):
        repository.set_address("https://code.example.org/owner/name")


def test_binder_is_built_from_the_same_pins():
    lines = [line for line in read("binder/requirements.txt").splitlines() if line[:1] != "#"]
    options = [line for line in lines if line.startswith("--extra-index-url ")]
    others = [line for line in lines if line not in options]
    assert others == ["-r ../requirements.txt", "-c ../constraints.txt"], "no pins of its own"
    wanted = re.search(r"version_info\[:2\] != \((\d+), (\d+)\)", read("Makefile"))
    assert read("binder/runtime.txt").strip() == "python-" + ".".join(wanted.groups())
    script = REPOSITORY / "binder/postBuild"
    assert script.stat().st_mode & 0o111, "Binder runs postBuild only if it may be executed"
    assert "--no-deps" in script.read_text() and "-e ." in script.read_text()
