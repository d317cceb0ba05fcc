"""One file from which a killed run goes on as if nothing had happened: tensors and facts, without pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from glotclip.errors import CheckpointError
from glotclip.storage import write_tensors


def save(path: Path, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
    """Write tensors and JSON facts as one safetensors file, atomically: old or new, never between."""
    unshared = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    write_tensors(path, unshared, {"facts": json.dumps(facts)})


def load(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Read what :func:`save` wrote, or None if there is no checkpoint.

    Raises:
        CheckpointError: if the file is there and cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["facts"])
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118 - not a dict
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError, OSError) as error:
        raise CheckpointError(
            f"the checkpoint {path} cannot be read: {error}", hint="delete it; the task starts from its beginning"
        ) from error


def is_one(path: Path) -> bool:
    """Whether a file is a checkpoint that a training saved; its tensors are not read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return "identity" in json.loads(file.metadata()["facts"])
    except (SafetensorError, KeyError, TypeError, ValueError, OSError):
        return False
