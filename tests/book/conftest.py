"""Fixtures for the tests of the execution machinery."""

import pytest

from tests.book.toy_book import ToyBook


@pytest.fixture
def toys(book_root):
    """A toy book in a temporary root."""
    return ToyBook(book_root)
