"""How long a chapter takes to read, estimated from its source."""

import re

from src.book.storage import paths

# Words a minute of a text that has to be understood; an ordinary text is read a third faster.
_WORDS_A_MINUTE = 170
_WORDS_A_FORMULA = 15  # a displayed formula takes as long as so many words
_WORDS_A_LINE = 5  # a line of code that is shown
_CELL = re.compile(r"^# %%(.*)$", re.MULTILINE)
_DISPLAYED = re.compile(r"\$\$.*?\$\$", re.DOTALL)
_INLINE = re.compile(r"\$[^$]+\$")
_SOLUTION = re.compile(r"<details>.*?</details>", re.DOTALL)
_FOLDED = re.compile(r'"(hide-input|hide-cell|remove-input|remove-cell)"')


def reading_time(chapter: str) -> str:
    """Return a sentence such as "About 40 min to read.", or "" for a chapter without a source."""
    file = paths.chapters_dir() / f"{chapter}.py"
    if not file.exists():
        return ""
    return (
        f"About {reading_minutes(file.read_text(encoding='utf-8', errors='replace'))} min to read."
    )


def reading_minutes(source: str) -> int:
    """Return the minutes that a page takes to read, from its source in the percent format.

    The rule: 170 words of prose a minute, since the text is to be understood; a formula in the text
    counts as one word, a displayed one as fifteen, a line of code as five. Solutions and cells that
    are folded count nothing, nor does what a run prints. Under ten minutes the result is exact to
    the minute, then to five; it is never less than one.
    """
    # What precedes the first cell is the header; then each cell's mark is followed by its text.
    _, *pieces = _CELL.split(source)
    words = sum(_words(mark, body) for mark, body in zip(pieces[::2], pieces[1::2], strict=True))
    minutes = words / _WORDS_A_MINUTE
    return max(1, round(minutes)) if minutes < 9.5 else 5 * round(minutes / 5)


def _words(mark: str, body: str) -> int:
    """Return what one cell takes, as words of prose."""
    if "[markdown]" not in mark:
        shown = "" if _FOLDED.search(mark) else body
        return _WORDS_A_LINE * sum(bool(line.strip()) for line in shown.splitlines())
    prose = _SOLUTION.sub("", re.sub(r"^# ?", "", body, flags=re.MULTILINE))
    prose, formulas = _DISPLAYED.subn(" ", prose)
    prose = _INLINE.sub("x", prose)
    return len(re.findall(r"\w[^\s|]*", prose)) + _WORDS_A_FORMULA * formulas
