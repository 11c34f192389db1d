"""Fixtures: a toy book, rendered once, and the real book as `make site` renders it."""

import pytest

from src.book.execution import runner
from src.book.site import build as site
from tests.site.fake_book import make_book, run_result


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The folder of a toy book of its own, not rendered."""
    monkeypatch.setenv("BOOK_ROOT", str(tmp_path / "book"))
    monkeypatch.delenv("BOOK_BUILD", raising=False)
    return make_book(tmp_path / "book")


@pytest.fixture(scope="session")
def rendered_root(tmp_path_factory):
    """The folder of a toy book that was run and rendered once."""
    root = make_book(tmp_path_factory.mktemp("toy") / "book")
    run_result(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOOK_ROOT", str(root))
        patch.delenv("BOOK_BUILD", raising=False)
        assert site.build().rendered
    return root


@pytest.fixture
def rendered(rendered_root, monkeypatch):
    """The rendered toy book, as the current one."""
    monkeypatch.setenv("BOOK_ROOT", str(rendered_root))
    monkeypatch.delenv("BOOK_BUILD", raising=False)
    return rendered_root


@pytest.fixture(scope="session")
def real_site():
    """The site of the real book, run and rendered if it is out of date."""
    runner.run()
    return site.build().folder
