"""The limits that a chapter declares for itself, where its profile's are not enough.

They stand in the header of its source, below `jupyter:`

    #   limits:
    #     cpu: {memory_gib: 16, limit_s: 28800}
"""

import re

from src.book import paths
from src.book.errors import BookError, choose
from src.book.files import read_text

# For each limit: whether it is a whole number, and the least that makes sense.
_VALID = {
    "threads": (True, 1),
    "budget_s": (False, 1),
    "limit_s": (False, 1),
    "memory_gib": (False, 0.1),
    "gpus": (True, 0),
}
_HEADER = re.compile(r"# ---\n((?:#.*\n)*?)# ---\n")


def own_limits(chapter: str, profile: str, profiles: list[str]) -> dict[str, float]:
    """Return what a chapter's header says of its limits in a profile; {} for most chapters.

    Args:
        chapter: such as "foundations/transformer".
        profile: one of the profiles.
        profiles: those that there are.

    Raises:
        BookError: if the header names what does not exist, or a value that cannot be.
    """
    file = paths.chapters_dir() / f"{chapter}.py"
    header = _HEADER.match(read_text(file)) if file.exists() else None
    if header is None or "limits:" not in header.group(1):
        return {}
    declared = _read(chapter, header.group(1))
    for name in declared:
        choose(f"profile in the limits of {chapter}", name, profiles)
    own = declared.get(profile, {})
    if not isinstance(own, dict):
        raise BookError(f"{chapter}: its limits must read `{profile}: {{memory_gib: 16}}`")
    for name, value in own.items():
        whole, least = _VALID[choose(f"limit of {chapter}", name, list(_VALID))]
        if type(value) not in ((int,) if whole else (int, float)) or not value >= least:
            kind = f"a {'whole ' if whole else ''}number of at least {least}"
            raise BookError(f"{chapter}: its limit {name} must be {kind}, not {value!r}")
    return own


def _read(chapter: str, header: str) -> dict:
    """Return the limits in a header, which is YAML behind comment signs."""
    import yaml

    try:
        declared = yaml.safe_load(re.sub(r"(?m)^# ?", "", header))["jupyter"].get("limits", {})
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        said = str(error).split("\n")[0]
        raise BookError(f"{chapter}: the limits in its header cannot be read: {said}") from None
    if not isinstance(declared, dict):
        raise BookError(f"{chapter}: its limits must name profiles: `cpu: {{memory_gib: 16}}`")
    return declared
