"""The machine that a run measures on: how much memory it has, and how much of it a run took."""

import contextlib
import os
import subprocess
import sys

from src.book.storage import events

_GIB = 2**30
_MIB = 2**20


def memory_gib() -> float | None:
    """Return the machine's memory in GiB, or None where the system does not say."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB, 1)
    except (AttributeError, OSError, ValueError):  # not a system of the Unix family
        return None


def gpu() -> dict[str, object]:
    """Return the CUDA device's name, memory in GiB, CUDA version and driver; {} without one."""
    torch = torch_with_cuda()
    if torch is None:
        return {}
    about = torch.cuda.get_device_properties(torch.cuda.current_device())
    return {
        "name": about.name,
        "memory_gib": round(about.total_memory / _GIB, 1),
        "cuda": torch.version.cuda,
        "driver": _driver(),
    }


def peaks() -> dict[str, float]:
    """Return the largest memory that this process has used so far, in MiB.

    Returns:
        {"peak_mb": resident memory} and, where there is a CUDA device, "gpu_peak_mb": what torch
        allocated on it. Empty where the system does not say.
    """
    found = {}
    with contextlib.suppress(ImportError):  # not a system of the Unix family
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found["peak_mb"] = round(used * unit / _MIB, 2)
    if torch := torch_with_cuda():
        found["gpu_peak_mb"] = round(torch.cuda.max_memory_allocated() / _MIB, 2)
    return found


def watch_gpu() -> None:
    """Tell the executor after each cell what the GPU's peak is; outside of a notebook, nothing."""
    with contextlib.suppress(ImportError):
        from IPython import get_ipython

        if shell := get_ipython():
            shell.events.register("post_run_cell", lambda *_: events.emit("memory", **peaks()))


def torch_with_cuda() -> object | None:
    """Return torch if it has been imported and finds a CUDA device."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and torch.cuda.is_available() else None


def _driver() -> str | None:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.split("\n")[0].strip() or None
