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
    if words[0] == "twin":
        return ScheduleTwin(named_process(" ".join(["fvp", *words[1:]])))
    if name in plain:
        return plain[name]()
    if len(words) not in (3, 4) or words[0] not in bases:
        raise ValueError(
            f"unknown process {name!r}; valid: {', '.join(plain)}, or 'fvp 0.9 2'"
        )
    jitter_when = words[3] if len(words) == 4 else "start"
    return FractionalProcess(
        bases[words[0]](), float(words[1]), int(words[2]), jitter_when=jitter_when
    )
