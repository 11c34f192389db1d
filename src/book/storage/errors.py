"""The error for things a person can put right."""


class BookError(Exception):
    """Something is wrong with the input; the message says what, where, and what to do.

    The command line prints it without a traceback.
    """


def choose(kind: str, value: object, valid: list[str]) -> str:
    """Return `value` if it is one of `valid`.

    Raises:
        BookError: naming the value, its kind and every valid choice.
    """
    if value not in valid:
        choices = ", ".join(valid) or "(none yet)"
        raise BookError(f"unknown {kind} {value!r}; valid: {choices}")
    return str(value)
