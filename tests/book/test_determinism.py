"""Two quick runs of a chapter on one machine leave the same bytes, figures and all."""

import pytest

from src.book import notebooks, paths, runner
from src.book.execute import execute

# Three chapters are enough to see that the machinery adds nothing; the references check the rest.
CHAPTERS = notebooks.chapters()[:3]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_two_quick_runs_agree_byte_by_byte(chapter, tmp_path):
    runner.run([chapter])
    again = execute(chapter, "quick", out=tmp_path)
    assert again.status == "ok", again.reason
    (second,) = tmp_path.rglob("*.ipynb")
    assert second.read_bytes() == paths.run_file(chapter, "quick").read_bytes()
