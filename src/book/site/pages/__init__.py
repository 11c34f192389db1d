"""The parts of the book that are made from `data/`: boxes, tables and lists, as HTML.

Each function takes the `link` of the page that it is for and returns a list of sections. Sphinx
only sees the result (`src.book.site.extension`), so everything here can be tested without it.
"""

from collections.abc import Callable

from src.book.site.pages.catalogue import bibliography, catalogue
from src.book.site.pages.gallery import gallery
from src.book.site.pages.markup import Link, Section
from src.book.site.pages.run_times import execution, many_chapters, resources, run_times
from src.book.site.pages.scoreboard import scoreboard, scoreboard_summary

# The directives that a page may hold: ```{scoreboard}```, ...
DIRECTIVES: dict[str, Callable[[Link], list[Section]]] = {
    "scoreboard": scoreboard,
    "scoreboard-summary": scoreboard_summary,
    "gallery": gallery,
    "catalogue": catalogue,
    "bibliography-of-papers": bibliography,
    "run-times": run_times,
    "run-resources": resources,
    "execution-benchmark": execution,
    "many-chapters-benchmark": many_chapters,
}
