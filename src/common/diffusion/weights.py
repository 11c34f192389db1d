"""Weights of networks as text, and a record of the process that they were trained for.

A network sees of a process only how noisy its images are (see
`src.common.diffusion.denoising`). A few noise levels are therefore a record of the
process: networks may serve any process with the same levels, and no other.
"""

import base64

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from src.common.diffusion.condition import RECORDED, Condition
from src.common.diffusion.process import Process

TIMES = torch.linspace(0, 1, RECORDED + 1, dtype=torch.float64)[1:]
TOLERANCE = 5e-3  # half precision, in which weights are kept, rounds by less


def noise_levels(process: Process) -> Tensor:
    """Return log(std / mean) / 4 of a process at `TIMES`, as its networks are told.

    Args:
        process: the forward process.
    """
    pairs = [(process.std(t), process.mean(t)) for t in TIMES]
    return torch.stack([(std / mean).log() / 4 for std, mean in pairs])


def record_process(network: nn.Module, process: Process) -> None:
    """Note in a network that it is trained for a process.

    Args:
        network: one of `src.common.diffusion.networks`; others keep no record.
        process: the forward process.
    """
    for part in network.modules():
        if isinstance(part, Condition):
            part.trained_levels.copy_(noise_levels(process))


def check_process(network: nn.Module, process: Process) -> None:
    """Refuse a process that a network was not trained for.

    Networks without a record pass: untrained ones, those of other classes, and weights
    that were kept before records were.

    Args:
        network: any.
        process: that the network is to be used with.

    Raises:
        ValueError: if the record is of another process.
    """
    levels = noise_levels(process)
    for part in network.modules():
        if isinstance(part, Condition) and bool(part.trained_levels.isfinite().all()):
            recorded = part.trained_levels.detach().cpu().double()
            if bool(((recorded - levels).abs() > TOLERANCE).any()):
                raise ValueError(
                    "the network was trained for a process with the noise levels "
                    f"{_text(recorded)}, not for {process}, which has {_text(levels)}: "
                    "take that process, or other weights"
                )


def _text(levels: Tensor) -> str:
    return ", ".join(f"{level:.2f}" for level in levels.tolist())


def pack_weights(network: nn.Module) -> str:
    """Return the network's weights in half precision as text that fits into JSON.

    Args:
        network: on any device.
    """
    half = {
        name: value.half().cpu().contiguous()
        for name, value in network.state_dict().items()
    }
    return base64.b64encode(save(half)).decode()


def unpack_weights(text: str) -> dict[str, Tensor]:
    """Return the weights that `pack_weights` wrote, in single precision, by name.

    Args:
        text: from `pack_weights`.
    """
    return {
        name: value.float()
        for name, value in sorted(load(base64.b64decode(text)).items())
    }


def load_packed(network: nn.Module, text: str) -> None:
    """Put packed weights into a network built alike, and set it to evaluation mode.

    Args:
        network: on any device.
        text: from `pack_weights`.

    Raises:
        RuntimeError: if the text holds other weights than the network has.
    """
    network.load_state_dict(unpack_weights(text))
    network.eval()
