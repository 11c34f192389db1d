"""The second name of the package: the same modules, as Python's own tools see them."""

import importlib
import pickle
from importlib.util import find_spec

import pytest

import src
from tests.conftest import REPOSITORY
from tests.papers_that_run.outside import run

NAME = "gnn.framelets.transform"


def both(name):
    theirs = importlib.import_module(f"papers_that_run.{name}")
    return theirs, importlib.import_module(f"src.{name}")


@pytest.mark.parametrize("name", ["gnn", "gnn.framelets", NAME, "book", "common.images.operators"])
def test_a_module_is_the_same_under_both_names(name):
    one, other = both(name)
    assert one is other
    assert one.__name__ == one.__spec__.name == f"src.{name}"
    assert find_spec(f"papers_that_run.{name}").name == f"src.{name}"


@pytest.mark.parametrize("first", ["src", "papers_that_run"])
def test_either_name_may_come_first_and_a_module_runs_once(tmp_path, first):
    second = {"src": "papers_that_run", "papers_that_run": "src"}[first]
    code = f"""
        from {first}.{NAME} import FrameletTransform as one
        from {second}.{NAME} import FrameletTransform as other
        import papers_that_run, src
        assert one is other
        assert papers_that_run.gnn.framelets.transform is src.gnn.framelets.transform
        assert papers_that_run.gnn is src.gnn
    """
    done = run(tmp_path, "\n".join(line.strip() for line in code.splitlines()))
    assert done.returncode == 0, done.stderr


def test_the_alias_alone_loads_no_library_and_no_part(tmp_path):
    code = (
        "import sys, papers_that_run\n"
        "print([m for m in ('torch', 'numpy', 'src.gnn', 'src.book') if m in sys.modules])"
    )
    assert run(tmp_path, code).stdout == "[]\n"


def test_public_names_come_from_the_book():
    from papers_that_run import book
    from papers_that_run.book import start

    assert start is src.book.start is book.start


def test_reloading_runs_a_module_again_in_place(tmp_path):
    code = (
        "import importlib, papers_that_run, sys\n"
        "import papers_that_run.gnn.framelets.filter_banks as module\n"
        "before = module.filter_bank\n"
        "assert importlib.reload(module) is module and module.filter_bank is not before\n"
        "assert importlib.reload(papers_that_run) is papers_that_run\n"
        "finders = [type(f).__module__ for f in sys.meta_path]\n"
        "assert finders.count('papers_that_run') == 1\n"
        "import papers_that_run.gnn.framelets.pooling, src\n"
        "assert papers_that_run.gnn.framelets.pooling is src.gnn.framelets.pooling"
    )
    done = run(tmp_path, code)
    assert done.returncode == 0, done.stderr


def test_pickles_hold_the_name_of_the_book():
    from papers_that_run.gnn.framelets.convolution import Shrinkage

    kept = pickle.dumps(Shrinkage(0.5))
    assert b"src.gnn.framelets.convolution" in kept and b"papers_that_run" not in kept
    assert pickle.loads(kept) == Shrinkage(0.5)  # noqa: S301


@pytest.mark.parametrize(
    "name", ["nothing", "gnn.nothing", "gnn.framelets.nothing", "gnn/framelets"]
)
def test_what_the_book_does_not_have_is_named_as_it_was_asked_for(name):
    asked = f"papers_that_run.{name}"
    with pytest.raises(ModuleNotFoundError, match=f"No module named '{asked}'") as caught:
        importlib.import_module(asked)
    assert caught.value.name == asked
    assert find_spec("papers_that_run.nothing") is None


def test_a_library_that_is_missing_is_named(tmp_path):
    code = (
        "import sys\nsys.modules['torch'] = None\nimport papers_that_run.gnn.framelets.transform\n"
    )
    assert "import of torch halted" in run(tmp_path, code).stderr


@pytest.mark.parametrize("module", ["papers_that_run", "papers_that_run.book"])
def test_the_command_line_runs_in_any_folder(tmp_path, module):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/__init__.py").touch()
    done = run(tmp_path, "", "-m", module, "--version")
    assert done.stdout.startswith("Papers That Run "), done.stderr


def test_what_the_command_line_starts_takes_the_books_src(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/__init__.py").touch()
    code = (
        "import subprocess, sys\nfrom papers_that_run import __main__ as cli\n"
        "from papers_that_run.book import __main__ as book\n"
        "command = [sys.executable, '-c', 'import src.book; print(src.__file__)']\n"
        "book.main = lambda name: subprocess.run(command, check=True)\ncli.main()"
    )
    assert run(tmp_path, code).stdout == f"{REPOSITORY}/src/__init__.py\n"


def test_the_command_line_calls_itself_by_its_name(tmp_path):
    done = run(tmp_path, "", "-m", "papers_that_run", "--help")
    assert done.stdout.startswith("Usage: papers-that-run [OPTIONS]")


def test_where_the_methods_are_installed_alone_the_command_line_says_so(tmp_path):
    code = (
        "import sys\nfrom papers_that_run import __main__ as cli\n"
        "cli.find_spec = lambda name: None\nsys.exit(cli.main())"
    )
    done = run(tmp_path, code)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the command line runs in the book's own environment")
