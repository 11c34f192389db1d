"""How slow the machine is while a chapter runs: budgets of time are stated for another one.

A piece of work that is always the same is timed after each cell, while the kernel waits. Its time
says how much slower the processor is than the one that budgets are stated for, or how much of it
other programs take: of shared processors, processor time too grows with the load.
"""

import hashlib
import time

REFERENCE_S = 0.008
"""Processor time of the work on the machine that budgets are stated for (2 cores, idle)."""
_TEXT = bytes(2_000_000)


class Slowness:
    """The time of the work relative to `REFERENCE_S`, averaged over a run.

    Cells that ran long count more: what the machine was like then matters.
    """

    def __init__(self) -> None:
        self._weighted = self._weights = 0.0

    def sample(self, seconds: float) -> None:
        """Time the work once, after a cell that ran for so many seconds."""
        weight = seconds + 0.01
        self._weighted += weight * _work()
        self._weights += weight

    @property
    def value(self) -> float:
        """The average; 1 before the first sample."""
        if not self._weights:
            return 1.0
        return round(self._weighted / self._weights / REFERENCE_S, 2)


def _work() -> float:
    """Return the processor time of some arithmetic and of a pass over memory."""
    began = time.process_time()
    total = 0.0
    for k in range(60_000):
        total += (k * 0.5 + 1.0) ** 0.5
    hashlib.sha256(_TEXT).digest()
    return time.process_time() - began
