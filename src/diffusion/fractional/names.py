"""Short names for processes: experiments take their settings as text and numbers."""

from functools import lru_cache

from src.common.diffusion.processes import LinearVP, Process, SubVP, VarianceExploding
from src.diffusion.fractional.process import FractionalProcess
from src.diffusion.fractional.schedule_twin import ScheduleTwin


@lru_cache
def named_process(name: str) -> Process:
    """Return the process that a short name stands for.

    "vp", "ve" and "sub-vp" are ordinary processes. "fvp H K" and "fve H K", such as
    "fvp 0.9 2", are fractional ones; a further word, "always" or "start", says when the
    jitter is added. "twin 0.9 2" is the `ScheduleTwin` of "fvp 0.9 2".

    Args:
        name: one of these.

    Raises:
        ValueError: for any other name.

    Examples:
        >>> process = named_process("fvp 0.9 2")
        >>> process.hurst, process.count
        (0.9, 2)
    """
    plain = {"vp": LinearVP, "ve": VarianceExploding, "sub-vp": SubVP}
    bases = {"fvp": LinearVP, "fve": VarianceExploding}
    words = name.split()
    if words[:1] == ["twin"]:
        return ScheduleTwin(named_process(" ".join(["fvp", *words[1:]])))
    if name in plain:
        return plain[name]()
    try:
        kind, hurst, count, *rest = words
        base, hurst, count = bases[kind](), float(hurst), int(count)
        (jitter_when,) = rest or ["start"]
    except (KeyError, ValueError):
        valid = f"{', '.join(plain)}, 'fvp 0.9 2', 'fve 0.9 2' or 'twin 0.9 2'"
        raise ValueError(f"unknown process {name!r}; valid: {valid}") from None
    return FractionalProcess(base, hurst, count, jitter_when=jitter_when)
