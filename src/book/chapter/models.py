"""Small weights that a chapter's larger runs produce and its quick run loads."""

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING

from src.book.storage import events, paths
from src.book.storage.errors import BookError, choose
from src.book.storage.files import read_text, write_atomically

if TYPE_CHECKING:
    from torch import Tensor

    from src.book.chapter.context import Run

LARGEST_BYTES = 1_000_000


def weights(
    run: "Run", name: str, networks: dict[str, dict[str, "Tensor"]], about: dict[str, object]
) -> dict[str, dict[str, "Tensor"]]:
    """Keep the weights of networks in `data/models`, or give back what a larger run kept.

    Args:
        run: the chapter's run.
        name: of the file: `data/models/<chapter>/<name>.safetensors`, with a `.json` beside it.
        networks: state dictionaries by a name of their own (such as the seed); empty if this
            profile trains none.
        about: recipe, seeds, data: what somebody needs to make the weights again.

    Returns:
        The networks as they were read back: kept in half precision, returned in single precision.

    Raises:
        BookError: if the file would be larger than a megabyte, is absent, or is not what its
            `.json` says.
    """
    from safetensors.torch import load, save

    folder = paths.new_models_dir(run.chapter) if networks else paths.models_dir(run.chapter)
    file = folder / f"{name}.safetensors"
    if networks:
        flat = {
            f"{key}/{part}": value.half().contiguous().cpu()
            for key, state in networks.items()
            for part, value in state.items()
        }
        content = save(flat)
        if len(content) > LARGEST_BYTES:
            raise BookError(f"model {name} has {len(content)} bytes; at most {LARGEST_BYTES}")
        write_atomically(file, content)
        note = {
            **about,
            "chapter": run.chapter,
            "ledger": f"data/results/{run.profile}/{run.chapter}.json",
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        write_atomically(file.with_suffix(".json"), json.dumps(note, indent=1) + "\n")
    elif not file.exists():
        choose("model", name, sorted(f.stem for f in folder.glob("*.safetensors")))
    content = file.read_bytes()
    digest, described = hashlib.sha256(content).hexdigest(), ""
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        described = json.loads(read_text(file.with_suffix(".json")))["sha256"]
    if digest != described:
        raise BookError(f"{file.name} is not the file that {name}.json describes; restore both")
    events.emit("model", name=name, sha256=digest)
    found: dict[str, dict[str, Tensor]] = {}
    for key, value in sorted(load(content).items()):  # safetensors gives them in random order
        network, part = key.split("/", 1)
        found.setdefault(network, {})[part] = value.float()
    return found
