"""The examples of the page "Use a method in your own code", beside a package `src` of another's."""

import re

import pytest

from tests.conftest import REPOSITORY
from tests.papers_that_run.outside import run

PAGE = (REPOSITORY / "pages/use_a_method.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(
    r"^### (.+?)$.*?^```python\n(.+?)^```\n+```text\n(.+?)^```", PAGE, re.M | re.S
)


def test_every_example_is_found_and_short():
    assert PAGE.count("```text\n") == len(EXAMPLES) == 3
    for _, code, _ in EXAMPLES:
        lines = [line for line in code.splitlines() if line]
        assert len(lines) <= 15
        assert max(map(len, lines)) <= 88, "a page shows no more without scrolling"
        assert "src" not in code


@pytest.mark.parametrize(("code", "said"), [e[1:] for e in EXAMPLES], ids=[e[0] for e in EXAMPLES])
def test_an_example_prints_what_the_page_says(tmp_path, code, said):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/__init__.py").write_text("mine = True\n")
    done = run(tmp_path, f"{code}\nimport src\nassert src.mine")
    assert (done.stdout, done.returncode) == (said, 0), done.stderr


def test_the_page_names_what_is_true_of_both_names(tmp_path):
    [ours, theirs] = re.findall(r"^\| `(from .+?)` \|", PAGE, re.M)
    code = f"{ours}\nA = FrameletTransform\n{theirs}\nassert A is FrameletTransform"
    done = run(tmp_path, code)
    assert done.returncode == 0, done.stderr
