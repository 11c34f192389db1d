"""The declared range of the libraries: its lower ends are those that are tried, the pins fit it."""

import re
import tomllib

from packaging.requirements import Requirement

from tests.conftest import REPOSITORY

TORCH = ("torch", "sympy")  # torch has jobs of its own, and asks for its own sympy


def listed(name):
    """The requirements of a file by lower-case name."""
    lines = (REPOSITORY / name).read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {requirement.name.lower(): requirement for requirement in found}


def declared():
    content = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    found = [Requirement(text) for text in content["project"]["dependencies"]]
    return {requirement.name.lower(): requirement for requirement in found}


def pin(requirement):
    """The version of a requirement `name==version`."""
    (part,) = requirement.specifier
    assert part.operator == "==", requirement
    return part.version


def test_the_lowest_versions_that_are_tried_are_the_lower_ends_of_the_ranges():
    lowest = listed("constraints-lowest.txt")
    for name, requirement in declared().items():
        (part,) = requirement.specifier
        assert part.operator == ">=", requirement
        if name not in TORCH:
            assert lowest[name].specifier.contains(part.version), requirement
            assert re.fullmatch(rf"{re.escape(part.version)}(\.0)*", pin(lowest[name])), name


def test_the_pins_of_the_book_lie_in_the_ranges():
    pins, lowest = listed("requirements.txt"), listed("constraints-lowest.txt")
    for name, requirement in declared().items():
        assert requirement.specifier.contains(pin(pins[name])), name
    assert set(lowest) <= set(pins), "a constraint on something that nothing asks for directly"
    assert lowest["jupyter-book"].specifier.contains(pin(pins["jupyter-book"]))


def test_the_workflow_tries_the_lower_end_of_torch_and_the_pinned_one():
    text = (REPOSITORY / ".github/workflows/range.yml").read_text(encoding="utf-8")
    (part,) = declared()["torch"].specifier
    assert (
        f'"=={part.version}.0"' in text
        and f'"=={pin(listed("requirements.txt")["torch"])}"' in text
    )


def test_contributing_says_what_was_tried():
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w-]+)` \| ([\d.]+) \|", text, re.M))
    assert set(declared()) <= set(rows)
    tried = {
        name: pin(r) for name, r in listed("constraints-lowest.txt").items() if "<" not in str(r)
    }
    assert {name: version for name, version in rows.items() if name not in TORCH} == tried
