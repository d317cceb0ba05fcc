"""Opening files of weights: safetensors, and pickles only where nothing in them can run."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from glotclip import storage
from glotclip.errors import CheckpointError, DataError


def read_folder(folder: Path, stem: str) -> dict[str, torch.Tensor]:
    """Read ``stem.safetensors``, its sharded form, or ``pytorch_model.bin`` and its sharded form.

    Args:
        folder: of the checkpoint.
        stem: ``model`` for Hugging Face, ``open_clip_model`` for open_clip.

    Raises:
        CheckpointError: no weights there, or unreadable ones.
    """
    pickled = "pytorch_model" if stem == "model" else "open_clip_pytorch_model"
    for name in (f"{stem}.safetensors", f"{pickled}.bin"):
        if (folder / name).exists():
            return read_file(folder / name)
        index = folder / f"{name}.index.json"
        if index.exists():
            return _read_shards(folder, index)
    raise _no_weights(folder, f"{stem}.safetensors or {pickled}.bin")


def _no_weights(folder: Path, wanted: str) -> CheckpointError:
    """The error for a folder without weights that can be read; it names those of other forms."""
    endings = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".onnx", ".h5", ".msgpack", ".ckpt")
    others = sorted(file.name for file in folder.iterdir() if file.name.endswith(endings))
    if others:
        return CheckpointError(
            f"{folder} holds no weights that can be read ({wanted}); it has {', '.join(others[:4])}",
            hint=f"fetch {wanted.split(' or ')[0]} of the same checkpoint, or rename the file if it is that one",
        )
    return CheckpointError(f"{folder} holds no weights ({wanted})", hint="fetch the checkpoint again")


def read_file(file: Path) -> dict[str, torch.Tensor]:
    """Read one file of tensors by name, whatever its suffix says; see :class:`CheckpointError` for refusals."""
    if not file.exists():
        raise CheckpointError(f"{file} does not exist", hint="check the path")
    if file.suffix == ".safetensors":
        return _read_safetensors(file)
    return _read_pickle(file)


def _read_shards(folder: Path, index: Path) -> dict[str, torch.Tensor]:
    try:
        weight_map = storage.read_json(index)["weight_map"]
        names = sorted(set(weight_map.values()))
    except (DataError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{index} is not an index of shards", hint="fetch the checkpoint again") from error
    for name in names:
        if Path(name).name != name:
            raise CheckpointError(f"{index} points outside its folder: {name}", hint="do not use this checkpoint")
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        raise CheckpointError(
            f"{folder} lacks {len(missing)} of its {len(names)} shards of weights: {', '.join(missing[:4])}",
            hint="fetch the checkpoint again; a download was perhaps cut short",
        )
    tensors: dict[str, torch.Tensor] = {}
    for name in names:
        shard = read_file(folder / name)
        absent = [key for key, place in weight_map.items() if place == name and key not in shard]
        if absent:
            raise CheckpointError(
                f"{folder / name} is the wrong shard: it lacks {', '.join(sorted(absent)[:4])}, which {index.name} "
                "puts there",
                hint="fetch index and shards again, of one checkpoint",
            )
        tensors.update(shard)
    return tensors


def _read_safetensors(file: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError

    try:
        return storage.read_tensors(file)
    except (SafetensorError, OSError, ValueError) as error:
        if _is_pickle(file):
            raise CheckpointError(
                f"{file} is a pickle, although its name says safetensors",
                hint="do not open it: a pickle can run code. Fetch a real safetensors file",
            ) from error
        raise CheckpointError(f"{file} is damaged or not safetensors: {error}") from error


def _read_pickle(file: Path) -> dict[str, torch.Tensor]:
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            if any("/code/" in name for name in archive.namelist()):
                raise CheckpointError(
                    f"{file} is a TorchScript archive, which can run code",
                    hint="if you trust it, convert it once: torch.save(torch.jit.load(FILE, map_location='cpu')"
                    ".state_dict(), 'weights.pt'), and load weights.pt",
                )
    try:
        content: Any = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{file} holds more than tensors, so opening it could run code",
            hint="fetch the safetensors file of this model, or convert it where you trust it",
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        raise CheckpointError(f"{file} is damaged or not a PyTorch file: {error}") from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]  # a training checkpoint of open_clip
    if not isinstance(content, Mapping) or not any(isinstance(value, torch.Tensor) for value in content.values()):
        raise CheckpointError(f"{file} holds no table of tensors", hint="save the model's state_dict()")
    return {
        str(name).removeprefix("module."): value for name, value in content.items() if isinstance(value, torch.Tensor)
    }


def _is_pickle(file: Path) -> bool:
    """Whether a file begins as Python's pickles or PyTorch's zipped ones do."""
    try:
        with file.open("rb") as stream:
            head = stream.read(4)
    except OSError:
        return False
    return head == b"PK\x03\x04" or (len(head) > 1 and head[0] == 0x80 and head[1] in range(2, 6))
