"""One look at the files: what is asked of them many times in one plan is answered once.

Deciding which of many chapters are out of date asks the same of the shared modules and of the
catalogue for every chapter. Outside `one_look()` every question goes to the disk, so that a
long-lived process always sees what is edited.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TypeVar

_answers: ContextVar[dict | None] = ContextVar("answers", default=None)
_Function = TypeVar("_Function", bound=Callable)


@contextlib.contextmanager
def one_look() -> Iterator[None]:
    """Answer, while the context lasts, each question marked by `once` from one look at the disk.

    Within another look it is the same one.
    """
    answers = _answers.get()
    token = _answers.set({} if answers is None else answers)
    try:
        yield
    finally:
        _answers.reset(token)


def once(function: _Function) -> _Function:
    """Mark a function of hashable arguments that reads files; its result must not be changed."""

    @functools.wraps(function)
    def asked(*arguments: object) -> object:
        answers = _answers.get()
        if answers is None:
            return function(*arguments)
        key = (function, arguments)
        if key not in answers:
            answers[key] = function(*arguments)
        return answers[key]

    return asked
