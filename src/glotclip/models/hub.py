"""From what a user wrote to a folder of weights: a path, a built-in name, or a model id of the Hugging Face Hub."""

from __future__ import annotations

import re
from pathlib import Path

from glotclip.errors import CheckpointError, did_you_mean, nearest
from glotclip.models.built_in import BUILT_IN, PHOTO_BASES

_ID = r"[A-Za-z0-9][\w.-]*/[\w.-]+"
# Weights in either form, configurations and tokenizers; no ONNX, Flax or TensorFlow copies of the same weights.
PATTERNS = ["*.json", "*.txt", "*.safetensors", "pytorch_model*.bin", "open_clip_pytorch_model.bin", "*.gz"]


def is_name(source: str) -> bool:
    """Whether a source is found on any machine: a built-in name, or an id of the hub."""
    return source in BUILT_IN or re.fullmatch(_ID, source) is not None


def locate(name_or_path: str | Path) -> Path:
    """Return the local folder or file that ``name_or_path`` means, fetching it from the hub if need be.

    Raises:
        CheckpointError: nothing is there, or the hub cannot be reached; the message says which was looked for.
    """
    name = str(name_or_path)
    path = Path(name).expanduser()
    if path.exists():
        return path
    if name in BUILT_IN:
        if (BUILT_IN[name] / "glotclip.json").exists():
            if name not in PHOTO_BASES:
                return BUILT_IN[name]
            from glotclip.models.photo_bases import folder_of

            return folder_of(name)
        raise CheckpointError(
            f"the built-in base {name!r} is not part of this installation ({BUILT_IN[name]} is missing)",
            hint="install glotclip again, or make it with its recipe (see docs/)",
        )
    if not isinstance(name_or_path, Path) and re.fullmatch(_ID, name):
        return _fetch(name)
    built_in = did_you_mean(name, BUILT_IN) or f"built in: {', '.join(BUILT_IN)}. "
    raise CheckpointError(
        f"there is no folder or file {name!r}{_similar(path)}",
        hint=f"{built_in}A model of the hub is written owner/name, e.g. openai/clip-vit-base-patch32",
    )


def _similar(path: Path) -> str:
    """Name what in the same folder is spelt alike."""
    folder = path.parent
    close = nearest(path.name, (entry.name for entry in folder.iterdir())) if folder.is_dir() else None
    return f"; {folder / close} is spelt like it" if close else ""


def _fetch(name: str) -> Path:
    """Fetch a model of the hub into its cache, or return what the cache has."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    local = f"there is no folder {name!r} here{_similar(Path(name))}, and "
    # The library's HTTP client changed over its versions; its errors' base class is that client's.
    transport: tuple[type[BaseException], ...] = (OSError, *HfHubHTTPError.__bases__)
    try:
        folder = Path(snapshot_download(name, allow_patterns=PATTERNS))
    except GatedRepoError as error:
        raise CheckpointError(
            f"{local}the hub's {name} wants its terms accepted first",
            hint=f"accept them at huggingface.co/{name} and log in with `hf auth login`",
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise CheckpointError(
            f"{local}the hub has no public model {name!r}", hint="check the spelling of the path or of the id"
        ) from error
    except LocalEntryNotFoundError as error:
        raise CheckpointError(
            f"{local}the hub cannot be reached for the model {name!r}, which is not in the local cache",
            hint="check the path, or the network (HF_HUB_OFFLINE=1 forbids it); or pass a folder fetched elsewhere",
        ) from error
    except transport as error:
        raise CheckpointError(
            f"{local}fetching the model {name!r} from the hub failed: {error}",
            hint="check the network and the free disk space, and try again: what is complete is kept",
        ) from error
    return folder
