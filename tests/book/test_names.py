"""Names are never commands: not for the shell, not for make, not as options, not as places."""

import shutil
import subprocess

import pytest

from src.book.__main__ import main
from src.book.acceptance import gates
from src.book.authoring.scaffold import new
from src.book.notebook import chapters
from src.book.storage import paths
from src.book.storage.errors import BookError
from tests.book.test_setup import make, script
from tests.conftest import REPOSITORY

HOSTILE = ["a; touch x", "a$(touch x)", "`touch x`", "../x", "a b", "-x", "a\nb", "ä", "a\x00b", ""]
AS_FILES = [name for name in HOSTILE if "/" not in name and "\0" not in name and name]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "command",
    [
        ["run", "--"],
        ["run-one", "--"],
        ["accept", "--"],
        ["check", "--"],
        ["results", "--profile", "cpu", "--"],
        ["book", "--"],
    ],
    ids=lambda command: command[0],
)
def test_every_command_refuses_it(toys, command, name, capsys):
    toys.chapter("foundations/one")
    for chapter in (name, f"foundations/{name}", f"{name}/one"):
        assert main([*command, chapter]) == 2
        said = capsys.readouterr().err
        assert f"unknown chapter {chapter!r}; valid: foundations/one" in said


@pytest.mark.parametrize("name", HOSTILE)
def test_no_chapter_is_begun_under_it(book_root, name):
    shutil.copy(REPOSITORY / "chapters/TEMPLATE.py", book_root / "chapters")
    before = sorted(book_root.rglob("*"))
    for given in ((name, "good"), ("gnn", name), *([("gnn", "good", name)] if name else [])):
        with pytest.raises(BookError, match=r"unknown part|use lower-case words"):
            new(*given)
    assert sorted(book_root.rglob("*")) == before


@pytest.mark.parametrize("name", AS_FILES)
def test_a_file_of_such_a_name_is_reported_and_not_run(toys, name, capsys):
    toys.chapter("foundations/one")
    good = toys.root / "chapters/foundations/one.py"
    for place in (good.with_name(f"{name}.py"), toys.root / f"chapters/{name}/two.py"):
        place.parent.mkdir(exist_ok=True)
        shutil.copy(good, place)
        asked = str(place.relative_to(toys.root))
        assert asked in chapters.misnamed()
        found = [str(problem) for problem in gates.check() if repr(asked) in str(problem)]
        assert found == [f"{asked!r}: {chapters.MISNAMED}"]
    assert [c.name for c in chapters.select()] == ["foundations/one"]


def test_make_book_names_it_runs_the_others_and_fails(toys, capsys):
    toys.chapter("foundations/one")
    good = toys.root / "chapters/foundations/one.py"
    shutil.copy(good, good.with_name("a; touch x.py"))
    assert main(["run"]) == 1
    said = capsys.readouterr()
    assert "error: 'chapters/foundations/a; touch x.py' is no chapter and is not run" in said.err
    assert "1 ok" in said.out
    assert [f.stem for f in (paths.build_dir() / "runs/quick/foundations").glob("*.ipynb")] == [
        "one"
    ]
    good.with_name("a; touch x.py").unlink()
    assert main(["run"]) == 0


@pytest.fixture
def tree(tmp_path):
    """A ready tree whose interpreter only writes down what it is given, a line an argument."""
    for name in ("Makefile", "requirements.txt", "constraints.txt", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, tmp_path)
    script(tmp_path / ".venv/bin/python", 'for a in "$@"; do echo "<$a>"; done')
    (tmp_path / "x.py").touch()  # something for a pattern to find
    command = "cat requirements.txt constraints.txt pyproject.toml | cksum | tr ' ' -"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    stamp = done.stdout.strip()
    (tmp_path / f".venv/.ready-{stamp}").touch()
    return tmp_path


ATTACKS = [
    "a; touch hit",
    "a$(touch hit)",
    "$(shell touch hit)",
    "`touch hit`",
    '"; touch hit; "',
    "'; touch hit; '",
    "a\ntouch hit",
    "a | touch hit",
    "a > hit",
    "* x.??",
    "--jobs -x",
    "$(error stopped)",
]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("where", ["argument", "environment"])
def test_make_hands_on_what_it_is_given_as_it_is(tree, monkeypatch, attack, where):
    def told(target, **given):
        if where == "argument":
            done = make(tree, target, *(f"{name}={value}" for name, value in given.items()))
        else:
            with monkeypatch.context() as patch:
                for name, value in given.items():
                    patch.setenv(name, value)
                done = make(tree, target)
        assert done.returncode == 0, done.stderr
        assert not (tree / "hit").exists(), f"make {target}"
        assert done.stdout.startswith("<-m>\n<src.book>\n")
        return done.stdout.removeprefix("<-m>\n<src.book>\n")

    # Several chapters may be given, with blanks between them.
    words = "".join(f"<{word}>\n" for word in attack.split())
    assert told("accept", CHAPTER=attack) == f"<accept>\n<-->\n{words}"
    results = told("results", CHAPTER=attack, PROFILE=attack)
    assert results == f"<results>\n<--profile={attack}>\n<-->\n{words}"
    begun = told("new", PART=attack, CHAPTER=attack, PAPER=attack)
    assert begun == f"<new>\n<-->\n<{attack}>\n<{attack}>\n<{attack}>\n"
    assert told("configure", REPOSITORY=attack) == f"<configure>\n<-->\n<{attack}>\n"


def test_make_still_takes_nothing_one_and_several(tree):
    def told(*arguments):
        return make(tree, *arguments).stdout.split()[2:]

    assert told("accept") == ["<accept>", "<-->"]
    assert told("accept", "CHAPTER=gnn/a gnn/b") == ["<accept>", "<-->", "<gnn/a>", "<gnn/b>"]
    assert told("results") == ["<results>", "<--profile=cpu>", "<-->"]
    assert told("new", "PART=gnn", "CHAPTER=a") == ["<new>", "<-->", "<gnn>", "<a>"]
    assert told("configure") == ["<configure>", "<-->"]


def test_the_books_own_variables_name_folders(book_root, monkeypatch):
    odd = str(book_root / "$(touch hit); touch hit")
    for name, where in (
        ("BOOK_BUILD", paths.build_dir),
        ("BOOK_CACHE", paths.cache_dir),
        ("BOOK_ROOT", paths.root),
    ):
        monkeypatch.setenv(name, odd)
        assert str(where()) == odd
