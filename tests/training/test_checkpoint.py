"""Checkpoints: what is saved comes back, and what is none is told from one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from glotclip.errors import CheckpointError
from glotclip.training import checkpoint


def test_what_is_saved_comes_back_even_where_tensors_share_memory(tmp_path: Path) -> None:
    path, whole = tmp_path / "state.safetensors", torch.arange(6.0)
    assert checkpoint.load(path) is None
    checkpoint.save(path, {"whole": whole, "part": whole[:3]}, {"step": 1, "score": None})
    stored = checkpoint.load(path)
    assert stored is not None
    tensors, facts = stored
    assert torch.equal(tensors["part"], whole[:3])
    assert facts == {"step": 1, "score": None}


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_one_is_an_error_that_says_what_to_do(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "state.safetensors"
    checkpoint.save(path, {"a": torch.zeros(100)}, {"step": 1})
    path.write_bytes(path.read_bytes()[:-50] if damage is None else damage)
    with pytest.raises(CheckpointError, match="cannot be read") as caught:
        checkpoint.load(path)
    assert "delete it" in caught.value.hint


def test_one_that_a_training_saved_is_told_from_other_files(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    assert not checkpoint.is_one(path)
    path.write_bytes(b"mine")
    assert not checkpoint.is_one(path)
    checkpoint.save(path, {"a": torch.zeros(1)}, {"step": 1})
    assert not checkpoint.is_one(path)
    checkpoint.save(path, {"a": torch.zeros(1)}, {"identity": ""})
    assert checkpoint.is_one(path)
